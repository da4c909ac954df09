#include "zeropoint/quantize/params.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/quantize/elementwise.hpp"

#include "support/conventions.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using testing::refusal;

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kSmallest = std::numeric_limits<float>::min();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

QuantParams chosen(Range range, const std::string& convention, int bits = 8) {
  const auto parsed = parse_convention(convention);
  return choose_params(range, parsed.grid(bits), parsed);
}

Range random_range(std::mt19937_64& random) {
  const double center = testing::between(random, -2, 2);
  const double width = testing::between(random, 0.01, 5);
  return {static_cast<float>(center - width), static_cast<float>(center + width)};
}

TEST(ChooseParams, ReportCodeIsItsFormulaInFloat32) {
  std::mt19937_64 random(41);
  for (int turn = 0; turn < 10'000; ++turn) {
    const Range range = random_range(random);
    const float a = range.min, b = range.max, c = -128, d = 127;
    const float numerator = a * d - b * c;
    const QuantParams expected{(a - b) / (c - d), static_cast<int>(numerator / (a - b))};
    ASSERT_EQ(chosen(range, "report-code"), expected) << a << ", " << b;
  }
}

TEST(ChooseParams, ReportIsItsFormulaOnTheNarrowGrid) {
  std::mt19937_64 random(42);
  for (int turn = 0; turn < 10'000; ++turn) {
    const Range range = random_range(random);
    const float a = range.min, b = range.max, c = -127, d = 127;
    const float numerator = a * d - b * c;
    const QuantParams expected{(a - b) / (c - d),
                               static_cast<int>(std::floor(numerator / (a - b)))};
    ASSERT_EQ(chosen(range, "report"), expected) << a << ", " << b;
  }
}

TEST(ChooseParams, OnnxWidensToZeroAndKeepsTheZeroPointOnTheGrid) {
  std::mt19937_64 random(43);
  for (int turn = 0; turn < 10'000; ++turn) {
    const Range range = random_range(random);
    const double a = std::min(range.min, 0.0F), b = std::max(range.max, 0.0F);
    const QuantParams params = chosen(range, "onnx");
    ASSERT_FLOAT_EQ(params.scale, static_cast<float>((b - a) / 255));
    // round(qmin − min/s), either way where float32 cannot tell.
    const double exact = -128 - a / ((b - a) / 255);
    ASSERT_LE(std::abs(params.zero_point - exact), 0.5 + 1e-4) << range.min << ", " << range.max;
    ASSERT_GE(params.zero_point, -128);
    ASSERT_LE(params.zero_point, 127);
  }
}

// With a width of 255 the scale is 1 and the exact zero point −128 − min.
TEST(ChooseParams, RoundsTheZeroPointByItsOwnRule) {
  struct Row {
    float exact;
    int half_even, half_away, floor, truncate;
  };
  for (const Row& row : {Row{-117.5F, -118, -118, -118, -117}, Row{-116.5F, -116, -117, -117, -116},
                         Row{2.5F, 2, 3, 2, 2}, Row{3.5F, 4, 4, 3, 3}, Row{-0.25F, 0, 0, -1, 0},
                         Row{0.75F, 1, 1, 0, 0}, Row{40, 40, 40, 40, 40}}) {
    const Range range{-128 - row.exact, 127 - row.exact};
    for (const std::string preset : {"report-code", "report-code:scale=float64"}) {
      const auto with = [&](const std::string& rule) {
        const auto params = chosen(range, preset + ":zero-point=" + rule);
        EXPECT_EQ(params.scale, 1.0F);
        return params.zero_point;
      };
      EXPECT_EQ(with("half-even"), row.half_even) << row.exact;
      EXPECT_EQ(with("half-away"), row.half_away) << row.exact;
      EXPECT_EQ(with("floor"), row.floor) << row.exact;
      EXPECT_EQ(with("truncate"), row.truncate) << row.exact;
    }
  }
}

TEST(ChooseParams, ComputesInFloat64WhereAsked) {
  std::mt19937_64 random(44);
  int differ = 0;
  for (int turn = 0; turn < 10'000; ++turn) {
    const Range range = random_range(random);
    const double a = range.min, b = range.max;
    const QuantParams expected{static_cast<float>((b - a) / 255),
                               static_cast<int>((a * 127 + b * 128) / (a - b))};
    ASSERT_EQ(chosen(range, "report-code:scale=float64"), expected) << a << ", " << b;
    if (chosen(range, "report-code") != expected) ++differ;
  }
  EXPECT_GT(differ, 0);  // the axis is no ornament
}

