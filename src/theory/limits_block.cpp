// Groups of N entries that share a scale, which follows from the largest magnitude m among them,
// or from the smallest and the largest entry.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <optional>

#include <boost/math/tools/roots.hpp>
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/codebook.hpp"
#include "zeropoint/quantize/params.hpp"

#include "quantize/tile_params.hpp"
#include "theory/limits_rows.hpp"
#include "theory/quadrature.hpp"

namespace zeropoint {
namespace {

constexpr double kEntriesOfATensor = 1e6;  // of which NVFP4's tensor scale is the largest

std::vector<double> fractions(int from, int to, double denominator) {
  std::vector<double> levels;
  for (int code = from; code <= to; ++code) levels.push_back(code / denominator);
  return levels;
}

std::vector<double> negated(std::span<const double> levels) {
  std::vector<double> result;
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) result.push_back(-*level);
  return result;
}

double probability_within(const Distribution& d, double m) {
  if (m < 0) return 0;
  return mass(d, std::nextafter(-m, -kInfinity), m).p;
}

// The m that a magnitude exceeds with probability p.
double magnitude_above(const Distribution& d, double p) {
  if (d.is_symmetric()) return d.atom_probability() >= 1 - p ? 0 : d.upper_quantile(p / 2);
  double low = 0;
  double high = std::max({0.0, -d.quantile(p / 2), d.upper_quantile(p / 2)});
  const auto above = [&](double m) {
    return mass(d, -kInfinity, std::nextafter(-m, -kInfinity)).p + mass(d, m, kInfinity).p;
  };
  if (above(low) <= p) return 0;
  for (int round = 0; round < 200 && high - low > 4e-16 * high; ++round) {
    const double middle = (low + high) / 2;
    (above(middle) > p ? low : high) = middle;
  }
  return high;
}

// Scales that only take certain values: rule(m) is one for low < m ≤ high.
struct ScaleStep {
  double low, high, scale;
};

// Exact: that x goes by a scale means that x and all others lie within `high`, and not all within
// `low`.
Distortion by_steps(const Distribution& d, double n, std::span<const double> levels,
                    const std::vector<ScaleStep>& steps) {
  Distortion sum;
  for (const auto& [low, high, scale] : steps) {
    const auto at = scaled(levels, scale);
    const auto within = [&](double m) {
      if (!(m > 0)) return Distortion{};
      const double others = std::isinf(m) ? 1 : std::pow(probability_within(d, m), n - 1);
      return others * nearest(d, at, -m, m);
    };
    sum += within(high);
    sum += -1.0 * within(low);
  }
  return sum;
}

// How often the number is positive whose magnitude is m.
double share_above(const Distribution& d, double m) {
  double positive = d.pdf(m), negative = d.pdf(-m);
  if (d.atom_probability() > 0) {  // m is one of the numbers, but for rounding
    constexpr double kNear = 1e-12;
    positive = mass(d, m * (1 - kNear), m * (1 + kNear)).p;
    negative = mass(d, -m * (1 + kNear), -m * (1 - kNear)).p;
  }
  return positive + negative > 0 ? positive / (positive + negative) : 0.5;
}

// What m is where it is at most as large with probability p (and `rest` is what is left of 1),
// being the largest magnitude of n.
double largest_of(const Distribution& d, double n, const UnitNode& node) {
  return magnitude_above(d, node.p < 0.5 ? -std::expm1(std::log(node.p) / n)
                                         : -std::expm1(std::log1p(-node.rest) / n));
}

std::span<const UnitNode> nodes_for(const Distribution& d) {
  return d.atom_probability() > 0 ? fine_unit_interval() : unit_interval();
}

// Scales in proportion to m, or nearly: levels(m) are what the group's numbers are, if its largest
// one is positive. The others lie within it as the distribution has them there.
Distortion by_magnitude(const Distribution& d, double n,
                        const std::function<std::vector<double>(double m)>& levels,
                        const std::function<double(double m)>& noise) {
  Distortion sum;
  const double nothing = std::pow(probability_within(d, 0), n);  // all are 0
  const auto add = [&](double weight, double m, std::span<const double> at) {
    const double p = probability_within(d, m);
    Distortion of = (n - 1) / n / p * nearest(d, at, -m, m);
    const double largest = at.back() > -at.front() ? m : -m;
    of += 1 / n * nearest_to(largest, at);
    // A scale that is rounded where it is stored makes numbers stray in proportion.
    const Mass inside = mass(d, -m, m);
    const double square = (n - 1) / n * inside.square / p + m * m / n;
    of.error += noise(m) * (square - 2 * of.off + of.error);
    sum += weight * of;
  };
  for (const auto& node : nodes_for(d)) {
    const UnitNode shifted{nothing + (1 - nothing) * node.p, (1 - nothing) * node.rest,
                           (1 - nothing) * node.weight};
    const double m = largest_of(d, n, shifted);
    if (!(m > 0) || std::isinf(m)) continue;
    const auto at = levels(m);
    if (d.is_symmetric()) {
      add(shifted.weight, m, at);
      continue;
    }
    const double share = share_above(d, m);
    if (share > 0) add(shifted.weight * share, m, at);
    if (share < 1) add(shifted.weight * (1 - share), m, negated(at));
  }
  return sum;
}

// Scales from both ends, a and b (zero points that are rounded are not smooth in them): first b,
// the largest of n; then a, the smallest of the others.
Distortion by_ends(const Distribution& d, double n, bool is_smooth,
                   const std::function<std::vector<double>(double a, double b)>& levels,
                   const std::function<double(double a, double b)>& noise) {
  Distortion sum;
  const auto rule =
      d.atom_probability() > 0 || !is_smooth ? unit_interval() : coarse_unit_interval();
  for (const auto& outer : rule) {
    const double beyond = outer.p < 0.5 ? -std::expm1(std::log(outer.p) / n)
                                        : -std::expm1(std::log1p(-outer.rest) / n);
    const double b = d.upper_quantile(beyond);
    const double below_b = 1 - beyond;
    for (const auto& inner : rule) {
      const double weight = outer.weight * inner.weight;
      if (weight < 1e-12) continue;
      const double share = inner.p < 0.5 ? -std::expm1(std::log(inner.p) / (n - 1))
                                         : -std::expm1(std::log1p(-inner.rest) / (n - 1));
      const double a = d.quantile(below_b * share);
      if (!(b > a) || std::isinf(a) || std::isinf(b)) continue;  // all are one number: no error
      const auto at = levels(a, b);
      // The others lie between, by their place among all numbers: so they may also be a or b, where
      // that is an atom.
      const double below_a = below_b * share;
      const double before_b = std::nextafter(b, -kInfinity);
      Distortion of = nearest(d, at, a, before_b);
      if (d.atom_probability() > 0) {
        of += std::max(0.0, d.cdf(a) - below_a) * nearest_to(a, at);
        of += std::max(0.0, below_b - d.cdf(before_b)) * nearest_to(b, at);
      }
      of = (n - 2) / n / (below_b - below_a) * of;
      of += 1 / n * nearest_to(a, at);
      of += 1 / n * nearest_to(b, at);
      of.error += noise(a, b);
      sum += weight * of;
    }
  }
  return sum;
}

// The variance of a number's relative rounding error in fp16, its last bits being as good as
// random.
double fp16_noise(double x) {
  constexpr int kFractionBits = 10, kLeastPower = -14;
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), kLeastPower) - kFractionBits);
  return step * step / (12 * x * x);
}

