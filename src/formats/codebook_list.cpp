// Codebooks by formulas: NF4, and Lloyd and Max's quantizers of densities.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/codebook.hpp"

#include "formats/cell_means.hpp"

namespace zeropoint {
namespace {

using std::numbers::sqrt2;
using std::numbers::sqrt3;

double normal_density(double x) { return std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / sqrt2; }
double normal_tail(double x) { return std::erfc(x / sqrt2) / 2; }

double laplace_density(double x) { return std::exp(-sqrt2 * x) / sqrt2; }
double laplace_tail(double x) { return std::exp(-sqrt2 * x) / 2; }
double laplace_tail_mean(double x) {
  return std::isinf(x) ? 0 : (x + 1 / sqrt2) * std::exp(-sqrt2 * x) / 2;
}

double uniform_density(double x) { return x <= sqrt3 ? 1 / (2 * sqrt3) : 0; }
double uniform_tail(double x) { return std::max(sqrt3 - x, 0.0) / (2 * sqrt3); }
double uniform_tail_mean(double x) {
  return x < sqrt3 ? (sqrt3 - x) * (sqrt3 + x) / (4 * sqrt3) : 0;
}

// A normal density's partial mean is the density itself.
constexpr std::array kDensities = {
    Density{"normal", "normal", normal_density, normal_tail, normal_density, sqrt3},
    Density{"laplace", "Laplace", laplace_density, laplace_tail, laplace_tail_mean, 3},
    Density{"uniform", "uniform", uniform_density, uniform_tail, uniform_tail_mean, 1},
};

// The x ≥ 0 whose tail is p, 0 < p ≤ 1/2, well enough to start from.
double tail_quantile(const Density& density, double p) {
  double low = 0, high = 64;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (density.tail(middle) > p ? low : high) = middle;
  }
  return low;
}

CellMeans cells_of(const DensityFunctions& of, const std::vector<double>& levels) {
  const std::size_t count = levels.size();
  CellMeans cells{levels, std::vector<double>(count), std::vector<double>(count, 1),
                  std::vector<double>(count)};
  double from = of.from;
  double tail = of.tail(from);
  double tail_mean = of.tail_mean(from);
  for (std::size_t k = 0; k < count; ++k) {
    const bool is_last = k + 1 == count;
    const double to =
        is_last ? std::numeric_limits<double>::infinity() : (levels[k] + levels[k + 1]) / 2;
    const double tail_to = of.tail(to);
    const double tail_mean_to = of.tail_mean(to);
    const double mass = tail - tail_to;
    const double mean = (tail_mean - tail_mean_to) / mass;
    cells.off[k] -= mean;
    // Each end of a cell lies halfway between levels: it moves half as far as either.
    if (k > 0) {
      const double slope = of.density(from) * (mean - from) / mass / 2;
      cells.below[k] = -slope;
      cells.own[k] -= slope;
    }
    if (!is_last) {
      const double slope = of.density(to) * (to - mean) / mass / 2;
      cells.above[k] = -slope;
      cells.own[k] -= slope;
    }
    from = to;
    tail = tail_to;
    tail_mean = tail_mean_to;
  }
  return cells;
}

std::vector<double> upper_levels(const Density& density, std::size_t count) {
  // Where the cells are narrow, their sizes follow the cube root of the density (Panter and Dite,
  // Proc. IRE 39, 1951).
  std::vector<double> levels(count);
  for (std::size_t k = 0; k < count; ++k) {
    const double p = (static_cast<double>(count - k) - 0.5) / (2 * static_cast<double>(count));
    levels[k] = density.spread * tail_quantile(density, p);
  }
  return lloyd_max_levels({density.density, density.tail, density.tail_mean, 0}, levels);
}

}  // namespace

std::vector<double> newton_step(CellMeans cells) {
  const std::size_t count = cells.off.size();
  for (std::size_t k = 1; k < count; ++k) {
    const double factor = cells.below[k] / cells.own[k - 1];
    cells.own[k] -= factor * cells.above[k - 1];
    cells.off[k] -= factor * cells.off[k - 1];
  }
  for (std::size_t k = count; k-- > 0;) {
    if (k + 1 < count) cells.off[k] -= cells.above[k] * cells.off[k + 1];
    cells.off[k] /= cells.own[k];
  }
  return cells.off;
}

std::vector<double> lloyd_max_levels(const DensityFunctions& density, std::vector<double> levels,
                                     LevelSteps steps) {
  const bool is_proportional = steps == LevelSteps::proportional;
  const int rounds = is_proportional ? 200 : 60;
  const std::size_t count = levels.size();
  for (int round = 0; round < rounds; ++round) {
    const std::vector<double> step = newton_step(cells_of(density, levels));
    double factor = 1;
    std::vector<double> next(count);
    for (;;) {
      for (std::size_t k = 0; k < count; ++k) {
        next[k] = is_proportional ? levels[k] * std::exp(-factor * step[k] / levels[k])
                                  : levels[k] - factor * step[k];
      }
      const bool ascends = next[0] > density.from && std::ranges::is_sorted(next);
      if (ascends || factor < 1e-6) break;
      factor /= 2;
    }
    double largest = 0;
    for (std::size_t k = 0; k < count; ++k) {
      largest = std::max(largest, std::abs(next[k] - levels[k]));
    }
    levels = next;
    if (largest < 1e-14) break;
  }
  return levels;
}

const Codebook& nf4() {
  // As published (appendix E), float32s in decimal: its construction in double differs from them
  // in the seventh digit.
  static const Codebook codebook = {
      "nf4",
      "NormalFloat, 16 quantiles of the normal distribution",
      {-1.0F, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F,
       -0.28444138169288635F, -0.18477343022823334F, -0.09105003625154495F, 0.0F,
       0.07958029955625534F, 0.16093020141124725F, 0.24611230194568634F, 0.33791524171829224F,
       0.44070982933044434F, 0.5626170039176941F, 0.7229568362236023F, 1.0F}};
  return codebook;
}

std::span<const Density> densities() { return kDensities; }

const Density& density(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Density& density : kDensities) {
    if (density.name == name) return density;
    known.push_back(density.name);
  }
  throw InputError(fmt::format("density: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

Codebook lloyd_max(const Density& density, int bits) {
  if (bits < 1 || bits > 8) {
    throw InputError(fmt::format("codebook: expected 1 to 8 bits, found {}", bits));
  }
  Codebook codebook{fmt::format("lloyd{}-{}", bits, density.name),
                    fmt::format("least squared error for the {} density", density.title),
                    {}};
  const std::vector<double> upper = upper_levels(density, std::size_t{1} << (bits - 1));
  for (auto level = upper.rbegin(); level != upper.rend(); ++level) {
    codebook.levels.push_back(static_cast<float>(-*level));
  }
  for (const double level : upper) codebook.levels.push_back(static_cast<float>(level));
  return codebook;
}

}  // namespace zeropoint
