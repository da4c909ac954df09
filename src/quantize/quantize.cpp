#include "zeropoint/quantize/quantize.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/packed_codes.hpp"
#include "zeropoint/quantize/elementwise.hpp"

#include "quantize/storage.hpp"
#include "quantize/stored_codes.hpp"
#include "quantize/tile_extremes.hpp"
#include "quantize/tile_params.hpp"
#include "quantize/tile_walk.hpp"
#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

Tiles tiles_of(MatrixView<const float> x, const Scheme& scheme, Role role) {
  return make_tiles(scheme.granularity, std::array{x.rows, x.cols}, role);
}

void check_not_empty(MatrixView<const float> x, std::string_view what) {
  if (x.rows == 0 || x.cols == 0) {
    throw InputError(fmt::format("{}: expected at least one element, found none", what));
  }
}

void check_finite_view(MatrixView<const float> x, std::string_view what) {
  if (x.rows == 0 || x.cols == 0) return;
  if (is_contiguous(x)) return check_finite({x.data, x.rows * x.cols}, what);
  check_finite(Gathered<float>(x).values(), what);
}

// The two operands of a product must not be rounded by the same random numbers.
std::uint64_t noise_seed(const Scheme& scheme, Role role) {
  return role == Role::right ? ~scheme.seed : scheme.seed;
}

// Codes of a tile, and how many numbers were clipped.
template <class Code>
std::size_t encode_tile(const Scheme& scheme, std::uint64_t seed, const TensorParams& params,
                        std::size_t tile, std::size_t first, std::span<const float> x,
                        std::span<Code> codes) {
  const QuantParams& of_tile = params.tiles.empty()       ? QuantParams{}
                               : params.tiles.size() == 1 ? params.tiles[0]
                                                          : params.tiles[tile];
  switch (scheme.format.kind) {
    case FormatKind::integer:
      if constexpr (sizeof(Code) <= 2) {
        return quantize<Code>(x, of_tile, scheme.format.grid, scheme.convention, codes,
                              {seed, first});
      }
      break;
    case FormatKind::floating:
      if constexpr (std::is_unsigned_v<Code>) {
        return encode<Code>(*scheme.format.floating, x, codes,
                            {.overflow = Overflow::saturate,
                             .rounding = scheme.convention.rounding,
                             .scale = of_tile.scale,
                             .multiplies = scheme.convention.operation == Operation::multiply,
                             .seed = seed,
                             .first = first});
      }
      break;
    case FormatKind::codebook:
    case FormatKind::block:
      break;
  }
  return 0;
}

template <class Code>
std::size_t encode_all(MatrixView<const float> x, const Scheme& scheme, std::uint64_t seed,
                       const Tiles& tiles, const TensorParams& params, MatrixView<Code> codes) {
  std::atomic<std::size_t> clipped{0};
  walk_tiles(tiles, x, codes,
             [&](std::size_t tile, std::span<const float> from, std::span<Code> to) {
               const std::size_t first = tile * tiles.tile_rows * tiles.tile_cols;
               clipped += encode_tile(scheme, seed, params, tile, first, from, to);
             });
  return clipped;
}

// The matrix as its tiles see it: a channel axis in the middle or at the front regroups it.
MatrixView<const float> as_tiled(MatrixView<const float> x, const Tiles& tiles) {
  if (x.rows == tiles.rows && x.cols == tiles.cols) return x;
  return {x.data, tiles.rows, tiles.cols, static_cast<std::ptrdiff_t>(tiles.cols), 1};
}

// Numbers rounded at random have one each, counted tile after tile.
StoredCodes encode_at_random(MatrixView<const float> x, const Scheme& scheme, std::uint64_t seed,
                             const Tiles& tiles, const TensorParams& params) {
  const int bits = scheme.format.bits;
  if (bits > 16) {
    Matrix<std::uint32_t> words(tiles.rows, tiles.cols);
    const std::size_t clipped = encode_all(x, scheme, seed, tiles, params, words.view());
    Matrix<std::uint8_t> packed(1, packed_bytes(words.size(), bits));
    pack(std::as_const(words).values(), bits, packed.values());
    return {std::move(packed), clipped, true};
  }
  CodeMatrix codes = codes_for(scheme.format, tiles.rows, tiles.cols);
  const std::size_t clipped = std::visit(
      [&](auto& matrix) { return encode_all(x, scheme, seed, tiles, params, matrix.view()); },
      codes);
  return {packed_for_storage(std::move(codes), bits), clipped, true};
}