// OCP's and NVIDIA's elements.
struct MxRow {
  std::string_view name, element;
};
constexpr std::array kMx = {MxRow{"mxfp8", "e4m3"}, MxRow{"mxfp8-e5m2", "e5m2"},
                            MxRow{"mxfp6", "e3m2"}, MxRow{"mxfp6-e2m3", "e2m3"},
                            MxRow{"mxfp4", "e2m1"}, MxRow{"mxint8", "int8"}};

// The powers of two for all m that are likely, by ScaleRule.
std::vector<ScaleStep> powers_of_two(const Distribution& d, double n, ScaleRule rule,
                                     double largest, int fraction_bits) {
  const int element_power = std::ilogb(largest);
  // The least m whose power is above `power`.
  const auto end_of = [&](int power) {
    switch (rule) {
      case ScaleRule::floor:
        return std::ldexp(1.0, power + element_power + 1);
      case ScaleRule::ceil:
        return std::ldexp(1.0, power + element_power);
      case ScaleRule::even:
        return std::ldexp(1.0, power + element_power + 1) * (1 - std::ldexp(0.25, -fraction_bits));
      case ScaleRule::rceil:
        break;
    }
    return std::ldexp(largest, power);
  };
  const double farthest = magnitude_above(d, 1e-17);
  const double nearest_one = magnitude_above(d, std::exp(std::log(0.5) / n));
  const int least = std::ilogb(std::max(nearest_one, 1e-9)) - element_power - 40;
  const int most = std::ilogb(farthest) - element_power + 2;
  std::vector<ScaleStep> steps;
  for (int power = least; power <= most; ++power) {
    const double low = power == least ? 0 : end_of(power - 1);
    const double high = power == most ? kInfinity : end_of(power);
    steps.push_back({low, high, std::ldexp(1.0, power)});
  }
  return steps;
}

