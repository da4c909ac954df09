#pragma once
#include <regex>
#include <string>
#include <string_view>

namespace zeropoint {

/// A regular expression (ECMAScript's) that names of tensors are held against.
class NamePattern {
 public:
  /// `option` says whose it is. Throws InputError if it is none.
  NamePattern(const std::string& pattern, std::string_view option);
  /// Whether it occurs in the name; of a name beyond 256 characters, in its first 256: the standard
  /// library's matching takes stack for each.
  bool matches(std::string_view name) const;

 private:
  std::regex regex_;
};

}  // namespace zeropoint
