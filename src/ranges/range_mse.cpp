// The even grid of least mean squared error.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/observer.hpp"

#include "ranges/grid_errors.hpp"

namespace zeropoint {
namespace {

using Grid = EvenGrid;

struct Candidate {
  Grid grid;
  double error;
};

constexpr double kUnknown = std::numeric_limits<double>::infinity();

/// Σ count·(x − what it is rounded to on the grid)² and what belongs to it, by sums over stretches
/// of values.
class GridError {
 public:
  GridError(std::span<const Weighted> values, const GridNeed& need)
      : levels_(need.levels), shift_(need.up_from - 0.5), upto_(1) {
    values_.reserve(values.size());
    counts_.reserve(values.size());
    upto_.reserve(values.size() + 1);
    for (const auto& bin : values) {
      const double x = bin.value();
      const auto n = static_cast<double>(bin.count);
      const Sums& last = upto_.back();
      values_.push_back(x);
      counts_.push_back(n);
      upto_.push_back({last.count + n, last.sum + n * x, last.squares + n * x * x});
    }
  }

  double operator()(const Grid& grid) const {
    double error = 0;
    of_all({&grid, 1}, &error);
    return error;
  }

  // Of many: those that are summed value by value, together.
  void of_all(std::span<const Grid> grids, double* errors) const {
    GridBatch batch;
    batch.shift = shift_;
    std::size_t places[kGridsAtOnce];
    std::size_t waiting = 0;
    const auto sum = [&] {
      for (std::size_t k = waiting; k < kGridsAtOnce; ++k) put(batch, k, grids[places[0]]);
      double found[kGridsAtOnce];
      sum_grid_errors(values_.data(), counts_.data(), values_.size(), batch, waiting, found);
      for (std::size_t k = 0; k < waiting; ++k) errors[places[k]] = found[k];
      waiting = 0;
    };
    for (std::size_t g = 0; g < grids.size(); ++g) {
      if (!is_direct(grids[g])) {
        errors[g] = by_codes(grids[g]);
        continue;
      }
      put(batch, waiting, grids[g]);
      places[waiting++] = g;
      if (waiting == kGridsAtOnce) sum();
    }
    if (waiting > 0) sum();
  }

  // Looking for where a code's values end takes longer than a value, which shares its time with
  // those of other grids.
  bool is_direct(const Grid& grid) const {
    constexpr double kValuesToACode = 40;
    const auto count = static_cast<double>(values_.size());
    if (count < kValuesToACode) return true;
    const auto [low, high] = codes_of(grid);
    return count < kValuesToACode * (high - low + 1);
  }

  std::size_t size() const { return values_.size(); }
  double squares() const { return upto_.back().squares; }
  std::pair<double, double> value(std::size_t i) const { return {values_[i], counts_[i]}; }

  /// The part of it that comes from values beyond the grid's ends.
  double clipped(const Grid& grid) const {
    const double low = -grid.below * grid.step;
    const double high = (levels_ - 1 - grid.below) * grid.step;
    const Sums under = upto_[below(low)];
    const Sums over = upto_.back() - upto_[below(high)];
    return std::max(under.squares - low * (2 * under.sum - low * under.count), 0.0) +
           std::max(over.squares - high * (2 * over.sum - high * over.count), 0.0);
  }

  /// The step that is best for the codes that values have with this one.
  double fitted_step(const Grid& grid) const {
    double product = 0;
    double squares = 0;
    if (is_direct(grid)) {
      const double inverse = 1 / grid.step;
      const double first = -grid.below;
      for (std::size_t i = 0; i < values_.size(); ++i) {
        const double code = nearest(values_[i] * inverse - shift_, first, first + levels_ - 1);
        product += code * counts_[i] * values_[i];
        squares += code * code * counts_[i];
      }
    } else {
      const auto [low, high] = codes_of(grid);
      for_codes(grid, low, high, [&](double code, const Sums& of) {
        product += code * of.sum;
        squares += code * code * of.count;
      });
    }
    return squares > 0 && product > 0 ? product / squares : grid.step;
  }

 private:
  struct Sums {
    double count = 0, sum = 0, squares = 0;
    Sums operator-(const Sums& other) const {
      return {count - other.count, sum - other.sum, squares - other.squares};
    }
  };

  // Adding and taking away 1.5·2^52 rounds to even.
  static double nearest(double x, double first, double last) {
    constexpr double kRound = 0x1.8p52;
    return std::clamp(x, first, last) + kRound - kRound;
  }

