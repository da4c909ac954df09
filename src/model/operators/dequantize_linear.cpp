// DequantizeLinear. y = (x - zero point) · scale: the difference exactly, then to float32, the
// product in float32, then rounded to the output's type, as ONNX's reference implementation and
// ONNX Runtime do for 16-bit outputs, too (ONNX's text: "the output type also determines the
// precision of the multiplication").
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"
#include "model/operators/families.hpp"
#include "model/operators/quantization.hpp"

namespace zeropoint::model {
namespace {

using enum ElementType;

void check_types(const Value& x, const Value& scale, const Value* zero_point) {
  const ElementInfo& row = info(x.type());
  const bool fits = row.is_float() ? row.bits <= 8 && x.type() != float8e8m0
                                   : row.is_integer() && (row.bits <= 16 || x.type() == int32);
  if (!fits) {
    throw InputError(fmt::format(
        "x: expected 2- to 16-bit integers, int32, or 4- or 8-bit floats, found {}", row.name));
  }
  if (scale.type() != float32 && scale.type() != float16 && scale.type() != bfloat16 &&
      scale.type() != float8e8m0) {
    throw InputError(fmt::format("scale: expected float, float16, bfloat16 or float8e8m0, found {}",
                                 name(scale.type())));
  }
  if (zero_point != nullptr && zero_point->type() != x.type()) {
    throw InputError(fmt::format("zero point: expected x's type {}, found {}", row.name,
                                 name(zero_point->type())));
  }
}

ElementType output_type(const Arguments& arguments, const Value& scale) {
  const ElementType type = type_attribute(arguments, "output_dtype", scale.type());
  if (type != float32 && type != float16 && type != bfloat16) {
    throw InputError(fmt::format(
        "expected an output of float, float16 or bfloat16 (attribute output_dtype, or the scale's "
        "type), found {}",
        name(type)));
  }
  return type;
}

}  // namespace

Outputs run_dequantize_linear(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  const Value& scale = arguments.input(1);
  const Value* zero_point = arguments.optional_input(2);
  check_types(x, scale, zero_point);
  const ElementType type = output_type(arguments, scale);
  const Granularity of = granularity(arguments, x, scale);
  if (zero_point != nullptr) check_zero_point(*zero_point, scale);

  // Every difference of two codes is exactly a double.
  auto differences = to_doubles(x);
  const auto zero_points = zero_point != nullptr ? to_doubles(*zero_point) : std::vector<double>{};
  const auto scales = to_floats(scale);
  std::vector<float> y(differences.size());
  of.for_each_run([&](std::size_t at, std::size_t parameter, std::size_t count, bool each) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t p = parameter + (each ? i : 0);
      // 0 is not subtracted, so that −0 stays.
      const double z = zero_points.empty() ? 0 : zero_points[p];
      const double difference = z == 0 ? differences[at + i] : differences[at + i] - z;
      y[at + i] = static_cast<float>(difference) * scales[p];
    }
  });
  return {from_floats(type, x.shape(), y)};
}

}  // namespace zeropoint::model
