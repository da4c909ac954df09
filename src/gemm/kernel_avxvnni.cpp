#include "gemm/kernel_rows.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include "gemm/pack_avx2.hpp"
#include "gemm/pack_plain.hpp"

#define ZEROPOINT_AVXVNNI __attribute__((target("avx2,avxvnni")))

// vpdpbusd's first operand (here the last but one) is B's, unsigned. {vex}: processors without
// AVX-512 know no other encoding.
//
// clang-format off
#define ZEROPOINT_TILE_TARGET ZEROPOINT_AVXVNNI
#define ZEROPOINT_DOT(r, c0, c1, a)                                      \
  ZEROPOINT_IF_ROW(r, "vpbroadcastd " a ", %%ymm14\n"                    \
                      "%{vex%} vpdpbusd %%ymm14, %%ymm12, %%ymm" c0 "\n" \
                      ZEROPOINT_IF_TWO("%{vex%} vpdpbusd %%ymm14, %%ymm13, %%ymm" c1 "\n"))
// clang-format on
#include "gemm/tile_6x16.hpp"

namespace zeropoint {
namespace {

ZEROPOINT_AVXVNNI inline __m256i flip_if(bool flips) {
  return _mm256_set1_epi8(flips ? static_cast<char>(0x80) : char{0});
}

// A panel's vector: flipped, summed, stored.
ZEROPOINT_AVXVNNI inline __m256i put(__m256i x, __m256i flip, __m256i sums, std::uint8_t* to) {
  x = _mm256_xor_si256(x, flip);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
  return _mm256_dpbusd_avx_epi32(sums, x, _mm256_set1_epi8(1));
}

// 8 or 16 columns whose elements lie side by side in memory: four rows of B become one or two
// vectors.
template <bool Two>
ZEROPOINT_AVXVNNI void pack_columns(const std::uint8_t* from, std::ptrdiff_t k_stride,
                                    std::size_t lines, std::size_t k, __m256i flip,
                                    std::uint8_t* to, std::size_t step, std::int32_t* sums) {
  const __m256i within = _mm256_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15,  //
                                          0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
  // Four bytes for each column there is.
  const __m256i with0 = _mm256_and_si256(flip, first_bytes(lines < 8 ? 4 * lines : 32));
  const __m256i with1 = _mm256_and_si256(flip, first_bytes(lines > 8 ? 4 * (lines - 8) : 0));
  const std::size_t columns = Two ? 16 : 8;
  __m256i sum0 = _mm256_setzero_si256();
  __m256i sum1 = _mm256_setzero_si256();
  for (std::size_t l = 0; l < k; l += 4) {
    __m256i even;  // rows 0 and 2
    __m256i odd;
    __m256i depth = _mm256_set1_epi8(-1);
    if (l + 4 <= k && lines == columns) {
      const auto row = [&](std::ptrdiff_t r) ZEROPOINT_AVXVNNI {
        const auto* at = reinterpret_cast<const __m128i*>(from + r * k_stride);
        return Two ? _mm_loadu_si128(at) : _mm_loadl_epi64(at);
      };
      even = _mm256_set_m128i(row(2), row(0));
      odd = _mm256_set_m128i(row(3), row(1));
    } else {
      const std::size_t left = k - l < 4 ? k - l : 4;
      const auto row = [&](std::size_t r) {
        const std::uint8_t* at = from + static_cast<std::ptrdiff_t>(r) * k_stride;
        return r < left ? load_up_to_16(at, lines) : _mm_setzero_si128();
      };
      even = _mm256_set_m128i(row(2), row(0));
      odd = _mm256_set_m128i(row(3), row(1));
      depth = _mm256_set1_epi32(static_cast<int>(0xFFFFFFFFU >> (8 * (4 - left))));
    }
    from += 4 * k_stride;
    const auto in_order = [&](__m256i pairs) ZEROPOINT_AVXVNNI {
      return _mm256_shuffle_epi8(_mm256_permute4x64_epi64(pairs, 0xD8), within);
    };
    sum0 = put(in_order(_mm256_unpacklo_epi8(even, odd)), _mm256_and_si256(with0, depth), sum0, to);
    if constexpr (Two) {
      sum1 = put(in_order(_mm256_unpackhi_epi8(even, odd)), _mm256_and_si256(with1, depth), sum1,
                 to + 32);
    }
    to += step;
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), sum0);
  if constexpr (Two) _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8), sum1);
}

