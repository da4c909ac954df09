#include "zeropoint/formats/codebook.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kGrain = 1 << 15;

// Where one level's numbers end and the next one's begin, in float32 as encode_levels compares.
std::vector<float> edges_between(std::span<const float> levels) {
  std::vector<float> edges;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    edges.push_back(static_cast<float>((double{levels[i]} + double{levels[i + 1]}) / 2));
  }
  return edges;
}

// Levels as dense as the cube root of the values' density, which is nearly what the best ones are
// (Panter and Dite, 1951).
std::vector<double> first_levels(std::span<const float> sorted, std::size_t count) {
  constexpr std::size_t kBins = 4096;
  const double lo = sorted.front();
  const double width = (double{sorted.back()} - lo) / kBins;
  std::vector<double> levels;
  if (!(width > 0)) return std::vector<double>(count, lo);
  std::vector<double> sums(kBins + 1);
  std::size_t begin = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const double edge = lo + static_cast<double>(bin + 1) * width;
    std::size_t end = begin;
    while (end < sorted.size() && (sorted[end] < edge || bin + 1 == kBins)) ++end;
    sums[bin + 1] = sums[bin] + std::cbrt(static_cast<double>(end - begin));
    begin = end;
  }
  std::size_t bin = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double wanted = (static_cast<double>(i) + 0.5) / static_cast<double>(count) * sums[kBins];
    while (sums[bin + 1] < wanted) ++bin;
    const double part = (wanted - sums[bin]) / (sums[bin + 1] - sums[bin]);
    levels.push_back(lo + (static_cast<double>(bin) + part) * width);
  }
  return levels;
}

void check_levels(std::span<const float> levels, std::size_t reals, std::size_t codes) {
  if (levels.empty() || levels.size() > 256 || !std::ranges::is_sorted(levels)) {
    throw InputError(fmt::format("codebook: expected 1 to 256 ascending levels, found {}{}",
                                 levels.size(), levels.size() > 1 ? " or another order" : ""));
  }
  if (reals != codes) {
    throw InputError(
        fmt::format("codebook: expected as many codes as numbers, found {} and {}", codes, reals));
  }
}

}  // namespace

std::vector<float> fit_lloyd_max(std::span<const float> values, int bits, std::string_view what) {
  if (bits < 1 || bits > 8) {
    throw InputError(fmt::format("codebook: expected 1 to 8 bits, found {}", bits));
  }
  if (values.empty()) {
    throw InputError(fmt::format("{}: expected at least one element, found none", what));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw InputError(
          fmt::format("{}: expected finite numbers, found {} at index {}", what, values[i], i));
    }
  }
  std::vector<float> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  std::vector<double> sums(sorted.size() + 1);  // of the first i
  for (std::size_t i = 0; i < sorted.size(); ++i) sums[i + 1] = sums[i] + sorted[i];

  const std::size_t count = std::size_t{1} << bits;
  std::vector<double> levels = first_levels(sorted, count);
  std::vector<float> distinct = sorted;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  if (distinct.size() <= count) {
    distinct.resize(count, distinct.back());
    return distinct;
  }
  const double spread = double{sorted.back()} - double{sorted.front()};
  for (int round = 0; round < 1000; ++round) {
    double moved = 0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto end =
          i + 1 == count ? sorted.size()
                         : static_cast<std::size_t>(
                               std::upper_bound(sorted.begin() + static_cast<std::ptrdiff_t>(begin),
                                                sorted.end(), (levels[i] + levels[i + 1]) / 2) -
                               sorted.begin());
      if (end > begin) {
        const double mean = (sums[end] - sums[begin]) / static_cast<double>(end - begin);
        moved = std::max(moved, std::abs(mean - levels[i]));
        levels[i] = mean;
      }
      begin = end;
    }
    if (moved <= spread * 0x1p-20) break;
  }
  std::ranges::sort(levels);
  return {levels.begin(), levels.end()};
}

std::size_t encode_levels(std::span<const float> levels, std::span<const float> x, float scale,
                          std::span<std::uint8_t> codes) {
  check_levels(levels, x.size(), codes.size());
  const auto edges = edges_between(levels);
  std::atomic<std::size_t> beyond{0};
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    std::size_t here = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float v = x[i] / scale;
      codes[i] = static_cast<std::uint8_t>(std::ranges::lower_bound(edges, v) - edges.begin());
      here += v < levels.front() || v > levels.back() ? 1 : 0;
    }
    beyond += here;
  });
  return beyond;
}

void decode_levels(std::span<const float> levels, std::span<const std::uint8_t> codes, float scale,
                   std::span<float> x) {
  check_levels(levels, x.size(), codes.size());
  std::vector<float> table(256, levels.back() * scale);
  for (std::size_t i = 0; i < levels.size(); ++i) table[i] = levels[i] * scale;
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) x[i] = table[codes[i]];
  });
}

}  // namespace zeropoint
