#pragma once
#include <algorithm>
#include <cmath>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// A sample as predictions see it. A range taken from the sample itself clips less of the sample
/// than of the distribution: with coverage 1, nothing. So its smallest and largest draws are
/// followed one by one, through the means and variances of their order statistics; what lies
/// between them is taken from the distribution.
class Sample {
 public:
  Sample(const Distribution& distribution, const SampleRange& range)
      : distribution_(distribution),
        range_(range),
        tail_(std::isinf(range.count) ? 0 : std::min(std::ceil(range.count / 2), kTail)) {}

  /// A draw in the tails.
  struct Draw {
    double x;         ///< its mean
    double variance;  ///< its variance
    double end;       ///< the variance of the end of the range, if the draw lies beyond it
    double beyond;    ///< the variance of the draw's distance from that end
    bool is_beyond;   ///< of the range
  };

  /// The share of a draw in a mean.
  double weight() const { return 1 / range_.count; }

  /// Calls f(Draw) for each draw in the tails.
  template <class F>
  void for_each_tail(const F& f) const {
    if (tail_ == 0) return;
    const double n = range_.count;
    for (double rank = 0; rank < tail_; ++rank) f(draw(rank));
    for (double rank = std::max(tail_, n - tail_); rank < n; ++rank) f(draw(rank));
  }

  /// The probabilities between which the distribution stands for the sample; equal if nothing is
  /// left between the tails.
  double middle_from() const { return tail_ * 2 >= range_.count ? 0.5 : tail_ / range_.count; }
  double middle_to() const { return 1 - middle_from(); }

 private:
  // Clipping a thousand draws or more is as good as clipping the distribution.
  static constexpr double kTail = 1000;

  double covariance(double r, double s) const {
    return distribution_.order_statistic_covariance(std::min(r, s), std::max(r, s), range_.count);
  }

  Draw draw(double rank) const {
    Draw d{distribution_.expected_order_statistic(rank, range_.count), covariance(rank, rank), 0, 0,
           false};
    if (rank > range_.upper_rank) set_beyond(d, rank, range_.upper_rank);
    if (rank < range_.lower_rank) set_beyond(d, rank, range_.lower_rank);
    return d;
  }

  // The end of the range lies between the order statistics next to it.
  void set_beyond(Draw& d, double rank, double end) const {
    const double i = std::floor(end);
    const double j = std::ceil(end);
    const double w = end - i;
    d.end = (1 - w) * (1 - w) * covariance(i, i) + w * w * covariance(j, j) +
            2 * w * (1 - w) * covariance(i, j);
    const double with_end = (1 - w) * covariance(rank, i) + w * covariance(rank, j);
    d.beyond = std::max(0.0, d.variance + d.end - 2 * with_end);
    d.is_beyond = true;
  }

  const Distribution& distribution_;
  SampleRange range_;
  double tail_;
};

}  // namespace zeropoint
