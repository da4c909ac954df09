#pragma once
#include <string>
#include <string_view>

namespace zeropoint::model {

/// Text from a file, made fit to stand in one line of an error.
std::string printable(std::string_view text);

}  // namespace zeropoint::model
