#include "zeropoint/theory/channel_error.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <numeric>
#include <optional>
#include <utility>

#include <boost/math/quadrature/gauss.hpp>
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/transforms/hadamard.hpp"

#include "theory/cells.hpp"

namespace zeropoint {
namespace {

// P(Z > x) and the density of a standard normal Z.
double above(double x) { return std::erfc(x / std::numbers::sqrt2) / 2; }
double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

// Entries of a line that have one law: normal about +center or −center, by equal chances.
struct Law {
  std::size_t group;
  double count;
  double center;
  double deviation;

  // P(|x| > t), and the density of |x| at t.
  double beyond(double t) const {
    return above((t - center) / deviation) + above((t + center) / deviation);
  }
  double density_at(double t) const {
    return (density((t - center) / deviation) + density((t + center) / deviation)) / deviation;
  }
};

// A line (a row of A, a column of B) as it may be: of all that share a scale, these are drawn.
struct Line {
  double weight;
  std::vector<Law> laws;

  double log_within(double t) const {
    double sum = 0;
    for (const auto& law : laws) sum += law.count * std::log1p(-std::min(law.beyond(t), 1.0));
    return sum;
  }
  // The density of the largest magnitude over the chance that all are within t.
  double hazard(double t) const {
    double sum = 0;
    for (const auto& law : laws) sum += hazard(law, t);
    return sum;
  }
  static double hazard(const Law& law, double t) {
    return law.count * law.density_at(t) / std::max(1 - law.beyond(t), 1e-300);
  }
};

struct Moments {
  double xx = 0, xq = 0, qq = 0;
  void add(double weight, const Moments& other) {
    xx += weight * other.xx;
    xq += weight * other.xq;
    qq += weight * other.qq;
  }
};

// A grid over [−t, t].
struct Grid {
  Grid(double t, const Scheme& scheme)
      : params(choose_params({static_cast<float>(-t), static_cast<float>(t)}, scheme.format.grid,
                             scheme.convention)),
        cells(make_cells(params, scheme.format.grid, scheme.convention)) {
    const float x = static_cast<float>(t);
    const double q =
        dequantize(quantize_one(x, params, scheme.format.grid, scheme.convention), params);
    end = {t * t, t * q, q * q};
  }

