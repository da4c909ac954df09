// Lloyd and Max's quantizer of data: sorted once, each round then takes a search and a difference
// of sums a level.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/codebook.hpp"

#include "formats/cell_means.hpp"

namespace zeropoint {
namespace {

constexpr int kRounds = 300;
constexpr std::size_t kBlock = 64;  // numbers to a stored sum

// Floats by their order: as unsigned integers, negative ones below positive ones.
std::uint32_t to_key(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x + 0.0F);  // −0 becomes 0
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}
float from_key(std::uint32_t key) {
  return std::bit_cast<float>((key >> 31) != 0 ? key ^ 0x80000000U : ~key);
}

// Radix sort, 11 bits at a time.
std::vector<float> sorted(std::span<const float> x) {
  constexpr int kDigits = 3;
  constexpr int kDigitBits = 11;
  constexpr std::uint32_t kMask = (1U << kDigitBits) - 1;
  std::array<std::array<std::size_t, kMask + 1>, kDigits> starts{};
  const auto keys = std::make_unique_for_overwrite<std::uint32_t[]>(x.size());
  std::vector<float> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) {
      throw InputError(fmt::format("codebook: expected finite numbers, found {} at [{}]", x[i], i));
    }
    const std::uint32_t key = to_key(x[i]);
    keys[i] = key;
    for (int digit = 0; digit < kDigits; ++digit) {
      ++starts[static_cast<std::size_t>(digit)][key >> (kDigitBits * digit) & kMask];
    }
  }
  for (auto& counts : starts) {
    std::size_t sum = 0;
    for (std::size_t& count : counts) count = std::exchange(sum, sum + count);
  }
  // Back and forth between the keys and the result, whose bits are keys until the last digit.
  for (std::size_t i = 0; i < x.size(); ++i) {
    result[starts[0][keys[i] & kMask]++] = std::bit_cast<float>(keys[i]);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto key = std::bit_cast<std::uint32_t>(result[i]);
    keys[starts[1][key >> kDigitBits & kMask]++] = key;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    result[starts[2][keys[i] >> (2 * kDigitBits)]++] = from_key(keys[i]);
  }
  return result;
}

// Sorted numbers with the sums of any beginning of them.
class SortedSums {
 public:
  explicit SortedSums(std::vector<float> x) : x_(std::move(x)) {
    double sum = 0;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (i % kBlock == 0) sums_.push_back(sum);
      sum += x_[i];
    }
    sums_.push_back(sum);
  }
  const std::vector<float>& numbers() const { return x_; }
  // Of the first `count`.
  double sum(std::size_t count) const {
    if (count == x_.size()) return sums_.back();
    const std::size_t block = count / kBlock;
    double sum = sums_[block];
    for (std::size_t i = block * kBlock; i < count; ++i) sum += x_[i];
    return sum;
  }
  // How many are at most `limit`; not below `from`.
  std::size_t count_to(double limit, std::size_t from) const {
    const auto begin = x_.begin() + static_cast<std::ptrdiff_t>(from);
    return static_cast<std::size_t>(std::upper_bound(begin, x_.end(), limit) - x_.begin());
  }

 private:
  std::vector<float> x_;
  std::vector<double> sums_;
};

// All distinct numbers, or nothing if there are more than `most`.
std::vector<double> few_distinct(const std::vector<float>& sorted, std::size_t most) {
  std::vector<double> distinct;
  for (auto at = sorted.begin(); at != sorted.end(); at = std::upper_bound(at, sorted.end(), *at)) {
    if (distinct.size() == most) return {};
    distinct.push_back(*at);
  }
  return distinct;
}

// Levels spaced by the cube root of the density (Panter and Dite, 1951), the density being taken
// from the widths of cells with as many numbers each: over a cell of width w, its integral goes
// with w^(2/3). `trim`, of a cell, is left out at either end.
std::vector<double> companded(const std::vector<float>& sorted, std::size_t count, double trim) {
  const std::size_t cells = std::min(16 * count, sorted.size() - 1);
  const auto edge = [&](std::size_t cell) {
    const double all = static_cast<double>(cells);
    const double part = (trim + static_cast<double>(cell) * (1 - 2 * trim / all)) / all;
    return double{sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))]};
  };
  std::vector<double> integral(cells + 1);
  for (std::size_t cell = 0; cell < cells; ++cell) {
    integral[cell + 1] = integral[cell] + std::pow(edge(cell + 1) - edge(cell), 2.0 / 3);
  }
  std::vector<double> levels(count);
  std::size_t cell = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const double aim =
        integral[cells] * (static_cast<double>(k) + 0.5) / static_cast<double>(count);
    while (cell + 1 < cells && integral[cell + 1] < aim) ++cell;
    const double width = integral[cell + 1] - integral[cell];
    const double part = width > 0 ? (aim - integral[cell]) / width : 0;
    levels[k] = edge(cell) + part * (edge(cell + 1) - edge(cell));
  }
  return levels;
}

