#include "zeropoint/gemm/product.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#include "gemm/kernel_int16.hpp"

// A and B are packed into panels of 16-bit integers; the tile kernel multiplies pairs of them into
// 32-bit sums. Codes of 16 bits are split into limbs, code = 256·high + low, and each pair of limbs
// is a product of its own.
//
//            n, in panels of cols()                 each row block of C is one task:
//          ┌────┬────┬────┐                          for segment of k (int32 holds its sums)
//   k, in  │ B  │    │    │                            for limbs of A, B
//   blocks ├────┼────┼────┤                              for block of k, panel of B, tile of A
//          │    │    │    │
//          └────┴────┴────┘

namespace zeropoint {
namespace {

using int16_kernel::kRows;

// 256 × 48 columns × 2 bytes: a panel of B stays in a 32 KiB first-level cache.
constexpr std::size_t kBlockK = 256;
constexpr std::size_t kRowBlock = 48;
// A vector instruction does many terms: this is a term's share of an elementary operation.
constexpr double kOperationsPerTerm = 0.03;
// Limbs are at most 255 in magnitude: 32768 · 255² < 2^31.
constexpr std::size_t kSegmentK = 32768;
static_assert(kSegmentK * 255 * 255 <= std::numeric_limits<std::int32_t>::max());
static_assert(kSegmentK % kBlockK == 0 && kBlockK % 2 == 0 && kRowBlock % kRows == 0);

template <class Code>
constexpr int kLimbs = sizeof(Code) == 1 ? 1 : 2;

// Limb 0 is the low one.
template <class Code>
std::int16_t limb(Code code, int which) {
  if constexpr (sizeof(Code) == 1) return code;
  return static_cast<std::int16_t>(which == 0 ? code & 0xFF : code >> 8);
}

std::uint64_t modular(std::int64_t x) { return static_cast<std::uint64_t>(x); }

constexpr std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }

// Packed panels, padded with zeros: panel p, pair q, line r, the two of a pair adjacent. `lines`
// are rows of A or columns of B; consecutive panels of one limb follow each other.
template <class Code>
void pack_panel(const Code* data, std::ptrdiff_t line_stride, std::ptrdiff_t k_stride,
                std::size_t lines, std::size_t width, std::size_t k, std::size_t padded_k,
                int which, std::int16_t* to) {
  for (std::size_t l = 0; l < padded_k; l += 2) {
    for (std::size_t r = 0; r < width; ++r) {
      for (std::size_t half = 0; half < 2; ++half) {
        const bool inside = r < lines && l + half < k;
        *to++ = inside ? limb(data[static_cast<std::ptrdiff_t>(r) * line_stride +
                                   static_cast<std::ptrdiff_t>(l + half) * k_stride],
                              which)
                       : std::int16_t{0};
      }
    }
  }
}

template <class Code>
std::int64_t reach(std::int32_t zero_point) {
  const std::int64_t lo = std::numeric_limits<Code>::min();
  const std::int64_t hi = std::numeric_limits<Code>::max();
  return std::max(std::abs(lo - zero_point), std::abs(hi - zero_point));
}

// The largest |S| that codes of these types can give; in long double, as it may exceed 64 bits.
template <class CodeA, class CodeB>
long double bound(std::size_t k, std::int32_t zero_point_a, std::int32_t zero_point_b) {
  return static_cast<long double>(k) * static_cast<long double>(reach<CodeA>(zero_point_a)) *
         static_cast<long double>(reach<CodeB>(zero_point_b));
}

template <class CodeA, class CodeB>
void check_shapes(MatrixView<const CodeA> a, MatrixView<const CodeB> b) {
  if (a.cols != b.rows) {
    throw InputError(
        fmt::format("product: expected as many columns in A as rows in B, found {}x{} and {}x{}",
                    a.rows, a.cols, b.rows, b.cols));
  }
}

template <class T, class CodeA, class CodeB>
void check_output(MatrixView<T> out, MatrixView<const CodeA> a, MatrixView<const CodeB> b) {
  if (out.rows != a.rows || out.cols != b.cols) {
    throw InputError(fmt::format("product: expected an output of {}x{}, found {}x{}", a.rows,
                                 b.cols, out.rows, out.cols));
  }
}

}  // namespace

