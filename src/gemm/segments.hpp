#pragma once
#include "gemm/narrow.hpp"

namespace zeropoint {

/// Whether a product is faster in segments of k: few rows, long rows of B, B not packed.
bool is_in_segments(const NarrowProduct& product);

/// The product that way; the same result.
void multiply_in_segments(const NarrowProduct& product);

/// Whether it is a single row times rows of B that can be read as they lie: B is read once, and not
/// packed.
bool is_row_product(const NarrowProduct& product);
void multiply_row(const NarrowProduct& product);

}  // namespace zeropoint
