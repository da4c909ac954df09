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

constexpr double kEpsilon = 0x1p-23;  // torch.finfo(float32).eps

constexpr float kCutoff = 6.1e-5F;  // FBGEMM's SMALL_SCALE_THRESHOLD

bool has_tenth(SmallScale rule) { return rule == SmallScale::tenth || rule == SmallScale::cutoff; }

// The scale that laying `width` over the grid needs, with what is done to it if it is too small.
template <class Real>
Real usable(Real scale, SmallScale rule) {
  if (rule == SmallScale::epsilon) return std::max(scale, static_cast<Real>(kEpsilon));
  const auto stored = static_cast<float>(scale);
  const bool useless = stored == 0 || std::isinf(1 / stored);
  return has_tenth(rule) && useless ? static_cast<Real>(0.1) : scale;
}

// The zero point, every step in Real.
template <class Real>
Real zero_point(Range range, Real scale, const IntegerGrid& grid, const Convention& convention) {
  const Real a = range.min;
  const Real b = range.max;
  const Real c = static_cast<Real>(grid.lo());
  const Real d = static_cast<Real>(grid.hi());
  const Rounding rounding = convention.zero_point_rounding;
  switch (convention.zero_point_from) {
    case ZeroPointFrom::both_ends:
      return round_to_integer((a * d - b * c) / (a - b), rounding);
    case ZeroPointFrom::min:
      return round_to_integer(c - a / scale, rounding);
    case ZeroPointFrom::min_apart:
      return c - round_to_integer(a / scale, rounding);
    case ZeroPointFrom::nearer_end:
      break;
  }
  const bool from_min = std::abs(c) + std::abs(a / scale) < std::abs(d) + std::abs(b / scale);
  return round_to_integer(from_min ? c - a / scale : d - b / scale, rounding);
}

// FBGEMM's rule: the scale is not below the cutoff, and the range becomes what that would be laid
// over, each step in float32.
Range grown(Range range, double scale, double codes) {
  const auto width = static_cast<float>(kCutoff * static_cast<float>(codes));
  if (range.min == 0) return {0, width};
  if (range.max == 0) return {-width, 0};
  const float amplifier = kCutoff / static_cast<float>(scale);
  return {range.min * amplifier, range.max * amplifier};
}

ScaleAndZero affine(Range range, const IntegerGrid& grid, const Convention& convention,
                    Arithmetic arithmetic) {
  const double codes = static_cast<double>(grid.hi()) - grid.lo();
  const float width = range.max - range.min;
  float scale32 = usable(width / static_cast<float>(codes), convention.small_scale);
  const bool is_in_32 =
      arithmetic == Arithmetic::float32 || arithmetic == Arithmetic::float32_scale;
  if (convention.small_scale == SmallScale::cutoff && is_in_32 && scale32 < kCutoff) {
    range = grown(range, scale32, codes);
    scale32 = kCutoff;
  }
  switch (arithmetic) {
    case Arithmetic::float32:
      return {scale32, zero_point<float>(range, scale32, grid, convention)};
    case Arithmetic::float32_scale:
      return {scale32, zero_point<double>(range, scale32, grid, convention)};
    case Arithmetic::float32_width:
    case Arithmetic::float64:
    case Arithmetic::float64_rounded:
      break;
  }
  const double width64 = arithmetic == Arithmetic::float32_width
                             ? double{width}
                             : double{range.max} - double{range.min};
  double scale = usable(width64 / codes, convention.small_scale);
  if (arithmetic == Arithmetic::float64_rounded) scale = static_cast<float>(scale);
  if (convention.small_scale == SmallScale::cutoff && scale < kCutoff) {
    range = grown(range, scale, codes);
    scale = kCutoff;
  }
  return {scale, zero_point<double>(range, scale, grid, convention)};
}

float least_scale(const Convention& convention) {
  // Multiplying needs a reciprocal.
  const bool kept =
      convention.small_scale == SmallScale::kept && convention.operation == Operation::divide;
  return kept ? std::numeric_limits<float>::denorm_min() : kSmallestScale;
}

