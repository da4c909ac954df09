// Moments of an operand and its quantized value: closed forms, integration, data.
#include "zeropoint/theory/moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/theory/product_error.hpp"

#include "support/conventions.hpp"
#include "support/normal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

// Uniform on [−1, 1], n codes of width Δ = 2⁻ᵐ on either side of 0, t = nΔ ≤ 1: cell by cell,
// E[xq] = (Σ_{|k|<n} k²Δ³ + t(1 − (t − Δ/2)²))/2 and E[q²] = (Σ_{|k|<n} k²Δ³ + 2t²(1 − t + Δ/2))/2.
TEST(Moments, OfUniformAreTheirClosedForm) {
  for (const int bits : {2, 3, 4, 8, 12, 16}) {
    const IntegerGrid grid{bits, true, true};
    const double n = grid.hi();
    for (const int m : {bits - 1, bits, bits + 1}) {
      const double step = std::ldexp(1.0, -m);
      const double t = n * step;
      const double inner = (n - 1) * n * (2 * n - 1) / 3 * step * step * step;
      const auto found = moments(distribution("uniform"), {static_cast<float>(step), 0}, grid, {});
      EXPECT_NEAR(found.xx, 1.0 / 3, 1e-15);
      EXPECT_NEAR(found.x, 0, 1e-15);
      EXPECT_NEAR(found.q, 0, 1e-14);
      const double edge = t - step / 2;
      EXPECT_NEAR(found.xq, (inner + t * (1 - edge * edge)) / 2, 1e-13)
          << name(grid) << ", t " << t;
      EXPECT_NEAR(found.qq, (inner + 2 * t * t * (1 - edge)) / 2, 1e-13) << name(grid);
    }
  }
}

// The fine-grid limits: uniform ρ = (3t − t³)/2 and p = 3t² − 2t³; normal ρ = P(|X| < t) and
// p = E clip(X, t)². What is left is of the order of Δ².
TEST(Moments, TendToTheFineGridLimits) {
  for (const int bits : {8, 12, 16}) {
    const IntegerGrid grid{bits, true, true};
    for (const double reach : {0.3, 0.8, 0.98, 1.0}) {
      const auto step = static_cast<float>(reach / grid.hi());
      const double t = double{step} * grid.hi();
      const auto found = moments(distribution("uniform"), {step, 0}, grid, {});
      EXPECT_NEAR(found.xq / found.xx, (3 * t - t * t * t) / 2, step * step);
      EXPECT_NEAR(found.qq / found.xx, 3 * t * t - 2 * t * t * t, step * step);
      // The relative mean square error 1 − 2ρ + p gains (Δ²/12)·3t: in every whole cell the error
      // is uniform; the half cells at the ends, clipped or cut short, leave the order of Δ³.
      EXPECT_NEAR(1 - 2 * found.xq / found.xx + found.qq / found.xx,
                  1 - (3 * t - t * t * t) + 3 * t * t - 2 * t * t * t + step * step / 4 * t,
                  step * step * step + 1e-13);
    }
    for (const double reach : {0.5, 1.3, 2.6, 4.0}) {
      const auto step = static_cast<float>(reach / grid.hi());
      const double t = double{step} * grid.hi();
      const auto found = moments(distribution("normal"), {step, 0}, grid, {});
      const double inside = 1 - 2 * testing::normal_probability_below(-t);
      const double square = inside - 2 * t * testing::normal_density(t) + t * t * (1 - inside);
      EXPECT_NEAR(found.xx, 1, 1e-15);
      EXPECT_NEAR(found.xq, inside, step * step / 4);
      EXPECT_NEAR(found.qq, square, step * step / 4);
      EXPECT_NEAR(1 - 2 * found.xq + found.qq, 1 - 2 * inside + square + step * step / 12 * inside,
                  step * step * step + 1e-13);
    }
  }
}

