#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "zeropoint/theory/product_error.hpp"

#include "theory/drawn_blocks.hpp"
#include "theory/fitted_levels.hpp"
#include "theory/noise.hpp"
#include "theory/step_function.hpp"
#include "theory/tile_ranges.hpp"

/// What scheme_error.cpp builds on: the features of an operand's errors under a scheme, what varies
/// in them from one measurement to another, and how a product's error follows from both operands'.
namespace zeropoint::scheme_error {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Tiles of one size.
struct TileKind {
  double tiles, count;
  double along;  // values of one row of A, or column of B
  bool is_padded;
  bool operator==(const TileKind&) const = default;
};

inline std::vector<TileKind> tile_kinds(const Scheme& scheme, std::size_t rows, std::size_t cols,
                                        Role role) {
  std::size_t tile_rows = 1, tile_cols = 0;
  const bool is_block = scheme.format.kind == FormatKind::block;
  if (is_block) {
    if (role == Role::right) std::swap(rows, cols);
    tile_cols = scheme.format.block->block;
  } else {
    const Tiles tiles = make_tiles(scheme.granularity, std::array{rows, cols}, role);
    rows = tiles.rows;
    cols = tiles.cols;
    tile_rows = tiles.tile_rows;
    tile_cols = tiles.tile_cols;
  }
  struct Part {
    std::size_t times, extent;
  };
  const auto parts = [](std::size_t whole, std::size_t tile) {
    return std::array{Part{whole / tile, tile}, Part{whole % tile == 0 ? 0U : 1U, whole % tile}};
  };
  std::vector<TileKind> kinds;
  for (const auto& down : parts(rows, tile_rows)) {
    for (const auto& across : parts(cols, tile_cols)) {
      if (down.times * across.times == 0) continue;
      kinds.push_back(
          {static_cast<double>(down.times) * static_cast<double>(across.times),
           static_cast<double>(down.extent) * static_cast<double>(across.extent),
           static_cast<double>(is_block || role != Role::right ? across.extent : down.extent),
           is_block && across.extent < tile_cols});
    }
  }
  return kinds;
}

// The distribution as points, for what only needs to be known roughly: its fourth moments.
struct Points {
  std::vector<double> x, weight;  // weights add up to 1
  std::vector<bool> is_usual;     // one measurement in a hundred holds rarer ones
  double mean = 0;
  double square_spread = 0;  // the relative standard deviation of squared distances from the mean

  // Even in the logarithm of the odds, out to what one measurement in ten thousand holds.
  Points(const Distribution& distribution, double count) {
    constexpr int kCount = 700;
    const double reach = std::log(1e4 * count);
    const double usual = std::log(100 * count);
    for (int i = 0; i < kCount; ++i) {
      const double odds = std::exp(reach * (2.0 * i / (kCount - 1) - 1));
      const double p = odds / (1 + odds);
      x.push_back(p < 0.5 ? distribution.quantile(p) : distribution.upper_quantile(1 / (1 + odds)));
      weight.push_back(p / (1 + odds));
      is_usual.push_back(std::abs(std::log(odds)) <= usual);
    }
    const double sum = std::accumulate(weight.begin(), weight.end(), 0.0);
    for (double& w : weight) w /= sum;
    for (std::size_t i = 0; i < x.size(); ++i) mean += weight[i] * x[i];
    double second = 0, fourth = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double square = (x[i] - mean) * (x[i] - mean);
      second += weight[i] * square;
      if (is_usual[i]) fourth += weight[i] * square * square;
    }
    if (second > 0) square_spread = std::sqrt(std::max(0.0, fourth / (second * second) - 1));
  }
};

inline double dot(const Features& g, const Features& f) {
  double sum = 0;
  for (std::size_t i = 0; i < f.size(); ++i) sum += g[i] * f[i];
  return sum;
}

inline void add_to(Features& sum, double weight, const Features& f) {
  for (std::size_t i = 0; i < f.size(); ++i) sum[i] += weight * f[i];
}

