#pragma once
#include "zeropoint/model/value.hpp"

namespace zeropoint::model {

/// How numbers become those of an 8-bit float that cannot hold them, by ONNX's Cast.
struct CastRules {
  bool saturate = true;                      ///< 8-bit floats: the largest, or infinity and NaN
  Rounding scale_rounding = Rounding::ceil;  ///< to float8e8m0: ceil ("up"), floor, half_away
};

/// ONNX's Cast. Floats are rounded once, to nearest, ties to even, beyond the largest to infinity;
/// float4e2m1 saturates. Integers keep their low bits. What ONNX leaves undefined is as C++ on
/// x86-64 (and so NumPy and ONNX Runtime there) has it, on every machine: a float without its
/// fraction, in 32 bits (uint32, int64 and wider: 64), the lowest of those numbers if it does not
/// fit or is NaN, then the low bits.
/// float8e8m0 as Cast's tables have it: with saturate, 0 and what is below the smallest are the
/// smallest, infinity the largest; without, all three are NaN. Negative numbers are NaN.
Value cast(const Value& x, ElementType to, const CastRules& rules = {});

}  // namespace zeropoint::model
