// Limits: against published figures, against their own conditions, against the library's quantizers
// on drawn entries.
#include "zeropoint/theory/limits.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"
#include "theory/distortion.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

LimitRow of_scheme(const char* distribution_name, const char* scheme) {
  return scheme_limit(distribution(distribution_name), parse_scheme(scheme));
}

// J. Max, "Quantizing for minimum distortion", IRE Trans. Inf. Theory IT-6, 1960, tables I and II,
// to the digits that they have (of the 16 best levels, the last one is a unit or two off).
TEST(Limits, AreMaxsForNormal) {
  const auto& d = distribution("normal");
  EXPECT_NEAR(lloyd_max_limit(d, 1).mse, 0.3634, 5e-5);
  EXPECT_NEAR(lloyd_max_limit(d, 2).mse, 0.1175, 5e-5);
  EXPECT_NEAR(lloyd_max_limit(d, 3).mse, 0.03454, 1e-5);
  EXPECT_NEAR(lloyd_max_limit(d, 4).mse, 0.009497, 6e-6);
  EXPECT_NEAR(uniform_limit(d, 2).mse, 0.1188, 5e-5);
  EXPECT_NEAR(uniform_limit(d, 3).mse, 0.03744, 5e-6);
  EXPECT_NEAR(uniform_limit(d, 4).mse, 0.01154, 5e-6);
  EXPECT_NEAR(uniform_limit(d, 5).mse, 0.003495, 6e-6);
  EXPECT_NEAR(uniform_limit(d, 2).scale, 0.9957, 5e-5);
  EXPECT_NEAR(uniform_limit(d, 3).scale, 0.5860, 5e-5);
  EXPECT_NEAR(uniform_limit(d, 4).scale, 0.3352, 5e-5);
}

// N. S. Jayant and P. Noll, Digital Coding of Waveforms, 1984, tables 4.1 and 4.4.
TEST(Limits, AreJayantAndNollsForLaplace) {
  const auto& d = distribution("laplace");
  EXPECT_NEAR(lloyd_max_limit(d, 2).mse, 0.1762, 5e-5);
  EXPECT_NEAR(lloyd_max_limit(d, 3).mse, 0.0545, 5e-5);
  EXPECT_NEAR(lloyd_max_limit(d, 4).mse, 0.0154, 5e-5);
  EXPECT_NEAR(uniform_limit(d, 2).mse, 0.1963, 5e-5);
  EXPECT_NEAR(uniform_limit(d, 3).mse, 0.0717, 6e-5);
  EXPECT_NEAR(uniform_limit(d, 4).mse, 0.0254, 6e-5);
}

TEST(Limits, AreClosedFormsWhereThereAreAny) {
  EXPECT_NEAR(lloyd_max_limit(distribution("normal"), 1).mse, 1 - 2 / std::numbers::pi, 1e-14);
  EXPECT_NEAR(lloyd_max_limit(distribution("laplace"), 1).mse, 0.5, 1e-14);
  for (const int bits : {1, 2, 5, 8, 12}) {
    const auto& d = distribution("uniform");
    const double expected = std::exp2(-2 * bits);
    EXPECT_NEAR(uniform_limit(d, bits).mse, expected, 1e-7 * expected) << bits;
    EXPECT_NEAR(lloyd_max_limit(d, bits).mse, expected, 1e-7 * expected) << bits;
    EXPECT_NEAR(entropy_coded_limit(d, bits)->mse, expected, 1e-7 * expected) << bits;
  }
}

