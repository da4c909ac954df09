#include "zeropoint/ranges/range.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using Values = std::vector<float>;

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(MinMaxRange, FindsExtremesWhereverTheyStand) {
  for (std::size_t size = 1; size <= 70; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      Values low(size, 1.0F);
      low[at] = -2;
      EXPECT_EQ(min_max_range(low), (Range{-2, size == 1 ? -2.0F : 1.0F})) << size << ", " << at;
      Values high(size, -1.0F);
      high[at] = 2;
      EXPECT_EQ(min_max_range(high), (Range{size == 1 ? 2.0F : -1.0F, 2})) << size << ", " << at;
    }
  }
}

TEST(MinMaxRange, FindsExtremesAndWhatIsNoNumberOnEveryInstructionSet) {
  testing::on_every_target([] {
    for (const std::size_t size : {1, 3, 4, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 333}) {
      for (std::size_t at = 0; at < size; ++at) {
        Values values(size, 1.0F);
        values[at] = -2;
        values[(at + 1) % size] = 3;
        ASSERT_EQ(min_max_range(values), (Range{size == 1 ? 3.0F : -2.0F, 3}))
            << size << ", " << at;
        for (const float bad : {kNaN, -kNaN, kInfinity, -kInfinity}) {
          values[at] = bad;
          ASSERT_THAT(refusal([&] { min_max_range(values); }),
                      ::testing::EndsWith("at index " + std::to_string(at)))
              << size;
        }
      }
    }
    constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
    ASSERT_EQ(min_max_range(Values(100, kDenormal)), (Range{kDenormal, kDenormal}));
    ASSERT_EQ(min_max_range(Values(100, -kDenormal)), (Range{-kDenormal, -kDenormal}));
  });
}

TEST(MinMaxRange, AgreesWithTheStandardLibraryAtAnyThreadCount) {
  std::mt19937_64 random(21);
  Values values(1'000'003);
  for (float& x : values) x = testing::any_finite(random);
  const auto [low, high] = std::ranges::minmax(values);
  for (const int count : {1, 2, 3, 7}) {
    const WithThreads with(count);
    EXPECT_EQ(min_max_range(values), (Range{low, high}));
  }
}

