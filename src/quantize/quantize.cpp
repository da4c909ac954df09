#include "zeropoint/quantize/quantize.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/packed_codes.hpp"
#include "zeropoint/quantize/elementwise.hpp"

#include "quantize/storage.hpp"
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

// Codebooks are looked up in one go: numbers first go into the unit of their levels.
std::size_t encode_by_codebook(MatrixView<const float> x, const Tiles& tiles,
                               const TensorParams& params, Matrix<std::uint8_t>& codes) {
  const Codebook codebook{"levels", "", params.levels};
  Matrix<float> scaled(tiles.rows, tiles.cols);
  std::atomic<std::size_t> clipped{0};
  walk_tiles(tiles, x, scaled.view(),
             [&](std::size_t tile, std::span<const float> from, std::span<float> to) {
               const float scale = params.tiles[params.tiles.size() == 1 ? 0 : tile].scale;
               std::size_t beyond = 0;
               for (std::size_t i = 0; i < from.size(); ++i) {
                 to[i] = from[i] / scale;
                 beyond +=
                     to[i] < codebook.levels.front() || to[i] > codebook.levels.back() ? 1 : 0;
               }
               clipped += beyond;
             });
  encode(codebook, std::as_const(scaled).values(), codes.values());
  return clipped;
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
    check_finite_view(x, what);
    params.tensor_scale = tensor_scale(*scheme.format.block, x);
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
  check_finite_view(x, what);  // here, since a tile would name its own index
  const auto view = as_tiled(x, tiles);
  for_tiles(tiles, [&](std::size_t tile) {
    const Gathered<float> values(tile_view(tiles, tile, view));
    params.tiles[tile] = params_of_values(scheme, values.values(), what);
  });
  return params;
}

// After the scheme's transforms, if it has any.
QTensor quantize_transformed(MatrixView<const float> x, const Scheme& scheme,
                             const TensorParams& params, Role role, std::string_view what) {
  const Tiles tiles = tiles_of(x, scheme, role);
  if (scheme.format.kind == FormatKind::block) {
    check_finite_view(x, what);
    return in_blocks(x, scheme, tiles, role, params);
  }
  if (params.tiles.size() != 1 && params.tiles.size() != tiles.count()) {
    throw InputError(fmt::format("{}: expected one scale, or {}, one a tile; found {}", what,
                                 tiles.count(), params.tiles.size()));
  }
  if (!scheme.unit_scale) check_finite_view(x, what);
  const auto view = as_tiled(x, tiles);
  CodeMatrix stored;
  std::size_t clipped = 0;
  if (scheme.format.bits > 16) {
    Matrix<std::uint32_t> words(tiles.rows, tiles.cols);
    clipped = encode_all(view, scheme, noise_seed(scheme, role), tiles, params, words.view());
    Matrix<std::uint8_t> packed(1, packed_bytes(words.size(), scheme.format.bits));
    pack(std::as_const(words).values(), scheme.format.bits, packed.values());
    stored = std::move(packed);
  } else {
    CodeMatrix codes = codes_for(scheme.format, tiles.rows, tiles.cols);
    clipped = scheme.format.kind == FormatKind::codebook
                  ? encode_by_codebook(view, tiles, params, std::get<Matrix<std::uint8_t>>(codes))
                  : std::visit(
                        [&](auto& matrix) {
                          return encode_all(view, scheme, noise_seed(scheme, role), tiles, params,
                                            matrix.view());
                        },
                        codes);
    stored = packed_for_storage(std::move(codes), scheme.format.bits);
  }
  const auto size = static_cast<double>(x.rows * x.cols);
  return {scheme, role,
          tiles,  std::move(stored),

          params, size == 0 ? 0 : static_cast<double>(clipped) / size};
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
  TensorParams params = find_transformed(x, scheme, role, what);
  params.smoothing = std::move(smoothing);
  return quantize_transformed(x, scheme, params, role, what);
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
  std::size_t size = 1;
  for (const auto extent : shape) size *= extent;
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
