// Quantizers with one set of levels for all entries.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/codebook.hpp"

#include "theory/distribution_of_values.hpp"
#include "theory/limits_rows.hpp"

namespace zeropoint {
namespace {

void check_bits(int bits, int least) {
  constexpr int kMost = 12;
  if (bits < least || bits > kMost) {
    throw InputError(fmt::format("limits: expected {} to {} bits, found {}", least, kMost, bits));
  }
}

double largest_magnitude(std::span<const double> levels) {
  return std::max(std::abs(levels.front()), std::abs(levels.back()));
}

double load_of(const Distribution& d, std::span<const double> levels) {
  return largest_magnitude(levels) / std::sqrt(whole(d).variance);
}

std::vector<double> integers(int from, int to) {
  std::vector<double> levels;
  for (int code = from; code <= to; ++code) levels.push_back(code);
  return levels;
}

// Levels from low to high, even.
struct Line {
  double low, step;
  int count;
  std::vector<double> levels() const {
    std::vector<double> list;
    for (int k = 0; k < count; ++k) list.push_back(low + step * k);
    return list;
  }
};

// Moves and stretches the line to its least error. Where codes are given, x is best read off the
// regression line over them; in turn with choosing codes, that goes down until both conditions
// hold (shift and slope are 0), which Newton's method then does exactly.
Line settle(const Distribution& d, Line line) {
  const Whole all = whole(d);
  const auto conditions = [&](const Line& at) {
    const Distortion found = nearest(d, at.levels());
    return std::array{found.shift, found.slope()};
  };
  const auto regress = [&] {
    const Distortion found = nearest(d, line.levels());
    const double mean_q = all.mean - found.shift;
    const double xq = all.square - found.off;
    const double qq = all.square - 2 * found.off + found.error;
    const double spread = qq - mean_q * mean_q;
    const double factor = spread > 0 ? (xq - all.mean * mean_q) / spread : 1;
    line.low = all.mean + factor * (line.low - mean_q);
    line.step *= factor;
  };
  for (int round = 0; round < 30; ++round) regress();
  double error = nearest(d, line.levels()).error;
  for (int round = 0; round < 12; ++round) {
    const auto value = conditions(line);
    constexpr double kStray = 1e-5;
    Line by_low = line, by_step = line;
    by_low.low += kStray * line.step;
    by_step.step *= 1 + kStray;
    by_step.low -= kStray * line.step * (line.count - 1) / 2;  // about the middle
    const auto of_low = conditions(by_low);
    const auto of_step = conditions(by_step);
    const double a = (of_low[0] - value[0]) / kStray, b = (of_step[0] - value[0]) / kStray;
    const double c = (of_low[1] - value[1]) / kStray, e = (of_step[1] - value[1]) / kStray;
    const double determinant = a * e - b * c;
    const double move = -(value[0] * e - b * value[1]) / determinant;
    const double stretch = -(a * value[1] - value[0] * c) / determinant;
    if (!std::isfinite(move) || !std::isfinite(stretch)) break;
    Line next = line;
    next.step *= 1 + stretch;
    next.low += move * line.step - stretch * line.step * (line.count - 1) / 2;
    if (!(next.step > 0)) break;
    const double next_error = nearest(d, next.levels()).error;
    if (!(next_error <= error * (1 + 1e-13))) break;
    const bool is_there = std::abs(move) + std::abs(stretch) < 1e-12;
    line = next;
    error = std::min(error, next_error);
    if (is_there) break;
  }
  return line;
}

// About 0 where that is the distribution's middle and no atom; otherwise wherever it lies best,
// tried with 0 on a level and without.
Line best_line(const Distribution& d, int count) {
  if (d.is_symmetric() && d.atom_probability() == 0) {
    const double half = (count - 1) / 2.0;
    const auto unit = Line{-half, 1, count}.levels();
    const double scale = best_scale(d, unit).scale;
    return {-half * scale, scale, count};
  }
  struct Start {
    Line line;
    double error;
  };
  std::vector<Start> starts;
  constexpr double kTails[] = {1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2};
  for (const double low : kTails) {
    for (const double high : kTails) {
      const double from = d.quantile(low), to = d.upper_quantile(high);
      if (!(to > from)) continue;
      Line line{from, (to - from) / std::max(count - 1, 1), count};
      starts.push_back({line, nearest(d, line.levels()).error});
      line.low = line.step * std::round(line.low / line.step);
      starts.push_back({line, nearest(d, line.levels()).error});
    }
  }
  // With 0 on a level: those are the grids of integers, and none of them may be better.
  const auto on_grid = [&](int zero_point) {
    const auto unit = integers(-zero_point, count - 1 - zero_point);
    const BestScale best = best_scale(d, unit);
    return Start{{-zero_point * best.scale, best.scale, count}, best.distortion.error};
  };
  if (count > 1) {
    for (const int zero_point : {0, count / 2, count - 1}) starts.push_back(on_grid(zero_point));
  }
  if (starts.empty()) return {whole(d).mean, 1, count};  // nearly all entries are one number
  constexpr std::ptrdiff_t kTried = 6;
  const auto tried = std::min(kTried, static_cast<std::ptrdiff_t>(starts.size()));
  std::partial_sort(starts.begin(), starts.begin() + tried, starts.end(),
                    [](const Start& x, const Start& y) { return x.error < y.error; });
  Start best = starts[0];
  const auto attempt = [&](const Start& start) {
    const Line line = settle(d, start.line);
    const double error = nearest(d, line.levels()).error;
    if (error < best.error) best = {line, error};
  };
  for (auto start = starts.begin(); start != starts.begin() + tried; ++start) attempt(*start);
  const int found = -static_cast<int>(std::lround(best.line.low / best.line.step));
  for (const int zero_point : {found - 1, found, found + 1}) {
    const Start start = on_grid(zero_point);
    if (start.error < best.error) attempt(best = start);
  }
  return best.line;
}

LimitRow with_levels(const Distribution& d, LimitKind kind, std::string name, int bits,
                     std::vector<double> levels) {
  LimitRow row = make_limit(d, kind, std::move(name), bits, nearest(d, levels));
  row.load = load_of(d, levels);
  row.levels = std::move(levels);
  return row;
}

// Integers from lo to hi, less a zero point, at their best scale.
LimitRow at_best_scale(const Distribution& d, LimitKind kind, std::string name, double bits,
                       std::span<const double> unit) {
  const BestScale best = best_scale(d, unit);
  LimitRow row = make_limit(d, kind, std::move(name), bits, best.distortion);
  row.scale = best.scale;
  row.levels = scaled(unit, best.scale);
  row.load = load_of(d, row.levels);
  return row;
}

LimitRow grid_limit(const Distribution& d, LimitKind kind, std::string name,
                    const IntegerGrid& grid, bool is_symmetric) {
  const int middle = (grid.lo() + grid.hi() + 1) / 2;
  const auto at = [&](int zero_point) {
    LimitRow row = at_best_scale(d, kind, name, grid.bits,
                                 integers(grid.lo() - zero_point, grid.hi() - zero_point));
    row.zero_point = zero_point;
    return row;
  };
  LimitRow best = at(middle);
  if (is_symmetric || d.is_symmetric()) return best;
  const Line line = best_line(d, grid.levels());
  const int start = grid.lo() - static_cast<int>(std::lround(line.low / line.step));
  for (const int zero_point : {start - 1, start, start + 1}) {
    LimitRow row = at(zero_point);
    if (row.mse < best.mse) best = std::move(row);
  }
  return best;
}

// The compander's levels: for narrow cells, their sizes follow the cube root of the density (Panter
// and Dite, Proc. IRE 39, 1951). `count` of them from `from` on.
std::vector<double> companded(const Distribution& d, double from, int count) {
  constexpr int kPoints = 4096;
  constexpr double kReach = 36;  // P = e^(−36) at either end
  std::vector<double> x, integral;
  for (int i = 0; i <= kPoints; ++i) {
    const double t = kReach * (2.0 * i / kPoints - 1);
    const double at =
        t < 0 ? d.quantile(1 / (1 + std::exp(-t))) : d.upper_quantile(1 / (1 + std::exp(t)));
    if (at < from || (!x.empty() && at <= x.back())) continue;
    const double middle = x.empty() ? at : (at + x.back()) / 2;
    const double density = d.pdf(middle);
    const double width = x.empty() ? 0 : at - x.back();
    const double before = integral.empty() ? 0 : integral.back();
    integral.push_back(before + (std::isfinite(density) ? std::cbrt(density) * width : 0));
    x.push_back(at);
  }
  std::vector<double> levels;
  for (int k = 0; k < count; ++k) {
    const double aim = integral.back() * (k + 0.5) / count;
    const auto above = std::ranges::lower_bound(integral, aim) - integral.begin();
    const auto i = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above, 1));
    const double part = (aim - integral[i - 1]) / (integral[i] - integral[i - 1]);
    levels.push_back(x[i - 1] + part * (x[i] - x[i - 1]));
  }
  return levels;
}

