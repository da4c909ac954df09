#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace zeropoint {

/// How many of `count` values are looked at to guess where `ranks` of them lie. A guess is as wide
/// as 1/√size: by this size the sample, and what lies where it was guessed, take about as long.
inline std::size_t sample_size(std::size_t count, std::size_t ranks) {
  const double factor = std::sqrt(static_cast<double>(std::min<std::size_t>(ranks, 8))) / 4;
  return static_cast<std::size_t>(std::pow(static_cast<double>(count), 2.0 / 3) * factor);
}

/// Where the i-th of `size` sampled values stands: one in each stretch of them, at a place that no
/// period of the values follows.
inline std::size_t sample_place(std::size_t i, std::size_t size, std::size_t count) {
  const std::size_t begin = i * count / size;
  const std::size_t length = (i + 1) * count / size - begin;
  std::uint64_t hash = (i + 1) * 0x9E3779B97F4A7C15U;  // the middle of splitmix64
  hash = (hash ^ (hash >> 31)) * 0xBF58476D1CE4E5B9U;
  return begin + (hash >> 32) % length;
}

}  // namespace zeropoint
