// Near its minimum at c*, the squared error of n numbers at levels c is D(c*) + g·(c − c*) +
// (c − c*)·H·(c − c*)/2, with D's Hessian H and a chance gradient g of mean 0 and covariance V/n.
// So fitted levels leave g·H⁻¹·g/2 less than c*: tr(H⁻¹V)/2n in the mean.
#include "theory/fitted_levels.hpp"

#include <cmath>
#include <cstddef>
#include <limits>

#include <fmt/format.h>

#include "theory/distortion.hpp"
#include "theory/limits_rows.hpp"

namespace zeropoint {
namespace {

// A symmetric matrix with nothing but a diagonal and its neighbours: next[k] joins k and k + 1.
struct ThreeDiagonals {
  std::vector<double> own, next;
};

// The diagonal of the inverse, by pivots from above and from below (G. Meurant, SIAM J. Matrix
// Anal. Appl. 13, 1992).
std::vector<double> inverse_diagonal(const ThreeDiagonals& matrix) {
  const std::size_t count = matrix.own.size();
  std::vector<double> above = matrix.own, below = matrix.own;
  for (std::size_t k = 1; k < count; ++k) {
    above[k] -= matrix.next[k - 1] * matrix.next[k - 1] / above[k - 1];
  }
  for (std::size_t k = count - 1; k-- > 0;) {
    below[k] -= matrix.next[k] * matrix.next[k] / below[k + 1];
  }
  std::vector<double> inverse;
  for (std::size_t k = 0; k < count; ++k) {
    inverse.push_back(1 / (above[k] + below[k] - matrix.own[k]));
  }
  return inverse;
}

}  // namespace

FittedLevels fitted_levels(const Distribution& distribution, int bits, double count) {
  FittedLevels fitted;
  if (distribution.atom_probability() > 0) {
    fitted.why_not = fmt::format("levels fitted to {} hang on its atoms", distribution.name());
    return fitted;
  }
  fitted.levels = lloyd_max_limit(distribution, bits).levels;
  const auto& levels = fitted.levels;
  ThreeDiagonals hessian;
  std::vector<double> variances;  // of the gradient, times n
  double error = 0;
  double from = -kInfinity;
  for (std::size_t k = 0; k < levels.size(); ++k) {
    const bool is_last = k + 1 == levels.size();
    const double to = is_last ? kInfinity : (levels[k] + levels[k + 1]) / 2;
    const Mass cell = mass(distribution, from, to);
    const double own = nearest(distribution, levels, from, to).error;
    error += own;
    variances.push_back(4 * own);
    hessian.own.push_back(2 * cell.p);
    if (k > 0) hessian.own[k] += hessian.next[k - 1];
    if (!is_last) {
      // The limit between two levels moves by half of what each does.
      hessian.next.push_back(-distribution.pdf(to) * (levels[k + 1] - levels[k]) / 2);
      hessian.own[k] += hessian.next[k];
    }
    from = to;
  }
  const auto inverse = inverse_diagonal(hessian);
  for (std::size_t k = 0; k < levels.size(); ++k) {
    fitted.overfit += inverse[k] * variances[k] / (2 * count * error);
  }
  // What is left out is about the square of it.
  constexpr double kMost = 0.02;
  if (!(fitted.overfit >= 0 && fitted.overfit < kMost)) {
    fitted.why_not = fmt::format("{} levels fitted to {} numbers of {} stray too far from its own",
                                 levels.size(), count, distribution.name());
  }
  return fitted;
}

}  // namespace zeropoint
