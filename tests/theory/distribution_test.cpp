// The distributions' functions: each against integrals of the density or exact formulas.
#include "zeropoint/theory/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/theory/product_error.hpp"

#include "support/normal.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Moments {
  double probability = 0, first = 0, second = 0;
};

// The density's, by Gauss and Legendre's rule of 5 points on many pieces.
Moments integrate(const Distribution& d, double from, double to) {
  constexpr double kPoints[] = {0, 0.5384693101056831, 0.9061798459386640};
  constexpr double kWeights[] = {0.5688888888888889, 0.4786286704993665, 0.2369268850561891};
  constexpr int kPieces = 400;
  const double half = (to - from) / kPieces / 2;
  Moments m;
  for (int i = 0; i < kPieces; ++i) {
    for (int k = -2; k <= 2; ++k) {
      const double at = from + half * (2 * i + 1 + (k < 0 ? -1 : 1) * kPoints[std::abs(k)]);
      const double weight = half * kWeights[std::abs(k)] * d.pdf(at);
      m.probability += weight;
      m.first += at * weight;
      m.second += at * at * weight;
    }
  }
  return m;
}

// From one quantile to the next, so that tails are held as closely as the middle; and at 0, where
// there may be an edge.
TEST(Distributions, IntegrateTheirDensity) {
  for (const Distribution& d : distributions()) {
    std::vector<double> ends = {0};
    for (const double p : {1e-20, 1e-15, 1e-9, 1e-5, 1e-3, 0.02, 0.2}) {
      ends.push_back(d.quantile(p));
      if (p > 1e-10) ends.push_back(d.upper_quantile(p));
    }
    std::ranges::sort(ends);
    for (std::size_t i = 1; i < ends.size(); ++i) {
      if (ends[i] == ends[i - 1]) continue;  // at an atom
      // Of an atom at 0, the piece below ends before it.
      const double to = ends[i] == 0 ? -1e-300 : ends[i];
      const auto expected = integrate(d, ends[i - 1], ends[i]);
      const auto expect_near = [&](double upper, double lower, double found, const char* what) {
        EXPECT_NEAR(upper - lower, found,
                    3e-12 * std::abs(found) + 4e-16 * (std::abs(upper) + std::abs(lower)))
            << d.name() << ": " << what << " from " << ends[i - 1] << " to " << to;
      };
      expect_near(d.cdf(to), d.cdf(ends[i - 1]), expected.probability, "probability");
      expect_near(d.partial_mean(to), d.partial_mean(ends[i - 1]), expected.first, "mean");
      expect_near(d.partial_square(to), d.partial_square(ends[i - 1]), expected.second, "square");
    }
  }
}

TEST(Distributions, HaveTheirMomentsAndEnds) {
  const auto expect = [](const char* name, double mean, double square) {
    const auto& d = distribution(name);
    for (const double end : {-kInfinity, -1e300}) {
      EXPECT_EQ(d.cdf(end), 0) << name;
      EXPECT_EQ(d.partial_mean(end), 0) << name;
      EXPECT_EQ(d.partial_square(end), 0) << name;
    }
    for (const double end : {kInfinity, 1e300}) {
      EXPECT_EQ(d.cdf(end), 1) << name;
      EXPECT_NEAR(d.partial_mean(end), mean, 1e-15 * mean) << name;
      EXPECT_NEAR(d.partial_square(end), square, 1e-14 * square) << name;
    }
    EXPECT_EQ(d.is_symmetric(), mean == 0) << name;
  };
  expect("uniform", 0, 1.0 / 3);
  expect("normal", 0, 1);
  expect("laplace", 0, 1);
  expect("student=5", 0, 1);
  expect("student=2.5", 0, 1);
  expect("student=1000", 0, 1);
  expect("lognormal=0.5", std::exp(0.125), std::exp(0.5));
  expect("lognormal=2", std::exp(2.0), std::exp(8.0));
  expect("outliers=0.01x10", 0, 0.99 + 1);
  expect("sparse=0.9", 0, 1 - 0.9);
  expect("lowrank=16x0.1", 0, 1.01);
  expect("lowrank=1x0", 0, 1);
  expect("lowrank=4096x2", 0, 5);
}

