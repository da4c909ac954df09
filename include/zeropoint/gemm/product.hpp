#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/rounding.hpp"

namespace zeropoint {

/// The quantized product. With A (m×k) and B (k×n) codes, z_a and z_b zero points,
///   S_ij = Σ_l (a_il − z_a)(b_lj − z_b) = Σ_l a_il·b_lj − z_a Σ_l b_lj − z_b Σ_l a_il + k·z_a·z_b,
/// exactly: integer sums are kept in 32 bits as far as they provably fit and continue in 64.
/// Codes are int8_t, uint8_t, int16_t or uint16_t; any m, n, k ≥ 0; any strides.
/// All throw InputError if the shapes do not multiply or if S could exceed 64 bits.
/// Results are bit-identical on every instruction set and thread count.

/// Called with row i of S, each row once, from any of the threads.
using RowSink = std::function<void(std::size_t i, std::span<const std::int64_t> row)>;

template <class CodeA, class CodeB>
void product_rows(MatrixView<const CodeA> a, MatrixView<const CodeB> b, std::int32_t zero_point_a,
                  std::int32_t zero_point_b, const RowSink& sink);

/// S as int32. Throws InputError if k·max|a − z_a|·max|b − z_b| over the code types exceeds int32.
template <class CodeA, class CodeB>
void product_int32(MatrixView<const CodeA> a, MatrixView<const CodeB> b, std::int32_t zero_point_a,
                   std::int32_t zero_point_b, MatrixView<std::int32_t> out);

/// y_ij = scale · S_ij, the scale being s_a·s_b; computed in double, stored as float32.
template <class CodeA, class CodeB>
void product_dequantized(MatrixView<const CodeA> a, MatrixView<const CodeB> b,
                         std::int32_t zero_point_a, std::int32_t zero_point_b, double scale,
                         MatrixView<float> out);

/// How S becomes a code of the output.
struct Requantization {
  double multiplier = 1;             ///< s_a·s_b / s_y
  std::int32_t zero_point = 0;       ///< z_y
  std::int32_t lo = -128, hi = 127;  ///< the output's grid
  Rounding rounding = Rounding::half_even;
  bool zero_point_before_rounding = false;
};

/// One sum: clamp(round(float32(multiplier · S) ⊕ z_y)), in float32 after the product in double.
std::int32_t requantize(std::int64_t sum, const Requantization& how);

/// y_q,ij = requantize(S_ij). Throws InputError unless lo ≤ hi are codes of the output's type.
template <class CodeA, class CodeB, class CodeY>
void product_requantized(MatrixView<const CodeA> a, MatrixView<const CodeB> b,
                         std::int32_t zero_point_a, std::int32_t zero_point_b,
                         const Requantization& how, MatrixView<CodeY> out);

}  // namespace zeropoint
