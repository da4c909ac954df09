#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace zeropoint {

/// A binary floating-point format with sign, exponent and fraction fields, IEEE 754's rules for
/// subnormals, infinities and NaN. At most 32 bits, of which 2 to 10 are the exponent's.
struct FloatFormat {
  std::string_view name;
  std::string_view title;
  int exponent_bits;
  int fraction_bits;

  constexpr int bits() const { return 1 + exponent_bits + fraction_bits; }
  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr std::uint32_t sign_bit() const { return std::uint32_t{1} << (bits() - 1); }
  /// The exponent field of infinities and NaNs: all ones.
  constexpr std::uint32_t max_exponent() const { return (std::uint32_t{1} << exponent_bits) - 1; }
  /// The code of +infinity; the one below it is the largest number's.
  constexpr std::uint32_t infinity_code() const { return max_exponent() << fraction_bits; }
};

enum class FloatClass { zero, subnormal, normal, infinite, nan };

/// One code taken apart. A finite number is (−1)^negative · significand · 2^power, exactly.
struct FloatFields {
  std::uint32_t code;
  bool negative;
  std::uint32_t exponent;  ///< the exponent field as it is stored
  std::uint32_t fraction;  ///< the fraction field as it is stored
  FloatClass kind;
  int power;  ///< stored exponent − bias; 1 − bias where it is stored as 0; 0 if not finite
  double significand;  ///< 1.fraction, or 0.fraction where the exponent is stored as 0; 0 if not
                       ///< finite
  double value;
};

/// Every format there is. A new one is a row in format_list.cpp.
std::span<const FloatFormat> float_formats();

/// The format of that name; throws InputError naming the known ones.
const FloatFormat& float_format(std::string_view name);

/// Takes a code apart; bits above the format's must be 0.
FloatFields decode(const FloatFormat& format, std::uint32_t code);

/// The code nearest to `value`, ties to even, rounded once. From half a step above the largest
/// number on it is infinity's (IEEE 754-2019, 4.3.1). A NaN stays one, made quiet, with its sign
/// and as much of its payload as fits; −0 keeps its sign, and so does what rounds to 0.
std::uint32_t encode(const FloatFormat& format, double value);

}  // namespace zeropoint