// 8 columns, each contiguous along k.
ZEROPOINT_AVXVNNI void pack_transposed(const EightColumns& columns, std::size_t k, __m256i flip,
                                       std::uint8_t* to, std::size_t step, std::int32_t* sums) {
  const __m256i column_flip = _mm256_and_si256(flip, first_bytes(4 * columns.lines));
  __m256i sum = _mm256_setzero_si256();
  std::size_t group = 0;
  // One group, of which so many bytes are left.
  const auto one = [&](__m256i x, std::ptrdiff_t left) ZEROPOINT_AVXVNNI {
    if (left <= 0) return;
    const auto bytes = left < 4 ? 0xFFFFFFFFU >> (8 * (4 - left)) : 0xFFFFFFFFU;
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(bytes));
    sum = put(x, _mm256_and_si256(column_flip, mask), sum, to + step * group++);
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
    const __m256i y0 = _mm256_unpacklo_epi32(x0, x1);
    const __m256i y1 = _mm256_unpackhi_epi32(x0, x1);
    const __m256i y2 = _mm256_unpacklo_epi32(x2, x3);
    const __m256i y3 = _mm256_unpackhi_epi32(x2, x3);
    x0 = _mm256_unpacklo_epi64(y0, y2);
    x1 = _mm256_unpackhi_epi64(y0, y2);
    x2 = _mm256_unpacklo_epi64(y1, y3);
    x3 = _mm256_unpackhi_epi64(y1, y3);
    if (left >= 16) {
      sum = put(x0, column_flip, sum, to + step * group);
      sum = put(x1, column_flip, sum, to + step * (group + 1));
      sum = put(x2, column_flip, sum, to + step * (group + 2));
      sum = put(x3, column_flip, sum, to + step * (group + 3));
      group += 4;
    } else {
      const auto rest = static_cast<std::ptrdiff_t>(left);
      one(x0, rest);
      one(x1, rest - 4);
      one(x2, rest - 8);
      one(x3, rest - 12);
    }
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), sum);
}

ZEROPOINT_AVXVNNI void pack(const PackTask& task) noexcept {
  if (task.line_stride != 1 && task.k_stride != 1) {
    return pack_plain<std::uint8_t>(task, task.is_signed ? -128 : 0);
  }
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  const __m256i flip = flip_if(task.is_signed);
  const std::size_t step = 4 * task.columns;
  const auto lines_from = [&](std::size_t j, std::size_t most) {
    return task.lines > j ? std::min(task.lines - j, most) : 0;
  };
  if (task.line_stride == 1) {
    std::size_t j = 0;
    for (; j + 16 <= task.columns; j += 16) {
      pack_columns<true>(from + j, task.k_stride, lines_from(j, 16), task.k, flip,
                         task.panel + 4 * j, step, task.sums + j);
    }
    if (j < task.columns) {
      pack_columns<false>(from + j, task.k_stride, lines_from(j, 8), task.k, flip,
                          task.panel + 4 * j, step, task.sums + j);
    }
    return;
  }
  for (std::size_t j = 0; j < task.columns; j += 8) {
    const EightColumns columns{from + static_cast<std::ptrdiff_t>(j) * task.line_stride,
                               task.line_stride, lines_from(j, 8)};
    pack_transposed(columns, task.k, flip, task.panel + 4 * j, step, task.sums + j);
  }
}

// One row that is contiguous along k, from element l on, 32 at a time; the last `rest` with masks.
struct Row {
  const std::uint8_t* from;
  std::uint8_t* to;

