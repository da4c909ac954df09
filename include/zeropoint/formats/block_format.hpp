#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/rounding.hpp"

namespace zeropoint {

/// How an MX block's power of two follows from its largest magnitude m, with the element format's
/// largest number M and its power of two 2^e ≤ M: floor(log2 m) − e (OCP Microscaling 1.0, 6.3);
/// ceil(log2 m) − e; the first after m is rounded to the element's fraction bits; ceil(log2(m/M)).
/// The last three are torchao's ScaleCalculationMode.
enum class ScaleRule { floor, ceil, even, rceil };
/// Throws InputError naming the nearest.
ScaleRule parse_scale_rule(std::string_view word);
std::string_view to_string(ScaleRule rule);

struct BlockOptions {
  ScaleRule scale_rule = ScaleRule::floor;  ///< of MX formats
  Rounding rounding = Rounding::half_even;  ///< of MX formats' elements; not stochastic
};

/// A format in which a run of values shares a scale that is stored with them, as one struct of
/// bytes. A new one is a row in block_format_list.cpp.
struct BlockFormat {
  std::string_view name;
  std::string_view title;
  std::size_t block;  ///< values
  std::size_t bytes;  ///< of a block
  int element_bits;
  bool has_scale_rule = false;    ///< BlockOptions count
  bool has_tensor_scale = false;  ///< a second scale in float32, for the whole tensor
  /// One run of whole blocks, `count` values; writes or reads count / block · bytes.
  void (*encode)(const float* x, std::size_t count, const BlockOptions& options, float tensor_scale,
                 std::uint8_t* blocks);
  void (*decode)(const std::uint8_t* blocks, std::size_t count, float tensor_scale, float* x);
};

std::span<const BlockFormat> block_formats();
/// Throws InputError naming the nearest.
const BlockFormat& block_format(std::string_view name);

/// Bytes of a matrix, each of whose rows is filled up with zeros to whole blocks.
std::size_t block_bytes(const BlockFormat& format, std::size_t rows, std::size_t cols);

/// The second scale that a tensor gets; 1 if the format has none. NVFP4: largest magnitude / (6 ·
/// 448), the largest numbers of e2m1 and e4m3.
float tensor_scale(const BlockFormat& format, MatrixView<const float> x);

/// Row by row, blocks along the rows. ggml's own files know whole blocks only; what fills up a row
/// is read back as nothing. All of x finite. Throws InputError if `blocks` has not block_bytes(),
/// or, naming the block, if a scale is beyond fp16 (ggml's).
void encode_blocks(const BlockFormat& format, const BlockOptions& options,
                   MatrixView<const float> x, float tensor_scale, std::span<std::uint8_t> blocks);
void decode_blocks(const BlockFormat& format, std::span<const std::uint8_t> blocks,
                   float tensor_scale, MatrixView<float> x);

}  // namespace zeropoint
