#include "theory/tile_ranges.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include <boost/math/distributions/beta.hpp>
#include <boost/math/quadrature/gauss.hpp>
#include <fmt/format.h>

#include "zeropoint/theory/product_error.hpp"

#include "quantize/tile_params.hpp"
#include "theory/step_function.hpp"

namespace zeropoint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// 1 − exp(−exp(−12.75)) = 3e-6.
constexpr double kMostExtreme = 12.75;

// Of a rank that is the last of its kind, 9,999 of 10,000 measurements hold none above this.
double usual_extreme(double tiles) { return std::log(1e4 * tiles); }

// So many values beyond a range are as good as their expectation.
constexpr double kFewClipped = 32;

Range as_range(double lo, double hi) { return {static_cast<float>(lo), static_cast<float>(hi)}; }

TileRange around_everything(Range range) {
  return {1, true, range, -kInfinity, kInfinity, 0, 0, 1, 0, 0};
}

// A symmetric range over all values: the largest magnitude, which one of the values is.
class Magnitudes {
 public:
  Magnitudes(const PartialMoments& moments, const Scheme& scheme, double count, double tiles)
      : moments_(moments),
        distribution_(moments.distribution()),
        scheme_(scheme),
        count_(count),
        needs_sign_(scheme.format.kind == FormatKind::block &&
                    !scheme.format.block->has_scale_rule),  // ggml's scales have one
        usual_(usual_extreme(tiles)) {}

  std::vector<TileRange> smooth(double step, double most) {
    for_each_extreme(step, most, [&](double weight, double u, double, double z) {
      // P(max ≤ m) = G(m)^count.
      add(weight, -std::expm1(std::log(u) / count_), z <= usual_);
    });
    return std::move(list_);
  }

  // Where scales jump at every `boundary` times a power of two, and elements begin to be clipped at
  // every `limit` times one: each part between two of these by itself.
  std::vector<TileRange> by_octaves(double boundary, double limit) {
    const double least =
        std::max(magnitude_quantile(distribution_, -std::expm1(-13 / count_)), 1e-30);
    const double most = magnitude_quantile(distribution_, 1e-6 / count_);
    const double inner = limit * std::exp2(-std::floor(std::log2(limit / boundary)));
    double below = 0;
    double from = boundary * std::exp2(std::floor(std::log2(least / boundary)));
    for (; from <= most; from *= 2) {
      const double split = from * inner / boundary;
      if (split > from) below = add_between(from, split, below);
      below = add_between(split, 2 * from, below, 2 * from > most);
    }
    return std::move(list_);
  }

 private:
  double tail_of(double magnitude) const { return 1 - cdf(magnitude) + cdf(-magnitude); }
  double cdf(double x) const {
    std::size_t hint = 0;
    return moments_.at(x, hint)[0];
  }

  // Magnitudes between two, of which the lower one has P(max ≤ it) = below. Returns the upper's.
  double add_between(double from, double to, double below, bool is_last = false) {
    const double tail = is_last ? 0 : tail_of(to);
    const double above = tail >= 1 ? 0 : std::exp(count_ * std::log1p(-tail));
    if (above - below < 1e-9) return above;
    using Rule = boost::math::quadrature::gauss<double, 10>;
    // The other values' errors are smooth in the largest one, but its own is a saw: of it each node
    // has all the values that its weight stands for, as both grow together where values are
    // clipped.
    const auto magnitudes = magnitudes_between(from, to);
    const std::size_t half = Rule::abscissa().size();
    double before = 0;
    for (std::size_t i = 0; i < 2 * half; ++i) {
      const std::size_t node = i < half ? half - 1 - i : i - half;
      const double part = (1 + (i < half ? -1 : 1) * Rule::abscissa()[node]) / 2;
      const double u = below + part * (above - below);
      const double share = Rule::weights()[node] / 2;
      const double weight = share * (above - below);
      const double end = before + share;
      if (weight >= 1e-9) {
        add(weight, -std::expm1(std::log(u) / count_), -std::log(-std::log(u)) <= usual_, from, to);
        if (!magnitudes.empty()) {
          list_.back().extreme = errors_of_extreme(magnitudes, before, end);
        }
      }
      before = end;
    }
    return above;
  }

