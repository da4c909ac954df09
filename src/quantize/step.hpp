#pragma once
#include <cstddef>

#include "zeropoint/quantize/convention.hpp"

namespace zeropoint {

/// What one element's quantization needs, in the form that vector code takes.
struct Step {
  float scale;
  float zero_point;
  float lo, hi;
  Operation operation;
  ZeroPointOrder order;
  Rounding rounding;
  std::size_t ahead = 0;  ///< numbers that lie behind these and will be asked for next
};

}  // namespace zeropoint
