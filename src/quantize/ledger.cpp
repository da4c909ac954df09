#include "zeropoint/quantize/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/block_format.hpp"
#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/ranges/observer.hpp"

#include "quantize/stored_codes.hpp"
#include "quantize/tile_params.hpp"
#include "quantize/tile_walk.hpp"
#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

double square(double x) { return x * x; }

// Sums that do not depend on the number of threads: piece by piece, then in order.
constexpr std::size_t kGrain = 1 << 15;

template <class Sum, class Body>
Sum sum_of_pieces(std::size_t count, const Body& body) {
  std::vector<Sum> pieces((count + kGrain - 1) / kGrain);
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    Sum& sum = pieces[begin / kGrain];
    for (std::size_t i = begin; i < end; ++i) body(sum, i);
  });
  Sum total{};
  for (const Sum& piece : pieces) total += piece;
  return total;
}

// A grid of integers whose scale and zero point are real numbers.
struct RealGrid {
  double scale, zero_point, lo, hi;
  Rounding rounding;

  double code(double x) const { return round_to_integer(x / scale + zero_point, rounding); }
  bool clips(double x) const {
    const double c = code(x);
    return c < lo || c > hi;
  }
  double nearest(double x) const { return scale * (std::clamp(code(x), lo, hi) - zero_point); }
};

bool has_own_parameters(const Scheme& scheme) {
  return !scheme.is_static && !scheme.unit_scale &&
         scheme.convention.rounding != Rounding::stochastic;
}

// What choose_params rounds, before it does.
RealGrid real_grid(const QTensor& q, QuantParams stored, std::optional<Range> range) {
  const auto& scheme = q.scheme();
  const auto& grid = scheme.format.grid;
  RealGrid real{stored.scale, static_cast<double>(stored.zero_point), double(grid.lo()),
                double(grid.hi()), scheme.convention.rounding};
  if (!range || scheme.convention.mapping == Mapping::symmetric) return real;
  double min = range->min, max = range->max;
  if (scheme.convention.zero_in_range || min == max) {
    min = std::min(min, 0.0);
    max = std::max(max, 0.0);
  }
  const double scale = (max - min) / (real.hi - real.lo);
  // A range that choose_params had to change, or a scale it had to replace, has no other.
  if (!(std::abs(scale / stored.scale - 1) < 1e-3)) return real;
  real.scale = scale;
  real.zero_point = real.lo - min / scale;
  if (scheme.convention.clamp_zero_point || scheme.convention.zero_in_range) {
    real.zero_point = std::clamp(real.zero_point, real.lo, real.hi);
  }
  return real;
}

// One tile of integers: x and what it was read back as.
TensorLedger integers(const QTensor& q, QuantParams stored, std::optional<Range> range,
                      std::span<const float> x, std::span<const float> back) {
  const RealGrid real = real_grid(q, stored, range);
  RealGrid nudged = real;
  nudged.zero_point = stored.zero_point;
  TensorLedger ledger;
  const bool is_random = real.rounding == Rounding::stochastic;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double last = square(double{back[i]} - x[i]);
    const double first = is_random ? last : square(real.nearest(x[i]) - x[i]);
    const double second = is_random ? last : square(nudged.nearest(x[i]) - x[i]);
    (real.clips(x[i]) ? ledger.clipping : ledger.rounding) += first;
    ledger.zero_point += second - first;
    ledger.stored_scale += last - second;
  }
  return ledger;
}

// Scales of float formats and codebooks are real numbers as they are.
TensorLedger scaled_numbers(double reach_below, double reach_above, std::span<const float> x,
                            std::span<const float> back) {
  TensorLedger ledger;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool clipped = x[i] < reach_below || x[i] > reach_above;
    (clipped ? ledger.clipping : ledger.rounding) += square(double{back[i]} - x[i]);
  }
  return ledger;
}

