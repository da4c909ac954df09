#pragma once
#include "zeropoint/ranges/exact_moments.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

/// [mean − k·σ, mean + k·σ], kept within float32's range; of at least one value.
Range sigma_range(const ExactMoments& moments, double k);

}  // namespace zeropoint
