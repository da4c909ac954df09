// Errors predicted from the settings alone, with their intervals, against measurements. A few
// seeds; the same for many, with a table, is disabled, since it takes minutes:
//   test_theory --gtest_also_run_disabled_tests --gtest_filter='*SchemeErrors.DISABLED*'
#include "zeropoint/theory/scheme_error.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/quantize/difference.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "support/normal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

double measured_error(const Matrix<float>& x, const Matrix<float>& q) {
  double part = 0, whole = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = double{x.data()[i]} - q.data()[i];
    part += e * e;
    whole += double{x.data()[i]} * x.data()[i];
  }
  return std::sqrt(part / whole);
}

double measured_product(const OperandPair& pair, const Matrix<float>& y,
                        const SchemePair& schemes) {
  return measured_error(y, multiply(quantize(pair.a.view(), schemes.a, Role::left),
                                    quantize(pair.b.view(), schemes.b, Role::right)));
}

struct Share {
  int inside = 0, all = 0;
  std::vector<double> widths;  // in those of ±1.96 measured standard deviations
};

// Prints a line for each scheme, distribution and size.
Share compare(const std::vector<const char*>& schemes, const std::vector<const char*>& names,
              const std::vector<std::size_t>& sizes, std::uint64_t seeds) {
  Share share;
  std::cout << fmt::format(
      "{:<28}{:<16}{:>5} {:>10} {:>10} {:>10} {:>10} {:>7} {:>6} {:>6} {:>6}\n", "scheme",
      "distribution", "size", "predicted", "low", "high", "mean", "off", "inside", "width", "ms");
  for (const char* const name : names) {
    for (const std::size_t size : sizes) {
      struct Row {
        const char* scheme;
        SchemePair pair;
        ErrorPrediction predicted;
        double milliseconds;
        int inside = 0;
        testing::Mean mean;
      };
      std::vector<Row> rows;
      for (const char* const scheme : schemes) {
        const auto pair = parse_scheme_pair(scheme);
        const auto start = std::chrono::steady_clock::now();
        const auto predicted = predict_product(distribution(name), pair, size, size, size);
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - start;
        rows.push_back({scheme, pair, predicted, took.count(), 0, {}});
      }
      for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const auto pair =
            draw_operands(distribution(name), Generator::counter, seed, size, size, size);
        const auto y = float_product(pair.a, pair.b);
        for (auto& row : rows) {
          const double error = measured_product(pair, y, row.pair);
          row.mean.add(error);
          if (error >= row.predicted.low && error <= row.predicted.high) ++row.inside;
        }
      }
      for (const auto& row : rows) {
        const auto& p = row.predicted;
        if (!p.has_value()) {
          std::cout << fmt::format("{:<28}{:<16}{:>5} {}\n", row.scheme, name, size, p.why_not);
          continue;
        }
        const double deviation = row.mean.standard_error() * std::sqrt(static_cast<double>(seeds));
        const double width = (p.high - p.low) / (2 * 1.96 * deviation);
        share.inside += row.inside;
        share.all += static_cast<int>(seeds);
        share.widths.push_back(width);
        std::cout << fmt::format(
            "{:<28}{:<16}{:>5} {:>10.6f} {:>10.6f} {:>10.6f} {:>10.6f} {:>6.2f}% {:>3}/{:<3} "
            "{:>5.2f} {:>6.1f}\n",
            row.scheme, name, size, p.expected, p.low, p.high, row.mean.value(),
            100 * (p.expected / row.mean.value() - 1), row.inside, seeds, width, row.milliseconds);
      }
    }
  }
  std::sort(share.widths.begin(), share.widths.end());
  std::cout << fmt::format(
      "{} of {} inside ({:.1f} %), median width {:.2f}, from {:.2f} to {:.2f}\n", share.inside,
      share.all, 100.0 * share.inside / share.all, share.widths[share.widths.size() / 2],
      share.widths.front(), share.widths.back());
  return share;
}

const std::vector<const char*> kSchemes = {"int8",
                                           "int8:sym:channel",
                                           "int4:sym:group=32",
                                           "int4:affine:group=64",
                                           "e4m3:channel",
                                           "nf4:group=64",
                                           "mxfp4",
                                           "nvfp4",
                                           "int8:cover=0.999",
                                           "int4:mse",
                                           "q8_0",
                                           "q4_0",
                                           "mxfp8",
                                           "q4_1",
                                           "int8:sym",
                                           "int4:sigma=3",
                                           "lloyd4-normal:channel",
                                           "bf16",
                                           "int8:stochastic",
                                           "int8:kl",
                                           "int8:mse",
                                           "int8@report",
                                           "int8:sym:group=32 x int4:channel"};

TEST(SchemeErrors, DISABLED_AgreeWithManyMeasurements) {
  compare(kSchemes, {"sparse=0.5","normal", "student=5","lognormal=0.5"}, {64}, 200);
}

}  // namespace
}  // namespace zeropoint