// Throws InputError if a number is not finite. The scale is the same of both ends.
float scale_of_tensor(const BlockFormat& format, MatrixView<const float> x, std::string_view what) {
  if (x.rows == 0 || x.cols == 0 || !is_contiguous(x)) {
    check_finite_view(x, what);
    return tensor_scale(format, x);
  }
  const Range range = min_max_range({x.data, x.rows * x.cols}, what);
  const float ends[] = {range.min, range.max};
  return tensor_scale(format, {ends, 1, 2, 2, 1});
}

QTensor in_blocks(MatrixView<const float> x, const Scheme& scheme, const Tiles& tiles, Role role,
                  TensorParams params) {
  const MatrixView<const float> along = role == Role::right ? transposed(x) : x;
  const BlockFormat& format = *scheme.format.block;
  Matrix<std::uint8_t> blocks(1, block_bytes(format, along.rows, along.cols));
  encode_blocks(format, {scheme.scale_rule, scheme.convention.rounding}, along, params.tensor_scale,
                blocks.values());
  return {scheme, role, tiles, std::move(blocks), std::move(params), 0};
}

TensorParams find_transformed(MatrixView<const float> x, const Scheme& scheme, Role role,
                              std::string_view what) {
  TensorParams params;
  if (scheme.format.kind == FormatKind::block) {
    params.tensor_scale = scale_of_tensor(*scheme.format.block, x, what);
    return params;
  }
  const Tiles tiles = tiles_of(x, scheme, role);
  const auto* codebook = scheme.format.codebook;
  if (codebook != nullptr && codebook->is_fitted()) {
    check_not_empty(x, what);
    check_finite_view(x, what);
    params.levels = fit_lloyd_max(Gathered<float>(x).values(), scheme.format.bits).levels;
    params.tiles = {QuantParams{}};
    return params;
  }
  if (codebook != nullptr) params.levels = levels_of(*codebook);
  if (scheme.unit_scale) {
    params.tiles = {QuantParams{}};
    return params;
  }
  check_not_empty(x, what);
  params.tiles.resize(tiles.count());
  const auto view = as_tiled(x, tiles);
  const bool by_extremes = scheme.range.kind == RangeKind::minmax ||
                           scheme.range.kind == RangeKind::ema;  // of one batch
  if (by_extremes && !is_in_rms(scheme.format) && tiles.count() > 1) {
    const auto ranges = tile_extremes(tiles, view);
    if (!ranges) check_finite_view(x, what);  // which throws
    parallel_for(tiles.count(), std::size_t{1} << 14, [&](std::size_t begin, std::size_t end) {
      for (std::size_t tile = begin; tile < end; ++tile) {
        params.tiles[tile] = params_of_range(scheme, (*ranges)[tile]);
      }
    });
    return params;
  }
  // Here, since a tile would name its own index.
  if (tiles.count() > 1 || !is_contiguous(x)) check_finite_view(x, what);
  for_tiles(tiles, [&](std::size_t tile) {
    const Gathered<float> values(tile_view(tiles, tile, view));
    params.tiles[tile] = params_of_values(scheme, values.values(), what);
  });
  return params;
}

