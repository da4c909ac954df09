#pragma once
#include "zeropoint/weights/analyze.hpp"

namespace zeropoint {

/// Times products of the analysis's matrix shapes, the largest first, within about so many seconds.
void time_shapes(FileAnalysis& analysis, double seconds);

}  // namespace zeropoint
