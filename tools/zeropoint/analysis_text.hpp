#pragma once
#include <string>

#include "zeropoint/weights/analyze.hpp"

/// The analysis for a terminal of `width` columns (0: as wide as it takes): tensors, the worst
/// first, schemes, timings.
std::string to_text(const zeropoint::FileAnalysis& analysis, int width);

/// All of it as JSON; what is no number is null.
std::string to_json(const std::vector<zeropoint::FileAnalysis>& analyses);
