#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace zeropoint {

/// Which values share a scale and a zero point.
enum class GranularityKind {
  tensor,   ///< all of a tensor
  channel,  ///< those with one index along an axis
  group,    ///< so many neighbours along the axis that a product sums over
  block,    ///< a rectangle of so many rows and columns
  layer,    ///< all tensors of a layer (calibrated together)
  model     ///< all tensors of a model (calibrated together)
};

struct Granularity {
  GranularityKind kind = GranularityKind::tensor;
  std::optional<int> axis;  ///< of channel; without it, the one that the role says
  std::size_t rows = 0;     ///< of block
  std::size_t cols = 0;     ///< of group and block
  bool operator==(const Granularity&) const = default;
};

/// What a matrix is for, where a granularity leaves the axis open. A stored tensor has its channels
/// along axis 0 (weights are out × in) and its groups along the last one; the left operand A (m×k)
/// a channel a row, groups along its rows; the right operand B (k×n) a channel a column, groups
/// down its columns.
enum class Role { stored, left, right };

/// A tensor seen as a matrix, and its cut into tiles that share parameters. The last tile of a row
/// or column of tiles may be smaller; no tile is larger than the matrix.
struct Tiles {
  std::size_t rows = 0, cols = 0;            ///< of the matrix
  std::size_t tile_rows = 0, tile_cols = 0;  ///< of a tile; at least 1

  std::size_t down() const { return (rows + tile_rows - 1) / tile_rows; }
  std::size_t across() const { return (cols + tile_cols - 1) / tile_cols; }
  std::size_t count() const { return down() * across(); }
  /// The tile that holds element (i, j), counted row by row.
  std::size_t of(std::size_t i, std::size_t j) const {
    return i / tile_rows * across() + j / tile_cols;
  }
  bool operator==(const Tiles&) const = default;
};

/// The tiles of a tensor of that shape (any rank; none is a number). Throws InputError if there is
/// no such axis.
Tiles make_tiles(const Granularity& granularity, std::span<const std::size_t> shape, Role role);

/// One row of the list in granularity.cpp.
struct GranularityWord {
  std::string_view word;      ///< "group"
  std::string_view argument;  ///< "N", "AXIS", "RxC", or empty
  bool needs_argument;
  std::string_view title;
};
std::span<const GranularityWord> granularity_words();

/// "tensor", "channel", "channel=1", "group=32", "block=16x16", "layer", "model". Throws
/// InputError naming the nearest.
Granularity parse_granularity(std::string_view word);
std::string to_string(const Granularity& granularity);

}  // namespace zeropoint
