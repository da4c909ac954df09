#include "zeropoint/formats/integer_grid.hpp"

#include <charconv>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {

void check(const IntegerGrid& grid) {
  if (grid.bits < 1 || grid.bits > 16) {
    throw InputError(fmt::format("expected an integer grid of 1 to 16 bits, found {}", grid.bits));
  }
  if (grid.levels() < 2) {
    throw InputError(fmt::format("expected an integer grid of 2 codes or more, found {} with {}",
                                 name(grid), grid.levels()));
  }
}

std::string name(const IntegerGrid& grid) {
  return fmt::format("{}int{}{}", grid.is_signed ? "" : "u", grid.bits,
                     grid.narrow ? "-narrow" : "");
}

IntegerGrid parse_integer_grid(std::string_view name) {
  IntegerGrid grid;
  std::string_view rest = name;
  if (rest.starts_with('u')) {
    grid.is_signed = false;
    rest.remove_prefix(1);
  }
  if (rest.starts_with("int")) {
    rest.remove_prefix(3);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), grid.bits);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    grid.narrow = rest == "-narrow";
    // What it would be called tells signs, leading zeros and whatever stands behind the bits.
    if (error == std::errc{} && zeropoint::name(grid) == name) {
      check(grid);
      return grid;
    }
  }
  throw InputError(fmt::format(
      "integer grid: expected int1 to int16 or uint1 to uint16, perhaps with -narrow; found '{}'",
      name));
}

}  // namespace zeropoint
