#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace {
[[noreturn]] void fail(const std::string& expected, const std::string& found) {
  std::fprintf(stderr, "expected '%s', found '%s'\n", expected.c_str(), found.c_str());
  std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    // What is read is spelled in full, and that is read as the same.
    const std::string spelled = zeropoint::to_string(zeropoint::parse_scheme(text));
    const std::string again = zeropoint::to_string(zeropoint::parse_scheme(spelled));
    if (again != spelled) fail(spelled, again);
  } catch (const zeropoint::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) fail(error.what(), "");
  }
  return 0;
}
