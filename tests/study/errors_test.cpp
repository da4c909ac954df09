#include "study/errors.hpp"

#include <array>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace zeropoint {
namespace {

// A true product, its codes and those of a product that went slightly wrong.
struct Example {
  Matrix<float> y;
  QuantParams params{0.037F, -3};
  Matrix<std::int8_t> truth, product;

  Example(std::size_t rows, std::size_t cols, std::uint32_t seed)
      : y(rows, cols), truth(rows, cols), product(rows, cols) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y.values()[i] = static_cast<float>(static_cast<int>(random() % 20001) - 10000) / 1000;
      truth.values()[i] = static_cast<std::int8_t>(random() % 256 - 128);
      product.values()[i] = static_cast<std::int8_t>(
          std::clamp<int>(truth.values()[i] + random() % 3 - 1, -128, 127));
    }
  }
  BothNorms errors() const {
    const auto copy = [](const Matrix<std::int8_t>& from) {
      Matrix<std::int8_t> to(from.rows(), from.cols());
      std::ranges::copy(from.values(), to.values().begin());
      return to;
    };
    return study_errors(y, QTensor(copy(truth), params, {}), QTensor(copy(product), params, {}));
  }
};

TEST(StudyErrors, AreRatiosOfFrobeniusNorms) {
  const Example example(301, 517, 1);
  long double g = 0, gw = 0, e = 0, ew = 0, s = 0, sw = 0;
  for (std::size_t i = 0; i < example.y.size(); ++i) {
    const int t = example.truth.values()[i];
    const int p = example.product.values()[i];
    const long double real = example.y.values()[i];
    const long double dt = 0.037F * static_cast<float>(t + 3);
    const long double dp = 0.037F * static_cast<float>(p + 3);
    g += (real - dp) * (real - dp);
    gw += real * real;
    e += (dt - dp) * (dt - dp);
    ew += dt * dt;
    s += (t - p) * (t - p);
    sw += t * t;
  }
  const auto found = example.errors();
  // Differences are taken in float32, as the report took them: a part in 10^7.
  EXPECT_NEAR(found.float64.ground_truth, std::sqrt(g / gw), 1e-7);
  EXPECT_NEAR(found.float64.expected, std::sqrt(e / ew), 1e-7);
  EXPECT_DOUBLE_EQ(found.float64.simulated, static_cast<double>(std::sqrt(s / sw)));
}

TEST(StudyErrors, Float32SumsRunInEightLanesFrontToBack) {
  const Example example(263, 401, 2);
  std::array<float, 8> difference{}, whole{};
  const std::size_t full = example.y.size() / 8 * 8;
  for (std::size_t i = 0; i < full; ++i) {
    const auto t = static_cast<float>(example.truth.values()[i]);
    const auto d = t - static_cast<float>(example.product.values()[i]);
    difference[i % 8] += d * d;
    whole[i % 8] += t * t;
  }
  double top = 0, bottom = 0;
  for (std::size_t i = full; i < example.y.size(); ++i) {
    const auto t = static_cast<float>(example.truth.values()[i]);
    const auto d = t - static_cast<float>(example.product.values()[i]);
    top += d * d;
    bottom += t * t;
  }
  for (int lane = 0; lane < 8; ++lane) {
    top += difference[lane];
    bottom += whole[lane];
  }
  const auto found = example.errors();
  EXPECT_DOUBLE_EQ(found.float32x8.simulated, std::sqrt(top / bottom));
  // 13000 squares of up to 2^14 in each lane: the sums are rounded, a little.
  EXPECT_NE(found.float32x8.simulated, found.float64.simulated);
  EXPECT_NEAR(found.float32x8.simulated / found.float64.simulated, 1, 1e-3);
}

TEST(StudyErrors, EqualIsZeroAndNothingToCompareWithIsInfinite) {
  Example example(3, 4, 3);
  std::ranges::copy(example.truth.values(), example.product.values().begin());
  EXPECT_EQ(example.errors().float64.expected, 0);
  EXPECT_EQ(example.errors().float64.simulated, 0);
  std::ranges::fill(example.truth.values(), std::int8_t{0});
  std::ranges::fill(example.product.values(), std::int8_t{1});
  EXPECT_TRUE(std::isinf(example.errors().float64.simulated));
  EXPECT_TRUE(std::isinf(example.errors().float32x8.simulated));
}

TEST(ExcessKurtosis, OfKnownSamples) {
  Matrix<float> y(1, 4);
  const float two_points[] = {-1, 1, -1, 1};  // kurtosis 1
  std::ranges::copy(two_points, y.values().begin());
  EXPECT_DOUBLE_EQ(excess_kurtosis(y), -2);
  for (float& x : y.values()) x = x * 10 + 5;  // shift and scale change nothing
  EXPECT_DOUBLE_EQ(excess_kurtosis(y), -2);
  std::ranges::fill(y.values(), 2.0F);
  EXPECT_EQ(excess_kurtosis(y), 0);
}

}  // namespace
}  // namespace zeropoint
