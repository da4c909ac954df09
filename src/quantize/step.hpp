#pragma once
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
};

}  // namespace zeropoint