// Where a density's entropy is known it is given in closed form; the integral must agree.
TEST(Distributions, KnowTheirEntropy) {
  for (const Distribution& d : distributions()) {
    const double atom = d.atom_probability();
    double sum = 0;
    const auto add = [&](double from, double to) {
      constexpr int kPieces = 100'000;
      const double step = (to - from) / kPieces;
      for (int i = 0; i < kPieces; ++i) {
        const double f = d.pdf(from + (i + 0.5) * step) / (1 - atom);
        if (f > 0) sum -= step * f * std::log(f);
      }
    };
    const double middle = d.is_symmetric() ? 0 : d.quantile(0.5);
    const double far[] = {middle, d.upper_quantile(0.01 * (1 - atom)), d.upper_quantile(1e-6),
                          d.upper_quantile(1e-13)};
    for (std::size_t i = 1; i < std::size(far); ++i) add(far[i - 1], far[i]);
    if (d.is_symmetric()) {
      sum *= 2;
    } else {
      add(d.quantile(1e-13), middle);
    }
    EXPECT_NEAR(d.entropy(), sum, 1e-7) << d.name();
  }
}

TEST(Distributions, InvertTheirCdf) {
  for (const Distribution& d : distributions()) {
    for (const double p : {1e-12, 1e-6, 0.01, 0.3, 0.5, 0.8, 0.9999, 1 - 1e-9}) {
      const double x = d.quantile(p);
      if (std::isinf(d.pdf(x))) {
        EXPECT_GE(d.cdf(x), p) << d.name();
        EXPECT_LE(d.cdf(std::nextafter(x, -kInfinity)), p) << d.name();
        continue;
      }
      EXPECT_NEAR(d.cdf(x), p, 1e-15 + 1e-12 * std::min(p, 1 - p)) << d.name();
    }
    for (const double p : {1e-100, 1e-20, 1e-9, 0.01}) {
      if (d.name() == "uniform") continue;  // whose quantiles so near its end are its end
      EXPECT_NEAR(d.cdf(d.quantile(p)) / p, 1, 1e-11) << d.name() << ", " << p;
      if (d.is_symmetric()) {
        EXPECT_EQ(d.upper_quantile(p), -d.quantile(p)) << d.name();
      } else if (p > 1e-10) {
        EXPECT_NEAR((1 - d.cdf(d.upper_quantile(p))) / p, 1, 1e-15 / p) << d.name();
      }
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

// Means and variances of the sorted draws of many small samples.
TEST(ExpectedOrderStatistic, IsThatOfSimulatedSamples) {
  for (const Distribution& d : distributions()) {
    for (const std::size_t n : {1, 2, 5, 40, 200}) {
      constexpr int kRounds = 20'000;
      const auto count = static_cast<double>(n);
      std::vector<testing::Mean> means(n), squares(n);
      std::vector<double> expected(n);
      for (std::size_t r = 0; r < n; ++r) {
        expected[r] = d.expected_order_statistic(static_cast<double>(r), count);
      }
      std::vector<float> sample(n);
      for (int round = 0; round < kRounds; ++round) {
        d.fill_counter(CounterStream(static_cast<std::uint64_t>(round), 9), 0, sample);
        std::ranges::sort(sample);
        for (std::size_t r = 0; r < n; ++r) {
          means[r].add(sample[r] - expected[r]);
          squares[r].add((sample[r] - expected[r]) * (sample[r] - expected[r]));
        }
      }
      for (const std::size_t r : {std::size_t{0}, n / 4, n / 2, n - 1}) {
        const auto rank = static_cast<double>(r);
        // Blom's, which is normal's own, is an approximation; and of sparse ones, all draws may be
        // the same.
        const double own = d.name() == "normal" ? 0.01 : 1e-6;
        EXPECT_NEAR(means[r].value(), 0, 4 * means[r].standard_error() + own)
            << d.name() << ": " << r << " of " << n;
        // First-order variances are within a few hundredths but for the outermost ranks, which only
        // normal and uniform have of their own.
        if (d.name() == "normal" || d.is_symmetric() == false) continue;
        if (d.atom_probability() > 0 && rank > 0 && rank < count - 1) continue;
        EXPECT_NEAR(squares[r].value(), d.order_statistic_covariance(rank, rank, count),
                    5 * squares[r].standard_error() + 0.05 * squares[r].value())
            << d.name() << ": " << r << " of " << n;
      }
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
  for (const Distribution& d : distributions()) {
    for (const double cover : {0.8, 0.975, 1.0}) {
      for (const auto sides : {Coverage::one_sided, Coverage::two_sided}) {
        testing::Mean low, high;
        constexpr std::size_t kCount = 150;
        std::vector<float> sample(kCount);
        for (std::uint64_t turn = 0; turn < 3000; ++turn) {
          d.fill_counter(CounterStream(turn, 5), 0, sample);
          std::ranges::sort(sample);
          const double tail = sides == Coverage::one_sided ? 1 - cover : (1 - cover) / 2;
          low.add(quantile(sample, tail));
          high.add(quantile(sample, 1 - tail));
        }
        const Range expected = expected_range(d, cover, sides, kCount);
        // Blom's formula is normal's; others have theirs by quadrature. Ranks between two draws
        // are taken as draws.
        const double slack = d.name() == "uniform" ? 1e-6 : 0.003;
        const double none = 1e-9;  // where all that is drawn is 0
        EXPECT_NEAR(expected.min, low.value(),
                    5 * low.standard_error() + slack * std::abs(expected.min) + none)
            << d.name() << ", cover " << cover;
        EXPECT_NEAR(expected.max, high.value(),
                    5 * high.standard_error() + slack * std::abs(expected.max) + none)
            << d.name() << ", cover " << cover;
      }
    }
  }
}

TEST(DistributionOfValues, IsThatOfItsValues) {
  const std::vector<float> values = {3, -1, 0, 3, 2};
  const auto& d = add_distribution_of_values("five", values);
  EXPECT_EQ(&distribution("file=five"), &d);
  EXPECT_EQ(d.cdf(-1.5), 0);
  EXPECT_EQ(d.cdf(-1), 0.2);
  EXPECT_EQ(d.cdf(2.5), 0.6);
  EXPECT_EQ(d.cdf(3), 1);
  EXPECT_EQ(d.partial_mean(0), -0.2);
  EXPECT_EQ(d.partial_square(2), 1);
  EXPECT_EQ(d.partial_square(kInfinity), 23.0 / 5);
  EXPECT_EQ(d.quantile(0), -1);
  EXPECT_EQ(d.quantile(0.2), -1);
  EXPECT_EQ(d.quantile(0.3), 0);
  EXPECT_EQ(d.quantile(1), 3);
  EXPECT_EQ(d.upper_quantile(0.1), 3);
  EXPECT_EQ(d.upper_quantile(0.5), 2);
  EXPECT_TRUE(std::isnan(d.entropy()));
  // Draws are its values, each about as often.
  std::vector<float> drawn(50'000);
  d.fill_counter(CounterStream(1, 0), 0, drawn);
  EXPECT_NEAR(static_cast<double>(std::ranges::count(drawn, 3.0F)), 20'000, 5 * 110);
  EXPECT_NEAR(static_cast<double>(std::ranges::count(drawn, -1.0F)), 10'000, 5 * 90);
  EXPECT_EQ(std::ranges::count(drawn, 1.0F), 0);
  // Another of that name takes its place, and the first still stands.
  const auto& other = add_distribution_of_values("five", std::vector<float>{7});
  EXPECT_EQ(&distribution("file=five"), &other);
  EXPECT_EQ(d.cdf(2.5), 0.6);

  EXPECT_THAT(testing::refusal([] { add_distribution_of_values("none", {}); }),
              HasSubstr("expected values, found none"));
  const std::vector<float> odd = {1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(testing::refusal([&] { add_distribution_of_values("odd", odd); }),
              HasSubstr("found nan at [1]"));
  EXPECT_THAT(testing::refusal([] { distribution("file=nowhere"); }),
              HasSubstr("found 'file=nowhere'"));
}

TEST(DistributionOfValues, ExpectsTheRangesThatItsSamplesGive) {
  std::vector<float> values(2000);
  distribution("student=4").fill_counter(CounterStream(8, 0), 0, values);
  const auto& d = add_distribution_of_values("sample", values);
  testing::Mean low, high;
  std::vector<float> sample(300);
  for (std::uint64_t turn = 0; turn < 3000; ++turn) {
    d.fill_counter(CounterStream(turn, 6), 0, sample);
    std::ranges::sort(sample);
    low.add(quantile(sample, 0.05));
    high.add(quantile(sample, 1));
  }
  EXPECT_NEAR(d.expected_order_statistic(0.05 * 299, 300), low.value(),
              5 * low.standard_error() + 0.003);
  EXPECT_NEAR(d.expected_order_statistic(299, 300), high.value(), 5 * high.standard_error());
}

TEST(Distribution, HasItsParametersInItsName) {
  EXPECT_EQ(distribution("student").name(), "student=5");
  EXPECT_EQ(distribution("lognormal=2.50").name(), "lognormal=2.5");
  EXPECT_EQ(&distribution("outliers=1e-2x10"), &distribution("outliers"));
  EXPECT_EQ(distribution("lowrank=4x0").name(), "lowrank=4x0");
}

TEST(Distribution, RefusesParametersThatMakeNone) {
  const auto of = [](const char* name) { return testing::refusal([&] { distribution(name); }); };
  EXPECT_THAT(of("normal=1"), HasSubstr("expected no parameter, found '1'"));
  EXPECT_THAT(of("student="), HasSubstr("expected a parameter after '='"));
  EXPECT_THAT(of("student=2"), AllOf(HasSubstr("student=NU, above 2"), HasSubstr("'student=2'")));
  EXPECT_THAT(of("student=nan"), HasSubstr("'student=nan'"));
  EXPECT_THAT(of("student=3x4"), HasSubstr("one number"));
  EXPECT_THAT(of("student=4z"), HasSubstr("numbers"));
  EXPECT_THAT(of("lognormal=0"), HasSubstr("above 0 and at most 5"));
  EXPECT_THAT(of("outliers=0.1"), HasSubstr("two numbers"));
  EXPECT_THAT(of("outliers=1x2"), HasSubstr("outliers=FRACTIONxFACTOR, a fraction above 0"));
  EXPECT_THAT(of("outliers=0.1x0.5"), HasSubstr("a factor from 1"));
  EXPECT_THAT(of("sparse=0"), HasSubstr("a fraction above 0 and below 1"));
  EXPECT_THAT(of("sparse=x"), HasSubstr("numbers"));
  EXPECT_THAT(of("lowrank=0.5x0"), HasSubstr("a whole rank"));
  EXPECT_THAT(of("lowrank=3x-1"), HasSubstr("a deviation from 0"));
}

TEST(Distribution, IsFoundByNameOrRefused) {
  for (const Distribution& d : distributions()) EXPECT_EQ(&distribution(d.name()), &d);
  EXPECT_THAT(testing::refusal([] { distribution("gauss"); }),
              AllOf(HasSubstr("uniform, normal"), HasSubstr("'gauss'")));
}

}  // namespace
}  // namespace zeropoint
