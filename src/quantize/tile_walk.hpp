#pragma once
#include <algorithm>
#include <span>
#include <type_traits>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/quantize/granularity.hpp"

namespace zeropoint {

/// One tile of a matrix as it lies in memory.
template <class T>
MatrixView<T> tile_view(const Tiles& tiles, std::size_t tile, MatrixView<T> of) {
  const std::size_t i = tile / tiles.across() * tiles.tile_rows;
  const std::size_t j = tile % tiles.across() * tiles.tile_cols;
  return {&of(i, j), std::min(tiles.tile_rows, tiles.rows - i),
          std::min(tiles.tile_cols, tiles.cols - j), of.row_stride, of.col_stride};
}

template <class T>
bool is_contiguous(const MatrixView<T>& view) {
  return view.col_stride == 1 &&
         (view.rows == 1 || view.row_stride == static_cast<std::ptrdiff_t>(view.cols));
}

/// The elements of a view one after the other: itself where they lie so, else a copy.
template <class T>
class Gathered {
 public:
  explicit Gathered(const MatrixView<const T>& view) {
    if (is_contiguous(view)) {
      values_ = {view.data, view.rows * view.cols};
      return;
    }
    copy_.reserve(view.rows * view.cols);
    for (std::size_t i = 0; i < view.rows; ++i) {
      for (std::size_t j = 0; j < view.cols; ++j) copy_.push_back(view(i, j));
    }
    values_ = copy_;
  }
  Gathered(const Gathered&) = delete;
  Gathered& operator=(const Gathered&) = delete;
  std::span<const T> values() const { return values_; }

 private:
  std::vector<T> copy_;
  std::span<const T> values_;
};

/// Calls body(tile) for all of them, on all threads where there are many. A single one is left to
/// what body itself does with threads.
template <class Body>
void for_tiles(const Tiles& tiles, const Body& body) {
  if (tiles.rows == 0 || tiles.cols == 0) return;
  if (tiles.count() == 1) return body(std::size_t{0});
  constexpr std::size_t kElements = 1 << 14;
  const std::size_t size = tiles.tile_rows * tiles.tile_cols;
  parallel_for(tiles.count(), std::max<std::size_t>(kElements / std::max<std::size_t>(size, 1), 1),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t tile = begin; tile < end; ++tile) body(tile);
               });
}

/// Calls body(tile, from, to) for each tile, both as spans of equal length; what body writes to
/// `to` goes where the tile is in `out`.
template <class In, class Out, class Body>
void walk_tiles(const Tiles& tiles, MatrixView<const In> in, MatrixView<Out> out,
                const Body& body) {
  for_tiles(tiles, [&](std::size_t tile) {
    const Gathered<In> from(tile_view(tiles, tile, in));
    const MatrixView<Out> to = tile_view(tiles, tile, out);
    if (is_contiguous(to)) {
      return body(tile, from.values(), std::span<Out>(to.data, to.rows * to.cols));
    }
    std::vector<Out> made(to.rows * to.cols);
    body(tile, from.values(), std::span<Out>(made));
    for (std::size_t i = 0; i < to.rows; ++i) {
      for (std::size_t j = 0; j < to.cols; ++j) to(i, j) = made[i * to.cols + j];
    }
  });
}

template <class T>
MatrixView<T> transposed(const MatrixView<T>& view) {
  return {view.data, view.cols, view.rows, view.col_stride, view.row_stride};
}

}  // namespace zeropoint
