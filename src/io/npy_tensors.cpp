#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"
#include "io/npy_header.hpp"
#include "io/output_file.hpp"

namespace zeropoint {
namespace {

class NpyFile : public TensorFile {
 public:
  explicit NpyFile(const std::string& path) : TensorFile(path, "npy"), file_(path) {
    const auto bytes = file_.bytes();
    file_bytes_ = bytes.size();
    const std::string where = printable(path);
    header_ = parse_npy_header(where, bytes, bytes.size(), npy_tensor_types());
    check_npy_size(where, header_, bytes.size() - header_.data_start);
    std::string name = std::filesystem::path(path).stem().string();
    if (name.empty()) name = "array";
    add(std::move(name), {header_.shape.begin(), header_.shape.end()},
        tensor_type(header_.type.tensor_type))
        .place = header_.data_start;
    check_names();
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    const auto at = static_cast<std::size_t>(tensor.place);
    TensorBytes stored(file_.bytes().subspan(at, tensor.bytes),
                       [this, at, count = tensor.bytes] { file_.release(at, count); });
    if (is_npy_plain(header_)) return stored;
    return TensorBytes(npy_row_major(header_, stored.bytes()));
  }

 private:
  MappedFile file_;
  NpyHeader header_;
};

std::string start_of(const TensorFilePlan& plan) {
  if (plan.tensors.size() != 1) {
    throw InputError(
        fmt::format("npy: expected one tensor, found {}; .npz holds several", plan.tensors.size()));
  }
  const auto& tensor = plan.tensors.front();
  return npy_start(npy_type_of("npy", tensor), tensor.shape);
}

class NpyWriter : public TensorWriter {
 public:
  NpyWriter(const std::string& path, const TensorFilePlan& plan)
      : start_(start_of(plan)), file_(path) {
    const auto& tensor = plan.tensors.front();
    std::size_t count = 1;
    for (const std::size_t size : tensor.shape) count *= size;
    file_.write(start_);
    total_ = file_.written() + tensor.type->stored_bytes(count);
  }

  void write(std::span<const std::uint8_t> bytes) override { file_.write(bytes); }
  void finish() override {
    if (file_.written() != total_) {
      throw WorkError(fmt::format("npy: expected {} to be written, found {}", byte_count(total_),
                                  byte_count(file_.written())));
    }
    file_.finish();
  }

 private:
  std::string start_;  // before file_: a plan that is refused creates nothing
  OutputFile file_;
  std::uint64_t total_ = 0;
};

}  // namespace

const Container kNpy = {
    "npy",
    "NumPy's file of one array",
    ".npy",
    [](std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
      constexpr std::string_view kMagic = "\x93NUMPY";
      return head.size() >= kMagic.size() &&
             std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
    },
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<NpyFile>(path);
    },
    [](const std::string& path, const TensorFilePlan& plan) -> std::unique_ptr<TensorWriter> {
      return std::make_unique<NpyWriter>(path, plan);
    },
    wrong_npy_tensor};

}  // namespace zeropoint
