#pragma once
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Joint moments of an operand's entry x and its quantized value q.
struct OperandMoments {
  double x = 0;   ///< E[x]
  double q = 0;   ///< E[q]
  double xx = 0;  ///< E[x²]
  double xq = 0;  ///< E[x·q]; ρ = xq/xx
  double qq = 0;  ///< E[q²]; p = qq/xx
};

/// By integrating cell by cell over the distribution: exact for any range, grid and rounding rule.
OperandMoments moments(const Distribution& distribution, QuantParams params,
                       const IntegerGrid& grid, const Convention& convention);

/// Measured on data.
OperandMoments moments(const Matrix<float>& x, const QTensor& q);

}  // namespace zeropoint