// The scales with which the codes of `q` are nearest to x in the mean square; those that it has
// where there is nothing to tell by: codes for 0 alone, or numbers that point the other way.
std::vector<float> shrunk_scales(MatrixView<const float> x, const QTensor& q) {
  struct Sums {
    double of_both = 0, of_codes = 0;
  };
  const auto& params = q.parameters().tiles;
  const bool is_one = params.size() == 1;
  // Rows, where one scale serves all, so that threads share them; added in order below.
  const Tiles tiles =
      is_one ? Tiles{x.rows, x.cols, 1, std::max<std::size_t>(x.cols, 1)} : q.tiles();
  const Matrix<float> decoded = q.decoded();
  std::vector<Sums> sums(tiles.rows * tiles.cols == 0 ? 0 : tiles.count());
  for_tiles(tiles, [&](std::size_t tile) {
    const MatrixView<const float> from = tile_view(tiles, tile, x);
    const MatrixView<const float> to = tile_view(tiles, tile, decoded.view());
    for (std::size_t i = 0; i < from.rows; ++i) {
      for (std::size_t j = 0; j < from.cols; ++j) {
        sums[tile].of_both += double{from(i, j)} * to(i, j);
        sums[tile].of_codes += double{to(i, j)} * to(i, j);
      }
    }
  });
  if (is_one) {
    Sums all;
    for (const Sums& row : sums) {
      all.of_both += row.of_both;
      all.of_codes += row.of_codes;
    }
    sums = {all};
  }
  std::vector<float> scales;
  for (std::size_t i = 0; i < params.size(); ++i) {
    const double factor = sums[i].of_both / sums[i].of_codes;
    const auto scale = static_cast<float>(params[i].scale * factor);
    scales.push_back(factor > 0 && scale > 0 && std::isfinite(scale) ? scale : params[i].scale);
  }
  return scales;
}

// After the scheme's transforms, if it has any. `is_checked`: all numbers are known to be finite.
QTensor quantize_transformed(MatrixView<const float> x, const Scheme& scheme,
                             const TensorParams& params, Role role, std::string_view what,
                             bool is_checked = false) {
  const Tiles tiles = tiles_of(x, scheme, role);
  if (scheme.format.kind == FormatKind::block) {
    try {
      return in_blocks(x, scheme, tiles, role, params);
    } catch (const InputError&) {
      check_finite_view(x, what);  // which names the first, if that was the reason
      throw;
    }
  }
  if (params.tiles.size() != 1 && params.tiles.size() != tiles.count()) {
    throw InputError(fmt::format("{}: expected one scale, or {}, one a tile; found {}", what,
                                 tiles.count(), params.tiles.size()));
  }
  const bool checks = !scheme.unit_scale && !is_checked;
  const auto view = as_tiled(x, tiles);
  StoredCodes stored;
  if (scheme.convention.rounding != Rounding::stochastic) {
    stored = encode_stored(view, scheme, tiles, params, checks);
    if (!stored.finite) check_finite_view(x, what);  // which throws
  } else {
    if (checks) check_finite_view(x, what);
    stored = encode_at_random(view, scheme, noise_seed(scheme, role), tiles, params);
  }
  const auto size = static_cast<double>(x.rows * x.cols);
  const double clipped = size == 0 ? 0 : static_cast<double>(stored.clipped) / size;
  QTensor q(scheme, role, tiles, std::move(stored.codes), params, clipped);
  if (!scheme.shrinks) return q;
  const auto scales = shrunk_scales(view, q);
  return std::move(q).with_scales(scales);
}

void check_dynamic(const Scheme& scheme, std::string_view what) {
  if (!scheme.is_static) return;
  throw InputError(
      fmt::format("{}: expected calibrated parameters with the static scheme {}, "
                  "found none",
                  what, short_form(scheme)));
}

QTensor quantize_by_itself(MatrixView<const float> x, const Scheme& scheme, Role role,
                           std::string_view what, std::vector<float> smoothing = {}) {
  TensorParams params;
  bool is_checked = false;
  if (scheme.format.kind == FormatKind::block) {  // which checks its numbers by itself
    if (scheme.format.block->has_tensor_scale) {
      params.tensor_scale = scale_of_tensor(*scheme.format.block, x, what);
    }
  } else {
    params = find_transformed(x, scheme, role, what);
    is_checked = !scheme.unit_scale;
  }
  params.smoothing = std::move(smoothing);
  return quantize_transformed(x, scheme, params, role, what, is_checked);
}

}  // namespace

TensorParams find_params(MatrixView<const float> x, const Scheme& scheme, Role role,
                         std::string_view what) {
  if (scheme.transforms.empty()) return find_transformed(x, scheme, role, what);
  return find_transformed(transformed(x, scheme, {}, role, what).view(), scheme, role, what);
}