// Covariances of an entry's x², xe and e².
using Covariance = std::array<std::array<double, 3>, 3>;
constexpr std::array kSquares = {kXX, kXE, kEE};

inline void add_to(Covariance& sum, double weight, const Covariance& c) {
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t s = 0; s < 3; ++s) sum[r][s] += weight * c[r][s];
  }
}

inline Covariance products(const Features& f) {
  Covariance c;
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t s = 0; s < 3; ++s) c[r][s] = f[kSquares[r]] * f[kSquares[s]];
  }
  return c;
}

// Errors after their numbers are read with a scale that is so many times larger: (factor − 1)·x +
// factor·e.
class Shrunk {
 public:
  explicit Shrunk(double factor = 1)
      : s_(factor),
        map_{{{1, 0, 0}, {s_ - 1, s_, 0}, {(s_ - 1) * (s_ - 1), 2 * s_ * (s_ - 1), s_ * s_}}} {}
  // The factor that leaves the least squared error.
  static Shrunk best(const Features& f) {
    const double of_codes = f[kXX] + 2 * f[kXE] + f[kEE];
    const double factor = (f[kXX] + f[kXE]) / of_codes;
    return Shrunk(factor > 0 && std::isfinite(factor) ? factor : 1);
  }
  double factor() const { return s_; }

  Features features(const Features& f) const {
    Features shrunk = f;
    shrunk[kE] = (s_ - 1) * f[kX] + s_ * f[kE];
    for (std::size_t r = 0; r < 3; ++r) {
      shrunk[kSquares[r]] = 0;
      for (std::size_t t = 0; t < 3; ++t) shrunk[kSquares[r]] += map_[r][t] * f[kSquares[t]];
    }
    return shrunk;
  }
  Covariance covariance(const Covariance& c) const {
    Covariance shrunk{};
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t s = 0; s < 3; ++s) {
        for (std::size_t t = 0; t < 3; ++t) {
          for (std::size_t u = 0; u < 3; ++u) shrunk[r][s] += map_[r][t] * map_[s][u] * c[t][u];
        }
      }
    }
    return shrunk;
  }
  // By features before, of what has the gradient `g` by those after.
  Features gradient(const Features& g) const {
    Features before = g;
    before[kX] = g[kX] + (s_ - 1) * g[kE];
    before[kE] = s_ * g[kE];
    for (std::size_t t = 0; t < 3; ++t) {
      before[kSquares[t]] = 0;
      for (std::size_t r = 0; r < 3; ++r) before[kSquares[t]] += map_[r][t] * g[kSquares[r]];
    }
    return before;
  }

 private:
  double s_;
  Covariance map_;  // of x², xe and e²
};

// Symmetric 2×2 matrices of (D, Y), an entry of the error and of the product.
struct Pair {
  double dd, dy, yy;
};

// Means of products of different entries in one tile, in the places of their squares, and how many
// others of its tile an entry has in its row of A or column of B.
struct Neighbours {
  Features pair{};
  Covariance squares{};  // of x², xe and e² of one with those of the other
  double count = 0;
};

// The same of entries that have nothing in common.
inline Features squares_of_means(const Features& f) {
  return {f[kX], f[kE], f[kX] * f[kX], f[kX] * f[kE], f[kE] * f[kE]};
}

// How the error of a product depends on the mean features of both operands; linear in each of
// them as far as numbers with mean 0 go.
struct Ratio {
  double numerator, denominator;
  double value() const { return numerator / denominator; }
};
class ProductError {
 public:
  explicit ProductError(double k) : k_(k) {}

  // What errors add that share a tile, and so its scale.
  void add_neighbours(const Neighbours& a, const Neighbours& b, const Features& mean_a,
                      const Features& mean_b) {
    const auto add = [&](double count, const Features& of_a, const Features& of_b) {
      if (!(count > 0)) return;
      const double mean = mean_error(mean_a, mean_b);
      neighbours_.dd += count * (square_error(of_a, of_b) - mean * mean);
      neighbours_.dy += count * (error_by_product(of_a, of_b) - mean * mean_a[kX] * mean_b[kX]);
    };
    const Features alone_a = squares_of_means(mean_a);
    const Features alone_b = squares_of_means(mean_b);
    add(std::min(a.count, b.count), a.pair, b.pair);
    add(a.count - b.count, a.pair, alone_b);
    add(b.count - a.count, alone_a, b.pair);
  }
  const Pair& neighbours() const { return neighbours_; }

