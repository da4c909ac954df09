// One element by the definition, and what follows from it.
#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/quantize/qtensor.hpp"

#include "support/conventions.hpp"
#include "support/properties.hpp"
#include "support/random_values.hpp"

namespace zeropoint {
namespace {

constexpr IntegerGrid kInt8{8, true, false};

Convention with(Operation operation, ZeroPointOrder order, Rounding rounding) {
  Convention convention;
  convention.operation = operation;
  convention.order = order;
  convention.rounding = rounding;
  return convention;
}

// x/s = x here, so that every step can be followed by eye.
TEST(QuantizeOne, AddsTheZeroPointBeforeOrAfterRounding) {
  struct Row {
    float x;
    int zero_point;
    Rounding rounding;
    int before, after;
  };
  for (const Row& row : {
           Row{2.5F, 1, Rounding::half_even, 4, 3},    // 3.5 → 4; 2 + 1
           Row{2.5F, 2, Rounding::half_even, 4, 4},    // 4.5 → 4; 2 + 2
           Row{-2.5F, 10, Rounding::half_away, 8, 7},  // 7.5 → 8; −3 + 10
           Row{-2.5F, -10, Rounding::half_away, -13, -13},
           Row{-2.5F, 10, Rounding::truncate, 7, 8},    // 7.5 → 7; −2 + 10
           Row{2.5F, -10, Rounding::truncate, -7, -8},  // −7.5 → −7; 2 − 10
           Row{-2.5F, 10, Rounding::floor, 7, 7},
           Row{2.75F, -10, Rounding::floor, -8, -8},
       }) {
    for (const auto operation : {Operation::divide, Operation::multiply}) {
      const QuantParams params{1, row.zero_point};
      EXPECT_EQ(quantize_one(row.x, params, kInt8,
                             with(operation, ZeroPointOrder::before_rounding, row.rounding)),
                row.before)
          << row.x << " + " << row.zero_point;
      EXPECT_EQ(quantize_one(row.x, params, kInt8,
                             with(operation, ZeroPointOrder::after_rounding, row.rounding)),
                row.after)
          << row.x << ", " << row.zero_point;
    }
  }
}

// Dividing by s and multiplying by float32(1/s) differ in the last bit, and so at ties.
TEST(QuantizeOne, DividesOrMultipliesAsTold) {
  std::mt19937_64 random(61);
  int differ = 0;
  for (int turn = 0; turn < 100'000; ++turn) {
    const auto scale = static_cast<float>(testing::between(random, 0.001, 1));
    const auto n = static_cast<float>(testing::integer_between(random, -100, 100)) + 0.5F;
    const float x = n * scale;
    const auto divided =
        quantize_one(x, {scale, 0}, kInt8,
                     with(Operation::divide, ZeroPointOrder::before_rounding, Rounding::floor));
    const auto multiplied = quantize_one(
        x, {scale, 0}, kInt8,
        with(Operation::multiply, ZeroPointOrder::before_rounding, Rounding::half_even));
    const float quotient = x / scale;
    const float inverse = 1.0F / scale;
    const float product = x * inverse;
    ASSERT_EQ(divided, std::floor(quotient));
    ASSERT_EQ(multiplied, std::nearbyint(product));
    if (quotient != product) ++differ;
  }
  EXPECT_GT(differ, 1000);
}

TEST(QuantizeOne, TakesNaNAsZeroAndInfinityAsTheEnds) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto& convention : testing::every_elementwise_convention()) {
    bool clipped = true;
    EXPECT_EQ(quantize_one(std::nanf(""), {0.1F, 17}, kInt8, convention, &clipped), 17);
    EXPECT_FALSE(clipped);
    EXPECT_EQ(quantize_one(infinity, {0.1F, 17}, kInt8, convention, &clipped), 127);
    EXPECT_TRUE(clipped);
    clipped = false;
    EXPECT_EQ(quantize_one(-infinity, {0.1F, 17}, kInt8, convention, &clipped), -128);
    EXPECT_TRUE(clipped);
    EXPECT_EQ(quantize_one(-0.0F, {0.1F, 17}, kInt8, convention, nullptr), 17);
  }
}