// A row, or a column of a right operand, in blocks.
TensorLedger blocks(const BlockFormat& format, Rounding rounding, std::span<const float> x,
                    std::span<const float> back) {
  TensorLedger ledger;
  std::vector<float> brought(format.block), read(format.block);
  std::vector<std::uint8_t> bytes(format.bytes);
  for (std::size_t at = 0; at < x.size(); at += format.block) {
    const auto values = x.subspan(at, std::min(format.block, x.size() - at));
    const auto found = back.subspan(at, values.size());
    double origin = 0, width = 0;
    if (format.has_minimum) {
      // A row's last block is filled up with zeros.
      const double fill = values.size() < format.block ? 0 : values.front();
      double most = fill;
      origin = fill;
      for (const double v : values) {
        origin = std::min(origin, v);
        most = std::max(most, v);
      }
      width = most - origin;
    } else {
      for (const double v : values) width = std::max(width, std::abs(v));
    }
    const double factor = width > 0 ? format.full_reach / width : 0;
    const bool has_ideal = factor > 0 && std::isfinite(static_cast<float>(factor));
    if (has_ideal) {
      std::ranges::fill(brought, static_cast<float>((0 - origin) * factor));
      for (std::size_t i = 0; i < values.size(); ++i) {
        brought[i] = static_cast<float>((values[i] - origin) * factor);
      }
      const MatrixView<const float> in{brought.data(), 1, brought.size(),
                                       static_cast<std::ptrdiff_t>(brought.size()), 1};
      const MatrixView<float> out{read.data(), 1, read.size(),
                                  static_cast<std::ptrdiff_t>(read.size()), 1};
      encode_blocks(format, {ScaleRule::floor, rounding, BlockNonFinite::refuse}, in, 1, bytes);
      decode_blocks(format, bytes, 1, out);
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double last = square(double{found[i]} - values[i]);
      const double first = has_ideal ? square(read[i] / factor + origin - values[i]) : last;
      ledger.rounding += first;
      ledger.stored_scale += last - first;
    }
  }
  return ledger;
}

void add(TensorLedger& to, const TensorLedger& more) {
  to.clipping += more.clipping;
  to.rounding += more.rounding;
  to.zero_point += more.zero_point;
  to.stored_scale += more.stored_scale;
}

void check_shape(std::string_view what, std::size_t rows, std::size_t cols, std::size_t m,
                 std::size_t n) {
  if (rows == m && cols == n) return;
  throw InputError(
      fmt::format("ledger: expected {} with {}x{} elements, found {}x{}", what, m, n, rows, cols));
}

struct Inner {
  std::array<std::array<double, kProductParts>, kProductParts> of{};
  double error = 0, energy = 0;
  Inner& operator+=(const Inner& other) {
    for (std::size_t i = 0; i < kProductParts; ++i) {
      for (std::size_t j = 0; j < kProductParts; ++j) of[i][j] += other.of[i][j];
    }
    error += other.error;
    energy += other.energy;
    return *this;
  }
};

Matrix<float> difference(const Matrix<float>& x, const Matrix<float>& y) {
  Matrix<float> d(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.size(); ++i) d.data()[i] = x.data()[i] - y.data()[i];
  return d;
}

}  // namespace

TensorLedger tensor_ledger(MatrixView<const float> x, const QTensor& q,
                           std::optional<Range> range) {
  check_shape("the tensor", x.rows, x.cols, q.rows(), q.cols());
  const Matrix<float> read = q.decoded();
  const auto& scheme = q.scheme();
  const TensorParams params = q.encoding_parameters();
  // What shrink gained is the last part: all before is of the scales that codes were made with.
  Matrix<float> before;
  if (scheme.shrinks) {
    before = Matrix<float>(q.rows(), q.cols());
    const Tiles whole{q.rows(), q.cols(), std::max<std::size_t>(q.rows(), 1),
                      std::max<std::size_t>(q.cols(), 1)};
    decode_stored(scheme.format, params.tiles.size() == 1 ? whole : q.tiles(), params, q.bytes(),
                  before);
  }
  const Matrix<float>& back = scheme.shrinks ? before : read;
  MatrixView<const float> from = x, to = back.view(), last = read.view();
  Matrix<float> turned;
  if (!scheme.transforms.empty()) {
    turned = transformed(x, scheme, params.smoothing, q.role(), "tensor");
    from = turned.view();
  }
  const bool is_block = scheme.format.kind == FormatKind::block;
  Tiles tiles = q.tiles();
  if (is_block) {
    if (q.role() == Role::right) {
      from = transposed(from);
      to = transposed(to);
      last = transposed(last);
    }
    tiles = {from.rows, from.cols, 1, std::max<std::size_t>(from.cols, 1)};
  } else if (params.tiles.size() == 1) {
    // Cut, so that threads share it.
    tiles = {from.rows, from.cols, 1, std::max<std::size_t>(from.cols, 1)};
  }
  const bool finds_range = !range && has_own_parameters(scheme) &&
                           scheme.format.kind == FormatKind::integer &&
                           scheme.convention.mapping == Mapping::affine;
  const auto range_of = [&](std::span<const float> values) {
    return estimate_range(scheme.range, values, scheme.convention.coverage, grid_need(scheme));
  };
  if (finds_range && params.tiles.size() == 1 && from.rows * from.cols > 0) {
    range = range_of(Gathered<float>(from).values());
  }
  std::vector<TensorLedger> parts(tiles.rows * tiles.cols == 0 ? 0 : tiles.count());
  for_tiles(tiles, [&](std::size_t tile) {
    const Gathered<float> values(tile_view(tiles, tile, from));
    const Gathered<float> found(tile_view(tiles, tile, to));
    TensorLedger& part = parts[tile];
    const QuantParams stored = params.tiles.empty()       ? QuantParams{}
                               : params.tiles.size() == 1 ? params.tiles[0]
                                                          : params.tiles[tile];
    switch (scheme.format.kind) {
      case FormatKind::integer:
        part = integers(q, stored, range || !finds_range ? range : range_of(values.values()),
                        values.values(), found.values());
        break;
      case FormatKind::floating: {
        const double reach = largest(*scheme.format.floating) * stored.scale;
        part = scaled_numbers(-reach, reach, values.values(), found.values());
        break;
      }
      case FormatKind::codebook:
        if (scheme.format.codebook->unit != LevelUnit::magnitude) {
          constexpr double kNoEnd = std::numeric_limits<double>::infinity();
          part = scaled_numbers(-kNoEnd, kNoEnd, values.values(), found.values());
          break;
        }
        part = scaled_numbers(double{params.levels.front()} * stored.scale,
                              double{params.levels.back()} * stored.scale, values.values(),
                              found.values());
        break;
      case FormatKind::block:
        part = blocks(*scheme.format.block, scheme.convention.rounding, values.values(),
                      found.values());
        break;
    }
    const Gathered<float> result(tile_view(tiles, tile, last));
    for (std::size_t i = 0; i < values.values().size(); ++i) {
      const double error = square(double{result.values()[i]} - values.values()[i]);
      part.stored_scale += error - square(double{found.values()[i]} - values.values()[i]);
      part.error += error;
      part.energy += square(values.values()[i]);
    }
  });
  TensorLedger ledger;
  for (const auto& part : parts) {
    add(ledger, part);
    ledger.error += part.error;
    ledger.energy += part.energy;
  }
  return ledger;
}

