#include "gemm/wide.hpp"

#include <algorithm>
#include <vector>

#include "zeropoint/core/parallel.hpp"

#include "gemm/narrow.hpp"

// Codes of 16 bits are split into bytes, code = 256·high + low, and each pair of bytes is a product
// of its own by the 8-bit kernel. k is cut so that a part's sums fit 32 bits.

namespace zeropoint {
namespace {

// |element of A · element of B| is at most 255 · 255: 32768 · 255² < 2^31.
constexpr std::size_t kSegmentK = 32768;
static_assert(kSegmentK * 255 * 255 < std::size_t{1} << 31);
// Of the sums that are kept at once, in 64 bits.
constexpr std::size_t kBlockElements = 1 << 20;

std::uint64_t modular(std::int64_t x) { return static_cast<std::uint64_t>(x); }

// The bytes of codes, low one first, as views of 8-bit codes.
std::vector<CodesView> bytes_of(const CodesView& codes) {
  if (codes.bytes == 1) return {codes};
  CodesView low = codes;
  low.bytes = 1;
  low.row_stride *= 2;
  low.col_stride *= 2;
  low.is_signed = false;
  CodesView high = low;
  high.is_signed = codes.is_signed;
  high.data = static_cast<const std::uint8_t*>(codes.data) + 1;
  return {low, high};
}

const std::uint8_t* row_of(const CodesView& codes, std::size_t i) {
  return static_cast<const std::uint8_t*>(codes.data) +
         static_cast<std::ptrdiff_t>(i) * codes.row_stride;
}

template <class Code>
std::int64_t sum_of(const std::uint8_t* row, std::ptrdiff_t stride, std::size_t k) {
  std::int64_t sum = 0;
  for (std::size_t l = 0; l < k; ++l) {
    sum += static_cast<Code>(row[static_cast<std::ptrdiff_t>(l) * stride]);
  }
  return sum;
}

std::int64_t sum_of_row(const CodesView& codes, std::size_t i) {
  return codes.is_signed ? sum_of<std::int8_t>(row_of(codes, i), codes.col_stride, codes.cols)
                         : sum_of<std::uint8_t>(row_of(codes, i), codes.col_stride, codes.cols);
}

}  // namespace

void multiply(const WideProduct& product, const FinishRows& finish) {
  const std::size_t m = product.a.rows;
  const std::size_t k = product.a.cols;
  const std::size_t n = product.n;
  const std::vector<CodesView> limbs_a = bytes_of(product.a);
  std::vector<PackedMatrix> made;
  std::vector<const PackedMatrix*> limbs_b;
  if (product.b.packed != nullptr) {
    limbs_b = {product.b.packed};
  } else {
    for (const CodesView& limb : bytes_of(product.b.plain.codes)) made.emplace_back(Operand(limb));
    for (const PackedMatrix& limb : made) limbs_b.push_back(&limb);
  }
  const Kernel& kernel = PackedAccess::kernel(*limbs_b[0]);

  std::vector<std::uint64_t> column_sums(n, 0);
  for (std::size_t y = 0; y < limbs_b.size(); ++y) {
    for (std::size_t j = 0; j < n; ++j) {
      column_sums[j] += modular(PackedAccess::sums(*limbs_b[y])[j]) << (8 * y);
    }
  }

  const std::size_t block_rows = std::clamp<std::size_t>(kBlockElements / n, 1, m);
  std::vector<std::int32_t> part(block_rows * n);
  std::vector<std::int64_t> sums(block_rows * n);
  for (std::size_t begin = 0; begin < m; begin += block_rows) {
    const std::size_t rows = std::min(block_rows, m - begin);
    std::fill(sums.begin(), sums.end(), 0);
    std::vector<std::int64_t> row_sums(rows * limbs_a.size());
    parallel_for(
        rows, 1,
        [&](std::size_t first, std::size_t last) {
          for (std::size_t r = first; r < last; ++r) {
            for (std::size_t x = 0; x < limbs_a.size(); ++x) {
              row_sums[r * limbs_a.size() + x] = sum_of_row(limbs_a[x], begin + r);
            }
          }
        },
        static_cast<double>(rows) * static_cast<double>(k));

    for (std::size_t x = 0; x < limbs_a.size(); ++x) {
      CodesView a = limbs_a[x];
      a.data = row_of(a, begin);
      a.rows = rows;
      const std::int64_t offset_a = kernel.offset_a(a.is_signed);
      for (std::size_t y = 0; y < limbs_b.size(); ++y) {
        const std::int64_t offset_b = kernel.offset_b(PackedAccess::is_signed(*limbs_b[y]));
        const std::int64_t* of_columns = PackedAccess::sums(*limbs_b[y]);
        for (std::size_t l = 0; l == 0 || l < k; l += kSegmentK) {
          NarrowProduct raw{.kernel = &kernel,
                            .a = a,
                            .zero_a = 0,
                            .packed = limbs_b[y],
                            .b = {},
                            .zero_b = 0,
                            .n = n,
                            .first_k = l,
                            .k = std::min(kSegmentK, k - l),
                            .raw = true};
          raw.finish.out = part.data();
          raw.finish.row_stride = static_cast<std::ptrdiff_t>(n);
          multiply(raw);
          const bool last = l + kSegmentK >= k;
          parallel_for(
              rows, 1,
              [&](std::size_t first, std::size_t end) {
                for (std::size_t r = first; r < end; ++r) {
                  // Σ ab = Σ (a − o_a)(b − o_b) + o_a Σ b + o_b Σ a − k·o_a·o_b, the last three
                  // once.
                  const std::int64_t of_row = row_sums[r * limbs_a.size() + x];
                  const std::uint64_t shift = last ? modular(offset_b) * modular(of_row) -
                                                         k * modular(offset_a) * modular(offset_b)
                                                   : 0;
                  for (std::size_t j = 0; j < n; ++j) {
                    const std::uint64_t of_column =
                        last ? modular(offset_a) * modular(of_columns[j]) : 0;
                    const std::uint64_t more = modular(part[r * n + j]) + shift + of_column;
                    auto& sum = sums[r * n + j];
                    sum = static_cast<std::int64_t>(modular(sum) + (more << (8 * (x + y))));
                  }
                }
              },
              static_cast<double>(rows) * static_cast<double>(n));
        }
      }
    }

    for (std::size_t r = 0; r < rows; ++r) {
      std::uint64_t row_sum = 0;
      for (std::size_t x = 0; x < limbs_a.size(); ++x) {
        row_sum += modular(row_sums[r * limbs_a.size() + x]) << (8 * x);
      }
      const auto& of_a = product.zero_a;
      const auto& of_b = product.zero_b;
      const std::uint64_t z_a = modular(of_a.each.empty() ? of_a.value : of_a.each[begin + r]);
      for (std::size_t j = 0; j < n; ++j) {
        const std::uint64_t z_b = modular(of_b.each.empty() ? of_b.value : of_b.each[j]);
        auto& sum = sums[r * n + j];
        sum = static_cast<std::int64_t>(modular(sum) - z_a * column_sums[j] - z_b * row_sum +
                                        k * z_a * z_b);
      }
    }
    finish(begin, rows, sums.data());
  }
}

}  // namespace zeropoint
