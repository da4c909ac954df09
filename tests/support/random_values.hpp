#pragma once
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace zeropoint::testing {

/// One finite float of random bits: every magnitude from denormal to the largest.
inline float any_finite(std::mt19937_64& random) {
  for (;;) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(x)) return x;
  }
}

/// A real number in [lo, hi).
inline double between(std::mt19937_64& random, double lo, double hi) {
  return lo + (hi - lo) * (static_cast<double>(random() >> 11) * 0x1p-53);
}

/// An integer in [lo, hi], without std::uniform_int_distribution, whose results are the library's.
inline std::int64_t integer_between(std::mt19937_64& random, std::int64_t lo, std::int64_t hi) {
  const auto span = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo) + 1;
  return lo + static_cast<std::int64_t>(span == 0 ? random() : random() % span);
}

inline std::vector<float> uniform_values(std::mt19937_64& random, std::size_t count, double lo,
                                         double hi) {
  std::vector<float> values(count);
  for (float& x : values) x = static_cast<float>(between(random, lo, hi));
  return values;
}

/// What tends to break order and arithmetic: signed zeros, denormals, powers of two, the largest.
inline std::vector<float> awkward_values() {
  using Limits = std::numeric_limits<float>;
  std::vector<float> values;
  for (const float x : {0.0F, Limits::denorm_min(), 3 * Limits::denorm_min(), 0x1.fffffcp-127F,
                        Limits::min(), 0.49999997F, 0.5F, 0.50000006F, 1.0F, 1.0000001F, 1.5F, 2.5F,
                        0x1p23F, 0x1.fffffep22F, 0x1p24F, 0x1p31F, 1e30F, Limits::max()}) {
    values.push_back(x);
    values.push_back(-x);
  }
  return values;
}

}  // namespace zeropoint::testing