TEST(MinMaxRange, GivesPlusZeroForZeroWhicheverThreadSawIt) {
  // −0 and +0 compare equal: which of them wins must not depend on which thread came first.
  for (int turn = 0; turn < 2; ++turn) {
    Values values(600'000, 1.0F);
    values[5] = turn == 0 ? -0.0F : 0.0F;
    values[599'999] = turn == 0 ? 0.0F : -0.0F;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(min_max_range(values).min), 0U);
    for (float& x : values) x = -x;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(min_max_range(values).max), 0U);
  }
  EXPECT_EQ(std::bit_cast<std::uint32_t>(min_max_range(Values{-0.0F}).min), 0U);
}

// Every estimator, so that each refuses alike.
struct Estimator {
  std::string name;
  std::function<Range(std::span<const float>, std::string_view)> range;
};
const std::vector<Estimator> kEstimators = {
    {"min-max", [](auto values, auto what) { return min_max_range(values, what); }},
    {"sigma", [](auto values, auto what) { return sigma_range(values, 3, what); }},
    {"coverage 1",
     [](auto values, auto what) { return coverage_range(values, 1, Coverage::one_sided, what); }},
    {"coverage 0.9",
     [](auto values, auto what) { return coverage_range(values, 0.9, Coverage::two_sided, what); }},
};

TEST(EveryEstimator, RefusesAnEmptyTensorByItsName) {
  for (const auto& estimator : kEstimators) {
    EXPECT_THAT(refusal([&] { estimator.range({}, "layer 3"); }),
                AllOf(HasSubstr("layer 3"), HasSubstr("at least one element")))
        << estimator.name;
  }
}

TEST(EveryEstimator, RefusesNaNAndInfinityByTheFirstIndex) {
  for (const auto& estimator : kEstimators) {
    for (const float bad : {kNaN, -kNaN, kInfinity, -kInfinity}) {
      for (std::size_t at = 0; at < 50; ++at) {
        Values values(50, 1.0F);
        values[49] = kNaN;
        values[at] = bad;
        EXPECT_THAT(
            refusal([&] { estimator.range(values, "layer 3"); }),
            AllOf(HasSubstr("layer 3"), ::testing::EndsWith("at index " + std::to_string(at))))
            << estimator.name << ", " << bad;
      }
    }
  }
}

TEST(EveryEstimator, FindsTheOneNaNInAMillion) {
  Values values(1'000'000, 1.0F);
  values[777'777] = kNaN;
  for (const auto& estimator : kEstimators) {
    EXPECT_THAT(refusal([&] { estimator.range(values, "x"); }), HasSubstr("777777"))
        << estimator.name;
  }
}

TEST(EveryEstimator, GivesAConstantTensorItsConstant) {
  for (const auto& estimator : kEstimators) {
    for (const float x : {0.0F, 0.1F, -7.3F, 1e-45F, kLargest, -kLargest}) {
      for (const std::size_t size : {1, 2, 3, 17, 1000}) {
        EXPECT_EQ(estimator.range(Values(size, x), "x"), (Range{x, x}))
            << estimator.name << ", " << x << " times " << size;
      }
    }
  }
}

TEST(EveryEstimator, StaysFiniteOnTheLargestNumbers) {
  for (const auto& estimator : kEstimators) {
    const Range range = estimator.range(Values{-kLargest, kLargest, -kLargest, kLargest}, "x");
    EXPECT_TRUE(std::isfinite(range.min) && std::isfinite(range.max)) << estimator.name;
    EXPECT_LT(range.min, range.max);
  }
}

TEST(SigmaRange, IsMeanAndPopulationSigma) {
  // Mean 5 and population σ 2, the textbook's example.
  const Values values = {2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_EQ(sigma_range(values, 1), (Range{3, 7}));
  EXPECT_EQ(sigma_range(values, 2.5), (Range{0, 10}));
}

TEST(SigmaRange, DoesNotLoseSigmaBesideALargeMean) {
  std::mt19937_64 random(22);
  const auto values = testing::uniform_values(random, 100'000, 10'000, 10'001);
  long double mean = 0;
  for (const float x : values) mean += x;
  mean /= static_cast<long double>(values.size());
  long double square = 0;
  for (const float x : values) square += (x - mean) * (x - mean);
  const long double sigma = std::sqrt(square / static_cast<long double>(values.size()));
  const Range range = sigma_range(values, 3);
  EXPECT_EQ(range.min, static_cast<float>(mean - 3 * sigma));
  EXPECT_EQ(range.max, static_cast<float>(mean + 3 * sigma));
}

TEST(SigmaRange, RefusesANumberOfSigmasThatIsNone) {
  const Values values = {1, 2};
  for (const double k : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(refusal([&] { sigma_range(values, k); }), HasSubstr("standard deviations")) << k;
  }
}

// 0, 1, …, 1000 in another order: quantile p is 1000·p.
Values ladder() {
  Values values;
  for (int i = 0; i <= 1000; ++i) values.push_back(static_cast<float>(i * 617 % 1001));
  return values;
}

TEST(CoverageRange, OneSidedCutsThatMuchOffEitherEnd) {
  for (const double cover : {0.501, 0.7, 0.9, 0.999, 0.9995, 1.0}) {
    const Range range = coverage_range(ladder(), cover, Coverage::one_sided);
    EXPECT_NEAR(range.min, 1000 * (1 - cover), 1e-4) << cover;
    EXPECT_NEAR(range.max, 1000 * cover, 1e-4) << cover;
  }
}

TEST(CoverageRange, TwoSidedKeepsThatMuchInTheMiddle) {
  for (const double cover : {0.501, 0.7, 0.9, 0.999, 0.9995, 1.0}) {
    const Range range = coverage_range(ladder(), cover, Coverage::two_sided);
    EXPECT_NEAR(range.min, 500 * (1 - cover), 1e-4) << cover;
    EXPECT_NEAR(range.max, 500 * (1 + cover), 1e-4) << cover;
  }
}

TEST(CoverageRange, OfOneIsMinMax) {
  std::mt19937_64 random(23);
  for (const std::size_t size : {1, 2, 5, 1000}) {
    Values values(size);
    for (float& x : values) x = testing::any_finite(random);
    for (const auto sides : {Coverage::one_sided, Coverage::two_sided}) {
      EXPECT_EQ(coverage_range(values, 1, sides), min_max_range(values));
    }
  }
}

TEST(CoverageRange, TakesOnlyCoversAboveAHalfUpToOne) {
  const Values values = {1, 2, 3};
  for (const auto sides : {Coverage::one_sided, Coverage::two_sided}) {
    for (const double cover : {0.5, 0.0, -1.0, 1.0000001, 90.0, std::nan("")}) {
      EXPECT_THAT(refusal([&] { coverage_range(values, cover, sides); }),
                  AllOf(HasSubstr("cover"), HasSubstr("above 0.5")))
          << cover;
      EXPECT_THAT(refusal([&] { check_cover(cover); }), HasSubstr("above 0.5"));
    }
    const double least = std::nextafter(0.5, 1);
    const Range range = coverage_range(values, least, sides);
    EXPECT_LE(range.min, range.max);
  }
}

TEST(CoverageRanges, AreThoseOfEachCoverAlone) {
  std::mt19937_64 random(24);
  const auto values = testing::uniform_values(random, 5000, -1, 2);
  const std::vector<double> covers = {0.7, 1, 0.9999, 0.9, 0.7, 0.51};
  for (const auto sides : {Coverage::one_sided, Coverage::two_sided}) {
    const auto together = coverage_ranges(values, covers, sides);
    ASSERT_EQ(together.size(), covers.size());
    for (std::size_t i = 0; i < covers.size(); ++i) {
      EXPECT_EQ(together[i], coverage_range(values, covers[i], sides)) << covers[i];
    }
  }
  EXPECT_TRUE(coverage_ranges(values, {}, Coverage::one_sided).empty());
}

}  // namespace
}  // namespace zeropoint