// The numbers nearest to each level.
struct Cells {
  std::vector<std::size_t> ends;  // how many numbers are in this cell and those below
  std::vector<double> counts, means;
  double error = 0;  // the sum of squared differences, less the sum of squares
};

Cells cells_of(const SortedSums& data, const std::vector<double>& levels) {
  Cells cells;
  std::size_t begin = 0;
  double sum_before = 0;
  for (std::size_t k = 0; k < levels.size(); ++k) {
    const std::size_t end = k + 1 == levels.size()
                                ? data.numbers().size()
                                : data.count_to((levels[k] + levels[k + 1]) / 2, begin);
    const double sum = data.sum(end);
    const auto count = static_cast<double>(end - begin);
    const double part = sum - sum_before;
    cells.ends.push_back(end);
    cells.counts.push_back(count);
    cells.means.push_back(count > 0 ? part / count : levels[k]);
    cells.error += levels[k] * (count * levels[k] - 2 * part);
    begin = end;
    sum_before = sum;
  }
  return cells;
}

// Newton's method as for a density, which is taken between two levels from the numbers of their
// cells; nothing if the levels would change their order.
std::vector<double> newton_levels(const Cells& cells, const std::vector<double>& levels) {
  const std::size_t count = levels.size();
  const auto end_of = [&](std::size_t k) { return (levels[k] + levels[k + 1]) / 2; };
  const auto width = [&](std::size_t k) {
    if (k == 0) return 2 * (end_of(0) - levels[0]);
    return k + 1 == count ? 2 * (levels[k] - end_of(k - 1)) : end_of(k) - end_of(k - 1);
  };
  CellMeans lines{std::vector<double>(count), std::vector<double>(count),
                  std::vector<double>(count, 1), std::vector<double>(count)};
  for (std::size_t k = 0; k < count; ++k) {
    lines.off[k] = levels[k] - cells.means[k];
    if (k + 1 == count) break;
    const double density = (cells.counts[k] + cells.counts[k + 1]) / (width(k) + width(k + 1));
    const double below =
        density * (end_of(k) - cells.means[k]) / std::max(cells.counts[k], 1.0) / 2;
    const double above =
        density * (cells.means[k + 1] - end_of(k)) / std::max(cells.counts[k + 1], 1.0) / 2;
    lines.above[k] = -below;
    lines.own[k] -= below;
    lines.below[k + 1] = -above;
    lines.own[k + 1] -= above;
  }
  const std::vector<double> step = newton_step(std::move(lines));
  std::vector<double> next(count);
  for (std::size_t k = 0; k < count; ++k) next[k] = levels[k] - step[k];
  const bool is_finite = std::ranges::all_of(next, [](double x) { return std::isfinite(x); });
  return is_finite && std::ranges::is_sorted(next) ? next : std::vector<double>{};
}

// Lloyd's iteration alone would stop wherever its steps are smaller than the gaps between numbers:
// on 10^7 normal numbers and 256 levels, with 2.8 % more error than the density's own levels (now
// 0.1 %). So each round takes Newton's step if it leaves less error than the means would, until no
// number changes its cell.
double iterate(const SortedSums& data, std::vector<double>& levels) {
  Cells cells = cells_of(data, levels);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> next = cells.means;
    Cells next_cells = cells_of(data, next);
    if (std::vector<double> jump = newton_levels(cells, levels); !jump.empty()) {
      Cells jump_cells = cells_of(data, jump);
      if (jump_cells.error < next_cells.error) {
        next = std::move(jump);
        next_cells = std::move(jump_cells);
      }
    }
    const bool moved = next_cells.ends != cells.ends;
    levels = std::move(next);
    cells = std::move(next_cells);
    if (!moved) break;
  }
  levels = cells.means;
  return cells_of(data, levels).error;
}

}  // namespace

Codebook fit_lloyd_max(std::span<const float> x, int bits) {
  if (bits < 1 || bits > 8) {
    throw InputError(fmt::format("codebook: expected 1 to 8 bits, found {}", bits));
  }
  if (x.empty()) throw InputError("codebook: expected numbers to fit, found none");
  const std::size_t count = std::size_t{1} << bits;
  const SortedSums data(sorted(x));
  std::vector<double> levels = few_distinct(data.numbers(), count);
  if (levels.empty()) {
    // A level on each outlier is the best that there is for some data, and wasted on others.
    levels = companded(data.numbers(), count, 0);
    std::vector<double> inner = companded(data.numbers(), count, 0.5);
    const double error = iterate(data, levels);
    if (iterate(data, inner) < error) levels = std::move(inner);
  }
  Codebook codebook{fmt::format("lloyd{}", bits), "least squared error for the data", {}};
  for (const double level : levels) codebook.levels.push_back(static_cast<float>(level));
  // Means of neighbouring cells may be one float.
  std::ranges::sort(codebook.levels);
  codebook.levels.erase(std::unique(codebook.levels.begin(), codebook.levels.end()),
                        codebook.levels.end());
  return codebook;
}

}  // namespace zeropoint
