#pragma once
#include <cmath>
#include <cstdint>

namespace zeropoint {

__extension__ using Wide = __int128;

/// A multiplier as 31-bit integer and power of two, and gemmlowp's arithmetic with it
/// (fixedpoint.h: SaturatingRoundingDoublingHighMul, RoundingDivideByPOT), on sums of any size.
struct FixedPoint {
  std::int32_t mantissa = 0;  ///< in [2^30, 2^31), or 0
  int shift = 0;              ///< multiplier = mantissa · 2^(shift − 31)

  std::int64_t scale(std::int64_t sum) const {
    // From 2^32 on every sum but 0 goes beyond any grid and zero point of 32 bits.
    if (shift > 32) {
      const bool positive = (sum > 0) == (mantissa > 0);
      return sum == 0 ? 0 : positive ? kBeyond : -kBeyond;
    }
    const Wide product = Wide{sum} * mantissa * (Wide{1} << (shift > 0 ? shift : 0));
    const Wide half = Wide{1} << 30;
    Wide high = (product + (product >= 0 ? half : 1 - half)) / (Wide{1} << 31);
    if (shift < 0) {
      const Wide mask = (Wide{1} << -shift) - 1;
      const Wide rest = high & mask;
      high = (high >> -shift) + (rest > (mask >> 1) + (high < 0 ? 1 : 0) ? 1 : 0);
    }
    return static_cast<std::int64_t>(high > kBeyond ? kBeyond : high < -kBeyond ? -kBeyond : high);
  }

 private:
  // No output grid is wider: what lies beyond is clamped all the same.
  static constexpr std::int64_t kBeyond = std::int64_t{1} << 40;
};

/// Multipliers of less than 2^-61 become 0.
inline FixedPoint fixed_point(double multiplier) {
  int exponent = 0;
  const double fraction = std::frexp(multiplier, &exponent);
  auto mantissa = static_cast<std::int64_t>(std::llround(fraction * 0x1p31));
  if (mantissa == std::int64_t{1} << 31) {
    mantissa /= 2;
    ++exponent;
  }
  if (exponent < -60) return {};
  return {static_cast<std::int32_t>(mantissa), exponent};
}

}  // namespace zeropoint
