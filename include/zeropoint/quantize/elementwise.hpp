#pragma once
#include <cstdint>
#include <span>

#include "zeropoint/quantize/params.hpp"

namespace zeropoint {

/// Where the random numbers of stochastic rounding come from: element i of the span takes number
/// `first` + i of the stream that `seed` names, whichever thread asks.
struct Noise {
  std::uint64_t seed = 0;
  std::uint64_t first = 0;
};

/// A code type is int8_t, uint8_t, int16_t or uint16_t. All throw InputError unless the scale is
/// positive and finite, its reciprocal too where it is multiplied by, the zero point at most 2^24
/// in magnitude, and the grid fits the code type.

/// codes[i] = clamp(round(x[i] ⊘ s ⊕ z)) by the convention's operation, order and rounding, each
/// step rounded to float32; returns how many rounded values fell outside the grid (were clipped).
/// NaN becomes the code of 0. The spans have equal length. Bit-identical on every instruction set
/// and thread count.
template <class Code>
std::size_t quantize(std::span<const float> x, QuantParams params, const IntegerGrid& grid,
                     const Convention& convention, std::span<Code> codes, Noise noise = {});

/// One element by the plain definition: the reference that the vector code must equal.
/// `clipped` is set if the rounded value fell outside the grid; `noise.first` is the element's own
/// number.
std::int32_t quantize_one(float x, QuantParams params, const IntegerGrid& grid,
                          const Convention& convention, bool* clipped = nullptr, Noise noise = {});

/// x[i] = scale · (codes[i] − zero_point) in float32.
template <class Code>
void dequantize(std::span<const Code> codes, QuantParams params, std::span<float> x);

}  // namespace zeropoint
