#pragma once
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace zeropoint {

/// The elements that would stand at `ranks` (0-based) if `values` were sorted: exact, by two
/// counting passes over the data however many ranks are asked for, with 512 KiB of counters a
/// distinct neighbourhood of ranks and no copy of the data. −0 sorts before +0.
/// Throws InputError if a value is NaN or infinite, naming `what` and the first such index.
std::vector<float> order_statistics(std::span<const float> values,
                                    std::span<const std::size_t> ranks,
                                    std::string_view what = "tensor");

/// Quantiles by linear interpolation between order statistics: probability p stands at rank
/// p·(N − 1). Each p in [0, 1]; `values` not empty.
std::vector<float> quantiles(std::span<const float> values, std::span<const double> probabilities,
                             std::string_view what = "tensor");

}  // namespace zeropoint