  QuantParams params;
  Cells cells;
  Moments end;  // of an entry at the end itself
};

// Of an entry that is known to be within ±t.
Moments within(const Law& law, double t, const Grid& grid) {
  const double c = law.center, s = law.deviation;
  // E[1], E[x], E[x²] of the normal about +c between two reals; the other half mirrors it.
  struct Part {
    double p, x, xx;
  };
  const auto part = [&](double from, double to) -> Part {
    const double l = (from - c) / s, h = (to - c) / s;
    const double p = l > 0 ? above(l) - above(h) : above(-h) - above(-l);
    const double first = density(l) - density(h);
    const double second = p + l * density(l) - h * density(h);
    return {p, c * p + s * first, c * c * p + 2 * c * s * first + s * s * second};
  };
  const Part whole = part(-t, t);
  if (whole.p < 1e-300) return grid.end;
  const double step = grid.params.scale;
  const double xx = whole.xx / whole.p;
  // Rounding errors of a normal variable over steps of its deviation are as good as uniform and
  // uncorrelated: what is left is of the order of exp(−2π²).
  if (step <= s) return {xx, xx, xx + step * step / 12};
  Moments sum{xx, 0, 0};
  const auto& cells = grid.cells;
  const std::size_t last = cells.at(std::min(t, c + 9 * s));
  for (std::size_t i = cells.at(std::max(-t, c - 9 * s)); i <= last; ++i) {
    const Part cell = part(std::max(cells.edges[i], -t), std::min(cells.edges[i + 1], t));
    sum.xq += cells.values[i] * cell.x / whole.p;
    sum.qq += cells.values[i] * cells.values[i] * cell.p / whole.p;
  }
  return sum;
}

// Moments of each group of entries where `sharing` lines have one scale, over the largest
// magnitude in them: a mean over what that may be.
std::vector<Moments> moments_of(const std::vector<Line>& lines, double sharing, std::size_t groups,
                                const Scheme& scheme) {
  constexpr int kNodes = 40;
  std::vector<Moments> moments(groups);
  std::vector<double> counts(groups);
  for (const auto& law : lines.front().laws) counts[law.group] += law.count;
  const auto log_within = [&](double t) {
    double sum = 0;
    for (const auto& line : lines) sum += line.weight * std::exp(line.log_within(t));
    return sharing * std::log(sum);
  };
  double most = 0;
  for (const auto& line : lines) {
    for (const auto& law : line.laws) most = std::max(most, law.center + 40 * law.deviation);
  }
  for (int node = 0; node < kNodes; ++node) {
    const double wanted = std::log((node + 0.5) / kNodes);
    double low = 0, high = most;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (log_within(middle) < wanted ? low : high) = middle;
    }
    const double t = high;
    const Grid grid(t, scheme);
    // How much each kind of line has of those within t, and of those that reach it.
    std::vector<double> inside, at_end;
    for (const auto& line : lines) {
      inside.push_back(line.weight * std::exp(line.log_within(t)));
      at_end.push_back(inside.back() * line.hazard(t));
    }
    const double all_inside = std::reduce(inside.begin(), inside.end());
    const double all_at_end = std::reduce(at_end.begin(), at_end.end());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const double is_inside = (1 - 1 / sharing) * inside[i] / all_inside / kNodes;
      const double is_at_end = 1 / sharing * at_end[i] / all_at_end / kNodes;
      for (const auto& law : lines[i].laws) {
        const Moments plain = within(law, t, grid);
        // One entry of the line that reaches the end is the end, and exact.
        const double share = Line::hazard(law, t) / lines[i].hazard(t) / law.count;
        const double weight = law.count / counts[law.group];
        moments[law.group].add(weight * (is_inside + is_at_end * (1 - share)), plain);
        moments[law.group].add(weight * is_at_end * share, grid.end);
      }
    }
  }
  return moments;
}

// The kinds of lines that a rotation makes of lines with these channels. All channels but the one
// with the largest deviation become normal; that one, of value z, adds to each entry what the
// rotation makes of a unit vector, z times: by z the lines differ.
std::vector<Line> rotated_lines(const std::vector<double>& deviations,
                                std::optional<std::uint64_t> seed) {
  const std::size_t k = deviations.size();
  const auto channel =
      static_cast<std::size_t>(std::ranges::max_element(deviations) - deviations.begin());
  const double largest = deviations[channel];
  double rest = -largest * largest;
  for (const double each : deviations) rest += each * each;
  const double even = std::sqrt(1 / static_cast<double>(k));
  const double deviation = std::max(std::sqrt(std::max(rest, 0.0)), 1e-6 * largest) * even;

  Matrix<float> image(1, k);
  std::ranges::fill(image.values(), 0.0F);
  image(0, channel) = 1;
  Rotation(k, seed).apply(image.view(), Along::rows);
  std::vector<double> weights;  // of z, the largest first
  for (const float each : image.values()) weights.push_back(std::abs(double{each}));
  std::ranges::sort(weights, std::greater<>());
  // One magnitude where one matrix rotates; else alike ones are taken together, the largest, on
  // which the range depends, one by one.
  std::vector<std::pair<double, double>> shares;  // weight, how many
  for (std::size_t i = 0; i < k;) {
    const bool is_even = weights.front() - weights.back() < 1e-5 * even;
    const std::size_t size = is_even ? k : std::min(i < 8 ? 1 : std::max(k / 16, i / 4), k - i);
    double squares = 0;
    for (std::size_t j = i; j < i + size; ++j) squares += weights[j] * weights[j];
    shares.emplace_back(std::sqrt(squares / static_cast<double>(size)), size);
    i += size;
  }

  std::vector<Line> lines;
  const auto add = [&](double z, double chance) {
    Line line{2 * density(z) * chance, {}};
    for (const auto& [weight, count] : shares) {
      line.laws.push_back({0, count, largest * weight * z, deviation});
    }
    lines.push_back(std::move(line));
  };
  using Rule = boost::math::quadrature::gauss<double, 20>;
  for (const double from : {0.0, 2.0, 4.0}) {
    for (std::size_t i = 0; i < Rule::abscissa().size(); ++i) {
      add(from + 1 - Rule::abscissa()[i], Rule::weights()[i]);
      add(from + 1 + Rule::abscissa()[i], Rule::weights()[i]);
    }
  }
  return lines;
}

