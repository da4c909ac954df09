#pragma once
#include <optional>
#include <string>
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
  double below, at_lo, middle, at_hi, above;
  /// Mean features of the values at lo and hi, where their errors jump about as the range changes.
  std::optional<Features> extreme = {};
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
