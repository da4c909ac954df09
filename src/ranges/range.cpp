#include "zeropoint/ranges/range.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/ranges/exact_moments.hpp"
#include "zeropoint/ranges/order_statistics.hpp"

#include "ranges/extremes.hpp"
#include "ranges/sigma.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kGrain = 1 << 18;

void check_not_empty(std::span<const float> values, std::string_view what) {
  if (values.empty()) {
    throw InputError(fmt::format("{}: expected at least one element, found none", what));
  }
}

}  // namespace

void check_cover(double cover) {
  if (!(cover > 0.5 && cover <= 1)) {
    throw InputError(fmt::format("cover: expected a number above 0.5, at most 1; found {}", cover));
  }
}

CoverProbabilities cover_probabilities(double cover, Coverage sides) {
  check_cover(cover);
  const double tail = sides == Coverage::one_sided ? 1 - cover : (1 - cover) / 2;
  return {tail, 1 - tail};
}

Extremes find_extremes(std::span<const float> values) {
  Extremes all{values[0], values[0], true};
  std::mutex mutex;
  const auto scan = extremes_scan();
  parallel_for(values.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    const Extremes found = scan(values.data() + begin, end - begin);
    const std::lock_guard lock(mutex);
    all.min = std::min(all.min, found.min);
    all.max = std::max(all.max, found.max);
    all.finite = all.finite && found.finite;
  });
  // Adding 0 makes +0 of −0: they compare equal, and which was seen first depends on the threads.
  return {all.min + 0.0F, all.max + 0.0F, all.finite};
}

Range min_max_range(std::span<const float> values, std::string_view what) {
  check_not_empty(values, what);
  const Extremes found = find_extremes(values);
  if (!found.finite) check_finite(values, what);
  return {found.min, found.max};
}

Range sigma_range(const ExactMoments& moments, double k) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const double mean = moments.mean();
  const double reach = k * std::sqrt(moments.variance());
  return {static_cast<float>(std::clamp(mean - reach, -kLargest, kLargest)),
          static_cast<float>(std::clamp(mean + reach, -kLargest, kLargest))};
}

Range sigma_range(std::span<const float> values, double k, std::string_view what) {
  check_not_empty(values, what);
  if (!(k > 0 && std::isfinite(k))) {
    throw InputError(
        fmt::format("{}: expected a positive number of standard deviations, found {}", what, k));
  }
  if (!find_extremes(values).finite) check_finite(values, what);
  ExactMoments moments;
  moments.add(values);
  return sigma_range(moments, k);
}

std::vector<Range> coverage_ranges(std::span<const float> values, std::span<const double> covers,
                                   Coverage sides, std::string_view what) {
  std::vector<double> probabilities;
  for (const double cover : covers) {
    const auto [lower, upper] = cover_probabilities(cover, sides);
    probabilities.push_back(lower);
    probabilities.push_back(upper);
  }
  const auto found = quantiles(values, probabilities, what);
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < covers.size(); ++i) {
    ranges.push_back({found[2 * i], found[2 * i + 1]});
  }
  return ranges;
}

Range coverage_range(std::span<const float> values, double cover, Coverage sides,
                     std::string_view what) {
  return coverage_ranges(values, {&cover, 1}, sides, what).front();
}

}  // namespace zeropoint
