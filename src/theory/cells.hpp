#pragma once
#include <vector>

#include "zeropoint/quantize/params.hpp"

namespace zeropoint {

/// The quantizer as a step function of the reals: code lo + i for x between edges[i] and
/// edges[i + 1], standing for values[i]. The outermost edges are infinite.
struct Cells {
  std::vector<double> edges;   ///< levels + 1, ascending
  std::vector<double> values;  ///< levels

  std::size_t count() const { return values.size(); }
  /// Index of the cell that holds x.
  std::size_t at(double x) const;
};

Cells make_cells(QuantParams params, const IntegerGrid& grid, const Convention& convention);

}  // namespace zeropoint