// Each level to the mean of its cell, if it has any: never worse, but slow where levels are many.
std::vector<double> lloyd(const Distribution& d, std::vector<double> levels) {
  constexpr int kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    double from = -kInfinity;
    std::vector<double> next = levels;
    for (std::size_t k = 0; k < levels.size(); ++k) {
      const double to = k + 1 == levels.size() ? kInfinity : (levels[k] + levels[k + 1]) / 2;
      const Mass cell = mass(d, from, to);
      if (cell.p > 0) next[k] = cell.mean / cell.p;
      from = to;
    }
    levels = std::move(next);
  }
  return levels;
}

std::vector<double> lloyd_max_levels_of(const Distribution& d, int count) {
  const bool is_mirrored = d.is_symmetric() && d.atom_probability() == 0;
  const auto mirrored = [](const std::vector<double>& upper) {
    std::vector<double> levels;
    for (auto level = upper.rbegin(); level != upper.rend(); ++level) levels.push_back(-*level);
    levels.insert(levels.end(), upper.begin(), upper.end());
    return levels;
  };
  std::vector<double> best;
  double least = kInfinity;
  // The least error of those found, none of which need be finite or in order.
  const auto add = [&](std::vector<double> levels) {
    if (!std::ranges::is_sorted(levels) || !std::isfinite(levels[0] + levels.back())) return;
    const double error = nearest(d, levels).error;
    if (!(error < least)) return;
    least = error;
    best = std::move(levels);
  };
  const auto solve = [&](double from, const std::vector<double>& start, LevelSteps steps) {
    const DensityFunctions functions{[&](double x) { return d.pdf(x); },
                                     [&](double x) { return d.tail(x); },
                                     [&](double x) { return d.tail_mean(x); }, from};
    return lloyd_max_levels(functions, start, steps);
  };
  const auto solve_all = [&](LevelSteps steps) {
    if (is_mirrored) return add(mirrored(solve(0, companded(d, 0, count / 2), steps)));
    // With an atom at 0, a level near it: one of an odd number of them, of which an end is dropped.
    std::vector<double> start = companded(d, -kInfinity, count);
    if (steps == LevelSteps::even || start.front() > 0) {
      add(solve(-kInfinity, lloyd(d, start), steps));
    }
    if (!d.is_symmetric() || steps != LevelSteps::even) return;
    start = companded(d, -kInfinity, count + 1);
    start.pop_back();
    start[static_cast<std::size_t>(count / 2)] = 0;
    add(solve(-kInfinity, lloyd(d, start), steps));
  };
  solve_all(LevelSteps::even);
  // Whether each is at the mean of its cell, to a little of the cell.
  const auto is_solved = [&] {
    double from = -kInfinity;
    for (std::size_t k = 0; k < best.size(); ++k) {
      const bool is_last = k + 1 == best.size();
      const double to = is_last ? kInfinity : (best[k] + best[k + 1]) / 2;
      const Mass cell = mass(d, from, to);
      const double width = is_last ? best[k] - best[k - 1] : best[k + 1] - best[k];
      constexpr double kLittle = 1e-4;
      if (!(std::abs(cell.mean / cell.p - best[k]) < kLittle * width)) return false;
      from = to;
    }
    return !best.empty();
  };
  if (is_solved()) return best;
  // Tails so heavy that outer levels are many times as large as inner ones.
  solve_all(LevelSteps::proportional);
  if (is_solved()) return best;
  // Not the best, perhaps, but better than where that began and than even steps.
  auto start = is_mirrored ? mirrored(companded(d, 0, count / 2)) : companded(d, -kInfinity, count);
  add(lloyd(d, std::move(start)));
  add(lloyd(d, best_line(d, count).levels()));
  return best;
}

