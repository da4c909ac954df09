// Predicted errors against direct quantization: of drawn normal pairs, and of whole products.
#include <algorithm>
#include <cmath>
#include <ostream>
#include <sstream>

#include <gtest/gtest.h>

#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/quantize/quantize.hpp"
#include "zeropoint/ranges/range.hpp"
#include "zeropoint/theory/product_error.hpp"

#include "support/normal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

// A square root of a ratio of two means over the same draws.
class RelativeError {
 public:
  void add(double part, double whole) {
    part_.add(part);
    whole_.add(whole);
  }
  double value() const { return std::sqrt(part_.value() / whole_.value()); }
  // Half the relative errors of both means, as if they added up.
  double standard_error() const {
    return value() / 2 *
           (part_.standard_error() / part_.value() + whole_.standard_error() / whole_.value());
  }

 private:
  testing::Mean part_, whole_;
};

struct Measured {
  RelativeError product, ground_truth, expected;
};

double square(double x) { return x * x; }

// Draws (Y, Y'), quantizes both, and takes the three errors.
Measured measure(const ProductMoments& p, QuantParams params, const IntegerGrid& grid,
                 const Convention& convention, int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const double slope = p.cov / p.var_y;
  const double spread = std::sqrt(std::max(0.0, p.var_q - p.cov * slope));
  const auto quantized = [&](double x) -> double {
    return dequantize(quantize_one(static_cast<float>(x), params, grid, convention), params);
  };
  Measured m;
  for (int i = 0; i < count; ++i) {
    const auto z = testing::normal_pair(random);
    const double y = p.mean_y + std::sqrt(p.var_y) * z.first;
    const double y_q = p.mean_q + slope * (y - p.mean_y) + spread * z.second;
    const double q = quantized(y);
    const double q_q = quantized(y_q);
    m.product.add(square(y - y_q), square(y));
    m.ground_truth.add(square(y - q_q), square(y));
    m.expected.add(square(q - q_q), square(q));
  }
  return m;
}

void expect_near(double predicted, const RelativeError& measured, const char* what) {
  EXPECT_NEAR(predicted, measured.value(), 5 * measured.standard_error() + 1e-9) << what;
}

struct PairRow {
  const char* what;
  ProductMoments moments;
  int bits;
  double reach;  // of the output's range, in deviations of Y
  const char* convention;

  // What a test's name says of it; without this, its bytes.
  friend std::ostream& operator<<(std::ostream& out, const PairRow& row) {
    return out << row.what << ", " << row.bits << " bits, " << row.convention;
  }
};

class PredictErrors : public ::testing::TestWithParam<PairRow> {};

