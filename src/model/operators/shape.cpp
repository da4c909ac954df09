// Constant, Identity, Reshape: what moves or names tensors and computes nothing.
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"
#include "model/operators/families.hpp"

namespace zeropoint::model {

Outputs run_constant(const Arguments& arguments) {
  if (const auto* value = arguments.attribute<Value>("value")) return {*value};
  if (const auto* number = arguments.attribute<float>("value_float")) {
    return {Value(ElementType::float32, {}, std::span<const float>(number, 1))};
  }
  if (const auto* number = arguments.attribute<std::int64_t>("value_int")) {
    return {Value(ElementType::int64, {}, std::span<const std::int64_t>(number, 1))};
  }
  if (const auto* numbers = arguments.attribute<std::vector<float>>("value_floats")) {
    return {Value(ElementType::float32, {static_cast<std::int64_t>(numbers->size())},
                  std::span<const float>(*numbers))};
  }
  if (const auto* numbers = arguments.attribute<std::vector<std::int64_t>>("value_ints")) {
    return {Value(ElementType::int64, {static_cast<std::int64_t>(numbers->size())},
                  std::span<const std::int64_t>(*numbers))};
  }
  throw InputError("expected an attribute value, found none");
}

Outputs run_identity(const Arguments& arguments) { return {arguments.input(0)}; }

Outputs run_reshape(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  const Value& wanted = arguments.input(1);
  if (wanted.type() != ElementType::int64 || wanted.rank() != 1) {
    throw InputError(fmt::format("shape: expected a vector of int64, found {} of shape {}",
                                 name(wanted.type()), to_string(wanted.shape())));
  }
  // 0 copies the size of that axis, unless allowzero says that it is a size; -1 is what is left.
  const bool zero_is_size = arguments.attribute<std::int64_t>("allowzero", 0) != 0;
  Shape shape(wanted.as<std::int64_t>().begin(), wanted.as<std::int64_t>().end());
  std::size_t open = shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !zero_is_size) {
      if (i >= x.rank()) {
        throw InputError(fmt::format("shape: expected sizes for x of shape {}, found {}",
                                     to_string(x.shape()), to_string(shape)));
      }
      shape[i] = x.shape()[i];
    }
    if (shape[i] == -1 && open == shape.size()) {
      open = i;
      shape[i] = 1;
    }
  }
  if (open < shape.size()) {
    const std::size_t others = count_elements(shape, "shape");
    if (others == 0 || x.size() % others != 0) {
      shape[open] = -1;
      throw InputError(fmt::format(
          "shape: expected sizes that leave a whole one for -1, found {} for x of shape {}",
          to_string(shape), to_string(x.shape())));
    }
    shape[open] = static_cast<std::int64_t>(x.size() / others);
  }
  return {x.reshaped(shape)};
}

}  // namespace zeropoint::model