// The quantizer itself, integrated over the density by the midpoint rule: any convention, any
// range. What lies beyond is clipped, and what is an atom is 0.
TEST(Moments, AreWhatTheQuantizerGivesForEveryConvention) {
  constexpr int kSteps = 100'000;
  for (const Distribution& d : distributions()) {
    const double reach = d.name() == "uniform" ? 1 : 7;
    std::vector<double> weights(kSteps);
    for (int i = 0; i < kSteps; ++i) {
      weights[static_cast<std::size_t>(i)] =
          d.pdf(-reach + (i + 0.5) * 2 * reach / kSteps) * 2 * reach / kSteps;
    }
    const double dx = 2 * reach / kSteps;
    for (const IntegerGrid& grid : {IntegerGrid{8, true, false}, IntegerGrid{3, false, true}}) {
      const float scale = grid.bits == 8 ? 0.0091F : 0.4F;
      for (const int z : {(grid.lo() + grid.hi()) / 2, grid.lo() - 30 / grid.bits}) {
        for (const auto& convention : testing::every_elementwise_convention()) {
          OperandMoments expected;
          const auto quantized = [&](float x) -> double {
            return dequantize(quantize_one(x, {scale, z}, grid, convention), {scale, z});
          };
          for (int i = 0; i < kSteps; ++i) {
            const auto x = static_cast<float>(-reach + (i + 0.5) * dx);
            const double weight = weights[static_cast<std::size_t>(i)];
            const double q = quantized(x);
            expected.x += weight * x;
            expected.q += weight * q;
            expected.xx += weight * x * x;
            expected.xq += weight * x * q;
            expected.qq += weight * q * q;
          }
          const auto add_beyond = [&](double p, double mean, double square, double q) {
            expected.x += mean;
            expected.q += p * q;
            expected.xx += square;
            expected.xq += mean * q;
            expected.qq += p * q * q;
          };
          constexpr double kInfinity = std::numeric_limits<double>::infinity();
          add_beyond(d.cdf(-reach), d.partial_mean(-reach), d.partial_square(-reach),
                     quantized(-8));
          add_beyond(1 - d.cdf(reach), d.partial_mean(kInfinity) - d.partial_mean(reach),
                     d.partial_square(kInfinity) - d.partial_square(reach), quantized(8));
          add_beyond(d.atom_probability(), 0, 0, quantized(0));
          const auto found = moments(d, {scale, z}, grid, convention);
          // An edge inside a step of the rule misplaces at most half its weight, times the jump.
          const double jumps = scale * grid.levels();
          const double tolerance = dx / 2 * std::min(jumps, 2.0);
          const double largest = scale * std::max(std::abs(grid.lo() - z), std::abs(grid.hi() - z));
          ASSERT_NEAR(found.x, expected.x, 1e-6);
          ASSERT_NEAR(found.xx, expected.xx, 1e-6);
          ASSERT_NEAR(found.q, expected.q, tolerance) << to_string(convention) << ", " << z;
          ASSERT_NEAR(found.xq, expected.xq, tolerance * 2) << to_string(convention) << ", " << z;
          ASSERT_NEAR(found.qq, expected.qq, tolerance * 2 * largest) << to_string(convention);
        }
      }
    }
  }
}

TEST(Moments, OfASampleFollowItsOrderStatistics) {
  // So few that every draw is in a tail: uniform draws are expected at 2(r + 1)/(n + 1) − 1, with
  // the variances of a beta distribution.
  const Convention convention;
  const IntegerGrid grid{8, true, false};
  const QuantParams params{0.006F, 0};  // clips
  for (const int n : {1, 2, 3, 10, 100, 2000}) {
    OperandMoments expected;
    for (int r = 0; r < n; ++r) {
      const double x = 2.0 * (r + 1) / (n + 1) - 1;
      const double q =
          dequantize(quantize_one(static_cast<float>(x), params, grid, convention), params);
      const double p = (r + 1.0) / (n + 1);
      const double variance = 4 * p * (1 - p) / (n + 2);
      expected.xx += (x * x + variance) / n;
      expected.xq += (x * q + variance) / n;
      expected.qq += (q * q + variance) / n;
    }
    EXPECT_NEAR(expected.xx, 1.0 / 3, 1e-12) << n;  // as it must be: they are all draws together
    const auto found = moments(distribution("uniform"), params, grid, convention, n);
    EXPECT_NEAR(found.xx, expected.xx, 1e-12) << n;
    EXPECT_NEAR(found.xq, expected.xq, 2e-5) << n;  // a draw at an edge may fall on either side
    EXPECT_NEAR(found.qq, expected.qq, 2e-5) << n;
  }
}

TEST(Moments, OfASampleClippedByItsOwnRange) {
  // A grid so fine that clipping is all there is; the range ends between two draws.
  const Convention convention = parse_convention("report-code:scale=float64");
  const IntegerGrid grid = convention.grid(16);
  const double cover = 0.95;
  for (const int n : {30, 101}) {
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> uniform(-1, 1);
    double sum = 0, squares = 0;
    constexpr int kRounds = 20'000;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> x(static_cast<std::size_t>(n));
      for (double& each : x) each = uniform(random);
      std::ranges::sort(x);
      const auto at = [&](double rank) {
        const auto below = static_cast<std::size_t>(rank);
        return x[below] + (x[below + 1] - x[below]) * (rank - static_cast<double>(below));
      };
      const double low = at((1 - cover) * (n - 1)), high = at(cover * (n - 1));
      double loss = 0;
      for (const double each : x) loss += std::pow(each - std::clamp(each, low, high), 2) / n;
      sum += loss;
      squares += loss * loss;
    }
    const double mean = sum / kRounds;
    const double error = std::sqrt((squares / kRounds - mean * mean) / kRounds);
    const auto& source = distribution("uniform");
    const auto params =
        choose_params(expected_range(source, cover, Coverage::one_sided, n), grid, convention);
    const auto m =
        moments(source, params, grid, convention, sample_range(cover, Coverage::one_sided, n));
    // Means and covariances of uniform order statistics are exact, and so is this.
    EXPECT_NEAR(m.xx - 2 * m.xq + m.qq, mean, 5 * error + 1e-8) << n;
  }
}

