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

/// Of the whole distribution (no sample), by integrating cell by cell: exact for any range,
/// grid and rounding rule. Of a sample: its tails through their expected order
/// statistics, as a range taken from the sample itself clips less of it than of the distribution.
OperandMoments moments(const Distribution& distribution, QuantParams params,
                       const IntegerGrid& grid, const Convention& convention,
                       const SampleRange& sample = {});

/// Measured on data.
OperandMoments moments(const Matrix<float>& x, const QTensor& q);

}  // namespace zeropoint
