#include "zeropoint/transforms/smoothing.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "support/random_values.hpp"

namespace zeropoint {
namespace {

TEST(Smoothing, FactorsAreThoseOfTheDefinition) {
  std::mt19937_64 random(4);
  Matrix<float> a(7, 50), b(50, 9);
  for (auto& x : a.values()) x = static_cast<float>(testing::between(random, -3, 2));
  for (auto& x : b.values()) x = static_cast<float>(testing::between(random, -1, 4));
  for (const double alpha : {0.0, 0.3, 0.5, 1.0}) {
    const auto factors = smoothing_factors(a.view(), b.view(), alpha);
    ASSERT_EQ(factors.size(), 50U);
    for (std::size_t j = 0; j < 50; ++j) {
      double most_a = 0, most_b = 0;
      for (std::size_t i = 0; i < 7; ++i) most_a = std::max(most_a, std::abs(double{a(i, j)}));
      for (std::size_t l = 0; l < 9; ++l) most_b = std::max(most_b, std::abs(double{b(j, l)}));
      EXPECT_FLOAT_EQ(factors[j],
                      static_cast<float>(std::pow(most_a, alpha) / std::pow(most_b, 1 - alpha)));
    }
  }
}

TEST(Smoothing, BothOperandsHaveTheSameLargestAtOneHalf) {
  std::mt19937_64 random(5);
  Matrix<float> a(5, 8), b(8, 6);
  for (auto& x : a.values()) x = static_cast<float>(testing::between(random, -9, 9));
  for (auto& x : b.values()) x = static_cast<float>(testing::between(random, -1, 1));
  const auto factors = smoothing_factors(a.view(), b.view(), 0.5);
  divide_along(a.view(), Along::rows, factors);
  multiply_along(b.view(), Along::columns, factors);
  for (std::size_t j = 0; j < 8; ++j) {
    float most_a = 0, most_b = 0;
    for (std::size_t i = 0; i < 5; ++i) most_a = std::max(most_a, std::abs(a(i, j)));
    for (std::size_t l = 0; l < 6; ++l) most_b = std::max(most_b, std::abs(b(j, l)));
    EXPECT_NEAR(most_a, most_b, 1e-6 * most_a);
  }
}

TEST(Smoothing, ZeroTinyAndHugeMaximaHaveDefinedFactors) {
  const float most = std::numeric_limits<float>::max();
  for (const float of_a : {0.0F, 1e-45F, 1e-38F, 1.0F, 1e38F, most}) {
    for (const float of_b : {0.0F, 1e-45F, 1e-38F, 1.0F, 1e38F, most}) {
      for (const double alpha : {0.0, 0.25, 0.5, 1.0}) {
        Matrix<float> a(2, 1), b(1, 2);
        a(0, 0) = -of_a;
        a(1, 0) = 0;
        b(0, 0) = of_b;
        b(0, 1) = -0.0F;
        const auto factors = smoothing_factors(a.view(), b.view(), alpha);
        ASSERT_TRUE(std::isnormal(factors[0]) && factors[0] > 0);
        EXPECT_TRUE(std::isnormal(1 / factors[0]));
        EXPECT_TRUE((of_a != 0 && of_b != 0) || factors[0] == 1);
        divide_along(a.view(), Along::rows, factors);
        multiply_along(b.view(), Along::columns, factors);
        EXPECT_TRUE(std::isfinite(a(0, 0)) && std::isfinite(b(0, 0))) << of_a << " " << of_b;
      }
    }
  }
}

TEST(Smoothing, NothingHasNoFactors) {
  EXPECT_TRUE(
      smoothing_factors(Matrix<float>(3, 0).view(), Matrix<float>(0, 2).view(), 0.5).empty());
}

}  // namespace
}  // namespace zeropoint
