#include "model/text.hpp"

#include <fmt/format.h>

namespace zeropoint::model {

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string result;
  for (const char c : text.substr(0, kLongest)) {
    if (c >= ' ' && c <= '~') {
      result += c;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text.size() > kLongest ? result + "…" : result;
}

}  // namespace zeropoint::model