  template <bool Copy>
  ZEROPOINT_AVXVNNI inline void add(std::size_t l, __m256i flip, __m256i& sum) const {
    const __m256i x =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + l)), flip);
    sum = _mm256_dpbusd_avx_epi32(sum, _mm256_set1_epi8(1), x);
    if constexpr (Copy) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + l), x);
  }
  template <bool Copy>
  ZEROPOINT_AVXVNNI inline void add_rest(std::size_t l, std::size_t rest, __m256i flip,
                                         __m256i& sum) const {
    const __m256i x =
        _mm256_xor_si256(load_up_to_32(from + l, rest), _mm256_and_si256(flip, first_bytes(rest)));
    sum = _mm256_dpbusd_avx_epi32(sum, _mm256_set1_epi8(1), x);
    if constexpr (Copy) {
      const __m256i groups = first_bytes((rest + 3) / 4 * 4);
      _mm256_maskstore_epi32(reinterpret_cast<int*>(to + l), groups, x);
    }
  }
};

// Four rows, or one: their sums, and with `Copy` what the tile takes.
template <bool Copy, bool Four>
ZEROPOINT_AVXVNNI __m128i sum_rows(const RowTask& task, std::size_t first, __m256i flip) {
  const auto row = [&](std::size_t r) {
    const auto i = static_cast<std::ptrdiff_t>(first + (Four ? r : 0));
    return Row{static_cast<const std::uint8_t*>(task.codes) + i * task.row_stride,
               Copy ? task.to + i * task.to_row : nullptr};
  };
  const Row r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
  __m256i s0 = _mm256_setzero_si256();
  __m256i s1 = s0, s2 = s0, s3 = s0;
  std::size_t l = 0;
  for (; l + 32 <= task.k; l += 32) {
    r0.template add<Copy>(l, flip, s0);
    if constexpr (!Four) continue;
    r1.template add<Copy>(l, flip, s1);
    r2.template add<Copy>(l, flip, s2);
    r3.template add<Copy>(l, flip, s3);
  }
  if (const std::size_t rest = task.k - l; rest != 0) {
    r0.template add_rest<Copy>(l, rest, flip, s0);
    if constexpr (Four) {
      r1.template add_rest<Copy>(l, rest, flip, s1);
      r2.template add_rest<Copy>(l, rest, flip, s2);
      r3.template add_rest<Copy>(l, rest, flip, s3);
    }
  }
  return sums_of_four(s0, s1, s2, s3);
}

template <bool Copy>
ZEROPOINT_AVXVNNI void sum_all_rows(const RowTask& task, __m256i flip) {
  std::size_t i = 0;
  for (; i + 4 <= task.rows; i += 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(task.sums + i),
                     sum_rows<Copy, true>(task, i, flip));
  }
  for (; i < task.rows; ++i) task.sums[i] = _mm_cvtsi128_si32(sum_rows<Copy, false>(task, i, flip));
}

ZEROPOINT_AVXVNNI void rows_of_a(const RowTask& task) noexcept {
  if (task.k_stride != 1) return rows_plain<std::int8_t>(task, task.is_signed ? 0 : 128);
  const __m256i flip = flip_if(!task.is_signed);
  if (task.to != nullptr) return sum_all_rows<true>(task, flip);
  sum_all_rows<false>(task, flip);
}

// CPUID's leaf 7, subleaf 1, EAX bit 4: compilers' lists of names do not all have it.
bool supported() noexcept {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && a >= 1 &&
         __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 4)) != 0;
}

}  // namespace

const Kernel kernel_avxvnni{.name = "s8u8s32_6x16c4_avxvnni",
                            .supported = supported,
                            .element = 1,
                            .a_signed = true,
                            .b_signed = false,
                            .rows = kRows,
                            .lanes = kLanes,
                            .vectors = kVectors,
                            .last_vectors = kVectors,
                            .tile = tile,
                            .pack = pack,
                            .rows_of_a = rows_of_a};

}  // namespace zeropoint

#endif
