#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

#include "zeropoint/quantize/convention.hpp"

namespace zeropoint {

/// real = scale · (code − zero_point).
struct QuantParams {
  float scale = 1;
  std::int32_t zero_point = 0;
  bool operator==(const QuantParams&) const = default;
};

/// The real number that a code stands for: the one place where this is written. Finite: where a
/// grid's end lies beyond float32's largest number, it is that number.
inline float dequantize(std::int32_t code, QuantParams params) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  return std::clamp(params.scale * static_cast<float>(code - params.zero_point), -kLargest,
                    kLargest);
}

/// Scale and zero point that map [range.min, range.max] onto the grid, by the convention's rules.
/// A range is widened to hold 0 if its width is 0, or if it is so narrow for its distance from 0
/// that the zero point's magnitude would exceed 2^24, where float32 can no longer add it exactly.
/// For [0, 0], scale is 1 and the zero point 0 (symmetric: the grid's middle). With
/// zero-in-range=forced the zero point is on the grid. The scale is never below the smallest normal
/// float32 (1.18e-38). Throws InputError if the range is not finite or min > max.
QuantParams choose_params(Range range, const IntegerGrid& grid, const Convention& convention);

}  // namespace zeropoint
