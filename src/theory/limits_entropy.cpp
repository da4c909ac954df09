// Even steps without end, each cell read as its mean, coded to its entropy.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>

#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/tools/roots.hpp>

#include "theory/distribution_of_values.hpp"
#include "theory/limits_rows.hpp"

namespace zeropoint {
namespace {

struct Coded {
  double bits = 0;
  double error = 0;
};

// p times the variance within a cell. Where it is narrow for its distance from 0, moments about 0
// are too much alike.
double spread_within(const Distribution& d, double from, double to, const Mass& m) {
  constexpr double kNarrow = 1e-3;
  const double middle = from + (to - from) / 2;
  if (d.atom_probability() > 0 || !(to - from < kNarrow * std::abs(middle))) {
    return std::max(0.0, m.square - m.mean * m.mean / m.p);
  }
  const auto integral = [&](int power) {
    return boost::math::quadrature::gauss<double, 7>::integrate(
        [&](double x) { return std::pow(x - middle, power) * d.pdf(x); },
        std::max(from, d.quantile(0)), std::min(to, d.upper_quantile(0)));
  };
  const double p = integral(0), first = integral(1);
  return p > 0 ? integral(2) - first * first / p : 0;
}

// Value by value, where cells would be more than values.
Coded code_values(const DistributionOfValues& d, const EntropyCoded& how) {
  const auto values = d.sorted();
  const auto all = static_cast<double>(values.size());
  const auto cell_of = [&](float x) { return std::nearbyint((x - how.offset) / how.step); };
  Coded sum;
  for (std::size_t begin = 0, end = 0; begin < values.size(); begin = end) {
    const double cell = cell_of(values[begin]);
    double off = 0, square = 0;  // from the first
    for (; end < values.size() && cell_of(values[end]) == cell; ++end) {
      const double x = double{values[end]} - values[begin];
      off += x;
      square += x * x;
    }
    const auto count = static_cast<double>(end - begin);
    sum.bits -= count / all * std::log2(count / all);
    sum.error += (square - off * off / count) / all;
  }
  return sum;
}

// Where little is left beyond, or cells are very small, they are taken together in runs over which
// the density is even enough: such a run costs as much as equal cells, each with step²/12.
Coded code(const Distribution& d, const EntropyCoded& how, double deviation) {
  constexpr double kLittle = 1e-5;
  constexpr double kNothing = 1e-18;
  constexpr double kRun = 0.03;        // of the distance
  constexpr double kSmall = 1e-4;      // of the deviation: a step
  constexpr double kRunInside = 2e-3;  // of the distance, or of the deviation if that is less
  if (const auto* values = dynamic_cast<const DistributionOfValues*>(&d)) {
    const double span = double{values->sorted().back()} - values->sorted().front();
    if (span / how.step > static_cast<double>(values->sorted().size())) {
      return code_values(*values, how);
    }
  }
  Coded sum;
  const auto add = [&](double from, double to, double cells) {
    const Mass m = mass(d, from, to);
    if (!(m.p > 0)) return;
    sum.bits -= m.p * std::log2(m.p / cells);
    sum.error += cells > 1 ? m.p * how.step * how.step / 12 : spread_within(d, from, to, m);
  };
  const bool has_density = d.atom_probability() < 1;
  const bool has_edge = std::isfinite(d.quantile(0)) && std::isfinite(d.upper_quantile(0));
  const auto go = [&](double sign) {
    const double far = sign > 0 ? d.upper_quantile(kLittle) : d.quantile(kLittle);
    const double end = sign > 0 ? d.upper_quantile(kNothing) : d.quantile(kNothing);
    // Cells 1, 2, … on that side; cell 0 is added once, outside.
    for (double k = 1;;) {
      const double near = how.offset + sign * (k - 0.5) * how.step;
      if (sign * near > sign * end) break;
      double run = 0;
      if (!has_edge || how.step < kSmall * deviation) {
        run = kRunInside * std::min(deviation, std::abs(near));
      }
      if (sign * near > sign * far) run = std::max(run, kRun * std::abs(near));
      double cells = has_density ? std::max(1.0, std::floor(run / how.step)) : 1;
      // An atom is all in one of them.
      const bool has_atom = near * (near + sign * cells * how.step) <= 0;
      if (has_atom && d.atom_probability() > 0) cells = 1;
      const double out = near + sign * cells * how.step;
      add(std::min(near, out), std::max(near, out), cells);
      k += cells;
    }
  };
  add(how.offset - how.step / 2, how.offset + how.step / 2, 1);
  go(1);
  go(-1);
  return sum;
}

}  // namespace

EntropyCoded entropy_coded(const Distribution& d, double bits) {
  const Whole all = whole(d);
  const double deviation = std::sqrt(all.variance);
  EntropyCoded best{0, 0};
  double least = kInfinity;
  for (const double phase : {0.0, 0.5}) {
    const auto at = [&](double log_step) {
      const double step = deviation * std::exp2(log_step);
      return EntropyCoded{step, all.mean + phase * step};
    };
    // Bits fall as steps grow, to 0 with a cell in the middle, to 1 without.
    const auto excess = [&](double log_step) {
      return code(d, at(log_step), deviation).bits - bits;
    };
    double low = -bits, high = 3;
    while (high < 40 && excess(high) > 0) high += 3;
    // Few values, or a rare density beside an atom, may never cost so many.
    constexpr double kFinest = -300;
    while (low > kFinest && excess(low) < 0) low *= 2;
    const double excess_low = excess(low), excess_high = excess(high);
    if (excess_low < 0 || excess_high > 0) continue;
    std::uintmax_t rounds = 100;
    std::tie(low, high) =
        boost::math::tools::toms748_solve(excess, low, high, excess_low, excess_high,
                                          boost::math::tools::eps_tolerance<double>(44), rounds);
    const double error = code(d, at(high), deviation).error;
    if (error < least) {
      least = error;
      best = at(high);
    }
  }
  return best;
}

std::optional<LimitRow> entropy_coded_limit(const Distribution& d, int bits) {
  const EntropyCoded how = entropy_coded(d, bits);
  if (!(how.step > 0)) return std::nullopt;
  // Means of cells leave x − q without correlation to q: off is the error itself.
  const double error = code(d, how, std::sqrt(whole(d).variance)).error;
  LimitRow row = make_limit(d, LimitKind::entropy_coded, "entropy-coded", bits, {error, error, 0});
  row.scale = how.step;
  return row;
}

}  // namespace zeropoint
