#include "zeropoint/formats/integer_grid.hpp"

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {

void check(const IntegerGrid& grid) {
  if (grid.bits < 2 || grid.bits > 16) {
    throw InputError(fmt::format("expected an integer grid of 2 to 16 bits, found {}", grid.bits));
  }
}

std::string name(const IntegerGrid& grid) {
  return fmt::format("{}int{}{}", grid.is_signed ? "" : "u", grid.bits,
                     grid.narrow ? "-narrow" : "");
}

}  // namespace zeropoint
