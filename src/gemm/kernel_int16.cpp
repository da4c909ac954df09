// Vectors whose size the compiler does not know cannot stand in arrays, as they do below.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif

#include "gemm/kernel_int16.hpp"

#include <cstring>

#include "core/vector_target.hpp"

// Compiled once for each instruction set by Highway; the best is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "gemm/kernel_int16.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors in a tile's row. With 4 rows: 12 accumulators, 3 of B and 1 of A fit 16 registers.
constexpr std::size_t kVectors = 3;
constexpr std::size_t kRows = int16_kernel::kRows;

#if HWY_TARGET == HWY_SCALAR

// Machines without vectors, or whose vectors Highway does not know.
constexpr std::size_t kCols = 4 * kVectors;

std::size_t Cols() { return kCols; }

void Tile(const std::int16_t* a, const std::int16_t* b, std::size_t pairs, std::int32_t* c,
          std::size_t stride) {
  for (std::size_t l = 0; l < 2 * pairs; ++l) {
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::int32_t x = a[(l / 2 * kRows + r) * 2 + l % 2];
      for (std::size_t j = 0; j < kCols; ++j) {
        c[r * stride + j] += x * b[(l / 2 * kCols + j) * 2 + l % 2];
      }
    }
  }
}

#else

using Wide = hn::ScalableTag<std::int32_t>;
using Narrow = hn::Repartition<std::int16_t, Wide>;

std::size_t Cols() { return kVectors * hn::Lanes(Wide()); }

void Tile(const std::int16_t* HWY_RESTRICT a, const std::int16_t* HWY_RESTRICT b, std::size_t pairs,
          std::int32_t* HWY_RESTRICT c, std::size_t stride) {
  const Wide wide;
  const Narrow narrow;
  const std::size_t lanes = hn::Lanes(wide);
  using Sum = hn::Vec<Wide>;
  // Some instruction sets keep odd and even products apart; `other` is theirs, and stays an
  // unused zero on x86.
  Sum sum[kRows][kVectors];
  Sum other[kRows][kVectors];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = other[r][v] = hn::Zero(wide);
  }
  for (std::size_t p = 0; p < pairs; ++p) {
    const auto b0 = hn::LoadU(narrow, b);
    const auto b1 = hn::LoadU(narrow, b + 2 * lanes);
    const auto b2 = hn::LoadU(narrow, b + 4 * lanes);
    b += 2 * kVectors * lanes;
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      std::int32_t pair;
      std::memcpy(&pair, a + 2 * r, sizeof pair);
      const auto ar = hn::BitCast(narrow, hn::Set(wide, pair));
      sum[r][0] = hn::ReorderWidenMulAccumulate(wide, ar, b0, sum[r][0], other[r][0]);
      sum[r][1] = hn::ReorderWidenMulAccumulate(wide, ar, b1, sum[r][1], other[r][1]);
      sum[r][2] = hn::ReorderWidenMulAccumulate(wide, ar, b2, sum[r][2], other[r][2]);
    }
    a += 2 * kRows;
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto total = hn::RearrangeToOddPlusEven(sum[r][v], other[r][v]);
      std::int32_t* to = c + r * stride + v * lanes;
      hn::StoreU(hn::Add(hn::LoadU(wide, to), total), wide, to);
    }
  }
}

#endif

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {
HWY_EXPORT(Cols);
HWY_EXPORT(Tile);

namespace int16_kernel {
std::size_t cols() noexcept { return HWY_DYNAMIC_DISPATCH(Cols)(); }
Kernel kernel() noexcept {
  choose_vector_target();
  return HWY_DYNAMIC_DISPATCH(Tile);
}
}  // namespace int16_kernel
}  // namespace zeropoint
#endif
