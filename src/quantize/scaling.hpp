#pragma once
#include <cstddef>
#include <cstdint>

#include "zeropoint/quantize/params.hpp"

namespace zeropoint {

/// True if no number is NaN or infinite.
bool all_finite(const float* x, std::size_t count);

struct Interval {
  float lo, hi;
  std::size_t ahead = 0;  ///< numbers that lie behind these and will be asked for next
};

/// out[i] = x[i] / factors[i], or times it; how many of them lie outside of the interval. `x` may
/// be `out`.
std::size_t divide_each(const float* x, std::size_t count, const float* factors, Interval within,
                        float* out);
std::size_t multiply_each(const float* x, std::size_t count, const float* factors, Interval within,
                          float* out);
/// The same by one number.
std::size_t divide_all(const float* x, std::size_t count, float factor, Interval within,
                       float* out);
std::size_t multiply_all(const float* x, std::size_t count, float factor, Interval within,
                         float* out);

/// Parameters of runs that follow each other, `run` numbers each but the first of `first` and
/// perhaps the last, to scales (or their reciprocals) and zero points of each of `count` numbers.
struct Spread {
  const QuantParams* params;
  std::size_t first, run, count;
  bool reciprocal;
};
void spread_params(const Spread& runs, float* scales, float* zero_points);

/// Codes of less than a byte, with the sign that their uppermost bit is.
void extend_sign(std::int8_t* codes, std::size_t count, int bits);

}  // namespace zeropoint