std::vector<double> units_of(const Format& format) {
  if (format.kind == FormatKind::floating) return float_numbers(*format.floating);
  const auto levels = levels_of(*format.codebook);
  return {levels.begin(), levels.end()};
}

}  // namespace

std::vector<double> float_numbers(const FloatFormat& format) {
  std::vector<double> levels;
  for (std::uint32_t code = 0; code <= format.largest_code(); ++code) {
    const auto fields = decode(format, code);
    if (fields.kind == FloatClass::nan || fields.kind == FloatClass::infinite) continue;
    levels.push_back(fields.value);
    if (fields.value != 0) levels.push_back(-fields.value);
  }
  std::ranges::sort(levels);
  return levels;
}

LimitRow make_limit(const Distribution& d, LimitKind kind, std::string name, double bits,
                    const Distortion& distortion) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const Whole all = whole(d);
  if (!(all.variance > 0)) {
    throw InputError(
        fmt::format("limits: expected a distribution with a variance, found {}", d.name()));
  }
  // Moments are about 0: of a mean so far from it, they would leave nothing but rounding.
  constexpr double kLeastSpread = 1e-3;
  if (all.variance < kLeastSpread * kLeastSpread * all.square) {
    throw InputError(
        fmt::format("limits: expected entries that stray by {} of their mean at least, found {} "
                    "with mean {:.6g} and deviation {:.6g}",
                    kLeastSpread, d.name(), all.mean, std::sqrt(all.variance)));
  }
  LimitRow row;
  row.kind = kind;
  row.name = std::move(name);
  row.bits = bits;
  row.mse = distortion.error / all.variance;
  constexpr double kRounding = 1e-12;
  if (row.mse < 0 && row.mse > -kRounding) row.mse = 0;
  row.product = row.load = row.scale = kNan;
  if (all.mean == 0 && d.is_independent()) {
    // 1 − 2ρ² + p² with ρ = 1 − off/E[x²] and p = 2ρ − 1 + mse, without the ones.
    const double off = distortion.off / all.square;
    row.product =
        std::sqrt(std::max(0.0, row.mse * (2 + row.mse) + 2 * off * off - 4 * off * row.mse));
  }
  return row;
}

