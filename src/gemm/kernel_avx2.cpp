#include "gemm/kernel_rows.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include "gemm/pack_avx2.hpp"
#include "gemm/pack_plain.hpp"

// Pairs of 16-bit integers: vpmaddubsw saturates, as two products of 8 bits can exceed 16. Where
// they could not, its sums would still be widened by vpmaddwd, which is as many multiplications.
//
// clang-format off
#define ZEROPOINT_TILE_TARGET ZEROPOINT_AVX2
#define ZEROPOINT_DOT(r, c0, c1, a)                                            \
  ZEROPOINT_IF_ROW(r, "vpbroadcastd " a ", %%ymm14\n"                          \
                      "vpmaddwd %%ymm12, %%ymm14, %%ymm15\n"                   \
                      ZEROPOINT_IF_TWO("vpmaddwd %%ymm13, %%ymm14, %%ymm14\n") \
                      "vpaddd %%ymm15, %%ymm" c0 ", %%ymm" c0 "\n"             \
                      ZEROPOINT_IF_TWO("vpaddd %%ymm14, %%ymm" c1 ", %%ymm" c1 "\n"))
// clang-format on
#include "gemm/tile_6x16.hpp"

namespace zeropoint {
namespace {

template <bool Signed>
ZEROPOINT_AVX2 inline __m256i widen(__m128i x) {
  return Signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x);
}

// A panel's vector: stored, summed.
ZEROPOINT_AVX2 inline __m256i put(__m256i x, __m256i sums, std::uint8_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
  return _mm256_add_epi32(sums, _mm256_madd_epi16(x, _mm256_set1_epi16(1)));
}

// 8 or 16 columns whose elements lie side by side in memory: two rows of B become one or two
// vectors.
template <bool Signed, bool Two>
ZEROPOINT_AVX2 void pack_columns(const std::uint8_t* from, std::ptrdiff_t k_stride,
                                 std::size_t lines, std::size_t k, std::uint8_t* to,
                                 std::size_t step, std::int32_t* sums) {
  const std::size_t columns = Two ? 16 : 8;
  __m256i sum0 = _mm256_setzero_si256();
  __m256i sum1 = _mm256_setzero_si256();
  for (std::size_t l = 0; l < k; l += 2) {
    __m128i even;
    __m128i odd;
    if (l + 2 <= k && lines == columns) {
      const auto* at = reinterpret_cast<const __m128i*>(from);
      const auto* next = reinterpret_cast<const __m128i*>(from + k_stride);
      even = Two ? _mm_loadu_si128(at) : _mm_loadl_epi64(at);
      odd = Two ? _mm_loadu_si128(next) : _mm_loadl_epi64(next);
    } else {
      even = load_up_to_16(from, lines);
      odd = l + 2 <= k ? load_up_to_16(from + k_stride, lines) : _mm_setzero_si128();
    }
    from += 2 * k_stride;
    sum0 = put(widen<Signed>(_mm_unpacklo_epi8(even, odd)), sum0, to);
    if constexpr (Two) sum1 = put(widen<Signed>(_mm_unpackhi_epi8(even, odd)), sum1, to + 32);
    to += step;
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), sum0);
  if constexpr (Two) _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8), sum1);
}

// 8 columns, each contiguous along k.
template <bool Signed>
ZEROPOINT_AVX2 void pack_transposed(const EightColumns& columns, std::size_t k, std::uint8_t* to,
                                    std::size_t step, std::int32_t* sums) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i sum = zero;
  const std::size_t groups = (k + 1) / 2;
  // Groups g and g + 1, side by side in each half.
  const auto two = [&](__m256i x, std::size_t g) ZEROPOINT_AVX2 {
    if (g >= groups) return;
    const __m256i high = Signed ? _mm256_cmpgt_epi8(zero, x) : zero;
    sum = put(_mm256_unpacklo_epi8(x, high), sum, to + step * g);
    if (g + 1 < groups) sum = put(_mm256_unpackhi_epi8(x, high), sum, to + step * (g + 1));
  };
  for (std::size_t l = 0; l < k; l += 16) {
    __m256i x0, x1, x2, x3;
    const std::size_t left = k - l;
    if (left >= 16 && columns.lines == 8) {
      x0 = columns.whole_pair(0, l);
      x1 = columns.whole_pair(1, l);
      x2 = columns.whole_pair(2, l);
      x3 = columns.whole_pair(3, l);
    } else {
      const std::size_t depth = left < 16 ? left : 16;
      x0 = columns.pair(0, l, depth);
      x1 = columns.pair(1, l, depth);
      x2 = columns.pair(2, l, depth);
      x3 = columns.pair(3, l, depth);
    }
    const __m256i y0 = _mm256_unpacklo_epi16(x0, x1);
    const __m256i y1 = _mm256_unpackhi_epi16(x0, x1);
    const __m256i y2 = _mm256_unpacklo_epi16(x2, x3);
    const __m256i y3 = _mm256_unpackhi_epi16(x2, x3);
    two(_mm256_unpacklo_epi32(y0, y2), l / 2);
    two(_mm256_unpackhi_epi32(y0, y2), l / 2 + 2);
    two(_mm256_unpacklo_epi32(y1, y3), l / 2 + 4);
    two(_mm256_unpackhi_epi32(y1, y3), l / 2 + 6);
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), sum);
}