  // Of the ratio's value by the pair features of a's neighbours, for each of them.
  Features gradient_by_pair(const Neighbours& a, const Neighbours& b, const Features& mean_a,
                            const Features& mean_b) const {
    Features g{};
    if (!(a.count > 0)) return g;
    Features other{};
    const double both = std::min(a.count, b.count) / a.count;
    add_to(other, both, b.pair);
    add_to(other, 1 - both, squares_of_means(mean_b));
    const double denominator = ratio(mean_a, mean_b).denominator;
    g[kXX] = other[kEE] / denominator;
    g[kXE] = 2 * (other[kXE] + other[kEE]) / denominator;
    g[kEE] = (other[kXX] + 2 * other[kXE] + other[kEE]) / denominator;
    return g;
  }

  Ratio ratio(const Features& a, const Features& b) const {
    const double mean = mean_error(a, b);
    const double mean_y = a[kX] * b[kX];
    return {square_error(a, b) + (k_ - 1) * mean * mean + neighbours_.dd,
            a[kXX] * b[kXX] + (k_ - 1) * mean_y * mean_y};
  }

  // Of the ratio's value by a's features.
  Features gradient(const Features& a, const Features& b) const {
    const Ratio r = ratio(a, b);
    const double mean = 2 * (k_ - 1) * mean_error(a, b);
    const double mean_y = 2 * (k_ - 1) * a[kX] * b[kX];
    const double h = r.value();
    Features g;
    g[kX] = (-mean * b[kE] - h * mean_y * b[kX]) / r.denominator;
    g[kE] = -mean * (b[kX] + b[kE]) / r.denominator;
    g[kXX] = (b[kEE] - h * b[kXX]) / r.denominator;
    g[kXE] = 2 * (b[kXE] + b[kEE]) / r.denominator;
    g[kEE] = (b[kXX] + 2 * b[kXE] + b[kEE]) / r.denominator;
    return g;
  }

  // E[ab − (a + e)(b + e')] …
  static double mean_error(const Features& a, const Features& b) {
    return -(a[kX] * b[kE] + a[kE] * b[kX] + a[kE] * b[kE]);
  }
  // … and of its square.
  static double square_error(const Features& a, const Features& b) {
    return a[kXX] * b[kEE] + a[kEE] * b[kXX] + a[kEE] * b[kEE] +
           2 * (a[kXE] * b[kXE] + a[kXE] * b[kEE] + a[kEE] * b[kXE]);
  }
  // E[(ab − (a + e)(b + e'))·ab].
  static double error_by_product(const Features& a, const Features& b) {
    return -(a[kXX] * b[kXE] + a[kXE] * b[kXX] + a[kXE] * b[kXE]);
  }
  double k() const { return k_; }

 private:
  double k_;
  Pair neighbours_{};
};

