#include "gemm/segments.hpp"

#include <algorithm>
#include <functional>

#include "zeropoint/core/parallel.hpp"

#include "core/scratch.hpp"

// With few rows in A, the time goes into reading B, and B's rows must be read in long pieces: a
// block that holds all of k would be a few lines of memory wide.
//
//            n, 1024 columns a block
//          ┌───────┬───────┐    for each block, on any thread:
//   k, 512 │   B   │       │      for each segment of k: an int32 product of its own,
//   rows a ├───────┼───────┤        added to the block's sums: Σ_l (a − z_a)(b − z_b) is the sum
//  segment │       │       │        of its segments' sums, whatever the zero points
//          └───────┴───────┘      finish the block

namespace zeropoint {
namespace {

constexpr std::size_t kColumns = 1024;
constexpr std::size_t kDepth = 512;
// Beyond, adding up costs more than reading gains (measured with k = n = 4096).
constexpr std::size_t kMostRows = 256;
// Of all of k, a block that is wider than this reads B's rows in pieces that are long enough.
constexpr std::size_t kWideBytes = std::size_t{512} << 10;

}  // namespace

bool is_in_segments(const NarrowProduct& p) {
  return p.packed == nullptr && !p.alone && p.b.col_stride == 1 && p.a.rows <= kMostRows &&
         p.n >= kColumns / 2 && p.k > kDepth && p.k * kColumns > kWideBytes * 2;
}

void multiply_in_segments(const NarrowProduct& p) {
  const std::size_t m = p.a.rows;
  const auto finish = finish_tile(p.as, p.finish.requantization);
  const std::size_t blocks = (p.n + kColumns - 1) / kColumns;
  // At least as many blocks as threads.
  const auto team = static_cast<std::size_t>(threads());
  const std::size_t share = ((p.n + team - 1) / team + 63) / 64 * 64;
  const std::size_t columns_of_block = blocks < team ? std::max<std::size_t>(share, 64) : kColumns;
  parallel_for(
      p.n, columns_of_block,
      [&](std::size_t j, std::size_t end) {
        const std::size_t columns = end - j;
        const std::size_t row = (columns + 15) / 16 * 16;
        Carver counter(nullptr);
        counter.take<std::int32_t>(m * row);
        counter.take<std::int32_t>(m * row);
        const Scratch scratch(counter.used());
        Carver carver(scratch.data());
        auto* const sums = carver.take<std::int32_t>(m * row);
        auto* const part = carver.take<std::int32_t>(m * row);
        for (std::size_t l = 0; l < p.k; l += kDepth) {
          NarrowProduct segment = p;
          const auto from = static_cast<std::ptrdiff_t>(l);
          segment.k = std::min(kDepth, p.k - l);
          segment.n = columns;
          segment.alone = true;
          segment.as = FinishAs::int32;
          segment.finish = {};
          segment.finish.out = l == 0 ? sums : part;
          segment.finish.row_stride = static_cast<std::ptrdiff_t>(row);
          segment.a.data = static_cast<const std::uint8_t*>(p.a.data) + from * p.a.col_stride;
          segment.b.data = static_cast<const std::uint8_t*>(p.b.data) + from * p.b.row_stride +
                           static_cast<std::ptrdiff_t>(j);
          if (!p.zero_b.each.empty()) segment.zero_b.each = p.zero_b.each.subspan(j, columns);
          multiply(segment);
          for (std::size_t i = 0; i < m && l != 0; ++i) {
            for (std::size_t c = 0; c < columns; ++c) sums[i * row + c] += part[i * row + c];
          }
        }
        finish(p.finish, sums, static_cast<std::ptrdiff_t>(row), {0, m, j, columns});
      },
      static_cast<double>(m) * static_cast<double>(p.n) * static_cast<double>(p.k));
}

bool is_row_product(const NarrowProduct& p) {
  return p.kernel->row_product != nullptr && p.a.rows == 1 && p.packed == nullptr &&
         p.b.col_stride == 1 && p.k > 0;
}

void multiply_row(const NarrowProduct& p) {
  const Kernel& kernel = *p.kernel;
  const auto modular = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
  Carver counter(nullptr);
  counter.take<std::uint8_t>(p.k + 64);
  const Scratch scratch(counter.used());
  auto* const a = Carver(scratch.data()).take<std::uint8_t>(p.k + 64);
  std::int32_t row_sum = 0;
  kernel.rows_of_a({.codes = p.a.data,
                    .row_stride = p.a.row_stride,
                    .k_stride = p.a.col_stride,
                    .rows = 1,
                    .k = p.k,
                    .is_signed = p.a.is_signed,
                    .to = a,
                    .to_row = static_cast<std::ptrdiff_t>(p.k + 64),
                    .sums = &row_sum});
  const std::int32_t given_a = p.zero_a.each.empty() ? p.zero_a.value : p.zero_a.each[0];
  const std::uint32_t zero_a = modular(given_a) - modular(kernel.offset_a(p.a.is_signed));
  const auto finish = finish_tile(p.as, p.finish.requantization);
  // A page of each row at least, and some for each thread.
  const auto team = static_cast<std::size_t>(threads());
  const std::size_t columns_of_block =
      p.alone ? p.n : std::max<std::size_t>(1024, (p.n / team + 63) / 64 * 64);
  const auto multiply_columns = [&](std::size_t j, std::size_t end) {
    const std::size_t columns = end - j;
    const std::size_t padded = (columns + 63) / 64 * 64;
    Carver count(nullptr);
    count.take<std::int32_t>(4 * padded);
    const Scratch memory(count.used());
    auto* const products = Carver(memory.data()).take<std::int32_t>(4 * padded);
    std::int32_t* const sums = products + padded;
    kernel.row_product({.a = a,
                        .b = static_cast<const std::uint8_t*>(p.b.data) + j,
                        .k_stride = p.b.row_stride,
                        .k = p.k,
                        .columns = columns,
                        .is_signed = p.b.is_signed,
                        .products = products,
                        .sums = sums,
                        .room = sums + padded});
    for (std::size_t c = 0; c < columns; ++c) {
      const std::int32_t given_b = p.zero_b.each.empty() ? p.zero_b.value : p.zero_b.each[j + c];
      const std::uint32_t zero_b = modular(given_b) - modular(kernel.offset_b(p.b.is_signed));
      const std::uint32_t term =
          modular(sums[c]) - modular(static_cast<std::int64_t>(p.k)) * zero_b;
      products[c] = static_cast<std::int32_t>(modular(products[c]) - zero_a * term -
                                              zero_b * modular(row_sum));
    }
    finish(p.finish, products, static_cast<std::ptrdiff_t>(padded), {0, 1, j, columns});
  };
  // By reference, so that small products take no memory.
  parallel_for(p.n, columns_of_block, std::ref(multiply_columns),
               static_cast<double>(p.n) * static_cast<double>(p.k) / 16);
}

}  // namespace zeropoint
