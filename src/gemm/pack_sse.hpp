#pragma once
#include <algorithm>
#include <cstring>
#include <immintrin.h>

#include "gemm/kernel.hpp"

namespace zeropoint {

/// Packing with SSE2, which every x86-64 has.

template <class Word>
inline std::uint64_t word_at(const std::uint8_t* from) {
  Word word;
  std::memcpy(&word, from, sizeof(Word));
  return word;
}

/// The first `count` ≤ 16 bytes, then zeros: put together from whole words, so that nothing beside
/// the codes is ever read. Words may overlap: they agree where they do.
inline __m128i load_up_to_16(const std::uint8_t* from, std::size_t count) {
  if (count == 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  if (count >= 8) {
    low = word_at<std::uint64_t>(from);
    if (count > 8) high = word_at<std::uint64_t>(from + count - 8) >> (8 * (16 - count));
  } else if (count >= 4) {
    low = word_at<std::uint32_t>(from) | word_at<std::uint32_t>(from + count - 4)
                                             << (8 * (count - 4));
  } else if (count > 0) {
    low = from[0] | std::uint64_t{from[count / 2]} << (8 * (count / 2)) |
          std::uint64_t{from[count - 1]} << (8 * (count - 1));
  }
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}

// Up to 16 rows, 8 elements along k of each, from columns: y[p] are rows 2p and 2p + 1.
__attribute__((always_inline)) inline void transpose_16_by_8(const std::uint8_t* from,
                                                             std::ptrdiff_t k_stride,
                                                             std::size_t rows, std::size_t depth,
                                                             __m128i flip, __m128i (&y)[8]) {
  const auto column = [&](std::size_t l) {
    if (l >= depth) return _mm_setzero_si128();
    return _mm_xor_si128(load_up_to_16(from + static_cast<std::ptrdiff_t>(l) * k_stride, rows),
                         flip);
  };
  const auto four = [&](std::size_t l, __m128i& r0, __m128i& r4, __m128i& r8, __m128i& r12) {
    const __m128i c0 = column(l);
    const __m128i c1 = column(l + 1);
    const __m128i c2 = column(l + 2);
    const __m128i c3 = column(l + 3);
    const __m128i low01 = _mm_unpacklo_epi8(c0, c1);
    const __m128i low23 = _mm_unpacklo_epi8(c2, c3);
    const __m128i high01 = _mm_unpackhi_epi8(c0, c1);
    const __m128i high23 = _mm_unpackhi_epi8(c2, c3);
    r0 = _mm_unpacklo_epi16(low01, low23);
    r4 = _mm_unpackhi_epi16(low01, low23);
    r8 = _mm_unpacklo_epi16(high01, high23);
    r12 = _mm_unpackhi_epi16(high01, high23);
  };
  __m128i a0, a4, a8, a12, b0, b4, b8, b12;
  four(0, a0, a4, a8, a12);
  four(4, b0, b4, b8, b12);
  y[0] = _mm_unpacklo_epi32(a0, b0);
  y[1] = _mm_unpackhi_epi32(a0, b0);
  y[2] = _mm_unpacklo_epi32(a4, b4);
  y[3] = _mm_unpackhi_epi32(a4, b4);
  y[4] = _mm_unpacklo_epi32(a8, b8);
  y[5] = _mm_unpackhi_epi32(a8, b8);
  y[6] = _mm_unpacklo_epi32(a12, b12);
  y[7] = _mm_unpackhi_epi32(a12, b12);
}

/// Rows of A whose columns are contiguous: as rows_plain(), which it is called by.
template <class Element>
void rows_from_columns(const RowTask& task, std::int32_t offset) noexcept {
  // Codes become unsigned, as that is what psadbw adds; `taken` away, they are elements.
  const __m128i flip = _mm_set1_epi8(task.is_signed ? static_cast<char>(0x80) : char{0});
  const std::int32_t taken = offset + (task.is_signed ? 128 : 0);
  const __m128i taken_8 = _mm_set1_epi8(static_cast<char>(taken));
  const __m128i taken_16 = _mm_set1_epi16(static_cast<short>(taken));
  const __m128i zero = _mm_setzero_si128();
  const auto element = [&](__m128i low) {
    if constexpr (sizeof(Element) == 1) return _mm_sub_epi8(low, taken_8);
    return _mm_sub_epi16(_mm_unpacklo_epi8(low, zero), taken_16);
  };
  const auto row = [&](std::size_t i, std::size_t l) {
    return task.to == nullptr
               ? nullptr
               : task.to + static_cast<std::ptrdiff_t>(i) * task.to_row + l * sizeof(Element);
  };
  const auto store_eight = [&](std::uint8_t* to, __m128i low) {
    auto* at = reinterpret_cast<__m128i*>(to);
    if constexpr (sizeof(Element) == 1) return _mm_storel_epi64(at, element(low));
    _mm_storeu_si128(at, element(low));
  };
  const auto store_some = [&](std::uint8_t* to, __m128i low, std::size_t depth) {
    const __m128i x = element(low);
    std::memcpy(to, &x, (depth * sizeof(Element) + 3) / 4 * 4);
  };
  const auto all_taken = static_cast<std::uint32_t>(task.k) * static_cast<std::uint32_t>(taken);
  std::fill_n(task.sums, task.rows, static_cast<std::int32_t>(-all_taken));
  // A block of rows and of k at a time, so that a column's cache line is read once.
  constexpr std::size_t kBlock = 64;
  for (std::size_t i0 = 0; i0 < task.rows; i0 += kBlock) {
    for (std::size_t l0 = 0; l0 < task.k; l0 += kBlock) {
      const std::size_t l1 = std::min(task.k, l0 + kBlock);
      for (std::size_t i = i0; i < std::min(task.rows, i0 + kBlock); i += 16) {
        const std::size_t rows = std::min<std::size_t>(16, task.rows - i);
        const auto* from = static_cast<const std::uint8_t*>(task.codes) + i;
        __m128i sums[8] = {};
        for (std::size_t l = l0; l < l1; l += 8) {
          const std::size_t depth = std::min<std::size_t>(8, l1 - l);
          const std::uint8_t* first = from + static_cast<std::ptrdiff_t>(l) * task.k_stride;
          __m128i y[8];
          if (rows == 16 && depth == 8) {
            transpose_16_by_8(first, task.k_stride, 16, 8, flip, y);
            std::uint8_t* to = row(i, l);
#pragma GCC unroll 8
            for (std::size_t p = 0; p < 8; ++p) {
              sums[p] = _mm_add_epi64(sums[p], _mm_sad_epu8(y[p], zero));
              if (task.to == nullptr) continue;
              store_eight(to, y[p]);
              store_eight(to + task.to_row, _mm_unpackhi_epi64(y[p], y[p]));
              to += 2 * task.to_row;
            }
            continue;
          }
          transpose_16_by_8(first, task.k_stride, rows, depth, flip, y);
          for (std::size_t p = 0; 2 * p < rows; ++p) {
            sums[p] = _mm_add_epi64(sums[p], _mm_sad_epu8(y[p], zero));
            if (task.to == nullptr) continue;
            store_some(row(i + 2 * p, l), y[p], depth);
            if (2 * p + 1 == rows) continue;
            store_some(row(i + 2 * p + 1, l), _mm_unpackhi_epi64(y[p], y[p]), depth);
          }
        }
        std::uint64_t of_rows[16];
        std::memcpy(of_rows, sums, sizeof(sums));
        for (std::size_t r = 0; r < rows; ++r) {
          task.sums[i + r] =
              static_cast<std::int32_t>(static_cast<std::uint32_t>(task.sums[i + r]) +
                                        static_cast<std::uint32_t>(of_rows[r]));
        }
      }
    }
  }
}

}  // namespace zeropoint
