// The quantized product against three plain loops: exact equality for every pair of code types, on
// every instruction set of this machine.
#include "zeropoint/gemm/product.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/reference.hpp"

#include "gemm/kernel_int16.hpp"
#include "support/matrices.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::LaidOut;
using testing::Layout;
using testing::refusal;
using testing::WithThreads;

constexpr auto kMin32 = std::numeric_limits<std::int32_t>::min();
constexpr auto kMax32 = std::numeric_limits<std::int32_t>::max();

template <class A, class B>
struct Codes {
  using CodeA = A;
  using CodeB = B;
};

template <class Pair>
class Product : public ::testing::Test {
 protected:
  using A = typename Pair::CodeA;
  using B = typename Pair::CodeB;

  static Matrix<std::int64_t> fast(MatrixView<const A> a, MatrixView<const B> b, std::int32_t z_a,
                                   std::int32_t z_b) {
    Matrix<std::int64_t> s(a.rows, b.cols);
    std::vector<std::atomic<int>> calls(a.rows);
    product_rows<A, B>(a, b, z_a, z_b, [&](std::size_t i, std::span<const std::int64_t> row) {
      ++calls[i];
      ASSERT_EQ(row.size(), b.cols);
      std::ranges::copy(row, &s(i, 0));
    });
    if (b.cols > 0) {
      for (const auto& count : calls) EXPECT_EQ(count, 1) << "a row was not delivered just once";
    }
    return s;
  }

  static Matrix<std::int64_t> plain(MatrixView<const A> a, MatrixView<const B> b, std::int32_t z_a,
                                    std::int32_t z_b) {
    Matrix<std::int64_t> s(a.rows, b.cols);
    triple_loop_product<A, B>(a, b, z_a, z_b, s.view());
    return s;
  }

  static void expect_equal(MatrixView<const A> a, MatrixView<const B> b, std::int32_t z_a,
                           std::int32_t z_b) {
    const auto found = fast(a, b, z_a, z_b);
    const auto expected = plain(a, b, z_a, z_b);
    ASSERT_TRUE(std::ranges::equal(found.values(), expected.values()))
        << a.rows << "x" << a.cols << "x" << b.cols << ", zero points " << z_a << ", " << z_b;
  }

  // A shape with random codes, layouts and zero points, the latter also off the grid.
  static void expect_equal(std::mt19937_64& random, std::size_t m, std::size_t k, std::size_t n) {
    const LaidOut<A> a(m, k, testing::kLayouts[random() % 4],
                       [&] { return testing::any_code<A>(random); });
    const LaidOut<B> b(k, n, testing::kLayouts[random() % 4],
                       [&] { return testing::any_code<B>(random); });
    const auto zero_point = [&]() -> std::int32_t {
      switch (random() % 4) {
        case 0:
          return 0;
        case 1:
          return static_cast<std::int32_t>(testing::integer_between(random, -70'000, 70'000));
        default:
          return static_cast<std::int32_t>(testing::integer_between(random, -128, 255));
      }
    };
    const auto z_a = zero_point();
    const auto z_b = zero_point();
    expect_equal(a.view(), b.view(), z_a, z_b);
  }
};

using I8 = std::int8_t;
using U8 = std::uint8_t;
using I16 = std::int16_t;
using U16 = std::uint16_t;
using Pairs = ::testing::Types<Codes<I8, I8>, Codes<I8, U8>, Codes<I8, I16>, Codes<I8, U16>,
                               Codes<U8, I8>, Codes<U8, U8>, Codes<U8, I16>, Codes<U8, U16>,
                               Codes<I16, I8>, Codes<I16, U8>, Codes<I16, I16>, Codes<I16, U16>,
                               Codes<U16, I8>, Codes<U16, U8>, Codes<U16, I16>, Codes<U16, U16>>;
TYPED_TEST_SUITE(Product, Pairs);

// Each dimension from 0 to twice the tile and one, the others odd and beyond a tile.
TYPED_TEST(Product, EqualsThreeLoopsAtEveryEdgeOfATile) {
  testing::on_every_target([&] {
    std::mt19937_64 random(71);
    constexpr auto rows = int16_kernel::kRows;
    const auto cols = int16_kernel::cols();
    for (std::size_t m = 0; m <= 2 * rows + 1; ++m) this->expect_equal(random, m, 7, cols + 1);
    for (std::size_t n = 0; n <= 2 * cols + 1; ++n) this->expect_equal(random, rows + 1, 5, n);
    for (std::size_t k = 0; k <= 17; ++k) this->expect_equal(random, rows + 1, k, cols + 1);
  });
}

// CodeA block of k holds 256, a block of rows 48.
TYPED_TEST(Product, EqualsThreeLoopsAtTheEdgesOfBlocks) {
  testing::on_every_target([&] {
    std::mt19937_64 random(72);
    for (const std::size_t k : {254, 255, 256, 257, 258, 511, 512, 513, 769}) {
      this->expect_equal(random, 3, k, 5);
    }
    for (const std::size_t m : {47, 48, 49, 95, 96, 97, 145}) this->expect_equal(random, m, 9, 13);
    this->expect_equal(random, 1, 1, 1);
    this->expect_equal(random, 53, 259, 101);
  });
}

