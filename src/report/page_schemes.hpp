#pragma once
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"

namespace zeropoint::page {

/// True of a study of schemes, whose rows have errors and bits but no coverage, range or output.
bool has_schemes(const std::vector<StudyRow>& rows);

/// For each distribution and size, every scheme's signal to noise against its bits, as SVG.
/// Numbers figures from `number` on, and counts it up.
std::string scheme_figures(const std::vector<StudyRow>& rows, int& number);

/// All rows, as HTML.
std::string scheme_tables(const std::vector<StudyRow>& rows);

}  // namespace zeropoint::page