  // Magnitudes that mean one scale, ascending, with their probabilities as the largest of all.
  struct Magnitude {
    double probability;
    Features features;
  };
  std::vector<Magnitude> magnitudes_between(double from, double to) const {
    constexpr int kSteps = 128;
    const double middle = (from + to) / 2;
    const StepFunction q = step_function(scheme_, as_range(-middle, middle));
    std::vector<Magnitude> list;
    double mass = 0;
    double above_before = cdf(from);
    double below_before = cdf(-from);
    for (int i = 0; i < kSteps; ++i) {
      const double end = from + (to - from) * (i + 1) / kSteps;
      const double m = end - (to - from) / (2 * kSteps);
      const double above = cdf(end);
      const double below = cdf(-end);
      // The density of a maximum, but for a factor: G(m)^(count − 1)·g(m).
      const double others = std::exp((count_ - 1) * std::log1p(-std::min(tail_of(m), 1 - 1e-12)));
      const auto add_value = [&](double probability, double x) {
        if (!(probability > 0)) return;
        list.push_back({probability, q.at(x)});
        mass += probability;
      };
      add_value(others * (above - above_before), m);
      add_value(others * (below_before - below), -m);
      above_before = above;
      below_before = below;
    }
    for (auto& magnitude : list) magnitude.probability /= mass;
    return list;
  }

  // Of those between two probabilities.
  static std::shared_ptr<const TileRange::Extreme> errors_of_extreme(
      const std::vector<Magnitude>& magnitudes, double from, double to) {
    auto extreme = std::make_shared<TileRange::Extreme>();
    double below = 0;
    double mass = 0;
    for (const auto& [probability, features] : magnitudes) {
      const double part = std::min(below + probability, to) - std::max(below, from);
      below += probability;
      if (!(part > 0)) continue;
      extreme->values.emplace_back(part, features);
      mass += part;
    }
    for (auto& [probability, features] : extreme->values) {
      probability /= mass;
      for (std::size_t j = 0; j < features.size(); ++j) {
        extreme->mean[j] += probability * features[j];
      }
    }
    return extreme;
  }

  void add(double weight, double tail, bool is_usual, double least = 0, double most = kInfinity) {
    const double m =
        std::clamp(magnitude_quantile(distribution_, tail), least, most * (1 - 0x1p-23));
    const double up = distribution_.pdf(m);
    const double down = distribution_.pdf(-m);
    const double positive = up + down > 0 && std::isfinite(up + down) ? up / (up + down) : 0.5;
    const double one = 1 / count_;
    const auto put = [&](double probability, double share, Range range) {
      if (!(probability > 0)) return;
      list_.push_back({weight * probability, is_usual, range, -m, m, 0, one * (1 - share), 1 - one,
                       one * share, 0});
    };
    if (!needs_sign_) return put(1, positive, as_range(-m, m));
    put(positive, 1, as_range(0, m));
    put(1 - positive, 0, as_range(-m, 0));
  }

  const PartialMoments& moments_;
  const Distribution& distribution_;
  const Scheme& scheme_;
  double count_;
  bool needs_sign_;
  double usual_;
  std::vector<TileRange> list_;
};

// Between two order statistics, of ranks r and s of n: what is below, between and above them is
// distributed as the whole is there, whatever they are.
std::vector<TileRange> between_ranks(const Distribution& distribution, double r, double s, double n,
                                     double step, double lower_step, double most, double tiles,
                                     bool holds_zero) {
  const double usual = usual_extreme(tiles);
  // The probability below rank s is Beta(s + 1, n − s), that below r a Beta(r + 1, s − r) of it.
  struct Draw {
    double weight, u, tail;
    bool is_usual;
  };
  const auto draws = [&](double from_below, double from_above, bool upper, double distance,
                         double shift) {
    std::vector<Draw> list;
    const auto add = [&](double weight, double u, double tail, double z) {
      // Seen from the end that it lies near, so that extremes are exact.
      const double near = upper ? from_above : from_below;
      const double far = upper ? from_below : from_above;
      double part = 0;
      if (near == 1) {
        part = -std::expm1(std::log(u) / far);
      } else {
        const boost::math::beta_distribution<> beta(near, far);
        part = u < 0.5 ? boost::math::quantile(boost::math::complement(beta, u))
                       : boost::math::quantile(beta, tail);
      }
      list.push_back({weight, upper ? 1 - part : part, upper ? part : 1 - part, z <= usual});
    };
    for_each_extreme(distance, most, add, shift);
    return list;
  };
  const auto upper = draws(s + 1, n - s, true, step, 0);
  auto lower = draws(r + 1, s - r, false, lower_step, 0);
  std::vector<TileRange> list;
  const double one = 1 / n;
  double shift = 0;
  for (const auto& top : upper) {
    if (r == 0) {
      // Moved each time, so that what hangs on the range's remainder is met everywhere alike.
      shift = std::fmod(shift + std::numbers::phi, 1);
      lower = draws(r + 1, s - r, false, lower_step, shift);
    }
    for (const auto& bottom : lower) {
      const double weight = top.weight * bottom.weight;
      if (weight < 1e-8) continue;
      const double hi = distribution.upper_quantile(top.tail);
      const double lo = distribution.quantile(top.u * bottom.u);
      const Range range =
          holds_zero ? as_range(std::min(lo, 0.0), std::max(hi, 0.0)) : as_range(lo, hi);
      list.push_back({weight, top.is_usual && bottom.is_usual, range, lo, hi, one * r, one,
                      one * (s - r - 1), one, one * (n - 1 - s)});
    }
  }
  return list;
}

