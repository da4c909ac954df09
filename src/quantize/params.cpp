#include "zeropoint/quantize/params.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {
namespace {

constexpr float kSmallestScale = std::numeric_limits<float>::min();
constexpr double kLargestZeroPoint = 1 << 24;

struct ScaleAndZero {
  double scale;
  double zero_point;
};

// s = (a − b)/(c − d) and z = (a·d − b·c)/(a − b), every step in Real.
template <class Real>
ScaleAndZero affine(Range range, const IntegerGrid& grid, Rounding rounding) {
  const Real a = range.min;
  const Real b = range.max;
  const Real c = static_cast<Real>(grid.lo());
  const Real d = static_cast<Real>(grid.hi());
  return {(a - b) / (c - d), round_to_integer((a * d - b * c) / (a - b), rounding)};
}

// The code with as many codes above it as the narrow grid has below it.
std::int32_t middle(const IntegerGrid& grid) { return (grid.lo() + grid.hi() + 1) / 2; }

QuantParams symmetric(Range range, const IntegerGrid& grid) {
  const double reach = std::max(std::abs(double{range.min}), std::abs(double{range.max}));
  // One bit has no code above the middle: the one below it is the reach's.
  const auto scale = static_cast<float>(reach / std::max(grid.hi() - middle(grid), 1));
  return {std::max(scale, kSmallestScale), middle(grid)};
}

}  // namespace

QuantParams choose_params(Range range, const IntegerGrid& grid, const Convention& convention) {
  check(grid);
  if (!std::isfinite(range.min) || !std::isfinite(range.max) || range.min > range.max) {
    throw InputError(
        fmt::format("range: expected finite min <= max, found [{}, {}]", range.min, range.max));
  }
  if (range.min == 0 && range.max == 0) {
    return {1, convention.mapping == Mapping::symmetric ? middle(grid) : 0};
  }
  const Range given = range;
  if (convention.zero_in_range || range.min == range.max) {
    range = {std::min(range.min, 0.0F), std::max(range.max, 0.0F)};
  }
  if (convention.mapping == Mapping::symmetric) return symmetric(range, grid);

  auto exact = convention.scale_in == Arithmetic::float32
                   ? affine<float>(range, grid, convention.zero_point_rounding)
                   : affine<double>(range, grid, convention.zero_point_rounding);
  // Ranges near the ends of float32 overflow or vanish in its own arithmetic, and only there.
  if (!std::isfinite(exact.scale) || !std::isfinite(exact.zero_point) ||
      exact.scale < kSmallestScale) {
    exact = affine<double>(range, grid, convention.zero_point_rounding);
  }
  if (exact.scale < kSmallestScale) {  // the step is floored, so the zero point follows from it
    exact.scale = kSmallestScale;
    exact.zero_point = round_to_integer(grid.lo() - double{range.min} / exact.scale,
                                        convention.zero_point_rounding);
  }
  if (convention.zero_in_range || given.min == given.max) {
    // The range holds 0, so that a code stands for it: no rounding error may move it off the grid.
    if (range.min == 0) exact.zero_point = grid.lo();
    if (range.max == 0) exact.zero_point = grid.hi();
  }
  if (convention.clamp_zero_point || convention.zero_in_range) {
    exact.zero_point = std::clamp<double>(exact.zero_point, grid.lo(), grid.hi());
  }
  if (std::abs(exact.zero_point) > kLargestZeroPoint) {
    return choose_params({std::min(range.min, 0.0F), std::max(range.max, 0.0F)}, grid, convention);
  }
  return {static_cast<float>(exact.scale), static_cast<std::int32_t>(exact.zero_point)};
}

}  // namespace zeropoint
