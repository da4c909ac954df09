// What the products refuse, requantization by hand, and the references themselves.
#include <algorithm>
#include <limits>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/product.hpp"
#include "zeropoint/gemm/reference.hpp"

#include "support/matrices.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using testing::LaidOut;
using testing::Layout;
using testing::refusal;

constexpr auto kMin32 = std::numeric_limits<std::int32_t>::min();
constexpr auto kMax64 = std::numeric_limits<std::int64_t>::max();

// One code seen as a 1×k and a k×1 matrix by strides of 0: no memory, however large k.
template <class A, class B>
std::string int32_refusal(std::size_t k, A a_code, B b_code, std::int32_t z_a, std::int32_t z_b) {
  Matrix<std::int32_t> out(1, 1);
  const auto said = refusal([&] {
    product_int32<A, B>({&a_code, 1, k, 0, 0}, {&b_code, k, 1, 0, 0}, z_a, z_b, out.view());
  });
  if (said == "no refusal") {
    EXPECT_EQ(out(0, 0), static_cast<std::int64_t>(k) * (a_code - z_a) * (b_code - z_b));
  }
  return said;
}

// The depths up to which no codes can overflow int32: (2^31 − 1)/(max|a|·max|b|).
TEST(ProductInt32, IsExactUpToItsLimitAndRefusesBeyond) {
  using I8 = std::int8_t;
  using U8 = std::uint8_t;
  EXPECT_EQ((int32_refusal<I8, I8>(131'071, -128, -128, 0, 0)), "no refusal");
  EXPECT_THAT((int32_refusal<I8, I8>(131'072, 0, 0, 0, 0)), HasSubstr("k = 131072"));
  EXPECT_EQ((int32_refusal<U8, I8>(65'793, 255, -128, 0, 0)), "no refusal");
  EXPECT_THAT((int32_refusal<U8, I8>(65'794, 0, 0, 0, 0)), HasSubstr("k = 65794"));
  EXPECT_EQ((int32_refusal<U8, U8>(33'025, 255, 255, 0, 0)), "no refusal");
  EXPECT_THAT((int32_refusal<U8, U8>(33'026, 0, 0, 0, 0)), HasSubstr("k = 33026"));
  // A zero point in the middle halves the reach of unsigned codes, one at the end doubles it.
  EXPECT_EQ((int32_refusal<U8, U8>(131'071, 0, 0, 128, 128)), "no refusal");
  EXPECT_THAT((int32_refusal<I8, I8>(33'026, 0, 0, 127, -128)), HasSubstr("127 and -128"));
  EXPECT_EQ((int32_refusal<I8, I8>(33'025, -128, 127, 127, -128)), "no refusal");
  EXPECT_EQ((int32_refusal<std::int16_t, std::int16_t>(1, -32'768, -32'768, 0, 0)), "no refusal");
  EXPECT_THAT((int32_refusal<std::uint16_t, std::uint16_t>(1, 0, 0, 0, 0)), HasSubstr("int32"));
}

TEST(ProductRows, RefusesSumsBeyond64Bits) {
  const std::int8_t one = 1;
  const auto rows = [&](std::size_t k, std::int32_t z_a, std::int32_t z_b) {
    return refusal([&] {
      product_rows<std::int8_t, std::int8_t>({&one, 1, k, 0, 0}, {&one, k, 1, 0, 0}, z_a, z_b,
                                             [](std::size_t, std::span<const std::int64_t>) {});
    });
  };
  EXPECT_EQ(rows(1, kMin32, kMin32), "no refusal");
  EXPECT_THAT(rows(2, kMin32, kMin32), HasSubstr("64 bits"));
  EXPECT_EQ(rows(2, kMin32, -(1 << 30)), "no refusal");
}

// S fits 64 bits, z_b times a row's sum does not.
TEST(ProductRows, IsExactWhereTheTermsOfTheExpansionOverflow) {
  constexpr std::size_t k = 70'000;
  const std::uint16_t a = 65'535;
  const std::uint16_t b = 0;
  std::int64_t found = 0;
  product_rows<std::uint16_t, std::uint16_t>(
      {&a, 1, k, 0, 0}, {&b, k, 1, 0, 0}, 32'768, kMin32,
      [&](std::size_t, std::span<const std::int64_t> row) { found = row[0]; });
  EXPECT_EQ(found, std::int64_t{k} * 32'767 * (std::int64_t{1} << 31));
}

TEST(ProductRows, CarriesAnExceptionOfTheSink) {
  const LaidOut<std::int8_t> a(200, 3, Layout::row_major, [] { return std::int8_t{1}; });
  const LaidOut<std::int8_t> b(3, 2, Layout::row_major, [] { return std::int8_t{1}; });
  const testing::WithThreads with(3);
  EXPECT_THROW(
      (product_rows<std::int8_t, std::int8_t>(a.view(), b.view(), 0, 0,
                                              [](std::size_t i, std::span<const std::int64_t>) {
                                                if (i == 100) throw std::runtime_error("disk full");
                                              })),
      std::runtime_error);
}

TEST(ProductRequantized, RefusesAnOutputGridThatItsTypeDoesNotHold) {
  const LaidOut<std::int8_t> a(1, 1, Layout::row_major, [] { return std::int8_t{-100}; });
  const auto product = [&]<class Y>(Y, std::int32_t lo, std::int32_t hi) {
    Matrix<Y> out(1, 1);
    return refusal([&] {
      product_requantized<std::int8_t, std::int8_t, Y>(a.view(), a.view(), 0, 0, {1, 0, lo, hi},
                                                       out.view());
    });
  };
  EXPECT_EQ(product(std::int8_t{}, -128, 127), "no refusal");
  EXPECT_EQ(product(std::uint8_t{}, 0, 255), "no refusal");
  EXPECT_THAT(product(std::uint8_t{}, -128, 127), HasSubstr("[0, 255]"));
  EXPECT_THAT(product(std::int8_t{}, 0, 255), HasSubstr("[-128, 127]"));
  EXPECT_THAT(product(std::int8_t{}, 1, 0), HasSubstr("found [1, 0]"));
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
           Row{std::numeric_limits<std::int64_t>::min(), 3, Rounding::truncate, -5, -5},
       }) {
    EXPECT_EQ(requantize(row.sum, {0.5, row.zero_point, -5, 6, row.rule, false}), row.after)
        << row.sum << " + " << row.zero_point;
    EXPECT_EQ(requantize(row.sum, {0.5, row.zero_point, -5, 6, row.rule, true}), row.before)
        << row.sum << " + " << row.zero_point;
  }
}

TEST(Requantize, RoundsToFloat32AfterTheProductInDouble) {
  // 2^24 + 1 is no float32: it ties to 2^24, one less.
  const Requantization how{1, -(1 << 24), -128, 127, Rounding::half_even, false};
  EXPECT_EQ(requantize((1 << 24) + 1, how), 0);
  EXPECT_EQ(requantize((1 << 24) + 3, how), 4);
  // In double 0.1·25 is 2.5 and ties to 2; in float32 0.1F·25 would be 2.5 too, but 0.1F·(10^9+5)…
  const Requantization tenth{0.1, 0, -128, 127, Rounding::half_even, false};
  EXPECT_EQ(requantize(25, tenth), 2);
  EXPECT_EQ(requantize(35, tenth), 4);
  EXPECT_EQ(requantize(-25, tenth), -2);
  const Requantization large{1e30, 0, -128, 127, Rounding::half_even, false};
  EXPECT_EQ(requantize(1'000'000'000, large), 127);
  EXPECT_EQ(requantize(-1'000'000'000, large), -128);
}

// A 2×3 by 3×2 product done by hand.
TEST(TripleLoopProduct, IsTheDefinition) {
  const std::int8_t a[] = {1, -2, 3, 4, 5, -6};
  const std::uint8_t b[] = {7, 0, 255, 2, 1, 9};
  const MatrixView<const std::int8_t> view_a{a, 2, 3, 3, 1};
  const MatrixView<const std::uint8_t> view_b{b, 3, 2, 2, 1};
  Matrix<std::int64_t> s(2, 2);
  triple_loop_product(view_a, view_b, 0, 0, s.view());
  EXPECT_EQ(s(0, 0), 7 - 510 + 3);
  EXPECT_EQ(s(0, 1), 0 - 4 + 27);
  EXPECT_EQ(s(1, 0), 28 + 1275 - 6);
  EXPECT_EQ(s(1, 1), 0 + 10 - 54);
  triple_loop_product(view_a, view_b, 1, 2, s.view());
  EXPECT_EQ(s(0, 0), 0 * 5 + -3 * 253 + 2 * -1);
  EXPECT_EQ(s(1, 1), 3 * -2 + 4 * 0 + -7 * 7);
}

TEST(OuterProductProduct, EqualsThreeLoops) {
  std::mt19937_64 random(81);
  for (const std::size_t m : {0, 1, 5, 31}) {
    for (const std::size_t k : {0, 1, 2, 33}) {
      for (const std::size_t n : {0, 1, 7}) {
        for (const auto layout : testing::kLayouts) {
          const auto code = [&] { return testing::any_code<std::int8_t>(random); };
          const LaidOut<std::int8_t> a(m, k, layout, code);
          const LaidOut<std::int8_t> b(k, n, layout, code);
          const auto z_a = static_cast<std::int32_t>(testing::integer_between(random, -300, 300));
          const auto z_b = static_cast<std::int32_t>(testing::integer_between(random, -300, 300));
          Matrix<std::int64_t> expected(m, n);
          triple_loop_product<std::int8_t, std::int8_t>(a.view(), b.view(), z_a, z_b,
                                                        expected.view());
          LaidOut<std::int32_t> out(m, n, layout, [] { return -1; });
          outer_product_product(a.view(), b.view(), z_a, z_b, out.view());
          for (std::size_t i = 0; i < m; ++i) {
            for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(out.view()(i, j), expected(i, j));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace zeropoint
