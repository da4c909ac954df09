#pragma once
#include <cstddef>
#include <vector>

#include "zeropoint/core/random.hpp"

namespace zeropoint {

/// Sums of four uniform numbers, from −2 to 2: a distribution with tails, whose quantiles are not
/// its ends.
inline std::vector<float> draw_for_bench(std::size_t count) {
  const CounterStream stream(7, 0);
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    double sum = -2;
    for (const auto word : stream.words(i)) sum += word * 0x1p-32;
    x[i] = static_cast<float>(sum);
  }
  return x;
}

}  // namespace zeropoint
