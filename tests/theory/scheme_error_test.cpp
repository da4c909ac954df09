// Errors predicted from the settings alone, with their intervals, against measurements. Twenty
// seeds; large matrices, many seeds and other schemes, with a table, are disabled, since they take
// a minute or some:
//   test_theory --gtest_also_run_disabled_tests --gtest_filter='*LargeMeasurements*'
// and likewise '*ManyMeasurements*', '*OthersThan*' and '*FittedMeasurements*'.
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
#include "zeropoint/quantize/quantize.hpp"
#include "zeropoint/theory/product_error.hpp"

#include "support/matrices.hpp"
#include "support/normal.hpp"
#include "support/random_values.hpp"
#include "support/threads.hpp"
#include "theory/step_function.hpp"

namespace zeropoint {
namespace {

using testing::relative_error;

const std::vector<const char*> kSchemes = {"int8",
                                           "int8:sym:channel",
                                           "int4:sym:group=32",
                                           "int4:affine:group=64",
                                           "e4m3:channel",
                                           "nf4:group=64",
                                           "mxfp4",
                                           "nvfp4",
                                           "q8_0",
                                           "mxfp8",
                                           "int8:cover=0.999",
                                           "int4:mse"};
const std::vector<const char*> kDistributions = {"uniform", "normal", "laplace", "student=5",
                                                 "lognormal=0.5"};

// None of the above: what intervals are wider by was chosen beside those.
const std::vector<const char*> kOtherSchemes = {"int6:channel",
                                                "int8:group=128",
                                                "int3:sym:group=16",
                                                "uint8",
                                                "e5m2",
                                                "e3m2:group=16",
                                                "mxint8",
                                                "mxfp6",
                                                "q4_1",
                                                "q5_0",
                                                "int5:sym:cover=0.99",
                                                "int8:sym:block=16x16 x int4:channel"};
const std::vector<const char*> kOtherDistributions = {"student=8", "lognormal=0.3", "sparse=0.5",
                                                      "laplace"};

// Levels fitted to the numbers, formats without cells, and rotated operands.
const std::vector<const char*> kFittedSchemes = {"lloyd1",
                                                 "lloyd2",
                                                 "lloyd3",
                                                 "lloyd4",
                                                 "lloyd5",
                                                 "nest2",
                                                 "nest4",
                                                 "trellis2",
                                                 "trellis4",
                                                 "trellis3 x int8:channel",
                                                 "lloyd4 x nest3",
                                                 "hadamard+int4:sym:channel",
                                                 "hadamard+int8",
                                                 "int4:sym:group=32:shrink",
                                                 "int2:sym:cover=0.98:shrink",
                                                 "int3:affine:channel:shrink",
                                                 "e2m1:group=32:shrink"};

// What intervals are wider by than what they are taken from.
constexpr double kOwn = 1.05;

// One scheme, distribution and size.
struct Compared {
  std::string name;
  SchemePair schemes;
  ErrorPrediction predicted;
  double milliseconds;
  int inside = 0, all = 0;
  int inside_unwidened = 0;
  testing::Mean mean;