template <bool Signed>
ZEROPOINT_AVX2 void pack_of(const PackTask& task) noexcept {
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  const std::size_t step = 4 * task.columns;
  const auto lines_from = [&](std::size_t j, std::size_t most) {
    return task.lines > j ? std::min(task.lines - j, most) : 0;
  };
  if (task.line_stride == 1) {
    std::size_t j = 0;
    for (; j + 16 <= task.columns; j += 16) {
      pack_columns<Signed, true>(from + j, task.k_stride, lines_from(j, 16), task.k,
                                 task.panel + 4 * j, step, task.sums + j);
    }
    if (j < task.columns) {
      pack_columns<Signed, false>(from + j, task.k_stride, lines_from(j, 8), task.k,
                                  task.panel + 4 * j, step, task.sums + j);
    }
    return;
  }
  for (std::size_t j = 0; j < task.columns; j += 8) {
    const EightColumns columns{from + static_cast<std::ptrdiff_t>(j) * task.line_stride,
                               task.line_stride, lines_from(j, 8)};
    pack_transposed<Signed>(columns, task.k, task.panel + 4 * j, step, task.sums + j);
  }
}

void pack(const PackTask& task) noexcept {
  if (task.line_stride != 1 && task.k_stride != 1) return pack_plain<std::int16_t>(task, 0);
  if (task.is_signed) return pack_of<true>(task);
  pack_of<false>(task);
}

// One row that is contiguous along k, from element l on, 16 at a time; the last `rest` with a mask.
template <bool Signed, bool Copy>
struct Row {
  const std::uint8_t* from;
  std::uint8_t* to;

  ZEROPOINT_AVX2 inline void add(std::size_t l, __m256i& sum) const {
    const __m256i x = widen<Signed>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + l)));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, _mm256_set1_epi16(1)));
    if constexpr (Copy) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * l), x);
  }
  ZEROPOINT_AVX2 inline void add_rest(std::size_t l, std::size_t rest, __m256i& sum) const {
    const __m256i x = widen<Signed>(load_up_to_16(from + l, rest));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, _mm256_set1_epi16(1)));
    if constexpr (Copy) {
      const __m256i groups = first_bytes((rest + 1) / 2 * 4);
      _mm256_maskstore_epi32(reinterpret_cast<int*>(to + 2 * l), groups, x);
    }
  }
};

// Four rows, or one: their sums, and with `Copy` what the tile takes.
template <bool Signed, bool Copy, bool Four>
ZEROPOINT_AVX2 __m128i sum_rows(const RowTask& task, std::size_t first) {
  const auto row = [&](std::size_t r) {
    const auto i = static_cast<std::ptrdiff_t>(first + (Four ? r : 0));
    return Row<Signed, Copy>{static_cast<const std::uint8_t*>(task.codes) + i * task.row_stride,
                             Copy ? task.to + i * task.to_row : nullptr};
  };
  const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
  __m256i s0 = _mm256_setzero_si256();
  __m256i s1 = s0, s2 = s0, s3 = s0;
  std::size_t l = 0;
  for (; l + 16 <= task.k; l += 16) {
    r0.add(l, s0);
    if constexpr (!Four) continue;
    r1.add(l, s1);
    r2.add(l, s2);
    r3.add(l, s3);
  }
  if (const std::size_t rest = task.k - l; rest != 0) {
    r0.add_rest(l, rest, s0);
    if constexpr (Four) {
      r1.add_rest(l, rest, s1);
      r2.add_rest(l, rest, s2);
      r3.add_rest(l, rest, s3);
    }
  }
  return sums_of_four(s0, s1, s2, s3);
}

template <bool Signed, bool Copy>
ZEROPOINT_AVX2 void sum_all_rows(const RowTask& task) {
  std::size_t i = 0;
  for (; i + 4 <= task.rows; i += 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(task.sums + i),
                     sum_rows<Signed, Copy, true>(task, i));
  }
  for (; i < task.rows; ++i)
    task.sums[i] = _mm_cvtsi128_si32(sum_rows<Signed, Copy, false>(task, i));
}

void rows_of_a(const RowTask& task) noexcept {
  if (task.k_stride != 1) return rows_plain<std::int16_t>(task, 0);
  if (task.is_signed) {
    return task.to != nullptr ? sum_all_rows<true, true>(task) : sum_all_rows<true, false>(task);
  }
  return task.to != nullptr ? sum_all_rows<false, true>(task) : sum_all_rows<false, false>(task);
}

bool supported() noexcept { return __builtin_cpu_supports("avx2"); }

}  // namespace

const Kernel kernel_avx2{.name = "s16s16s32_6x16c2_avx2",
                         .supported = supported,
                         .element = 2,
                         .a_signed = true,
                         .b_signed = true,
                         .rows = kRows,
                         .lanes = kLanes,
                         .vectors = kVectors,
                         .last_vectors = kVectors,
                         .tile = tile,
                         .pack = pack,
                         .rows_of_a = rows_of_a};

}  // namespace zeropoint

#endif
