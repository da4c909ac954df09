#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "zeropoint/theory/limits.hpp"

#include "theory/distortion.hpp"

namespace zeropoint {
namespace {

// D = factor · 2^(−2·bits), relative to the variance; 0 where atoms leave nothing so simple to say.
double factor_of(const Distribution& d) {
  if (d.atom_probability() > 0) return 0;
  return std::exp(2 * d.entropy()) / (2 * std::numbers::pi * std::numbers::e) / whole(d).variance;
}

double gamma(double rate) {
  const double power = std::exp2(-2 * rate);
  return power * (2 - power);
}

}  // namespace

double rate_distortion_bound(const Distribution& d, double bits) {
  return factor_of(d) * std::exp2(-2 * bits);
}

Gap gap_to_bound(const Distribution& d, double bits, double mse) {
  const double factor = factor_of(d);
  if (factor == 0) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan};
  }
  const double needed = std::max(0.0, std::log2(factor / mse) / 2);
  return {10 * std::log10(mse / factor) + 20 * std::log10(2.0) * bits, bits - needed};
}

double relative_to_variance(const Distribution& d, double squared_error) {
  const Whole all = whole(d);
  return squared_error * all.square / all.variance;
}

double sqnr_db(double mse) { return -10 * std::log10(mse); }

// 4·ln 2·R·4^(−R) = 1 − 4^(−R), the larger root: the tangent at R goes through (0, 1).
double critical_rate() {
  double rate = 1;
  for (int round = 0; round < 60; ++round) {
    const double power = std::exp2(-2 * rate);
    const double value = 4 * std::numbers::ln2 * rate * power - 1 + power;
    const double slope = 4 * std::numbers::ln2 * power * (1 - 2 * std::numbers::ln2 * rate) -
                         2 * std::numbers::ln2 * power;
    const double step = value / slope;
    rate -= step;
    if (std::abs(step) < 1e-15) break;
  }
  return rate;
}

double product_bound(double bits) {
  static const double critical = critical_rate();
  if (bits >= critical) return std::sqrt(gamma(bits));
  return std::sqrt(1 - (1 - gamma(critical)) * bits / critical);
}

Gap gap_to_product_bound(double bits, double error) {
  static const double critical = critical_rate();
  const double square = error * error;
  double needed = 0;
  if (square < 1) {
    // The root of Γ(R) = square; below the critical rate, on the tangent.
    needed = -std::log2(1 - std::sqrt(1 - square)) / 2;
    if (needed < critical) needed = (1 - square) * critical / (1 - gamma(critical));
  }
  return {20 * std::log10(error / product_bound(bits)), bits - needed};
}

}  // namespace zeropoint
