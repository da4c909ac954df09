#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/study/row.hpp"

namespace zeropoint::page {

/// A numbered figure that needs no script. `title` is text, `drawing` HTML.
std::string figure(int number, std::string_view title, const std::string& drawing);

/// "normal, size 1000".
std::string data_and_size(const StudyRow& row);
std::string size_of(const StudyRow& row);

/// What a row is called beside others of its data and size: its schemes, or its coverage and what
/// else it was told; with its accumulator, if it has one.
std::string row_name(const StudyRow& row);

/// Whether a row's error is in the interval of its prediction: "yes", "no", or nothing.
std::string inside_word(const StudyRow& row);
/// How many rows are not, in a sentence; empty if none has an interval.
std::string intervals_caption(const std::vector<StudyRow>& rows);

}  // namespace zeropoint::page