TEST_P(PredictErrors, AgreesWithDrawnPairs) {
  const auto& row = GetParam();
  const auto convention = parse_convention(row.convention);
  const auto grid = convention.grid(row.bits);
  const auto reach = static_cast<float>(row.reach * std::sqrt(row.moments.var_y));
  const auto mean = static_cast<float>(row.moments.mean_y);
  const auto params = choose_params({mean - reach, mean + reach}, grid, convention);
  const auto predicted = predict_errors(row.moments, params, grid, convention);
  const auto measured = measure(row.moments, params, grid, convention, 400'000, 121);
  expect_near(predicted.product, measured.product, "product");
  expect_near(predicted.ground_truth, measured.ground_truth, "ground truth");
  expect_near(predicted.expected, measured.expected, "expected");
}

// Variances 4 and a little less, as clipped operands give; correlated so much.
ProductMoments correlated(double correlation, double ratio = 0.98, double mean = 0,
                          double shift = 0) {
  const double var_y = 4;
  const double var_q = var_y * ratio * ratio;
  return {mean, mean + shift, var_y, var_q, correlation * std::sqrt(var_y * var_q)};
}

constexpr const char* kHalf = "report-code";
constexpr const char* kFloor = "report";
constexpr const char* kAway = "onnx:rounding=half-away";
constexpr const char* kTruncate = "report-code:rounding=truncate:zero-point-added=after";

INSTANTIATE_TEST_SUITE_P(
    Pairs, PredictErrors,
    ::testing::Values(
        PairRow{"noise far beyond a step", correlated(0.9), 8, 3, kHalf},
        PairRow{"noise of some steps", correlated(0.99), 8, 3, kHalf},
        PairRow{"noise of a step", correlated(0.9999), 8, 3, kHalf},
        PairRow{"noise of a tenth of a step", correlated(0.999999, 1), 8, 3, kHalf},
        PairRow{"noise of a hundredth of a step", correlated(1 - 1e-8, 1), 8, 3, kHalf},
        PairRow{"no noise but a factor", correlated(1 - 1e-8, 0.9), 8, 3, kHalf},
        PairRow{"clipped hard", correlated(0.97), 8, 0.6, kHalf},
        PairRow{"range far too wide", correlated(0.999), 8, 40, kHalf},
        PairRow{"2 bits", correlated(0.9), 2, 1.5, kHalf},
        PairRow{"2 bits, little noise", correlated(0.9999), 2, 1.5, kHalf},
        PairRow{"3 bits, narrow", correlated(0.97), 3, 2, "report-code:grid=narrow"},
        PairRow{"4 bits", correlated(0.98), 4, 2.5, kHalf},
        PairRow{"4 bits, little noise", correlated(0.99999, 1), 4, 2.5, kHalf},
        PairRow{"12 bits", correlated(0.9999), 12, 3.5, kHalf},
        PairRow{"12 bits, noise of a step", correlated(0.9999997, 1), 12, 3.5, kHalf},
        PairRow{"12 bits, noise of a tenth of a step", correlated(1 - 3e-9, 1), 12, 3.5, kHalf},
        PairRow{"16 bits", correlated(0.999), 16, 4, kHalf},
        PairRow{"unsigned", correlated(0.99), 8, 3, "onnx:sign=unsigned"},
        PairRow{"half away", correlated(0.9995), 6, 3, kAway},
        PairRow{"floor, noise far beyond a step", correlated(0.9), 8, 3, kFloor},
        PairRow{"floor, noise of a step", correlated(0.9998, 1), 8, 3, kFloor},
        PairRow{"floor, little noise", correlated(0.999999, 1), 8, 3, kFloor},
        PairRow{"floor, 4 bits", correlated(0.98), 4, 2.5, kFloor},
        PairRow{"floor, 2 bits", correlated(0.95), 2, 1.5, kFloor},
        PairRow{"floor, 12 bits", correlated(0.99999), 12, 3.5, kFloor},
        PairRow{"floor, shifted", correlated(0.99, 0.98, 0, 0.05), 8, 3, kFloor},
        PairRow{"truncate, noise far beyond a step", correlated(0.9), 8, 3, kTruncate},
        PairRow{"truncate, noise of five steps", correlated(0.993), 8, 3, kTruncate},
        PairRow{"truncate, noise of a step", correlated(0.9998, 1), 8, 3, kTruncate},
        PairRow{"truncate, 4 bits", correlated(0.98), 4, 2.5, kTruncate},
        PairRow{"truncate, 12 bits", correlated(0.999), 12, 3, kTruncate},
        PairRow{"a mean", correlated(0.995, 0.97, 3, -0.04), 8, 3, kHalf},
        PairRow{"a large mean", correlated(0.995, 0.97, -40, 0.5), 8, 3, kHalf},
        PairRow{"no correlation", correlated(0, 1), 8, 3, kHalf},
        PairRow{"anticorrelated", correlated(-0.8, 1), 8, 3, kHalf}),
    [](const auto& row) {
      std::ostringstream name;
      for (const char c : std::string(row.param.what)) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) name << c;
      }
      return name.str() + std::to_string(row.index);
    });

// Where the noise is four steps the formula changes; the prediction must not.
TEST(PredictErrors, IsContinuousWhereItsFormulaChanges) {
  for (const char* const text : {kHalf, kFloor, kTruncate}) {
    for (const int bits : {6, 8, 12}) {
      for (const double reach : {1.0, 3.0}) {
        const auto convention = parse_convention(text);
        const auto grid = convention.grid(bits);
        const auto side = static_cast<float>(reach);
        const auto params = choose_params({-side, side}, grid, convention);
        for (const double steps : {4.0, 16.0}) {
          const auto at = [&](double noise) {
            const double spread = noise * params.scale;
            const double slope = 0.99;
            return predict_errors({0, 0, 1, slope * slope + spread * spread, slope}, params, grid,
                                  convention);
          };
          const auto below = at(steps * (1 - 1e-6));
          const auto above = at(steps * (1 + 1e-6));
          EXPECT_NEAR(above.expected, below.expected, 2e-4 * below.expected)
              << text << ", " << bits << " bits, reach " << reach << ", " << steps << " steps";
          EXPECT_NEAR(above.ground_truth, below.ground_truth, 2e-4 * below.ground_truth)
              << text << ", " << bits << " bits, reach " << reach << ", " << steps << " steps";
        }
      }
    }
  }
}

TEST(PredictErrors, OfAnExactProductIsTheOutputsRoundingAlone) {
  const IntegerGrid grid{8, true, false};
  const auto errors = predict_errors({0, 0, 1, 1, 1}, {0.05F, 0}, grid, {});
  EXPECT_NEAR(errors.product, 0, 1e-7);
  EXPECT_NEAR(errors.expected, 0, 1e-7);
  // 6.4 deviations: nothing is clipped.
  EXPECT_NEAR(errors.ground_truth, 0.05F / std::sqrt(12.0), 1e-7);
}

TEST(PredictErrors, OfAProductThatCameToNothingIsAll) {
  const IntegerGrid grid{8, true, false};
  const auto errors = predict_errors({0, 0, 1, 0, 0}, {0.05F, 0}, grid, {});
  EXPECT_DOUBLE_EQ(errors.product, 1);
  EXPECT_NEAR(errors.ground_truth, 1, 1e-9);
  EXPECT_NEAR(errors.expected, 1, 1e-9);
  // And of no product at all, nothing.
  EXPECT_EQ(predict_errors({0, 0, 0, 0, 0}, {0.05F, 0}, grid, {}).ground_truth, 0);
}