  std::size_t below(double limit, std::size_t from = 0) const {
    const auto begin = values_.begin() + static_cast<std::ptrdiff_t>(from);
    return static_cast<std::size_t>(std::lower_bound(begin, values_.end(), limit) -
                                    values_.begin());
  }

  template <class Visit>
  void for_codes(const Grid& grid, double low, double high, const Visit& visit) const {
    std::size_t from = 0;
    for (double code = low; code <= high && from < values_.size(); ++code) {
      const std::size_t to =
          code == high ? values_.size() : below((code + 0.5 + shift_) * grid.step, from);
      if (to != from) visit(code, upto_[to] - upto_[from]);
      from = to;
    }
  }

  // Those that the values have.
  std::pair<double, double> codes_of(const Grid& grid) const {
    const double first = -grid.below;
    const double last = first + levels_ - 1;
    return {nearest(values_.front() / grid.step - shift_, first, last),
            nearest(values_.back() / grid.step - shift_, first, last)};
  }

  double by_codes(const Grid& grid) const {
    const auto [low, high] = codes_of(grid);
    double error = 0;
    for_codes(grid, low, high, [&](double code, const Sums& of) {
      const double q = code * grid.step;
      error += of.squares - q * (2 * of.sum - q * of.count);
    });
    return std::max(error, 0.0);
  }

  void put(GridBatch& batch, std::size_t at, const Grid& grid) const {
    batch.inverse[at] = 1 / grid.step;
    batch.step[at] = grid.step;
    batch.first[at] = -grid.below;
    batch.last[at] = batch.first[at] + levels_ - 1;
  }

  int levels_;
  double shift_;
  std::vector<double> values_, counts_;
  std::vector<Sums> upto_;  ///< of the first so many
};

// Steps to an octave, of few values and of many; of few levels away from 0.
constexpr int kFine = 64, kCoarse = 8, kFinest = 256;

// Up to here, the best grid of all is found.
constexpr int kFewLevels = 16;
constexpr std::size_t kExactly = 256;  // values

// Powers of two, downwards from 1 by so many to an octave.
template <int kPerOctave>
const std::vector<double>& octaves() {
  static const auto powers = [] {
    std::vector<double> list;
    for (int i = 0; i < kPerOctave * 64; ++i) {
      list.push_back(std::exp2(-static_cast<double>(i) / kPerOctave));
    }
    return list;
  }();
  return powers;
}

// Factors by which a step is varied, up to so many octaves in so many steps.
std::vector<double> powers_around(double octaves, int steps) {
  std::vector<double> list;
  for (int i = 1 - steps; i < steps; ++i) list.push_back(std::exp2(i * octaves / steps));
  return list;
}

class Search {
 public:
  Search(std::span<const Weighted> values, const GridNeed& need)
      : need_(need),
        own_{values.front().at_least, values.back().at_most},
        held_{std::min(own_.min, 0.0F), std::max(own_.max, 0.0F)},
        above_((need.levels - 1) / 2),
        codes_(need.over_width ? (need.levels - 1) / 2.0 : std::max(above_, 1)),
        error_(values, need) {}

  Range operator()() {
    if (held_.min == held_.max) return held_;
    // Steps from where nothing is clipped, even with 0 on the grid; of an affine grid, a somewhat
    // larger one may be wanted where 0 falls badly.
    const double reach = std::max(-double{held_.min}, double{held_.max});
    const double top = need_.symmetric ? reach / std::max(above_, 1)
                                       : (double{held_.max} - double{held_.min}) /
                                             (need_.levels - 1) * std::exp2(0.25);
    const bool is_held = need_.symmetric || need_.holds_zero;
    std::vector<Grid> found;
    if (need_.levels <= kFewLevels && error_.size() <= kExactly && need_.up_from == 0.5) {
      found.push_back(exact(top));
    }
    if (found.empty() || !is_held) found.push_back(searched(top));
    return judged(found);
  }

