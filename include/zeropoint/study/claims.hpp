#pragma once
#include <span>
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"

namespace zeropoint {

enum class Verdict { holds, in_part, does_not_hold, not_tested };

/// "holds", "holds in part", "does not hold", "not tested".
const char* to_string(Verdict verdict);

/// A row that supports or contradicts a claim, and why in a few words.
struct Witness {
  std::size_t row;  ///< index into the rows judged
  bool supports;
  std::string why;
};

/// One claim of the report, answered from the rows.
struct ClaimVerdict {
  int number;         ///< 1 to 7, as in docs/report.md
  std::string claim;  ///< what the report says, in our words
  std::string test;   ///< the rule that the verdict follows, with its thresholds
  Verdict verdict = Verdict::not_tested;
  std::string evidence = {};  ///< what the rows show, with their numbers
  std::vector<Witness> witnesses = {};
};

/// Judges all seven claims. A claim that the rows cannot decide is not_tested, and says what
/// would test it.
std::vector<ClaimVerdict> judge_claims(std::span<const StudyRow> rows);

}  // namespace zeropoint
