#include "bits_facts.hpp"

#include <cmath>

#include <fmt/format.h>

#include "zeropoint/quantize/elementwise.hpp"

namespace zeropoint::bits {

std::string binary(std::uint32_t code, int bits) {
  return bits == 0 ? "" : fmt::format("{:0{}b}", code, bits);
}

std::string_view class_name(FloatClass kind) {
  switch (kind) {
    case FloatClass::zero:
      return "zero";
    case FloatClass::subnormal:
      return "subnormal";
    case FloatClass::normal:
      return "normal";
    case FloatClass::infinite:
      return "infinity";
    case FloatClass::nan:
      return "NaN";
  }
  return "";
}

double error_of(double became, const Number& number) {
  if (became == number.value || (std::isnan(became) && std::isnan(number.value))) return 0;
  return became - number.value;
}

bool error_is_resolved(double error, const Number& number) {
  return number.exact || std::abs(error) > 4e-15 * std::abs(number.value);
}

Taken take(const FloatFormat& format, const Number& number) {
  return {&format, decode(format, encode(format, number.to_odd))};
}

Quantized quantized(const GridChoice& choice, const Number& number) {
  Quantized q{};
  const float scale = choice.params.scale;
  const auto zero_point = static_cast<float>(choice.params.zero_point);
  q.x = static_cast<float>(take(float_format("fp32"), number).fields.value);
  // The same steps as quantize_one's, for the eye; the code is quantize_one's.
  q.scaled = choice.convention.operation == Operation::divide ? q.x / scale : q.x * (1.0F / scale);
  q.rounded = choice.convention.order == ZeroPointOrder::before_rounding
                  ? round_to_integer(q.scaled + zero_point, choice.convention.rounding)
                  : round_to_integer(q.scaled, choice.convention.rounding) + zero_point;
  q.code = quantize_one(q.x, choice.params, choice.grid, choice.convention, &q.clipped);
  q.stands_for = dequantize(q.code, choice.params);
  return q;
}

std::string code_bits(const IntegerGrid& grid, std::int32_t code) {
  return binary(static_cast<std::uint32_t>(code) & ((std::uint32_t{1} << grid.bits) - 1),
                grid.bits);
}

}  // namespace zeropoint::bits
