#pragma once
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace zeropoint {

/// Sums of squares over some values, to be added piece after piece.
struct Squares {
  double error = 0;   ///< Σ (x − y)²
  double energy = 0;  ///< Σ x²
  Squares& operator+=(const Squares& other) {
    error += other.error;
    energy += other.energy;
    return *this;
  }
  /// 0 where nothing was lost, infinite where all of x is 0 and y is not.
  double relative_error() const {
    if (error == 0) return 0;
    return energy == 0 ? std::numeric_limits<double>::infinity() : std::sqrt(error / energy);
  }
};

inline Squares squares_of(std::span<const float> x, std::span<const float> y) {
  double error = 0, energy = 0;
  const float* const a = x.data();
  const float* const b = y.data();
#pragma omp simd reduction(+ : error, energy)
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = a[i];
    const double difference = value - b[i];
    error += difference * difference;
    energy += value * value;
  }
  return {error, energy};
}

}  // namespace zeropoint
