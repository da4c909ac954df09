#pragma once
#include <span>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/transforms/hadamard.hpp"

namespace zeropoint {

/// One factor for each index j along k of A (m×k) and B (k×n), s_j = max|A_:j|^α / max|B_j:|^(1−α),
/// to divide A's columns and multiply B's rows by: what is hard to quantize in one operand moves to
/// the other (Xiao et al., "SmoothQuant", arXiv 2211.10438, equation 4). 1 where either maximum is
/// 0; kept within the powers of two beyond which a quotient, a product, s_j or 1/s_j would leave
/// the normal numbers of float32. All values must be finite.
std::vector<float> smoothing_factors(MatrixView<const float> a, MatrixView<const float> b,
                                     double alpha);

/// Multiplies (or divides) in place the entries with index j of every line by factors[j]; what is
/// beyond float32 becomes its largest number.
void multiply_along(MatrixView<float> x, Along along, std::span<const float> factors);
void divide_along(MatrixView<float> x, Along along, std::span<const float> factors);

}  // namespace zeropoint
