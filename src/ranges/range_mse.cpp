// The even grid of least mean squared error.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/observer.hpp"

namespace zeropoint {
namespace {

/// step · {−below, …, levels − 1 − below}
struct Grid {
  double step;
  int below;
};

struct Candidate {
  Grid grid;
  double error;
};

constexpr double kUnknown = std::numeric_limits<double>::infinity();

/// Σ count·(x − nearest of the grid)² and what belongs to it, by sums over stretches of values.
class GridError {
 public:
  GridError(std::span<const Weighted> values, int levels) : levels_(levels), upto_(1) {
    values_.reserve(values.size());
    upto_.reserve(values.size() + 1);
    for (const auto& bin : values) {
      const double x = bin.value();
      const auto n = static_cast<double>(bin.count);
      const Sums& last = upto_.back();
      values_.push_back(x);
      upto_.push_back({last.count + n, last.sum + n * x, last.squares + n * x * x});
    }
  }

  double operator()(const Grid& grid) const {
    const double first = -grid.below;
    const double last = first + levels_ - 1;
    const double low = nearest(values_.front() / grid.step, first, last);
    const double high = nearest(values_.back() / grid.step, first, last);
    // Looking for where a code's values end takes some ten times as long as a value.
    if (static_cast<double>(values_.size()) < 10 * (high - low + 1)) return directly(grid);
    double error = 0;
    for_codes(grid, low, high, [&](double code, const Sums& of) {
      const double q = code * grid.step;
      error += of.squares - q * (2 * of.sum - q * of.count);
    });
    return std::max(error, 0.0);
  }

  std::size_t size() const { return values_.size(); }

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
    const double first = -grid.below;
    const double last = first + levels_ - 1;
    double product = 0;
    double squares = 0;
    for_codes(grid, nearest(values_.front() / grid.step, first, last),
              nearest(values_.back() / grid.step, first, last), [&](double code, const Sums& of) {
                product += code * of.sum;
                squares += code * code * of.count;
              });
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
      const std::size_t to = code == high ? values_.size() : below((code + 0.5) * grid.step, from);
      if (to != from) visit(code, upto_[to] - upto_[from]);
      from = to;
    }
  }

  double directly(const Grid& grid) const {
    const double first = -grid.below;
    const double last = first + levels_ - 1;
    const double inverse = 1 / grid.step;
    double error = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const double off = values_[i] - nearest(values_[i] * inverse, first, last) * grid.step;
      error += (upto_[i + 1].count - upto_[i].count) * off * off;
    }
    return error;
  }

  int levels_;
  std::vector<double> values_;
  std::vector<Sums> upto_;  ///< of the first so many
};

class Search {
 public:
  Search(std::span<const Weighted> values, const GridNeed& need)
      : need_(need),
        low_(std::min(values.front().at_least, 0.0F)),
        high_(std::max(values.back().at_most, 0.0F)),
        half_(std::max((need.levels - 1) / 2, 1)),
        error_(values, need.levels) {}

  Range operator()() const {
    const Range whole{low_, high_};
    if (low_ == high_) return whole;
    std::vector<Candidate> seen;
    Candidate best{{0, 0}, kUnknown};
    // Of an affine grid, a somewhat larger step may be wanted where 0 falls badly.
    const double top = grid_over(whole).step * (need_.symmetric ? 1 : std::exp2(0.25));
    // The error of few values is rough all over.
    constexpr std::size_t kFew = 1024;
    const int per_octave = error_.size() <= kFew ? 64 : 8;
    for (int i = 0; i < per_octave * 64; ++i) {
      const double step = top * std::exp2(-static_cast<double>(i) / per_octave);
      const int z = least_clipping(step);
      if (i > per_octave / 4 && error_.clipped({step, z}) >= best.error)
        break;  // and more so from here on
      seen.push_back(best_at(step, z, kUnknown));
      if (seen.back().error < best.error) best = seen.back();
    }
    for (const auto& start : lowest(seen)) {
      Candidate here = start;
      // Among many codes the error has ripples that are about as wide as one of them is of all.
      const int parts = std::clamp(need_.levels / 2, 16, 128) * 8 / per_octave;
      const double coarse = 1.0 / per_octave;
      for (const auto& [octaves, steps] :
           {std::pair{coarse, parts}, std::pair{coarse / parts, 8}}) {
        const double around = here.grid.step;
        for (int i = 1 - steps; i < steps; ++i) {
          const double step = around * std::exp2(i * octaves / steps);
          const auto found = best_at(step, least_clipping(step), here.error);
          if (found.error < here.error) here = found;
        }
      }
      here = fit(here);
      if (here.error < best.error) best = here;
    }
    const Range found = range_of(best.grid);
    const bool is_better = found.min < found.max && grid_over(found).step > 0 &&
                           error_(grid_over(found)) < error_(grid_over(whole));
    return is_better ? found : whole;
  }

 private:
  // What is made of a range where it is used.
  Grid grid_over(const Range& range) const {
    if (need_.symmetric) {
      const double reach = std::max(-double{range.min}, double{range.max});
      return {reach / half_, need_.levels - 1 - half_};
    }
    const double step = (double{range.max} - double{range.min}) / (need_.levels - 1);
    return {step, static_cast<int>(std::nearbyint(
                      std::clamp(-range.min / step, 0.0, double(need_.levels - 1))))};
  }

  Range range_of(const Grid& grid) const {
    constexpr double kLargest = std::numeric_limits<float>::max();
    const int below = need_.symmetric ? half_ : grid.below;
    const int above = need_.symmetric ? half_ : need_.levels - 1 - grid.below;
    return {static_cast<float>(std::max(-below * grid.step, -kLargest)),
            static_cast<float>(std::min(above * grid.step, kLargest))};
  }

  // What is clipped is convex in z: where it begins to rise.
  int least_clipping(double step) const {
    if (need_.symmetric) return need_.levels - 1 - half_;
    int first = 0;
    int last = need_.levels - 1;
    while (first < last) {
      const int middle = (first + last) / 2;
      if (error_.clipped({step, middle + 1}) < error_.clipped({step, middle})) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first;
  }

  // Of the z around one, the best, unless none is better than `least`.
  Candidate best_at(double step, int around, double least) const {
    const int reach = need_.symmetric ? 0 : need_.levels <= 16 ? need_.levels : 4;
    Candidate best{{step, around}, kUnknown};
    const auto look_at = [&](int z) {
      if (z < 0 || z >= need_.levels) return;
      const Grid grid{step, z};
      if (error_.clipped(grid) >= std::min(least, best.error)) return;
      const double error = error_(grid);
      if (error < best.error) best = {grid, error};
    };
    look_at(around);
    for (int off = 1; off <= reach; ++off) {
      look_at(around - off);
      look_at(around + off);
    }
    return best;
  }

  // The best of those that are no worse than their neighbours.
  static std::vector<Candidate> lowest(const std::vector<Candidate>& seen) {
    std::vector<Candidate> low;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const bool before = i == 0 || seen[i].error <= seen[i - 1].error;
      const bool after = i + 1 == seen.size() || seen[i].error <= seen[i + 1].error;
      if (before && after) low.push_back(seen[i]);
    }
    std::ranges::stable_sort(low, {}, &Candidate::error);
    constexpr std::size_t kMost = 4;
    if (low.size() > kMost) low.resize(kMost);
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

  GridNeed need_;
  float low_, high_;
  int half_;
  GridError error_;
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
