#pragma once
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"
#include "zeropoint/study/study.hpp"

namespace zeropoint::page {

/// A row's place in the study in a few words: "normal, 1000, coverage 0.99".
std::string describe(const StudyRow& row);

/// The tables of the page as HTML: every row, the means if there are several seeds, and the
/// published figures if there are any.
std::string tables(const std::vector<StudyRow>& rows);

/// Every setting, with each convention written out, as HTML.
std::string settings(const StudySpec& spec, const std::vector<StudyRow>& rows);

}  // namespace zeropoint::page
