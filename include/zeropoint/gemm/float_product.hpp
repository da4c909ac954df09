#pragma once
#include "zeropoint/core/matrix.hpp"

namespace zeropoint {

/// Y = A·B in float32, by oneDNN in blocks whose sizes do not depend on the number of threads, so
/// that neither does the result. A m×k, B k×n, row-major and contiguous. Throws InputError if the
/// shapes do not multiply.
Matrix<float> float_product(const Matrix<float>& a, const Matrix<float>& b);

}  // namespace zeropoint