// A mean square that is off by a normal part of itself: Gauss and Hermite's three points.
template <class F>
void follow_square(TileRanges& ranges, double spread, const F& range_of) {
  ranges.square_step = std::sqrt(3.0) * std::min(spread, 0.5);
  for (const auto& [weight, side] : {std::pair{1.0 / 6, -1.0}, {2.0 / 3, 0.0}, {1.0 / 6, 1.0}}) {
    ranges.list.push_back(around_everything(range_of(1 + side * ranges.square_step)));
    ranges.list.back().weight = weight;
  }
}

struct Moments {
  double mean, variance, square;
};
Moments moments_of(const Distribution& distribution) {
  const double mean = distribution.partial_mean(kInfinity);
  const double square = distribution.partial_square(kInfinity);
  return {mean, square - mean * mean, square};
}

// A sample whose order statistics are all as expected: the outermost one by one, the others in
// bins.
std::vector<Weighted> typical_sample(const Distribution& distribution, double count) {
  constexpr double kEnds = 512;
  constexpr double kBins = 1024;
  std::vector<Weighted> sample;
  const auto add_one = [&](double rank) {
    const auto x = static_cast<float>(distribution.quantile((rank + 0.5) / count));
    if (!sample.empty() && x < sample.back().at_most) return;
    sample.push_back({x, x, 1});
  };
  const double ends = std::min(kEnds, std::floor(count / 2));
  for (double rank = 0; rank < ends; ++rank) add_one(rank);
  const double rest = count - 2 * ends;
  const double bins = std::min(rest, kBins);
  for (double i = 0; i < bins; ++i) {
    const double from = std::floor(rest * i / bins);
    const double to = std::floor(rest * (i + 1) / bins);
    const auto at = [&](double rank) {
      return static_cast<float>(distribution.quantile((ends + rank) / count));
    };
    sample.push_back({at(from), at(to), static_cast<std::uint64_t>(to - from)});
  }
  for (double rank = count - ends; rank < count; ++rank) add_one(rank);
  return sample;
}

// Whether a range cuts off some values of a sample, and fewer than a mean can be taken for.
bool hangs_on_few(const Distribution& distribution, Range range, double count) {
  const auto hangs = [&](double probability, double end, double range_end) {
    return count * probability < kFewClipped && std::abs(end) > std::abs(range_end);
  };
  const double width = double{range.max} - range.min;
  const double slack = 1e-2 * width;
  return hangs(distribution.cdf(range.min), distribution.quantile(0), range.min - slack) ||
         hangs(1 - distribution.cdf(range.max), distribution.quantile(1), range.max + slack);
}

}  // namespace

double magnitude_quantile(const Distribution& distribution, double tail) {
  const auto excess = [&](double m) {
    return (1 - distribution.cdf(m)) + distribution.cdf(-m) - tail;
  };
  const double even = distribution.upper_quantile(tail / 2);
  if (distribution.is_symmetric() && std::isfinite(even)) return std::max(even, 0.0);
  double low = 0;
  double high = std::max(
      {std::abs(distribution.quantile(std::max(tail / 2, 1e-300))), std::abs(even), 1e-30});
  if (!std::isfinite(high)) high = 1;
  for (int i = 0; i < 200 && excess(high) > 0; ++i) high *= 2;
  for (int i = 0; i < 60 && high - low > 1e-12 * high; ++i) {
    const double middle = (low + high) / 2;
    (excess(middle) > 0 ? low : high) = middle;
  }
  return high;
}

