#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace zeropoint {

// What formats that code values together have in common: the scale, in bf16, whose range is
// float32's, and whose 8 bits are far finer than their error.

/// Beyond it a scale stays at it: no code is above 8, so that every number read back is finite.
constexpr float kLargestScale = 0x1p124F;
constexpr std::uint32_t kNanScale = 0x7FC0;

/// A number from 0 on, not NaN, to bf16, ties to even.
inline std::uint32_t scale_code(double scale) {
  const auto kept = static_cast<float>(std::min(scale, double{kLargestScale}));
  const auto bits = std::bit_cast<std::uint32_t>(kept);
  return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}
inline float scale_number(std::uint32_t code) { return std::bit_cast<float>(code << 16); }

inline void put_scale(std::uint32_t code, std::uint8_t* bytes) {
  bytes[0] = static_cast<std::uint8_t>(code);
  bytes[1] = static_cast<std::uint8_t>(code >> 8);
}
inline float get_scale(const std::uint8_t* bytes) {
  return scale_number(bytes[0] | std::uint32_t{bytes[1]} << 8);
}

inline double root_mean_square(const float* x, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += double{x[i]} * double{x[i]};
  return std::sqrt(sum / static_cast<double>(count));
}

/// Numbers c that stand for x / `scale`, and the scale that fits them best.
struct Fit {
  std::uint32_t scale = 0;
  double error = std::numeric_limits<double>::infinity();  ///< squared, in all
};
inline Fit fitted(const float* x, const float* c, std::size_t count) {
  double xx = 0, xc = 0, cc = 0;
  for (std::size_t i = 0; i < count; ++i) {
    xx += double{x[i]} * double{x[i]};
    xc += double{x[i]} * double{c[i]};
    cc += double{c[i]} * double{c[i]};
  }
  Fit fit;
  fit.scale = cc > 0 ? scale_code(std::max(xc / cc, 0.0)) : 0;
  const double scale = scale_number(fit.scale);
  fit.error = xx - 2 * scale * xc + scale * scale * cc;
  return fit;
}

/// The nearest integer, ties to even, of less than 2^22.
inline float round_even(float x) {
  constexpr float kShift = 0x1.8p23F;
  return (x + kShift) - kShift;
}

}  // namespace zeropoint