 private:
  // The best step and zero point of those looked at.
  Grid searched(double top) {
    std::vector<Candidate> seen;
    Candidate best{{0, 0}, kUnknown};
    // The error of few values is rough all over.
    constexpr std::size_t kFew = 1024;
    // So is that of values away from 0, if 0 need not be on the grid: its numbers are whole steps,
    // and there may be many of them up to the values.
    const bool is_away = !need_.symmetric && !need_.holds_zero && !(own_ == held_);
    const bool is_fine = error_.size() <= kFew || is_away;
    const bool is_finest = is_away && need_.levels <= kFewLevels;
    const int per_octave = is_finest ? kFinest : is_fine ? kFine : kCoarse;
    const std::vector<double>& powers = is_finest ? octaves<kFinest>()
                                        : is_fine ? octaves<kFine>()
                                                  : octaves<kCoarse>();
    // Many steps at once where each has one zero point.
    const std::size_t at_once = need_.symmetric ? kGridsAtOnce : 1;
    std::vector<double> steps;
    bool is_done = false;
    for (std::size_t from = 0; from < powers.size() && !is_done; from += at_once) {
      steps.clear();
      for (std::size_t k = 0; k < at_once; ++k) steps.push_back(top * powers[from + k]);
      const auto& found = best_of(steps, kUnknown);
      // Clipping alone costs as much as the best found before, and more so from there on.
      std::array<double, kGridsAtOnce> best_before{};
      double least = best.error;
      for (std::size_t k = 0; k < at_once; ++k) {
        best_before[k] = least;
        least = std::min(least, found[k].best.error);
      }
      const auto is_before_end = [&](std::size_t k) {
        return from + k <= static_cast<std::size_t>(per_octave / 4) ||
               error_.clipped({steps[k], found[k].least_clipping}) < best_before[k];
      };
      std::size_t end = is_before_end(at_once - 1) ? at_once : 0;
      for (std::size_t most = at_once; end < most;) {
        const std::size_t middle = end + (most - end) / 2;
        if (is_before_end(middle)) {
          end = middle + 1;
        } else {
          most = middle;
        }
      }
      is_done = end < at_once;
      for (std::size_t k = 0; k < end; ++k) {
        seen.push_back(found[k].best);
        if (seen.back().error < best.error) best = seen.back();
      }
    }
    // Among many codes the error has ripples that are about as wide as one of them is of all.
    int parts = std::clamp(need_.levels / 2, 16, 128) * 8 / per_octave;
    if (is_away) {  // of one of those between 0 and the values, rather
      const double reach = std::max(std::abs(double{own_.min}), std::abs(double{own_.max}));
      const double width = std::max(double{own_.max} - own_.min, reach * 0x1p-24);
      parts = static_cast<int>(std::clamp(reach / width * need_.levels, 128.0, 1024.0)) * 8 /
              per_octave;
    }
    const double coarse = 1.0 / per_octave;
    const std::vector<double> around[] = {powers_around(coarse, parts),
                                          powers_around(coarse / parts, 8)};
    for (const auto& start : lowest(seen, is_away ? 16 : 4)) {
      Candidate here = start;
      for (const auto& factors : around) {
        steps.clear();
        for (const double factor : factors) steps.push_back(here.grid.step * factor);
        for (const auto& found : best_of(steps, here.error)) {
          if (found.best.error < here.error) here = found.best;
        }
      }
      here = fit(here);
      if (here.error < best.error) best = here;
    }
    return best.grid;
  }

  // Of the ranges of these grids, that whose grid, as it is made, has the least error, if it has
  // less than the values' own.
  Range judged(std::span<const Grid> found) const {
    Range best = need_.made || (!need_.holds_zero && own_.min < own_.max) ? own_ : held_;
    double least = error_(grid_over(best));
    const auto judge = [&](const Range& range) {
      if (!(range.min < range.max)) return;
      const Grid made = grid_over(range);
      if (!(made.step > 0)) return;
      const double error = error_(made);
      if (!(error < least)) return;
      least = error;
      best = range;
    };
    for (const Grid& grid : found) {
      const Range range = range_of(grid, 0);
      judge(range);
      const Grid made = grid_over(range);
      const bool is_made =
          made.below == grid.below && std::abs(made.step - grid.step) <= 1e-6 * grid.step;
      if (is_made || need_.symmetric) continue;
      // Zero points are rounded each their way.
      for (const double off : {0.25, -0.25, 0.5, -0.5}) judge(range_of(grid, off));
    }
    return best;
  }

