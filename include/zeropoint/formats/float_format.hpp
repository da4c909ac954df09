#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "zeropoint/core/rounding.hpp"

namespace zeropoint {

/// Which codes of a floating-point format are no finite numbers.
enum class FloatSpecials {
  ieee,    ///< an exponent of all ones: infinities, and NaNs
  fn,      ///< no infinities; all ones but the sign is NaN (OCP E4M3)
  fnuz,    ///< no infinities and no −0, whose code is the one NaN; the bias is one more
  finite,  ///< none (OCP E3M2, E2M3, E2M1)
  scale    ///< no sign, no fraction, no 0: a code is 2^(code − bias), all ones is NaN (OCP E8M0)
};

/// A binary floating-point format with sign, exponent and fraction fields, and subnormals. At most
/// 32 bits, of which 1 to 10 are the exponent's.
struct FloatFormat {
  std::string_view name;
  std::string_view title;
  int exponent_bits;
  int fraction_bits;
  FloatSpecials specials = FloatSpecials::ieee;

  constexpr bool has_sign() const { return specials != FloatSpecials::scale; }
  constexpr int bits() const { return (has_sign() ? 1 : 0) + exponent_bits + fraction_bits; }
  constexpr int bias() const {
    return (1 << (exponent_bits - 1)) - 1 + (specials == FloatSpecials::fnuz ? 1 : 0);
  }
  /// 0 if there is none.
  constexpr std::uint32_t sign_bit() const {
    return has_sign() ? std::uint32_t{1} << (bits() - 1) : 0;
  }
  /// The exponent field of all ones.
  constexpr std::uint32_t max_exponent() const { return (std::uint32_t{1} << exponent_bits) - 1; }
  /// The code of the largest number.
  constexpr std::uint32_t largest_code() const {
    const std::uint32_t all_ones = (std::uint32_t{1} << (exponent_bits + fraction_bits)) - 1;
    switch (specials) {
      case FloatSpecials::ieee:
        return (max_exponent() << fraction_bits) - 1;
      case FloatSpecials::fn:
      case FloatSpecials::scale:
        return all_ones - 1;
      case FloatSpecials::fnuz:
      case FloatSpecials::finite:
        break;
    }
    return all_ones;
  }
  constexpr bool has_infinity() const { return specials == FloatSpecials::ieee; }
  constexpr bool has_nan() const { return specials != FloatSpecials::finite; }
  /// The code of +infinity, where there is one: it follows that of the largest number.
  constexpr std::uint32_t infinity_code() const { return max_exponent() << fraction_bits; }
  /// A NaN's code, without sign; only where there is one.
  constexpr std::uint32_t nan_code() const {
    if (specials == FloatSpecials::fnuz) return sign_bit();
    if (specials == FloatSpecials::ieee) {
      return infinity_code() | std::uint32_t{1} << (fraction_bits - 1);
    }
    return (std::uint32_t{1} << (exponent_bits + fraction_bits)) - 1;
  }
  /// True if NaNs keep what they carry, as hardware does it; smaller formats have one NaN a sign.
  constexpr bool has_payload() const { return specials == FloatSpecials::ieee && bits() > 8; }
  bool operator==(const FloatFormat& other) const { return name == other.name; }
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

/// What becomes of a number beyond the largest: the largest, or what the format has for such,
/// infinity, else NaN, else the largest after all.
enum class Overflow { saturate, special };

/// The listed formats. A new one is a row in format_list.cpp.
std::span<const FloatFormat> float_formats();

/// The format of that name: a listed one, or any other "eXmY", 1 to 8 bits of exponent and up to 10
/// of fraction, at most 16 in all, with a suffix for its rule: ieee, fn, fnuz or finite. Without
/// one, ieee from 5 bits of exponent on, else finite up to 6 bits in all, else fn. Throws
/// InputError naming the known ones. What it refers to lives as long as the program.
const FloatFormat& float_format(std::string_view name);

/// The largest finite number.
double largest(const FloatFormat& format);

/// Takes a code apart; bits above the format's must be 0. The NaN of fnuz, which stands where −0
/// would, is a negative one, as ml_dtypes has it.
FloatFields decode(const FloatFormat& format, std::uint32_t code);

/// The code of `value`, rounded once, to nearest with ties to even unless `rounding` says
/// otherwise. Beyond the largest number: from half a step above it on (by another rounding: where
/// that leads), what `overflow` says. Infinity: itself, else NaN, else the largest; with saturate
/// always the largest. NaN stays one, made quiet, with its sign and as much of its payload as fits
/// (8 bits and less: the one there is); in a format without NaN it becomes −0, as ml_dtypes 0.5 has
/// it. −0 keeps its sign, and so does what rounds to 0, but for fnuz, whose 0 has none. A format of
/// scales rounds to the nearest power of two, upwards from 1.5 on, and to the second smallest
/// whatever is above the smallest (both as ml_dtypes has it); what is negative becomes NaN, and so
/// does 0 with Overflow::special, while saturate makes it the smallest scale. Rounding::stochastic
/// is as half_even here.
std::uint32_t encode(const FloatFormat& format, double value, Overflow overflow = Overflow::special,
                     Rounding rounding = Rounding::half_even);

/// Rounding::stochastic for one number: up in magnitude if what is dropped, as a part of the step,
/// exceeds `u`, a number in [0, 1).
std::uint32_t encode_stochastic(const FloatFormat& format, double value, double u,
                                Overflow overflow = Overflow::special);

/// How a span of numbers is encoded: scaled, in float32, then as encode() does.
struct FloatEncoding {
  Overflow overflow = Overflow::special;
  Rounding rounding = Rounding::half_even;
  float scale = 1;          ///< x / scale is encoded
  bool multiplies = false;  ///< x times float32(1/scale) in its place
  std::uint64_t seed = 0;   ///< of stochastic rounding: element i takes number `first` + i
  std::uint64_t first = 0;
};

/// codes[i] = encode(format, x[i] ⊘ scale, …). A code type is uint8_t, uint16_t or uint32_t and
/// must hold the format's codes; spans of equal length. Returns how many finite numbers lay beyond
/// the format's largest. Bit-identical on every instruction set and thread count.
template <class Code>
std::size_t encode(const FloatFormat& format, std::span<const float> x, std::span<Code> codes,
                   const FloatEncoding& how = {});

/// x[i] = scale · the number of codes[i], in float32.
template <class Code>
void decode(const FloatFormat& format, std::span<const Code> codes, std::span<float> x,
            float scale = 1);

}  // namespace zeropoint