// One product of real matrices, and what is predicted for it.
struct Product {
  OperandMoments a, b;
  QuantParams y;
  double ground_truth, expected;
};

Product measure_product(const Distribution& d, double cover, int bits, const Convention& convention,
                        std::uint64_t seed) {
  const auto pair = draw_operands(d, Generator::counter, seed, 250, 300, 280);
  const auto grid = convention.grid(bits);
  const auto params = [&](const Matrix<float>& x) {
    return choose_params(coverage_range(x.values(), cover, convention.coverage), grid, convention);
  };
  const QTensor a(pair.a, params(pair.a), grid, convention);
  const QTensor b(pair.b, params(pair.b), grid, convention);
  const auto y = float_product(pair.a, pair.b);
  const auto params_y = params(y);
  const auto y_q = QTensor(y, params_y, grid, convention).dequantized();
  const Matrix<float> product = multiply(a, b);
  const auto product_q = QTensor(product, params_y, grid, convention).dequantized();
  double truth = 0, whole = 0, difference = 0, quantized = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    truth += square(double{y.values()[i]} - product_q.values()[i]);
    whole += square(y.values()[i]);
    difference += square(double{y_q.values()[i]} - product_q.values()[i]);
    quantized += square(y_q.values()[i]);
  }
  return {moments(pair.a, a), moments(pair.b, b), params_y, std::sqrt(truth / whole),
          std::sqrt(difference / quantized)};
}

constexpr std::uint64_t kSeeds = 6;
// Whose products of some hundred terms are normal, as predictions take them.
constexpr const char* kSources[] = {"uniform", "normal", "laplace"};
constexpr const char* kSymmetric = "report-code:mapping=symmetric";

// From the settings alone. Rounding the zero point down is left to the next test: where the range
// is symmetric but for chance, chance decides between two zero points, and so for the errors.
TEST(PredictStudy, AgreesWithProductsOfRealMatrices) {
  const testing::WithThreads with(1);  // many small products: threads would mostly wait
  for (const char* const source : kSources) {
    const Distribution& d = distribution(source);
    for (const char* const text : {kHalf, "onnx", kSymmetric}) {
      const auto convention = parse_convention(text);
      for (const double cover : {0.8, 0.99, 1.0}) {
        for (const int bits : {4, 8}) {
          testing::Mean truth, expected;
          for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
            const auto product = measure_product(d, cover, bits, convention, seed);
            truth.add(product.ground_truth);
            expected.add(product.expected);
          }
          const auto predicted = predict_study(d, 250, 300, 280, cover, bits, convention).errors;
          // A symmetric range is as wide as the farther end, predicted from the mean of either.
          const double slack = text == kSymmetric && cover == 1 ? 0.05 : 0.01;
          EXPECT_NEAR(predicted.ground_truth, truth.value(),
                      5 * truth.standard_error() + slack * truth.value())
              << d.name() << ", " << text << ", cover " << cover << ", " << bits << " bits";
          EXPECT_NEAR(predicted.expected, expected.value(),
                      5 * expected.standard_error() + slack * expected.value())
              << d.name() << ", " << text << ", cover " << cover << ", " << bits << " bits";
        }
      }
    }
  }
}

// From the moments of the operands and the output's range that the data gave, seed by seed.
TEST(PredictErrors, AgreesWithProductsOfRealMatricesFromTheirMoments) {
  const testing::WithThreads with(1);  // many small products: threads would mostly wait
  for (const char* const source : kSources) {
    const Distribution& d = distribution(source);
    for (const char* const text : {kHalf, kFloor, kTruncate, kSymmetric}) {
      const auto convention = parse_convention(text);
      for (const double cover : {0.8, 0.99, 1.0}) {
        for (const int bits : {4, 8, 11}) {
          // With fine codes and nothing clipped but by chance, this sample's extremes decide.
          if (bits > 8 && (cover == 1 || text != kHalf)) continue;
          const auto grid = convention.grid(bits);
          testing::Mean truth, expected;
          for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
            const auto product = measure_product(d, cover, bits, convention, seed);
            const auto predicted = predict_errors(product_moments(product.a, product.b, 300),
                                                  product.y, grid, convention, 250 * 280);
            truth.add(predicted.ground_truth / product.ground_truth - 1);
            expected.add(predicted.expected / product.expected - 1);
          }
          // A sum of 300 products of Laplace numbers has an excess kurtosis of 0.11.
          const double slack = d.name() == "laplace" ? 0.01 : 0.005;
          EXPECT_NEAR(truth.value(), 0, 4 * truth.standard_error() + slack)
              << d.name() << ", " << text << ", cover " << cover << ", " << bits << " bits";
          EXPECT_NEAR(expected.value(), 0, 4 * expected.standard_error() + slack)
              << d.name() << ", " << text << ", cover " << cover << ", " << bits << " bits";
        }
      }
    }
  }
}

}  // namespace
}  // namespace zeropoint
