#include "zeropoint/ranges/exact_moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/ranges/range.hpp"

#include "ranges/draws.hpp"
#include "ranges/wide_integer.hpp"
#include "support/properties.hpp"
#include "support/random_values.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

ExactMoments of(const std::vector<float>& x) {
  ExactMoments moments;
  moments.add(x);
  return moments;
}

TEST(WideInteger, AddsAndTakesAwayAtAnyBit) {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    const std::uint64_t value = random() >> random() % 64;
    const std::size_t bit = random() % 96;
    WideInteger<8> x{};
    add_shifted(x, value, false, bit);
    EXPECT_EQ(to_double(x, 0), std::ldexp(static_cast<double>(value), static_cast<int>(bit)));
    const auto down = negated(x);
    EXPECT_EQ(to_double(down, 3), -std::ldexp(static_cast<double>(value), int(bit) + 3));
    add_shifted(x, value, true, bit);
    EXPECT_EQ(x, WideInteger<8>{});
    add_shifted(x, value, true, bit);
    EXPECT_EQ(x, down);
  }
}

// Ties go to even; one more far below decides.
TEST(WideInteger, IsRoundedOnce) {
  WideInteger<6> x{};
  add_shifted(x, (std::uint64_t{1} << 53) + 1, false, 100);
  EXPECT_EQ(to_double(x, -100), 0x1p53);
  add_shifted(x, 1, false, 0);
  EXPECT_EQ(to_double(x, -100), 0x1p53 + 2);
  add_shifted(x, 2, true, 0);
  EXPECT_EQ(to_double(x, -100), 0x1p53);
}

TEST(WideInteger, ProductsAreThoseOfSums) {
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 200; ++trial) {
    // (2^a + 2^b)·(2^c + 2^d)
    const std::size_t a = random() % 120, b = random() % 120, c = random() % 120,
                      d = random() % 120;
    WideInteger<4> left{}, right{};
    add_shifted(left, 1, false, a);
    add_shifted(left, 1, false, b);
    add_shifted(right, 1, false, c);
    add_shifted(right, 1, false, d);
    WideInteger<8> expected{};
    for (const std::size_t bit : {a + c, a + d, b + c, b + d}) add_shifted(expected, 1, false, bit);
    EXPECT_EQ(product<8>(left, right), expected);
  }
}

TEST(ExactMoments, LoseNothing) {
  EXPECT_EQ(of({1e30F, 1, -1e30F, 1e-30F, 3, -1e-30F}).mean(), 4.0 / 6);
  EXPECT_EQ(of({1e8F, 1e8F + 8}).variance(), 16);
  EXPECT_EQ(of({0x1p24F, 0x1p24F - 1}).variance(), 0.25);
  constexpr double kMost = std::numeric_limits<float>::max();
  EXPECT_EQ(of({float(kMost), -float(kMost)}).variance(), kMost * kMost);
  EXPECT_EQ(of(std::vector<float>(1000, float(kMost))).mean(), kMost);
  EXPECT_EQ(of(std::vector<float>(1000, float(kMost))).variance(), 0);
  const float small = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(of({small, -small, small, -small}).variance(), 0x1p-298);
  EXPECT_EQ(of({-small, -small, -small}).mean(), -0x1p-149);
  EXPECT_EQ(of({-0.0F, 0.0F}), of({0.0F, 0.0F}));
}

// Two passes in double, as sums of values near 0 allow them.
TEST(ExactMoments, AgreeWithTwoPasses) {
  for (const auto kind : testing::kDraws) {
    for (const float shift : {0.0F, 1.0F, 1000.0F}) {
      auto x = testing::draw(kind, 20'000);
      double mean = 0;
      for (float& v : x) mean += v += shift;
      mean /= static_cast<double>(x.size());
      double squares = 0;
      for (const float v : x) squares += (v - mean) * (v - mean);
      const double variance = squares / static_cast<double>(x.size());
      EXPECT_NEAR(of(x).mean(), mean, 1e-12 * std::max(1.0F, shift));
      EXPECT_NEAR(of(x).variance() / variance, 1, 1e-11);
      const Range range = sigma_range(x, 2);
      EXPECT_FLOAT_EQ(range.min, static_cast<float>(mean - 2 * std::sqrt(variance)));
      EXPECT_FLOAT_EQ(range.max, static_cast<float>(mean + 2 * std::sqrt(variance)));
    }
  }
}

TEST(ExactMoments, AreTheSameAtAnyThreadCount) {
  std::mt19937_64 random(3);
  std::vector<float> x((1 << 20) + 17);
  for (float& v : x) v = testing::any_finite(random);
  const testing::WithThreads one(1);
  const auto alone = of(x);
  for (const int count : {2, 3, 8}) {
    const testing::WithThreads with(count);
    EXPECT_EQ(of(x), alone) << count;
  }
}

RC_GTEST_PROP(ExactMoments, DependOnNoOrderAndNoCut, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  std::vector<float> x(1 + random() % 300);
  for (float& v : x) v = testing::any_finite(random);
  const auto whole = of(x);
  std::ranges::shuffle(x, random);
  std::vector<ExactMoments> parts(1 + random() % 5);
  for (const float v : x) parts[random() % parts.size()].add({&v, 1});
  ExactMoments merged;
  for (const auto& part : parts) merged.merge(part);
  RC_ASSERT(merged == whole);
  RC_ASSERT(ExactMoments::from(whole.count(), whole.sum(), whole.squares()) == whole);
}

}  // namespace
}  // namespace zeropoint
