#pragma once
#include <vector>

#include "zeropoint/bench/bench.hpp"

namespace zeropoint {

/// Quantizing, dequantizing and ranges of 10⁷ numbers (10⁶ if quick), each checked against its
/// plain definition first and timed in turn with what bounds it.
void measure_elementwise(int threads, double seconds, bool quick,
                         std::vector<BenchElementwise>& rows);

}  // namespace zeropoint