template <class CodeA, class CodeB>
void product_rows(MatrixView<const CodeA> a, MatrixView<const CodeB> b, std::int32_t zero_point_a,
                  std::int32_t zero_point_b, const RowSink& sink) {
  check_shapes(a, b);
  const std::size_t m = a.rows;
  const std::size_t k = a.cols;
  const std::size_t n = b.cols;
  if (bound<CodeA, CodeB>(k, zero_point_a, zero_point_b) >
      static_cast<long double>(std::numeric_limits<std::int64_t>::max())) {
    throw InputError(fmt::format(
        "product: expected sums within 64 bits, found k = {} with zero points {} and {}", k,
        zero_point_a, zero_point_b));
  }
  if (m == 0 || n == 0) return;

  const auto kernel = int16_kernel::kernel();
  const std::size_t tile_cols = int16_kernel::cols();
  const std::size_t panels = (n + tile_cols - 1) / tile_cols;
  const std::size_t padded_n = panels * tile_cols;
  const std::size_t padded_k = round_up(k, 2);
  const std::size_t panel_size = padded_k * tile_cols;

  // B once for all: [limb][panel][pair][column][2], and its column sums for z_a.
  std::vector<std::int16_t> packed_b(kLimbs<CodeB> * panels * panel_size);
  std::vector<std::int64_t> column_sums(n, 0);
  parallel_for(
      panels, 1,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t panel = begin; panel < end; ++panel) {
          const std::size_t j = panel * tile_cols;
          const std::size_t width = std::min(tile_cols, n - j);
          for (int which = 0; which < kLimbs<CodeB>; ++which) {
            pack_panel(b.data + static_cast<std::ptrdiff_t>(j) * b.col_stride, b.col_stride,
                       b.row_stride, width, tile_cols, k, padded_k, which,
                       packed_b.data() + (which * panels + panel) * panel_size);
          }
          if (zero_point_a == 0) continue;
          for (std::size_t l = 0; l < k; ++l) {
            for (std::size_t c = j; c < j + width; ++c) column_sums[c] += b(l, c);
          }
        }
      },
      static_cast<double>(k) * static_cast<double>(n));
  const auto constant = static_cast<std::int64_t>(k) * zero_point_a * zero_point_b;

  parallel_for(
      m, kRowBlock,
      [&](std::size_t begin, std::size_t end) {
        const std::size_t rows = end - begin;
        const std::size_t tiles = (rows + kRows - 1) / kRows;
        std::vector<std::int16_t> packed_a(kLimbs<CodeA> * tiles * kRows * padded_k);
        for (int which = 0; which < kLimbs<CodeA>; ++which) {
          for (std::size_t tile = 0; tile < tiles; ++tile) {
            const std::size_t i = begin + tile * kRows;
            pack_panel(a.data + static_cast<std::ptrdiff_t>(i) * a.row_stride, a.row_stride,
                       a.col_stride, std::min(kRows, end - i), kRows, k, padded_k, which,
                       packed_a.data() + (which * tiles + tile) * kRows * padded_k);
          }
        }

        std::vector<std::int32_t> sums(tiles * kRows * padded_n);
        std::vector<std::int64_t> wide(rows * n, 0);
        for (std::size_t segment = 0; segment < padded_k; segment += kSegmentK) {
          const std::size_t segment_end = std::min(padded_k, segment + kSegmentK);
          for (int limb_a = 0; limb_a < kLimbs<CodeA>; ++limb_a) {
            for (int limb_b = 0; limb_b < kLimbs<CodeB>; ++limb_b) {
              std::ranges::fill(sums, 0);
              for (std::size_t l = segment; l < segment_end; l += kBlockK) {
                const std::size_t pairs = (std::min(segment_end, l + kBlockK) - l) / 2;
                for (std::size_t panel = 0; panel < panels; ++panel) {
                  const auto* b_block =
                      packed_b.data() + (limb_b * panels + panel) * panel_size + l * tile_cols;
                  for (std::size_t tile = 0; tile < tiles; ++tile) {
                    const auto* a_block =
                        packed_a.data() + (limb_a * tiles + tile) * kRows * padded_k + l * kRows;
                    kernel(a_block, b_block, pairs,
                           sums.data() + tile * kRows * padded_n + panel * tile_cols, padded_n);
                  }
                }
              }
              const std::int64_t weight = std::int64_t{1} << (8 * (limb_a + limb_b));
              for (std::size_t i = 0; i < rows; ++i) {
                for (std::size_t j = 0; j < n; ++j)
                  wide[i * n + j] += weight * sums[i * padded_n + j];
              }
            }
          }
        }

        for (std::size_t i = 0; i < rows; ++i) {
          std::int64_t row_sum = 0;
          if (zero_point_b != 0) {
            for (std::size_t l = 0; l < k; ++l) row_sum += a(begin + i, l);
          }
          const std::span<std::int64_t> row(wide.data() + i * n, n);
          // Modulo 2^64: S fits, but the terms that make it up need not.
          const auto shift = modular(constant) - modular(zero_point_b) * modular(row_sum);
          for (std::size_t j = 0; j < n; ++j) {
            row[j] = static_cast<std::int64_t>(modular(row[j]) + shift -
                                               modular(zero_point_a) * modular(column_sums[j]));
          }
          sink(begin + i, row);
        }
      },
      kOperationsPerTerm * static_cast<double>(m) * static_cast<double>(k) *
          static_cast<double>(n));
}

