// One sum's way to a code, by hand.
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/requantization.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;

constexpr auto kMin64 = std::numeric_limits<std::int64_t>::min();
constexpr auto kMax64 = std::numeric_limits<std::int64_t>::max();

Requantization scaled_by(double multiplier, ScaleIn scale_in = ScaleIn::float64) {
  Requantization how;
  how.multiplier = multiplier;
  how.scale_in = scale_in;
  return how;
}

TEST(Requantize, RoundsTiesByItsRuleAndClamps) {
  struct Row {
    std::int64_t sum;
    std::int32_t zero_point;
    Rounding rule;
    int after, before;
  };
  // Half of the sum, on the grid [−5, 6].
  for (const Row& row : {
           Row{5, 1, Rounding::half_even, 3, 4},    // 2 + 1; 3.5 → 4
           Row{5, 2, Rounding::half_even, 4, 4},    // 2 + 2; 4.5 → 4
           Row{5, 1, Rounding::half_away, 4, 4},    // 3 + 1; 3.5 → 4
           Row{-5, 5, Rounding::half_away, 2, 3},   // −3 + 5; 2.5 → 3
           Row{-5, 5, Rounding::floor, 2, 2},       // −3 + 5; 2.5 → 2
           Row{-5, 1, Rounding::truncate, -1, -1},  // −2 + 1; −1.5 → −1
           Row{-5, 5, Rounding::truncate, 3, 2},    // −2 + 5; 2.5 → 2
           Row{12, 0, Rounding::half_even, 6, 6},
           Row{13, 0, Rounding::half_even, 6, 6},  // 6.5 → 6
           Row{14, 0, Rounding::half_even, 6, 6},  // clamped
           Row{-10, 0, Rounding::floor, -5, -5},
           Row{-11, 0, Rounding::floor, -5, -5},  // clamped
           Row{kMax64, 0, Rounding::half_even, 6, 6},
           Row{kMin64, 3, Rounding::truncate, -5, -5},
       }) {
    for (const ScaleIn scale_in : {ScaleIn::float64, ScaleIn::float32}) {
      Requantization how = scaled_by(0.5, scale_in);
      how.zero_point = row.zero_point;
      how.lo = -5;
      how.hi = 6;
      how.rounding = row.rule;
      EXPECT_EQ(requantize(row.sum, how), row.after) << row.sum << " + " << row.zero_point;
      how.zero_point_before_rounding = true;
      EXPECT_EQ(requantize(row.sum, how), row.before) << row.sum << " + " << row.zero_point;
    }
  }
}

