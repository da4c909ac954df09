#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace zeropoint {

/// The integers that a code may be: 1 to 16 bits, signed or unsigned, full ([-128, 127]) or
/// narrow ([-127, 127], [0, 254]: one code fewer, at the end that symmetry removes).
struct IntegerGrid {
  int bits = 8;
  bool is_signed = true;
  bool narrow = false;

  std::int32_t lo() const { return is_signed ? -(1 << (bits - 1)) + (narrow ? 1 : 0) : 0; }
  std::int32_t hi() const {
    return is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1 - (narrow ? 1 : 0);
  }
  /// Codes from lo to hi.
  std::int32_t levels() const { return hi() - lo() + 1; }
  bool operator==(const IntegerGrid&) const = default;
};

/// Throws InputError unless 1 ≤ bits ≤ 16 and the grid has two codes at least.
void check(const IntegerGrid& grid);

/// "int8", "uint4", "int8-narrow".
std::string name(const IntegerGrid& grid);

/// Reads such a name. Throws InputError naming what there is.
IntegerGrid parse_integer_grid(std::string_view name);

/// True if the name begins as those of integer grids do.
bool is_integer_grid(std::string_view name);

}  // namespace zeropoint