// An operand's channels. Smoothed by factors found in the sample, a channel's variance varies: its
// mean is `spread` times that of the factor's middle value. What is largest in a channel does not
// vary with it, and so the range of what is not rotated.
struct Side {
  std::vector<double> deviations;
  double spread = 1;
};

// By index along k: ρ, and variances of the entries and of what of their codes is not correlated.
struct Channels {
  std::vector<double> rho, variance, noise;
};

Channels channels_of(const Side& side, const Transform* rotation, std::size_t lines,
                     const Scheme& scheme) {
  std::vector<double> deviations = side.deviations;
  const std::size_t k = deviations.size();
  std::vector<std::size_t> group_of(k, 0);
  std::vector<double> variances;
  std::vector<Line> kinds;
  if (rotation != nullptr && k > 1) {
    for (double& each : deviations) each *= std::sqrt(side.spread);
    kinds = rotated_lines(deviations, rotation->seed);
    double sum = 0;
    for (const double each : deviations) sum += each * each;
    variances = {sum / static_cast<double>(k)};
  } else {
    std::map<double, std::size_t> groups;
    Line line{1, {}};
    for (std::size_t j = 0; j < k; ++j) {
      const auto [found, is_new] = groups.try_emplace(deviations[j], groups.size());
      group_of[j] = found->second;
      if (is_new) {
        variances.push_back(deviations[j] * deviations[j]);
        line.laws.push_back({found->second, 0, 0, deviations[j]});
      }
      line.laws[found->second].count += 1;
    }
    std::erase_if(line.laws, [](const Law& law) { return law.deviation == 0; });
    kinds.push_back(std::move(line));
  }
  const bool is_tensor = scheme.granularity.kind != GranularityKind::channel;
  const auto moments =
      moments_of(kinds, is_tensor ? static_cast<double>(lines) : 1, variances.size(), scheme);
  Channels channels;
  for (std::size_t j = 0; j < k; ++j) {
    const auto& m = moments[group_of[j]];
    const double variance = variances[group_of[j]];
    const double rho = m.xx > 0 ? m.xq / m.xx : 1;
    channels.rho.push_back(rho);
    channels.noise.push_back(m.xx > 0 ? std::max(m.qq / m.xx - rho * rho, 0.0) * variance : 0);
    channels.variance.push_back(rotation == nullptr ? variance * side.spread : variance);
  }
  return channels;
}

// E[f(M)] of the largest magnitude M of `count` standard normal numbers.
template <class F>
double mean_of_largest(std::size_t count, const F& f) {
  constexpr int kNodes = 64;
  double sum = 0;
  for (int node = 0; node < kNodes; ++node) {
    const double wanted = std::log((node + 0.5) / kNodes) / static_cast<double>(count);
    double low = 0, high = 40;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (std::log1p(-2 * above(middle)) < wanted ? low : high) = middle;
    }
    sum += f(high) / kNodes;
  }
  return sum;
}

