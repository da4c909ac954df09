#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace zeropoint {

/// The integers that a code may be: 1 to 16 bits, signed or unsigned, full ([-128, 127]) or
/// narrow ([-127, 127], [0, 254]: one code fewer, at the end that symmetry removes). int1 is
/// {-1, 0}, uint1 {0, 1}.
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

/// Throws InputError unless 1 ≤ bits ≤ 16, or if a narrow grid would have a single code.
void check(const IntegerGrid& grid);

/// "int8", "uint4", "int8-narrow".
std::string name(const IntegerGrid& grid);

/// The grid of that name, such as name() gives. Throws InputError.
IntegerGrid parse_integer_grid(std::string_view name);

}  // namespace zeropoint
