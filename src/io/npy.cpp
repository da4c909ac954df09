#include "zeropoint/io/npy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy itself refuses headers above 10,000 characters unless told to trust the file.
constexpr std::uint64_t kMaxHeader = 1 << 16;
constexpr std::size_t kBlockElements = std::size_t{1} << 18;
constexpr bool kBigEndianHost = std::endian::native == std::endian::big;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

[[noreturn]] void refuse(const std::string& path, std::string_view expected,
                         std::string_view found) {
  throw InputError(fmt::format("{}: expected {}, found {}", path, expected, found));
}

enum class ElementKind { float16, float32, float64, int8, uint8, int16, uint16 };

struct ElementType {
  std::string_view code;  // NumPy's kind and size
  std::string_view name;
  std::size_t bytes;
  ElementKind kind;
};

constexpr std::array kElementTypes = {
    ElementType{"f2", "float16", 2, ElementKind::float16},
    ElementType{"f4", "float32", 4, ElementKind::float32},
    ElementType{"f8", "float64", 8, ElementKind::float64},
    ElementType{"i1", "int8", 1, ElementKind::int8},
    ElementType{"u1", "uint8", 1, ElementKind::uint8},
    ElementType{"i2", "int16", 2, ElementKind::int16},
    ElementType{"u2", "uint16", 2, ElementKind::uint16},
};
constexpr std::string_view kSupportedTypes =
    "float16, float32, float64 or an integer type of 8 or 16 bits";

// NumPy's names of what is not read, so that the message says more than a code.
constexpr std::array<std::array<std::string_view, 2>, 12> kOtherTypes = {{{"b1", "bool"},
                                                                          {"i4", "int32"},
                                                                          {"i8", "int64"},
                                                                          {"u4", "uint32"},
                                                                          {"u8", "uint64"},
                                                                          {"f12", "longdouble"},
                                                                          {"f16", "longdouble"},
                                                                          {"c8", "complex64"},
                                                                          {"c16", "complex128"},
                                                                          {"c24", "clongdouble"},
                                                                          {"c32", "clongdouble"},
                                                                          {"O", "Python objects"}}};

struct Header {
  ElementType type{};
  bool swapped = false;  // the file's byte order is not the machine's
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::string shape_text;
};

// Reads the header, a Python dictionary literal with the keys descr, fortran_order and shape.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  Header parse() {
    std::optional<std::string_view> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::uint64_t>> shape;
    Header header;

    want('{', "a header that starts with '{'");
    while (!take('}')) {
      const std::string_view key = string("a key in quotes in the header");
      want(':', "':' after a key in the header");
      skip_space();
      const std::size_t start = at_;
      if (key == "descr" && !descr) {
        descr = element_type_text();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = dimensions();
        header.shape_text = printable(text_.substr(start, at_ - start));
      } else {
        refuse(path_, "each of the keys descr, fortran_order and shape once in the header",
               fmt::format("key '{}'", printable(key)));
      }
      if (take(',')) continue;
      want('}', "',' or '}' after a value in the header");
      break;
    }
    skip_space();
    if (at_ != text_.size()) wrong("spaces up to the header's end");
    if (!descr) missing("descr");
    if (!fortran_order) missing("fortran_order");
    if (!shape) missing("shape");
    header.fortran_order = *fortran_order;
    header.shape = std::move(*shape);
    set_type(header, *descr);
    return header;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void wrong(std::string_view expected) const {
    refuse(path_, expected,
           at_ == text_.size() ? "the header's end" : fmt::format("'{}'", printable(rest())));
  }
  [[noreturn]] void missing(std::string_view key) const {
    refuse(path_, "the keys descr, fortran_order and shape in the header",
           fmt::format("no '{}'", key));
  }
  std::string_view rest() const { return text_.substr(at_, 20); }
  void want(char c, std::string_view expected) {
    if (!take(c)) wrong(expected);
  }
  std::string_view string(std::string_view expected) {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) wrong(expected);
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) wrong(expected);
    const std::string_view result = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return result;
  }
  std::string_view element_type_text() {
    if (at_ < text_.size() && text_[at_] == '[') {
      refuse(path_, kSupportedTypes, fmt::format("a structured type {}", printable(rest())));
    }
    return string("a type in quotes after 'descr'");
  }
  bool boolean() {
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    wrong("True or False after 'fortran_order'");
  }
  std::vector<std::uint64_t> dimensions() {
    constexpr std::string_view kExpected = "a tuple of numbers from 0 to 2^63 - 1 after 'shape'";
    std::vector<std::uint64_t> result;
    want('(', kExpected);
    bool comma = true;
    while (!take(')')) {
      if (!comma) wrong(kExpected);
      result.push_back(number(kExpected));
      comma = take(',');
    }
    // Without a comma, (3) is a number to Python, not a tuple.
    if (result.size() == 1 && !comma) wrong(kExpected);
    return result;
  }
  std::uint64_t number(std::string_view expected) {
    skip_space();
    const std::size_t start = at_;
    std::uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
      constexpr auto kLargest =
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (value > (kLargest - digit) / 10) {
        at_ = start;
        wrong(expected);
      }
      value = value * 10 + digit;
    }
    if (at_ == start) wrong(expected);
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 wrote it
    return value;
  }
  void set_type(Header& header, std::string_view descr) const {
    std::string_view code = descr;
    bool file_is_big = kBigEndianHost;
    if (!code.empty() && std::string_view("<>=|").find(code[0]) != std::string_view::npos) {
      if (code[0] == '<') file_is_big = false;
      if (code[0] == '>') file_is_big = true;
      code.remove_prefix(1);
    }
    for (const ElementType& type : kElementTypes) {
      if (type.code == code) {
        header.type = type;
        header.swapped = type.bytes > 1 && file_is_big != kBigEndianHost;
        return;
      }
    }
    std::string found = fmt::format("'{}'", printable(descr));
    for (const auto& [other, name] : kOtherTypes) {
      if (code == other) {
        found = fmt::format("{} ({})", name, found);
        if (code[0] != 'O') found += "; in Python, array.astype('float32') converts it";
      }
    }
    refuse(path_, kSupportedTypes, found);
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t at_ = 0;
};

