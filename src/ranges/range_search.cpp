// Ranges that are sought: of least mean squared error, of least divergence.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/observer.hpp"

namespace zeropoint {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

void check_not_empty(std::span<const Weighted> values) {
  if (values.empty()) throw InputError("range: expected at least one value, found none");
}

// Σ count·(x − q(x))² for the even grid over [lo, hi], 0 among its values.
class SquaredError {
 public:
  SquaredError(std::span<const Weighted> values, const GridNeed& need)
      : values_(values), need_(need) {}

  double operator()(double lo, double hi) const {
    double first = 0;
    double last = need_.levels - 1;
    double scale = (hi - lo) / last;
    if (need_.symmetric) {
      const double half = std::max((need_.levels - 1) / 2, 1);
      scale = std::max(-lo, hi) / half;
      first = -static_cast<double>(need_.levels - 1 - (need_.levels - 1) / 2);
      last = first + need_.levels - 1;
    } else if (scale > 0) {
      first = -std::clamp(std::nearbyint(-lo / scale), 0.0, last);
      last += first;
    }
    if (!(scale > 0)) scale = std::numeric_limits<double>::min();
    const double inverse = 1 / scale;
    double error = 0;
    for (const auto& [value, count] : values_) {
      const double code = std::clamp(std::nearbyint(value * inverse), first, last);
      const double off = value - code * scale;
      error += static_cast<double>(count) * off * off;
    }
    return error;
  }

 private:
  std::span<const Weighted> values_;
  GridNeed need_;
};

// The part of `reach`, from 0 to 1, at which `error` is least: even steps, then finer around the
// best.
template <class Error>
double best_part(double around, double step, int steps, const Error& error) {
  double best = around;
  double least = error(around);
  const auto try_at = [&](double part) {
    if (!(part > 0 && part <= 1)) return;
    const double here = error(part);
    if (here < least) {
      least = here;
      best = part;
    }
  };
  const double start = around;
  for (int i = 1; i <= steps; ++i) {
    try_at(start - i * step);
    try_at(start + i * step);
  }
  return best;
}

}  // namespace

Range mse_range(std::span<const Weighted> values, const GridNeed& need) {
  check_not_empty(values);
  const double lo = std::min(values.front().value, 0.0F);
  const double hi = std::max(values.back().value, 0.0F);
  if (lo == 0 && hi == 0) return {0, 0};
  const SquaredError error(values, need);
  constexpr int kSteps = 64;
  constexpr double kFinest = 0x1p-10;
  // Both ends together, in even steps over all of the reach; then finer, and each for itself.
  double a =
      best_part(1, 1.0 / kSteps, kSteps - 1, [&](double p) { return error(p * lo, p * hi); });
  double b = a;
  for (double step = 0.5 / kSteps; step >= kFinest; step /= 2) {
    if (need.symmetric) {
      a = b = best_part(a, step, 1, [&](double p) { return error(p * lo, p * hi); });
      continue;
    }
    if (lo < 0) a = best_part(a, step, 2, [&](double p) { return error(p * lo, b * hi); });
    if (hi > 0) b = best_part(b, step, 2, [&](double p) { return error(a * lo, p * hi); });
  }
  return {static_cast<float>(a * lo), static_cast<float>(b * hi)};
}

Range kl_range(std::span<const Weighted> values, const GridNeed& need) {
  check_not_empty(values);
  constexpr std::size_t kBins = 2048;
  const double reach =
      std::max(std::abs(double{values.front().value}), std::abs(double{values.back().value}));
  const auto within = [&](double threshold) {
    const auto t = static_cast<float>(std::min(threshold, double{kLargest}));
    return Range{std::max(-t, values.front().value), std::min(t, values.back().value)};
  };
  const auto half = static_cast<std::size_t>(std::max(need.levels / 2, 1));
  if (reach == 0 || half >= kBins) return within(reach);
  std::array<double, kBins> histogram{};
  for (const auto& [value, count] : values) {
    const auto bin = static_cast<std::size_t>(std::abs(double{value}) / reach * kBins);
    histogram[std::min(bin, kBins - 1)] += static_cast<double>(count);
  }
  const double all = std::accumulate(histogram.begin(), histogram.end(), 0.0);
  double kept = std::accumulate(histogram.begin(),
                                histogram.begin() + static_cast<std::ptrdiff_t>(half), 0.0);
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = kBins;
  for (std::size_t i = half; i <= kBins; ++i) {
    if (i > half) kept += histogram[i - 1];
    // P: the first i bins, what lies beyond in the last. Q: what is kept, in `half` even merged
    // bins, spread again over those of theirs that hold something.
    double divergence = 0;
    for (std::size_t merged = 0; merged < half; ++merged) {
      const std::size_t first = merged * i / half;
      const std::size_t last = (merged + 1) * i / half;
      double sum = 0;
      std::size_t filled = 0;
      for (std::size_t j = first; j < last; ++j) {
        sum += histogram[j];
        filled += histogram[j] > 0 ? 1 : 0;
      }
      const double q = filled == 0 ? 0 : sum / static_cast<double>(filled);
      for (std::size_t j = first; j < last; ++j) {
        const double p = histogram[j] + (j == i - 1 ? all - kept : 0);
        if (p <= 0) continue;
        // What Q does not have at all counts as a ten-thousandth of a value.
        const double q_here = histogram[j] > 0 ? q : 1e-4;
        divergence += p / all * std::log((p / all) / (q_here / std::max(kept, 1.0)));
      }
    }
    if (divergence < least) {
      least = divergence;
      best = i;
    }
  }
  return within(best == kBins ? reach : (static_cast<double>(best) + 0.5) * reach / kBins);
}

}  // namespace zeropoint
