#pragma once
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {

/// encode(), which also says whether a finite number lay beyond the largest, where `is_beyond` is
/// given. (What rounds down to the largest does not.)
std::uint32_t encode_noting(const FloatFormat& format, double value, Overflow overflow,
                            Rounding rounding, bool* is_beyond);

/// What vector code needs to know to make codes of a format, for its bit arithmetic on floats.
struct EncodeConstants {
  int drop = 0;                       ///< fraction bits that go
  std::uint32_t half_less_one = 0;    ///< of what goes
  std::uint32_t rebias = 0;           ///< taken from a rounded code, modulo 2^32
  std::uint32_t smallest_normal = 0;  ///< its float32 bits
  float magic = 0;                    ///< a power of two whose step is the smallest number
  std::uint32_t largest = 0, over = 0, nan = 0;
  std::uint32_t payload_mask = 0;  ///< of a NaN
  int sign_shift = 0;
  std::uint32_t over_unsigned = 0, zero_unsigned = 0;  ///< nonzero: no sign there
  std::uint32_t nan_sign_flip = 0, nan_sign_mask = 0;
  float factor = 1;
  bool multiplies = false;
  // Of numbers that are finite where none is infinite afterwards: without special cases.
  bool is_plain = false;
  bool has_all_exponents = false;    ///< float32's, so that none is subnormal by itself
  std::uint32_t over_limit = 0;      ///< the largest magnitude that is not `over`
  std::uint32_t zero_limit = 0;      ///< the largest magnitude that becomes 0
  std::uint32_t least_exponent = 0;  ///< that of the smallest normal number
  std::uint32_t step = 0;            ///< added to a number's exponent: see EncodePlain
  std::uint32_t sign_bit = 0;
  std::size_t ahead = 0;  ///< numbers that lie behind these and will be asked for next
};

inline EncodeConstants encode_constants(const FloatFormat& format, const FloatEncoding& how) {
  const int f = format.fraction_bits;
  EncodeConstants c;
  c.drop = 23 - f;
  c.half_less_one = (std::uint32_t{1} << (c.drop - 1)) - 1;
  c.rebias = static_cast<std::uint32_t>(127 - format.bias()) << f;
  // With float32's own bias, subnormals are rounded as all others are.
  c.smallest_normal =
      format.bias() == 127 ? 0 : static_cast<std::uint32_t>(128 - format.bias()) << 23;
  c.magic = static_cast<float>(std::ldexp(1.0, 24 - format.bias() - f));
  c.largest = format.largest_code();
  const bool is_fnuz = format.specials == FloatSpecials::fnuz;
  const bool saturates = how.overflow == Overflow::saturate || !format.has_nan();
  c.over = saturates               ? c.largest
           : format.has_infinity() ? format.infinity_code()
                                   : format.nan_code();
  c.over_unsigned = is_fnuz && !saturates ? 1 : 0;
  c.zero_unsigned = is_fnuz ? 1 : 0;
  c.nan = format.has_nan() ? format.nan_code() : 0;
  c.payload_mask = format.has_payload() ? (std::uint32_t{1} << f) - 1 : 0;
  c.sign_shift = 32 - format.bits();
  c.nan_sign_flip = format.has_nan() ? 0 : format.sign_bit();
  c.nan_sign_mask = is_fnuz ? 0 : format.sign_bit();
  c.multiplies = how.multiplies;
  c.factor = how.multiplies ? 1 / how.scale : how.scale;
  c.is_plain = c.over_unsigned == 0;
  c.has_all_exponents = format.bias() == 127;
  c.sign_bit = format.sign_bit();
  // Ties go to the even code.
  c.over_limit = ((c.largest + c.rebias) << c.drop) + c.half_less_one +
                 (static_cast<std::uint32_t>(c.largest) % 2 == 0 ? 1 : 0);
  c.least_exponent = c.smallest_normal;
  // Half of the smallest number, which itself becomes 0.
  const auto half = static_cast<float>(std::ldexp(1.0, -format.bias() - f));
  c.zero_limit = std::bit_cast<std::uint32_t>(half);
  const std::uint32_t offset = (c.smallest_normal >> 23) << f;
  c.step = (static_cast<std::uint32_t>(c.drop) << 23) + (-offset & 0xFFFF);
  return c;
}

/// The same for codes to floats.
struct DecodeConstants {
  int shift = 0, sign_shift = 0;
  std::uint32_t magnitude_mask = 0;
  std::uint32_t special_from = 0;     ///< the lowest code of what is no finite number
  std::uint32_t lone_nan = 0;         ///< a NaN where 0 would have a sign; no code if there is none
  std::uint32_t smallest_normal = 0;  ///< its code; 0 with float32's own bias
  float smallest = 0;                 ///< the number of code 1
  std::uint32_t rebias = 0;           ///< added to a normal number's bits
  float scale = 1;
};

inline DecodeConstants decode_constants(const FloatFormat& format, float scale) {
  DecodeConstants c;
  const int f = format.fraction_bits;
  c.shift = 23 - f;
  c.sign_shift = 32 - format.bits();
  c.magnitude_mask = format.sign_bit() - 1;
  const bool is_fnuz = format.specials == FloatSpecials::fnuz;
  c.special_from =
      format.specials == FloatSpecials::finite || is_fnuz ? 0x7FFFFFFF : format.largest_code() + 1;
  c.lone_nan = is_fnuz ? format.nan_code() : 0xFFFFFFFF;
  c.smallest_normal = format.bias() == 127 ? 0 : std::uint32_t{1} << f;
  // With float32's own bias it counts for nothing, and products with a subnormal number take long.
  c.smallest =
      format.bias() == 127 ? 1 : static_cast<float>(std::ldexp(1.0, 1 - format.bias() - f));
  c.rebias = static_cast<std::uint32_t>(127 - format.bias()) << 23;
  c.scale = scale;
  return c;
}

}  // namespace zeropoint
