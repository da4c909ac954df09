#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "zeropoint/core/rounding.hpp"

namespace zeropoint {

/// What the sum is scaled in on its way to a code.
enum class ScaleIn {
  float64,     ///< the product with the multiplier in double, then rounded to float32
  float32,     ///< S to float32, times the multiplier in float32
  fixed_point  ///< gemmlowp's: a 31-bit multiplier and a rounding shift, in integers
};

/// How S becomes a code of the output.
struct Requantization {
  double multiplier = 1;                     ///< s_a·s_b / s_y
  std::span<const double> multipliers = {};  ///< in its place, one a column
  std::int32_t zero_point = 0;               ///< z_y
  std::int32_t lo = -128, hi = 127;  ///< the output's grid, of any type; a ReLU has lo = z_y
  Rounding rounding = Rounding::half_even;
  bool zero_point_before_rounding = false;
  ScaleIn scale_in = ScaleIn::float64;
};

/// One sum, by its definition: clamp(round(scaled ⊕ z_y)) or clamp(round(scaled) + z_y), in float32
/// after the scaling. lo ≤ hi within 24 bits, a finite multiplier. With fixed_point the rounding is
/// gemmlowp's own (to nearest, ties up, then again with ties away from zero), and `rounding` and
/// `zero_point_before_rounding` do not count.
std::int32_t requantize(std::int64_t sum, const Requantization& how);

/// A requantization's named rules: all but multiplier, zero point and grid.
struct RequantizationPreset {
  std::string_view name;
  std::string_view title;
  Requantization rules;
};
std::span<const RequantizationPreset> requantization_presets();

/// Throws InputError naming the nearest known name.
const Requantization& requantization(std::string_view name);

}  // namespace zeropoint