TEST(Requantize, RoundsToFloat32AfterTheProductInDouble) {
  // 2^24 + 1 is no float32: it ties to 2^24, one less.
  Requantization how = scaled_by(1);
  how.zero_point = -(1 << 24);
  EXPECT_EQ(requantize((1 << 24) + 1, how), 0);
  EXPECT_EQ(requantize((1 << 24) + 3, how), 4);
  EXPECT_EQ(requantize(25, scaled_by(0.1)), 2);
  EXPECT_EQ(requantize(35, scaled_by(0.1)), 4);
  EXPECT_EQ(requantize(-25, scaled_by(0.1)), -2);
  EXPECT_EQ(requantize(1'000'000'000, scaled_by(1e30)), 127);
  EXPECT_EQ(requantize(-1'000'000'000, scaled_by(1e30)), -128);
}

// In double, (2^24 + 1)·2^-24·2.5 is above 2.5 by more than half a step of float32; as float32, the
// sum is 2^24 and the product 2.5, a tie.
TEST(Requantize, RoundsTheSumBeforeTheProductInFloat32) {
  const double multiplier = 2.5 * 0x1p-24;
  const std::int64_t sum = (1 << 24) + 1;
  EXPECT_EQ(requantize(sum, scaled_by(multiplier, ScaleIn::float64)), 3);
  EXPECT_EQ(requantize(sum, scaled_by(multiplier, ScaleIn::float32)), 2);
  // The multiplier is rounded, too: float32(2.5 + 2^-30) is 2.5.
  EXPECT_EQ(requantize(1, scaled_by(2.5 + 0x1p-30, ScaleIn::float32)), 2);
}

struct FixedRow {
  double multiplier;
  std::int64_t sum;
  int code;
};

// gemmlowp: SaturatingRoundingDoublingHighMul(x, M) is (x·M + 2^30 or 1 − 2^30)/2^31 towards zero:
// its ties go up. RoundingDivideByPOT's go away from zero.
TEST(Requantize, IsGemmlowpsInFixedPoint) {
  for (const FixedRow& row : {
           // M = 2^30: one rounding, of a half.
           FixedRow{0.5, 5, 3},      // 2.5
           FixedRow{0.5, -5, -2},    // −2.5 goes up
           FixedRow{0.5, 4, 2},      //
           FixedRow{0.5, -3, -1},    // −1.5 goes up
           FixedRow{0.5, 1, 1},      // 0.5
           FixedRow{0.5, -1, 0},     // −0.5 goes up
                                     // M = 2^30, then a shift by 1: half of a half.
           FixedRow{0.25, 10, 3},    // 5, then 2.5
           FixedRow{0.25, -10, -3},  // −5, then −2.5
           FixedRow{0.25, 5, 2},     // 2.5 → 3, then 1.5 → 2, though 1.25 is nearer to 1
           FixedRow{0.25, -5, -1},   // −2.5 → −2, then −1
           FixedRow{0.25, -6, -2},   // −3, then −1.5
           FixedRow{0.25, -4, -1},
           FixedRow{0.125, -12, -2},  // −6, then −1.5
           FixedRow{0.125, -11, -1},  // −5.5 → −5, then −1.25
           FixedRow{0.125, 11, 2},    // 5.5 → 6, then 1.5
           // M = 0.75·2^31, no shift; 3 = 0.75·2^2.
           FixedRow{0.75, 10, 8},    // 7.5
           FixedRow{0.75, -10, -7},  // −7.5 goes up
           FixedRow{3, 5, 15},
           FixedRow{3, -5, -15},
           FixedRow{1, 100, 100},
           FixedRow{1, -128, -128},
           // M rounds to 2^31, which is 2^30 with a shift of one.
           FixedRow{1 - 0x1p-40, 3, 3},
           FixedRow{1 - 0x1p-40, -3, -3},
           FixedRow{0, 1'000'000, 0},
           FixedRow{-0.5, 4, -2},
           // Beyond the grid, up to the ends of what there is.
           FixedRow{1, 128, 127},
           FixedRow{1, -129, -128},
           FixedRow{0x1p30, 1, 127},
           FixedRow{0x1p30, kMax64, 127},
           FixedRow{0x1p30, kMin64, -128},
           FixedRow{1e300, 1, 127},
           FixedRow{1e300, 0, 0},
           FixedRow{-1e300, kMax64, -128},
           FixedRow{0x1p-57, std::int64_t{1} << 62, 32},
           FixedRow{0x1p-57, kMin64, -64},
           FixedRow{0x1p-61, kMax64, 4},
           FixedRow{0x1p-61, kMin64, -4},
           FixedRow{1e-300, kMax64, 0},
       }) {
    EXPECT_EQ(requantize(row.sum, scaled_by(row.multiplier, ScaleIn::fixed_point)), row.code)
        << row.sum << " by " << row.multiplier;
  }
}

TEST(Requantize, AddsTheZeroPointAfterTheShiftInFixedPoint) {
  Requantization how = scaled_by(0.25, ScaleIn::fixed_point);
  how.zero_point = 10;
  EXPECT_EQ(requantize(10, how), 13);
  EXPECT_EQ(requantize(-10, how), 7);
  how.zero_point_before_rounding = true;  // does not count
  how.rounding = Rounding::floor;
  EXPECT_EQ(requantize(10, how), 13);
  how.lo = 10;
  EXPECT_EQ(requantize(-10, how), 10);
  how.zero_point = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(requantize(kMax64, how), 127);
  how.zero_point = std::numeric_limits<std::int32_t>::min();
  EXPECT_EQ(requantize(kMin64, how), 10);
  how.multiplier = 1e300;
  EXPECT_EQ(requantize(1, how), 127);
}

TEST(Requantization, HasRulesByName) {
  ASSERT_FALSE(requantization_presets().empty());
  for (const auto& preset : requantization_presets()) {
    EXPECT_EQ(&requantization(preset.name), &preset.rules) << preset.name;
    EXPECT_FALSE(preset.title.empty());
  }
  EXPECT_EQ(requantization("gemmlowp").scale_in, ScaleIn::fixed_point);
  EXPECT_EQ(requantization("onnxruntime").scale_in, ScaleIn::float32);
  EXPECT_EQ(requantization("report-code").scale_in, ScaleIn::float64);
  EXPECT_TRUE(requantization("report-code").zero_point_before_rounding);
}

TEST(Requantization, NamesTheNearestOfThoseItKnows) {
  EXPECT_THAT(refusal([] { requantization("gemlowp"); }),
              AllOf(HasSubstr("'gemlowp'"), HasSubstr("nearest is gemmlowp")));
  EXPECT_THAT(refusal([] { requantization("onnx"); }), HasSubstr("nearest is onnxruntime"));
  EXPECT_THAT(refusal([] { requantization(""); }), HasSubstr("expected one of"));
}

}  // namespace
}  // namespace zeropoint