TEST(QuantizeOne, CountsAsClippedWhatRoundsOffTheGridOnly) {
  const auto half_even =
      with(Operation::divide, ZeroPointOrder::after_rounding, Rounding::half_even);
  const auto floor = with(Operation::divide, ZeroPointOrder::after_rounding, Rounding::floor);
  struct Row {
    float x;
    const Convention& convention;
    int code;
    bool clipped;
  };
  for (const Row& row : {Row{127.49F, half_even, 127, false}, Row{127.5F, half_even, 127, true},
                         Row{-128.5F, half_even, -128, false}, Row{-128.6F, half_even, -128, true},
                         Row{127.99F, floor, 127, false}, Row{128, floor, 127, true},
                         Row{-128, floor, -128, false}, Row{-128.01F, floor, -128, true}}) {
    bool clipped = !row.clipped;
    EXPECT_EQ(quantize_one(row.x, {1, 0}, kInt8, row.convention, &clipped), row.code) << row.x;
    EXPECT_EQ(clipped, row.clipped) << row.x;
  }
}

// Random conventions, grids and parameters, as choose_params would give or not.
struct Case {
  Convention convention;
  IntegerGrid grid;
  QuantParams params;
};

Case random_case(std::mt19937_64& random) {
  const auto all = testing::every_elementwise_convention();
  Case c;
  c.convention = all[random() % all.size()];
  c.grid = testing::every_grid(2 + static_cast<int>(random() % 15))[random() % 4];
  c.params.scale = static_cast<float>(std::exp2(testing::between(random, -60, 60)));
  c.params.zero_point = static_cast<std::int32_t>(testing::integer_between(
      random, c.grid.lo() - c.grid.levels(), c.grid.hi() + c.grid.levels()));
  return c;
}

RC_GTEST_PROP(QuantizeOne, StaysWithinTheErrorOfItsRule, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  const auto [convention, grid, params] = random_case(random);
  for (int i = 0; i < 50; ++i) {
    const double code = testing::between(random, grid.lo() - 0.4, grid.hi() + 0.4);
    const auto x = static_cast<float>((code - params.zero_point) * params.scale);
    bool clipped = false;
    const auto q = quantize_one(x, params, grid, convention, &clipped);
    RC_ASSERT(q >= grid.lo() && q <= grid.hi());
    if (clipped) continue;
    const double error = double{x} - dequantize(q, params);
    const double most = testing::most_error(x, params, convention);
    RC_ASSERT(std::abs(error) <= most);
    if (convention.rounding == Rounding::floor) RC_ASSERT(error >= -(most - params.scale));
  }
}

RC_GTEST_PROP(QuantizeOne, NeverFallsAsItsArgumentRises, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  const auto [convention, grid, params] = random_case(random);
  auto values = testing::awkward_values();
  for (int i = 0; i < 100; ++i) {
    const double code = testing::between(random, grid.lo() - 3, grid.hi() + 3);
    const auto x = static_cast<float>((code - params.zero_point) * params.scale);
    values.push_back(x);
    values.push_back(std::nextafter(x, 0.0F));
  }
  std::ranges::sort(values);
  auto last = grid.lo();
  for (const float x : values) {
    const auto code = quantize_one(x, params, grid, convention);
    RC_ASSERT(code >= last);
    last = code;
  }
}

TEST(QTensor, HoldsCodesInTheNarrowestType) {
  for (int bits = 2; bits <= 16; ++bits) {
    EXPECT_EQ(make_codes({bits, true, false}, 1, 1).index(), bits <= 8 ? 0U : 2U) << bits;
    EXPECT_EQ(make_codes({bits, false, false}, 1, 1).index(), bits <= 8 ? 1U : 3U) << bits;
  }
  EXPECT_THROW(make_codes({17, true, false}, 1, 1), InputError);
}

TEST(QTensor, QuantizesAndGivesBack) {
  Matrix<float> x(2, 3);
  const float values[] = {-1, -0.25F, 0, 0.26F, 1, 99};
  std::copy_n(values, 6, x.data());
  for (const int bits : {8, 9}) {
    for (const bool is_signed : {true, false}) {
      const int z = is_signed ? 0 : 8;
      const QTensor q(x, {0.125F, z}, {bits, is_signed, false}, {});
      EXPECT_EQ(q.rows(), 2U);
      EXPECT_EQ(q.cols(), 3U);
      EXPECT_EQ(q.params(), (QuantParams{0.125F, z}));
      EXPECT_DOUBLE_EQ(q.clipped(), 1.0 / 6);
      const auto back = q.dequantized();
      const float top = 0.125F * static_cast<float>(q.grid().hi() - z);
      const float expected[] = {-1, -0.25F, 0, 0.25F, 1, top};
      for (int i = 0; i < 6; ++i) EXPECT_EQ(back.values()[i], expected[i]) << i;
    }
  }
  const QTensor empty(Matrix<float>(0, 5), {1, 0}, kInt8, {});
  EXPECT_EQ(empty.clipped(), 0);
  EXPECT_EQ(empty.cols(), 5U);
}

}  // namespace
}  // namespace zeropoint