  // The interval in those of ±1.96 measured standard deviations.
  double width() const {
    const double deviation = mean.standard_error() * std::sqrt(static_cast<double>(all));
    return (predicted.high - predicted.low) / (2 * 1.96 * deviation);
  }
};

std::vector<Compared> compare(const std::vector<const char*>& schemes, const char* name,
                              std::size_t size, std::uint64_t seeds, std::uint64_t first = 0) {
  const auto& source = distribution(name);
  std::vector<Compared> list;
  for (const char* const scheme : schemes) {
    const auto pair = parse_scheme_pair(scheme);
    const auto start = std::chrono::steady_clock::now();
    const auto predicted = predict_product(source, pair, size, size, size);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    list.push_back({scheme, pair, predicted, took.count(), 0, 0, 0, {}});
  }
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const auto pair = draw_operands(source, Generator::counter, seed, size, size, size);
    const auto y = float_product(pair.a, pair.b);
    for (auto& one : list) {
      const double error =
          relative_error(y, multiply(quantize(pair.a.view(), one.schemes.a, Role::left),
                                     quantize(pair.b.view(), one.schemes.b, Role::right)));
      one.mean.add(error);
      ++one.all;
      const ErrorPrediction& p = one.predicted;
      if (error >= p.low && error <= p.high) ++one.inside;
      const double off = kOwn * (error - p.expected);
      if (off >= p.low - p.expected && off <= p.high - p.expected) ++one.inside_unwidened;
    }
  }
  return list;
}

void print_head() {
  std::cout << fmt::format("{:<36}{:<15}{:>5}{:>11}{:>11}{:>11}{:>11}{:>8}{:>8}{:>7}{:>7}\n",
                           "scheme", "distribution", "size", "predicted", "low", "high", "measured",
                           "off", "inside", "width", "ms");
}

void print(const Compared& c, const char* name, std::size_t size) {
  const auto& p = c.predicted;
  std::cout << fmt::format("{:<36}{:<15}{:>5}", c.name, name, size);
  if (!p.has_value()) {
    std::cout << "  none: " << p.why_not << "\n";
    return;
  }
  std::cout << fmt::format(
      "{:>11.6f}{:>11.6f}{:>11.6f}{:>11.6f}{:>7.2f}%{:>5}/{:<2}{:>7.2f}{:>7.1f}\n", p.expected,
      p.low, p.high, c.mean.value(), 100 * (p.expected / c.mean.value() - 1), c.inside, c.all,
      c.width(), c.milliseconds);
}

struct Share {
  double inside, median_width, least_width, greatest_width;
  double deviations_off;  // of the logarithm, beside chance
};

struct Cells {
  std::vector<const char*> schemes = kSchemes;
  std::vector<const char*> distributions = kDistributions;
  std::uint64_t first_seed = 0;
};

// Of so many measurements with 95 % each, fewer than this are inside once in 25,000 times.
int binomial_floor(int count) {
  double below = 0;
  for (int inside = 0; inside < count; ++inside) {
    // By logarithms: 0.05 to the power of 400 is no double.
    below += std::exp(std::lgamma(count + 1.0) - std::lgamma(inside + 1.0) -
                      std::lgamma(count - inside + 1.0) + inside * std::log(0.95) +
                      (count - inside) * std::log(0.05));
    if (below > 4e-5) return inside;
  }
  return count;
}

Share compare_all(const std::vector<std::size_t>& sizes, const std::vector<std::uint64_t>& seeds,
                  bool prints, const Cells& of = {}) {
  int inside = 0, inside_unwidened = 0, all = 0;
  std::vector<double> widths;
  double off_square = 0, width_square = 0;  // in deviations; of the logarithm
  if (prints) print_head();
  for (const char* const name : of.distributions) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      for (const auto& one : compare(of.schemes, name, sizes[i], seeds[i], of.first_seed)) {
        if (prints) print(one, name, sizes[i]);
        if (!one.predicted.has_value()) continue;
        EXPECT_GE(one.inside, binomial_floor(one.all))
            << one.name << ", " << name << " " << sizes[i];
        inside += one.inside;
        inside_unwidened += one.inside_unwidened;
        all += one.all;
        widths.push_back(one.width());
        const double chance = one.mean.standard_error();
        const double off = one.predicted.expected - one.mean.value();
        off_square += (off * off / (chance * chance) - 1) / one.all;
        width_square += std::pow(std::log(one.width() / kOwn), 2) - 0.5 / one.all;
      }
    }
  }
  std::sort(widths.begin(), widths.end());
  const auto cells = static_cast<double>(widths.size());
  const Share share{static_cast<double>(inside) / all, widths[widths.size() / 2], widths.front(),
                    widths.back(), std::sqrt(std::max(0.0, width_square / cells))};
  std::cout << fmt::format(
      "{} of {} measurements inside ({:.1f} %), {} ({:.1f} %) if not widened by {}; width median "
      "{:.2f}, from {:.2f} to {:.2f}\n"
      "beside chance, expectations are off by {:.2f} deviations, deviations by {:.1f} %\n",
      inside, all, 100 * share.inside, inside_unwidened, 100.0 * inside_unwidened / all, kOwn,
      share.median_width, share.least_width, share.greatest_width,
      std::sqrt(std::max(0.0, off_square / cells)), 100 * share.deviations_off);
  return share;
}

