#pragma once
#include <string>
#include <vector>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// A normal number times a scale that is one of a list at random. Scale 0 is a point mass at 0.
class NormalMixture : public Distribution {
 public:
  struct Part {
    double weight;
    double scale;
  };
  /// Weights sum up to 1.
  NormalMixture(std::string name, std::string title, std::vector<Part> parts);

  double pdf(double x) const override;
  double cdf(double x) const override;
  double partial_mean(double x) const override;
  double partial_square(double x) const override;
  double quantile(double p) const override;
  double atom_probability() const override { return atom_; }
  double entropy() const override;
  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override;

 private:
  double below(double x) const;  // P(X < x) for x ≤ 0

  std::vector<Part> parts_;  // but the point mass
  double atom_ = 0;
  double widest_ = 0;
};

}  // namespace zeropoint
