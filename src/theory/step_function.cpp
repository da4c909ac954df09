#include "theory/step_function.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "quantize/tile_params.hpp"
#include "theory/cells.hpp"

namespace zeropoint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Finer grids than this are taken as even: their steps are far below what a density changes over.
constexpr std::size_t kMostCells = 4096;

// An element of a block: a float format, or evenly spaced numbers code/unit up to `most`.
struct BlockElement {
  std::string_view block;
  const char* element;
  int most;  // of evenly spaced ones: the largest code
  int unit;
  bool has_minimum;
};
constexpr std::array kBlockElements = {
    BlockElement{"mxfp8", "e4m3", 0, 0, false}, BlockElement{"mxfp8-e5m2", "e5m2", 0, 0, false},
    BlockElement{"mxfp6", "e3m2", 0, 0, false}, BlockElement{"mxfp6-e2m3", "e2m3", 0, 0, false},
    BlockElement{"mxfp4", "e2m1", 0, 0, false}, BlockElement{"mxint8", nullptr, 127, 64, false},
    BlockElement{"nvfp4", "e2m1", 0, 0, false}, BlockElement{"q8_0", nullptr, 127, 1, false},
    BlockElement{"q4_0", nullptr, 8, 1, false}, BlockElement{"q5_0", nullptr, 16, 1, false},
    BlockElement{"q4_1", nullptr, 15, 1, true}, BlockElement{"q5_1", nullptr, 31, 1, true},
};

const BlockElement* block_element(const Scheme& scheme) {
  for (const auto& row : kBlockElements) {
    if (row.block == scheme.format.name) return &row;
  }
  return nullptr;
}

std::vector<double> levels_of(const FloatFormat& format, double scale) {
  std::vector<double> levels;
  const auto most = format.largest_code();
  levels.reserve(2 * most + 1);
  for (std::uint32_t code = most; code > 0; --code) {
    levels.push_back(-scale * decode(format, code).value);
  }
  for (std::uint32_t code = 0; code <= most; ++code) {
    levels.push_back(scale * decode(format, code).value);
  }
  return levels;
}

// The mean error of a directed rounding, in steps.
double shift_of(Rounding rounding, bool negative) {
  switch (rounding) {
    case Rounding::floor:
      return -0.5;
    case Rounding::ceil:
      return 0.5;
    case Rounding::truncate:
      return negative ? 0.5 : -0.5;
    case Rounding::half_even:
    case Rounding::half_away:
    case Rounding::stochastic:
      break;
  }
  return 0;
}

// Stochastic rounding of fine steps has twice the variance, so √2 times the step.
double noise_step(Rounding rounding, double step) {
  return rounding == Rounding::stochastic ? std::sqrt(2.0) * step : step;
}

// Binade by binade, from below its smallest number on.
StepFunction fine_floats(const FloatFormat& format, double scale, Rounding rounding) {
  StepFunction f;
  const auto first = decode(format, std::uint32_t{1} << format.fraction_bits);  // normal
  const int low = first.power;
  const int high = std::ilogb(largest(format));
  const auto add = [&](double from, int power, bool negative) {
    const double step = scale * std::ldexp(1.0, power - format.fraction_bits);
    f.add_fine(from, noise_step(rounding, step), step * shift_of(rounding, negative));
  };
  f.add_cell(-kInfinity, -scale * largest(format));
  for (int power = high; power >= low; --power) {
    add(power == high ? -scale * largest(format) : -scale * std::ldexp(1.0, power + 1), power,
        true);
  }
  // Subnormals; those below them all are as 0 is.
  add(-scale * std::ldexp(1.0, low), low, true);
  const double smallest = scale * std::ldexp(1.0, low - format.fraction_bits);
  f.add_cell(-smallest, 0);
  add(smallest, low, false);
  for (int power = low; power <= high; ++power) add(scale * std::ldexp(1.0, power), power, false);
  f.add_cell(scale * largest(format), scale * largest(format));
  return f;
}

StepFunction of_float(const FloatFormat& format, double scale, Rounding rounding) {
  if (2 * std::size_t{format.largest_code()} > kMostCells) {
    return fine_floats(format, scale, rounding);
  }
  return StepFunction::of_levels(levels_of(format, scale), rounding);
}

