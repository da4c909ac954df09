#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/quantize/granularity.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

/// The smallest and the largest number of each tile, without −0; nothing if a number is not finite.
/// As min_max_range() of each, in one pass over the matrix, which is not empty.
std::optional<std::vector<Range>> tile_extremes(const Tiles& tiles, MatrixView<const float> x);

}  // namespace zeropoint
