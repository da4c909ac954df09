#pragma once
#include <cstddef>
#include <cstdint>

#include "zeropoint/gemm/requantization.hpp"

namespace zeropoint {

/// What becomes of a tile of sums: the corrections that are not in it yet, and the output.
struct Finish {
  void* out = nullptr;
  std::ptrdiff_t row_stride = 0, col_stride = 1;  ///< of the output, in elements

  // S_ij = tile_ij − row_factor_i·column_term_j − row_term_i·column_factor_j modulo 2^32, where
  // zero points differ along a dimension; row_factor is nullptr where the tile holds S already.
  const std::int32_t* row_factor = nullptr;     ///< z_a, one a row
  const std::int32_t* column_term = nullptr;    ///< Σ_l (b − z_b)
  const std::int32_t* row_term = nullptr;       ///< Σ_l a
  const std::int32_t* column_factor = nullptr;  ///< z_b, one a column

  // float32
  float scale_a = 1, scale_b = 1;
  const float* scales_a = nullptr;  ///< nullptr: scale_a is that of all
  const float* scales_b = nullptr;
  const float* bias = nullptr;

  Requantization requantization;
};

/// Finishes rows [i, i + rows) and columns [j, j + columns); `tile` has `tile_row` elements from
/// row to row, and may be read up to a multiple of 16 columns.
struct TilePlace {
  std::size_t i, rows, j, columns;
};
template <class Sum>
using FinishTile = void (*)(const Finish& how, const Sum* tile, std::ptrdiff_t tile_row,
                            const TilePlace& place);

enum class FinishAs { int32, float32, int8, uint8, int16, uint16 };

/// For 32-bit sums, in vectors.
FinishTile<std::int32_t> finish_tile(FinishAs as, const Requantization& rules);
/// For 64-bit sums, which need no correction; int32 must fit.
FinishTile<std::int64_t> finish_wide(FinishAs as);

}  // namespace zeropoint
