#include "zeropoint/ranges/order_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/ranges/range.hpp"

#include "ranges/sample.hpp"
#include "support/properties.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
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

using Named = std::pair<std::string, std::vector<float>>;

// What may lead a sample astray, or fill the brackets drawn from it.
std::vector<Named> adversaries(std::mt19937_64& random, std::size_t size) {
  std::vector<Named> list;
  const auto add = [&](std::string name, const auto& value) {
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = value(i);
    list.emplace_back(std::move(name), std::move(values));
  };
  const auto uniform = [&](double lo, double hi) {
    return static_cast<float>(testing::between(random, lo, hi));
  };
  const auto part = [&](std::size_t i) {
    return static_cast<double>(i) / static_cast<double>(size);
  };
  add("of any magnitude", [&](std::size_t) { return testing::any_finite(random); });
  add("uniform", [&](std::size_t) { return uniform(-1, 2); });
  add("ascending", [&](std::size_t i) { return static_cast<float>(i) - 1000; });
  add("descending", [&](std::size_t i) { return 1000 - static_cast<float>(i); });
  add("all equal", [](std::size_t) { return -0.75F; });
  add("zeros of both signs", [&](std::size_t) { return random() % 2 == 0 ? 0.0F : -0.0F; });
  add("two values", [&](std::size_t) { return random() % 3 == 0 ? -1.0F : 1.0F; });
  add("two values, ascending", [&](std::size_t i) { return part(i) < 0.01 ? -1.0F : 1.0F; });
  add("neighbouring floats", [&](std::size_t) {
    return std::bit_cast<float>(0x3F7FFFFEU + static_cast<std::uint32_t>(random() % 4));
  });
  add("few distinct", [&](std::size_t) { return static_cast<float>(random() % 16) - 8; });
  add("denormals", [&](std::size_t) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(random() & 0x807FFFFFU));
  });
  add("largest and smallest", [&](std::size_t) {
    return (random() % 2 == 0 ? 1.0F : -1.0F) * std::numeric_limits<float>::max();
  });
  add("of period 2, 16, 1000", [&](std::size_t i) {
    return static_cast<float>(i % 2) + static_cast<float>(i % 16) + static_cast<float>(i % 1000);
  });
  add("one value half the time",
      [&](std::size_t) { return random() % 2 == 0 ? 0.25F : uniform(0, 1); });
  // A run of equals that begins or ends about where the quantile 0.01 lies.
  add("a run up to the rank", [&](std::size_t) {
    const float u = uniform(0, 1);
    return u < 0.01F ? -1.0F : u;
  });
  add("a run from the rank", [&](std::size_t) {
    const float u = uniform(0, 1);
    return u < 0.01F ? u : 0.5F;
  });
  add("a lone outlier", [&](std::size_t i) { return i == size / 3 ? -100.0F : 1.0F; });
  return list;
}

std::vector<std::size_t> ranks_at(std::size_t size, const std::vector<double>& probabilities) {
  std::vector<std::size_t> ranks;
  for (const double p : probabilities) {
    const auto rank = static_cast<std::size_t>(p * static_cast<double>(size - 1));
    ranks.push_back(rank);
    ranks.push_back(std::min(rank + 1, size - 1));
  }
  return ranks;
}

void expect_like_sorting(const Named& named) {
  const auto& [name, values] = named;
  const auto order = sorted(values);
  // As one coverage range asks; both ends; many; more than are bracketed.
  for (const auto& probabilities :
       std::vector<std::vector<double>>{{0.01, 0.99},
                                        {0, 1},
                                        {0.5},
                                        {0.001, 0.002, 0.3, 0.999},
                                        {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95}}) {
    const auto ranks = ranks_at(values.size(), probabilities);
    std::vector<float> expected;
    for (const auto rank : ranks) expected.push_back(order[rank]);
    ASSERT_EQ(bits_of(order_statistics(values, ranks)), bits_of(expected))
        << values.size() << " values, " << name << ", " << probabilities.size() << " quantiles";
  }
}

TEST(OrderStatistics, AgreeWithSortingWhateverTheDataOnEveryInstructionSet) {
  testing::on_every_target([] {
    std::mt19937_64 random(14);
    // To either side of what is selected from directly, and of a piece of the scan.
    for (const std::size_t size : {1, 2, 3, 100, 4095, 4096, 4097, 8200, 262'145}) {
      for (const auto& named : adversaries(random, size)) {
        ASSERT_NO_FATAL_FAILURE(expect_like_sorting(named));
      }
    }
  });
}

TEST(OrderStatistics, AgreeWithSortingWhateverTheDataOnSeveralThreads) {
  std::mt19937_64 random(15);
  for (const auto& named : adversaries(random, 1'100'000)) {
    for (const int count : {1, 2, 5}) {
      const WithThreads with(count);
      ASSERT_NO_FATAL_FAILURE(expect_like_sorting(named)) << count << " threads";
    }
  }
}

// The sample sees nothing of what the other values are like.
std::vector<float> misleading(std::mt19937_64& random, std::size_t size, std::size_t ranks,
                              double lo, double hi) {
  auto values = testing::uniform_values(random, size, lo, hi);
  const std::size_t sampled = sample_size(size, ranks);
  for (std::size_t i = 0; i < sampled; ++i) {
    values[sample_place(i, sampled, size)] = static_cast<float>(testing::between(random, 0, 1));
  }
  return values;
}

TEST(OrderStatistics, AreExactWhereTheSampleMisleads) {
  std::mt19937_64 random(16);
  for (const std::size_t size : {5000, 50'000, 600'000}) {
    for (const double p : {0.01, 0.5, 0.9}) {
      const auto ranks = ranks_at(size, {p});
      // Everything lies above the bracket, below it, or inside.
      for (const auto& [lo, hi] : {std::pair{10.0, 11.0}, {-1.0, 0.0}, {p - 1e-3, p + 1e-3}}) {
        const auto values = misleading(random, size, ranks.size(), lo, hi);
        const auto order = sorted(values);
        ASSERT_EQ(order_statistics(values, ranks), (std::vector{order[ranks[0]], order[ranks[1]]}))
            << size << ", " << p << ", " << lo;
      }
    }
  }
}

TEST(OrderStatistics, SampleOnePlaceInEachStretch) {
  for (const std::size_t count : {4097, 5000, 99'991, 10'000'000}) {
    for (const std::size_t ranks : {1, 4, 100}) {
      const std::size_t size = sample_size(count, ranks);
      ASSERT_GT(size, 0U);
      ASSERT_LE(size, count);
      for (std::size_t i = 0; i < size; ++i) {
        const std::size_t place = sample_place(i, size, count);
        ASSERT_GE(place, i * count / size);
        ASSERT_LT(place, (i + 1) * count / size);
      }
    }
  }
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
  for (const float bad : {kNaN, -kNaN, kInfinity, -kInfinity}) {
    for (const std::size_t at : {0UL, sample_place(7, sample_size(300'000, 1), 300'000), 250'000UL,
                                 299'998UL, 299'999UL}) {
      std::vector<float> values(300'000, 1.0F);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += static_cast<float>(i % 777);
      values[at] = bad;
      values.back() = bad;
      const std::size_t rank = 50;
      EXPECT_THAT(refusal([&] {
                    order_statistics(values, {&rank, 1}, "weights");
                  }),
                  ::testing::EndsWith("at index " + std::to_string(at)));
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
