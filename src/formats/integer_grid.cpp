#include "zeropoint/formats/integer_grid.hpp"

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {

void check(const IntegerGrid& grid) {
  if (grid.bits < 1 || grid.bits > 16 || grid.levels() < 2) {
    throw InputError(
        fmt::format("expected an integer grid of 1 to 16 bits and two codes at least, "
                    "found {}",
                    name(grid)));
  }
}

std::string name(const IntegerGrid& grid) {
  return fmt::format("{}int{}{}", grid.is_signed ? "" : "u", grid.bits,
                     grid.narrow ? "-narrow" : "");
}

bool is_integer_grid(std::string_view name) {
  return name.starts_with("int") || name.starts_with("uint");
}

IntegerGrid parse_integer_grid(std::string_view text) {
  IntegerGrid grid;
  for (grid.bits = 1; grid.bits <= 16; ++grid.bits) {
    for (const bool is_signed : {true, false}) {
      for (const bool narrow : {false, true}) {
        grid.is_signed = is_signed;
        grid.narrow = narrow;
        if (grid.levels() >= 2 && name(grid) == text) return grid;
      }
    }
  }
  throw InputError(fmt::format(
      "format: expected int1 to int16 or uint1 to uint16, perhaps with -narrow; found '{}'", text));
}

}  // namespace zeropoint
