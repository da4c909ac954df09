#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"
#include "io/npy_array.hpp"
#include "io/output_file.hpp"

namespace zeropoint {

std::vector<std::size_t> shape_of(const NpyHeader& header) {
  return {header.shape.begin(), header.shape.end()};
}

bool lies_as_it_should(const NpyHeader& header) {
  return !header.swapped && (!header.fortran_order || header.shape.size() < 2);
}

std::vector<std::uint8_t> in_order(const NpyHeader& header, std::span<const std::uint8_t> data) {
  const std::size_t width = header.type.bytes;
  std::vector<std::uint8_t> bytes(data.size());
  const std::size_t count = data.size() / width;
  const auto copy = [&](std::size_t from, std::size_t to) {
    for (std::size_t b = 0; b < width; ++b) {
      bytes[to * width + b] = data[from * width + (header.swapped ? width - 1 - b : b)];
    }
  };
  const std::size_t rank = header.shape.size();
  if (!header.fortran_order || rank < 2) {
    for (std::size_t i = 0; i < count; ++i) copy(i, i);
    return bytes;
  }
  // The index moves on along the first axis, as the file does.
  std::vector<std::size_t> index(rank, 0), stride(rank, 1);
  for (std::size_t axis = rank - 1; axis-- > 0;) {
    stride[axis] = stride[axis + 1] * static_cast<std::size_t>(header.shape[axis + 1]);
  }
  std::size_t to = 0;
  for (std::size_t i = 0; i < count; ++i) {
    copy(i, to);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      to += stride[axis];
      if (++index[axis] < header.shape[axis]) break;
      to -= stride[axis] * static_cast<std::size_t>(header.shape[axis]);
      index[axis] = 0;
    }
  }
  return bytes;
}

namespace {

class NpyFile : public TensorFile {
 public:
  explicit NpyFile(const std::string& path) : TensorFile(path, "npy"), file_(path) {
    file_bytes_ = file_.bytes().size();
    header_ = read_npy_header(printable(path), file_.bytes(), true);
    std::string name = std::filesystem::path(path).stem().string();
    const StoredTensor& tensor =
        add(name.empty() ? "array" : name, shape_of(header_), tensor_type(header_.type.stored));
    const std::uint64_t found = file_bytes_ - header_.data_start;
    if (found != tensor.bytes) {
      refuse_file(path,
                  fmt::format("{} of data for {} {}", byte_count(tensor.bytes), header_.type.name,
                              header_.shape_text),
                  byte_count(found));
    }
    check_names();
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    const auto data = file_.bytes().subspan(header_.data_start, tensor.bytes);
    if (!lies_as_it_should(header_)) return TensorBytes(in_order(header_, data));
    return {data, [this, count = tensor.bytes] { file_.release(header_.data_start, count); }};
  }

 private:
  MappedFile file_;
  NpyHeader header_;
};

class NpyWriter : public TensorWriter {
 public:
  NpyWriter(const std::string& path, const TensorFilePlan& plan)
      : head_(make_head(plan)), file_(path) {
    file_.write(head_);
  }
  void write(std::span<const std::uint8_t> bytes) override { file_.write(bytes); }
  void finish() override { file_.finish(); }

 private:
  static std::string make_head(const TensorFilePlan& plan) {
    if (plan.tensors.size() != 1) {
      throw InputError(fmt::format("npy: expected one tensor, found {}; .npz holds several",
                                   plan.tensors.size()));
    }
    return header_or_throw(plan.tensors[0]);
  }
  std::string head_;
  OutputFile file_;
};

}  // namespace

std::string header_or_throw(const TensorFilePlan::Tensor& tensor) {
  std::string header = npy_header(tensor.type->name, tensor.shape);
  if (header.empty()) {
    throw InputError(fmt::format("'{}': expected a type that NumPy has, found {}",
                                 printable(tensor.name), tensor.type->name));
  }
  return header;
}

const Container kNpy = {
    "npy",
    "one array of NumPy's",
    ".npy",
    [](std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
      return head.size() >= 6 && std::memcmp(head.data(), "\x93NUMPY", 6) == 0;
    },
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<NpyFile>(path);
    },
    [](const std::string& path, const TensorFilePlan& plan) -> std::unique_ptr<TensorWriter> {
      return std::make_unique<NpyWriter>(path, plan);
    }};

}  // namespace zeropoint
