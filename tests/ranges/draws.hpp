#pragma once
#include <cmath>
#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

namespace zeropoint::testing {

constexpr std::string_view kDraws[] = {"normal", "uniform", "laplace", "outliers", "positive"};

/// Random values of that kind. The uniform ones are not symmetric.
inline std::vector<float> draw(std::string_view kind, std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(-1, 3);
  std::exponential_distribution<float> exponential;
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = kind == "uniform" ? uniform(random) : normal(random);
    if (kind == "outliers" && i % 1000 == 0) x[i] *= 50;
    if (kind == "laplace") x[i] = std::copysign(exponential(random), x[i]);
    if (kind == "positive") x[i] = std::abs(x[i]);
  }
  return x;
}

}  // namespace zeropoint::testing
