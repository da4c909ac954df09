#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

/// The known word with the fewest edits from `word`: what a refusal suggests.
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& known);

/// "a, b, c".
std::string join_words(const std::vector<std::string_view>& words);

/// Text from a file or a command line, made fit to stand in one line of an error: what is not ASCII
/// as \xNN, at most 60 characters of it.
std::string printable(std::string_view text);

/// Text of at most `width` characters (8 or more), the middle of a longer one left out.
std::string shortened(std::string_view text, std::size_t width);

}  // namespace zeropoint
