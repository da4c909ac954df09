#include "model/operators/quantization.hpp"

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint::model {
namespace {

// The axis as an index; QuantizeLinear counts negative ones from the back.
std::size_t axis_of(const Arguments& arguments, const Value& x) {
  const auto axis = arguments.attribute<std::int64_t>("axis", 1);
  const auto rank = static_cast<std::int64_t>(x.rank());
  // With one axis it is that one, whatever is said: ONNX calls the attribute unnecessary then.
  if (rank == 1 && axis == 1) return 0;
  if (axis < -rank || axis >= rank) {
    throw InputError(fmt::format("attribute axis: expected {} to {} for shape {}, found {}", -rank,
                                 rank - 1, to_string(x.shape()), axis));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
}

[[noreturn]] void refuse_scale(const std::string& expected, const Value& x, const Value& scale) {
  throw InputError(fmt::format("scale: expected {} for x of shape {}, found shape {}", expected,
                               to_string(x.shape()), to_string(scale.shape())));
}

}  // namespace

Granularity granularity(const Arguments& arguments, const Value& x, const Value& scale) {
  Granularity result;
  result.outer = x.size();
  const auto block = arguments.attribute<std::int64_t>("block_size", 0);
  if (block < 0) {
    throw InputError(fmt::format("attribute block_size: expected 0 or more, found {}", block));
  }
  if (scale.is_single() && (block == 0 || scale.rank() <= 1)) return result;

  const std::size_t axis = axis_of(arguments, x);
  const std::int64_t length = x.shape()[axis];
  if (block == 0) {
    if (scale.rank() != 1 || scale.shape()[0] != length) {
      refuse_scale(fmt::format("one, or {} along axis {}", length, axis), x, scale);
    }
  } else {
    Shape blocked = x.shape();
    blocked[axis] = length / block + (length % block != 0 ? 1 : 0);
    if (scale.shape() != blocked)
      refuse_scale(fmt::format("shape {}", to_string(blocked)), x, scale);
  }
  result.whole = false;
  result.block = static_cast<std::size_t>(block);
  result.outer = 1;
  result.length = static_cast<std::size_t>(length);
  for (std::size_t i = 0; i < x.rank(); ++i) {
    const auto size = static_cast<std::size_t>(x.shape()[i]);
    if (i < axis) result.outer *= size;
    if (i > axis) result.inner *= size;
  }
  return result;
}

void check_zero_point(const Value& zero_point, const Value& scale) {
  if (zero_point.shape() == scale.shape() || (zero_point.is_single() && scale.is_single())) return;
  throw InputError(fmt::format("zero point: expected the scale's shape {}, found {}",
                               to_string(scale.shape()), to_string(zero_point.shape())));
}

ElementType type_attribute(const Arguments& arguments, std::string_view name,
                           ElementType otherwise) {
  const auto number = arguments.attribute<std::int64_t>(name, 0);
  return number == 0 ? otherwise : element_type(number, fmt::format("attribute {}", name));
}

}  // namespace zeropoint::model
