#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace zeropoint::scheme_error {

/// What a squared error strays by: sums of independent numbers of mean 0, and a rest.
struct Noise {
  /// `count` numbers of one distribution: probabilities and values.
  struct Values {
    double count;
    std::vector<std::pair<double, double>> numbers;
  };
  /// A way that a tile's range may fall out: its probability, what it moves all of the tile by, and
  /// the index of what varies within the tile then.
  struct Range {
    double probability, off;
    std::size_t within;
  };
  struct Tiles {
    double count;
    std::vector<Range> ranges;
    std::vector<std::vector<Values>> within;
  };
  double variance = 0;  ///< of all together
  double rest = 0;      ///< of what is a sum of squares of normal numbers, beside the tiles
  std::vector<Tiles> tiles;

  void add(const Noise& other) {
    variance += other.variance;
    rest += other.rest;
    tiles.insert(tiles.end(), other.tiles.begin(), other.tiles.end());
  }
};

/// `count` values of equal probability that stand for the noise of an error whose square is
/// `expected`, below which it does not go.
std::vector<double> even_quantiles(const Noise& noise, double expected, std::size_t count);

}  // namespace zeropoint::scheme_error