// Neither too narrow nor too wide: 20 measurements know a deviation to a sixth.
TEST(SchemeError, HoldsForTwentyMeasurements) {
  const testing::WithThreads with(1);  // many small products: threads would mostly wait
  const Share share = compare_all({48, 96, 192}, {20, 20, 20}, false);
  EXPECT_GE(share.inside, 0.95);
  EXPECT_GT(share.median_width, 0.95);
  EXPECT_LT(share.median_width, 1.2);
  EXPECT_LT(share.greatest_width, 2.5);
}

TEST(SchemeError, DISABLED_HoldsForTwentyLargeMeasurements) {
  const Share share = compare_all({64, 256, 1000}, {20, 20, 20}, true);
  EXPECT_GE(share.inside, 0.95);
  EXPECT_LT(share.median_width, 1.2);
  EXPECT_LT(share.greatest_width, 2.5);
}

TEST(SchemeError, DISABLED_HoldsForManyMeasurements) {
  const Share share = compare_all({64, 256}, {4000, 400}, true);
  EXPECT_GE(share.inside, 0.95);
  EXPECT_GT(share.median_width, 1.0);
  EXPECT_LT(share.median_width, 1.1);
  EXPECT_GT(share.least_width, 0.9);
  EXPECT_LT(share.greatest_width, 1.4);
}

// The allowance for the predictions' own error was chosen beside the measurements above; these are
// others, in schemes, distributions, sizes and seeds.
TEST(SchemeError, DISABLED_HoldsForOthersThanItWasChosenBeside) {
  const Share share =
      compare_all({80, 200}, {2000, 400}, true, {kOtherSchemes, kOtherDistributions, 1'000'000});
  EXPECT_GE(share.inside, 0.95);
  EXPECT_GT(share.least_width, 0.9);
  EXPECT_LT(share.greatest_width, 1.4);
}

TEST(SchemeError, DISABLED_HoldsForManyFittedMeasurements) {
  const Share share = compare_all({64, 128}, {200, 60}, true,
                                  {kFittedSchemes, {"uniform", "normal", "laplace", "student=5"}});
  EXPECT_GE(share.inside, 0.95);
  EXPECT_GT(share.least_width, 0.85);
  EXPECT_LT(share.greatest_width, 2);
}

// The expectation itself, where chance is small: in the mean over seeds.
TEST(SchemeError, ExpectsTheMeanOfMeasurements) {
  const testing::WithThreads with(1);
  for (const char* const name : {"normal", "laplace", "sparse=0.5", "lognormal=0.5"}) {
    for (const auto& one : compare({"int8:sym:channel",
                                    "int4:affine:group=32",
                                    "int4:floor:group=32@report",
                                    "e2m1:channel",
                                    "e5m2:ceil:channel",
                                    "int6:stochastic:channel",
                                    "bf16",
                                    "int12:sym:channel",
                                    "lloyd4-normal:channel=1",
                                    "mxfp6:scale-rule=rceil",
                                    "mxint8",
                                    "q4_0",
                                    "q4_1",
                                    "q5_1",
                                    "int4:sym:block=8x8",
                                    "int8:sym:group=32 x int4:channel",
                                    "int5:sigma=2.5",
                                    "lloyd3",
                                    "nest3",
                                    "trellis2",
                                    "hadamard+int4:channel"},
                                   name, 128, 8)) {
      if (!one.predicted.has_value()) continue;
      EXPECT_NEAR(one.predicted.expected, one.mean.value(),
                  5 * one.mean.standard_error() + 1e-3 * one.mean.value())
          << one.name << ", " << name;
    }
  }
}

// Tiles of which the last ones are smaller, and blocks that zeros fill up.
TEST(SchemeError, HoldsForAwkwardShapes) {
  const testing::WithThreads with(1);
  const auto& source = distribution("normal");
  for (const char* const text : {"int4:group=24", "q4_1", "mxfp4", "int8:block=10x7", "nvfp4"}) {
    const auto schemes = parse_scheme_pair(text);
    const auto predicted = predict_product(source, schemes, 50, 70, 90);
    ASSERT_TRUE(predicted.has_value()) << predicted.why_not;
    testing::Mean mean;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const auto pair = draw_operands(source, Generator::counter, seed, 50, 70, 90);
      mean.add(relative_error(float_product(pair.a, pair.b),
                              multiply(quantize(pair.a.view(), schemes.a, Role::left),
                                       quantize(pair.b.view(), schemes.b, Role::right))));
    }
    EXPECT_NEAR(predicted.expected, mean.value(), 4 * mean.standard_error()) << text;
  }
}

