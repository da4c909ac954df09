#include "quantize/tile_params.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

// A scale that can be divided by; nothing but zeros has 1.
float usable_scale(double scale) {
  if (scale == 0) return 1;
  constexpr double kSmallest = std::numeric_limits<float>::min();
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(scale, kSmallest, kLargest));
}

// Every sixteenth number is added to the same sum, so that no addition waits for the one before;
// the same on every instruction set and thread count.
double sum_of_squares(std::span<const float> values) {
  constexpr std::size_t kSums = 16;
  constexpr std::size_t kGrain = 1 << 16;
  std::vector<double> parts((values.size() + kGrain - 1) / kGrain);
  parallel_for(values.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    double sums[kSums] = {};
    std::size_t i = begin;
    for (; i + kSums <= end; i += kSums) {
      for (std::size_t k = 0; k < kSums; ++k) sums[k] += double{values[i + k]} * values[i + k];
    }
    for (std::size_t k = 0; i < end; ++i, ++k) sums[k] += double{values[i]} * values[i];
    parts[begin / kGrain] = std::accumulate(sums, sums + kSums, 0.0);
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

// Rounding towards 0 is up or down by a value's sign, and at random half of each.
double up_from(Rounding rounding) {
  return rounding == Rounding::floor ? 1 : rounding == Rounding::ceil ? 0 : 0.5;
}

}  // namespace

GridNeed grid_need(const Scheme& scheme) {
  const Convention& convention = scheme.convention;
  GridNeed need{scheme.format.grid.levels(), convention.mapping == Mapping::symmetric};
  need.over_width = convention.symmetric_scale == SymmetricScale::width;
  need.holds_zero = convention.zero_in_range;
  need.up_from = up_from(convention.rounding);
  need.made = [&scheme](const Range& range) {
    const QuantParams made = choose_params(range, scheme.format.grid, scheme.convention);
    return EvenGrid{made.scale, made.zero_point - scheme.format.grid.lo()};
  };
  return need;
}

QuantParams params_of_range(const Scheme& scheme, Range range) {
  if (scheme.format.kind == FormatKind::integer) {
    return choose_params(range, scheme.format.grid, scheme.convention);
  }
  const double reach = std::max(std::abs(double{range.min}), std::abs(double{range.max}));
  const double most =
      scheme.format.kind == FormatKind::floating ? largest(*scheme.format.floating) : 1;
  return {usable_scale(reach / most), 0};
}

bool is_in_rms(const Format& format) {
  return format.kind == FormatKind::codebook && format.codebook->unit == LevelUnit::rms;
}

QuantParams params_of_values(const Scheme& scheme, std::span<const float> values,
                             std::string_view what) {
  if (is_in_rms(scheme.format)) {
    check_finite(values, what);
    // Such levels need not hold 0: that of zeros, or of less than float32 holds, is 0.
    const double rms = std::sqrt(sum_of_squares(values) / static_cast<double>(values.size()));
    return {static_cast<float>(rms), 0};
  }
  return params_of_range(scheme, estimate_range(scheme.range, values, scheme.convention.coverage,
                                                grid_need(scheme), what));
}

}  // namespace zeropoint
