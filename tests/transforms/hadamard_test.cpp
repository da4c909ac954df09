// Hadamard matrices as they are constructed, and rotations against the matrices.
#include "zeropoint/transforms/hadamard.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"
#include "transforms/paley.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

Matrix<float> random_matrix(std::size_t rows, std::size_t cols, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  Matrix<float> x(rows, cols);
  for (auto& value : x.values()) value = static_cast<float>(testing::between(random, -1, 1));
  return x;
}

Matrix<float> copy_of(const Matrix<float>& x) {
  Matrix<float> copy(x.rows(), x.cols());
  std::ranges::copy(x.values(), copy.values().begin());
  return copy;
}

void expect_hadamard(const std::vector<std::int8_t>& matrix, std::size_t order) {
  ASSERT_EQ(matrix.size(), order * order);
  for (const auto entry : matrix) ASSERT_EQ(std::abs(entry), 1);
  for (std::size_t i = 0; i < order; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      int sum = 0;
      for (std::size_t l = 0; l < order; ++l) sum += matrix[i * order + l] * matrix[j * order + l];
      ASSERT_EQ(sum, i == j ? static_cast<int>(order) : 0) << order << ": " << i << ", " << j;
    }
  }
}

TEST(Paley, EveryMatrixHasOrthogonalRows) {
  std::vector<std::size_t> orders;
  for (std::size_t order = 1; order <= kLargestPaley + 8; ++order) {
    if (!has_paley_order(order)) continue;
    orders.push_back(order);
    expect_hadamard(paley_matrix(order), order);
  }
  // All multiples of 4 below 92 but 4·10 and 4·14 … which have a smaller one; 28, 52, 100, 244 and
  // 344 by fields that are not the integers modulo a prime.
  for (const std::size_t order :
       {12, 20, 24, 28, 36, 44, 48, 52, 60, 68, 72, 76, 80, 84, 100, 108, 140, 148, 172 * 2, 244}) {
    EXPECT_THAT(orders, ::testing::Contains(order));
  }
  for (const std::size_t order : {0, 1, 2, 3, 6, 40, 56, 92, 116}) {
    EXPECT_THAT(orders, ::testing::Not(::testing::Contains(order)));
  }
}

TEST(Hadamard, OrdersAndWhatLengthsAreRotatedBy) {
  for (const std::size_t order : {1, 2, 4, 8, 12, 24, 40, 96, 768, 1536, 5120, 6656, 11008, 12288,
                                  13824, 14336, 17920, 18944, 28672}) {
    EXPECT_TRUE(has_hadamard_order(order)) << order;
    EXPECT_EQ(hadamard_order_for(order), order);
  }
  for (const std::size_t order : {0, 3, 5, 6, 10, 50, 92, 1000, 1009}) {
    EXPECT_FALSE(has_hadamard_order(order)) << order;
  }
  EXPECT_EQ(hadamard_order_for(0), 0U);
  EXPECT_EQ(hadamard_order_for(3), 2U);
  EXPECT_EQ(hadamard_order_for(100), 100U);
  EXPECT_EQ(hadamard_order_for(1000), 960U);
  for (std::size_t length = 1; length < 5000; ++length) {
    const std::size_t order = hadamard_order_for(length);
    ASSERT_TRUE(has_hadamard_order(order));
    ASSERT_LE(order, length);
    ASSERT_GT(2 * order, length) << length;
    ASSERT_TRUE(length < 72 || 9 * order > 8 * length) << length;
  }
  for (const std::size_t order : {1, 2, 8, 12, 24, 40, 56, 96, 144}) {
    expect_hadamard(hadamard_matrix(order), order);
  }
  EXPECT_THAT(testing::refusal([] { hadamard_matrix(92); }), HasSubstr("found 92"));
}

// What a rotation is, in double: the matrix on the first numbers, and where it is shorter on the
// last ones, too, with the signs found from what a rotation makes of unit vectors.
TEST(Rotation, IsTheMatrix) {
  for (const std::size_t n :
       {1,   2,   4,   8,   12,  16,  20,  24,   32,   40,   48,   64,   96,   112,
        128, 160, 256, 352, 512, 576, 688, 1024, 2048, 4096, 6144, 8192, 16384}) {
    const auto matrix = n <= 1024 ? hadamard_matrix(n) : std::vector<std::int8_t>();
    const auto x = random_matrix(3, n);
    auto y = copy_of(x);
    Rotation(n).apply(y.view(), Along::rows);
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t i = 0; i < n; i += n <= 1024 ? 1 : n / 64 + 1) {
        double sum = 0;
        for (std::size_t j = 0; j < n; ++j) {
          if (n <= 1024) {
            sum += matrix[i * n + j] * double{x(row, j)};
          } else {  // 6144 = 12·512, whose Paley part is tested above
            if (!std::has_single_bit(n)) break;
            sum += (std::popcount(i & j) % 2 != 0 ? -1 : 1) * double{x(row, j)};
          }
        }
        if (n > 1024 && !std::has_single_bit(n)) continue;
        ASSERT_NEAR(y(row, i), sum / std::sqrt(static_cast<double>(n)), 2e-6) << n;
      }
    }
  }
}

