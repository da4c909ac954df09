// Least mean squared error: against brute force over the data itself.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/observer.hpp"

#include "ranges/draws.hpp"

namespace zeropoint {
namespace {

// Of the grid step · {−below, …}.
double error_of(std::span<const float> x, double step, double below, int levels) {
  double error = 0;
  for (const float v : x) {
    const double q = std::clamp(v / step, -below, levels - 1 - below) + 0x1.8p52 - 0x1.8p52;
    error += (v - q * step) * (v - q * step);
  }
  return error;
}

// Codes above 0 of a symmetric grid, and what the reach is divided by.
int above_of(int levels) { return (levels - 1) / 2; }
int half_of(int levels) { return std::max(above_of(levels), 1); }

double error_of(std::span<const float> x, const Range& range, const GridNeed& need) {
  if (need.symmetric) {
    const int half = half_of(need.levels);
    return error_of(x, std::max(-double{range.min}, double{range.max}) / half,
                    need.levels - 1 - above_of(need.levels), need.levels);
  }
  const double step = (double{range.max} - double{range.min}) / (need.levels - 1);
  return error_of(x, step, std::clamp(std::round(-range.min / step), 0.0, need.levels - 1.0),
                  need.levels);
}

// The least of steps of 0.5 % from the whole range down to a fortieth, for 32 zero points or all;
// then of steps of 0.05 % and every zero point around that.
double brute_force(std::span<const float> x, const GridNeed& need) {
  const auto [least, most] = std::ranges::minmax(x);
  const double low = std::min(least, 0.0F);
  const double high = std::max(most, 0.0F);
  const int levels = need.levels;
  const int half = half_of(levels);
  double best = std::numeric_limits<double>::infinity();
  double best_step = 0;
  int best_below = 0;
  const auto look = [&](double step, int below) {
    const double error = error_of(x, step, below, levels);
    if (error >= best) return;
    best = error;
    best_step = step;
    best_below = below;
  };
  const double top =
      need.symmetric ? std::max(-low, high) / half : (high - low) / (levels - 1) * 1.3;
  const int stride = std::max(1, levels / 32);
  for (double step = top; step > top / 40; step *= 0.995) {
    if (need.symmetric) {
      look(step, levels - 1 - above_of(levels));
    } else {
      for (int below = 0; below < levels; below += stride) look(step, below);
    }
  }
  const double around = best_step;
  const int below_around = best_below;
  const int reach = need.symmetric ? 0 : stride;
  for (double step = around * 1.01; step > around / 1.01; step *= 0.9995) {
    for (int below = below_around - reach; below <= below_around + reach; ++below) {
      if (below >= 0 && below < levels) look(step, below);
    }
  }
  return best;
}

class MseRange : public ::testing::TestWithParam<std::string_view> {};

TEST_P(MseRange, IsWithinATenthOfAPercentOfTheBest) {
  const auto x = testing::draw(GetParam(), 2000, 3);
  Observer observer({RangeKind::mse, 0});
  observer.observe(x);
  for (int bits = 2; bits <= 8; ++bits) {
    for (const bool symmetric : {false, true}) {
      const GridNeed need{1 << bits, symmetric};
      const double best = brute_force(x, need);
      const Range whole = estimate_range({RangeKind::mse, 0}, x, Coverage::two_sided, need);
      EXPECT_LT(error_of(x, whole, need), best * 1.001) << bits << symmetric;
      EXPECT_LT(error_of(x, observer.range(need), need), best * 1.001) << bits << symmetric;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Draws, MseRange, ::testing::ValuesIn(testing::kDraws),
                         [](const auto& row) { return std::string(row.param); });

// Of few values on few levels, it is the best of all, but for the ends' rounding to float32.
TEST_P(MseRange, OfFewValuesIsTheBest) {
  for (const std::size_t count : {8U, 32U, 128U}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      const auto x = testing::draw(GetParam(), count, seed);
      for (int bits = 2; bits <= 4; ++bits) {
        for (const bool symmetric : {false, true}) {
          const GridNeed need{1 << bits, symmetric};
          const Range range = estimate_range({RangeKind::mse, 0}, x, Coverage::two_sided, need);
          EXPECT_LE(error_of(x, range, need), brute_force(x, need) * (1 + 1e-4))
              << count << ' ' << bits << symmetric;
        }
      }
    }
  }
}

// Of many values, the bins are all there is to go by.
TEST(MseRange, OfManyValuesIsThatOfTheirBins) {
  const auto x = testing::draw("laplace", 200'000, 5);
  Observer observer({RangeKind::mse, 0});
  observer.observe(x);
  for (const GridNeed& need : {GridNeed{16, true}, GridNeed{256, false}}) {
    const Range found = estimate_range({RangeKind::mse, 0}, x, Coverage::two_sided, need);
    EXPECT_EQ(found, observer.range(need));
    const double error = error_of(x, found, need);
    for (const double off : {0.9, 0.95, 0.98, 1.02, 1.05, 1.1}) {
      const auto scaled = static_cast<float>(off);
      EXPECT_LT(error, error_of(x, Range{found.min * scaled, found.max * scaled}, need) * 1.0001);
    }
  }
}

TEST(MseRange, ValuesThatLieOnAGridHaveNoError) {
  std::vector<float> x;
  for (int i = 0; i < 3000; ++i) x.push_back(static_cast<float>(i * 7 % 256 - 100) * 0.25F);
  const GridNeed need{256, false};
  const Range range = estimate_range({RangeKind::mse, 0}, x, Coverage::two_sided, need);
  EXPECT_EQ(range, (Range{-25, 38.75}));
}

TEST(MseRange, IsNeverWorseThanTheWholeRange) {
  for (const auto kind : testing::kDraws) {
    for (const std::size_t count : {1U, 2U, 3U, 10U, 32U, 200U}) {
      const auto x = testing::draw(kind, count, 7);
      const auto [least, most] = std::ranges::minmax(x);
      for (const int levels : {2, 3, 4, 15, 16, 255, 256, 65536}) {
        for (const bool symmetric : {false, true}) {
          const GridNeed need{levels, symmetric};
          const Range range = estimate_range({RangeKind::mse, 0}, x, Coverage::two_sided, need);
          const Range whole{std::min(least, 0.0F), std::max(most, 0.0F)};
          EXPECT_LE(error_of(x, range, need), error_of(x, whole, need) * (1 + 1e-6))
              << kind << count << ' ' << levels << symmetric;
        }
      }
    }
  }
}

TEST(MseRange, RefusesNoValuesAndNoGrid) {
  const Weighted one{1, 1, 1};
  EXPECT_THROW(mse_range({}, {256, false}), InputError);
  for (const int levels : {-1, 0, 1, 65537}) {
    EXPECT_THROW(mse_range({&one, 1}, {levels, false}), InputError) << levels;
  }
}

}  // namespace
}  // namespace zeropoint
