#pragma once
#include <string>
#include <vector>

#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// What a codebook that is fitted to `count` numbers of a distribution comes to.
struct FittedLevels {
  std::vector<double> levels;  ///< of the distribution itself, which the fitted ones stray around
  /// By what part the numbers' squared error is smaller at levels fitted to them, as expected.
  double overfit = 0;
  std::string why_not;
};
FittedLevels fitted_levels(const Distribution& distribution, int bits, double count);

}  // namespace zeropoint