// The code with as many codes above it as the narrow grid has below it.
std::int32_t middle(const IntegerGrid& grid) { return (grid.lo() + grid.hi() + 1) / 2; }

// FBGEMM's preserve_sparsity: each end over the codes on its side.
double scale_by_ends(Range range, const IntegerGrid& grid) {
  const int codes = grid.hi() - grid.lo();
  const int below = codes / 2 + 1;
  const int above = std::max(codes / 2, 1);
  const double step = std::max(std::abs(range.min / static_cast<float>(below)),
                               std::abs(range.max / static_cast<float>(above)));
  const auto in_float = [](double end) {
    const auto rounded = static_cast<float>(end);
    return std::isfinite(rounded) ? double{rounded} : end;
  };
  return (in_float(step * (codes / 2)) + in_float(step * below)) / codes;
}

QuantParams symmetric(Range range, const IntegerGrid& grid, const Convention& convention) {
  const double reach = std::max(std::abs(double{range.min}), std::abs(double{range.max}));
  // A grid of two codes has none above its zero point, and lays the one below over the reach.
  const double codes = convention.symmetric_scale == SymmetricScale::width
                           ? (static_cast<double>(grid.hi()) - grid.lo()) / 2
                           : std::max(grid.hi() - middle(grid), 1);
  const double exact = convention.symmetric_scale == SymmetricScale::ends
                           ? scale_by_ends(range, grid)
                           : reach / codes;
  auto scale = static_cast<float>(usable(exact, convention.small_scale));
  if (convention.small_scale == SmallScale::cutoff) scale = std::max(scale, kCutoff);
  if (convention.small_scale == SmallScale::one && scale < kSmallestScale) return {1, 0};
  return {std::max(scale, least_scale(convention)), middle(grid)};
}

}  // namespace

QuantParams choose_params(Range range, const IntegerGrid& grid, const Convention& convention) {
  check(grid);
  if (!std::isfinite(range.min) || !std::isfinite(range.max) || range.min > range.max) {
    throw InputError(
        fmt::format("range: expected finite min <= max, found [{}, {}]", range.min, range.max));
  }
  const bool has_least =
      convention.small_scale == SmallScale::epsilon || has_tenth(convention.small_scale);
  if (range.min == 0 && range.max == 0 && !has_least) {
    const bool at_middle = convention.mapping == Mapping::symmetric;
    return {1, at_middle && convention.small_scale != SmallScale::one ? middle(grid) : 0};
  }
  const Range given = range;
  if (convention.zero_in_range || range.min == range.max) {
    range = {std::min(range.min, 0.0F), std::max(range.max, 0.0F)};
  }
  if (convention.mapping == Mapping::symmetric) return symmetric(range, grid, convention);

  auto exact = affine(range, grid, convention, convention.scale_in);
  // Ranges near the ends of float32 overflow or vanish in its own arithmetic, and only there.
  const float least = least_scale(convention);
  if (!std::isfinite(exact.scale) || !std::isfinite(exact.zero_point) || exact.scale < least) {
    exact = affine(range, grid, convention, Arithmetic::float64);
  }
  if (convention.small_scale == SmallScale::one && exact.scale < kSmallestScale) return {1, 0};
  if (exact.scale < least) {  // the step is floored, so the zero point follows from it
    exact.scale = least;
    exact.zero_point = round_to_integer(grid.lo() - double{range.min} / exact.scale,
                                        convention.zero_point_rounding);
  }
  if (!has_least && (convention.zero_in_range || given.min == given.max)) {
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
  // A grid of two codes over all of float32 has a step beyond it; dequantize() clamps as well.
  exact.scale = std::min<double>(exact.scale, std::numeric_limits<float>::max());
  return {static_cast<float>(exact.scale), static_cast<std::int32_t>(exact.zero_point)};
}

}  // namespace zeropoint