// An operand under its scheme.
class QuantizedOperand {
 public:
  QuantizedOperand(const PartialMoments& moments, const Points& points, const Scheme& scheme,
                   std::size_t rows, std::size_t cols, Role role)
      : moments_(moments), scheme_(scheme) {
    const Distribution& distribution = moments.distribution();
    const auto kinds = tile_kinds(scheme, rows, cols, role);
    for (const auto& kind : kinds) count_ += kind.tiles * kind.count;
    constexpr double kFewest = 32;
    if (scheme.shrinks && kinds[0].count < kFewest) {
      why_not_ = "the scale that shrink fits to so few numbers hangs on each of them";
      return;
    }
    if (is_joint()) {
      for (const auto& kind : kinds) {
        auto drawn =
            draw_blocks(distribution, *scheme.format.block, static_cast<std::size_t>(kind.count));
        parts_.push_back({kind, {}, {}, {}, {}, std::move(drawn)});
      }
      find_drawn_means();
      outcomes_.push_back({1, mean_});
      return;
    }
    if (is_fitted()) {
      auto fitted = fitted_levels(distribution, scheme.format.bits, count_);
      why_not_ = std::move(fitted.why_not);
      if (!why_not_.empty()) return;
      levels_ = StepFunction::of_levels(fitted.levels, Rounding::half_even);
      overfit_ = fitted.overfit;
    }
    for (const auto& kind : kinds) {
      const double spread = points.square_spread / std::sqrt(kind.count);
      Part part{kind, tile_ranges(moments, scheme, kind.count, kind.tiles, kind.is_padded, spread),
                {},   {},
                {},   {}};
      if (!part.ranges.why_not.empty()) {
        why_not_ = part.ranges.why_not;
        return;
      }
      parts_.push_back(std::move(part));
    }
    has_one_tile_ = parts_.size() == 1 && parts_[0].kind.tiles == 1 && !follows_square();
    if (scheme.format.block == nullptr || !scheme.format.block->has_tensor_scale) {
      find_means(points);
    } else {
      // The largest magnitude of all sets the tensor's scale: at nine of its quantiles.
      constexpr int kMagnitudes = 9;
      for (int i = 0; i < kMagnitudes; ++i) {
        // The median last, to stand for the others from then on.
        const double p = ((i + 5) % kMagnitudes + 0.5) / kMagnitudes;
        most_ = magnitude_quantile(distribution, -std::expm1(std::log(p) / count_));
        find_means(points);
        outcomes_.push_back({1.0 / kMagnitudes, mean_});
      }
    }
    if (has_one_tile_) {
      for (std::size_t i = 0; i < parts_[0].means.size(); ++i) {
        outcomes_.push_back({parts_[0].ranges.list[i].weight, parts_[0].means[i]});
      }
    } else if (outcomes_.empty()) {
      outcomes_.push_back({1, mean_});
    }
  }

  const std::string& why_not() const { return why_not_; }
  const Features& mean() const { return mean_; }
  const Neighbours& neighbours() const { return neighbours_; }
  double count() const { return count_; }
  // Whether a range is taken at its expectation, or errors are known by a sample.
  bool has_central_range() const {
    if (is_joint()) return true;
    return !scheme_.unit_scale && scheme_.format.kind != FormatKind::block &&
           (follows_square() || scheme_.range.kind == RangeKind::mse);
  }

  // What is one draw for the whole operand: the range of one tile, or a tensor's own scale.
  struct Outcome {
    double probability;
    Features mean;
  };
  const std::vector<Outcome>& outcomes() const { return outcomes_; }

  // How much the mean square of what a range follows adds to a gradient.
  template <class F>
  Features gradient(Features g, const F& error_of) const {
    if (is_fitted()) {
      // Each level is the mean of its cell, so that Σe = 0 and Σxe = −Σe² whatever the numbers are;
      // and as the error is least there, levels that stray add nothing to first order.
      g[kEE] -= g[kXE];
      g[kXE] = g[kE] = 0;
      return g;
    }
    if (scheme_.shrinks) {
      // Likewise Σqe = 0 over what shares a scale.
      g[kEE] -= g[kXE];
      g[kXE] = 0;
    }
    const Part& part = parts_[0];
    if (!follows_square()) return g;
    const double center = part.ranges.is_about_mean ? mean_[kX] : 0;
    const double square = mean_[kXX] - center * center;
    const double slope = (error_of(part.means[2]) - error_of(part.means[0])) /
                         (2 * part.ranges.square_step * square);
    g[kXX] += slope;
    g[kX] -= 2 * center * slope;
    return g;
  }

