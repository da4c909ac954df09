#include "zeropoint/formats/float_format.hpp"

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

}  // namespace

FloatFields decode(const FloatFormat& format, std::uint32_t code) {
  assert(std::uint64_t{code} >> format.bits() == 0);
  const int f = format.fraction_bits;
  FloatFields fields{};
  fields.code = code;
  fields.negative = (code & format.sign_bit()) != 0;
  fields.exponent = (code & ~format.sign_bit()) >> f;
  fields.fraction = code & ((std::uint32_t{1} << f) - 1);
  const double sign = fields.negative ? -1 : 1;

  if (fields.exponent == format.max_exponent()) {
    fields.kind = fields.fraction == 0 ? FloatClass::infinite : FloatClass::nan;
    // A NaN keeps its payload, moved to the top of the double's fraction as the hardware does.
    fields.value =
        std::bit_cast<double>((fields.negative ? kDoubleSignBit : 0) | kDoubleInfinity |
                              std::uint64_t{fields.fraction} << (kDoubleFractionBits - f));
    return fields;
  }
  if (fields.exponent == 0) {
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

std::uint32_t encode(const FloatFormat& format, double value) {
  const int f = format.fraction_bits;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint32_t sign = (bits & kDoubleSignBit) != 0 ? format.sign_bit() : 0;
  const std::uint32_t infinity = format.infinity_code();
  const std::uint64_t magnitude = bits & ~kDoubleSignBit;

  if (magnitude > kDoubleInfinity) {
    const std::uint64_t payload = magnitude & (kDoubleHiddenBit - 1);
    const std::uint32_t quiet = std::uint32_t{1} << (f - 1);
    return sign | infinity | quiet |
           static_cast<std::uint32_t>(payload >> (kDoubleFractionBits - f));
  }
  // A subnormal double is below half of every format's smallest number.
  if (magnitude < kDoubleHiddenBit) return sign;

  const int power = static_cast<int>(magnitude >> kDoubleFractionBits) - 1023;
  if (power > format.bias()) return sign | infinity;
  const std::uint64_t significand = (magnitude & (kDoubleHiddenBit - 1)) | kDoubleHiddenBit;

  // Subnormals share the exponent, and so the spacing, of the smallest normal numbers.
  const int stored = power + format.bias() > 1 ? power + format.bias() : 1;
  const int drop = kDoubleFractionBits - f + (stored - format.bias() - power);
  if (drop > kDoubleFractionBits + 1) return sign;  // below half of the smallest number
  std::uint64_t kept = significand >> drop;
  const std::uint64_t rest = significand & ((std::uint64_t{1} << drop) - 1);
  const std::uint64_t half = std::uint64_t{1} << (drop - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) ++kept;

  // `kept` holds the hidden bit of a normal number, which adds the missing 1 to the exponent. A
  // carry out of the fraction does the same, and from the largest number it leads to infinity.
  return sign | ((static_cast<std::uint32_t>(stored - 1) << f) + static_cast<std::uint32_t>(kept));
}

}  // namespace zeropoint
