#pragma once
#include <string>

#include "zeropoint/bench/bench.hpp"

namespace zeropoint {

/// The machine, a table of products, one of elementwise work, targets met and missed; at most 100
/// columns wide.
std::string to_table(const BenchResult& result);

std::string to_json(const BenchResult& result);

/// docs/performance.md: the same, with how it was measured and where it loses.
std::string to_markdown(const BenchResult& result);

}  // namespace zeropoint
