// DynamicQuantizeLinear. Where ONNX's formula divides by 0 (all of x is 0, or the scale is below
// the smallest float), and for an x without elements, the scale is 1 and the zero point 0, as in
// ONNX Runtime.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/operators/families.hpp"
#include "model/operators/quantization.hpp"

namespace zeropoint::model {

Outputs run_dynamic_quantize_linear(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  if (x.type() != ElementType::float32) {
    throw InputError(fmt::format("x: expected type float, found {}", name(x.type())));
  }
  float lo = 0, hi = 0;
  const auto elements = x.as<float>();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (!std::isfinite(elements[i])) {
      throw InputError(fmt::format("x: expected finite numbers, found {} at [{}]", elements[i], i));
    }
    lo = std::min(lo, elements[i]);
    hi = std::max(hi, elements[i]);
  }
  float scale = (hi - lo) / 255.0F;
  if (!std::isfinite(scale)) {
    throw InputError(
        fmt::format("x: expected a range that float holds, found numbers from {} to {}", lo, hi));
  }
  float zero_point = 0;
  if (scale == 0) {
    scale = 1;
  } else {
    zero_point = std::nearbyint(std::clamp(0 - lo / scale, 0.0F, 255.0F));
  }
  const auto z = static_cast<std::uint8_t>(zero_point);
  return {quantize_uint8(x, scale, z),
          Value(ElementType::float32, {}, std::span<const float>(&scale, 1)),
          Value(ElementType::uint8, {}, std::span<const std::uint8_t>(&z, 1))};
}

}  // namespace zeropoint::model
