#pragma once
#include <cmath>

namespace zeropoint {

/// How a real number becomes an integer. `stochastic` is up with the probability of the part that
/// is dropped, decided by a random number that belongs to the element (round_stochastic).
enum class Rounding { half_even, half_away, floor, truncate, ceil, stochastic };

/// The one definition of each rule but `stochastic`, which is as half_even here; vector code is
/// tested against it. Assumes the default floating-point rounding mode (to nearest, ties to even).
template <class Real>
Real round_to_integer(Real x, Rounding rule) {
  switch (rule) {
    case Rounding::half_even:
    case Rounding::stochastic:
      return std::nearbyint(x);
    case Rounding::half_away:
      return std::round(x);
    case Rounding::floor:
      return std::floor(x);
    case Rounding::truncate:
      return std::trunc(x);
    case Rounding::ceil:
      return std::ceil(x);
  }
  return x;
}

/// floor(x + u) for a random u, uniform in [0, 1): x on average. An integer stays one.
template <class Real>
Real round_stochastic(Real x, Real u) {
  const Real below = std::floor(x);
  return x - below > u ? below + 1 : below;
}

}  // namespace zeropoint
