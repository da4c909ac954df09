// Given values, each as probable as the others.
#include "theory/distribution_of_values.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "zeropoint/theory/distribution.hpp"

#include "theory/distribution_rows.hpp"

namespace zeropoint {

DistributionOfValues::DistributionOfValues(std::string name, std::span<const float> values)
    : Distribution(name, fmt::format("{} values, each as probable as the others", values.size())),
      values_(values.begin(), values.end()) {
  if (values_.empty()) {
    throw InputError(fmt::format("distribution {}: expected values, found none", name));
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (!std::isfinite(values_[i])) {
      throw InputError(fmt::format("distribution {}: expected finite values, found {} at [{}]",
                                   name, values_[i], i));
    }
  }
  sorted_ = values_;
  std::ranges::sort(sorted_);
  sums_.resize(sorted_.size() + 1);
  squares_.resize(sorted_.size() + 1);
  for (std::size_t i = 0; i < sorted_.size(); ++i) {
    const double x = sorted_[i];
    sums_[i + 1] = sums_[i] + x;
    squares_[i + 1] = squares_[i] + x * x;
  }
}

std::size_t DistributionOfValues::count_to(double x) const {
  return static_cast<std::size_t>(std::ranges::upper_bound(sorted_, x) - sorted_.begin());
}

double DistributionOfValues::pdf(double x) const {
  const auto end = count_to(x);
  return end > 0 && sorted_[end - 1] == x ? std::numeric_limits<double>::infinity() : 0;
}

double DistributionOfValues::cdf(double x) const {
  return static_cast<double>(count_to(x)) / size();
}

double DistributionOfValues::partial_mean(double x) const { return sums_[count_to(x)] / size(); }

double DistributionOfValues::partial_square(double x) const {
  return squares_[count_to(x)] / size();
}

double DistributionOfValues::quantile(double p) const {
  const double rank = std::ceil(std::clamp(p, 0.0, 1.0) * size()) - 1;
  return sorted_[static_cast<std::size_t>(std::clamp(rank, 0.0, size() - 1))];
}

double DistributionOfValues::upper_quantile(double p) const {
  const double rank = std::floor(std::clamp(p, 0.0, 1.0) * size());
  return sorted_[sorted_.size() - 1 - static_cast<std::size_t>(std::clamp(rank, 0.0, size() - 1))];
}

double DistributionOfValues::order_statistic_covariance(double r, double s, double n) const {
  // To first order, with the quantile's slope over as much as a draw's rank strays.
  const auto slope = [&](double p) {
    const double stray = std::sqrt(p * (1 - p) / (n + 2));
    const double from = std::max(p - stray, 0.0);
    const double to = std::min(p + stray, 1.0);
    return (quantile(to) - quantile(from)) / (to - from);
  };
  const double p = (r + 1) / (n + 1);
  const double q = (s + 1) / (n + 1);
  return p * (1 - q) / (n + 2) * slope(p) * slope(q);
}

void DistributionOfValues::fill_counter(const CounterStream& stream, std::size_t first,
                                        std::span<float> out) const {
  for (std::size_t i = 0; i < out.size(); i += 4) {
    const auto words = stream.words((first + i) / 4);
    for (std::size_t j = 0; j < std::min<std::size_t>(4, out.size() - i); ++j) {
      out[i + j] = values_[static_cast<std::size_t>(words[j] * 0x1p-32 * size())];
    }
  }
}

std::unique_ptr<const Distribution> make_distribution_of_values(std::string name,
                                                                std::span<const float> values) {
  return std::make_unique<const DistributionOfValues>(std::move(name), values);
}

}  // namespace zeropoint
