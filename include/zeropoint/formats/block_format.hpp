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
/// The last three are torchao's ScaleCalculationMode (to_mx in prototype/mx_formats/mx_tensor.py),
/// whose float32 quotient for rceil gives the same powers at every significand of m. A power beyond
/// E8M0's −127 … 127 is that end's; a block of zeros gets −127.
enum class ScaleRule { floor, ceil, even, rceil };
/// Throws InputError naming the nearest.
ScaleRule parse_scale_rule(std::string_view word);
std::string_view to_string(ScaleRule rule);

/// What becomes of a block that holds a NaN or an infinity: an error that names the first of them,
/// or a block that reads back as NaN throughout: its scale is NaN (OCP Microscaling 1.0, 5.1), its
/// codes are 0. With `propagate`, a ggml scale beyond fp16 is no error either: it is infinite, as
/// ggml writes it.
enum class BlockNonFinite { refuse, propagate };

struct BlockOptions {
  ScaleRule scale_rule = ScaleRule::floor;  ///< of MX formats
  Rounding rounding = Rounding::half_even;  ///< of MX formats' elements; not stochastic
  BlockNonFinite non_finite = BlockNonFinite::refuse;
};

/// A format in which a run of values shares a scale that is stored with them, as one struct of
/// bytes. A new one is a row in block_format_list.cpp.
/// MX and NVFP4: the scale's byte, then the codes, packed from the least significant bit on. ggml:
/// d (and m) in fp16, the fifth bits, the codes; value j of 32 low in byte j, value j + 16 high.
/// Nested lattices: the scale in bf16, an index of 2 bits for each 8 values, a code for each 8, its
/// lowest byte first; trellis codes: the scale in bf16, the ring of bits, the first bit lowest. See
/// src/formats/nest.hpp and trellis.hpp.
struct BlockFormat {
  std::string_view name;
  std::string_view title;
  std::size_t block;  ///< values
  std::size_t bytes;  ///< of a block
  int element_bits;
  bool has_scale_rule = false;    ///< BlockOptions count
  bool has_tensor_scale = false;  ///< a second scale in float32, for the whole tensor
  std::size_t scale_bytes;        ///< in front of the block
  std::uint32_t nan_scale;        ///< a scale that makes the block NaN
  /// The definition: one run of whole blocks, `count` values, all finite; writes or reads count /
  /// block · bytes.
  void (*encode)(const float* x, std::size_t count, const BlockOptions& options, float tensor_scale,
                 std::uint8_t* blocks);
  void (*decode)(const std::uint8_t* blocks, std::size_t count, float tensor_scale, float* x);
  /// The same bytes and numbers by vector code. False, whatever was written by then, if the run is
  /// left to the definition: values or scales that are not finite, a rounding other than half_even,
  /// an instruction set that lacks something.
  bool (*fast_encode)(const float* x, std::size_t count, const BlockOptions& options,
                      float tensor_scale, std::uint8_t* blocks);
  bool (*fast_decode)(const std::uint8_t* blocks, std::size_t count, float tensor_scale, float* x);
  /// The largest magnitude of a block whose scale is exactly 1 by the floor rule; in formats that
  /// store a minimum, the width of one that begins at 0. What storing a scale costs is measured
  /// against blocks brought to it (ledger.hpp). 0: a scale is chosen in another way.
  float full_reach = 0;
  bool has_minimum = false;
  /// Values are coded together: the error is small as a whole, not of each value, and what is read
  /// back and encoded again may become other codes. A row that ends within a block is filled up
  /// with its values over again instead of zeros, since these would take part in the block's scale.
  bool is_joint = false;
  bool is_slow = false;  ///< encoding takes about a microsecond a value
};

std::span<const BlockFormat> block_formats();
/// Throws InputError naming the nearest.
const BlockFormat& block_format(std::string_view name);

/// Bytes of a matrix, each of whose rows is filled up with zeros to whole blocks. Throws InputError
/// if std::size_t does not hold them.
std::size_t block_bytes(const BlockFormat& format, std::size_t rows, std::size_t cols);

/// Bits a value, with scales, what fills up the rows, and the float32 scale of a tensor. 0 of an
/// empty matrix.
double effective_bits(const BlockFormat& format, std::size_t rows, std::size_t cols);

/// The second scale that a tensor gets; 1 if the format has none. NVFP4: largest magnitude / (6 ·
/// 448), the largest numbers of e2m1 and e4m3, but at least 2^-126; 1 for zeros. NaNs and
/// infinities do not count.
float tensor_scale(const BlockFormat& format, MatrixView<const float> x);

/// Row by row, blocks along the rows; a row that ends within a block is filled up with zeros (which
/// ggml itself refuses to do), in joint formats with its values over again. The same bytes on every
/// instruction set and thread count. Throws InputError if `blocks` has not block_bytes(); if
/// `tensor_scale` is not above 0 and at most 7.5e35; naming the place, if a value is NaN or
/// infinite or, in ggml's formats, a scale beyond fp16, unless options.non_finite says otherwise.
void encode_blocks(const BlockFormat& format, const BlockOptions& options,
                   MatrixView<const float> x, float tensor_scale, std::span<std::uint8_t> blocks);
/// The numbers of any bytes: a code's number times its scale, rounded to float32; infinite beyond
/// it, as FLT_MAX becomes by scale rules other than floor; in joint formats numbers from some 2^125
/// on come back smaller. Throws InputError as encode_blocks does for sizes and `tensor_scale`.
void decode_blocks(const BlockFormat& format, std::span<const std::uint8_t> blocks,
                   float tensor_scale, MatrixView<float> x);

}  // namespace zeropoint
