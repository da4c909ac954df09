#include "zeropoint/gemm/reference.hpp"

namespace zeropoint {

void outer_product_product(MatrixView<const std::int8_t> a, MatrixView<const std::int8_t> b,
                           std::int32_t zero_point_a, std::int32_t zero_point_b,
                           MatrixView<std::int32_t> out) {
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t j = 0; j < out.cols; ++j) out(i, j) = 0;
  }
  Matrix<std::int32_t> outer(out.rows, out.cols);
  for (std::size_t l = 0; l < a.cols; ++l) {
    for (std::size_t i = 0; i < out.rows; ++i) {
      for (std::size_t j = 0; j < out.cols; ++j) {
        outer(i, j) = (a(i, l) - zero_point_a) * (b(l, j) - zero_point_b);
      }
    }
    for (std::size_t i = 0; i < out.rows; ++i) {
      for (std::size_t j = 0; j < out.cols; ++j) out(i, j) += outer(i, j);
    }
  }
}

}  // namespace zeropoint
