#pragma once
#include <string>
#include <vector>

#include "zeropoint/weights/analyze.hpp"

namespace zeropoint {

/// One self-contained HTML page of analyses: what each scheme costs in all, a table of tensors that
/// sorts and filters, the numbers and the ledger of any of them, times. Opens without a network.
std::string analysis_page(const std::vector<FileAnalysis>& analyses);

}  // namespace zeropoint
