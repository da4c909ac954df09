// What accumulators cost: measured against the prediction, and on the report's own grid.
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "zeropoint/core/random.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/ranges/range.hpp"

#include "support/random_values.hpp"

namespace zeropoint {
namespace {

// ‖x − y‖ / ‖y‖
double relative_error(const Matrix<double>& x, const Matrix<double>& y) {
  double error = 0;
  double norm = 0;
  for (std::size_t e = 0; e < x.size(); ++e) {
    const double difference = x.values()[e] - y.values()[e];
    error += difference * difference;
    norm += y.values()[e] * y.values()[e];
  }
  return std::sqrt(error / norm);
}

Matrix<double> sums_of(const Matrix<float>& a, const Matrix<float>& b, std::string_view name) {
  Matrix<double> sums(a.rows(), b.cols());
  accumulate(a.view(), b.view(), parse_accumulator(name), sums.view());
  return sums;
}

Matrix<float> uniform(std::mt19937_64& random, std::size_t rows, std::size_t cols) {
  Matrix<float> x(rows, cols);
  for (float& v : x.values()) v = static_cast<float>(testing::between(random, -1, 1));
  return x;
}

// A sum of l zero-mean terms is about √l, and one rounding of it is wrong by u·√(0.541/3) = 0.42·u
// of it, rms, if its fraction is spread as 1/x. The squares add up to
// 0.18·u²·k²/2 against k: 0.30·u·√k.
TEST(AccumulatorError, OfASequentialSumIsAsPredicted) {
  std::mt19937_64 random(411);
  for (const std::size_t k : {250, 1000, 4000}) {
    const auto a = uniform(random, 60, k);
    const auto b = uniform(random, k, 60);
    const auto exact = sums_of(a, b, "float64");
    for (const auto& [name, unit] :
         {std::pair{"float32", 0x1p-24}, std::pair{"fp16", 0x1p-11}, std::pair{"bf16", 0x1p-8}}) {
      const double predicted = 0.30 * unit * std::sqrt(static_cast<double>(k));
      const double measured = relative_error(sums_of(a, b, name), exact);
      RecordProperty(fmt::format("{}_k{}", name, k), fmt::format("{:.3f}", measured / predicted));
      EXPECT_GT(measured, 0.85 * predicted) << name << ", k = " << k;
      EXPECT_LT(measured, 1.15 * predicted) << name << ", k = " << k;
    }
  }
}

TEST(AccumulatorError, IsSmallerInATreeAndInBlocks) {
  std::mt19937_64 random(412);
  const auto a = uniform(random, 40, 4096);
  const auto b = uniform(random, 4096, 40);
  const auto exact = sums_of(a, b, "float64");
  for (const std::string name : {"float32", "fp16", "bf16"}) {
    const double sequential = relative_error(sums_of(a, b, name), exact);
    const double blocked = relative_error(sums_of(a, b, name + ":blocked=64"), exact);
    const double pairwise = relative_error(sums_of(a, b, name + ":pairwise"), exact);
    EXPECT_LT(blocked, sequential / 3) << name;
    EXPECT_LT(pairwise, blocked) << name;
  }
}

// The report's experiment: uniform matrices of its own stream, int8 by its own code's rules. A sum
// of 1000 products of codes is some 1.7·10^5, rms; int16 holds a fifth of that, whatever the
// coverage, as the range that is covered always takes up the whole of int8.
TEST(AccumulatorError, OfNarrowIntegersIsNearOneOnTheReportsGridAtAnyCoverage) {
  constexpr std::size_t kSize = 1000;
  ReportStream stream(0);
  const auto draw = [&] {
    Matrix<float> x(kSize, kSize);
    for (float& v : x.values()) v = stream.next() * 2 - 1;
    return x;
  };
  const Matrix<float> a = draw();
  const Matrix<float> b = draw();
  const auto exact = sums_of(a, b, "float64");
  const Convention convention;
  const auto quantized = [&](const Matrix<float>& x, double cover) {
    const Range range = coverage_range(x.values(), cover, convention.coverage);
    const IntegerGrid grid = convention.grid(8);
    return QTensor(x, choose_params(range, grid, convention), grid, convention);
  };
  const auto error = [&](const QTensor& qa, const QTensor& qb, std::string_view name) {
    Matrix<double> sums(kSize, kSize);
    accumulate(qa.operand(), qb.operand(), parse_accumulator(name), sums.view());
    const double scale = double{qa.params().scale} * qb.params().scale;
    for (double& s : sums.values()) s *= scale;
    return relative_error(sums, exact);
  };
  for (const double cover : {0.9, 0.99, 1.0}) {
    const QTensor qa = quantized(a, cover);
    const QTensor qb = quantized(b, cover);
    for (const char* name :
         {"int32", "fp16", "bf16", "int16-saturate", "int16-wrap", "int8-saturate", "int8-wrap"}) {
      const double measured = error(qa, qb, name);
      RecordProperty(fmt::format("{}_{}", name, cover), fmt::format("{:.4f}", measured));
      const std::string_view kind = name;
      if (kind.starts_with("int16") || kind.starts_with("int8")) {
        EXPECT_GT(measured, 0.75) << name << ", coverage " << cover;
        EXPECT_LT(measured, 1.25) << name << ", coverage " << cover;
      } else if (kind == "fp16") {
        EXPECT_EQ(measured, std::numeric_limits<double>::infinity());  // sums beyond 65,504
      } else if (cover == 1) {
        EXPECT_LT(measured, kind == "int32" ? 0.01 : 0.05) << name;
      }
    }
  }
}

}  // namespace
}  // namespace zeropoint
