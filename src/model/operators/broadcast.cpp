#include "model/operators/broadcast.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/memory.hpp"

namespace zeropoint::model {

Shape broadcast(const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t of_a = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t of_b = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (of_a != of_b && of_a != 1 && of_b != 1) {
      throw InputError(fmt::format("expected shapes that broadcast, found {} and {}", to_string(a),
                                   to_string(b)));
    }
    result[result.size() - 1 - i] = of_a == 1 ? of_b : of_a;
  }
  return result;
}

std::vector<std::size_t> broadcast_indices(const Shape& from, const Shape& to) {
  if (from.size() > to.size() || broadcast(from, to) != to) {
    throw InputError(fmt::format("expected a shape that broadcasts to {}, found {}", to_string(to),
                                 to_string(from)));
  }
  const std::size_t before = to.size() - from.size();
  // Steps in `from` for one step along each axis of `to`; 0 where it is stretched.
  std::vector<std::size_t> steps(to.size(), 0);
  std::size_t step = 1;
  for (std::size_t i = from.size(); i-- > 0;) {
    if (from[i] != 1) steps[before + i] = step;
    step *= static_cast<std::size_t>(from[i]);
  }
  const std::size_t count = count_elements(to, "broadcast");
  check_memory(count, sizeof(std::size_t), "broadcast");
  std::vector<std::size_t> indices(count);
  std::vector<std::int64_t> position(to.size(), 0);
  std::size_t at = 0;
  for (std::size_t& index : indices) {
    index = at;
    for (std::size_t axis = to.size(); axis-- > 0;) {
      at += steps[axis];
      if (++position[axis] < to[axis]) break;
      at -= steps[axis] * static_cast<std::size_t>(to[axis]);
      position[axis] = 0;
    }
  }
  return indices;
}

}  // namespace zeropoint::model