  // Of few values on few levels: as the step falls, the codes change where a value lies halfway
  // between two of them, by 1. Codes q have the least error Σx² − P²/Q, P = Σqx and Q = Σq², with
  // the step P/Q: the most of P²/Q over all those codes is the best there is.
  Grid exact(double top) {
    const double window = std::exp2(-0.5);
    // Of few values, a grid that none reaches the end of may be the best.
    double from = top * std::exp2(0.25);
    const int first = need_.symmetric ? symmetric_below() : 0;
    const int last = need_.symmetric ? symmetric_below() : need_.levels - 1;
    const int most = std::max(last, need_.levels - 1 - first);
    begin_crossings(from, most);
    fits_.clear();
    Fit best{0, 1, first};
    const auto consider = [&](const Fit& fit) {
      if (fit.product * fit.product * best.squares > best.product * best.product * fit.squares) {
        best = fit;
      }
    };
    for (int z = first; z <= last; ++z) {
      Fit fit{0, 0, z};
      for (const Value& value : members_) {
        const double code = std::min(value.code, fit.most(value, need_.levels));
        fit.product += code * value.weighted;
        fit.squares += code * code * value.count;
      }
      consider(fit);
      fits_.push_back(fit);
    }
    constexpr int kMostWindows = 128;
    for (int w = 0; w < kMostWindows; ++w) {
      from *= window;
      find_crossings(from, most);
      for (Fit& fit : fits_) {
        for (const Crossing& crossing : crossings_) {
          const Value& value = members_[crossing.value];
          if (crossing.code >= fit.most(value, need_.levels)) continue;
          fit.product += value.weighted;
          fit.squares += (2 * crossing.code + 1) * value.count;
          consider(fit);
        }
      }
      const double error = error_.squares() - best.product * best.product / best.squares;
      if (error_.clipped({from, least_clipping(from)}) >= error) break;  // and more so from here on
    }
    return {best.product / best.squares, best.below};
  }

  // A value's magnitude times its count, and its code on a grid without an end.
  struct Value {
    double magnitude, weighted, count;
    int code;
    bool is_negative;
  };
  struct Fit {
    double product, squares;
    int below;
    int most(const Value& value, int levels) const {
      return value.is_negative ? below : levels - 1 - below;
    }
  };
  // The step at which a value's code becomes 1 more.
  struct Crossing {
    double step;
    std::uint32_t value;
    int code;
  };

  // Values with their codes at the step `from`.
  void begin_crossings(double from, int most) {
    members_.clear();
    for (std::size_t i = 0; i < error_.size(); ++i) {
      const auto [x, count] = error_.value(i);
      const double magnitude = std::abs(x);
      const double code = std::min(magnitude / from + 0.5, static_cast<double>(most));
      members_.push_back({magnitude, magnitude * count, count, static_cast<int>(code), x < 0});
    }
  }

  // Where their codes change until `to`, in this order.
  void find_crossings(double to, int most) {
    crossings_.clear();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Value& value = members_[i];
      for (; value.code < most && (value.code + 0.5) * to < value.magnitude; ++value.code) {
        crossings_.push_back(
            {value.magnitude / (value.code + 0.5), static_cast<std::uint32_t>(i), value.code});
      }
    }
    std::ranges::sort(crossings_, std::ranges::greater{}, &Crossing::step);
  }

  int symmetric_below() const { return need_.levels - 1 - above_; }

  // What is made of a range where it is used.
  Grid grid_over(const Range& range) const {
    if (need_.made) return need_.made(range);
    if (need_.symmetric) {
      const double reach = std::max(-double{range.min}, double{range.max});
      return {reach / codes_, symmetric_below()};
    }
    const double step = (double{range.max} - double{range.min}) / (need_.levels - 1);
    const auto [first, last] = belows(step);
    return {step,
            static_cast<int>(std::nearbyint(std::clamp<double>(-range.min / step, first, last)))};
  }

  // Moved by part of a step.
  Range range_of(const Grid& grid, double off) const {
    constexpr double kLargest = std::numeric_limits<float>::max();
    const double below = need_.symmetric ? codes_ : grid.below;
    const double above = need_.symmetric ? codes_ : need_.levels - 1.0 - grid.below;
    const auto end = [&](double codes) {
      return static_cast<float>(std::clamp((codes + off) * grid.step, -kLargest, kLargest));
    };
    return {end(-below), end(above)};
  }

  // How many codes below 0 there may be: where 0 need not be on the grid, those that leave a part
  // of the values on it.
  std::pair<int, int> belows(double step) const {
    if (need_.symmetric) return {symmetric_below(), symmetric_below()};
    if (need_.holds_zero) return {0, need_.levels - 1};
    constexpr double kMost = 1 << 24;  // as in choose_params
    const auto kept = [&](double codes) {
      return static_cast<int>(std::clamp(codes, -kMost, kMost));
    };
    return {kept(std::floor(-own_.max / step)),
            kept(std::ceil(-own_.min / step) + need_.levels - 1)};
  }