StepFunction of_grid(QuantParams params, const IntegerGrid& grid, const Convention& convention) {
  const double scale = params.scale;
  const auto value = [&](double code) { return scale * (code - params.zero_point); };
  if (static_cast<std::size_t>(grid.levels()) > kMostCells) {
    StepFunction f;
    f.add_cell(-kInfinity, value(grid.lo()));
    const bool is_turning = convention.rounding == Rounding::truncate;
    const double turn = convention.order == ZeroPointOrder::before_rounding ? value(0) : 0;
    const double step = noise_step(convention.rounding, scale);
    const auto shift = [&](bool negative) {
      return scale * shift_of(convention.rounding, negative);
    };
    f.add_fine(value(grid.lo()), step, shift(is_turning && turn > value(grid.lo())));
    if (is_turning && turn > value(grid.lo()) && turn < value(grid.hi())) {
      f.add_fine(turn, step, shift(false));
    }
    // What is 0 stays it, if there is an atom.
    const bool is_nearest =
        convention.rounding == Rounding::half_even || convention.rounding == Rounding::half_away;
    if (is_nearest && value(grid.lo()) < -scale && value(grid.hi()) > scale) {
      f.add_cell(-scale / 2, 0);
      f.add_fine(scale / 2, step, 0);
    }
    f.add_cell(value(grid.hi()), value(grid.hi()));
    return f;
  }
  if (convention.rounding == Rounding::stochastic) {
    std::vector<double> levels;
    for (int code = grid.lo(); code <= grid.hi(); ++code) levels.push_back(value(code));
    return StepFunction::of_levels(levels, Rounding::stochastic);
  }
  const Cells cells = make_cells(params, grid, convention);
  return StepFunction::of_cells(cells.edges, cells.values);
}

// The mean square of a number's relative error in fp16, all of its significands being as likely as
// its neighbours.
double fp16_error(double x) {
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), -14) - 10);
  return step * step / (12 * x * x);
}

// Codes first … last of step d, standing for minimum + code·d.
StepFunction even_cells(int first, int last, double d, double minimum) {
  std::vector<double> levels;
  for (int code = first; code <= last; ++code) levels.push_back(minimum + code * d);
  if (d < 0) std::reverse(levels.begin(), levels.end());
  StepFunction f = StepFunction::of_levels(levels, Rounding::half_away);
  return f;
}

StepFunction of_block(const Scheme& scheme, Range range, double most) {
  const BlockElement& element = *block_element(scheme);
  const float extremum = std::abs(range.min) > std::abs(range.max) ? range.min : range.max;
  StepFunction zeros;
  zeros.add_cell(-kInfinity, 0);
  if (range.min == 0 && range.max == 0) return zeros;
  if (!scheme.format.block->has_scale_rule && !scheme.format.block->has_tensor_scale) {  // ggml
    // Codes follow from the scale before it is rounded to fp16.
    if (element.has_minimum) {
      const double d = (double{range.max} - range.min) / element.most;
      if (d == 0) return even_cells(0, 0, 1, range.min);
      StepFunction f = even_cells(0, element.most, d, range.min);
      f.set_factor(std::max(fp16_error(d), range.min == 0 ? 0 : fp16_error(range.min)));
      return f;
    }
    const int first = element.most == 127 ? -127 : -element.most;
    const int last = element.most == 127 ? 127 : element.most - 1;
    const double d =
        element.most == 127 ? std::abs(double{extremum}) / 127 : double{extremum} / -element.most;
    StepFunction f = even_cells(first, last, d, 0);
    f.set_factor(fp16_error(d));
    return f;
  }
  // The format's own code finds the scale, of a block that holds nothing else.
  std::array<float, 64> values{};
  std::array<std::uint8_t, 128> bytes{};
  values[0] = extremum;
  const BlockFormat& format = *scheme.format.block;
  const auto largest = static_cast<float>(std::max(most, std::abs(double{extremum})));
  const float tensor_scale =
      format.has_tensor_scale ? zeropoint::tensor_scale(format, {&largest, 1, 1, 1, 1}) : 1;
  format.encode(values.data(), format.block, {scheme.scale_rule, scheme.convention.rounding},
                tensor_scale, bytes.data());
  double scale = 0;
  if (format.has_tensor_scale) {
    scale = decode(float_format("e4m3"), bytes[0]).value * double{tensor_scale};
  } else {
    scale = decode(float_format("e8m0"), bytes[0]).value;
  }
  if (!(scale > 0)) return zeros;
  const Rounding rounding =
      format.has_tensor_scale ? Rounding::half_even : scheme.convention.rounding;
  if (element.element != nullptr) {
    return StepFunction::of_levels(levels_of(float_format(element.element), scale), rounding);
  }
  std::vector<double> levels;
  for (int code = -element.most; code <= element.most; ++code) {
    levels.push_back(scale * code / element.unit);
  }
  return StepFunction::of_levels(levels, rounding);
}

}  // namespace

StepFunction StepFunction::of_levels(const std::vector<double>& levels, Rounding rounding) {
  StepFunction f;
  f.pieces_.reserve(levels.size() + 1);
  f.add_cell(-kInfinity, levels.front());
  if (rounding == Rounding::stochastic) {
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
      f.add_dither(levels[i], levels[i], levels[i + 1]);
    }
    f.add_cell(levels.back(), levels.back());
    return f;
  }
  for (std::size_t i = 1; i < levels.size(); ++i) {
    const double below = levels[i - 1];
    const double above = levels[i];
    double edge = (below + above) / 2;
    if (rounding == Rounding::floor) edge = above;
    if (rounding == Rounding::ceil) edge = below;
    if (rounding == Rounding::truncate) edge = above > 0 ? above : below;
    f.add_cell(edge, above);
  }
  return f;
}

