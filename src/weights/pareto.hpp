#pragma once
#include "zeropoint/weights/analyze.hpp"

namespace zeropoint {

/// Fills totals and front from weights and schemes.
void find_front(FileAnalysis& analysis);

}  // namespace zeropoint
