#pragma once
#include <algorithm>
#include <cmath>

namespace zeropoint {

/// A sample of `count` draws as predictions see it. A range taken from the sample itself clips less
/// of the sample than of the distribution: with coverage 1, nothing. So its smallest and largest
/// draws are followed one by one, through their expected order statistics; what lies between them
/// is taken from the distribution. An infinite sample is the distribution itself.
class Sample {
 public:
  explicit Sample(double count)
      : count_(count), tail_(std::isinf(count) ? 0 : std::min(std::ceil(count / 2), kTail)) {}

  /// The share of a draw in a mean.
  double weight() const { return 1 / count_; }

  /// Calls f(rank) for each draw in the tails.
  template <class F>
  void for_each_tail(const F& f) const {
    for (double rank = 0; rank < tail_; ++rank) f(rank);
    for (double rank = std::max(tail_, count_ - tail_); rank < count_ && tail_ > 0; ++rank) f(rank);
  }

  /// The probabilities between which the distribution stands for the sample; equal if nothing is
  /// left between the tails.
  double middle_from() const { return tail_ * 2 >= count_ ? 0.5 : tail_ / count_; }
  double middle_to() const { return 1 - middle_from(); }

 private:
  // Clipping a thousand draws or more is as good as clipping the distribution.
  static constexpr double kTail = 1000;
  double count_;
  double tail_;
};

}  // namespace zeropoint
