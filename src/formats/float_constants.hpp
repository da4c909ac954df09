#pragma once
#include <cmath>
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
  return c;
}

/// The same for codes to floats; formats with IEEE 754's specials.
struct DecodeConstants {
  int shift = 0, sign_shift = 0;
  std::uint32_t magnitude_mask = 0;
  std::uint32_t special_from = 0;  ///< the code of infinity
  float rebias = 1;                ///< a power of two
  float scale = 1;
};

inline DecodeConstants decode_constants(const FloatFormat& format, float scale) {
  DecodeConstants c;
  c.shift = 23 - format.fraction_bits;
  c.sign_shift = 32 - format.bits();
  c.magnitude_mask = format.sign_bit() - 1;
  c.special_from = format.infinity_code();
  c.rebias = static_cast<float>(std::ldexp(1.0, 127 - format.bias()));
  c.scale = scale;
  return c;
}

}  // namespace zeropoint
