#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

/// The known word with the fewest edits from `word`: what a refusal suggests.
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& known);

/// "a, b, c".
std::string join_words(const std::vector<std::string_view>& words);

}  // namespace zeropoint
