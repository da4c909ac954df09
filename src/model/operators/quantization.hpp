#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "zeropoint/model/value.hpp"

#include "model/operators/operator.hpp"

namespace zeropoint::model {

/// Which scale and zero point belong to which element of a tensor: one for all, one for each index
/// of an axis, or one for each block of an axis.
struct Granularity {
  std::size_t outer = 1;   ///< of the axes before
  std::size_t length = 1;  ///< of the axis
  std::size_t inner = 1;   ///< of the axes behind
  std::size_t block = 0;   ///< elements of the axis that share one; 0: one for each index
  bool whole = true;       ///< one for all

  /// Calls f(element, parameter, count, each) for consecutive elements: all have that parameter,
  /// or, if `each` is true, it is the first one's and those behind have the parameters behind it.
  template <class F>
  void for_each_run(F&& f) const {
    if (whole) return f(std::size_t{0}, std::size_t{0}, outer * length * inner, false);
    for (std::size_t o = 0, at = 0; o < outer; ++o) {
      for (std::size_t d = 0; d < length; ++d, at += inner) {
        if (block == 0) {
          f(at, d, inner, false);
        } else {
          const std::size_t blocks = (length + block - 1) / block;
          f(at, (o * blocks + d / block) * inner, inner, true);
        }
      }
    }
  }
};

/// From the attributes axis and block_size and the shape of the scale, as QuantizeLinear and
/// DequantizeLinear have it. Throws InputError if they do not fit x.
Granularity granularity(const Arguments& arguments, const Value& x, const Value& scale);

/// Throws InputError unless the zero point has the scale's shape, or both are of one element.
void check_zero_point(const Value& zero_point, const Value& scale);

/// The attribute as an element type; `otherwise` where it is absent or 0.
ElementType type_attribute(const Arguments& arguments, std::string_view name,
                           ElementType otherwise);

/// QuantizeLinear with one scale for all of a float tensor, to uint8.
Value quantize_uint8(const Value& x, float scale, std::uint8_t zero_point);

}  // namespace zeropoint::model