TEST(RateDistortionBound, IsNormalsAndShannons) {
  for (const double bits : {0.0, 0.5, 3.0, 8.0}) {
    EXPECT_NEAR(rate_distortion_bound(distribution("normal"), bits), std::exp2(-2 * bits), 1e-14);
    // The entropies of [−1, 1] and of the Laplace density are ln 2 and 1 + ln √2.
    constexpr double kTwoPiE = 2 * std::numbers::pi * std::numbers::e;
    EXPECT_NEAR(rate_distortion_bound(distribution("uniform"), bits),
                4 / kTwoPiE * 3 * std::exp2(-2 * bits), 1e-14);
    EXPECT_NEAR(rate_distortion_bound(distribution("laplace"), bits),
                std::numbers::e / std::numbers::pi * std::exp2(-2 * bits), 1e-14);
    EXPECT_EQ(rate_distortion_bound(distribution("sparse"), bits), 0);
  }
  const auto& normal = distribution("normal");
  const Gap gap = gap_to_bound(normal, 4, std::exp2(-6));
  EXPECT_NEAR(gap.bits, 1, 1e-14);
  EXPECT_NEAR(gap.db, 20 * std::log10(2.0), 1e-12);
  EXPECT_TRUE(std::isnan(gap_to_bound(distribution("sparse"), 4, 0.1).db));
  EXPECT_NEAR(sqnr_db(0.01), 20, 1e-12);
}

// A fine step loses 10·log10(πe/6) dB, a quarter of a bit (H. Gish and J. N. Pierce, IEEE Trans.
// Inf. Theory IT-14, 1968): of any density.
TEST(EntropyCoded, IsAFixedStepFromTheBoundAtHighRates) {
  const double expected = 10 * std::log10(std::numbers::pi * std::numbers::e / 6);
  for (const Distribution& d : distributions()) {
    if (d.atom_probability() > 0 || d.name() == "uniform") continue;
    const auto row = entropy_coded_limit(d, 9);
    EXPECT_NEAR(gap_to_bound(d, 9, row->mse).db, expected, 2e-4) << d.name();
  }
  // What is not sparse in sparse entries gets ten times the bits that are left by knowing where.
  const auto& sparse = distribution("sparse=0.9");
  const double where = -0.9 * std::log2(0.9) - 0.1 * std::log2(0.1);
  const double of_normal =
      std::exp2(-2 * (2 - where) / 0.1) * std::numbers::pi * std::numbers::e / 6;
  EXPECT_NEAR(entropy_coded_limit(sparse, 2)->mse, of_normal, 2e-3 * of_normal);
}

TEST(ProductBound, IsATangentBelowTheCriticalRate) {
  const double critical = critical_rate();
  EXPECT_NEAR(critical, 0.906, 5e-4);  // as its authors give it
  EXPECT_NEAR(4 * std::numbers::ln2 * critical * std::exp2(-2 * critical),
              1 - std::exp2(-2 * critical), 1e-14);
  EXPECT_EQ(product_bound(0), 1);
  EXPECT_NEAR(product_bound(4), std::sqrt(2 * std::exp2(-8) - std::exp2(-16)), 1e-15);
  const auto square = [](double bits) { return product_bound(bits) * product_bound(bits); };
  constexpr double kStep = 1e-6;
  EXPECT_NEAR((square(critical) - square(critical - kStep)) / kStep,
              (square(critical + kStep) - square(critical)) / kStep, 1e-5);
}

// By the midpoint rule over the density, piece by piece.
Distortion integrated(const Distribution& d, std::span<const double> levels, double from,
                      double to) {
  std::vector<double> ends = {from, to, 0, -1, 1};  // where densities have edges
  for (std::size_t i = 0; i + 1 < levels.size(); ++i)
    ends.push_back((levels[i] + levels[i + 1]) / 2);
  std::erase_if(ends, [&](double x) { return x < from || x > to; });
  std::ranges::sort(ends);
  Distortion sum;
  for (std::size_t i = 1; i < ends.size(); ++i) {
    constexpr int kSteps = 4000;
    const double step = (ends[i] - ends[i - 1]) / kSteps;
    for (int k = 0; k < kSteps; ++k) {
      const double x = ends[i - 1] + (k + 0.5) * step;
      sum += step * d.pdf(x) * nearest_to(x, levels);
    }
  }
  return sum;
}

