#pragma once
#include <vector>

#include "zeropoint/bench/bench.hpp"

namespace zeropoint {

/// Quantizing to each of formats() and back, then by schemes whose parameters are found on the way:
/// 10⁷ numbers (2¹⁷ if quick), fewer of those that are slow. Each is checked against the scalar
/// definition first and timed in turn with a copy.
void measure_formats(int threads, double seconds, bool quick, std::vector<BenchFormat>& rows);

}  // namespace zeropoint
