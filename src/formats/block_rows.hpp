#pragma once
#include <cmath>

#include "zeropoint/formats/block_format.hpp"

namespace zeropoint {

// The rows of block_format_list.cpp, by family.
extern const BlockFormat kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1;                        // ggml
extern const BlockFormat kMxfp8, kMxfp8E5m2, kMxfp6, kMxfp6E2m3, kMxfp4, kMxint8;  // OCP
extern const BlockFormat kNvfp4;
extern const BlockFormat kNest2, kNest3, kNest4;
extern const BlockFormat kTrellis2, kTrellis3, kTrellis4;

// Their vector code: the families' block_FAMILY_vectors.cpp.
#define ZEROPOINT_BLOCK_VECTORS(name)                                                        \
  bool fast_encode_##name(const float* x, std::size_t count, const BlockOptions& options,    \
                          float tensor_scale, std::uint8_t* blocks);                         \
  bool fast_decode_##name(const std::uint8_t* blocks, std::size_t count, float tensor_scale, \
                          float* x)
ZEROPOINT_BLOCK_VECTORS(q8_0);
ZEROPOINT_BLOCK_VECTORS(q4_0);
ZEROPOINT_BLOCK_VECTORS(q4_1);
ZEROPOINT_BLOCK_VECTORS(q5_0);
ZEROPOINT_BLOCK_VECTORS(q5_1);
ZEROPOINT_BLOCK_VECTORS(mxfp8);
ZEROPOINT_BLOCK_VECTORS(mxfp8_e5m2);
ZEROPOINT_BLOCK_VECTORS(mxfp6);
ZEROPOINT_BLOCK_VECTORS(mxfp6_e2m3);
ZEROPOINT_BLOCK_VECTORS(mxfp4);
ZEROPOINT_BLOCK_VECTORS(mxint8);
ZEROPOINT_BLOCK_VECTORS(nvfp4);
ZEROPOINT_BLOCK_VECTORS(nest2);
ZEROPOINT_BLOCK_VECTORS(nest3);
ZEROPOINT_BLOCK_VECTORS(nest4);
ZEROPOINT_BLOCK_VECTORS(trellis2);
ZEROPOINT_BLOCK_VECTORS(trellis3);
ZEROPOINT_BLOCK_VECTORS(trellis4);
#undef ZEROPOINT_BLOCK_VECTORS

/// The bits of the largest magnitude; beyond those of the largest float if a value is not finite.
std::uint32_t largest_magnitude_bits(const float* x, std::size_t count);

/// 1 / scale; 0 where that is no number: such a scale is 0 in fp16, too.
inline float reciprocal(float scale) {
  const float inverse = 1 / scale;
  return std::isfinite(inverse) ? inverse : 0;
}

}  // namespace zeropoint