TEST(ChooseParams, LeavesOrClampsAZeroPointOffTheGrid) {
  const Range positive{510, 765};  // s = 1, z = −638
  EXPECT_EQ(chosen(positive, "report-code"), (QuantParams{1, -638}));
  EXPECT_EQ(chosen(positive, "report-code:zero-point-clamp=yes"), (QuantParams{1, -128}));
  EXPECT_EQ(chosen(positive, "report-code:zero-in-range=forced"), (QuantParams{3, -128}));
  const Range negative{-765, -510};
  EXPECT_EQ(chosen(negative, "report-code"), (QuantParams{1, 637}));
  EXPECT_EQ(chosen(negative, "report-code:zero-point-clamp=yes"), (QuantParams{1, 127}));
  EXPECT_EQ(chosen(negative, "report-code:zero-in-range=forced"), (QuantParams{3, 127}));
  EXPECT_EQ(chosen(positive, "report-code:sign=unsigned"), (QuantParams{1, -510}));
}

TEST(ChooseParams, ForcedZeroIsExactlyACode) {
  std::mt19937_64 random(45);
  for (const std::string preset : {"report", "report-code", "onnx"}) {
    for (const std::string rule : {"half-even", "half-away", "floor", "truncate"}) {
      for (const std::string rest : {"", ":scale=float64", ":grid=narrow:zero-point-clamp=no",
                                     ":sign=unsigned:grid=narrow", ":mapping=symmetric"}) {
        const auto convention =
            parse_convention(preset + ":zero-in-range=forced:zero-point=" + rule + rest);
        for (int turn = 0; turn < 300; ++turn) {
          Range range = random_range(random);
          if (turn % 3 == 0) range.min = 0;  // as after a ReLU
          if (turn % 3 == 1) range.max = 0;
          if (range.min > range.max) std::swap(range.min, range.max);
          const auto grid = convention.grid(2 + turn % 15);
          const auto params = choose_params(range, grid, convention);
          bool clipped = true;
          const auto code = quantize_one(0, params, grid, convention, &clipped);
          ASSERT_EQ(dequantize(code, params), 0)
              << to_string(convention) << " on [" << range.min << ", " << range.max << "], "
              << grid.bits << " bits, z = " << params.zero_point;
          ASSERT_FALSE(clipped);
        }
      }
    }
  }
}

TEST(ChooseParams, SymmetricHasItsZeroInTheMiddleAndReachesBothEnds) {
  for (int bits = 2; bits <= 16; ++bits) {
    for (const auto& grid : testing::every_grid(bits)) {
      auto convention = parse_convention("onnx:mapping=symmetric");
      convention.is_signed = grid.is_signed;
      convention.ends = grid.narrow ? GridEnds::narrow : GridEnds::full;
      for (const Range range : {Range{-3, 2}, Range{-2, 3}, Range{1, 3}, Range{-3, -1}}) {
        const auto params = choose_params(range, grid, convention);
        // As many codes above the zero as the narrow grid has below it.
        const int steps = (1 << (bits - 1)) - 1;
        ASSERT_EQ(params.zero_point, grid.hi() - steps) << name(grid);
        ASSERT_EQ(params.scale, static_cast<float>(3.0 / steps)) << name(grid);
        if (grid.narrow) {
          ASSERT_EQ(params.zero_point - grid.lo(), steps);
        }
        for (const float x : {-3.0F, 3.0F}) {
          const auto code = quantize_one(x, params, grid, convention);
          ASSERT_NEAR(dequantize(code, params), x, 1e-6) << name(grid);
        }
      }
    }
  }
}

// The conventions whose codes a degenerate tensor must survive.
std::vector<Convention> many_conventions() {
  std::vector<Convention> list;
  for (const std::string preset : {"report", "report-code", "onnx"}) {
    for (const std::string rest : {"", ":mapping=symmetric", ":scale=float64", ":sign=unsigned",
                                   ":sign=unsigned:grid=narrow", ":zero-in-range=forced",
                                   ":operation=divide", ":operation=multiply:grid=narrow"}) {
      list.push_back(parse_convention(preset + rest));
    }
  }
  return list;
}

TEST(ChooseParams, AConstantTensorDequantizesToItself) {
  for (const auto& convention : many_conventions()) {
    for (const int bits : {2, 3, 4, 8, 12, 16}) {
      const auto grid = convention.grid(bits);
      for (const float magnitude : {0.0F, kDenormal, 1e-40F, kSmallest, 1e-30F, 0.1F, 1.0F, 1.01F,
                                    1.9921875F, 3.7F, 1e10F, 3e38F, kLargest}) {
        for (const float x : {magnitude, -magnitude}) {
          const auto params = choose_params({x, x}, grid, convention);
          ASSERT_TRUE(std::isnormal(params.scale) && params.scale > 0) << x;
          const float back = dequantize(quantize_one(x, params, grid, convention), params);
          ASSERT_TRUE(std::isfinite(back)) << x << ", " << to_string(convention);
          ASSERT_LE(std::abs(double{x} - back), testing::most_error(x, params, convention))
              << to_string(convention) << ", " << name(grid) << ", " << x << " became " << back;
        }
      }
    }
  }
}