StepFunction StepFunction::of_cells(const std::vector<double>& edges,
                                    const std::vector<double>& values) {
  StepFunction f;
  f.pieces_.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    f.add_cell(i == 0 ? -kInfinity : edges[i], values[i]);
  }
  return f;
}

std::size_t StepFunction::index(double x) const {
  const auto above = std::upper_bound(pieces_.begin() + 1, pieces_.end(), x,
                                      [](double v, const Piece& piece) { return v < piece.from; });
  return static_cast<std::size_t>(above - pieces_.begin()) - 1;
}

StepFunction::Sums StepFunction::integrate(const PartialMoments& moments, double from,
                                           double to) const {
  Sums sums;
  if (!(to > from)) return sums;
  std::size_t hint = 0;
  auto below = moments.at(from, hint);
  auto& f = sums.features;
  for (std::size_t i = index(from); i < pieces_.size() && pieces_[i].from < to; ++i) {
    // A piece begins with its edge, where there may be an atom.
    const bool is_last = i + 1 == pieces_.size() || pieces_[i + 1].from >= to;
    const auto above =
        is_last ? moments.at(to, hint) : moments.at(moments.before(pieces_[i + 1].from), hint);
    const double p = above[0] - below[0];
    const double x = above[1] - below[1];
    const double xx = above[2] - below[2];
    below = above;
    const Piece& piece = pieces_[i];
    sums.mass += p;
    f[kX] += x;
    f[kXX] += xx;
    if (piece.fine > 0) {
      f[kE] += piece.low * p;
      f[kXE] += piece.low * x;
      f[kEE] += (piece.fine * piece.fine / 12 + piece.low * piece.low) * p;
    } else if (piece.high > piece.low) {
      f[kEE] += -xx + (piece.low + piece.high) * x - piece.low * piece.high * p;
    } else {
      f[kE] += piece.low * p - x;
      f[kXE] += piece.low * x - xx;
      f[kEE] += xx - 2 * piece.low * x + piece.low * piece.low * p;
    }
  }
  f[kEE] += factor_ * (f[kXX] + 2 * f[kXE] + f[kEE]);
  return sums;
}

Features StepFunction::at(double x) const {
  Features f{x, 0, x * x, 0, 0};
  for_each_error(x, [&](double weight, double e) {
    f[kE] += weight * e;
    f[kXE] += weight * x * e;
    f[kEE] += weight * e * e;
  });
  f[kEE] += factor_ * (f[kXX] + 2 * f[kXE] + f[kEE]);
  return f;
}

StepFunction step_function(const Scheme& scheme, Range range, double most) {
  switch (scheme.format.kind) {
    case FormatKind::block:
      return of_block(scheme, range, most);
    case FormatKind::floating: {
      const double scale = scheme.unit_scale ? 1 : double{params_of_range(scheme, range).scale};
      return of_float(*scheme.format.floating, scale, scheme.convention.rounding);
    }
    case FormatKind::codebook: {
      const double scale = params_of_range(scheme, range).scale;
      std::vector<double> levels;
      for (const float level : zeropoint::levels_of(*scheme.format.codebook)) {
        levels.push_back(scale * level);
      }
      return StepFunction::of_levels(levels, Rounding::half_even);
    }
    case FormatKind::integer:
      break;
  }
  return of_grid(params_of_range(scheme, range), scheme.format.grid, scheme.convention);
}

std::string no_step_function(const Scheme& scheme) {
  if (scheme.format.kind == FormatKind::block && !scheme.format.block->is_joint &&
      block_element(scheme) == nullptr) {
    return fmt::format("the cells of {} are not known here", scheme.format.name);
  }
  if (scheme.format.kind == FormatKind::floating && !scheme.format.floating->has_sign()) {
    return fmt::format("{} holds scales", scheme.format.name);
  }
  return {};
}

bool is_affine_block(const Scheme& scheme) {
  const auto* const element = block_element(scheme);
  return element != nullptr && element->has_minimum;
}

double power_boundary(const Scheme& scheme) {
  if (scheme.format.kind != FormatKind::block || !scheme.format.block->has_scale_rule) return 0;
  const BlockElement& element = *block_element(scheme);
  const bool is_float = element.element != nullptr;
  switch (scheme.scale_rule) {
    case ScaleRule::floor:
    case ScaleRule::ceil:
      break;
    case ScaleRule::even: {
      const int fraction = is_float ? float_format(element.element).fraction_bits : 6;
      return 2 - std::ldexp(0.5, -fraction);
    }
    case ScaleRule::rceil:
      return largest_element(scheme);
  }
  return 1;
}

double largest_element(const Scheme& scheme) {
  const BlockElement& element = *block_element(scheme);
  return element.element != nullptr ? largest(float_format(element.element))
                                    : static_cast<double>(element.most) / element.unit;
}

}  // namespace zeropoint