  // The noise of g times the measured mean features, beside what outcomes() holds; and the
  // covariance of an entry's squares.
  // `by_pair` is the gradient by neighbours' pair features, times their number.
  Noise noise(const Features& g, const Features& by_pair, const Points& points,
              Covariance& covariance) const {
    if (is_joint()) return drawn_noise(g, covariance);
    Noise noise;
    covariance = {};
    const Features before = shrunk_.gradient(g);
    for (const auto& part : parts_) {
      const double n = part.kind.count;
      const double share = part.kind.tiles * n / count_;
      const auto value = [&](std::size_t i) {
        return dot(g, part.means[i]) +
               (n > 1 ? (part.kind.along - 1) * dot(by_pair, part.pairs[i]) : 0);
      };
      double usual = 0, center = 0;
      for (std::size_t i = 0; i < part.means.size(); ++i) {
        const auto& range = part.ranges.list[i];
        if (!range.is_usual) continue;
        usual += range.weight;
        center += range.weight * value(i);
      }
      center /= usual;
      const bool is_alike = has_one_tile_ || follows_square();
      const auto off = [&](std::size_t i) {
        return is_alike ? 0 : n / count_ * (value(i) - center);
      };
      Noise::Tiles tiles{part.kind.tiles, {}, {}};
      // The values of a tile, given its range: at some of the ranges, for those of like width.
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < part.means.size(); ++i) {
        if (part.ranges.list[i].is_usual) order.push_back(i);
      }
      const auto width = [&](std::size_t i) {
        return double{part.ranges.list[i].range.max} - part.ranges.list[i].range.min;
      };
      std::ranges::stable_sort(order, {}, width);
      constexpr std::size_t kSome = 32;
      const std::size_t stride = (order.size() + kSome - 1) / kSome;
      double variance = 0;
      for (std::size_t first = 0; first < order.size(); first += stride) {
        const std::size_t end = std::min(first + stride, order.size());
        double weight = 0, mean_width = 0;
        for (std::size_t j = first; j < end; ++j) {
          const std::size_t i = order[j];
          const double probability = part.ranges.list[i].weight / usual;
          tiles.ranges.push_back({probability, off(i), tiles.within.size()});
          weight += probability;
          mean_width += probability * width(i);
          variance += probability * off(i) * off(i);
        }
        mean_width /= weight;
        const auto middle = *std::ranges::min_element(
            order.begin() + static_cast<std::ptrdiff_t>(first),
            order.begin() + static_cast<std::ptrdiff_t>(end), {},
            [&](std::size_t i) { return std::abs(width(i) - mean_width); });
        auto within =
            noise_within(part.ranges.list[middle], n, before, points, weight * share, covariance);
        variance += weight * within.variance;
        tiles.within.push_back(std::move(within.values));
      }
      noise.variance += part.kind.tiles * variance;
      noise.tiles.push_back(std::move(tiles));
    }
    covariance = shrunk_.covariance(covariance);
    if (is_fitted()) {
      // Anywhere on it, and likewise in both operands if they are alike.
      const double off = g[kEE] * mean_[kEE] * overfit_;
      noise.variance += 2 * off * off / 12;
      noise.rest += 2 * off * off / 12;
    }
    return noise;
  }

 private:
  struct Part {
    TileKind kind;
    TileRanges ranges;
    std::vector<Features> means, pairs;  // of a tile with that range
    Features mean;
    DrawnBlocks drawn;
  };

  bool is_joint() const {
    return scheme_.format.kind == FormatKind::block && scheme_.format.block->is_joint;
  }
  bool is_fitted() const {
    return scheme_.format.kind == FormatKind::codebook && scheme_.format.codebook->is_fitted();
  }

  static Features drawn_features(const DrawnBlocks& drawn, std::size_t i) {
    const double x = drawn.x[i];
    const double e = double{drawn.q[i]} - x;
    return {x, e, x * x, x * e, e * e};
  }

  void find_drawn_means() {
    const auto& distribution = moments_.distribution();
    for (const auto& part : parts_) {
      const DrawnBlocks& drawn = part.drawn;
      const double share = part.kind.tiles * part.kind.count / count_;
      const auto values = static_cast<double>(drawn.x.size());
      Features mean{};
      Covariance squares{};  // of two different ones of a block
      for (std::size_t block = 0; block < drawn.blocks(); ++block) {
        Features sum{};
        Covariance own{};
        for (std::size_t i = block * drawn.count; i < (block + 1) * drawn.count; ++i) {
          const Features f = drawn_features(drawn, i);
          add_to(sum, 1, f);
          add_to(own, 1, products(f));
        }
        add_to(mean, 1 / values, sum);
        if (drawn.count < 2) continue;
        const double pairs = values * static_cast<double>(drawn.count - 1);
        add_to(squares, 1 / pairs, products(sum));
        add_to(squares, -1 / pairs, own);
      }
      add_to(squares, -1, products(mean));
      add_to(mean_, share, mean);
      add_to(neighbours_.squares, share, squares);
      neighbours_.count += share * (part.kind.along - 1);
    }
    mean_[kX] = distribution.partial_mean(kInfinity);
    mean_[kXX] = distribution.partial_square(kInfinity);
    // That errors have much to do with each other, but for their squares, does not show.
    neighbours_.pair = squares_of_means(mean_);
  }

  Noise drawn_noise(const Features& g, Covariance& covariance) const {
    Noise noise;
    covariance = {};
    for (const auto& part : parts_) {
      const DrawnBlocks& drawn = part.drawn;
      const auto blocks = static_cast<double>(drawn.blocks());
      const double share = part.kind.tiles * part.kind.count / count_;
      std::vector<std::pair<double, double>> numbers;
      Features mean{};
      const auto values = static_cast<double>(drawn.x.size());
      for (std::size_t block = 0; block < drawn.blocks(); ++block) {
        double sum = 0;
        for (std::size_t i = block * drawn.count; i < (block + 1) * drawn.count; ++i) {
          const Features f = drawn_features(drawn, i);
          sum += dot(g, f) / count_;
          add_to(mean, 1 / values, f);
          add_to(covariance, share / values, products(f));
        }
        numbers.emplace_back(1 / blocks, sum);
      }
      add_to(covariance, -share, products(mean));
      Within within;
      within.add(1, std::move(numbers));
      noise.variance += part.kind.tiles * within.variance;
      // The blocks' mean is itself off by chance, and likewise in both operands if they are alike.
      const double own = 2 * part.kind.tiles * part.kind.tiles * within.variance / blocks;
      noise.variance += own;
      noise.rest += own;
      noise.tiles.push_back({part.kind.tiles, {{1, 0, 0}}, {std::move(within.values)}});
    }
    return noise;
  }

  void find_means(const Points& points) {
    mean_ = {};
    neighbours_ = {};
    double factors = 0;
    for (auto& part : parts_) {
      part.means.clear();
      part.pairs.clear();
      part.mean = {};
      Features pair{};
      Covariance squares{};
      const double share = part.kind.tiles * part.kind.count / count_;
      for (const auto& range : part.ranges.list) {
        const auto [mean, of_pair, of_squares, factor] =
            mean_features(range, part.kind.count, points);
        factors += range.weight * share * factor;
        part.means.push_back(mean);
        part.pairs.push_back(of_pair);
        add_to(part.mean, range.weight, mean);
        add_to(pair, range.weight, of_pair);
        add_to(squares, range.weight, of_squares);
      }
      add_to(squares, -1, products(part.mean));
      if (part.ranges.square_step > 0) add_own_square(part, points);
      add_to(mean_, share, part.mean);
      add_to(neighbours_.pair, share * (part.kind.along - 1), pair);
      add_to(neighbours_.squares, share * (part.kind.along - 1), squares);
      neighbours_.count += share * (part.kind.along - 1);
    }
    if (scheme_.shrinks) shrunk_ = Shrunk(factors);
    if (has_one_tile_) neighbours_ = {};  // outcome by outcome, they have nothing in common
    if (neighbours_.count > 0) {
      for (double& f : neighbours_.pair) f /= neighbours_.count;
      for (auto& row : neighbours_.squares) {
        for (double& f : row) f /= neighbours_.count;
      }
    }
  }

  bool follows_square() const { return parts_[0].ranges.square_step > 0; }

  // A value is part of the mean square that its own range follows.
  void add_own_square(Part& part, const Points& points) const {
    const StepFunction less = step(part.ranges.list[0]);
    const StepFunction more = step(part.ranges.list[2]);
    const double center = part.ranges.is_about_mean ? points.mean : 0;
    double square = 0;
    for (std::size_t i = 0; i < points.x.size(); ++i) {
      square += points.weight[i] * (points.x[i] - center) * (points.x[i] - center);
    }
    for (std::size_t i = 0; i < points.x.size(); ++i) {
      const double off = points.x[i] - center;
      const double excess = (off * off / square - 1) / part.kind.count;
      const double weight = points.weight[i] * excess / (2 * part.ranges.square_step);
      add_to(part.mean, weight, more.at(points.x[i]));
      add_to(part.mean, -weight, less.at(points.x[i]));
    }
  }

  StepFunction step(const TileRange& range) const {
    if (is_fitted()) return levels_;
    return step_function(scheme_, range.range, most_);
  }

  // Of an entry of a tile of `count` with that range, and of two different ones.
  struct Means {
    Features one{}, pair{};
    Covariance squares{};  // of two different ones, as products
    double factor = 1;     // of its scale
  };
  Means mean_features(const TileRange& range, double count, const Points& points) const {
    const StepFunction q = step(range);
    Means means;
    Features own{};  // what an entry's mean has to do with itself
    Covariance own_squares{};
    const auto add = [&](double share, const Features& f) {
      add_to(means.one, share, f);
      add_to(own, share, squares_of_means(f));
      add_to(own_squares, share, products(f));
    };
    const auto add_part = [&](double share, double from, double to) {
      if (!(share > 0)) return;
      const auto sums = q.integrate(moments_, from, to);
      if (sums.mass > 0) {
        Features f = sums.features;
        for (double& x : f) x /= sums.mass;
        add(share, f);
      } else {
        add(share, q.at(std::isfinite(from) ? from : to));
      }
    };
    add_part(range.below, -kInfinity, range.lo);
    add_part(range.middle, range.lo, range.hi);
    add_part(range.above, range.hi, kInfinity);
    const auto add_extreme = [&](double share, double x) {
      if (!(share > 0)) return;
      Features f = q.at(x);
      if (range.extreme) {
        for (const auto i : {kE, kXE, kEE}) f[i] = range.extreme->mean[i];
      }
      add(share, f);
    };
    add_extreme(range.at_lo, range.lo);
    add_extreme(range.at_hi, range.hi);
    for (const double x : range.beyond) add(1 / count, q.at(x));
    if (is_fitted()) {
      // Fitting stops where no number changes its cell, somewhere on the way to the least error.
      means.one[kE] = 0;
      means.one[kEE] *= 1 - overfit_ / 2;
      means.one[kXE] = -means.one[kEE];
    }
    if (count > 1) {
      const Features all = squares_of_means(means.one);
      auto& pair = means.pair;
      for (const auto i : kSquares) pair[i] = (count * all[i] - own[i]) / (count - 1);
      pair[kEE] += q.factor() * (pair[kXX] + 2 * pair[kXE] + pair[kEE]);
      add_to(means.squares, count / (count - 1), products(means.one));
      add_to(means.squares, -1 / (count - 1), own_squares);
    }
    if (scheme_.shrinks) {
      const Shrunk shrunk = Shrunk::best(means.one);
      means.factor = shrunk.factor();
      means.one = shrunk.features(means.one);
      const double of_codes = means.one[kXX] + 2 * means.one[kXE] + means.one[kEE];
      const double off = fitted_part(q, range, shrunk, points, of_codes) / count;
      means.one[kEE] = std::max(0.0, means.one[kEE] - off);
      means.one[kXE] = -means.one[kEE];
      means.pair = shrunk.features(means.pair);
      means.squares = shrunk.covariance(means.squares);
    }
    return means;
  }

  // Of the squared error of a tile, what a scale fitted to its own numbers leaves out:
  // Var(Σqe)/Σq², the range being given.
  static double fitted_part(const StepFunction& q, const TileRange& range, const Shrunk& shrunk,
                            const Points& points, double of_codes) {
    double mass = 0, first = 0, second = 0;
    for (std::size_t i = 0; i < points.x.size(); ++i) {
      const double x = points.x[i];
      if (x <= range.lo || x >= range.hi) continue;
      mass += points.weight[i];
      q.for_each_error(x, [&](double part, double e) {
        const double code = shrunk.factor() * (x + e);
        const double both = code * (code - x);
        first += part * points.weight[i] * both;
        second += part * points.weight[i] * both * both;
      });
    }
    if (!(mass > 0 && of_codes > 0)) return 0;
    return range.middle * (second / mass - first * first / (mass * mass)) / of_codes;
  }

  // Of a tile of n values.
  struct Within {
    double variance = 0;
    std::vector<Noise::Values> values;

    void add(double count, std::vector<std::pair<double, double>> numbers) {
      double mean = 0, square = 0;
      for (const auto& [p, v] : numbers) mean += p * v;
      for (auto& [p, v] : numbers) {
        v -= mean;
        square += p * v * v;
      }
      variance += count * square;
      values.push_back({count, std::move(numbers)});
    }
  };

  // Adds to the covariance of the squares of all values.
  Within noise_within(const TileRange& range, double n, const Features& g, const Points& points,
                      double weight, Covariance& covariance) const {
    const StepFunction q = step(range);
    Within within;
    const auto add_part = [&](double share, double from, double to) {
      if (!(share > 0)) return;
      std::vector<std::pair<double, double>> numbers;
      double mass = 0, usual = 0;
      std::array<double, 3> mean{};
      Covariance square{};
      for (std::size_t i = 0; i < points.x.size(); ++i) {
        const double x = points.x[i];
        if (x < from || x > to) continue;
        mass += points.weight[i];
        if (points.is_usual[i]) usual += points.weight[i];
        q.for_each_error(x, [&](double part, double e) {
          const double p = part * points.weight[i];
          const Features f = {x, e, x * x, x * e, e * e};
          numbers.emplace_back(p, dot(g, f) / count_);
          if (!points.is_usual[i]) return;
          for (std::size_t r = 0; r < 3; ++r) {
            mean[r] += p * f[kSquares[r]];
            for (std::size_t s = 0; s < 3; ++s) square[r][s] += p * f[kSquares[r]] * f[kSquares[s]];
          }
        });
      }
      if (!(mass > 0)) return;
      for (auto& number : numbers) number.first /= mass;
      within.add(n * share, std::move(numbers));
      if (!(usual > 0)) return;
      for (std::size_t r = 0; r < 3; ++r) {
        for (std::size_t s = 0; s < 3; ++s) {
          covariance[r][s] +=
              weight * share * (square[r][s] / usual - mean[r] * mean[s] / (usual * usual));
        }
      }
    };
    add_part(range.below, -kInfinity, range.lo);
    add_part(range.middle, range.lo, range.hi);
    add_part(range.above, range.hi, kInfinity);
    if (range.extreme) {
      std::vector<std::pair<double, double>> numbers;
      for (const auto& [probability, f] : range.extreme->values) {
        numbers.emplace_back(probability,
                             (g[kE] * f[kE] + g[kXE] * f[kXE] + g[kEE] * f[kEE]) / count_);
      }
      within.add(n * (range.at_lo + range.at_hi), std::move(numbers));
    }
    return within;
  }

  const PartialMoments& moments_;
  const Scheme& scheme_;
  double count_ = 0;
  double most_ = 0;
  StepFunction levels_;  // fitted ones
  Shrunk shrunk_;        // in the mean
  double overfit_ = 0;
  bool has_one_tile_ = false;
  std::vector<Outcome> outcomes_;
  std::string why_not_;
  std::vector<Part> parts_;
  Features mean_{};
  Neighbours neighbours_;
};

}  // namespace zeropoint::scheme_error
