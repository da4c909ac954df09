#include "model/operators/cast.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"
#include "model/operators/families.hpp"

namespace zeropoint::model {
namespace {

template <class Wide>
std::int64_t truncated(double x) {
  // The range's ends as doubles: the upper one is excluded.
  constexpr auto kLowest = static_cast<double>(std::numeric_limits<Wide>::min());
  if (std::trunc(x) >= kLowest && x < -kLowest) return static_cast<Wide>(x);
  return std::numeric_limits<Wide>::min();
}

std::int64_t float_to_integer(double x, ElementType to) {
  const ElementInfo& row = info(to);
  if (to == ElementType::uint64 && x >= 0x1p63 && x < 0x1p64) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(x));
  }
  const bool wide = row.bits == 64 || to == ElementType::uint32;
  return wide ? truncated<std::int64_t>(x) : truncated<std::int32_t>(x);
}

Value to_boolean(const Value& x) {
  Value y(ElementType::boolean, x.shape());
  const auto out = y.bytes();
  if (info(x.type()).is_float()) {
    const auto numbers = to_doubles(x);
    std::ranges::transform(numbers, out.begin(), [](double v) { return v != 0 ? 1 : 0; });
  } else {
    const auto numbers = to_integers(x);
    std::ranges::transform(numbers, out.begin(), [](std::int64_t v) { return v != 0 ? 1 : 0; });
  }
  return y;
}

Value to_integer(const Value& x, ElementType to) {
  if (!info(x.type()).is_float()) return from_integers(to, x.shape(), to_integers(x));
  const auto numbers = to_doubles(x);
  std::vector<std::int64_t> integers(numbers.size());
  std::ranges::transform(numbers, integers.begin(),
                         [&](double v) { return float_to_integer(v, to); });
  return from_integers(to, x.shape(), integers);
}

// A double that rounds to any float as the integer would: of what does not fit, the last bit that
// does says whether it was 0 ("rounding to odd"), so that nothing is rounded twice.
double sticky(std::uint64_t magnitude) {
  constexpr int kSpare = 64 - std::numeric_limits<double>::digits;
  const std::uint64_t low = magnitude & ((std::uint64_t{1} << kSpare) - 1);
  if (magnitude >> 53 == 0) return static_cast<double>(magnitude);
  const std::uint64_t kept = (magnitude - low) | (low != 0 ? std::uint64_t{1} << kSpare : 0);
  return static_cast<double>(kept);
}

std::vector<double> wide_doubles(const Value& x) {
  const bool is_unsigned = x.type() == ElementType::uint64;
  const auto integers = to_integers(x);
  std::vector<double> numbers(integers.size());
  std::ranges::transform(integers, numbers.begin(), [&](std::int64_t v) {
    const bool negative = !is_unsigned && v < 0;
    const auto bits = static_cast<std::uint64_t>(v);
    const double magnitude = sticky(negative ? 0 - bits : bits);
    return negative ? -magnitude : magnitude;
  });
  return numbers;
}

// Through float32, as ONNX's own conversion does.
Value to_scale(const Value& x, const CastRules& rules) {
  const auto floats = to_floats(x);
  std::vector<double> numbers(floats.begin(), floats.end());
  const FloatFormat& format = format_of(ElementType::float8e8m0);
  const Overflow overflow = rules.saturate ? Overflow::saturate : Overflow::special;
  if (!rules.saturate) {
    for (double& v : numbers) {
      if (v < decode(format, format.has_sign() ? 1 : 0).value)
        v = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return from_doubles(ElementType::float8e8m0, x.shape(), numbers, overflow, rules.scale_rounding);
}

Value to_float(const Value& x, ElementType to, const CastRules& rules) {
  if (to == ElementType::float8e8m0) return to_scale(x, rules);
  const bool byte = info(to).bits == 8;
  const Overflow overflow = byte && rules.saturate ? Overflow::saturate : Overflow::special;
  if (fits_float(x.type())) return from_floats(to, x.shape(), to_floats(x), overflow);
  if (to == ElementType::float64 || info(x.type()).bits < 64 || info(x.type()).is_float()) {
    return from_doubles(to, x.shape(), to_doubles(x), overflow);
  }
  return from_doubles(to, x.shape(), wide_doubles(x), overflow);
}

// The names that operator set 1 has in place of numbers: "FLOAT", "INT8".
ElementType element_type_named(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  for (const ElementInfo& row : element_types()) {
    if (row.name == text) return row.type;
  }
  throw InputError(fmt::format("attribute to: expected a numeric element type, found '{}'", text));
}

CastRules rules_of(const Arguments& arguments) {
  CastRules rules;
  rules.saturate = arguments.attribute<std::int64_t>("saturate", 1) != 0;
  const auto mode = arguments.attribute<std::string>("round_mode", "up");
  if (mode == "down") {
    rules.scale_rounding = Rounding::floor;
  } else if (mode == "nearest") {
    rules.scale_rounding = Rounding::half_even;
  } else if (mode != "up") {
    throw InputError(
        fmt::format("attribute round_mode: expected up, down or nearest, found '{}'", mode));
  }
  return rules;
}

}  // namespace

Value cast(const Value& x, ElementType to, const CastRules& rules) {
  if (x.type() == to) return x;
  switch (info(to).kind) {
    case ElementKind::boolean:
      return to_boolean(x);
    case ElementKind::signed_integer:
    case ElementKind::unsigned_integer:
      return to_integer(x, to);
    case ElementKind::floating:
      break;
  }
  return to_float(x, to, rules);
}

Outputs run_cast(const Arguments& arguments) {
  if (!arguments.has("to")) throw InputError("attribute to: expected an element type, found none");
  const ElementType to =
      arguments.opset() < 6
          ? element_type_named(*arguments.attribute<std::string>("to"))
          : element_type(*arguments.attribute<std::int64_t>("to"), "attribute to");
  return {cast(arguments.input(0), to, rules_of(arguments))};
}

Outputs run_cast_like(const Arguments& arguments) {
  return {cast(arguments.input(0), arguments.input(1).type(), rules_of(arguments))};
}

}  // namespace zeropoint::model