TEST(Nearest, IsTheIntegralOverAnyPart) {
  std::mt19937_64 random(5);
  for (const Distribution& d : distributions()) {
    for (int turn = 0; turn < 12; ++turn) {
      std::vector<double> levels;
      for (int i = 0; i < 1 + turn % 5; ++i) levels.push_back(testing::between(random, -3, 3));
      std::ranges::sort(levels);
      const double from = testing::between(random, -5, 1);
      const double to = testing::between(random, from, 6);
      const auto found = nearest(d, levels, from, to);
      auto expected = integrated(d, levels, from, to);
      if (from < 0 && to >= 0) expected += d.atom_probability() * nearest_to(0, levels);
      EXPECT_NEAR(found.error, expected.error, 1e-5 * expected.error + 1e-9) << d.name();
      EXPECT_NEAR(found.off, expected.off, 1e-5) << d.name();
      EXPECT_NEAR(found.shift, expected.shift, 1e-5) << d.name();
    }
  }
}

TEST(Nearest, OfValuesIsTheirSum) {
  std::vector<float> values(3000);
  distribution("lognormal").fill_counter(CounterStream(4, 0), 0, values);
  const auto& d = add_distribution_of_values("limits", values);
  const std::vector<double> levels = {-1, 0.3, 0.9, 1.4, 7};
  Distortion expected, part;
  for (const double x : values) {
    expected += 1.0 / 3000 * nearest_to(x, levels);
    if (x > 0.5 && x <= 2) part += 1.0 / 3000 * nearest_to(x, levels);
  }
  EXPECT_NEAR(nearest(d, levels).error, expected.error, 1e-12);
  EXPECT_NEAR(nearest(d, levels).off, expected.off, 1e-12);
  EXPECT_NEAR(nearest(d, levels, 0.5, 2).error, part.error, 1e-12);
  EXPECT_NEAR(nearest(d, levels, 0.5, 2).shift, part.shift, 1e-12);
}

TEST(BestScale, IsBestAmongMany) {
  for (const Distribution& d : distributions()) {
    for (const char* const scheme :
         {"int4:sym", "int3-narrow:sym", "e2m1", "e3m2", "nf4", "lloyd3-normal", "e4m3"}) {
      const auto row = scheme_limit(d, parse_scheme(scheme));
      // Other scales, 200 an octave and more, over what can matter.
      auto levels = row.scheme->format.kind == FormatKind::integer
                        ? [&] {
                            std::vector<double> list;
                            const auto& grid = row.scheme->format.grid;
                            for (int c = grid.lo(); c <= grid.hi(); ++c) list.push_back(c);
                            return list;
                          }()
                        : std::vector<double>{};
      if (levels.empty()) {
        if (row.scheme->format.codebook != nullptr) {
          for (const float level : levels_of(*row.scheme->format.codebook)) levels.push_back(level);
        } else {
          const auto& format = *row.scheme->format.floating;
          for (std::uint32_t code = 0; code >> format.bits() == 0; ++code) {
            const auto fields = decode(format, code);
            if (fields.kind != FloatClass::nan) levels.push_back(fields.value);
          }
          std::ranges::sort(levels);
        }
      }
      const double variance = whole(d).variance;
      const bool is_large = levels.size() > 64;
      for (double octave = -6; octave < 6; octave += is_large ? 0.05 : 0.011) {
        const auto other = scaled(levels, row.scale * std::exp2(octave));
        ASSERT_GE(nearest(d, other).error / variance, row.mse * (1 - 1e-9))
            << d.name() << ", " << scheme << ", octave " << octave;
      }
    }
  }
}

TEST(UniformLimit, HasNoBetterStepOrPlaceNearby) {
  for (const Distribution& d : distributions()) {
    for (const int bits : {1, 2, 3, 5, 8}) {
      const auto row = uniform_limit(d, bits);
      const auto at = [&](double stretch, double move) {
        const double middle = (row.levels.front() + row.levels.back()) / 2;
        auto levels = row.levels;
        for (double& x : levels) x = middle + move * row.scale + (x - middle) * stretch;
        return nearest(d, levels).error / whole(d).variance;
      };
      EXPECT_NEAR(at(1, 0), row.mse, 1e-11 * row.mse);
      constexpr double kStray = 1e-4;
      for (const double sign : {-1.0, 1.0}) {
        EXPECT_GT(at(1 + sign * 10 * kStray, 0), row.mse) << d.name() << ", " << bits;
        // A Laplace density would have a level at 0, and lose one at an end.
        if (d.name() == "laplace") continue;
        EXPECT_GT(at(1, sign * 10 * kStray), row.mse) << d.name() << ", " << bits;
      }
      // Derivatives, where nothing is on an edge.
      if (d.name() == "uniform") continue;
      const double by_step = (at(1 + kStray, 0) - at(1 - kStray, 0)) / (2 * kStray);
      const double by_place = (at(1, kStray) - at(1, -kStray)) / (2 * kStray);
      EXPECT_NEAR(by_step, 0, 1e-3 * row.mse) << d.name() << ", " << bits;
      EXPECT_NEAR(by_place, 0, 1e-3 * row.mse) << d.name() << ", " << bits;
    }
  }
}

