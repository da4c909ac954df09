#include "theory/quadrature.hpp"

#include <cmath>
#include <numbers>
#include <vector>

namespace zeropoint {
namespace {

// Takahasi and Mori, Publ. RIMS 9, 1974: the trapezoidal rule in t, p = 1/(1 + exp(−π·sinh t)).
std::vector<UnitNode> nodes(double step) {
  constexpr double kReach = 3.4;  // where p and the weight are 1e-20
  std::vector<UnitNode> list;
  const int count = static_cast<int>(kReach / step);
  for (int i = -count; i <= count; ++i) {
    const double t = i * step;
    const double power = std::numbers::pi * std::sinh(t);
    const double p = 1 / (1 + std::exp(-power));
    const double rest = 1 / (1 + std::exp(power));
    list.push_back({p, rest, step * std::numbers::pi * std::cosh(t) * p * rest});
  }
  return list;
}

}  // namespace

std::span<const UnitNode> unit_interval() {
  static const auto list = nodes(1.0 / 16);
  return list;
}

std::span<const UnitNode> coarse_unit_interval() {
  static const auto list = nodes(1.0 / 11);
  return list;
}

std::span<const UnitNode> fine_unit_interval() {
  static const auto list = nodes(1.0 / 64);
  return list;
}

// By the trapezoidal rule in t = ln(u/(1 − u)), where Beta(r + 1, n − r) is a bell with
// exponential ends and the rule's error falls as exp(−π²/step) or faster.
OrderStatistic order_statistic(const Distribution& distribution, double r, double n) {
  const double above = n - r;
  const double mode = std::log((r + 1) / above);
  const double width = std::sqrt((n + 1) / ((r + 1) * above));
  const double step = std::min(0.9 * width, 0.45);
  constexpr double kLeast = -32;  // of the logarithm of what is added, beside the largest
  const auto log_density = [&](double t) {
    // ln u and ln(1 − u), without loss at either end.
    const double log_u = t < 0 ? t - std::log1p(std::exp(t)) : -std::log1p(std::exp(-t));
    return (r + 1) * log_u + above * (log_u - t);
  };
  const double largest = log_density(mode);
  double weights = 0, sum = 0, squares = 0;
  const auto center = distribution.quantile((r + 1) / (n + 1));
  const auto add = [&](double t) {
    const double log_weight = log_density(t) - largest;
    if (log_weight < kLeast) return false;
    const double weight = std::exp(log_weight);
    const double x = t < 0 ? distribution.quantile(1 / (1 + std::exp(-t)))
                           : distribution.upper_quantile(1 / (1 + std::exp(t)));
    weights += weight;
    sum += weight * (x - center);
    squares += weight * (x - center) * (x - center);
    return true;
  };
  add(mode);
  for (double t = mode + step; add(t); t += step) {
  }
  for (double t = mode - step; add(t); t -= step) {
  }
  const double off = sum / weights;
  return {center + off, squares / weights - off * off};
}

}  // namespace zeropoint
