#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/gemm/operand.hpp"
#include "zeropoint/gemm/requantization.hpp"

namespace zeropoint {

/// The quantized product. With A (m×k) and B (k×n) codes, z_a and z_b their zero points,
///
///   S_ij = Σ_l (a_il − z_a)(b_lj − z_b) = Σ_l a_il·b_lj − z_a Σ_l b_lj − z_b Σ_l a_il + k·z_a·z_b,
///
/// exactly, for any m, n, k ≥ 0, any strides and any zero points: where the sum could exceed 32
/// bits it is made in 64. Results are bit-identical on every instruction set and thread count.
/// Threads: set_threads(); little work stays on the calling thread. Calls from several threads at
/// once are safe, as long as no output overlaps another output or an input. Inputs and outputs must
/// not overlap. All throw InputError if shapes do not fit each other, or if codes and zero points
/// of these kinds could make sums beyond 64 bits (k·max|a − z_a|·max|b − z_b|).

/// S itself. Throws InputError if an element exceeds int32, naming the first; rows of y before it
/// may have been written.
void qgemm(const Operand& a, const RightOperand& b, MatrixView<std::int32_t> y);

/// S in 64 bits.
void qgemm(const Operand& a, const RightOperand& b, MatrixView<std::int64_t> y);

/// A scale for a whole operand, or for each row of A or column of B; those are not owned.
struct Scales {
  Scales(float all = 1) : value(all) {}
  Scales(std::span<const float> of_each) : each(of_each) {}
  Scales(const std::vector<float>& of_each) : each(of_each) {}

  float value = 1;
  std::span<const float> each;  ///< empty: `value` is that of all
};

/// How S becomes real: y_ij = (s_a,i · s_b,j) · S_ij + bias_j, in float32, each of the four steps
/// (S to float32, two products, the sum) rounded to nearest.
struct Dequantization {
  Scales a, b;
  std::span<const float> bias = {};  ///< empty, or one a column
};

void qgemm(const Operand& a, const RightOperand& b, const Dequantization& how, MatrixView<float> y);

/// y_q,ij = requantize(S_ij). Throws InputError unless lo ≤ hi are codes of the output's type.
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::int8_t> y);
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::uint8_t> y);
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::int16_t> y);
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::uint16_t> y);

}  // namespace zeropoint