template <class CodeA, class CodeB>
void product_int32(MatrixView<const CodeA> a, MatrixView<const CodeB> b, std::int32_t zero_point_a,
                   std::int32_t zero_point_b, MatrixView<std::int32_t> out) {
  check_output(out, a, b);
  if (bound<CodeA, CodeB>(a.cols, zero_point_a, zero_point_b) >
      static_cast<long double>(std::numeric_limits<std::int32_t>::max())) {
    throw InputError(
        fmt::format("product: expected sums within int32, found k = {} with zero points {} and {}",
                    a.cols, zero_point_a, zero_point_b));
  }
  product_rows(a, b, zero_point_a, zero_point_b,
               [&](std::size_t i, std::span<const std::int64_t> row) {
                 for (std::size_t j = 0; j < row.size(); ++j) {
                   out(i, j) = static_cast<std::int32_t>(row[j]);
                 }
               });
}

template <class CodeA, class CodeB>
void product_dequantized(MatrixView<const CodeA> a, MatrixView<const CodeB> b,
                         std::int32_t zero_point_a, std::int32_t zero_point_b, double scale,
                         MatrixView<float> out) {
  check_output(out, a, b);
  product_rows(a, b, zero_point_a, zero_point_b,
               [&](std::size_t i, std::span<const std::int64_t> row) {
                 for (std::size_t j = 0; j < row.size(); ++j) {
                   out(i, j) = static_cast<float>(scale * static_cast<double>(row[j]));
                 }
               });
}

std::int32_t requantize(std::int64_t sum, const Requantization& how) {
  const auto scaled = static_cast<float>(how.multiplier * static_cast<double>(sum));
  const auto z = static_cast<float>(how.zero_point);
  const float rounded = how.zero_point_before_rounding ? round_to_integer(scaled + z, how.rounding)
                                                       : round_to_integer(scaled, how.rounding) + z;
  return static_cast<std::int32_t>(
      std::clamp(rounded, static_cast<float>(how.lo), static_cast<float>(how.hi)));
}

template <class CodeA, class CodeB, class CodeY>
void product_requantized(MatrixView<const CodeA> a, MatrixView<const CodeB> b,
                         std::int32_t zero_point_a, std::int32_t zero_point_b,
                         const Requantization& how, MatrixView<CodeY> out) {
  check_output(out, a, b);
  if (how.lo > how.hi || how.lo < std::numeric_limits<CodeY>::min() ||
      how.hi > std::numeric_limits<CodeY>::max()) {
    throw InputError(fmt::format("product: expected output codes within [{}, {}], found [{}, {}]",
                                 std::numeric_limits<CodeY>::min(),
                                 std::numeric_limits<CodeY>::max(), how.lo, how.hi));
  }
  product_rows(a, b, zero_point_a, zero_point_b,
               [&](std::size_t i, std::span<const std::int64_t> row) {
                 for (std::size_t j = 0; j < row.size(); ++j) {
                   out(i, j) = static_cast<CodeY>(requantize(row[j], how));
                 }
               });
}

#define ZEROPOINT_REQUANTIZED(A, B, Y)                                                      \
  template void product_requantized(MatrixView<const A>, MatrixView<const B>, std::int32_t, \
                                    std::int32_t, const Requantization&, MatrixView<Y>);
#define ZEROPOINT_PRODUCTS(A, B)                                                                   \
  template void product_rows(MatrixView<const A>, MatrixView<const B>, std::int32_t, std::int32_t, \
                             const RowSink&);                                                      \
  template void product_int32(MatrixView<const A>, MatrixView<const B>, std::int32_t,              \
                              std::int32_t, MatrixView<std::int32_t>);                             \
  template void product_dequantized(MatrixView<const A>, MatrixView<const B>, std::int32_t,        \
                                    std::int32_t, double, MatrixView<float>);                      \
  ZEROPOINT_REQUANTIZED(A, B, std::int8_t)                                                         \
  ZEROPOINT_REQUANTIZED(A, B, std::uint8_t)                                                        \
  ZEROPOINT_REQUANTIZED(A, B, std::int16_t)                                                        \
  ZEROPOINT_REQUANTIZED(A, B, std::uint16_t)
#define ZEROPOINT_PRODUCTS_OF(A)      \
  ZEROPOINT_PRODUCTS(A, std::int8_t)  \
  ZEROPOINT_PRODUCTS(A, std::uint8_t) \
  ZEROPOINT_PRODUCTS(A, std::int16_t) \
  ZEROPOINT_PRODUCTS(A, std::uint16_t)
ZEROPOINT_PRODUCTS_OF(std::int8_t)
ZEROPOINT_PRODUCTS_OF(std::uint8_t)
ZEROPOINT_PRODUCTS_OF(std::int16_t)
ZEROPOINT_PRODUCTS_OF(std::uint16_t)

}  // namespace zeropoint