std::uint64_t regular_file_size(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::directory) refuse(path, "an .npy file", "a directory");
  if (!error && status.type() != fs::file_type::regular &&
      status.type() != fs::file_type::not_found) {
    refuse(path, "an .npy file", "a device, a pipe or a socket");
  }
  const std::uint64_t size = error ? 0 : fs::file_size(path, error);
  if (error) refuse(path, "a readable .npy file", fmt::format("\"{}\"", error.message()));
  return size;
}

std::string size_text(std::uint64_t bytes) {
  return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
}

void read_exactly(std::FILE* file, const std::string& path, void* to, std::size_t bytes) {
  const std::size_t got = std::fread(to, 1, bytes, file);
  if (got == bytes) return;
  refuse(path, fmt::format("{} more bytes", bytes - got),
         std::ferror(file) != 0 ? fmt::format("a read error (\"{}\")", std::strerror(errno))
                                : "the file's end");
}

std::uint64_t little_endian(const unsigned char* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = count; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

// Reads up to the first element; `size` is the file's.
Header read_header(std::FILE* file, const std::string& path, std::uint64_t size,
                   std::uint64_t& data_start) {
  unsigned char start[12];
  std::uint64_t prefix = kMagic.size() + 2;
  if (size < prefix) refuse(path, "an .npy file", size_text(size));
  read_exactly(file, path, start, prefix);
  if (std::memcmp(start, kMagic.data(), kMagic.size()) != 0) {
    refuse(path, "an .npy file, which starts with \"\\x93NUMPY\"",
           fmt::format("\"{}\"", printable({reinterpret_cast<const char*>(start), kMagic.size()})));
  }
  const int major = start[6], minor = start[7];
  if (major < 1 || major > 3 || minor != 0) {
    refuse(path, "an .npy file of version 1.0, 2.0 or 3.0",
           fmt::format("version {}.{}", major, minor));
  }
  const int length_bytes = major == 1 ? 2 : 4;
  if (size < prefix + length_bytes) refuse(path, "the header's length", "the file's end");
  read_exactly(file, path, start, static_cast<std::size_t>(length_bytes));
  prefix += length_bytes;
  const std::uint64_t length = little_endian(start, length_bytes);
  if (length > size - prefix) {
    refuse(path, fmt::format("a header of {}", size_text(length)),
           fmt::format("{} to the file's end", size_text(size - prefix)));
  }
  if (length > kMaxHeader) {
    refuse(path, fmt::format("a header of at most {}", size_text(kMaxHeader)),
           fmt::format("one of {}", size_text(length)));
  }
  std::string text(length, '\0');
  read_exactly(file, path, text.data(), text.size());
  data_start = prefix + length;
  return HeaderParser(path, text).parse();
}

// Holds the shape against what the file has and the machine can take.
void check_shape(const std::string& path, const Header& header, std::uint64_t data_bytes) {
  const std::vector<std::uint64_t>& shape = header.shape;
  const std::string found = fmt::format("shape {}", header.shape_text);
  if (shape.size() != 2) refuse(path, "a two-dimensional array", found);
  if (shape[0] == 0 || shape[1] == 0) refuse(path, "at least one row and one column", found);
  const std::uint64_t bytes = header.type.bytes;
  const std::string held =
      fmt::format("{} × {} elements of {}", shape[0], shape[1], header.type.name);
  if (shape[0] > data_bytes / bytes / shape[1]) {
    refuse(path, fmt::format("data for {}", held),
           fmt::format("{}: the file is truncated", size_text(data_bytes)));
  }
  const std::uint64_t count = shape[0] * shape[1];
  if (data_bytes != count * bytes) {
    refuse(path, fmt::format("{} of data for {}", size_text(count * bytes), held),
           size_text(data_bytes));
  }
  const std::uint64_t available = available_memory();
  if (count > available / sizeof(float)) {
    refuse(path,
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

void reverse_bytes(unsigned char* data, std::size_t count, std::size_t width) {
  if (width == 2) {
    for (std::size_t i = 0; i < count; ++i) std::swap(data[2 * i], data[2 * i + 1]);
  } else {
    for (std::size_t i = 0; i < count; ++i) std::reverse(data + i * width, data + (i + 1) * width);
  }
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
  ElementReader(std::FILE* file, const std::string& path, const Header& header)
      : file_(file), path_(path), header_(header) {}

  void read(std::size_t count, float* out) {
    for (std::size_t done = 0; done < count; done += kBlockElements) {
      read_block(std::min(kBlockElements, count - done), out + done);
    }
  }

 private:
  void read_block(std::size_t count, float* out) {
    const std::size_t bytes = header_.type.bytes;
    const bool direct = header_.type.kind == ElementKind::float32;
    if (!direct) raw_.resize(std::max(raw_.size(), count * bytes));
    unsigned char* to = direct ? reinterpret_cast<unsigned char*>(out) : raw_.data();
    read_exactly(file_, path_, to, count * bytes);
    if (header_.swapped) reverse_bytes(to, count, bytes);
    switch (header_.type.kind) {
      case ElementKind::float16:
        for (std::size_t i = 0; i < count; ++i) {
          out[i] = float16_values()[load<std::uint16_t>(raw_.data() + 2 * i)];
        }
        break;
      case ElementKind::float32:
        break;
      case ElementKind::float64:
        narrow(count, out);
        break;
      case ElementKind::int8:
        convert<std::int8_t>(count, out);
        break;
      case ElementKind::uint8:
        convert<std::uint8_t>(count, out);
        break;
      case ElementKind::int16:
        convert<std::int16_t>(count, out);
        break;
      case ElementKind::uint16:
        convert<std::uint16_t>(count, out);
        break;
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
        refuse(path_, "numbers within float32's range", fmt::format("{} at {}", x, index(i)));
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
      refuse(path_, "finite numbers", fmt::format("{} at {}", found, index(i)));
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
  const Header& header_;
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
  Header header;
};

Opened open_npy(const std::string& path) {
  const std::uint64_t size = regular_file_size(path);
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) refuse(path, "a readable .npy file", fmt::format("\"{}\"", std::strerror(errno)));
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // every read here is a large one
  std::uint64_t data_start = 0;
  Header header = read_header(file.get(), path, size, data_start);
  check_shape(path, header, size - data_start);
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

  std::string header =
      fmt::format("{{'descr': '{}f4', 'fortran_order': False, 'shape': ({}, {}), }}",
                  kBigEndianHost ? '>' : '<', matrix.rows, matrix.cols);
  // The data start at a multiple of 64 bytes, after a newline.
  constexpr std::size_t kPrefix = 10;
  header.append(63 - (kPrefix + header.size()) % 64, ' ');
  header += '\n';
  std::string start(kMagic);
  start +=
      {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  start += header;

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
