#pragma once
#include <hwy/highway.h>

/// Makes the functions that block_rows.hpp declares for a format of Encode##Name and Decode##Name,
/// which are compiled for every instruction set: the best is chosen at run time.
#define ZEROPOINT_BLOCK_EXPORT(name, Name)                                                   \
  HWY_EXPORT(Encode##Name);                                                                  \
  HWY_EXPORT(Decode##Name);                                                                  \
  bool fast_encode_##name(const float* x, std::size_t count, const BlockOptions& options,    \
                          float tensor_scale, std::uint8_t* blocks) {                        \
    return HWY_DYNAMIC_DISPATCH(Encode##Name)(x, count, options, tensor_scale, blocks);      \
  }                                                                                          \
  bool fast_decode_##name(const std::uint8_t* blocks, std::size_t count, float tensor_scale, \
                          float* x) {                                                        \
    return HWY_DYNAMIC_DISPATCH(Decode##Name)(blocks, count, tensor_scale, x);               \
  }
