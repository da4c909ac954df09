#pragma once
#include <cmath>

namespace zeropoint {

/// How a real number becomes an integer.
enum class Rounding { half_even, half_away, floor, truncate };

/// The one definition of each rule; vector code is tested against it. Assumes the default
/// floating-point rounding mode (to nearest, ties to even).
template <class Real>
Real round_to_integer(Real x, Rounding rule) {
  switch (rule) {
    case Rounding::half_even:
      return std::nearbyint(x);
    case Rounding::half_away:
      return std::round(x);
    case Rounding::floor:
      return std::floor(x);
    case Rounding::truncate:
      return std::trunc(x);
  }
  return x;
}

}  // namespace zeropoint
