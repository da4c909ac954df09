#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace zeropoint::page {

/// The pieces of an embedded file as one.
std::string joined(std::span<const std::string_view> pieces);

/// Fills each {{name}} of the template; what is filled in is not looked at again.
std::string fill(std::string_view text, const std::map<std::string_view, std::string>& values);

}  // namespace zeropoint::page