LimitRow mx_limit(const Distribution& d, const Scheme& scheme, std::string_view element) {
  const auto n = static_cast<double>(scheme.format.block->block);
  const bool is_integer = element == "int8";
  const auto levels = is_integer ? fractions(-127, 127, 64) : float_numbers(float_format(element));
  const int fraction_bits = is_integer ? 6 : float_format(element).fraction_bits;
  const auto steps = powers_of_two(d, n, scheme.scale_rule, levels.back(), fraction_bits);
  return make_limit(d, LimitKind::scheme, short_form(scheme), 0, by_steps(d, n, levels, steps));
}

LimitRow nvfp4_limit(const Distribution& d, const Scheme& scheme) {
  const auto n = static_cast<double>(scheme.format.block->block);
  const auto levels = float_numbers(float_format("e2m1"));
  auto scales = float_numbers(float_format("e4m3"));
  std::erase_if(scales, [](double x) { return x < 0; });
  // As the library takes it from the largest of so many.
  const double largest = magnitude_above(d, 1 / kEntriesOfATensor);
  const double tensor_scale = static_cast<float>(largest / (levels.back() * scales.back()));
  std::vector<ScaleStep> steps;
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const auto between = [&](std::size_t k) {
      return (scales[k] + scales[k + 1]) / 2 * levels.back() * tensor_scale;
    };
    steps.push_back({i == 0 ? 0 : between(i - 1), i + 1 == scales.size() ? kInfinity : between(i),
                     scales[i] * tensor_scale});
  }
  LimitRow row =
      make_limit(d, LimitKind::scheme, short_form(scheme), 0, by_steps(d, n, levels, steps));
  row.tensor_scale = static_cast<float>(tensor_scale);
  return row;
}

