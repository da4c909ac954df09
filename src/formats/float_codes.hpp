#pragma once
#include <cstdint>

#include "zeropoint/core/rounding.hpp"
#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {

/// A format as the loops over float32's bits see it. Pairs are codes, positive and negative.
struct FloatLanes {
  std::int32_t largest;    ///< code of the largest number
  std::int32_t infinity;   ///< magnitudes above it are NaNs
  std::int32_t magnitude;  ///< exponent and fraction, all ones
  std::int32_t sign;       ///< the sign's bit, if there is one
  std::int32_t keeps_nan;  ///< the fraction's mask if a NaN's fraction is kept, otherwise 0
  int shift;               ///< float32's fraction bits beyond the format's
  int sign_shift;          ///< from float32's sign to the format's
  std::int32_t lowest;     ///< float32's exponent field for the format's smallest normal number
  bool negative_zero;
  Rounding rounding;
  std::int32_t zero[2], nan[2], over[2], infinite[2];
};

/// How a format's codes follow from float32's bits.
enum class FloatLayout {
  fp32_exponent,  ///< the upper bits of a float32: bias 127
  narrow,         ///< a smaller bias
  scale,          ///< e8m0
  other           ///< none of these: one by one
};

}  // namespace zeropoint