QTensor quantize(MatrixView<const float> x, const Scheme& scheme, const TensorParams& params,
                 Role role, std::string_view what) {
  if (scheme.transforms.empty()) return quantize_transformed(x, scheme, params, role, what);
  return quantize_transformed(transformed(x, scheme, params.smoothing, role, what).view(), scheme,
                              params, role, what);
}

QTensor quantize(MatrixView<const float> x, const Scheme& scheme, Role role,
                 std::string_view what) {
  check_dynamic(scheme, what);
  if (scheme.transforms.empty()) return quantize_by_itself(x, scheme, role, what);
  return quantize_by_itself(transformed(x, scheme, {}, role, what).view(), scheme, role, what);
}

std::pair<QTensor, QTensor> quantize_pair(MatrixView<const float> a, MatrixView<const float> b,
                                          const SchemePair& schemes, std::string_view what_a,
                                          std::string_view what_b) {
  if (a.cols != b.rows) {
    throw InputError(fmt::format("{}: expected {} rows, as {} has columns; found {}x{}", what_b,
                                 a.cols, what_a, b.rows, b.cols));
  }
  if (schemes.a.transforms != schemes.b.transforms) {
    throw InputError(
        fmt::format("scheme: expected the same transforms of both operands, found {} x {}",
                    short_form(schemes.a), short_form(schemes.b)));
  }
  if (!needs_both(schemes.a)) {
    return {quantize(a, schemes.a, Role::left, what_a),
            quantize(b, schemes.b, Role::right, what_b)};
  }
  check_dynamic(schemes.a, what_a);
  check_dynamic(schemes.b, what_b);
  const TransformedPair pair = transformed_pair(a, b, schemes.a, what_a, what_b);
  return {quantize_by_itself(pair.a.view(), schemes.a, Role::left, what_a, pair.smoothing),
          quantize_by_itself(pair.b.view(), schemes.b, Role::right, what_b, pair.smoothing)};
}

QTensor quantize(std::span<const float> x, std::span<const std::size_t> shape, const Scheme& scheme,
                 std::string_view what) {
  // Extents of 0 count as 1 here: parts of the shape are multiplied by themselves, too.
  std::size_t most = 1;
  std::size_t size = 1;
  for (const auto extent : shape) {
    if (extent > 1 && most > std::numeric_limits<std::size_t>::max() / extent) {
      throw InputError(fmt::format("{}: expected a shape whose elements can be counted, found {}",
                                   what, fmt::join(shape, "x")));
    }
    most *= std::max<std::size_t>(extent, 1);
    size *= extent;
  }
  if (size != x.size()) {
    throw InputError(
        fmt::format("{}: expected {} values for its shape, found {}", what, size, x.size()));
  }
  const Tiles tiles = make_tiles(scheme.granularity, shape, Role::stored);
  const std::size_t last_axis = shape.empty() ? 1 : shape.back();
  Matrix<float> turned;
  if (!scheme.transforms.empty()) {
    const MatrixView<const float> lines{x.data(), last_axis == 0 ? 0 : size / last_axis, last_axis,
                                        static_cast<std::ptrdiff_t>(last_axis), 1};
    turned = transformed(lines, scheme, {}, Role::stored, what);
    x = std::as_const(turned).values();
  }
  // The matrix that its tiles are cut from, so that the axis of a channel is gone.
  const MatrixView<const float> view{x.data(), tiles.rows, tiles.cols,
                                     static_cast<std::ptrdiff_t>(tiles.cols), 1};
  Scheme of_matrix = scheme;
  of_matrix.transforms.clear();
  if (scheme.granularity.kind == GranularityKind::channel) {
    of_matrix.granularity = {GranularityKind::block, std::nullopt, tiles.tile_rows,
                             tiles.tile_cols};
  }
  return quantize(view, of_matrix, Role::stored, what).with_scheme(scheme, last_axis);
}

Matrix<float> fake_quantize(MatrixView<const float> x, const Scheme& scheme, Role role,
                            std::string_view what) {
  return quantize(x, scheme, role, what).dequantized();
}

}  // namespace zeropoint
