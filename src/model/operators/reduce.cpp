// ReduceMin, ReduceMax. The axes are an attribute before operator set 18, an input from then on.
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

// Which axes go; all of them if none is named.
std::vector<bool> reduced_axes(const Arguments& arguments, std::size_t rank) {
  std::vector<std::int64_t> axes;
  if (const Value* input = arguments.optional_input(1); input != nullptr) {
    axes = to_integers(*input);
  } else if (arguments.opset() < 18) {
    axes = arguments.attribute<std::vector<std::int64_t>>("axes", {});
  }
  const bool none_means_none = arguments.attribute<std::int64_t>("noop_with_empty_axes", 0) != 0;
  std::vector<bool> reduced(rank, axes.empty() && !none_means_none);
  const auto limit = static_cast<std::int64_t>(rank);
  for (const std::int64_t axis : axes) {
    if (axis < -limit || axis >= limit) {
      throw InputError(fmt::format("axes: expected {} to {}, found {}", -limit, limit - 1, axis));
    }
    reduced[static_cast<std::size_t>(axis < 0 ? axis + limit : axis)] = true;
  }
  return reduced;
}

template <class T>
T start_of(bool smallest) {
  using Limits = std::numeric_limits<T>;
  if constexpr (Limits::has_infinity) return smallest ? Limits::infinity() : -Limits::infinity();
  return smallest ? Limits::max() : Limits::lowest();
}

Value reduce_native(const Value& x, const Shape& kept, bool smallest) {
  Value y(x.type(), kept);
  const auto to = broadcast_indices(kept, x.shape());
  visit_native(x.type(), [&]<class T>(T) {
    const auto in = x.as<T>();
    const auto out = y.as<T>();
    std::ranges::fill(out, start_of<T>(smallest));
    for (std::size_t i = 0; i < in.size(); ++i) {
      T& sofar = out[to[i]];
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(sofar)) continue;
        if (std::isnan(in[i])) sofar = in[i];
      }
      if (smallest ? in[i] < sofar : sofar < in[i]) sofar = in[i];
    }
  });
  return y;
}

Outputs reduce(const Arguments& arguments, bool smallest) {
  const Value& x = arguments.input(0);
  const ElementInfo& row = info(x.type());
  if (row.is_float() ? row.bits < 16 : row.bits < 8) {
    throw InputError(fmt::format(
        "expected integers of 8 bits or more or floats of 16 or more, found {}", row.name));
  }
  const auto reduced = reduced_axes(arguments, x.rank());
  const bool keep = arguments.attribute<std::int64_t>("keepdims", 1) != 0;
  Shape kept, squeezed;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    kept.push_back(reduced[i] ? 1 : x.shape()[i]);
    if (!reduced[i]) squeezed.push_back(x.shape()[i]);
  }
  const bool is_half = row.is_float() && row.bits == 16;
  Value y = is_half ? cast(reduce_native(cast(x, ElementType::float32), kept, smallest), x.type())
                    : reduce_native(x, kept, smallest);
  return {keep ? std::move(y) : y.reshaped(squeezed)};
}

}  // namespace

Outputs run_reduce_min(const Arguments& arguments) { return reduce(arguments, true); }
Outputs run_reduce_max(const Arguments& arguments) { return reduce(arguments, false); }

}  // namespace zeropoint::model
