#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Given values, each as probable as the others; drawn with replacement.
class DistributionOfValues final : public Distribution {
 public:
  DistributionOfValues(std::string name, std::span<const float> values);

  double pdf(double x) const override;
  double cdf(double x) const override;
  double partial_mean(double x) const override;
  double partial_square(double x) const override;
  double quantile(double p) const override;
  double upper_quantile(double p) const override;
  bool is_symmetric() const override { return false; }
  double atom_probability() const override { return 1; }
  double order_statistic_covariance(double r, double s, double n) const override;
  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override;

  std::span<const float> values() const { return values_; }
  std::span<const float> sorted() const { return sorted_; }

 private:
  double size() const { return static_cast<double>(sorted_.size()); }
  std::size_t count_to(double x) const;

  std::vector<float> values_;           // in their own order, which draws go by
  std::vector<float> sorted_;           // ascending
  std::vector<double> sums_, squares_;  // of the first so many
};

}  // namespace zeropoint