// ggml's: levels in units of the largest magnitude, of code 0 or ±127; or from both ends.
std::optional<LimitRow> ggml_limit(const Distribution& d, const Scheme& scheme) {
  const std::string_view name = scheme.format.block->name;
  const auto n = static_cast<double>(scheme.format.block->block);
  const auto by_unit = [&](const std::vector<double>& unit, double codes) {
    const auto found = by_magnitude(
        d, n, [&](double m) { return scaled(unit, m); },
        [&](double m) { return fp16_noise(m / codes); });
    return make_limit(d, LimitKind::scheme, short_form(scheme), 0, found);
  };
  const auto by_range = [&](int most) {
    const auto found = by_ends(
        d, n, true, [&](double a, double b) { return scaled(fractions(0, most, most), b - a, a); },
        [&](double a, double b) {
          // Codes from 0 to `most`, spread as x is: their mean square is taken from x itself.
          const Mass inside = mass(d, a, b);
          const double p = std::max(inside.p, 1e-300);
          const double square =
              (n - 2) / n * (inside.square - 2 * a * inside.mean + a * a * inside.p) / p +
              (b - a) * (b - a) / n;
          const double minimum = std::max(std::abs(a), 1e-30);
          return fp16_noise((b - a) / most) * square + fp16_noise(minimum) * a * a;
        });
    return make_limit(d, LimitKind::scheme, short_form(scheme), 0, found);
  };
  if (name == "q8_0") return by_unit(fractions(-127, 127, 127), 127);
  if (name == "q4_0") return by_unit(fractions(-7, 8, 8), 8);
  if (name == "q5_0") return by_unit(fractions(-15, 16, 16), 16);
  if (name == "q4_1") return by_range(15);
  if (name == "q5_1") return by_range(31);
  return std::nullopt;
}

std::vector<double> levels_of(const Scheme& scheme, Range range) {
  const QuantParams params = params_of_range(scheme, range);
  const double scale = params.scale;
  switch (scheme.format.kind) {
    case FormatKind::integer: {
      std::vector<double> levels;
      for (int code = scheme.format.grid.lo(); code <= scheme.format.grid.hi(); ++code) {
        levels.push_back(scale * (code - params.zero_point));
      }
      return levels;
    }
    case FormatKind::floating:
      return scaled(float_numbers(*scheme.format.floating), scale);
    case FormatKind::codebook: {
      const auto levels = zeropoint::levels_of(*scheme.format.codebook);
      return scaled(std::vector<double>(levels.begin(), levels.end()), scale);
    }
    case FormatKind::block:
      break;
  }
  return {};
}

}  // namespace

LimitRow block_limit(const Distribution& d, const Scheme& scheme) {
  const BlockFormat& format = *scheme.format.block;
  std::optional<LimitRow> row;
  const auto mx = std::ranges::find(kMx, format.name, &MxRow::name);
  if (mx != kMx.end()) {
    row = mx_limit(d, scheme, mx->element);
  } else if (format.name == "nvfp4") {
    row = nvfp4_limit(d, scheme);
  } else {
    row = ggml_limit(d, scheme);
  }
  if (!row) {
    throw InputError(
        fmt::format("limits: expected a block format whose rule it knows, found {}", format.name));
  }
  row->bits = 8 * static_cast<double>(format.bytes) / static_cast<double>(format.block);
  row->scheme = scheme;
  return *row;
}

LimitRow group_limit(const Distribution& d, const Scheme& scheme, std::size_t size) {
  const auto n = static_cast<double>(size);
  const bool is_affine =
      scheme.format.kind == FormatKind::integer && scheme.convention.mapping == Mapping::affine;
  if (size < 2) {
    throw InputError(
        fmt::format("limits: expected groups of two at least, found {}", short_form(scheme)));
  }
  const auto range = [](double a, double b) {
    return Range{static_cast<float>(a), static_cast<float>(b)};
  };
  const auto found =
      is_affine
          ? by_ends(
                d, n, false, [&](double a, double b) { return levels_of(scheme, range(a, b)); },
                [](double, double) { return 0.0; })
          : by_magnitude(
                d, n, [&](double m) { return levels_of(scheme, range(-m, m)); },
                [](double) { return 0.0; });
  const double shared = 32 + (is_affine ? scheme.format.bits : 0);
  LimitRow row =
      make_limit(d, LimitKind::scheme, short_form(scheme), scheme.format.bits + shared / n, found);
  row.scheme = scheme;
  return row;
}

}  // namespace zeropoint
