#include "zeropoint/gemm/float_product.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::WithThreads;

Matrix<float> random_matrix(std::mt19937_64& random, std::size_t rows, std::size_t cols) {
  Matrix<float> x(rows, cols);
  for (float& v : x.values()) v = static_cast<float>(testing::between(random, -1, 1));
  return x;
}

bool same_bits(const Matrix<float>& x, const Matrix<float>& y) {
  return std::ranges::equal(x.values(), y.values(), [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  });
}

// |computed − exact| ≤ γ_k Σ|a||b|, γ_k = k·u/(1 − k·u): N. J. Higham, Accuracy and Stability of
// Numerical Algorithms, 2nd ed., equation 3.13. It holds for any order of summation.
void expect_within_bound(const Matrix<float>& a, const Matrix<float>& b, const Matrix<float>& y) {
  ASSERT_EQ(y.rows(), a.rows());
  ASSERT_EQ(y.cols(), b.cols());
  const double ku = static_cast<double>(a.cols()) * 0x1p-24;
  std::vector<double> exact(b.cols());
  std::vector<double> magnitude(b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i) {
    std::ranges::fill(exact, 0.0);
    std::ranges::fill(magnitude, 0.0);
    for (std::size_t l = 0; l < a.cols(); ++l) {
      for (std::size_t j = 0; j < b.cols(); ++j) {
        const double term = double{a(i, l)} * b(l, j);
        exact[j] += term;
        magnitude[j] += std::abs(term);
      }
    }
    for (std::size_t j = 0; j < b.cols(); ++j) {
      const double bound = (ku / (1 - ku) + 1e-12) * magnitude[j];
      ASSERT_LE(std::abs(y(i, j) - exact[j]), bound)
          << i << ", " << j << " of " << a.rows() << "x" << a.cols() << "x" << b.cols();
    }
  }
}

struct Shape {
  std::size_t m, k, n;
};

TEST(FloatProduct, IsWithinTheErrorBoundOfAnySummation) {
  std::mt19937_64 random(91);
  for (const auto& [m, k, n] :
       {Shape{1, 1, 1}, Shape{1, 7, 1}, Shape{3, 1, 5}, Shape{17, 33, 65}, Shape{100, 1000, 3},
        Shape{2, 5000, 2}, Shape{511, 9, 31}, Shape{512, 9, 31}, Shape{513, 9, 31},
        Shape{3, 8, 1535}, Shape{3, 8, 1536}, Shape{3, 8, 1537}, Shape{1025, 5, 3073}}) {
    const auto a = random_matrix(random, m, k);
    const auto b = random_matrix(random, k, n);
    ASSERT_NO_FATAL_FAILURE(expect_within_bound(a, b, float_product(a, b)));
  }
}

TEST(FloatProduct, IsExactWhereFloat32Is) {
  std::mt19937_64 random(92);
  Matrix<float> a(40, 300);
  Matrix<float> b(300, 50);
  for (float& x : a.values()) x = static_cast<float>(testing::integer_between(random, -128, 127));
  for (float& x : b.values()) x = static_cast<float>(testing::integer_between(random, -128, 127));
  const auto y = float_product(a, b);  // sums below 300·2^14 < 2^24
  for (std::size_t i = 0; i < 40; ++i) {
    for (std::size_t j = 0; j < 50; ++j) {
      std::int64_t sum = 0;
      for (std::size_t l = 0; l < 300; ++l) {
        sum += static_cast<std::int64_t>(a(i, l)) * static_cast<std::int64_t>(b(l, j));
      }
      ASSERT_EQ(y(i, j), static_cast<float>(sum));
    }
  }
}

TEST(FloatProduct, HasTheSameBitsOnAnyNumberOfThreadsAndForSeveralCallers) {
  std::mt19937_64 random(93);
  for (const auto& [m, k, n] :
       {Shape{64, 64, 64}, Shape{700, 300, 40}, Shape{30, 300, 1700}, Shape{1030, 130, 1600}}) {
    const auto a = random_matrix(random, m, k);
    const auto b = random_matrix(random, k, n);
    const auto expected = [&] {
      const WithThreads with(1);
      return float_product(a, b);
    }();
    for (const int count : {2, 3, 7}) {
      const WithThreads with(count);
      EXPECT_TRUE(same_bits(float_product(a, b), expected)) << count << " threads";
    }
    std::vector<std::thread> callers;
    std::atomic<int> right{0};
    for (int caller = 0; caller < 3; ++caller) {
      callers.emplace_back([&] {
        if (same_bits(float_product(a, b), expected)) ++right;
      });
    }
    for (auto& caller : callers) caller.join();
    EXPECT_EQ(right, 3);
  }
}

// A program of its own settings: one block, deep enough for oneDNN to split its sums by threads.
TEST(FloatProduct, DoesNotDependOnOpenMPsThreadsAndLeavesThemAsTheyWere) {
  std::mt19937_64 random(94);
  const auto a = random_matrix(random, 16, 20'000);
  const auto b = random_matrix(random, 20'000, 16);
  const int before = omp_get_max_threads();
  const WithThreads with(1);
  omp_set_num_threads(1);
  const auto expected = float_product(a, b);
  for (const int count : {2, 4, 7}) {
    omp_set_num_threads(count);
    EXPECT_TRUE(same_bits(float_product(a, b), expected)) << count << " threads";
    EXPECT_EQ(omp_get_max_threads(), count);
  }
  omp_set_num_threads(before);
}

TEST(FloatProduct, OfNothingIsNothingOrZero) {
  EXPECT_EQ(float_product(Matrix<float>(0, 3), Matrix<float>(3, 4)).size(), 0U);
  EXPECT_EQ(float_product(Matrix<float>(4, 3), Matrix<float>(3, 0)).size(), 0U);
  const auto y = float_product(Matrix<float>(2, 0), Matrix<float>(0, 3));
  ASSERT_EQ(y.size(), 6U);
  for (const float x : y.values()) EXPECT_EQ(x, 0);
}

TEST(FloatProduct, RefusesShapesThatDoNotMultiply) {
  EXPECT_THAT(testing::refusal([] { float_product(Matrix<float>(2, 3), Matrix<float>(4, 5)); }),
              AllOf(HasSubstr("2x3"), HasSubstr("4x5")));
}

}  // namespace
}  // namespace zeropoint
