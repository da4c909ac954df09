#include "zeropoint/gemm/float_product.hpp"

#include <algorithm>
#include <oneapi/dnnl/dnnl.h>

#include <fmt/format.h>
#include <omp.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

// Blocks of the output: large enough for oneDNN to run at speed, small enough to share out.
constexpr std::size_t kBlockRows = 512;
constexpr std::size_t kBlockCols = 1536;

}  // namespace

Matrix<float> float_product(const Matrix<float>& a, const Matrix<float>& b) {
  if (a.cols() != b.rows()) {
    throw InputError(
        fmt::format("product: expected as many columns in A as rows in B, found {}x{} and {}x{}",
                    a.rows(), a.cols(), b.rows(), b.cols()));
  }
  const std::size_t m = a.rows();
  const std::size_t k = a.cols();
  const std::size_t n = b.cols();
  Matrix<float> y(m, n);
  if (m == 0 || n == 0) return y;
  if (k == 0) {
    std::ranges::fill(y.values(), 0.0F);
    return y;
  }
  const std::size_t block_cols = (n + kBlockCols - 1) / kBlockCols;
  const std::size_t blocks = ((m + kBlockRows - 1) / kBlockRows) * block_cols;
  parallel_for(blocks, 1, [&](std::size_t begin, std::size_t end) {
    // oneDNN splits sums differently on different numbers of threads: keep it to this one.
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_status_t status = dnnl_success;
    for (std::size_t block = begin; block < end && status == dnnl_success; ++block) {
      const std::size_t i = block / block_cols * kBlockRows;
      const std::size_t j = block % block_cols * kBlockCols;
      status = dnnl_sgemm('N', 'N', static_cast<dnnl_dim_t>(std::min(kBlockRows, m - i)),
                          static_cast<dnnl_dim_t>(std::min(kBlockCols, n - j)),
                          static_cast<dnnl_dim_t>(k), 1.0F, a.data() + i * k,
                          static_cast<dnnl_dim_t>(k), b.data() + j, static_cast<dnnl_dim_t>(n),
                          0.0F, y.data() + i * n + j, static_cast<dnnl_dim_t>(n));
    }
    omp_set_num_threads(before);
    if (status != dnnl_success) {
      throw WorkError(
          fmt::format("product: oneDNN failed with status {}", static_cast<int>(status)));
    }
  });
  return y;
}

}  // namespace zeropoint
