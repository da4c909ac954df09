#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace zeropoint {

/// Count, Σx and Σx² of floats without any rounding, as one wide integer each: the same in whatever
/// order values are added and parts are merged. 144 bytes. For up to 2^64 − 1 values.
class ExactMoments {
 public:
  /// All finite; not checked.
  void add(std::span<const float> values);
  void merge(const ExactMoments& other);

  std::uint64_t count() const { return count_; }
  /// Σx / count, to within one unit in the last place. Of at least one value.
  double mean() const;
  /// Population variance, (count·Σx² − (Σx)²) / count²: the numerator is exact, so that a mean far
  /// from 0 takes nothing away; to within two units in the last place. Of at least one value.
  double variance() const;

  /// Least significant word first, two's complement.
  using Sum = std::array<std::uint32_t, 12>;      ///< in units of 2^−149, a float's smallest
  using Squares = std::array<std::uint32_t, 20>;  ///< in units of 2^−298
  const Sum& sum() const { return sum_; }
  const Squares& squares() const { return squares_; }
  /// What another process has summed.
  static ExactMoments from(std::uint64_t count, const Sum& sum, const Squares& squares);

  bool operator==(const ExactMoments&) const = default;

 private:
  void add_piece(std::span<const float> values);

  std::uint64_t count_ = 0;
  Sum sum_{};
  Squares squares_{};
};

}  // namespace zeropoint