TileRanges tile_ranges(const PartialMoments& moments, const Scheme& scheme, double count,
                       double tiles, bool is_padded, double square_spread) {
  const Distribution& distribution = moments.distribution();
  const auto* const codebook = scheme.format.codebook;
  TileRanges ranges;
  const bool is_fitted = codebook != nullptr && codebook->is_fitted();  // which has no range
  if (scheme.unit_scale || is_fitted) {
    ranges.list = {around_everything({0, 0})};
    return ranges;
  }
  const bool is_block = scheme.format.kind == FormatKind::block;
  const auto whole = moments_of(distribution);
  if (!std::isfinite(whole.square)) {
    ranges.why_not = fmt::format("{} has no variance", distribution.name());
    return ranges;
  }
  const double most = std::max(kMostExtreme, usual_extreme(tiles));
  const bool is_fine = scheme.format.bits > 6;

  const bool by_square = (codebook != nullptr && codebook->unit == LevelUnit::rms) ||
                         (!is_block && scheme.range.kind == RangeKind::sigma);
  constexpr double kMostSpread = 0.3;
  if (by_square && square_spread > kMostSpread) {
    ranges.why_not = "the mean square of so few values, which the range follows, is too uncertain";
    return ranges;
  }
  if (codebook != nullptr && codebook->unit == LevelUnit::rms) {
    // params_of_range() has the largest magnitude for scale.
    follow_square(ranges, square_spread, [&](double factor) {
      const double rms = std::sqrt(whole.square * factor);
      return as_range(-rms, rms);
    });
    return ranges;
  }

  RangeKind kind = is_block ? RangeKind::minmax : scheme.range.kind;
  if (kind == RangeKind::ema) kind = RangeKind::minmax;  // of one batch
  if (kind == RangeKind::cover && scheme.range.parameter == 1) kind = RangeKind::minmax;
  if (count == 1 && (kind == RangeKind::minmax || kind == RangeKind::cover)) {
    for_each_extreme(0.25, kMostExtreme, [&](double weight, double u, double, double) {
      const double x = distribution.quantile(u);
      ranges.list.push_back({weight, true, as_range(x, x), x, x, 0, 1, 0, 0, 0});
    });
    return ranges;
  }
  switch (kind) {
    case RangeKind::minmax:
    case RangeKind::ema: {
      const bool is_affine = is_block ? is_affine_block(scheme)
                                      : scheme.format.kind == FormatKind::integer &&
                                            scheme.convention.mapping == Mapping::affine;
      if (is_affine) {
        // A minimum that is no multiple of the step moves where atoms fall between codes.
        const double step = is_fine ? 1 : 0.4;
        const double lower_step = is_block ? 0.12 : step;
        ranges.list = between_ranks(distribution, 0, count - 1, count, step, lower_step, most,
                                    tiles, is_padded);
        break;
      }
      const double boundary = power_boundary(scheme);
      const bool has_steps = is_block && scheme.format.block->has_tensor_scale;  // of its scales
      Magnitudes magnitudes(moments, scheme, count, tiles);
      ranges.list = boundary > 0 ? magnitudes.by_octaves(boundary, largest_element(scheme))
                                 : magnitudes.smooth(has_steps ? 0.04 : 0.5, most);
      break;
    }
    case RangeKind::cover: {
      const auto ranks = sample_range(scheme.range.parameter, scheme.convention.coverage, count);
      const double r = ranks.lower_rank;
      const double s = ranks.upper_rank;
      if (s - r < 1) {
        ranges.why_not = "a range between neighbours of a small tile is no order statistic of it";
        break;
      }
      const double clipped = std::max(r, count - 1 - s);
      if (tiles == 1 && clipped < kFewClipped && count > 8 * kFewClipped) {
        ranges.list = drawn_cover_ranges(distribution, r, s, count);
        break;
      }
      const double step = is_fine ? 1.25 : 1;
      ranges.list = between_ranks(distribution, r, s, count, step, step, most, tiles, false);
      break;
    }
    case RangeKind::sigma: {
      follow_square(ranges, square_spread, [&](double factor) {
        const double reach = scheme.range.parameter * std::sqrt(whole.variance * factor);
        return as_range(whole.mean - reach, whole.mean + reach);
      });
      ranges.is_about_mean = true;
      break;
    }
    case RangeKind::mse:
      if (count < 1000) {
        ranges.why_not = "the range of least error of fewer than 1000 values hangs on each of them";
        break;
      }
      // Where the error is least, it does not change with the range to first order.
      ranges.list = {
          around_everything(mse_range(typical_sample(distribution, count), grid_need(scheme)))};
      if (hangs_on_few(distribution, ranges.list[0].range, count)) {
        if (tiles == 1) {
          ranges.list = drawn_mse_ranges(distribution, grid_need(scheme), count);
        } else {
          ranges.why_not = "tiles clip so few values for the least error that each of them counts";
        }
      }
      break;
    case RangeKind::kl:
      ranges.why_not = "kl chooses among 2048 bins by counts that no expectation stands for";
      break;
  }
  return ranges;
}

double expected_absmax(const Distribution& distribution, double count) {
  double mean = 0;
  for_each_extreme(0.25, 30, [&](double weight, double u, double, double) {
    mean += weight * magnitude_quantile(distribution, -std::expm1(std::log(u) / count));
  });
  return mean;
}

}  // namespace zeropoint