TEST(LloydMaxLimit, HasEachLevelAtTheMeanOfItsCell) {
  for (const Distribution& d : distributions()) {
    for (const int bits : {1, 2, 3, 4, 6, 8, 10}) {
      const auto levels = lloyd_max_limit(d, bits).levels;
      ASSERT_EQ(levels.size(), std::size_t{1} << bits);
      double from = -kInfinity;
      for (std::size_t i = 0; i < levels.size(); ++i) {
        const double to = i + 1 == levels.size() ? kInfinity : (levels[i] + levels[i + 1]) / 2;
        const Mass cell = mass(d, from, to);
        // Where the levels are not mirrored, the solver has one tail as 1 less the rest.
        const bool is_mirrored = d.is_symmetric() && d.atom_probability() == 0;
        const double tolerance = is_mirrored ? 1e-9 : 1e-6;
        ASSERT_NEAR(cell.mean / cell.p, levels[i], tolerance * std::max(1.0, std::abs(levels[i])))
            << d.name() << ", " << bits << " bits, level " << i;
        from = to;
      }
    }
  }
}

TEST(Limits, AreInTheirOrder) {
  for (const Distribution& d : distributions()) {
    double before = kInfinity;
    for (const int bits : {2, 4, 8}) {
      const double bound = bound_limit(d, bits).mse;
      const double coded = entropy_coded_limit(d, bits)->mse;
      const double best = lloyd_max_limit(d, bits).mse;
      const double uniform = uniform_limit(d, bits).mse;
      const double integer = integer_limit(d, bits).mse;
      const double narrow = narrow_limit(d, bits).mse;
      constexpr double kEqual = 1 + 1e-9;  // as of a uniform density
      EXPECT_LT(bound, coded) << d.name() << ", " << bits;
      EXPECT_LE(coded, best * kEqual) << d.name() << ", " << bits;
      EXPECT_LE(best, std::min(uniform, integer) * kEqual) << d.name() << ", " << bits;
      // A level at 0 is worth more than one at either end where many entries are near 0.
      if (d.name() != "laplace") {
        EXPECT_LE(uniform, integer * kEqual) << d.name() << ", " << bits;
      }
      EXPECT_LE(integer, narrow * kEqual) << d.name() << ", " << bits;
      EXPECT_LT(best, before) << d.name() << ", " << bits;
      before = best;
    }
  }
}

// Tails so heavy, or entries so rare, that most of the variance is where hardly any entry is.
TEST(Limits, AreInTheirOrderWhereTailsAreHeavy) {
  for (const char* const name :
       {"student=2.01", "student=3", "lognormal=2", "sparse=0.999999", "outliers=1e-9x1e6"}) {
    const auto& d = distribution(name);
    double before = kInfinity;
    for (const int bits : {1, 4, 8}) {
      const double best = lloyd_max_limit(d, bits).mse;
      const double uniform = uniform_limit(d, bits).mse;
      const double integer = integer_limit(d, bits).mse;
      constexpr double kEqual = 1 + 1e-9;
      EXPECT_GT(best, bound_limit(d, bits).mse) << name << ", " << bits;
      EXPECT_LE(best, uniform * kEqual) << name << ", " << bits;
      if (!d.is_symmetric() || d.atom_probability() > 0) {
        EXPECT_LE(uniform, integer * kEqual) << name << ", " << bits;
      }
      EXPECT_LT(best, before) << name << ", " << bits;
      EXPECT_LT(uniform, 1) << name << ", " << bits;
      before = best;
      if (const auto coded = entropy_coded_limit(d, bits)) {
        EXPECT_LE(coded->mse, best * kEqual) << name << ", " << bits;
      }
    }
  }
  // A quarter of a bit from the bound at high rates, from either end of a skewed density.
  const auto& skewed = distribution("lognormal=2");
  EXPECT_NEAR(gap_to_bound(skewed, 10, entropy_coded_limit(skewed, 10)->mse).db, 1.533, 0.02);
  const auto& narrow = distribution("lognormal=0.01");
  EXPECT_NEAR(gap_to_bound(narrow, 12, entropy_coded_limit(narrow, 12)->mse).db, 1.533, 1e-3);
  EXPECT_GT(of_scheme("lognormal=3", "mxfp8").mse, 0);
}

