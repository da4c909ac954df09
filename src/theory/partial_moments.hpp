#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// A distribution's cdf and partial moments, from a table: thousands of cells at hundreds of scales
/// ask for them.
class PartialMoments {
 public:
  explicit PartialMoments(const Distribution& distribution);
  /// The last one made, if it is of the same distribution: a study asks many times in a row.
  static std::shared_ptr<const PartialMoments> of(const Distribution& distribution);

  /// P(X ≤ x), E[X; X ≤ x], E[X²; X ≤ x].
  using Values = std::array<double, 3>;
  /// `hint` is kept between calls with ascending x; at first 0.
  Values at(double x, std::size_t& hint) const;
  /// A number so little below x that only an atom at x lies between.
  double before(double x) const { return x - 1e-13 * scale_[1]; }
  const Distribution& distribution() const { return distribution_; }

 private:
  // Between two nodes a cubic that has their values and slopes.
  struct Node {
    double x;
    Values values, slopes;
  };
  bool is_of(const Distribution& distribution) const;
  Values direct(double x) const;
  Node node(double x) const;
  static Values between(const Node& left, const Node& right, double x);
  void refine(const Node& left, const Node& right, int depth);

  const Distribution& distribution_;
  std::string name_;
  Values scale_;
  std::vector<Node> nodes_;
};

}  // namespace zeropoint
