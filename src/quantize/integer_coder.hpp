#pragma once
#include <cstddef>
#include <cstdint>

#include "zeropoint/quantize/convention.hpp"
#include "zeropoint/quantize/params.hpp"

#include "quantize/step.hpp"

namespace zeropoint {

/// quantize() and dequantize() as functions on the thread that calls, without checks; numbers
/// rounded at random are not theirs. Those of `each` take a scale (multiplying: its reciprocal) and
/// a zero point for every number, a Step's else, and round half to even.
template <class Code>
struct IntegerCoder {
  std::size_t (*quantize)(const float* x, std::size_t count, const Step& step, Code* codes);
  std::size_t (*quantize_each)(const float* x, std::size_t count, const float* factors,
                               const float* zero_points, const Step& step, Code* codes);
  void (*dequantize)(const Code* codes, std::size_t count, float scale, std::int32_t zero_point,
                     float* x);
  void (*dequantize_each)(const Code* codes, std::size_t count, const float* scales,
                          const float* zero_points, float* x);
};
template <class Code>
IntegerCoder<Code> integer_coder();

/// Throws InputError as quantize() does, if scale or zero point are none.
void check_params(QuantParams params);
Step make_step(QuantParams params, const IntegerGrid& grid, const Convention& convention);

}  // namespace zeropoint
