#include <array>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "quantize/tile_params.hpp"
#include "quantize/tile_walk.hpp"
#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

void check_whole(MatrixView<const float> x, std::string_view what) {
  if (is_contiguous(x)) return check_finite({x.data, x.rows * x.cols}, what);
  check_finite(Gathered<float>(x).values(), what);
}

}  // namespace

Calibrator::Calibrator(Scheme scheme, Role role) : scheme_(std::move(scheme)), role_(role) {
  if (needs_both(scheme_)) {
    throw InputError(fmt::format(
        "calibrate: expected transforms of one tensor alone, found {}, whose smooth is found in "
        "the two operands of a product",
        short_form(scheme_)));
  }
  const auto& format = scheme_.format;
  if (format.kind == FormatKind::block ||
      (format.kind == FormatKind::codebook &&
       (format.codebook->is_fitted() || format.codebook->unit == LevelUnit::rms)) ||
      scheme_.unit_scale) {
    throw InputError(
        fmt::format("calibrate: expected a scheme with a range, found {}", short_form(scheme_)));
  }
}

void Calibrator::observe(MatrixView<const float> x, std::string_view what) {
  if (x.rows == 0 || x.cols == 0) return;
  Matrix<float> turned;
  if (!scheme_.transforms.empty()) {
    turned = transformed(x, scheme_, {}, role_, what);
    x = turned.view();
  }
  const Tiles tiles = make_tiles(scheme_.granularity, std::array{x.rows, x.cols}, role_);
  if (!observers_.empty()) check_tiles(tiles, what);
  check_whole(x, what);  // before any tile is touched; a tile would name its own index
  if (observers_.empty()) {
    observers_.assign(tiles.count(), Observer(scheme_.range, scheme_.convention.coverage));
    tiles_ = tiles;
  }
  const MatrixView<const float> view{x.data, x.rows, x.cols, x.row_stride, x.col_stride};
  const bool same_shape = tiles.rows == x.rows && tiles.cols == x.cols;
  const auto tiled = same_shape
                         ? view
                         : MatrixView<const float>{x.data, tiles.rows, tiles.cols,
                                                   static_cast<std::ptrdiff_t>(tiles.cols), 1};
  for_tiles(tiles, [&](std::size_t tile) {
    observers_[tile].observe(Gathered<float>(tile_view(tiles, tile, tiled)).values(), what);
  });
}

// One tile takes tensors of any shape.
void Calibrator::check_tiles(const Tiles& tiles, std::string_view what) const {
  if (tiles == tiles_ || (tiles.count() == 1 && observers_.size() == 1)) return;
  throw InputError(fmt::format("{}: expected a matrix of {}x{} as before, found {}x{}", what,
                               tiles_.rows, tiles_.cols, tiles.rows, tiles.cols));
}

void Calibrator::merge(const Calibrator& other) {
  if (!(scheme_ == other.scheme_) || role_ != other.role_) {
    throw InputError(fmt::format("calibrate: expected another of {}, found one of {}",
                                 short_form(scheme_), short_form(other.scheme_)));
  }
  if (other.observers_.empty()) return;
  if (observers_.empty()) {
    observers_ = other.observers_;
    tiles_ = other.tiles_;
    return;
  }
  check_tiles(other.tiles_, "calibrate");
  for (std::size_t i = 0; i < observers_.size(); ++i) observers_[i].merge(other.observers_[i]);
}

TensorParams Calibrator::params() const {
  if (observers_.empty()) {
    throw InputError("calibrate: expected to have seen at least one tensor, found none");
  }
  TensorParams params;
  if (scheme_.format.codebook != nullptr) params.levels = levels_of(*scheme_.format.codebook);
  for (const auto& observer : observers_) {
    params.tiles.push_back(params_of_range(scheme_, observer.range(grid_need(scheme_))));
  }
  return params;
}

}  // namespace zeropoint
