#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "zeropoint/core/rounding.hpp"

namespace zeropoint {

/// Which codes of a format are no ordinary numbers.
enum class FloatSpecials {
  ieee,    ///< exponent all ones: infinities and NaNs (IEEE 754-2019, 3.4)
  fn,      ///< no infinities; NaN is S.1…1.1…1 alone (OCP 8-bit floating point, e4m3)
  fnuz,    ///< no infinities, no −0; the code of −0 is the one NaN; the bias is one more
  finite,  ///< every code is a number (OCP microscaling, e3m2, e2m3, e2m1)
  scale    ///< no sign, no fraction, no 0: 2^(code − bias); all ones is NaN (OCP e8m0)
};

/// A binary floating-point format with sign, exponent and fraction fields, and subnormals where the
/// exponent is stored as 0. At most 32 bits, of which 1 to 10 are the exponent's.
struct FloatFormat {
  std::string_view name;
  std::string_view title;
  int exponent_bits;
  int fraction_bits;
  FloatSpecials specials = FloatSpecials::ieee;

  constexpr int sign_bits() const { return specials == FloatSpecials::scale ? 0 : 1; }
  constexpr int bits() const { return sign_bits() + exponent_bits + fraction_bits; }
  constexpr int bias() const {
    return (1 << (exponent_bits - 1)) - (specials == FloatSpecials::fnuz ? 0 : 1);
  }
  /// The sign's bit; 0 in a format without a sign.
  constexpr std::uint32_t sign_bit() const {
    return sign_bits() == 0 ? 0 : std::uint32_t{1} << (bits() - 1);
  }
  /// The largest that an exponent field can hold: all ones.
  constexpr std::uint32_t max_exponent() const { return (std::uint32_t{1} << exponent_bits) - 1; }
  /// Exponent and fraction all ones.
  constexpr std::uint32_t magnitude_mask() const {
    return (std::uint32_t{1} << (exponent_bits + fraction_bits)) - 1;
  }
  constexpr bool has_infinity() const { return specials == FloatSpecials::ieee; }
  constexpr bool has_nan() const { return specials != FloatSpecials::finite; }
  /// The code of +infinity, for formats that have one.
  constexpr std::uint32_t infinity_code() const { return max_exponent() << fraction_bits; }
  /// The code of the quiet NaN without a sign, for formats that have one.
  constexpr std::uint32_t nan_code() const {
    if (specials == FloatSpecials::ieee) {
      return infinity_code() | std::uint32_t{1} << (fraction_bits - 1);
    }
    return specials == FloatSpecials::fnuz ? sign_bit() : magnitude_mask();
  }
  /// The code of the largest number.
  constexpr std::uint32_t largest_code() const {
    if (specials == FloatSpecials::ieee) return infinity_code() - 1;
    const bool top_is_nan = specials == FloatSpecials::fn || specials == FloatSpecials::scale;
    return magnitude_mask() - (top_is_nan ? 1 : 0);
  }
  double largest() const;
  /// The smallest number above 0.
  double smallest() const;
  /// The power of two of the largest number: MX's emax.
  int largest_power() const;
};

enum class FloatClass { zero, subnormal, normal, infinite, nan };

/// One code taken apart. A finite number is (−1)^negative · significand · 2^power, exactly.
struct FloatFields {
  std::uint32_t code;
  bool negative;
  std::uint32_t exponent;  ///< the exponent field as it is stored
  std::uint32_t fraction;  ///< the fraction field as it is stored
  FloatClass kind;
  int power;  ///< stored exponent − bias; 1 − bias where it is stored as 0 (but in a scale); 0 if
              ///< not finite
  double significand;  ///< 1.fraction, or 0.fraction of a subnormal number or 0; 0 if not finite
  double value;
};

/// Every format with a name of its own. A new one is a row in format_list.cpp.
std::span<const FloatFormat> float_formats();

/// The format of that name: a row of float_formats(), or any other eXmY of 3 to 16 bits, sign
/// included, with ieee, fn, fnuz or finite behind it. Without: the row of that name; else ieee from
/// 5 exponent bits on, finite up to 6 bits in all, otherwise fn. A format has one name: e5m10 is
/// fp16, e2m2finite is e2m2. What is returned lives as long as the program. Throws InputError with
/// the nearest known name.
const FloatFormat& float_format(std::string_view name);

/// Takes a code apart; bits above the format's must be 0. A NaN of an ieee format keeps its
/// payload, moved to the top of the double's fraction; any other is the quiet NaN.
FloatFields decode(const FloatFormat& format, std::uint32_t code);

/// What becomes of numbers that round to more than the largest, and of infinity.
enum class Overflow {
  saturate,  ///< the largest number
  special    ///< infinity; the NaN where there is none; the largest number where there is neither
};

/// The code of `value` rounded once, by any rule but stochastic (which is as half_even here).
/// A number overflows if, rounded as though exponents had no end, it is beyond the largest; a rule
/// that rounds it towards 0 stops at the largest (IEEE 754-2019, 7.4).
/// - −0 keeps its sign where there is a −0, and so does what rounds to 0.
/// - A NaN becomes the quiet NaN with its sign, with as much of its payload as fits if the
///   fraction has 10 bits or more. In a finite format it becomes 0 with the other sign, and
///   saturate changes nothing about NaNs; both as the Python package ml_dtypes has it.
/// - A scale has no even neighbour: ties go up. Below its smallest number it is that number, and
///   between the two smallest half_even rounds up, as ml_dtypes does (half_away to the nearest). A
///   negative number becomes NaN; 0 becomes NaN, or the smallest number with saturate.
/// Agrees with ml_dtypes (half_even; special) and with ONNX's Cast (saturate = 1 and 0).
std::uint32_t encode(const FloatFormat& format, double value, Overflow overflow = Overflow::special,
                     Rounding rounding = Rounding::half_even);

/// As encode, rounded away from 0 with the probability of the part that is dropped, in steps of the
/// format: if that part is above `u`, a random number uniform in [0, 1).
std::uint32_t encode_stochastic(const FloatFormat& format, double value, double u,
                                Overflow overflow = Overflow::special);

}  // namespace zeropoint
