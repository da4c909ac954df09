#pragma once
#include "gemm/narrow.hpp"

namespace zeropoint {

/// Whether a product is faster in segments of k: few rows, long rows of B, B not packed.
bool is_in_segments(const NarrowProduct& product);

/// The product that way; the same result.
void multiply_in_segments(const NarrowProduct& product);

}  // namespace zeropoint
