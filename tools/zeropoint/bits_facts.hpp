#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/quantize/params.hpp"

#include "bits_number.hpp"

namespace zeropoint::bits {

/// `code` in binary, `bits` digits long; nothing for a field of 0 bits.
std::string binary(std::uint32_t code, int bits);

/// "zero", "subnormal", "normal", "infinity", "NaN".
std::string_view class_name(FloatClass kind);

/// What became of the number, minus the number.
double error_of(double became, const Number& number);

/// Whether doubles can tell that error: a number that is no double may differ by less.
bool error_is_resolved(double error, const Number& number);

/// A number in a format, taken apart.
struct Taken {
  const FloatFormat* format;
  FloatFields fields;

  bool finite() const {
    return fields.kind != FloatClass::infinite && fields.kind != FloatClass::nan;
  }
  std::string sign_bits() const { return binary(fields.negative ? 1 : 0, format->sign_bits()); }
  std::string exponent_bits() const { return binary(fields.exponent, format->exponent_bits); }
  std::string fraction_bits() const { return binary(fields.fraction, format->fraction_bits); }
};
Taken take(const FloatFormat& format, const Number& number);

/// The integer codes asked for, and what they mean.
struct GridChoice {
  Convention convention;
  IntegerGrid grid;
  QuantParams params;
  std::optional<Range> range;  ///< that the parameters were chosen from
};

/// A number quantized, step by step.
struct Quantized {
  float x;        ///< the number as float32, which quantizers take
  float scaled;   ///< x / scale, or x·(1 / scale)
  float rounded;  ///< rounded and with the zero point, before it was clipped
  std::int32_t code;
  bool clipped;
  float stands_for;
};
Quantized quantized(const GridChoice& choice, const Number& number);

/// The code's bits, in two's complement if the grid is signed.
std::string code_bits(const IntegerGrid& grid, std::int32_t code);

}  // namespace zeropoint::bits
