#pragma once
#include <cstddef>
#include <string_view>

namespace zeropoint::model {

/// Throws WorkError if `count` elements of `width` bytes are more than there is memory for.
void check_memory(std::size_t count, std::size_t width, std::string_view what);

}  // namespace zeropoint::model
