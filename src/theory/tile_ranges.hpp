#pragma once
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/theory/distribution.hpp"

#include "theory/step_function.hpp"

namespace zeropoint {

/// One way that the range of a tile may fall out, and where the tile's values are then: shares of
/// them below lo, at lo, between, at hi and above hi, each part distributed as the whole is there.
struct TileRange {
  double weight;  ///< its probability
  bool is_usual;  ///< one measurement in a hundred holds rarer ones
  Range range;    ///< what the estimator says
  double lo, hi;  ///< infinite if the range says nothing about where values are
  double below = 0, at_lo = 0, middle = 0, at_hi = 0, above = 0;
  /// Of the values at lo and hi, where their errors jump about as the range changes: features, each
  /// with its probability.
  struct Extreme {
    std::vector<std::pair<double, Features>> values;
    Features mean{};
  };
  std::shared_ptr<const Extreme> extreme = {};
  /// Values beyond lo and hi, one by one, where a tile has so few that the range hangs on each.
  std::vector<double> beyond = {};
};

/// How a tile's values bear on its range.
struct TileRanges {
  std::vector<TileRange> list;
  /// If the range follows the tile's mean square, `list` is for one that is smaller by this part of
  /// it, as expected, and greater by it; else 0.
  double square_step = 0;
  /// Whether that mean square is about the mean.
  bool is_about_mean = false;
  std::string why_not;
};

/// The ranges of one of `tiles` tiles of `count` values each, `padding` of them zeros that fill up
/// a block. `square_spread` is the relative standard deviation of a tile's mean square.
TileRanges tile_ranges(const PartialMoments& moments, const Scheme& scheme, double count,
                       double tiles, bool is_padded, double square_spread);

/// Ranges of one tile whose cover leaves out so few values that they are drawn; the same for the
/// range of least error.
std::vector<TileRange> drawn_cover_ranges(const Distribution& distribution, double lower_rank,
                                          double upper_rank, double count);
std::vector<TileRange> drawn_mse_ranges(const Distribution& distribution, const GridNeed& need,
                                        double count);

/// The magnitude that a draw stays within with probability 1 − tail.
double magnitude_quantile(const Distribution& distribution, double tail);

/// f(weight, u, 1 − u, z) at nodes of a rule for integrals over u in [0, 1], many of them near 1:
/// even in the variable z of exp(−exp(−z)), from far below it up to `most`, moved by a part `shift`
/// of their distance.
template <class F>
void for_each_extreme(double step, double most, const F& f, double shift = 0) {
  // Below, exp(−exp(2.5)) = 5e-6.
  const double least = -2.5 - shift * step;
  double sum = 0;
  for (double z = least; z <= most; z += step) sum += std::exp(-z - std::exp(-z));
  for (double z = least; z <= most; z += step) {
    const double tail = std::exp(-z);
    f(std::exp(-z - tail) / sum, std::exp(-tail), -std::expm1(-tail), z);
  }
}

}  // namespace zeropoint
