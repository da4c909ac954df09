#pragma once
#include <limits>
#include <span>
#include <vector>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Joint moments of an entry x and its quantized value q.
struct Distortion {
  double error = 0;  ///< E[(x − q)²]
  double off = 0;    ///< E[x·(x − q)]
  double shift = 0;  ///< E[x − q]

  Distortion& operator+=(const Distortion& other) {
    error += other.error;
    off += other.off;
    shift += other.shift;
    return *this;
  }
  friend Distortion operator*(double weight, const Distortion& d) {
    return {weight * d.error, weight * d.off, weight * d.shift};
  }
  /// Half the derivative of the error by the logarithm of the levels' common factor: where it is 0,
  /// the scale is a best one.
  double slope() const { return error - off; }
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// P(X), E[X] and E[X²] over a part of the line.
struct Mass {
  double p, mean, square;
};
/// Over from < x ≤ to, without loss in either tail.
Mass mass(const Distribution& distribution, double from, double to);
/// Over the whole line, with the variance.
struct Whole {
  double mean, square, variance;
};
Whole whole(const Distribution& distribution);

/// Integrals over from < x ≤ to of what goes to the nearest of the levels, which ascend. Of x
/// halfway between two, the lower.
Distortion nearest(const Distribution& distribution, std::span<const double> levels,
                   double from = -kInfinity, double to = kInfinity);

/// E[(x − q)⁴], by quadrature.
double fourth_moment(const Distribution& distribution, std::span<const double> levels);

/// One number.
Distortion nearest_to(double x, std::span<const double> levels);

/// The factor that makes `levels` (in units of it) best, among all.
struct BestScale {
  double scale;
  Distortion distortion;
};
BestScale best_scale(const Distribution& distribution, std::span<const double> levels);

std::vector<double> scaled(std::span<const double> levels, double factor, double offset = 0);

}  // namespace zeropoint
