#pragma once
#include <span>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// A node of a rule for integrals over (0, 1), with what is left of 1 beyond it.
struct UnitNode {
  double p, rest, weight;
};

/// Takahasi and Mori's tanh rule with double exponential ends, which integrands that are infinite
/// at either end do not spoil. Good to 1e-12 for what is smooth between them.
std::span<const UnitNode> unit_interval();
/// The same with fewer, good to 1e-8: for integrals over two.
std::span<const UnitNode> coarse_unit_interval();
/// The same with four times as many nodes, for integrands with many small steps.
std::span<const UnitNode> fine_unit_interval();

/// The mean and variance of the order statistic of rank r among n draws.
struct OrderStatistic {
  double mean, variance;
};
OrderStatistic order_statistic(const Distribution& distribution, double r, double n);

}  // namespace zeropoint
