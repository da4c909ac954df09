#include "theory/distortion.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/tools/roots.hpp>

#include "theory/distribution_of_values.hpp"
#include "theory/quadrature.hpp"

namespace zeropoint {
namespace {

// Moments beyond x on the side away from 0, which are small where x is far out.
struct Beyond {
  double p, mean, square;
};

// What lies at or below x ≤ 0.
Beyond below(const Distribution& d, double x) {
  return {d.cdf(x), d.partial_mean(x), d.partial_square(x)};
}

// What lies above x ≥ 0; `squares` if that is asked for.
Beyond above(const Distribution& d, double x, bool squares) {
  return {d.tail(x), d.tail_mean(x), squares ? d.tail_square(x) : 0};
}

// (x − q)², x·(x − q) and x − q of so much mass, all at one level.
Distortion to_level(const Beyond& m, double q) {
  return {m.square - 2 * q * m.mean + q * q * m.p, m.square - q * m.mean, m.mean - q * m.p};
}

// By how much that changes where the level steps from `from` to `to`.
Distortion step(const Beyond& m, double from, double to) {
  const double rise = to - from;
  return {rise * ((from + to) * m.p - 2 * m.mean), -rise * m.mean, -rise * m.p};
}

std::size_t index_of(double x, std::span<const double> levels) {
  std::size_t low = 0, high = levels.size() - 1;
  while (low < high) {  // the first whose upper edge is not below x
    const std::size_t middle = (low + high) / 2;
    if (x <= (levels[middle] + levels[middle + 1]) / 2) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

Whole whole(const Distribution& d) {
  const double mean = d.is_symmetric() ? 0 : d.partial_mean(kInfinity);
  const double square = d.partial_square(kInfinity);
  return {mean, square, square - mean * mean};
}

Mass mass(const Distribution& d, double from, double to) {
  if (!(to > from)) return {0, 0, 0};
  Beyond sum{0, 0, 0};
  const auto add = [&](const Beyond& part, double sign) {
    sum.p += sign * part.p;
    sum.mean += sign * part.mean;
    sum.square += sign * part.square;
  };
  if (from < 0) {
    add(below(d, std::min(to, 0.0)), 1);
    if (!std::isinf(from)) add(below(d, from), -1);
  }
  if (to > 0) {
    const double begin = std::max(from, 0.0);
    const Beyond up = above(d, begin, true), up_to = above(d, to, true);
    if (d.is_symmetric()) {
      add(up, 1);
      add(up_to, -1);
    } else {
      // From whichever end has less beyond it: for each moment it may be another.
      const Beyond low = below(d, begin), low_to = below(d, to);
      const auto between = [&](double Beyond::*of) {
        const bool is_low = std::abs(low_to.*of) < std::abs(up.*of);
        return is_low ? low_to.*of - low.*of : up.*of - up_to.*of;
      };
      add({between(&Beyond::p), between(&Beyond::mean), between(&Beyond::square)}, 1);
    }
  }
  return {sum.p, sum.mean, sum.square};
}

// Cell by cell, terms would be small differences of large ones. So what lies between one end of the
// line and 0 is summed from that end: each edge between two levels changes the level of all that
// lies beyond it, which is little.
Distortion nearest(const Distribution& d, std::span<const double> levels, double from, double to) {
  Distortion sum;
  if (!(to > from)) return sum;
  const auto edge = [&](std::size_t i) { return (levels[i] + levels[i + 1]) / 2; };
  if (from < 0) {
    const double end = std::min(to, 0.0);
    std::size_t i = index_of(end, levels);
    sum += to_level(below(d, end), levels[i]);
    for (; i > 0 && edge(i - 1) > from; --i) {
      const double at = edge(i - 1);
      sum += step({d.cdf(at), d.partial_mean(at), 0}, levels[i], levels[i - 1]);
    }
    if (!std::isinf(from)) sum += -1.0 * to_level(below(d, from), levels[i]);
  }
  if (to > 0) {
    const double begin = std::max(from, 0.0);
    std::size_t i = index_of(std::nextafter(begin, kInfinity), levels);
    sum += to_level(above(d, begin, true), levels[i]);
    for (; i + 1 < levels.size() && edge(i) < to; ++i) {
      sum += step(above(d, edge(i), false), levels[i], levels[i + 1]);
    }
    if (!std::isinf(to)) sum += -1.0 * to_level(above(d, to, true), levels[i]);
  }
  return sum;
}

double fourth_moment(const Distribution& d, std::span<const double> levels) {
  const auto power = [](double off) { return off * off * off * off; };
  double sum = 0;
  if (const auto* of = dynamic_cast<const DistributionOfValues*>(&d)) {
    for (const double x : of->values()) sum += power(x - levels[index_of(x, levels)]);
    return sum / static_cast<double>(of->values().size());
  }
  // Between the outermost levels, cell by cell, each on either side of 0; beyond, by quantiles.
  std::vector<double> ends = {levels.front(), levels.back()};
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    ends.push_back((levels[i] + levels[i + 1]) / 2);
  }
  if (levels.front() < 0 && levels.back() > 0) ends.push_back(0);
  std::ranges::sort(ends);
  for (std::size_t i = 1; i < ends.size(); ++i) {
    if (!(ends[i] > ends[i - 1])) continue;
    const double q = levels[index_of((ends[i - 1] + ends[i]) / 2, levels)];
    sum += boost::math::quadrature::gauss<double, 10>::integrate(
        [&](double x) { return power(x - q) * d.pdf(x); }, ends[i - 1], ends[i]);
  }
  const double under = d.cdf(levels.front()), over = d.tail(levels.back());
  for (const auto& node : unit_interval()) {
    if (under > 0) sum += under * node.weight * power(d.quantile(under * node.p) - levels.front());
    if (over > 0)
      sum += over * node.weight * power(d.upper_quantile(over * node.p) - levels.back());
  }
  return sum + d.atom_probability() * power(levels[index_of(0, levels)]);
}

Distortion nearest_to(double x, std::span<const double> levels) {
  const double off = x - levels[index_of(x, levels)];
  return {off * off, x * off, off};
}

std::vector<double> scaled(std::span<const double> levels, double factor, double offset) {
  std::vector<double> result;
  result.reserve(levels.size());
  for (const double level : levels) result.push_back(offset + factor * level);
  return result;
}

// Formats with exponents have a best scale in every octave, or nearly; so all of those with a step
// in the sign of the slope are found, and the best taken.
BestScale best_scale(const Distribution& d, std::span<const double> levels) {
  const double deviation = std::sqrt(whole(d).square);
  const double largest = std::max(std::abs(levels.front()), std::abs(levels.back()));
  const double unit = deviation / largest;
  // Beyond the farthest entries only rounding is left to lose.
  const double farthest = std::max(-d.quantile(1e-17), d.upper_quantile(1e-17)) / deviation;
  const auto at = [&](double log_load) {
    return nearest(d, scaled(levels, unit * std::exp2(log_load)));
  };
  constexpr double kStep = 1.0 / 8;
  const double first = -3;
  const double last = std::log2(std::max(farthest, 2.0)) + 1;
  std::vector<double> loads;
  std::vector<Distortion> found;
  for (double load = first; load <= last; load += kStep) {
    loads.push_back(load);
    found.push_back(at(load));
  }
  // Few entries may be most of the deviation, or most of it lie beyond those quantiles.
  constexpr std::size_t kMost = 1000;
  while (found.front().slope() > 0 && found[0].error < found[1].error && found.size() < kMost) {
    loads.insert(loads.begin(), loads.front() - kStep);
    found.insert(found.begin(), at(loads.front()));
  }
  while (found.back().slope() < 0 && found.size() < kMost) {
    loads.push_back(loads.back() + kStep);
    found.push_back(at(loads.back()));
  }
  const auto by_error = [](const Distortion& x, const Distortion& y) { return x.error < y.error; };
  const auto lowest = std::ranges::min_element(found, by_error);
  BestScale best{unit * std::exp2(loads[static_cast<std::size_t>(lowest - found.begin())]),
                 *lowest};
  const double near = 1.5 * lowest->error;
  for (std::size_t i = 1; i < found.size(); ++i) {
    // The error falls as the load grows where the slope is negative.
    if (!(found[i - 1].slope() < 0 && found[i].slope() >= 0)) continue;
    if (std::min(found[i - 1].error, found[i].error) > near) continue;
    std::uintmax_t rounds = 60;
    const auto [low, high] = boost::math::tools::toms748_solve(
        [&](double load) { return at(load).slope(); }, loads[i - 1], loads[i], found[i - 1].slope(),
        found[i].slope(), boost::math::tools::eps_tolerance<double>(45), rounds);
    const double load = (low + high) / 2;
    const Distortion distortion = at(load);
    if (distortion.error < best.distortion.error) best = {unit * std::exp2(load), distortion};
  }
  return best;
}

}  // namespace zeropoint
