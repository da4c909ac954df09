#include "model/operators/integer_product.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"

namespace zeropoint::model {

CodesView codes_view(const std::uint8_t* data, bool is_signed, std::size_t rows, std::size_t cols) {
  const auto stride = static_cast<std::ptrdiff_t>(cols);
  if (is_signed) {
    return MatrixView<const std::int8_t>{reinterpret_cast<const std::int8_t*>(data), rows, cols,
                                         stride, 1};
  }
  return MatrixView<const std::uint8_t>{data, rows, cols, stride, 1};
}

void check_codes(const Value& value, std::string_view what) {
  if (value.type() != ElementType::int8 && value.type() != ElementType::uint8) {
    throw InputError(fmt::format("{}: expected type int8 or uint8, found {}{}", what,
                                 name(value.type()),
                                 info(value.type()).is_float() ? ", which is not supported" : ""));
  }
}

Requantizer::Requantizer(const Value& zero_point, ElementType scale_type)
    : type_(zero_point.type()),
      by_reference_(scale_type != ElementType::float32),
      rules_(requantization("onnxruntime")) {
  check_codes(zero_point, "y's zero point");
  if (!zero_point.is_single()) {
    throw InputError(fmt::format("y's zero point: expected one element, found shape {}",
                                 to_string(zero_point.shape())));
  }
  const bool is_signed = type_ == ElementType::int8;
  rules_.lo = is_signed ? -128 : 0;
  rules_.hi = is_signed ? 127 : 255;
  rules_.zero_point = static_cast<std::int32_t>(integer_at(zero_point, 0));
}

std::uint8_t Requantizer::operator()(std::int64_t sum, float multiplier) const {
  if (by_reference_) {
    const double code = std::nearbyint(static_cast<double>(sum) * multiplier + rules_.zero_point);
    const std::int64_t clamped = std::llrint(std::clamp<double>(code, rules_.lo, rules_.hi));
    return static_cast<std::uint8_t>(clamped);
  }
  Requantization rules = rules_;
  rules.multiplier = multiplier;
  return static_cast<std::uint8_t>(requantize(sum, rules));
}

ScaleArithmetic::ScaleArithmetic(const Value& a, const Value& b, const Value& y) {
  for (const Value* scale : {&a, &b, &y}) {
    const ElementType type = scale->type();
    const bool fits = type == ElementType::float32 || type == ElementType::float16 ||
                      type == ElementType::bfloat16;
    if (!fits || type != a.type()) {
      throw InputError(fmt::format(
          "scales: expected all of type float, float16 or bfloat16, found {}, {} and {}",
          name(a.type()), name(b.type()), name(y.type())));
    }
  }
  if (!y.is_single()) {
    throw InputError(
        fmt::format("y's scale: expected one element, found shape {}", to_string(y.shape())));
  }
  if (a.type() != ElementType::float32) format_ = &format_of(a.type());
}

float ScaleArithmetic::multiplier(float a, float b, float y) const {
  const auto rounded = [&](float x) {
    return format_ == nullptr ? x : static_cast<float>(decode(*format_, encode(*format_, x)).value);
  };
  const float result = rounded(rounded(a * b) / y);
  if (!std::isfinite(result)) {
    throw InputError(
        fmt::format("scales: expected a finite a · b / y, found {} · {} / {}", a, b, y));
  }
  return result;
}

}  // namespace zeropoint::model