TEST(ChooseParams, AnAllZeroTensorHasScaleOne) {
  for (const auto& convention : many_conventions()) {
    const auto grid = convention.grid(8);
    const auto params = choose_params({0, 0}, grid, convention);
    EXPECT_EQ(params.scale, 1);
    const int middle = grid.hi() - 127;
    EXPECT_EQ(params.zero_point, convention.mapping == Mapping::symmetric ? middle : 0)
        << to_string(convention);
  }
}

TEST(ChooseParams, StaysSoundAtTheEndsOfFloat32) {
  std::mt19937_64 random(46);
  for (const auto& convention : many_conventions()) {
    for (const int bits : {2, 4, 8, 16}) {
      const auto grid = convention.grid(bits);
      for (const Range range :
           {Range{-3e38F, 3e38F}, Range{-kLargest, kLargest}, Range{0, kLargest},
            Range{-kLargest, 0}, Range{-kLargest, 1}, Range{-1e38F, 3e38F},
            Range{-kDenormal, kDenormal}, Range{0, kDenormal}, Range{-kDenormal, 0},
            Range{-1e-40F, 3e-40F}, Range{1e-40F, 2e-40F}, Range{-kSmallest, kSmallest},
            Range{-1e-37F, 2e-36F}}) {
        const auto params = choose_params(range, grid, convention);
        ASSERT_TRUE(std::isnormal(params.scale) && params.scale > 0);
        std::vector<float> inside = {range.min, range.max};
        for (int i = 0; i < 20; ++i) {
          inside.push_back(static_cast<float>(testing::between(random, range.min, range.max)));
        }
        for (const float x : inside) {
          bool clipped = false;
          const auto code = quantize_one(x, params, grid, convention, &clipped);
          const float back = dequantize(code, params);
          ASSERT_TRUE(std::isfinite(back)) << x << ", " << to_string(convention) << name(grid);
          // A zero point that is not rounded to nearest moves an end of the range off the grid by
          // up to a step.
          const double slack = clipped ? 1 : 0;
          ASSERT_LE(std::abs(double{x} - back),
                    testing::most_error(x, params, convention) + slack * params.scale)
              << to_string(convention) << ", " << name(grid) << ", [" << range.min << ", "
              << range.max << "]: " << x << " became " << back;
        }
      }
    }
  }
}

TEST(ChooseParams, RefusesRangesThatAreNone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Range range : {Range{1, -1}, Range{nan, 1}, Range{-1, nan}, Range{-infinity, 1},
                            Range{-1, infinity}, Range{nan, nan}}) {
    for (const std::string preset : {"report", "report-code", "onnx"}) {
      EXPECT_THAT(refusal([&] { chosen(range, preset); }), HasSubstr("finite min <= max"));
    }
  }
}

TEST(ChooseParams, WidensARangeWhoseZeroPointFloat32CannotAdd) {
  // To hold 0, as if the range had begun there.
  EXPECT_EQ(chosen({1, std::nextafter(1.0F, 2.0F)}, "report-code"),
            chosen({0, std::nextafter(1.0F, 2.0F)}, "report-code"));
  EXPECT_EQ(chosen({-1e30F, -0.999999F * 1e30F}, "report", 16), chosen({-1e30F, 0}, "report", 16));
  // Just at the limit: s = 1, z = 2^24, and two further.
  const float a = -(0x1p24F + 128);
  const float b = -(0x1p24F - 127);
  EXPECT_EQ(chosen({a, b}, "report-code:scale=float64"), (QuantParams{1, 1 << 24}));
  EXPECT_EQ(chosen({a - 2, b - 2}, "report-code:scale=float64"),
            chosen({a - 2, 0}, "report-code:scale=float64"));
}

TEST(ChooseParams, OneBitHasAFiniteScale) {
  Convention convention;
  for (const Mapping mapping : {Mapping::symmetric, Mapping::affine}) {
    convention.mapping = mapping;
    for (const bool is_signed : {false, true}) {
      const QuantParams params = choose_params({-3, 2}, {1, is_signed, false}, convention);
      EXPECT_EQ(params.scale, mapping == Mapping::symmetric ? 3 : 5);
    }
  }
}

TEST(ChooseParams, RefusesGridsThatAreNone) {
  for (const int bits : {-1, 0, 17, 32}) {
    const Convention convention;
    EXPECT_THAT(refusal([&] {
                  choose_params({-1, 1}, {bits, true, false}, convention);
                }),
                HasSubstr("1 to 16 bits"));
  }
}

}  // namespace
}  // namespace zeropoint
