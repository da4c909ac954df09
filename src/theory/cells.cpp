#include "theory/cells.hpp"

#include <algorithm>
#include <limits>

namespace zeropoint {
namespace {

// The smallest real v that rounds to `code` or above.
double lower_edge(double code, Rounding rounding) {
  switch (rounding) {
    case Rounding::floor:
      return code;
    case Rounding::truncate:
      return code > 0 ? code : code - 1;
    case Rounding::ceil:
      return code - 1;
    case Rounding::half_even:
    case Rounding::half_away:
    case Rounding::stochastic:
      break;
  }
  return code - 0.5;
}

}  // namespace

std::size_t Cells::at(double x) const {
  const auto above = std::upper_bound(edges.begin() + 1, edges.end() - 1, x);
  return static_cast<std::size_t>(above - edges.begin()) - 1;
}

Cells make_cells(QuantParams params, const IntegerGrid& grid, const Convention& convention) {
  // What is rounded is x/s + z, or x/s if the zero point is added afterwards.
  const bool before = convention.order == ZeroPointOrder::before_rounding;
  const double scale = params.scale;
  const double z = params.zero_point;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Cells cells;
  for (int code = grid.lo(); code <= grid.hi(); ++code) {
    const double edge = before ? lower_edge(code, convention.rounding) - z
                               : lower_edge(code - z, convention.rounding);
    cells.edges.push_back(code == grid.lo() ? -kInfinity : scale * edge);
    cells.values.push_back(scale * (code - z));
  }
  cells.edges.push_back(kInfinity);
  return cells;
}

}  // namespace zeropoint
