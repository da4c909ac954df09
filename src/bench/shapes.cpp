#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "zeropoint/bench/bench.hpp"
#include "zeropoint/core/error.hpp"

#include "bench/embedded.hpp"

namespace zeropoint {
namespace {

// The limit keeps 2·m·n·k and every count of bytes within 64 bits.
constexpr std::size_t kMostSize = 1'000'000;

[[noreturn]] void refuse(std::string_view name, std::size_t line, std::string_view found) {
  throw InputError(
      fmt::format("{}:{}: expected three whole numbers from 1 to {}, m k n or mxkxn, found '{}'",
                  name, line, kMostSize, found));
}

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The next number, and what stands between it and the one before: spaces, or one x.
bool read_size(std::string_view& rest, bool first, bool with_x, std::size_t& size) {
  if (!first) {
    if (with_x) {
      if (!rest.starts_with('x')) return false;
      rest.remove_prefix(1);
    } else {
      if (rest.empty() || !is_space(rest.front())) return false;
      rest = trimmed(rest);
    }
  }
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
  if (error != std::errc{} || size == 0 || size > kMostSize) return false;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return true;
}

std::string joined(std::span<const std::string_view> pieces) {
  std::string text;
  for (const auto piece : pieces) text += piece;
  return text;
}

}  // namespace

std::string to_string(const BenchShape& shape) {
  return fmt::format("{}x{}x{}", shape.m, shape.k, shape.n);
}

std::vector<BenchShape> read_shapes(std::string_view text, std::string_view name) {
  std::vector<BenchShape> shapes;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto words = trimmed(whole.substr(0, whole.find('#')));
    if (words.empty()) continue;
    std::string_view rest = words;
    const bool with_x = words.find('x') != words.npos;
    BenchShape shape;
    const bool read = read_size(rest, true, with_x, shape.m) &&
                      read_size(rest, false, with_x, shape.k) &&
                      read_size(rest, false, with_x, shape.n) && rest.empty();
    if (!read) refuse(name, line, words);
    // A shape that stands in two lists is timed once.
    if (std::ranges::find(shapes, shape) == shapes.end()) shapes.push_back(shape);
  }
  if (shapes.empty()) {
    throw InputError(fmt::format("{}: expected a shape a line, m k n or mxkxn, found none", name));
  }
  return shapes;
}

std::vector<BenchShape> default_shapes(bool quick) {
  if (quick) return read_shapes(joined(embedded::shapes_quick()), "quick.txt");
  return read_shapes(joined(embedded::shapes_squares()) + joined(embedded::shapes_layers()) +
                         joined(embedded::shapes_awkward()),
                     "bench/shapes");
}

}  // namespace zeropoint