TEST(SchemeError, OfATensorIsThatOfItsSteps) {
  // A grid of 255 codes over the whole support: step²/12 against 1/3.
  const auto& uniform = distribution("uniform");
  const auto predicted = predict_tensor(uniform, parse_scheme("int8:sym"), 2000, 2000);
  EXPECT_NEAR(predicted.expected, std::sqrt(1.0 / 127 / 127 / 12 * 3), 2e-5 * predicted.expected);
  // Stochastic rounding has part · (1 − part) of a step squared, 1/6 in the mean.
  const auto noisy = predict_tensor(uniform, parse_scheme("int8:sym:stochastic"), 2000, 2000);
  EXPECT_NEAR(noisy.expected, std::sqrt(2.0) * predicted.expected, 1e-4 * noisy.expected);
  // Rounding down adds a quarter of a step squared to a twelfth.
  const auto down = predict_tensor(uniform, parse_scheme("int8:sym:floor"), 2000, 2000);
  EXPECT_NEAR(down.expected, 2 * predicted.expected, 1e-2 * down.expected);
  // Grids too fine to be followed cell by cell.
  const auto fine = predict_tensor(uniform, parse_scheme("int14:sym"), 2000, 2000);
  EXPECT_NEAR(fine.expected, std::sqrt(1.0 / 8191 / 8191 / 12 * 3), 2e-5 * fine.expected);
}

TEST(SchemeError, GrowsWithATensorAsItsRangeDoes) {
  const auto& normal = distribution("normal");
  const auto scheme = parse_scheme("int8:sym");
  const auto small = predict_tensor(normal, scheme, 10, 10);
  const auto large = predict_tensor(normal, scheme, 1000, 1000);
  // Both are the step's, and the step is the range's.
  EXPECT_NEAR(large.expected / small.expected,
              expected_absmax(normal, 1e6) / expected_absmax(normal, 100), 0.03);
  EXPECT_GT(small.high - small.low, large.high - large.low);
}

TEST(SchemeError, ExpectedLargestMagnitude) {
  for (const double count : {1.0, 5.0, 1e3, 1e6}) {
    EXPECT_NEAR(expected_absmax(distribution("uniform"), count), count / (count + 1), 2e-6);
  }
  EXPECT_NEAR(expected_absmax(distribution("normal"), 1), std::sqrt(2 / 3.14159265358979), 2e-5);
}

TEST(SchemeError, SaysWhyThereIsNone) {
  const auto& normal = distribution("normal");
  const auto why_not = [&](const Distribution& source, const char* scheme) {
    return predict_product(source, parse_scheme_pair(scheme), 64, 64, 64).why_not;
  };
  EXPECT_NE(why_not(normal, "int8:kl"), "");
  EXPECT_NE(why_not(normal, "int8:static"), "");
  EXPECT_NE(why_not(normal, "lloyd6"), "");  // 64 levels of 4096 numbers
  EXPECT_NE(why_not(distribution("sparse"), "lloyd2"), "");
  EXPECT_NE(why_not(normal, "smooth+int4"), "");
  EXPECT_NE(why_not(normal, "int4:group=16:shrink"), "");
  EXPECT_NE(why_not(distribution("lognormal=1"), "hadamard+int4"), "");  // it has a mean
  EXPECT_NE(why_not(distribution("student=5"), "hadamard+int4"), "");    // heavy tails, 64 of them
  EXPECT_NE(why_not(normal, "int4:mse:group=32"), "");
  EXPECT_NE(why_not(distribution("outliers"), "int8"), "");
  EXPECT_NE(predict_product(normal, parse_scheme_pair("int8"), 0, 4, 4).why_not, "");
  for (const char* const scheme : {"int8", "lloyd3", "nest2", "hadamard+int4"}) {
    EXPECT_EQ(why_not(normal, scheme), "");
  }
}

// A step function against what quantize() does to a tile with that range.
class StepFunctions : public ::testing::TestWithParam<const char*> {};