TEST(Limits, PredictProductsWhereEntriesAreIndependentAndHaveNoMean) {
  // At a best scale off is the error: 2d − d².
  const auto row = lloyd_max_limit(distribution("normal"), 3);
  EXPECT_NEAR(row.product, std::sqrt(row.mse * (2 - row.mse)), 1e-9);
  // And at none: 1 − 2ρ² + p².
  const auto unit = of_scheme("laplace", "e2m1:unit");
  const std::vector<double> levels = {-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6};
  const auto found = nearest(distribution("laplace"), levels);
  const double rho = 1 - found.off, p = found.error - 1 + 2 * rho;
  EXPECT_NEAR(unit.product, std::sqrt(1 - 2 * rho * rho + p * p), 1e-12);
  EXPECT_TRUE(std::isnan(lloyd_max_limit(distribution("lognormal"), 3).product));
  EXPECT_TRUE(std::isnan(lloyd_max_limit(distribution("outliers"), 3).product));
}

TEST(Limits, CountBits) {
  EXPECT_EQ(of_scheme("normal", "int4:sym:group=32").bits, 5);
  EXPECT_EQ(of_scheme("normal", "int4:affine:group=32").bits, 4 + 36.0 / 32);
  EXPECT_EQ(of_scheme("normal", "nf4:group=64").bits, 4.5);
  EXPECT_EQ(of_scheme("normal", "mxfp4").bits, 4.25);
  EXPECT_EQ(of_scheme("normal", "q4_1").bits, 5);
  EXPECT_EQ(of_scheme("normal", "e4m3").bits, 8);
}

void expect_measured(const Distribution& d, const std::vector<LimitRow>& rows) {
  const testing::WithThreads with(1);  // small pieces: threads would mostly wait
  for (const auto& row : rows) {
    const auto check = check_limit(d, row, 1'000'000, 0);
    if (!check) continue;
    EXPECT_LE(std::abs(check->z), 3) << d.name() << ", " << row.name << ", " << row.bits
                                     << " bits: " << row.mse << " and " << check->mse;
    // An error bar that says nothing would let all pass.
    EXPECT_LT(check->standard_error, 0.03 * check->mse) << d.name() << ", " << row.name;
  }
}

// Every kind at 10^6 entries by the library's own quantizers. By chance one row in 370 would be
// beyond 3 standard errors, for this seed none is. `zeropoint limits --check 10000000` does it at
// length.
TEST(Limits, AreWhatIsMeasured) {
  for (const char* const name : {"normal", "uniform"}) {
    const auto& d = distribution(name);
    const std::vector<int> bits = {1, 3, 8};
    std::vector<std::string> schemes(limit_schemes().begin(), limit_schemes().end());
    for (const char* const more :
         {"int8", "uint3", "nf4", "lloyd3", "lloyd4-normal", "fp16:unit", "e3m2:group=16",
          "int4:affine:group=32", "int3:sym:block=4x8@onnxruntime", "int8:sym:group=64@torch",
          "mxfp4:scale-rule=ceil", "mxfp4:scale-rule=even", "mxfp4:scale-rule=rceil", "mxfp6-e2m3",
          "mxfp8-e5m2", "mxint8", "q5_0", "q5_1"}) {
      schemes.emplace_back(more);
    }
    expect_measured(d, limits(d, bits, schemes));
  }
}

