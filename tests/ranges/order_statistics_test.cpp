#include "zeropoint/ranges/order_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/ranges/range.hpp"

#include "support/properties.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;
using testing::WithThreads;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float x : values) bits.push_back(std::bit_cast<std::uint32_t>(x));
  return bits;
}

// Sorted by value, −0 before +0.
std::vector<float> sorted(std::vector<float> values) {
  std::ranges::sort(values, [](float a, float b) {
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
  });
  return values;
}

void expect_every_rank(const std::vector<float>& values) {
  std::vector<std::size_t> ranks(values.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  EXPECT_EQ(bits_of(order_statistics(values, ranks)), bits_of(sorted(values)));
}

TEST(OrderStatistics, AgreeWithSortingAtEveryRank) {
  std::mt19937_64 random(11);
  for (std::size_t size = 1; size <= 40; ++size) {
    std::vector<float> values(size);
    for (float& x : values) x = testing::any_finite(random);
    expect_every_rank(values);
  }
}

TEST(OrderStatistics, TellApartNeighbouringFloats) {
  // All within one bin of the first pass, next to each other in the second; and across its border.
  for (const std::uint32_t first : {0x3F80FFF0U, 0xBF80FFF0U, 0x0000FFF0U, 0x8000FFF0U}) {
    std::vector<float> values;
    for (std::uint32_t i = 0; i < 32; ++i)
      values.push_back(std::bit_cast<float>(first + i * 7 % 32));
    expect_every_rank(values);
  }
}

TEST(OrderStatistics, SortSignedZerosDenormalsAndTheLargest) {
  auto values = testing::awkward_values();
  for (const float x : testing::awkward_values()) values.push_back(x);  // each twice
  expect_every_rank(values);
  EXPECT_TRUE(std::signbit(
      order_statistics(std::vector{0.0F, -0.0F, 0.0F}, std::vector<std::size_t>{0})[0]));
  EXPECT_FALSE(std::signbit(
      order_statistics(std::vector{0.0F, -0.0F, 0.0F}, std::vector<std::size_t>{1})[0]));
}

TEST(OrderStatistics, FindTheirWayInHugeRunsOfEquals) {
  std::vector<float> values(1'500'000, 0.25F);
  values[7] = -1;
  values[1'200'000] = -0.5F;
  values[3] = 2;
  const std::vector<std::size_t> ranks = {0, 1, 2, 3, 750'000, 1'499'997, 1'499'998, 1'499'999};
  EXPECT_EQ(order_statistics(values, ranks),
            (std::vector<float>{-1, -0.5F, 0.25F, 0.25F, 0.25F, 0.25F, 0.25F, 2}));
}

RC_GTEST_PROP(OrderStatistics, AgreeWithNthElement, ()) {
  // Few distinct values, so that duplicates abound.
  const auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<float>>(
      rc::gen::map(rc::gen::inRange(-20, 20), [](int i) { return static_cast<float>(i) / 3; })));
  auto rank = *rc::gen::inRange<std::size_t>(0, values.size());
  auto copy = values;
  std::nth_element(copy.begin(), copy.begin() + static_cast<std::ptrdiff_t>(rank), copy.end());
  RC_ASSERT(order_statistics(values, {&rank, 1}).front() == copy[rank]);
}

TEST(OrderStatistics, AnswerRanksInTheOrderAskedAndTwiceIfAskedTwice) {
  const std::vector<float> values = {5, 3, 4, 1, 2};
  EXPECT_EQ(order_statistics(values, std::vector<std::size_t>{4, 0, 2, 4, 2}),
            (std::vector<float>{5, 1, 3, 5, 3}));
  EXPECT_TRUE(order_statistics(values, {}).empty());
}

TEST(OrderStatistics, AreExactOnMillionsAtAnyThreadCount) {
  std::mt19937_64 random(12);
  // More than one piece of 2^20 values for each thread, the last one short.
  std::vector<float> values(3'333'333);
  for (float& x : values) {
    const double u = testing::between(random, -1, 1);
    x = static_cast<float>(u * u * u);
  }
  const std::vector<std::size_t> ranks = {0,         1,         333'333,   1'666'666,
                                          1'666'667, 3'000'000, 3'333'331, 3'333'332};
  const auto order = sorted(values);
  std::vector<float> expected;
  for (const auto rank : ranks) expected.push_back(order[rank]);
  for (const int count : {1, 2, 3, 7}) {
    const WithThreads with(count);
    EXPECT_EQ(bits_of(order_statistics(values, ranks)), bits_of(expected)) << count << " threads";
  }
}

TEST(OrderStatistics, RefuseWhatIsNoNumberNamingTheFirst) {
  for (const float bad : {kNaN, -kNaN, kInfinity, -kInfinity, std::bit_cast<float>(0x7F800001U),
                          std::bit_cast<float>(0xFFFFFFFFU)}) {
    for (const std::size_t at : {0, 1, 16, 98, 99}) {
      std::vector<float> values(100, 1.0F);
      values[at] = bad;
      values[99] = bad;
      const std::size_t rank = 50;
      EXPECT_THAT(
          refusal([&] {
            order_statistics(values, {&rank, 1}, "weights");
          }),
          AllOf(HasSubstr("weights"), ::testing::EndsWith("at index " + std::to_string(at))));
    }
  }
  // The largest finite numbers are next to infinity, and fine.
  const std::vector<float> largest = {std::numeric_limits<float>::max(),
                                      std::numeric_limits<float>::lowest()};
  EXPECT_EQ(order_statistics(largest, std::vector<std::size_t>{0, 1}),
            (std::vector<float>{largest[1], largest[0]}));
}

TEST(OrderStatistics, RefuseARankThatIsNotThere) {
  const std::vector<float> values = {1, 2};
  EXPECT_THAT(refusal([&] {
                order_statistics(values, std::vector<std::size_t>{0, 2});
              }),
              AllOf(HasSubstr("2 elements"), HasSubstr("found 2")));
  EXPECT_THAT(refusal([&] { order_statistics({}, std::vector<std::size_t>{0}); }),
              HasSubstr("0 elements"));
}

// The definition: straight lines between the order statistics k/(N − 1), k = 0 … N − 1.
double direct_quantile(const std::vector<float>& order, long double p) {
  const long double rank = p * static_cast<long double>(order.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  if (below + 1 >= order.size()) return order.back();
  const long double weight = rank - static_cast<long double>(below);
  return static_cast<double>(order[below] * (1 - weight) + order[below + 1] * weight);
}

TEST(Quantiles, InterpolateLinearly) {
  std::mt19937_64 random(13);
  for (const std::size_t size : {1, 2, 3, 10, 11, 100, 1000, 4097}) {
    const auto values = testing::uniform_values(random, size, -3, 5);
    const auto order = sorted(values);
    std::vector<double> probabilities = {0, 1, 0.5, 0.1, 0.9, 1e-9, 1 - 1e-9};
    for (int i = 0; i < 50; ++i) probabilities.push_back(testing::between(random, 0, 1));
    const auto found = quantiles(values, probabilities);
    ASSERT_EQ(found.size(), probabilities.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double expected = direct_quantile(order, probabilities[i]);
      // Half a unit of the result, and a rank that is off by its rounding in double.
      const double rank_slack = 0x1p-52 * static_cast<double>(size) * 8;
      EXPECT_NEAR(found[i], expected, std::abs(expected) * 0x1p-24 + rank_slack)
          << "N = " << size << ", p = " << probabilities[i];
    }
  }
}

TEST(Quantiles, SpanTheWholeOfFloat32) {
  const std::vector<float> values = {std::numeric_limits<float>::lowest(),
                                     std::numeric_limits<float>::max()};
  EXPECT_EQ(quantiles(values, std::vector<double>{0, 0.25, 0.5, 1}),
            (std::vector<float>{values[0], values[0] / 2, 0, values[1]}));
}

TEST(Quantiles, RefuseNothingAndProbabilitiesThatAreNone) {
  EXPECT_THAT(refusal([] { quantiles({}, std::vector<double>{0.5}, "bias"); }),
              AllOf(HasSubstr("bias"), HasSubstr("at least one")));
  const std::vector<float> values = {1, 2};
  for (const double p : {-1e-9, 1.0000001, std::nan("")}) {
    EXPECT_THAT(refusal([&] { quantiles(values, {&p, 1}); }), HasSubstr("probability")) << p;
  }
}

}  // namespace
}  // namespace zeropoint