// Where every product is as large as it can be, int32 holds 32768 of them and no more.
TYPED_TEST(Product, HoldsTheLargestSumsBeyondInt32) {
  using CodeA = typename TypeParam::CodeA;
  using CodeB = typename TypeParam::CodeB;
  testing::on_every_target([&] {
    for (const std::size_t k : {32'767, 32'768, 32'769, 65'537}) {
      for (const CodeA a_code :
           {std::numeric_limits<CodeA>::min(), std::numeric_limits<CodeA>::max()}) {
        for (const CodeB b_code :
             {std::numeric_limits<CodeB>::min(), std::numeric_limits<CodeB>::max()}) {
          if (a_code == 0 || b_code == 0) continue;
          // One element, seen as a matrix by strides of 0.
          const MatrixView<const CodeA> a{&a_code, 5, k, 0, 0};
          const MatrixView<const CodeB> b{&b_code, k, 2, 0, 0};
          const std::int64_t z_a = -3, z_b = 200;
          const auto s = this->fast(a, b, z_a, z_b);
          const auto expected = static_cast<std::int64_t>(k) * (a_code - z_a) * (b_code - z_b);
          for (const auto sum : s.values()) ASSERT_EQ(sum, expected) << k;
        }
      }
    }
  });
}

TYPED_TEST(Product, EqualsThreeLoopsOnHostileCodesBeyondASegment) {
  std::mt19937_64 random(73);
  this->expect_equal(random, 2, 32'771, 3);
}

TYPED_TEST(Product, TakesAnyZeroPointWhoseSumsFit) {
  using CodeA = typename TypeParam::CodeA;
  using CodeB = typename TypeParam::CodeB;
  std::mt19937_64 random(74);
  const LaidOut<CodeA> a(5, 9, Layout::row_major, [&] { return testing::any_code<CodeA>(random); });
  const LaidOut<CodeB> b(9, 7, Layout::row_major, [&] { return testing::any_code<CodeB>(random); });
  for (const auto z : {kMin32, kMax32, -65'536, 65'536}) {
    this->expect_equal(a.view(), b.view(), z, 0);
    this->expect_equal(a.view(), b.view(), 0, z);
    this->expect_equal(a.view(), b.view(), z, -77);
    this->expect_equal(a.view(), b.view(), 255, z);
  }
  const LaidOut<CodeA> column(5, 1, Layout::row_major,
                              [&] { return testing::any_code<CodeA>(random); });
  const LaidOut<CodeB> row(1, 7, Layout::row_major,
                           [&] { return testing::any_code<CodeB>(random); });
  for (const auto z_a : {kMin32, kMax32}) {
    for (const auto z_b : {kMin32, kMax32}) this->expect_equal(column.view(), row.view(), z_a, z_b);
  }
}

// Shapes with enough work to be shared out: of the product's rows, and of the packing of B.
TYPED_TEST(Product, IsTheSameOnAnyNumberOfThreadsAndForSeveralCallers) {
  using CodeA = typename TypeParam::CodeA;
  using CodeB = typename TypeParam::CodeB;
  std::mt19937_64 random(75);
  for (const auto& [m, k, n] : {std::array<std::size_t, 3>{301, 151, 150}, {21, 1001, 301}}) {
    const LaidOut<CodeA> a(m, k, Layout::column_major,
                           [&] { return testing::any_code<CodeA>(random); });
    const LaidOut<CodeB> b(k, n, Layout::padded, [&] { return testing::any_code<CodeB>(random); });
    const auto expected = this->plain(a.view(), b.view(), 3, -4);
    for (const int count : {1, 2, 3, 7}) {
      const WithThreads with(count);
      const auto found = this->fast(a.view(), b.view(), 3, -4);
      EXPECT_TRUE(std::ranges::equal(found.values(), expected.values())) << count << " threads";
    }
    std::atomic<int> right{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
      callers.emplace_back([&] {
        const auto found = this->fast(a.view(), b.view(), 3, -4);
        if (std::ranges::equal(found.values(), expected.values())) ++right;
      });
    }
    for (auto& caller : callers) caller.join();
    EXPECT_EQ(right, 3);
  }
}

TYPED_TEST(Product, GivesInt32Dequantized) {
  using CodeA = typename TypeParam::CodeA;
  using CodeB = typename TypeParam::CodeB;
  std::mt19937_64 random(76);
  // Codes of 16 bits reach int32's end with two terms; a zero point in the middle leaves three.
  const std::size_t k = sizeof(CodeA) + sizeof(CodeB) == 4 ? 1 : 11;
  const std::int32_t z_a = std::is_signed_v<CodeA> ? 1 : 1 << (8 * sizeof(CodeA) - 1);
  const std::int32_t z_b = std::is_signed_v<CodeB> ? -2 : 1 << (8 * sizeof(CodeB) - 1);
  for (const auto layout : testing::kLayouts) {
    const LaidOut<CodeA> a(7, k, layout, [&] { return testing::any_code<CodeA>(random); });
    const LaidOut<CodeB> b(k, 9, layout, [&] { return testing::any_code<CodeB>(random); });
    const auto sums = this->plain(a.view(), b.view(), z_a, z_b);
    LaidOut<std::int32_t> integers(7, 9, layout, [] { return 0; });
    product_int32<CodeA, CodeB>(a.view(), b.view(), z_a, z_b, integers.view());
    LaidOut<float> reals(7, 9, layout, [] { return 0.0F; });
    const double scale = 1.0 / 3;
    product_dequantized<CodeA, CodeB>(a.view(), b.view(), z_a, z_b, scale, reals.view());
    for (std::size_t i = 0; i < 7; ++i) {
      for (std::size_t j = 0; j < 9; ++j) {
        ASSERT_EQ(integers.view()(i, j), sums(i, j));
        ASSERT_EQ(reals.view()(i, j), static_cast<float>(scale * static_cast<double>(sums(i, j))));
      }
    }
  }
}

template <class Code>
Requantization onto_all_of(double multiplier, std::int32_t zero_point) {
  return {multiplier, zero_point, std::numeric_limits<Code>::min(),
          std::numeric_limits<Code>::max()};
}

TYPED_TEST(Product, GivesRequantizedCodesOfEveryType) {
  using CodeA = typename TypeParam::CodeA;
  using CodeB = typename TypeParam::CodeB;
  std::mt19937_64 random(77);
  const LaidOut<CodeA> a(6, 13, Layout::padded, [&] { return testing::any_code<CodeA>(random); });
  const LaidOut<CodeB> b(13, 8, Layout::backwards,
                         [&] { return testing::any_code<CodeB>(random); });
  const auto sums = this->plain(a.view(), b.view(), 5, -6);
  const auto check = [&]<class Y>(Y) {
    // Some sums fall off the grid, most do not.
    const auto [low, high] = std::ranges::minmax(sums.values());
    auto how =
        onto_all_of<Y>(1.3 * std::numeric_limits<Y>::max() / static_cast<double>(high - low), 2);
    for (const bool before : {false, true}) {
      for (const auto rule :
           {Rounding::half_even, Rounding::half_away, Rounding::floor, Rounding::truncate}) {
        how.rounding = rule;
        how.zero_point_before_rounding = before;
        LaidOut<Y> out(6, 8, Layout::column_major, [] { return Y{}; });
        product_requantized<CodeA, CodeB, Y>(a.view(), b.view(), 5, -6, how, out.view());
        for (std::size_t i = 0; i < 6; ++i) {
          for (std::size_t j = 0; j < 8; ++j) {
            ASSERT_EQ(out.view()(i, j), requantize(sums(i, j), how)) << i << ", " << j;
          }
        }
      }
    }
  };
  check(I8{});
  check(U8{});
  check(I16{});
  check(U16{});
}

TYPED_TEST(Product, RefusesShapesThatDoNotMultiply) {
  using CodeA = typename TypeParam::CodeA;
  using CodeB = typename TypeParam::CodeB;
  const LaidOut<CodeA> a(2, 3, Layout::row_major, [] { return CodeA{}; });
  const LaidOut<CodeB> b(4, 5, Layout::row_major, [] { return CodeB{}; });
  const LaidOut<CodeB> fits(3, 5, Layout::row_major, [] { return CodeB{}; });
  const auto no_sink = [](std::size_t, std::span<const std::int64_t>) { FAIL(); };
  EXPECT_THAT(refusal([&] { product_rows<CodeA, CodeB>(a.view(), b.view(), 0, 0, no_sink); }),
              AllOf(HasSubstr("2x3"), HasSubstr("4x5")));
  Matrix<std::int32_t> integers(2, 4);
  EXPECT_THAT(
      refusal([&] { product_int32<CodeA, CodeB>(a.view(), fits.view(), 0, 0, integers.view()); }),
      AllOf(HasSubstr("2x5"), HasSubstr("2x4")));
  Matrix<float> reals(3, 5);
  EXPECT_THAT(refusal([&] {
                product_dequantized<CodeA, CodeB>(a.view(), fits.view(), 0, 0, 1, reals.view());
              }),
              AllOf(HasSubstr("2x5"), HasSubstr("3x5")));
  Matrix<I8> codes(5, 2);
  EXPECT_THAT(refusal([&] {
                product_requantized<CodeA, CodeB, I8>(a.view(), fits.view(), 0, 0, {},
                                                      codes.view());
              }),
              AllOf(HasSubstr("2x5"), HasSubstr("5x2")));
}

}  // namespace
}  // namespace zeropoint
