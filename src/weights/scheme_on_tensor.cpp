#include "weights/scheme_on_tensor.hpp"

#include <algorithm>
#include <array>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/codebook_format.hpp"

#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

// A piece and what becomes of it stay in a core's own cache.
constexpr std::size_t kPieceValues = std::size_t{1} << 16;

std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

}  // namespace

SchemeOnTensor::SchemeOnTensor(std::span<const float> x, std::span<const std::size_t> shape,
                               const Scheme& scheme, std::string what)
    : scheme_(scheme), what_(std::move(what)) {
  tiles_ = make_tiles(scheme.granularity, shape, Role::stored);
  const std::size_t last_axis = shape.empty() ? 1 : shape.back();
  if (!scheme.transforms.empty()) {
    const MatrixView<const float> lines{x.data(), last_axis == 0 ? 0 : x.size() / last_axis,
                                        last_axis, static_cast<std::ptrdiff_t>(last_axis), 1};
    turned_ = transformed(lines, scheme, {}, Role::stored, what_);
    x = std::as_const(turned_).values();
    scheme_.transforms.clear();
  }
  x_ = {x.data(), tiles_.rows, tiles_.cols, static_cast<std::ptrdiff_t>(tiles_.cols), 1};
  if (scheme.granularity.kind == GranularityKind::channel) {
    scheme_.granularity = {GranularityKind::block, std::nullopt, tiles_.tile_rows,
                           tiles_.tile_cols};
  }

  const auto* const codebook = scheme.format.codebook;
  const auto* const block = scheme.format.block;
  const bool has_common = (codebook != nullptr && codebook->is_fitted()) ||
                          (block != nullptr && block->has_tensor_scale);
  const bool is_tall = block == nullptr && tiles_.tile_rows >= tiles_.rows;
  // Random numbers are counted from the tensor's first element on; a shrunk scale needs all codes.
  const bool in_one = scheme.convention.rounding == Rounding::stochastic ||
                      (scheme.shrinks && is_tall) || tiles_.rows <= 8;
  const std::size_t rows = std::max<std::size_t>(tiles_.rows, 1);
  std::size_t step = is_tall || block != nullptr ? 8 : round_up(8, tiles_.tile_rows);
  while (step % 8 != 0) step *= 2;  // tiles of any height end with a byte, too
  const std::size_t row = std::max<std::size_t>(tiles_.cols, 1);
  rows_a_piece_ =
      in_one ? rows : std::min(rows, round_up(std::max<std::size_t>(kPieceValues / row, 1), step));
  is_shared_ = rows_a_piece_ < rows && (has_common || is_tall);
  if (is_shared_) shared_ = find_params(x_, scheme_, Role::stored, what_);
  if (scheme.is_static) {
    throw InputError(what_ +
                     ": expected a dynamic scheme, found a static one, which needs calibration");
  }
}

std::size_t SchemeOnTensor::pieces() const {
  return (tiles_.rows + rows_a_piece_ - 1) / rows_a_piece_;
}

std::size_t SchemeOnTensor::rows_of(std::size_t piece) const {
  return std::min(rows_a_piece_, tiles_.rows - first_row(piece));
}

MatrixView<const float> SchemeOnTensor::values(std::size_t piece) const {
  return {x_.data + first_row(piece) * tiles_.cols, rows_of(piece), tiles_.cols, x_.row_stride, 1};
}

QTensor SchemeOnTensor::codes(std::size_t piece) const {
  const auto x = values(piece);
  return is_shared_ ? quantize(x, scheme_, shared_, Role::stored, what_)
                    : quantize(x, scheme_, Role::stored, what_);
}

}  // namespace zeropoint
