#pragma once
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"

namespace zeropoint::page {

/// For each distribution and size whose rows have ledgers: what the product's squared error is made
/// of, and what its operands' are, as stacked bars. Numbers figures from `number` on, and counts it
/// up. Empty if no row has one.
std::string ledger_figures(const std::vector<StudyRow>& rows, int& number);

}  // namespace zeropoint::page
