#pragma once
#include <bit>
#include <cstddef>

#include "zeropoint/gemm/accumulator.hpp"

namespace zeropoint {

/// Columns of B that are summed at once.
inline constexpr std::size_t kPanelCols = 64;

/// Doubles of scratch memory that one row takes: the sums of a block, or the subtrees of `pairwise`
/// that wait for their other half.
inline std::size_t row_scratch(std::size_t k) {
  return (static_cast<std::size_t>(std::bit_width(k)) + 1) * kPanelCols;
}

/// sums[j] = Σ_l a[l]·panel[l·kPanelCols + j] as the accumulator makes it, for all columns of a
/// panel; saturating integers and floating point alone. Everything is in doubles: products must be
/// exact in them.
void accumulate_row(const Accumulator& accumulator, const double* a, const double* panel,
                    std::size_t k, double* scratch, double* sums);

}  // namespace zeropoint
