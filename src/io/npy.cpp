#include "zeropoint/io/npy.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/float_format.hpp"

#include "io/mapped_file.hpp"
#include "io/npy_header.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kBlockElements = std::size_t{1} << 18;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::uint64_t regular_file_size(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::directory) refuse_npy(path, "an .npy file", "a directory");
  if (!error && status.type() != fs::file_type::regular &&
      status.type() != fs::file_type::not_found) {
    refuse_npy(path, "an .npy file", "a device, a pipe or a socket");
  }
  const std::uint64_t size = error ? 0 : fs::file_size(path, error);
  if (error) refuse_npy(path, "a readable .npy file", fmt::format("\"{}\"", error.message()));
  return size;
}

void read_exactly(std::FILE* file, const std::string& path, void* to, std::size_t bytes) {
  const std::size_t got = std::fread(to, 1, bytes, file);
  if (got == bytes) return;
  refuse_npy(path, fmt::format("{} more bytes", bytes - got),
             std::ferror(file) != 0 ? fmt::format("a read error (\"{}\")", std::strerror(errno))
                                    : "the file's end");
}

// Holds the shape against what the file has and the machine can take.
void check_shape(const std::string& path, const NpyHeader& header, std::uint64_t data_bytes) {
  const std::vector<std::uint64_t>& shape = header.shape;
  const std::string found = fmt::format("shape {}", header.shape_text);
  if (shape.size() != 2) refuse_npy(path, "a two-dimensional array", found);
  if (shape[0] == 0 || shape[1] == 0) refuse_npy(path, "at least one row and one column", found);
  const std::uint64_t bytes = header.type.bytes;
  const std::string held =
      fmt::format("{} × {} elements of {}", shape[0], shape[1], header.type.name);
  if (shape[0] > data_bytes / bytes / shape[1]) {
    refuse_npy(path, fmt::format("data for {}", held),
               fmt::format("{}: the file is truncated", byte_count(data_bytes)));
  }
  const std::uint64_t count = shape[0] * shape[1];
  if (data_bytes != count * bytes) {
    refuse_npy(path, fmt::format("{} of data for {}", byte_count(count * bytes), held),
               byte_count(data_bytes));
  }
  const std::uint64_t available = available_memory();
  if (count > available / sizeof(float)) {
    refuse_npy(path,
               fmt::format("a matrix whose float32 elements fit in the {:.1f} GB available",
                           static_cast<double>(available) * 1e-9),
               fmt::format("one that needs {:.1f} GB", static_cast<double>(count) * 4e-9));
  }
}

template <class T>
T load(const unsigned char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

const std::vector<float>& float16_values() {
  static const std::vector<float> values = [] {
    std::vector<float> all(std::size_t{1} << 16);
    const FloatFormat& format = float_format("fp16");
    for (std::size_t code = 0; code < all.size(); ++code) {
      all[code] = static_cast<float>(decode(format, static_cast<std::uint32_t>(code)).value);
    }
    return all;
  }();
  return values;
}

// Streams a file's elements, in the file's order, as finite floats.
class ElementReader {
 public:
  ElementReader(std::FILE* file, const std::string& path, const NpyHeader& header)
      : file_(file), path_(path), header_(header) {}

  void read(std::size_t count, float* out) {
    for (std::size_t done = 0; done < count; done += kBlockElements) {
      read_block(std::min(kBlockElements, count - done), out + done);
    }
  }

 private:
  void read_block(std::size_t count, float* out) {
    const std::size_t bytes = header_.type.bytes;
    const bool direct = header_.type.kind == NpyKind::float32;
    if (!direct) raw_.resize(std::max(raw_.size(), count * bytes));
    unsigned char* to = direct ? reinterpret_cast<unsigned char*>(out) : raw_.data();
    read_exactly(file_, path_, to, count * bytes);
    if (header_.swapped) reverse_npy_bytes(to, count, bytes);
    switch (header_.type.kind) {
      case NpyKind::float16:
        for (std::size_t i = 0; i < count; ++i) {
          out[i] = float16_values()[load<std::uint16_t>(raw_.data() + 2 * i)];
        }
        break;
      case NpyKind::float32:
        break;
      case NpyKind::float64:
        narrow(count, out);
        break;
      case NpyKind::int8:
        convert<std::int8_t>(count, out);
        break;
      case NpyKind::uint8:
        convert<std::uint8_t>(count, out);
        break;
      case NpyKind::int16:
        convert<std::int16_t>(count, out);
        break;
      case NpyKind::uint16:
        convert<std::uint16_t>(count, out);
        break;
      default:
        break;  // npy_matrix_types() has no others
    }
    check_finite(count, out);
    done_ += count;
  }
  template <class T>
  void convert(std::size_t count, float* out) const {
    for (std::size_t i = 0; i < count; ++i) out[i] = load<T>(raw_.data() + sizeof(T) * i);
  }
  void narrow(std::size_t count, float* out) const {
    // Half a step above the largest float32: from here on, rounding gives infinity.
    constexpr double kLimit = 0x1.ffffffp127;
    for (std::size_t i = 0; i < count; ++i) {
      const auto x = load<double>(raw_.data() + 8 * i);
      if (std::abs(x) >= kLimit && std::isfinite(x)) {
        refuse_npy(path_, "numbers within float32's range", fmt::format("{} at {}", x, index(i)));
      }
      out[i] = static_cast<float>(x);
    }
  }
  void check_finite(std::size_t count, const float* values) const {
    bool all_finite = true;
    for (std::size_t i = 0; i < count; ++i) all_finite &= std::isfinite(values[i]);
    if (all_finite) return;
    for (std::size_t i = 0; i < count; ++i) {
      if (std::isfinite(values[i])) continue;
      const std::string_view found =
          std::isnan(values[i]) ? "NaN" : (values[i] > 0 ? "infinity" : "-infinity");
      refuse_npy(path_, "finite numbers", fmt::format("{} at {}", found, index(i)));
    }
  }
  // The NumPy index of the block's i-th element.
  std::string index(std::size_t i) const {
    const std::uint64_t at = done_ + i;
    return header_.fortran_order
               ? fmt::format("[{}, {}]", at % header_.shape[0], at / header_.shape[0])
               : fmt::format("[{}, {}]", at / header_.shape[1], at % header_.shape[1]);
  }

  std::FILE* file_;
  const std::string& path_;
  const NpyHeader& header_;
  std::vector<unsigned char> raw_;
  std::uint64_t done_ = 0;
};

// Reads some columns at a time and lays them down row by row.
void read_columns(ElementReader& reader, Matrix<float>& result) {
  const std::size_t rows = result.rows(), cols = result.cols();
  const std::size_t group = std::min(cols, std::clamp<std::size_t>(kBlockElements / rows, 1, 256));
  std::vector<float> columns(group * rows);
  for (std::size_t first = 0; first < cols; first += group) {
    const std::size_t count = std::min(group, cols - first);
    reader.read(count * rows, columns.data());
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < count; ++j) result(i, first + j) = columns[j * rows + i];
    }
  }
}

}  // namespace

