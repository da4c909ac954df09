#include "weights/name_pattern.hpp"

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {

NamePattern::NamePattern(const std::string& pattern, std::string_view option) {
  const auto refuse = [&](std::string_view why) {
    throw InputError(fmt::format("{}: expected a regular expression, found '{}': {}", option,
                                 printable(pattern), why));
  };
  if (pattern.size() > 1000) refuse("longer than 1000 characters");
  try {
    regex_ = std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    refuse(error.what());
  }
}

bool NamePattern::matches(std::string_view name) const {
  const std::string_view some = name.substr(0, 256);
  try {
    return std::regex_search(some.begin(), some.end(), regex_);
  } catch (const std::regex_error& error) {
    throw InputError(fmt::format("'{}': expected a name that the pattern can be held against, {}",
                                 printable(name), error.what()));
  }
}

}  // namespace zeropoint