LimitRow bound_limit(const Distribution& d, double bits) {
  const double mse = rate_distortion_bound(d, bits);
  LimitRow row = make_limit(d, LimitKind::bound, "bound", bits, {});
  row.mse = mse;
  row.product =
      d.name() == "normal" ? product_bound(bits) : std::numeric_limits<double>::quiet_NaN();
  return row;
}

LimitRow uniform_limit(const Distribution& d, int bits) {
  check_bits(bits, 1);
  const Line line = best_line(d, 1 << bits);
  LimitRow row = with_levels(d, LimitKind::uniform, "uniform", bits, line.levels());
  row.scale = line.step;
  return row;
}

LimitRow integer_limit(const Distribution& d, int bits) {
  check_bits(bits, 1);
  const auto text = fmt::format("int{}", bits);
  LimitRow row = grid_limit(d, LimitKind::integer, text, {bits, true, false}, false);
  row.scheme = parse_scheme(text);
  return row;
}

LimitRow narrow_limit(const Distribution& d, int bits) {
  check_bits(bits, 2);
  const auto text = fmt::format("int{}-narrow", bits);
  LimitRow row = grid_limit(d, LimitKind::narrow, text, {bits, true, true}, true);
  row.scheme = parse_scheme(text + ":sym");
  return row;
}