namespace {

// An .npy file at its first element.
struct Opened {
  File file;
  NpyHeader header;
};

Opened open_npy(const std::string& path) {
  const std::uint64_t size = regular_file_size(path);
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) refuse_npy(path, "a readable .npy file", fmt::format("\"{}\"", std::strerror(errno)));
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // every read here is a large one
  const auto read_to = [&](std::vector<std::uint8_t>& start, std::size_t bytes) {
    const std::size_t before = start.size();
    start.resize(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size)));
    read_exactly(file.get(), path, start.data() + before, start.size() - before);
  };
  std::vector<std::uint8_t> start;
  read_to(start, kNpyPrefix);
  read_to(start, std::max(start.size(), npy_start_bytes(start)));
  NpyHeader header = parse_npy_header(path, start, size, npy_matrix_types());
  check_shape(path, header, size - header.data_start);
  return {std::move(file), std::move(header)};
}

}  // namespace

NpyShape npy_shape(const std::string& path) {
  const Opened opened = open_npy(path);
  return {opened.header.shape[0], opened.header.shape[1]};
}

Matrix<float> read_npy(const std::string& path) {
  const auto [file, header] = open_npy(path);
  Matrix<float> result(header.shape[0], header.shape[1]);
  ElementReader reader(file.get(), path, header);
  if (header.fortran_order && result.rows() > 1 && result.cols() > 1) {
    read_columns(reader, result);
  } else {
    reader.read(result.size(), result.data());
  }
  return result;
}

void write_npy(const std::string& path, MatrixView<const float> matrix) {
  const auto fail = [&](std::string_view what) {
    throw WorkError(fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));
  };
  File file(std::fopen(path.c_str(), "wb"));
  if (!file) fail("create the file");

  const std::size_t shape[] = {matrix.rows, matrix.cols};
  const std::string start =
      npy_start(*std::ranges::find(npy_matrix_types().rows, "f4", &NpyType::code), shape);
  const auto put = [&](const void* data, std::size_t bytes) {
    if (bytes != 0 && std::fwrite(data, 1, bytes, file.get()) != bytes) fail("write");
  };
  put(start.data(), start.size());
  std::vector<float> row(matrix.col_stride == 1 ? 0 : matrix.cols);
  for (std::size_t i = 0; i < matrix.rows && matrix.cols != 0; ++i) {
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = matrix(i, j);
    put(row.empty() ? &matrix(i, 0) : row.data(), matrix.cols * sizeof(float));
  }
  if (std::fclose(file.release()) != 0) fail("write");
}

}  // namespace zeropoint
