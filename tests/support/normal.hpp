#pragma once
#include <cmath>
#include <numbers>

#include "support/random_values.hpp"

namespace zeropoint::testing {

inline double normal_density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}

inline double normal_probability_below(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

/// Two independent standard normal numbers.
struct NormalPair {
  double first, second;
};
inline NormalPair normal_pair(std::mt19937_64& random) {
  const double radius = std::sqrt(-2 * std::log(1 - between(random, 0, 1)));
  const double angle = between(random, 0, 2 * std::numbers::pi);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// A mean and what is needed for its standard error.
class Mean {
 public:
  void add(double x) {
    ++count_;
    const double off = x - mean_;
    mean_ += off / count_;
    squares_ += off * (x - mean_);
  }
  double value() const { return mean_; }
  double standard_error() const { return std::sqrt(squares_ / (count_ - 1) / count_); }

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;
};

}  // namespace zeropoint::testing
