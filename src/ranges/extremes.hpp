#pragma once
#include <span>

#include "ranges/scan.hpp"

namespace zeropoint {

/// The same as extremes_scan(), by several threads; not empty, and without −0.
Extremes find_extremes(std::span<const float> values);

}  // namespace zeropoint