TEST(Limits, AreWhatIsMeasuredOfOtherDistributions) {
  for (const char* const name : {"laplace", "student=8", "lognormal", "sparse", "outliers"}) {
    const auto& d = distribution(name);
    const std::vector<int> bits = {3};
    const std::vector<std::string> schemes = {
        "e3m2", "int4:sym:group=32",   "mxfp4", "nvfp4", "q4_0", "q4_1",
        "q8_0", "int4:affine:group=16"};
    expect_measured(d, limits(d, bits, schemes));
  }
}

TEST(Limits, OfValuesAreWhatIsMeasured) {
  std::vector<float> values(20'000);
  distribution("laplace").fill_counter(CounterStream(12, 0), 0, values);
  const auto& d = add_distribution_of_values("measured", values);
  const std::vector<int> bits = {2, 4};
  const std::vector<std::string> schemes = {"e3m2", "int4:sym:group=32", "mxfp4", "q4_0", "q4_1"};
  expect_measured(d, limits(d, bits, schemes));
}

// Bytes, as of integer weights: 8 bits tell all of them apart, so no step leaves as many.
TEST(Limits, OfFewValuesEnd) {
  std::vector<float> values;
  for (int x = 0; x < 200; ++x) values.push_back(static_cast<float>(x));
  const auto& d = add_distribution_of_values("bytes", values);
  EXPECT_FALSE(entropy_coded_limit(d, 8));
  ASSERT_TRUE(entropy_coded_limit(d, 7));
  EXPECT_LE(entropy_coded_limit(d, 7)->mse, lloyd_max_limit(d, 7).mse * (1 + 1e-9));
  const std::vector<int> bits = {2, 8, 10};
  for (const auto& row : limits(d, bits, {})) {
    EXPECT_NE(row.kind, LimitKind::bound);  // atoms have none
    EXPECT_GE(row.mse, 0) << row.name;
    // No codebook has more levels than of 8 bits.
    EXPECT_TRUE(row.kind != LimitKind::lloyd_max || row.bits <= 8);
  }
  const auto& far = add_distribution_of_values("far", std::vector<float>{1e6F, 1e6F + 1, 1e6F + 3});
  EXPECT_THAT(testing::refusal([&] { uniform_limit(far, 2); }), HasSubstr("of their mean"));
}

TEST(Limits, RefuseWhatTheyHaveNoFormulaFor) {
  const auto of = [](const char* scheme) {
    return testing::refusal([&] { of_scheme("normal", scheme); });
  };
  EXPECT_THAT(of("int4:sym:group=32:mse"), HasSubstr("found int4:sym:group=32:mse"));
  EXPECT_THAT(of("int8:cover=0.99"), HasSubstr("the range of their entries"));
  EXPECT_THAT(of("lloyd4-normal:group=32"), HasSubstr("largest magnitude"));
  EXPECT_THAT(of("int8:floor"), HasSubstr("rounding to nearest"));
  EXPECT_THAT(of("hadamard+int4"), HasSubstr("without transforms"));
  EXPECT_THAT(of("hadamard+mxfp4"), HasSubstr("without transforms"));
  EXPECT_THAT(of("smooth+int8"), HasSubstr("without transforms"));
  EXPECT_THAT(of("int4:group=32:shrink"), HasSubstr("not shrunk"));
  EXPECT_THAT(of("int8:group=1"), HasSubstr("groups of two at least"));
  EXPECT_THAT(testing::refusal([] { lloyd_max_limit(distribution("normal"), 13); }),
              AllOf(HasSubstr("1 to 12 bits"), HasSubstr("13")));
  EXPECT_THAT(testing::refusal([] { narrow_limit(distribution("normal"), 1); }),
              HasSubstr("2 to 12 bits"));
  const auto& same = add_distribution_of_values("same", std::vector<float>{2, 2, 2});
  EXPECT_THAT(testing::refusal([&] { uniform_limit(same, 2); }),
              HasSubstr("expected a distribution with a variance"));
}

}  // namespace
}  // namespace zeropoint