double ProductLedger::cross() const {
  double sum = 0;
  for (std::size_t i = 0; i < kProductParts; ++i) {
    for (std::size_t j = 0; j < i; ++j) sum += 2 * inner[i][j];
  }
  return sum;
}

double ProductLedger::sum() const {
  double total = cross();
  for (std::size_t i = 0; i < kProductParts; ++i) total += inner[i][i];
  return total;
}

ProductLedger product_ledger(const Matrix<float>& a, const Matrix<float>& b, const Matrix<float>& y,
                             const QTensor& qa, const QTensor& qb, const Matrix<float>& product,
                             const Matrix<float>* output) {
  check_shape("A's codes", qa.rows(), qa.cols(), a.rows(), a.cols());
  check_shape("B's codes", qb.rows(), qb.cols(), b.rows(), b.cols());
  check_shape("Y", y.rows(), y.cols(), a.rows(), b.cols());
  check_shape("the product", product.rows(), product.cols(), y.rows(), y.cols());
  if (output != nullptr) {
    check_shape("the output", output->rows(), output->cols(), y.rows(), y.cols());
  }
  const Matrix<float> delta_a = difference(qa.dequantized(), a);
  const Matrix<float> delta_b = difference(qb.dequantized(), b);
  const Matrix<float> of_a = float_product(delta_a, b);
  const Matrix<float> of_b = float_product(a, delta_b);
  const Matrix<float> of_both = float_product(delta_a, delta_b);
  const auto sums = sum_of_pieces<Inner>(y.size(), [&](Inner& sum, std::size_t i) {
    const double truth = y.data()[i], came = product.data()[i];
    const double result = output == nullptr ? came : double{output->data()[i]};
    const std::array<double, kProductParts> part = {
        of_a.data()[i], of_b.data()[i], of_both.data()[i],
        (came - truth) - of_a.data()[i] - of_b.data()[i] - of_both.data()[i], result - came};
    for (std::size_t p = 0; p < kProductParts; ++p) {
      for (std::size_t r = 0; r <= p; ++r) sum.of[p][r] += part[p] * part[r];
    }
    sum.error += square(result - truth);
    sum.energy += square(truth);
  });
  ProductLedger ledger{sums.of, sums.error, sums.energy};
  for (std::size_t p = 0; p < kProductParts; ++p) {
    for (std::size_t r = 0; r < p; ++r) ledger.inner[r][p] = ledger.inner[p][r];
  }
  return ledger;
}

}  // namespace zeropoint
