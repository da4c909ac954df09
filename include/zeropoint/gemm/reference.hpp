#pragma once
#include <cstdint>

#include "zeropoint/core/matrix.hpp"

namespace zeropoint {

/// References for the quantized product: slow, plain, and right. out is m×n, S as in qgemm.hpp.

/// Three loops over i, j, l.
template <class CodeA, class CodeB>
void triple_loop_product(MatrixView<const CodeA> a, MatrixView<const CodeB> b,
                         std::int32_t zero_point_a, std::int32_t zero_point_b,
                         MatrixView<std::int64_t> out) {
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t j = 0; j < out.cols; ++j) {
      std::int64_t sum = 0;
      for (std::size_t l = 0; l < a.cols; ++l) {
        sum += (std::int64_t{a(i, l)} - zero_point_a) * (std::int64_t{b(l, j)} - zero_point_b);
      }
      out(i, j) = sum;
    }
  }
}

/// The report's way: for each l, the outer product of column l of A and row l of B is made as a
/// matrix of its own and added to the sum. int32, as the report's code had it.
void outer_product_product(MatrixView<const std::int8_t> a, MatrixView<const std::int8_t> b,
                           std::int32_t zero_point_a, std::int32_t zero_point_b,
                           MatrixView<std::int32_t> out);

}  // namespace zeropoint
