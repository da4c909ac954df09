#pragma once
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/study/row.hpp"

namespace zeropoint {

/// The report's three errors between the true product `y`, its quantization `yq` and the quantized
/// product `pq`, both on the same grid with the same parameters.
struct BothNorms {
  StudyErrors float64;    ///< every sum in double
  StudyErrors float32x8;  ///< every sum in float32, in eight interleaved lanes, front to back
};
/// ‖y − other‖ / ‖y‖ in double; infinite against zeros.
double relative_error(const Matrix<float>& y, const Matrix<float>& other);

/// The three errors of a quantized product.
BothNorms study_errors(const Matrix<float>& y, const QTensor& yq, const QTensor& pq);

/// Excess kurtosis of the entries, in double; 0 for fewer than two values or a constant.
double excess_kurtosis(const Matrix<float>& y);

}  // namespace zeropoint