LimitRow lloyd_max_limit(const Distribution& d, int bits) {
  check_bits(bits, 1);
  std::vector<double> levels;
  if (const auto* values = dynamic_cast<const DistributionOfValues*>(&d)) {
    const auto fitted = fit_lloyd_max(values->values(), bits).levels;
    levels.assign(fitted.begin(), fitted.end());
  } else {
    levels = lloyd_max_levels_of(d, 1 << bits);
  }
  return with_levels(d, LimitKind::lloyd_max, "Lloyd-Max", bits, std::move(levels));
}

LimitRow scheme_limit(const Distribution& d, const Scheme& scheme) {
  const auto refuse = [&](std::string_view expected) {
    throw InputError(fmt::format("limits: expected {}, found {}", expected, short_form(scheme)));
  };
  const auto& format = scheme.format;
  if (scheme.convention.rounding != Rounding::half_even &&
      scheme.convention.rounding != Rounding::half_away) {
    refuse("rounding to nearest");
  }
  // What is left of rotated or smoothed entries is another distribution, and scales of groups that
  // shrink are others than their entries give.
  if (!scheme.transforms.empty()) refuse("a scheme without transforms");
  if (scheme.shrinks) refuse("scales that are not shrunk");
  if (format.kind == FormatKind::block) return block_limit(d, scheme);
  const bool is_group = scheme.granularity.kind == GranularityKind::group ||
                        scheme.granularity.kind == GranularityKind::block;
  const bool is_best = scheme.range.kind == RangeKind::mse && !is_group;
  if (!scheme.unit_scale && scheme.range.kind != RangeKind::minmax && !is_best) {
    refuse("groups with the range of their entries, or one scale for all, the best");
  }
  if (is_group && !scheme.unit_scale) {
    if (format.kind == FormatKind::codebook && format.codebook->unit != LevelUnit::magnitude) {
      refuse("groups with a scale by their largest magnitude");
    }
    const std::size_t rows =
        scheme.granularity.kind == GranularityKind::block ? scheme.granularity.rows : 1;
    return group_limit(d, scheme, rows * scheme.granularity.cols);
  }
  const auto name = short_form(scheme);
  LimitRow row;
  if (format.kind == FormatKind::integer) {
    row = grid_limit(d, LimitKind::scheme, name, format.grid,
                     scheme.convention.mapping == Mapping::symmetric);
  } else if (format.kind == FormatKind::codebook && format.codebook->is_fitted()) {
    row = lloyd_max_limit(d, format.bits);
    row.kind = LimitKind::scheme;
    row.name = name;
  } else {
    const auto units = units_of(format);
    if (scheme.unit_scale) {
      row = make_limit(d, LimitKind::scheme, name, format.bits, nearest(d, units));
      row.scale = 1;
      row.load = load_of(d, units);
      row.levels = units;
    } else {
      row = at_best_scale(d, LimitKind::scheme, name, format.bits, units);
    }
  }
  row.scheme = scheme;
  return row;
}

}  // namespace zeropoint