TEST(Moments, OfALargeSampleAreThoseOfTheDistribution) {
  const Convention convention;
  const IntegerGrid grid{8, true, false};
  // This range is none of the sample's own, and clips: where draws may stray far, that shows.
  for (const char* const name : {"uniform", "normal", "laplace"}) {
    const Distribution& d = distribution(name);
    const QuantParams params{d.name() == "uniform" ? 0.0072F : 0.02F, 3};
    const auto whole = moments(d, params, grid, convention);
    for (const double n : {1e4, 1e6, 1e9}) {
      const auto sample = moments(d, params, grid, convention, n);
      // Order statistics stray; what that adds to the variance is less than 3/n of the draws' own.
      EXPECT_NEAR(sample.xx, whole.xx, 10 / n + 1e-5) << d.name() << ", " << n;
      EXPECT_NEAR(sample.xq, whole.xq, 10 / n + 1e-5) << d.name() << ", " << n;
      EXPECT_NEAR(sample.qq, whole.qq, 10 / n + 1e-5) << d.name() << ", " << n;
    }
  }
}

TEST(Moments, OfDataAreTheirMeansAtAnyThreadCount) {
  const auto pair = draw_operands(distribution("normal"), Generator::counter, 3, 301, 777, 1);
  for (const int bits : {5, 8, 11}) {
    for (const bool is_signed : {true, false}) {
      const IntegerGrid grid{bits, is_signed, false};
      const QuantParams params{6.0F / static_cast<float>(grid.levels()), is_signed ? -2 : 9};
      const QTensor q(pair.a, params, grid, {});
      const auto back = q.dequantized();
      long double x = 0, sum_q = 0, xx = 0, xq = 0, qq = 0;
      for (std::size_t i = 0; i < back.size(); ++i) {
        const long double a = pair.a.values()[i];
        const long double b = back.values()[i];
        x += a;
        sum_q += b;
        xx += a * a;
        xq += a * b;
        qq += b * b;
      }
      const auto n = static_cast<long double>(back.size());
      const auto expect_mean = [&](double found, long double sum) {
        EXPECT_NEAR(found, static_cast<double>(sum / n), 1e-13) << name(grid);
      };
      OperandMoments first;
      for (const int count : {1, 2, 7}) {
        const testing::WithThreads with(count);
        const auto found = moments(pair.a, q);
        expect_mean(found.x, x);
        expect_mean(found.q, sum_q);
        expect_mean(found.xx, xx);
        expect_mean(found.xq, xq);
        expect_mean(found.qq, qq);
        if (count == 1) first = found;
        EXPECT_EQ(found.xq, first.xq) << count << " threads";
        EXPECT_EQ(found.qq, first.qq) << count << " threads";
      }
    }
  }
  const auto none =
      moments(Matrix<float>(0, 4), QTensor(Matrix<float>(0, 4), {1, 0}, {8, true, false}, {}));
  EXPECT_EQ(none.xx, 0);
}

// A and B take three values each, so that all products of k pairs can be written down.
TEST(ProductMoments, AreThoseOfEveryOutcome) {
  struct Outcome {
    double x, q, p;
  };
  const std::vector<Outcome> a = {{1, 1.25, 0.5}, {-0.7, -0.5, 0.3}, {2, 1.5, 0.2}};
  const std::vector<Outcome> b = {{0.3, 0.5, 0.25}, {-1.1, -1, 0.25}, {0.9, 0.75, 0.5}};
  const auto of = [](const std::vector<Outcome>& outcomes) {
    OperandMoments m;
    for (const auto& o : outcomes) {
      m.x += o.p * o.x;
      m.q += o.p * o.q;
      m.xx += o.p * o.x * o.x;
      m.xq += o.p * o.x * o.q;
      m.qq += o.p * o.q * o.q;
    }
    return m;
  };
  for (const int k : {1, 2, 3}) {
    double y = 0, q = 0, yy = 0, yq = 0, qq = 0;
    // Counts through all sequences of k pairs of outcomes.
    const int sequences = static_cast<int>(std::pow(9, k));
    for (int sequence = 0; sequence < sequences; ++sequence) {
      double sum = 0, sum_q = 0, p = 1;
      for (int l = 0, rest = sequence; l < k; ++l, rest /= 9) {
        const auto& one = a[static_cast<std::size_t>(rest % 3)];
        const auto& other = b[static_cast<std::size_t>(rest / 3 % 3)];
        sum += one.x * other.x;
        sum_q += one.q * other.q;
        p *= one.p * other.p;
      }
      y += p * sum;
      q += p * sum_q;
      yy += p * sum * sum;
      yq += p * sum * sum_q;
      qq += p * sum_q * sum_q;
    }
    const auto found = product_moments(of(a), of(b), static_cast<std::size_t>(k));
    EXPECT_NEAR(found.mean_y, y, 1e-13);
    EXPECT_NEAR(found.mean_q, q, 1e-13);
    EXPECT_NEAR(found.var_y, yy - y * y, 1e-12);
    EXPECT_NEAR(found.var_q, qq - q * q, 1e-12);
    EXPECT_NEAR(found.cov, yq - y * q, 1e-12);
  }
}

}  // namespace
}  // namespace zeropoint
