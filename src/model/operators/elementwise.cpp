// Add, Sub, Mul, Div, Min, Max, Clip, Round: element by element, with broadcasting. 16-bit floats
// are computed in float32 and rounded once; integers wrap, as ONNX leaves them to.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"
#include "model/operators/broadcast.hpp"
#include "model/operators/cast.hpp"
#include "model/operators/families.hpp"

namespace zeropoint::model {
namespace {

using enum ElementType;

bool is_half(ElementType type) { return type == float16 || type == bfloat16; }

void check_arithmetic(const Value& value) {
  const ElementInfo& row = info(value.type());
  const bool fits = row.is_float() ? row.bits >= 16 : row.is_integer() && row.bits >= 8;
  if (!fits) {
    throw InputError(fmt::format(
        "expected integers of 8 bits or more or floats of 16 or more, found {}", row.name));
  }
}

// The same, once both are of one type with a C++ type of its own.
template <class Operation>
Value binary_native(const Value& a, const Value& b, const Operation& operation) {
  Value y(a.type(), broadcast(a.shape(), b.shape()));
  visit_native(a.type(), [&]<class T>(T) {
    const auto left = a.as<T>(), right = b.as<T>();
    const auto out = y.as<T>();
    if (a.shape() == b.shape()) {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = operation(left[i], right[i]);
      return;
    }
    const auto of_a = broadcast_indices(a.shape(), y.shape());
    const auto of_b = broadcast_indices(b.shape(), y.shape());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = operation(left[of_a[i]], right[of_b[i]]);
  });
  return y;
}

template <class Operation>
Value binary(const Value& a, const Value& b, const Operation& operation) {
  check_arithmetic(a);
  if (a.type() != b.type()) {
    throw InputError(fmt::format("expected operands of one type, found {} and {}", name(a.type()),
                                 name(b.type())));
  }
  if (!is_half(a.type())) return binary_native(a, b, operation);
  return cast(binary_native(cast(a, float32), cast(b, float32), operation), a.type());
}

// Integers in a type in which they wrap without being undefined.
template <class T, class Operation>
T wrapping(T a, T b, const Operation& operation) {
  if constexpr (std::is_floating_point_v<T>) {
    return operation(a, b);
  } else {
    return static_cast<T>(operation(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  }
}

template <class T>
T quotient(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a / b;
  } else {
    if (b == 0) throw InputError("expected divisors other than 0, found 0");
    // The one quotient that does not fit.
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return wrapping(T{0}, a, std::minus<>());
    }
    return static_cast<T>(a / b);
  }
}

// A NaN stays one, as in ONNX's reference implementation.
template <class T>
T lesser(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  }
  return b < a ? b : a;
}
template <class T>
T greater(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  }
  return a < b ? b : a;
}

template <class Operation>
Outputs fold_inputs(const Arguments& arguments, const Operation& operation) {
  Value y = arguments.input(0);
  check_arithmetic(y);
  for (std::size_t i = 1; i < arguments.inputs(); ++i) {
    y = binary(y, arguments.input(i), operation);
  }
  return {std::move(y)};
}

Value bound(const Arguments& arguments, std::string_view attribute, float otherwise) {
  const float limit = arguments.attribute<float>(attribute, otherwise);
  return cast(Value(float32, {}, std::span<const float>(&limit, 1)), arguments.input(0).type());
}

}  // namespace

Outputs run_add(const Arguments& arguments) {
  return {binary(arguments.input(0), arguments.input(1),
                 [](auto a, auto b) { return wrapping(a, b, std::plus<>()); })};
}
Outputs run_sub(const Arguments& arguments) {
  return {binary(arguments.input(0), arguments.input(1),
                 [](auto a, auto b) { return wrapping(a, b, std::minus<>()); })};
}
Outputs run_mul(const Arguments& arguments) {
  return {binary(arguments.input(0), arguments.input(1),
                 [](auto a, auto b) { return wrapping(a, b, std::multiplies<>()); })};
}
Outputs run_div(const Arguments& arguments) {
  return {binary(arguments.input(0), arguments.input(1),
                 [](auto a, auto b) { return quotient(a, b); })};
}
Outputs run_min(const Arguments& arguments) {
  return fold_inputs(arguments, [](auto a, auto b) { return lesser(a, b); });
}
Outputs run_max(const Arguments& arguments) {
  return fold_inputs(arguments, [](auto a, auto b) { return greater(a, b); });
}

// Its limits are attributes before operator set 11, inputs from then on. min(max(x, lo), hi): where
// lo > hi, all is hi (as operator set 13 says).
Outputs run_clip(const Arguments& arguments) {
  const auto at_least = [](auto a, auto b) { return greater(a, b); };
  const auto at_most = [](auto a, auto b) { return lesser(a, b); };
  Value y = arguments.input(0);
  check_arithmetic(y);
  if (arguments.opset() < 11) {
    constexpr float kMost = std::numeric_limits<float>::max();
    y = binary(y, bound(arguments, "min", -kMost), at_least);
    return {binary(y, bound(arguments, "max", kMost), at_most)};
  }
  const Value* lo = arguments.optional_input(1);
  const Value* hi = arguments.optional_input(2);
  for (const Value* limit : {lo, hi}) {
    if (limit != nullptr && !limit->is_single()) {
      throw InputError(
          fmt::format("expected limits of one element, found shape {}", to_string(limit->shape())));
    }
  }
  if (lo != nullptr) y = binary(y, lo->reshaped({}), at_least);
  if (hi != nullptr) y = binary(y, hi->reshaped({}), at_most);
  return {std::move(y)};
}

Outputs run_round(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  if (!info(x.type()).is_float() || info(x.type()).bits < 16) {
    throw InputError(fmt::format("expected floats of 16 bits or more, found {}", name(x.type())));
  }
  auto numbers = to_doubles(x);
  for (double& v : numbers) v = std::nearbyint(v);
  return {from_doubles(x.type(), x.shape(), numbers)};
}

}  // namespace zeropoint::model
