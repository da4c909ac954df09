#pragma once
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"

namespace zeropoint::page {

/// True if the rows' sums were held in accumulators that the run was asked about.
bool has_accumulators(const std::vector<StudyRow>& rows);

/// For each distribution, size, number of bits and convention, the error against the coverage, a
/// line for each accumulator, as SVG. Not for rows of schemes, whose own figures tell them apart.
/// Numbers figures from `number` on, and counts it up.
std::string accumulator_figures(const std::vector<StudyRow>& rows, int& number);

}  // namespace zeropoint::page
