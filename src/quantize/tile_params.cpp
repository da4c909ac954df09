#include "quantize/tile_params.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace zeropoint {
namespace {

// A scale that can be divided by; nothing but zeros has 1.
float usable_scale(double scale) {
  if (scale == 0) return 1;
  constexpr double kSmallest = std::numeric_limits<float>::min();
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(scale, kSmallest, kLargest));
}

}  // namespace

QuantParams params_of_range(const Scheme& scheme, Range range) {
  if (scheme.format.kind == FormatKind::integer) {
    return choose_params(range, scheme.format.grid, scheme.convention);
  }
  const double reach = std::max(std::abs(double{range.min}), std::abs(double{range.max}));
  const double most =
      scheme.format.kind == FormatKind::floating ? largest(*scheme.format.floating) : 1;
  return {usable_scale(reach / most), 0};
}

QuantParams params_of_values(const Scheme& scheme, std::span<const float> values,
                             std::string_view what) {
  if (scheme.format.kind == FormatKind::codebook &&
      scheme.format.codebook->unit == LevelUnit::rms) {
    double squares = 0;
    for (const float x : values) squares += double{x} * x;
    // Such levels need not hold 0: zeros get the smallest scale.
    const double rms = std::sqrt(squares / static_cast<double>(values.size()));
    return {usable_scale(std::max<double>(rms, std::numeric_limits<float>::min())), 0};
  }
  return params_of_range(scheme, estimate_range(scheme.range, values, scheme.convention.coverage,
                                                grid_need(scheme), what));
}

}  // namespace zeropoint
