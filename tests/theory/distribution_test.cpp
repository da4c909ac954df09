// The distributions' functions: each against integrals of the density or exact formulas.
#include "zeropoint/theory/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/theory/product_error.hpp"

#include "support/normal.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

double density(const Distribution& d, double x) {
  if (d.name() == "uniform") return std::abs(x) <= 1 ? 0.5 : 0;
  EXPECT_EQ(d.name(), "normal");
  return testing::normal_density(x);
}

struct Moments {
  double probability = 0, first = 0, second = 0;
};

// Midpoint rule from far below up to x.
Moments integrate_below(const Distribution& d, double x) {
  const double from = d.name() == "uniform" ? -1 : -10;
  const double to = d.name() == "uniform" ? std::clamp(x, -1.0, 1.0) : x;
  constexpr int kSteps = 40'000;
  const double step = (to - from) / kSteps;
  Moments m;
  for (int i = 0; i < kSteps; ++i) {
    const double at = from + (i + 0.5) * step;
    const double weight = density(d, at) * step;
    m.probability += weight;
    m.first += at * weight;
    m.second += at * at * weight;
  }
  return m;
}

TEST(Distributions, IntegrateTheirDensity) {
  for (const Distribution& d : distributions()) {
    for (const double x : {-3.0, -1.0, -0.7, 0.0, 0.3, 0.999, 1.0, 1.7, 4.0}) {
      const auto expected = integrate_below(d, x);
      EXPECT_NEAR(d.cdf(x), expected.probability, 2e-8) << d.name() << ", " << x;
      EXPECT_NEAR(d.partial_mean(x), expected.first, 2e-8) << d.name() << ", " << x;
      EXPECT_NEAR(d.partial_square(x), expected.second, 2e-8) << d.name() << ", " << x;
    }
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    EXPECT_EQ(d.cdf(-kInfinity), 0);
    EXPECT_EQ(d.cdf(kInfinity), 1);
    EXPECT_EQ(d.partial_mean(-kInfinity), 0);
    EXPECT_EQ(d.partial_mean(kInfinity), 0);
    EXPECT_EQ(d.partial_square(-kInfinity), 0);
    EXPECT_NEAR(d.partial_square(kInfinity), d.name() == "uniform" ? 1.0 / 3 : 1, 1e-15);
  }
}

TEST(Distributions, InvertTheirCdf) {
  for (const Distribution& d : distributions()) {
    for (const double p : {1e-12, 1e-6, 0.01, 0.3, 0.5, 0.8, 0.9999, 1 - 1e-9}) {
      EXPECT_NEAR(d.cdf(d.quantile(p)), p, 1e-15 + 1e-9 * std::min(p, 1 - p)) << d.name();
    }
  }
}

// E of the r-th smallest of n: its density is n·C(n−1, r)·F^r·(1 − F)^(n−1−r)·f.
double exact_order_statistic(double r, double n) {
  const double log_choose = std::lgamma(n + 1) - std::lgamma(r + 1) - std::lgamma(n - r);
  double sum = 0;
  constexpr int kSteps = 240'000;
  for (int i = 0; i < kSteps; ++i) {
    const double x = -12 + 24 * (i + 0.5) / kSteps;
    const double below = std::log(testing::normal_probability_below(x));
    const double above = std::log(testing::normal_probability_below(-x));
    sum += x * testing::normal_density(x) * std::exp(log_choose + r * below + (n - 1 - r) * above);
  }
  return sum * 24 / kSteps;
}

TEST(ExpectedOrderStatistic, OfUniformIsExact) {
  const auto& d = distribution("uniform");
  EXPECT_DOUBLE_EQ(d.expected_order_statistic(0, 1), 0);
  EXPECT_DOUBLE_EQ(d.expected_order_statistic(0, 3), -0.5);
  EXPECT_DOUBLE_EQ(d.expected_order_statistic(2, 3), 0.5);
  EXPECT_DOUBLE_EQ(d.expected_order_statistic(99, 100), 2 * 100 / 101.0 - 1);
}

TEST(ExpectedOrderStatistic, OfNormalIsNearTheExactOne) {
  // The known one: the larger of two has mean 1/√π.
  EXPECT_NEAR(exact_order_statistic(1, 2), 1 / std::sqrt(std::numbers::pi), 1e-9);
  const auto& d = distribution("normal");
  for (const double n : {1.0, 2.0, 5.0, 100.0, 1e4, 1e6, 9e6}) {
    for (const double share : {0.0, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999, 1.0}) {
      const double r = std::round(share * (n - 1));
      const double exact = exact_order_statistic(r, n);
      // Blom's formula is off by 0.6 % at the very ends of large samples, by more in tiny ones.
      const double relative = n < 10 ? 0.05 : 0.006;
      EXPECT_NEAR(d.expected_order_statistic(r, n), exact, relative * std::abs(exact) + 1e-4)
          << r << " of " << n;
    }
  }
}

double quantile(const std::vector<float>& order, double p) {
  const double rank = p * static_cast<double>(order.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const double above = order[std::min(below + 1, order.size() - 1)];
  return order[below] + (above - order[below]) * (rank - static_cast<double>(below));
}

TEST(ExpectedRange, IsTheMeanOfWhatSamplesGive) {
  std::mt19937_64 random(111);
  for (const Distribution& d : distributions()) {
    for (const double cover : {0.8, 0.975, 1.0}) {
      for (const auto sides : {Coverage::one_sided, Coverage::two_sided}) {
        testing::Mean low, high;
        constexpr int kCount = 150;
        for (int turn = 0; turn < 3000; ++turn) {
          std::vector<float> sample;
          for (int i = 0; i < kCount; i += 2) {
            const auto pair = testing::normal_pair(random);
            for (const double x : {pair.first, pair.second}) {
              sample.push_back(static_cast<float>(
                  d.name() == "normal" ? x : 2 * testing::normal_probability_below(x) - 1));
            }
          }
          std::ranges::sort(sample);
          const double tail = sides == Coverage::one_sided ? 1 - cover : (1 - cover) / 2;
          low.add(quantile(sample, tail));
          high.add(quantile(sample, 1 - tail));
        }
        const Range expected = expected_range(d, cover, sides, kCount);
        const double slack = d.name() == "normal" ? 0.003 * expected.max : 1e-6;
        EXPECT_NEAR(expected.min, low.value(), 5 * low.standard_error() + slack)
            << d.name() << ", cover " << cover;
        EXPECT_NEAR(expected.max, high.value(), 5 * high.standard_error() + slack)
            << d.name() << ", cover " << cover;
      }
    }
  }
}

TEST(Distribution, IsFoundByNameOrRefused) {
  for (const Distribution& d : distributions()) EXPECT_EQ(&distribution(d.name()), &d);
  EXPECT_THAT(testing::refusal([] { distribution("gauss"); }),
              AllOf(HasSubstr("uniform, normal"), HasSubstr("'gauss'")));
}

}  // namespace
}  // namespace zeropoint