TEST_P(StepFunctions, AreWhatSchemesDo) {
  const auto scheme = parse_scheme(GetParam());
  constexpr std::size_t kCount = 32;
  std::mt19937_64 random(5);
  int compared = 0;
  for (int round = 0; round < 200; ++round) {
    Matrix<float> x(1, kCount);
    const double size = std::exp(testing::between(random, -3, 3));
    for (float& v : x.values()) v = static_cast<float>(size * testing::normal_pair(random).first);
    // NVFP4's other block is to have the same extremes.
    std::copy_n(x.data(), kCount / 2, x.data() + kCount / 2);
    const auto [low, high] = std::minmax_element(x.values().begin(), x.values().end());
    const StepFunction f = step_function(scheme, {*low, *high});
    const Matrix<float> q = fake_quantize(x.view(), scheme);
    const double step = std::max(std::abs(*low), std::abs(*high)) / 1024;
    for (std::size_t i = 0; i < kCount; ++i) {
      const double v = x.data()[i];
      // Not where the next cell begins, give or take float32's rounding.
      const double e = f.at(v)[kE];
      const double little = 1e-3 * step;
      if (std::abs(f.at(v + little)[kE] - e) > 2 * little ||
          std::abs(f.at(v - little)[kE] - e) > 2 * little) {
        continue;
      }
      // A scale in fp16 is off by 2⁻¹¹ of itself.
      const double slack =
          f.factor() > 0 ? std::abs(q.data()[i] - *low) + std::abs(*low) + std::abs(*high) : 0;
      EXPECT_NEAR(q.data()[i], v + e, 0x1p-11 * slack + 1e-3 * step) << v << " of " << *high;
      ++compared;
    }
  }
  EXPECT_GT(compared, 150 * static_cast<int>(kCount));
}

INSTANTIATE_TEST_SUITE_P(All, StepFunctions,
                         ::testing::Values("int4", "int8", "int4:sym", "int8@report", "int5@report",
                                           "int3:ceil", "int6:truncate@onnx", "uint4@torch", "e4m3",
                                           "e2m1", "e3m2:floor", "e5m2:ceil", "e4m3:truncate",
                                           "e4m3:half-away", "nf4", "mxfp4", "mxfp8", "mxfp8-e5m2",
                                           "mxfp6", "mxfp6-e2m3", "mxint8", "mxfp4:scale-rule=ceil",
                                           "mxfp6:scale-rule=even", "mxfp8:scale-rule=rceil",
                                           "mxfp4:floor", "nvfp4", "q8_0", "q4_0", "q4_1", "q5_0",
                                           "q5_1"),
                         [](const auto& row) {
                           std::string name;
                           for (const char c : std::string(row.param)) {
                             if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
                           }
                           return name + std::to_string(row.index);
                         });

// Sums over a table of the distribution against the functions themselves.
TEST(PartialMomentTables, AreAsExactAsTheyNeedToBe) {
  for (const Distribution& source : distributions()) {
    const PartialMoments table(source);
    const double square = source.partial_square(std::numeric_limits<double>::infinity());
    const double size = std::sqrt(square);
    std::size_t hint = 0;
    for (int i = -3000; i <= 3000; ++i) {
      const double x = size * (i + 0.3) / 400;
      const auto values = table.at(x, hint);
      EXPECT_NEAR(values[0], source.cdf(x), 1e-10) << source.name() << " " << x;
      EXPECT_NEAR(values[1], source.partial_mean(x), 1e-10 * size) << source.name() << " " << x;
      EXPECT_NEAR(values[2], source.partial_square(x), 1e-10 * square) << source.name() << " " << x;
    }
  }
}

// The study's own rows.
TEST(StudyError, HoldsForSomeMeasurements) {
  for (const double cover : {0.9, 0.99, 1.0}) {
    const auto convention = parse_convention("onnx");
    const auto& normal = distribution("normal");
    const auto predicted = predict_study_error(normal, 100, 100, 100, cover, 8, convention);
    ASSERT_TRUE(predicted.has_value()) << predicted.why_not;
    EXPECT_DOUBLE_EQ(
        predicted.expected,
        predict_study(normal, 100, 100, 100, cover, 8, convention).errors.ground_truth);
    EXPECT_LT(predicted.low, predicted.expected);
    EXPECT_GT(predicted.high, predicted.expected);
    EXPECT_LT(predicted.high - predicted.low, 0.3 * predicted.expected);
  }
  EXPECT_FALSE(predict_study_error(distribution("outliers"), 100, 100, 100, 1, 8, {}).has_value());
}

}  // namespace
}  // namespace zeropoint
