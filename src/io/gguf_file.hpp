#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {

// GGUF: "GGUF", version, counts of tensors and keys; the keys with their values; each tensor's
// name, shape (the innermost axis first), type and offset; the data, each tensor aligned. Source:
// docs/gguf.md of the ggml project; numbers of types as its ggml.h gives them.
namespace gguf {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kUsualAlignment = 32;

enum Value : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

constexpr std::string_view kAlignmentKey = "general.alignment";

/// ggml's number of a type, whose name TensorType shares; none if its files cannot hold it.
std::optional<std::uint32_t> number_of(const TensorType& type);

inline bool is_alignment(std::uint64_t value) {
  return value != 0 && (value & (value - 1)) == 0 && value <= std::uint64_t{1} << 31;
}

inline std::uint64_t padded(std::uint64_t bytes, std::uint64_t alignment) {
  return (bytes + alignment - 1) & ~(alignment - 1);
}

}  // namespace gguf

class GgufFile : public TensorFile {
 public:
  explicit GgufFile(const std::string& path);

  TensorBytes load(const StoredTensor& tensor) const override;

  /// Of the metadata, in their order: key, type and value as they lie in the file.
  const std::vector<std::span<const std::uint8_t>>& entries() const { return entries_; }
  std::uint32_t alignment() const { return alignment_; }

 private:
  class Cursor;
  void read_entries(Cursor& cursor, std::uint64_t count);
  void read_tensors(Cursor& cursor, std::uint64_t count);
  void place(std::size_t data);

  MappedFile file_;
  std::vector<std::span<const std::uint8_t>> entries_;
  std::uint32_t alignment_ = gguf::kUsualAlignment;
  std::size_t data_ = 0;
};

std::string wrong_gguf_tensor(const TensorFilePlan::Tensor& tensor);
std::unique_ptr<TensorWriter> create_gguf(const std::string& path, const TensorFilePlan& plan);

}  // namespace zeropoint
