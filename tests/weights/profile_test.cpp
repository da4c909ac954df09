// The profile beside what is computed in the plainest way.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/core/random.hpp"
#include "zeropoint/theory/distribution.hpp"
#include "zeropoint/weights/analyze.hpp"

#include "support/threads.hpp"

namespace zeropoint {
namespace {

using testing::WithThreads;

std::vector<float> drawn(const char* name, std::size_t count, std::uint64_t seed) {
  std::vector<float> x(count);
  distribution(name).fill_counter(CounterStream(seed, 0), 0, x);
  return x;
}

double normal_entropy(double sigma) {
  return 0.5 * std::log2(2 * std::numbers::pi * std::numbers::e * sigma * sigma);
}

TEST(ProfileDirectly, MomentsAndPercentiles) {
  for (const char* const name : {"normal", "laplace", "lognormal=1", "student=5"}) {
    auto x = drawn(name, 70000, 3);
    x[5] = NAN;
    x[69999] = -INFINITY;
    const WeightProfile profile = profile_of(x, std::vector<std::size_t>{700, 100});
    std::vector<float> finite;
    for (const float value : x) {
      if (std::isfinite(value)) finite.push_back(value);
    }
    long double sum = 0, second = 0, fourth = 0;
    for (const float value : finite) sum += value;
    const auto n = static_cast<long double>(finite.size());
    for (const float value : finite) {
      const long double off = value - sum / n;
      second += off * off;
      fourth += off * off * off * off;
    }
    EXPECT_NEAR(profile.mean, static_cast<double>(sum / n), 1e-10) << name;
    EXPECT_NEAR(profile.sigma, static_cast<double>(std::sqrt(second / n)), 1e-9) << name;
    const auto kurtosis = static_cast<double>(fourth * n / (second * second) - 3);
    EXPECT_NEAR(profile.kurtosis, kurtosis, 1e-7 * (1 + std::abs(kurtosis))) << name;
    std::ranges::sort(finite);
    for (std::size_t i = 0; i < kPercentiles.size(); ++i) {
      const auto at = static_cast<std::size_t>(kPercentiles[i] * (finite.size() - 1.0));
      EXPECT_NEAR(profile.percentiles[i], finite[at], 0.02 * std::abs(finite[at]) + 0.002)
          << name << ' ' << kPercentiles[i];
    }
    EXPECT_EQ(profile.nans, 1U);
    EXPECT_EQ(profile.infinities, 1U);
  }
}

TEST(ProfileDirectly, EntropyOfFewNumbersIsRightOnAverage) {
  for (const std::size_t count : {1024, 4096, 32768, 262144}) {
    constexpr int kDraws = 20;
    double mean = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto x = drawn("normal", count, 100 + static_cast<std::uint64_t>(draw));
      mean += profile_of(x, std::vector<std::size_t>{count / 32, 32}).entropy / kDraws;
    }
    // A third of a decibel of the gap to the bound is 0.06 bits.
    EXPECT_NEAR(mean, normal_entropy(1), count <= 4096 ? 0.06 : 0.01) << count;
  }
}

TEST(ProfileDirectly, NoEntropyIsSaidOfWhatTheStepsDoNotResolve) {
  const std::vector<std::size_t> shape = {64, 64};
  for (const float mean : {1.0F, 16.0F, 1000.0F}) {
    auto x = drawn("normal", std::size_t{64} * 64, 4);
    for (float& value : x) value += mean;
    const double entropy = profile_of(x, shape).entropy;
    if (mean > 100) {
      EXPECT_TRUE(std::isnan(entropy)) << mean;
    } else {
      EXPECT_NEAR(entropy, normal_entropy(1), 0.04) << mean;
    }
  }
  auto tiny = drawn("normal", std::size_t{64} * 64, 4);
  for (float& value : tiny) value *= 1e-42F;
  EXPECT_TRUE(std::isnan(profile_of(tiny, shape).entropy));
  EXPECT_TRUE(std::isnan(profile_of(std::vector<float>(4096, 3), shape).entropy));
}

TEST(ProfileDirectly, ChannelsStandOutByTheirMagnitudeOrTheirRootMeanSquare) {
  auto x = drawn("uniform", std::size_t{60} * 80, 1);
  for (std::size_t i = 0; i < 60; ++i) x[i * 80 + 11] *= 20;  // an input
  for (std::size_t i = 0; i < 60; ++i) x[i * 80 + 70] *= 40;
  x[7 * 80 + 2] = 50;  // one number of an output and of an input
  const WeightProfile profile = profile_of(x, std::vector<std::size_t>{60, 80});
  EXPECT_EQ(profile.inputs.outliers, 3U);
  EXPECT_EQ(profile.inputs.largest, 2U);
  EXPECT_EQ(profile.inputs.worst, (std::vector<std::size_t>{2, 70, 11}));
  EXPECT_GT(profile.inputs.rms_factor, 30);
  // A convolution's channels are axes 0 and 1 all the same.
  const WeightProfile conv = profile_of(x, std::vector<std::size_t>{60, 8, 2, 5});
  EXPECT_EQ(conv.inputs.channels, 8U);
  EXPECT_EQ(conv.outputs.channels, 60U);
}

TEST(ProfileDirectly, TheSameAtAnyNumberOfThreads) {
  auto x = drawn("student=5", std::size_t{400} * 1500, 2);
  x[77] = NAN;
  x[78] = 0;
  const std::vector<std::size_t> shape = {400, 1500};
  std::vector<WeightProfile> profiles;
  for (const int threads : {1, 2, 5}) {
    const WithThreads with(threads);
    profiles.push_back(profile_of(x, shape));
  }
  for (const WeightProfile& other : profiles) {
    const WeightProfile& one = profiles[0];
    EXPECT_EQ(one.mean, other.mean);
    EXPECT_EQ(one.sigma, other.sigma);
    EXPECT_EQ(one.kurtosis, other.kurtosis);
    EXPECT_EQ(one.entropy, other.entropy);
    EXPECT_EQ(one.zeros, other.zeros);
    EXPECT_EQ(one.percentiles, other.percentiles);
    EXPECT_EQ(one.inputs.rms_factor, other.inputs.rms_factor);
    EXPECT_EQ(one.outputs.rms_factor, other.outputs.rms_factor);
    EXPECT_EQ(one.histogram, other.histogram);
  }
}

TEST(ProfileDirectly, ANumberThroughoutIsDrawnFromZeroToIt) {
  for (const float number : {-3.0F, 3.0F}) {
    const std::vector<float> x(64, number);
    const WeightProfile profile = profile_of(x, std::vector<std::size_t>{8, 8});
    EXPECT_EQ(profile.histogram_min, std::min(number, 0.0F));
    EXPECT_EQ(profile.histogram_max, std::max(number, 0.0F));
    ASSERT_EQ(profile.histogram.size(), 128U);
    EXPECT_EQ(number < 0 ? profile.histogram.front() : profile.histogram.back(), 64U);
  }
}

// What is kept of each would take many times the tensor's own memory.
TEST(ProfileDirectly, ALongLineOfNumbersHasNoChannels) {
  const std::vector<float> x(std::size_t{3} << 20, 1.0F);
  for (const std::vector<std::size_t>& shape :
       {std::vector{x.size()}, std::vector{std::size_t{1}, x.size()}}) {
    const WeightProfile profile = profile_of(x, shape);
    EXPECT_EQ(profile.inputs.channels, 0U);
    EXPECT_EQ(profile.outputs.channels, 0U);
  }
}

TEST(ProfileDirectly, TensorsOfNothingAndOfOneNumber) {
  const WeightProfile none = profile_of({}, std::vector<std::size_t>{0, 4});
  EXPECT_EQ(none.count, 0U);
  EXPECT_TRUE(std::isnan(none.mean));
  const std::vector<float> one = {-3};
  const WeightProfile number = profile_of(one, {});
  EXPECT_EQ(number.min, -3);
  EXPECT_EQ(number.sigma, 0);
  EXPECT_TRUE(std::isnan(number.kurtosis));
  for (const double percentile : number.percentiles) EXPECT_EQ(percentile, -3);
  const std::vector<float> bad(50, NAN);
  const WeightProfile nans = profile_of(bad, std::vector<std::size_t>{5, 10});
  EXPECT_EQ(nans.nans, 50U);
  EXPECT_TRUE(std::isnan(nans.min));
  EXPECT_EQ(nans.outputs.outliers, 0U);
}

}  // namespace
}  // namespace zeropoint
