// The range `mse` as each convention makes a grid of it: against brute force over scales and zero
// points.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "zeropoint/quantize/quantize.hpp"

namespace zeropoint {
namespace {

Matrix<float> drawn(const std::function<float(std::mt19937&)>& one) {
  std::mt19937 random(17);
  Matrix<float> x(1, 1500);
  for (auto& v : x.values()) v = one(random);
  return x;
}

double squared_error(const Matrix<float>& x, const Matrix<float>& y) {
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x.data()[i]} - y.data()[i], 2);
  }
  return error;
}

// On step · {−below, …}.
double error_on(const Matrix<float>& x, double step, double below, int levels, Rounding rounding) {
  double error = 0;
  for (const float v : x.values()) {
    const double q = rounding == Rounding::floor ? std::floor(v / step) : std::nearbyint(v / step);
    error += std::pow(v - std::clamp(q, -below, levels - 1 - below) * step, 2);
  }
  return error;
}

// Steps of 0.3 % from where nothing is clipped down to an eighth (a half of 8 bits), and the
// zero points between clipping all on one side and on the other.
double brute_force(const Matrix<float>& x, const Scheme& scheme) {
  const auto [least, most] = std::ranges::minmax(x.values());
  const int levels = scheme.format.grid.levels();
  const Convention& convention = scheme.convention;
  const bool symmetric = convention.mapping == Mapping::symmetric;
  const double low = std::min(least, 0.0F), high = std::max(most, 0.0F);
  const int above = (levels - 1) / 2;
  const double top =
      symmetric ? std::max(-low, high) / std::max(above, 1) : (high - low) / (levels - 1) * 1.2;
  const bool is_free = !symmetric && !convention.zero_in_range;
  const double end = (is_free     ? double{most} - least
                      : symmetric ? 2 * std::max(-low, high)
                                  : high - low) /
                     (levels - 1) / (levels > 16 ? 2 : 8);
  double best = std::numeric_limits<double>::infinity();
  for (double step = top; step > end; step *= 0.997) {
    double from = std::floor(-least / step), to = levels - 1 - std::ceil(most / step);
    if (from > to) std::swap(from, to);
    for (double below = from - 1; below <= to + 1; ++below) {
      const double kept = symmetric ? levels - 1.0 - above
                          : is_free ? below
                                    : std::clamp(below, 0.0, levels - 1.0);
      best = std::min(best, error_on(x, step, kept, levels, convention.rounding));
      if (symmetric) break;
    }
  }
  return best;
}

class LeastError : public ::testing::TestWithParam<std::string> {};

TEST_P(LeastError, IsWithinHalfAPercentOfBruteForce) {
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(5, 6);
  const Matrix<float> all[] = {drawn([&](auto& random) { return normal(random); }),
                               drawn([&](auto& random) { return uniform(random); }),
                               drawn([&](auto& random) { return -uniform(random); }),
                               drawn([&](auto& random) { return 1 + 0.05F * normal(random); }),
                               drawn([&](auto& random) { return std::exp(normal(random)); })};
  for (const auto* mapping : {"sym", "affine"}) {
    for (const auto* format : {"int2", "int4", "int8"}) {
      const std::string text = std::string(format) + ":" + mapping + "@" + GetParam();
      const Scheme whole = parse_scheme(text);
      const Scheme fitted =
          parse_scheme(std::string(format) + ":" + mapping + ":mse@" + GetParam());
      for (std::size_t k = 0; k < std::size(all); ++k) {
        const auto& x = all[k];
        const double found = squared_error(x, fake_quantize(x.view(), fitted));
        const double best = brute_force(x, fitted);
        EXPECT_LE(found, best * 1.005) << text << ' ' << k;
        EXPECT_LE(found, squared_error(x, fake_quantize(x.view(), whole)) * (1 + 1e-6))
            << text << ' ' << k;
      }
    }
  }
}

std::vector<std::string> presets() {
  std::vector<std::string> names;
  for (const auto& preset : convention_presets()) names.emplace_back(preset.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Presets, LeastError, ::testing::ValuesIn(presets()), [](const auto& row) {
  std::string name = row.param;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace zeropoint
