#pragma once
#include <vector>

namespace zeropoint {

/// How far levels are from the means of their cells, and how that changes as they move: a line for
/// each level, with its own derivative and those by its neighbours.
struct CellMeans {
  std::vector<double> off, below, own, above;
};

/// The step that takes all of `off` away, were it linear (Thomas's algorithm).
std::vector<double> newton_step(CellMeans cells);

}  // namespace zeropoint