// α of smooth: s_j = (σ_j·M)^α / (τ_j·N)^(1−α), M and N the largest of m and n draws.
void smooth(Side& a, Side& b, std::size_t m, std::size_t n, double alpha) {
  const double of_a = 2 * alpha, of_b = 2 * (1 - alpha);
  const double middle_a = std::exp(mean_of_largest(m, [](double x) { return std::log(x); }));
  const double middle_b = std::exp(mean_of_largest(n, [](double x) { return std::log(x); }));
  const auto spread = [](std::size_t count, double middle, double power) {
    return mean_of_largest(count, [&](double x) { return std::pow(x / middle, power); });
  };
  a.spread = spread(m, middle_a, -of_a) * spread(n, middle_b, of_b);
  b.spread = spread(m, middle_a, of_a) * spread(n, middle_b, -of_b);
  for (std::size_t j = 0; j < a.deviations.size(); ++j) {
    double& sigma = a.deviations[j];
    double& tau = b.deviations[j];
    if (sigma == 0 || tau == 0) continue;
    const double factor = std::pow(sigma * middle_a, alpha) / std::pow(tau * middle_b, 1 - alpha);
    sigma /= factor;
    tau *= factor;
  }
}

void check_scheme(const Scheme& scheme) {
  const auto kind = scheme.granularity.kind;
  const bool is_channel = kind == GranularityKind::channel && !scheme.granularity.axis;
  if (scheme.format.kind != FormatKind::integer ||
      scheme.convention.mapping != Mapping::symmetric || scheme.range.kind != RangeKind::minmax ||
      (kind != GranularityKind::tensor && !is_channel)) {
    throw InputError(fmt::format(
        "predict: expected integers, sym, over the smallest and largest value of a tensor or a "
        "channel; found {}",
        short_form(scheme)));
  }
}

void check_deviations(const std::vector<double>& deviations, std::string_view what) {
  for (const double each : deviations) {
    if (!(each >= 0) || std::isinf(each)) {
      throw InputError(fmt::format(
          "predict: expected finite deviations of {}, at least 0; found {}", what, each));
    }
  }
  if (std::ranges::all_of(deviations, [](double each) { return each == 0; })) {
    throw InputError(fmt::format("predict: expected a deviation of {} above 0, found none", what));
  }
}

}  // namespace

double predict_channel_error(const ChannelDeviations& operands, const SchemePair& schemes) {
  check_scheme(schemes.a);
  check_scheme(schemes.b);
  check_deviations(operands.a, "A");
  check_deviations(operands.b, "B");
  const std::size_t k = operands.a.size();
  if (operands.b.size() != k || operands.m == 0 || operands.n == 0) {
    throw InputError(fmt::format(
        "predict: expected as many deviations of A and B, and rows and columns; found {} and {} "
        "for {}x{}",
        k, operands.b.size(), operands.m, operands.n));
  }
  if (schemes.a.transforms != schemes.b.transforms) {
    throw InputError("predict: expected the same transforms of both operands");
  }
  Side a{operands.a}, b{operands.b};
  const Transform* rotation = nullptr;
  for (const auto& transform : schemes.a.transforms) {
    if (transform.kind == TransformKind::hadamard) rotation = &transform;
    // Once rotated, all channels have one scale, and so one factor, which changes nothing.
    if (transform.kind == TransformKind::smooth && rotation == nullptr) {
      smooth(a, b, operands.m, operands.n, transform.alpha);
    }
  }
  const Channels of_a = channels_of(a, rotation, operands.m, schemes.a);
  const Channels of_b = channels_of(b, rotation, operands.n, schemes.b);
  double energy = 0, error = 0;
  for (std::size_t j = 0; j < k; ++j) {
    const double own = std::pow(operands.a[j] * operands.b[j], 2);
    const double rho_a = of_a.rho[j], rho_b = of_b.rho[j];
    energy += own;
    error += std::pow(1 - rho_a * rho_b, 2) * own +
             rho_a * rho_a * of_a.variance[j] * of_b.noise[j] +
             rho_b * rho_b * of_b.variance[j] * of_a.noise[j] + of_a.noise[j] * of_b.noise[j];
  }
  if (energy == 0) {
    throw InputError("predict: expected a channel that is 0 in neither A nor B, found none");
  }
  return std::sqrt(error / energy);
}

}  // namespace zeropoint
