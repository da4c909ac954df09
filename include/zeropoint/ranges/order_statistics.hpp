#pragma once
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace zeropoint {

/// The elements that would stand at `ranks` (0-based) if `values` were sorted: exact, and without a
/// copy of them. For up to 8 neighbourhoods of ranks, a sample brackets each, one pass counts what
/// lies before and keeps what lies inside, at most 4 Mi values (32 MiB while they are gathered).
/// For more, or where the sample misled, counting passes: two for up to 32 neighbourhoods (the
/// values that share the upper 16 bits), one more for each 32 further; at most 8 MiB of counters a
/// thread and 16 MiB for their sum. Up to 4096 values are copied. −0 sorts before +0.
/// Throws InputError if a value is NaN or infinite, naming `what` and the first such index.
std::vector<float> order_statistics(std::span<const float> values,
                                    std::span<const std::size_t> ranks,
                                    std::string_view what = "tensor");

/// Quantiles by linear interpolation between order statistics: probability p stands at rank
/// p·(N − 1). Each p in [0, 1]; `values` not empty.
std::vector<float> quantiles(std::span<const float> values, std::span<const double> probabilities,
                             std::string_view what = "tensor");

}  // namespace zeropoint
