#include "zeropoint/formats/float_format.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

namespace zeropoint {
namespace {

static_assert(std::numeric_limits<double>::is_iec559, "values pass through IEEE 754 doubles");
constexpr int kDoubleFractionBits = 52;
constexpr std::uint64_t kDoubleHiddenBit = std::uint64_t{1} << kDoubleFractionBits;
constexpr std::uint64_t kDoubleSignBit = std::uint64_t{1} << 63;
constexpr std::uint64_t kDoubleInfinity = std::uint64_t{0x7ff} << kDoubleFractionBits;

// What rounding a magnitude drops, against the step between what can be kept.
struct Dropped {
  bool negative;
  bool odd;          // what is kept, rounded towards 0
  bool any;          // whether anything is dropped
  int against_half;  // −1 below half a step, 0 a tie, 1 above
  double part;       // of a step
};

// Whether the magnitude is rounded away from 0.
bool away_by(Rounding rule, const Dropped& dropped) {
  switch (rule) {
    case Rounding::half_even:
    case Rounding::stochastic:
      return dropped.against_half > 0 || (dropped.against_half == 0 && dropped.odd);
    case Rounding::half_away:
      return dropped.against_half >= 0;
    case Rounding::floor:
      return dropped.any && dropped.negative;
    case Rounding::ceil:
      return dropped.any && !dropped.negative;
    case Rounding::truncate:
      return false;
  }
  return false;
}

// Whether `rule` takes a number beyond the largest back to it.
bool stops_at_largest(Rounding rule, bool negative) {
  return rule == Rounding::truncate || (rule == Rounding::floor && !negative) ||
         (rule == Rounding::ceil && negative);
}

std::uint32_t encode_nan(const FloatFormat& format, std::uint64_t bits) {
  const std::uint32_t sign = (bits & kDoubleSignBit) != 0 ? format.sign_bit() : 0;
  if (!format.has_nan()) return sign ^ format.sign_bit();
  if (format.specials != FloatSpecials::ieee || format.fraction_bits < 10) {
    return sign | format.nan_code();
  }
  const std::uint64_t payload = bits & (kDoubleHiddenBit - 1);
  return sign | format.nan_code() |
         static_cast<std::uint32_t>(payload >> (kDoubleFractionBits - format.fraction_bits));
}

std::uint32_t encode_overflow(const FloatFormat& format, std::uint32_t sign, Overflow overflow) {
  if (overflow == Overflow::saturate || !format.has_nan()) return sign | format.largest_code();
  return sign | (format.has_infinity() ? format.infinity_code() : format.nan_code());
}

// A sign, or the code 0 where there is no −0.
std::uint32_t encode_zero(const FloatFormat& format, std::uint32_t sign, Overflow overflow) {
  if (format.specials == FloatSpecials::scale) {
    return overflow == Overflow::saturate ? 0 : format.nan_code();
  }
  return format.specials == FloatSpecials::fnuz ? 0 : sign;
}

template <class Away>
std::uint32_t encode_by(const FloatFormat& format, double value, Overflow overflow, Rounding rule,
                        const Away& away) {
  const int f = format.fraction_bits;
  const bool is_scale = format.specials == FloatSpecials::scale;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint64_t magnitude = bits & ~kDoubleSignBit;
  if (magnitude > kDoubleInfinity) return encode_nan(format, bits);
  const bool negative = (bits & kDoubleSignBit) != 0;
  const std::uint32_t sign = negative ? format.sign_bit() : 0;
  if (magnitude == 0) return encode_zero(format, sign, overflow);
  if (is_scale && negative) return format.nan_code();
  if (magnitude == kDoubleInfinity) return encode_overflow(format, sign, overflow);

  const int power = std::ilogb(value);
  const auto significand =
      static_cast<std::uint64_t>(std::ldexp(std::abs(value), kDoubleFractionBits - power));
  // Subnormals share the exponent, and so the spacing, of the smallest normal numbers; a scale has
  // none.
  const int lowest = is_scale ? 0 : 1;
  const int stored = std::max(power + format.bias(), lowest);
  if (is_scale && power + format.bias() < 0) return 0;
  const int drop = kDoubleFractionBits - f + (stored - format.bias() - power);

  std::uint64_t kept = 0;
  Dropped dropped{negative, false, true, -1, 0};
  if (drop < 64) {
    kept = significand >> drop;
    const std::uint64_t rest = significand & ((std::uint64_t{1} << drop) - 1);
    const std::uint64_t half = std::uint64_t{1} << (drop - 1);
    dropped.odd = (kept & 1) != 0;
    dropped.any = rest != 0;
    dropped.against_half = rest > half ? 1 : (rest < half ? -1 : 0);
    dropped.part = std::ldexp(static_cast<double>(rest), -drop);
  } else {
    dropped.part = std::ldexp(static_cast<double>(significand), -drop);
  }
  // The package's own way between the two smallest scales.
  if (is_scale && stored == 0 && rule != Rounding::half_away && dropped.any) {
    dropped.against_half = 1;
  }
  if (away(dropped)) ++kept;
  if (kept == 0) return encode_zero(format, sign, overflow);

  // `kept` holds the hidden bit of a normal number, which adds the missing 1 to the exponent. A
  // carry out of the fraction does the same.
  const std::uint64_t code = (static_cast<std::uint64_t>(stored - 1) << f) + kept;
  if (code <= format.largest_code()) return sign | static_cast<std::uint32_t>(code);
  return stops_at_largest(rule, negative) ? sign | format.largest_code()
                                          : encode_overflow(format, sign, overflow);
}

}  // namespace

double FloatFormat::largest() const { return decode(*this, largest_code()).value; }

double FloatFormat::smallest() const {
  return decode(*this, specials == FloatSpecials::scale ? 0 : 1).value;
}

int FloatFormat::largest_power() const { return std::ilogb(largest()); }

FloatFields decode(const FloatFormat& format, std::uint32_t code) {
  assert(std::uint64_t{code} >> format.bits() == 0);
  const int f = format.fraction_bits;
  const std::uint32_t magnitude = code & format.magnitude_mask();
  FloatFields fields{};
  fields.code = code;
  fields.negative = (code & format.sign_bit()) != 0;
  fields.exponent = magnitude >> f;
  fields.fraction = code & ((std::uint32_t{1} << f) - 1);
  const double sign = fields.negative ? -1 : 1;

  if (format.has_infinity() && magnitude == format.infinity_code()) {
    fields.kind = FloatClass::infinite;
    fields.value = sign * std::numeric_limits<double>::infinity();
    return fields;
  }
  if (format.has_infinity() && magnitude > format.infinity_code()) {
    fields.kind = FloatClass::nan;
    // The payload moves to the top of the double's fraction, as the hardware has it.
    fields.value =
        std::bit_cast<double>((fields.negative ? kDoubleSignBit : 0) | kDoubleInfinity |
                              std::uint64_t{fields.fraction} << (kDoubleFractionBits - f));
    return fields;
  }
  const bool one_nan = format.specials == FloatSpecials::fnuz;
  if (!format.has_infinity() && format.has_nan() &&
      (one_nan ? code : magnitude) == format.nan_code()) {
    fields.kind = FloatClass::nan;
    fields.value = std::copysign(std::numeric_limits<double>::quiet_NaN(), sign);
    return fields;
  }
  if (fields.exponent == 0 && format.specials != FloatSpecials::scale) {
    fields.kind = fields.fraction == 0 ? FloatClass::zero : FloatClass::subnormal;
    fields.power = 1 - format.bias();
    fields.significand = std::ldexp(fields.fraction, -f);
  } else {
    fields.kind = FloatClass::normal;
    fields.power = static_cast<int>(fields.exponent) - format.bias();
    fields.significand = 1 + std::ldexp(fields.fraction, -f);
  }
  fields.value = sign * std::ldexp(fields.significand, fields.power);
  return fields;
}

std::uint32_t encode(const FloatFormat& format, double value, Overflow overflow,
                     Rounding rounding) {
  return encode_by(format, value, overflow, rounding,
                   [&](const Dropped& dropped) { return away_by(rounding, dropped); });
}

std::uint32_t encode_stochastic(const FloatFormat& format, double value, double u,
                                Overflow overflow) {
  return encode_by(format, value, overflow, Rounding::stochastic,
                   [&](const Dropped& dropped) { return dropped.part > u; });
}

}  // namespace zeropoint