  // What is clipped is convex in z: where it begins to rise.
  int least_clipping(double step) const {
    if (need_.symmetric) return symmetric_below();
    auto [first, last] = belows(step);
    while (first < last) {
      const int middle = first + (last - first) / 2;
      if (error_.clipped({step, middle + 1}) < error_.clipped({step, middle})) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first;
  }

  // Calls body(z) for those around one, the nearest first.
  template <class Body>
  void around(double step, int z, const Body& body) const {
    const auto [first, last] = belows(step);
    const int reach = need_.symmetric ? 0 : need_.levels <= 16 ? need_.levels : 4;
    // Captured by name: for clang, a binding is no variable.
    const auto look_at = [&, lo = first, hi = last](int at) {
      if (at >= lo && at <= hi) body(at);
    };
    look_at(z);
    for (int off = 1; off <= reach; ++off) {
      look_at(z - off);
      look_at(z + off);
    }
  }

  // Of the z around one, the best, unless none is better than `least`.
  Candidate best_at(double step, int z, double least) const {
    Candidate best{{step, z}, kUnknown};
    around(step, z, [&](int at) {
      const Grid grid{step, at};
      if (error_.clipped(grid) >= std::min(least, best.error)) return;
      const double error = error_(grid);
      if (error < best.error) best = {grid, error};
    });
    return best;
  }

  // The same for many steps. Where errors are summed value by value, all are, together.
  struct AtStep {
    int least_clipping;
    Candidate best;
  };
  const std::vector<AtStep>& best_of(const std::vector<double>& steps, double least) {
    at_steps_.clear();
    grids_.clear();
    owners_.clear();
    for (const double step : steps) {
      const int z = least_clipping(step);
      if (!error_.is_direct({step, z})) {
        at_steps_.push_back({z, best_at(step, z, least)});
        continue;
      }
      around(step, z, [&](int at) {
        grids_.push_back({step, at});
        owners_.push_back(at_steps_.size());
      });
      at_steps_.push_back({z, {{step, z}, kUnknown}});
    }
    errors_.resize(grids_.size());
    error_.of_all(grids_, errors_.data());
    for (std::size_t g = 0; g < grids_.size(); ++g) {
      Candidate& best = at_steps_[owners_[g]].best;
      if (errors_[g] < best.error) best = {grids_[g], errors_[g]};
    }
    return at_steps_;
  }

  // The best of those that are no worse than their neighbours.
  static std::vector<Candidate> lowest(const std::vector<Candidate>& seen, std::size_t most) {
    std::vector<Candidate> low;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const bool before = i == 0 || seen[i].error <= seen[i - 1].error;
      const bool after = i + 1 == seen.size() || seen[i].error <= seen[i + 1].error;
      if (before && after) low.push_back(seen[i]);
    }
    std::ranges::stable_sort(low, {}, &Candidate::error);
    if (low.size() > most) low.resize(most);
    return low;
  }

  Candidate fit(Candidate here) const {
    constexpr int kMostRounds = 20;
    for (int round = 0; round < kMostRounds; ++round) {
      const Grid fitted{error_.fitted_step(here.grid), here.grid.below};
      const double error = error_(fitted);
      const bool is_done = !(error < here.error * (1 - 1e-6));
      if (error < here.error) here = {fitted, error};
      if (is_done) break;
    }
    return here;
  }

  const GridNeed& need_;
  Range own_, held_;  ///< of the values, and with 0 in it
  int above_;         ///< codes above 0 of a symmetric grid
  double codes_;      ///< what the reach is divided by for its step
  GridError error_;
  // Of exact().
  std::vector<Value> members_;
  std::vector<Fit> fits_;
  std::vector<Crossing> crossings_;
  // Of best_of().
  std::vector<AtStep> at_steps_;
  std::vector<Grid> grids_;
  std::vector<std::size_t> owners_;
  std::vector<double> errors_;
};

}  // namespace

Range mse_range(std::span<const Weighted> values, const GridNeed& need) {
  if (values.empty()) throw InputError("range: expected at least one value, found none");
  if (need.levels < 2 || need.levels > 1 << 16) {
    throw InputError(
        fmt::format("range: expected 2 to 65536 levels to fit, found {}", need.levels));
  }
  return Search(values, need)();
}

}  // namespace zeropoint