TEST(Rotation, KeepsProductsAndComesBackForAnyLengthAndSeed) {
  std::mt19937_64 random(3);
  for (std::size_t n = 1; n < 3000; n += n < 140 ? 1 : 97) {
    const auto x = random_matrix(2, n, 7), z = random_matrix(2, n, 8);
    for (const auto seed : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(0),
                            std::optional<std::uint64_t>(random())}) {
      const Rotation rotation(n, seed);
      auto y = copy_of(x), w = copy_of(z);
      rotation.apply(y.view(), Along::rows);
      rotation.apply(w.view(), Along::rows);
      double before = 0, after = 0, size = 0;
      for (std::size_t j = 0; j < n; ++j) {
        before += double{x(0, j)} * double{z(1, j)};
        after += double{y(0, j)} * double{w(1, j)};
        size += std::abs(double{x(0, j)} * double{z(1, j)});
      }
      ASSERT_NEAR(before, after, 1e-6 * size + 1e-7) << n;
      rotation.invert(y.view(), Along::rows);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x.data()[i], y.data()[i], 2e-6) << n;
    }
  }
}

// A single number goes to as many as the order, of one magnitude; where two matrices are taken,
// nowhere more than a few times what an even spread would be.
TEST(Rotation, SpreadsEveryNumber) {
  for (const std::size_t n : {64, 96, 100, 352, 1000, 1009, 1023, 2047}) {
    const Rotation rotation(n);
    Matrix<float> x(n, n);
    std::ranges::fill(x.values(), 0.0F);
    for (std::size_t i = 0; i < n; ++i) x(i, i) = 1;
    rotation.apply(x.view(), Along::rows);
    const auto even = static_cast<float>(1 / std::sqrt(static_cast<double>(rotation.order())));
    float most = 0;
    for (const float value : x.values()) most = std::max(most, std::abs(value));
    if (rotation.order() == n) {
      EXPECT_NEAR(most, even, 1e-6 * even) << n;
    } else {
      EXPECT_LT(most, 6 * even) << n;  // random signs: n² values of a normal distribution
    }
  }
}

TEST(Rotation, ColumnsAndViewsGiveTheSameBits) {
  for (const std::size_t n : {1, 3, 12, 16, 33, 64, 100, 240, 1000, 1024, 4096, 8192}) {
    const Rotation rotation(n, 5);
    const auto x = random_matrix(37, n);
    auto rows = copy_of(x);
    rotation.apply(rows.view(), Along::rows);
    Matrix<float> transposed(n, 37);
    for (std::size_t i = 0; i < 37; ++i) {
      for (std::size_t j = 0; j < n; ++j) transposed(j, i) = x(i, j);
    }
    rotation.apply(transposed.view(), Along::columns);
    // Every third number of a wider matrix.
    Matrix<float> wide(37, 3 * n);
    std::ranges::fill(wide.values(), 7.0F);
    const MatrixView<float> thirds{wide.data(), 37, n, static_cast<std::ptrdiff_t>(3 * n), 3};
    for (std::size_t i = 0; i < 37; ++i) {
      for (std::size_t j = 0; j < n; ++j) thirds(i, j) = x(i, j);
    }
    rotation.apply(thirds, Along::rows);
    for (std::size_t i = 0; i < 37; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        ASSERT_EQ(rows(i, j), transposed(j, i)) << n;
        ASSERT_EQ(rows(i, j), thirds(i, j)) << n;
        ASSERT_EQ(wide(i, 3 * j + 1), 7.0F);
      }
    }
  }
}

TEST(Rotation, SameBitsOnEveryInstructionSetAndThreadCount) {
  for (const std::size_t n : {2, 8, 12, 20, 64, 100, 129, 688, 1000, 4096, 12288, 16384}) {
    const std::size_t rows = 300000 / n + 1;
    const auto x = random_matrix(rows, n);
    const auto expected = [&] {
      const testing::WithThreads one(1);
      auto y = copy_of(x);
      Rotation(n, 9).apply(y.view(), Along::rows);
      return y;
    }();
    testing::on_every_target([&] {
      for (const int threads : {1, 3}) {
        const testing::WithThreads with(threads);
        const Rotation rotation(n, 9);
        auto y = copy_of(x);
        rotation.apply(y.view(), Along::rows);
        ASSERT_EQ(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)), 0) << n;
        auto back = copy_of(y);
        rotation.invert(back.view(), Along::rows);
        rotation.invert(y.view(), Along::rows);
        ASSERT_EQ(std::memcmp(y.data(), back.data(), y.size() * sizeof(float)), 0) << n;
      }
    });
  }
}

TEST(Rotation, LinesOfAnotherLengthAreRefusedAndNoneAreDone) {
  Matrix<float> x(2, 8);
  EXPECT_THAT(testing::refusal([&] { Rotation(7).apply(x.view(), Along::rows); }),
              HasSubstr("lines of 7 numbers, found 8"));
  Matrix<float> none(0, 8);
  Rotation(8).apply(none.view(), Along::rows);
  Matrix<float> empty(8, 0);
  Rotation(0).apply(empty.view(), Along::rows);
  EXPECT_EQ(Rotation(0).order(), 0U);
}

TEST(Rotation, SeedsAreDifferentRotations) {
  const auto x = random_matrix(1, 64);
  auto a = copy_of(x), b = copy_of(x), plain = copy_of(x);
  Rotation(64, 1).apply(a.view(), Along::rows);
  Rotation(64, 2).apply(b.view(), Along::rows);
  Rotation(64).apply(plain.view(), Along::rows);
  EXPECT_NE(std::memcmp(a.data(), b.data(), 256), 0);
  EXPECT_NE(std::memcmp(a.data(), plain.data(), 256), 0);
}

}  // namespace
}  // namespace zeropoint
