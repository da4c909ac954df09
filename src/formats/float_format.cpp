#include "zeropoint/formats/float_format.hpp"

#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

#include "formats/float_constants.hpp"

namespace zeropoint {
namespace {

static_assert(std::numeric_limits<double>::is_iec559, "values pass through IEEE 754 doubles");
constexpr int kDoubleFractionBits = 52;
constexpr std::uint64_t kDoubleHiddenBit = std::uint64_t{1} << kDoubleFractionBits;
constexpr std::uint64_t kDoubleSignBit = std::uint64_t{1} << 63;
constexpr std::uint64_t kDoubleInfinity = std::uint64_t{0x7ff} << kDoubleFractionBits;

bool is_nan(const FloatFormat& format, std::uint32_t code) {
  switch (format.specials) {
    case FloatSpecials::ieee:
      return (code & ~format.sign_bit()) > format.infinity_code();
    case FloatSpecials::fn:
    case FloatSpecials::scale:
      return (code & ~format.sign_bit()) == format.nan_code();
    case FloatSpecials::fnuz:
      return code == format.nan_code();
    case FloatSpecials::finite:
      break;
  }
  return false;
}

// The magnitude's code, rounded, and what was dropped as a part of the step: how a rule rounds is
// decided by these three alone.
struct Dropped {
  bool is_odd;       // the code below
  bool any;          // something was dropped
  int against_half;  // −1 below half a step, 0 a tie, 1 above
  double part;       // of the step
};

bool goes_up(const Dropped& dropped, bool negative, Rounding rounding) {
  switch (rounding) {
    case Rounding::floor:
      return negative && dropped.any;
    case Rounding::ceil:
      return !negative && dropped.any;
    case Rounding::truncate:
      return false;
    case Rounding::half_away:
      return dropped.against_half >= 0;
    case Rounding::half_even:
    case Rounding::stochastic:
      break;
  }
  return dropped.against_half > 0 || (dropped.against_half == 0 && dropped.is_odd);
}

// True if a rule never leaves the largest number for infinity on this side.
bool stays_finite(bool negative, Rounding rounding) {
  return rounding == Rounding::truncate || (rounding == Rounding::floor && !negative) ||
         (rounding == Rounding::ceil && negative);
}

std::uint32_t encode_nan(const FloatFormat& format, std::uint64_t bits) {
  const bool negative = (bits & kDoubleSignBit) != 0;
  if (!format.has_nan()) return negative ? 0 : format.sign_bit();
  const std::uint32_t sign = negative ? format.sign_bit() : 0;
  if (!format.has_payload()) return sign | format.nan_code();
  const std::uint64_t payload = bits & (kDoubleHiddenBit - 1);
  return sign | format.nan_code() |
         static_cast<std::uint32_t>(payload >> (kDoubleFractionBits - format.fraction_bits));
}

// Powers of two alone. `goes_up` knows half a step: from 1.5 on.
std::uint32_t encode_scale(const FloatFormat& format, double value, Overflow overflow,
                           Rounding rounding) {
  const bool saturates = overflow == Overflow::saturate;
  if (std::isnan(value) || value < 0) return format.nan_code();
  if (value == 0) return saturates ? 0 : format.nan_code();
  if (std::isinf(value)) return saturates ? format.largest_code() : format.nan_code();
  int power = 0;
  const double part = 2 * std::frexp(value, &power) - 1;  // value = (1 + part)·2^(power − 1)
  bool up = part >= 0.5;
  if (rounding == Rounding::ceil) up = part > 0;
  if (rounding == Rounding::floor || rounding == Rounding::truncate) up = false;
  if (power - 1 == -format.bias() && rounding == Rounding::half_even) up = part > 0;
  const int code = power - 1 + format.bias() + (up ? 1 : 0);
  if (code < 0) return 0;
  const int most = static_cast<int>(format.largest_code());
  if (code > most) return saturates ? format.largest_code() : format.nan_code();
  return static_cast<std::uint32_t>(code);
}

// `up` decides what to do with what is dropped.
template <class Up>
std::uint32_t encode_by(const FloatFormat& format, double value, Overflow overflow,
                        bool never_infinite, Up up, bool* is_beyond) {
  const int f = format.fraction_bits;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const bool negative = (bits & kDoubleSignBit) != 0;
  const std::uint64_t magnitude = bits & ~kDoubleSignBit;
  if (magnitude > kDoubleInfinity) return encode_nan(format, bits);

  const std::uint32_t sign = negative ? format.sign_bit() : 0;
  const auto beyond = [&](bool finite_stays) {
    if (is_beyond != nullptr) *is_beyond = magnitude != kDoubleInfinity;
    if (overflow == Overflow::saturate || finite_stays || !format.has_nan()) {
      return sign | format.largest_code();
    }
    if (format.specials == FloatSpecials::fnuz) return format.nan_code();
    return sign | (format.has_infinity() ? format.infinity_code() : format.nan_code());
  };
  if (magnitude == kDoubleInfinity) return beyond(false);
  const auto with_sign = [&](std::uint32_t code) {
    return code == 0 && format.specials == FloatSpecials::fnuz ? 0 : sign | code;
  };
  if (magnitude == 0) return with_sign(0);

  const int power = static_cast<int>(magnitude >> kDoubleFractionBits) - 1023;
  if (power > format.bias() + 1) return beyond(never_infinite);
  // Subnormals share the exponent, and so the spacing, of the smallest normal numbers.
  const int stored = power + format.bias() > 1 ? power + format.bias() : 1;
  const int drop = kDoubleFractionBits - f + (stored - format.bias() - power);
  std::uint64_t kept = 0;
  Dropped dropped{false, true, -1, 0};  // below half of the smallest number
  // A subnormal double is far below every format's smallest number.
  if (drop < 64 && magnitude >= kDoubleHiddenBit) {
    const std::uint64_t significand = (magnitude & (kDoubleHiddenBit - 1)) | kDoubleHiddenBit;
    kept = significand >> drop;
    const std::uint64_t rest = significand & ((std::uint64_t{1} << drop) - 1);
    const std::uint64_t half = std::uint64_t{1} << (drop - 1);
    const std::uint64_t below = (static_cast<std::uint64_t>(stored - 1) << f) + kept;
    dropped = {(below & 1) != 0, rest != 0,
               rest > half    ? 1
               : rest == half ? 0
                              : -1,
               std::ldexp(static_cast<double>(rest), -drop)};
  }
  if (up(dropped)) ++kept;
  // `kept` holds the hidden bit of a normal number, which adds the missing 1 to the exponent. A
  // carry out of the fraction does the same, and from the largest number it leads beyond.
  const std::uint64_t code = (static_cast<std::uint64_t>(stored - 1) << f) + kept;
  if (code > format.largest_code()) return beyond(never_infinite);
  return with_sign(static_cast<std::uint32_t>(code));
}

}  // namespace

double largest(const FloatFormat& format) { return decode(format, format.largest_code()).value; }

FloatFields decode(const FloatFormat& format, std::uint32_t code) {
  assert(std::uint64_t{code} >> format.bits() == 0);
  const int f = format.fraction_bits;
  FloatFields fields{};
  fields.code = code;
  fields.negative = (code & format.sign_bit()) != 0;
  fields.exponent = (code & ~format.sign_bit()) >> f;
  fields.fraction = code & ((std::uint32_t{1} << f) - 1);
  const double sign = fields.negative ? -1 : 1;

  if (is_nan(format, code)) {
    fields.kind = FloatClass::nan;
    // An IEEE NaN keeps its payload, moved to the top of the double's fraction as hardware does;
    // the others have none.
    const std::uint64_t payload = format.specials == FloatSpecials::ieee
                                      ? std::uint64_t{fields.fraction} << (kDoubleFractionBits - f)
                                      : kDoubleHiddenBit >> 1;
    fields.value =
        std::bit_cast<double>((fields.negative ? kDoubleSignBit : 0) | kDoubleInfinity | payload);
    return fields;
  }
  if (format.has_infinity() && fields.exponent == format.max_exponent()) {
    fields.kind = FloatClass::infinite;
    fields.value = sign * std::numeric_limits<double>::infinity();
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
  return encode_noting(format, value, overflow, rounding, nullptr);
}

std::uint32_t encode_noting(const FloatFormat& format, double value, Overflow overflow,
                            Rounding rounding, bool* is_beyond) {
  if (format.specials == FloatSpecials::scale) {
    return encode_scale(format, value, overflow, rounding);
  }
  const bool negative = std::signbit(value);
  return encode_by(
      format, value, overflow, stays_finite(negative, rounding),
      [&](const Dropped& dropped) { return goes_up(dropped, negative, rounding); }, is_beyond);
}

std::uint32_t encode_stochastic(const FloatFormat& format, double value, double u,
                                Overflow overflow) {
  if (format.specials == FloatSpecials::scale) {
    return encode_scale(format, value, overflow, Rounding::half_even);
  }
  return encode_by(
      format, value, overflow, false, [&](const Dropped& dropped) { return dropped.part > u; },
      nullptr);
}

}  // namespace zeropoint
