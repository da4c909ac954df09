#pragma once
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"

namespace zeropoint::page {

/// For each distribution and size of rows of schemes: what each scheme keeps of an operand, beside
/// the limits of any quantizer of that many bits, and its distance from the bound. Only of
/// distributions whose entries are independent. Numbers figures from `number` on, and counts it up.
std::string limit_figures(const std::vector<StudyRow>& rows, int& number);

/// Of rows whose schemes differ in the coverage of integers: the error against it, and the best one
/// against the number of bits, measured and computed. Empty if there are no such rows.
std::string coverage_figures(const std::vector<StudyRow>& rows, int& number);

}  // namespace zeropoint::page
