#pragma once
#include <cstddef>

namespace zeropoint {

/// Grids whose errors are summed together, value after value.
constexpr std::size_t kGridsAtOnce = 16;
struct GridBatch {
  alignas(64) double inverse[kGridsAtOnce];  ///< 1 / step
  alignas(64) double step[kGridsAtOnce];
  alignas(64) double first[kGridsAtOnce];  ///< codes, with their zero point taken off
  alignas(64) double last[kGridsAtOnce];
  double shift = 0;  ///< taken off what is rounded to nearest: 1/2 to round down
};

/// Of the first `used` grids, if not more: errors[g] = Σ counts[i]·(values[i] − nearest of grid
/// g)², in the order of the values: the same on every instruction set.
void sum_grid_errors(const double* values, const double* counts, std::size_t count,
                     const GridBatch& grids, std::size_t used, double* errors);

}  // namespace zeropoint
