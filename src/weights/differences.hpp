#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "zeropoint/weights/weights.hpp"

namespace zeropoint {

/// What two rows of numbers have between them. Sums, and the largest difference, are of the places
/// where both are finite.
struct Differences {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  std::size_t values = 0;  ///< both finite
  double error = 0;        ///< Σ (a − b)²
  double energy_a = 0, energy_b = 0, product = 0;
  std::size_t differ = 0;  ///< also where they are not finite in different ways
  double largest = 0;
  std::size_t largest_at = kNone;  ///< the first of its size
  std::size_t non_finite_a = 0, non_finite_b = 0;
  std::size_t non_finite_differ = 0;         ///< finite here and not there, NaN and an infinity
  std::size_t non_finite_differ_at = kNone;  ///< the first

  void add(const Differences& next);
};

/// On all threads, the same at any number of them. Both are of one length.
Differences differences(std::span<const float> a, std::span<const float> b);

struct CodeDifferences {
  std::size_t differ = 0;
  std::optional<std::uint64_t> largest_step;  ///< of integers; of other codes it says nothing
};
/// Nothing if the two are not stored as codes of one kind and shape: the same integers, or the same
/// format of zeropoint's own.
std::optional<CodeDifferences> code_differences(const WeightFile& file_a, const Weight& a,
                                                const WeightFile& file_b, const Weight& b);

}  // namespace zeropoint
