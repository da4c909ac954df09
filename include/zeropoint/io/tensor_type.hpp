#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace zeropoint {

/// What a container's tensor may hold.
enum class TensorKind {
  floating,  ///< numbers to be quantized
  integer,   ///< indices, counts, or codes of somebody's; kept as they are
  blocks     ///< quantized already: blocks of codes with their scales
};

/// How the numbers of a tensor lie in a file: one row of tensor_type_list.cpp. Little-endian.
struct TensorType {
  std::string_view name;  ///< "F32", "BF16", "I4", "Q8_0", "Q4_K", as safetensors and GGUF say it
  TensorKind kind;
  std::size_t block;  ///< values that are stored together; 1, or as many as fill whole bytes
  std::size_t bytes;  ///< of a block
  /// The first `count` values of blocks, rounded to float32; the last block may be used in part.
  void (*decode)(const std::uint8_t* blocks, std::size_t count, float* x);

  /// Bytes of so many values; the last block is whole.
  std::size_t stored_bytes(std::size_t count) const {
    return count / block * bytes + (count % block != 0 ? bytes : 0);
  }
  double bits() const { return 8.0 * static_cast<double>(bytes) / static_cast<double>(block); }
};

std::span<const TensorType> tensor_types();
/// Null if there is none of that name.
const TensorType* find_tensor_type(std::string_view name);
/// Throws InputError naming the nearest.
const TensorType& tensor_type(std::string_view name);

}  // namespace zeropoint
