#include "gemm/kernel_rows.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include "gemm/pack_plain.hpp"
#include "gemm/tile_avx512vnni.hpp"

#if defined(__GNUC__) && !defined(__clang__)
// GCC's bug 105593: its own intrinsics begin from vectors that are deliberately not set.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace zeropoint {
namespace {

using namespace avx512vnni;

constexpr Tiles kPlain = tiles_of<Plain>();
constexpr Tiles kScaled = tiles_of<Scaled>();
constexpr Tiles kFinished[] = {tiles_of<Int32>(), tiles_of<Float32>(), tiles_of<Int8>()};

void tile(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept {
  kPlain.of[vectors - 1][rows - 1](task, nullptr);
}

void tile_and_finish(const TileTask& task, const TileFinish& finish, TileOutput as,
                     std::size_t rows, std::size_t vectors) noexcept {
  const bool scaled = as == TileOutput::float32 && finish.bias == nullptr;
  const Tiles& tiles = scaled ? kScaled : kFinished[static_cast<std::size_t>(as)];
  tiles.of[vectors - 1][rows - 1](task, &finish);
}

// Bit i set for i < count.
std::uint64_t first_bits(std::size_t count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// The lowest `count` bytes of each group of four.
ZEROPOINT_AVX512 inline __m512i low_bytes(std::size_t count) {
  return _mm512_set1_epi32(static_cast<int>(static_cast<std::uint32_t>(first_bits(8 * count))));
}

// The driver packs so many rows of all panels before it goes on down.
constexpr std::ptrdiff_t kRowsAhead = 64;

// Columns whose elements lie side by side in memory: of four rows of B, each 16 columns become one
// vector. All vectors of the panel in one pass, so that each line of memory is read once.
template <std::size_t Vectors>
ZEROPOINT_AVX512 void pack_columns(const PackTask& task, __m512i flip) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i within =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m512i ones = _mm512_set1_epi8(1);
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  const std::ptrdiff_t k_stride = task.k_stride;
  std::uint8_t* to = task.panel;
  __m512i sums[Vectors];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  const auto finish = [&](__m512i rows, __m512i with, std::size_t v) ZEROPOINT_AVX512 {
    const __m512i x =
        _mm512_xor_si512(_mm512_shuffle_epi8(_mm512_permutexvar_epi32(order, rows), within), with);
    sums[v] = _mm512_dpbusd_epi32(sums[v], x, ones);
    _mm512_storeu_si512(to + 64 * v, x);
  };
  std::size_t l = 0;
  if (task.lines == Vectors * kLanes) {
    for (; l + 4 <= task.k; l += 4) {
      for (std::size_t v = 0; v < Vectors; ++v) {
        const auto row = [&](std::ptrdiff_t r) ZEROPOINT_AVX512 {
          return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + r * k_stride + 16 * v));
        };
        __m512i x = _mm512_castsi128_si512(row(0));
        x = _mm512_mask_broadcast_i32x4(x, 0x00F0, row(1));
        x = _mm512_mask_broadcast_i32x4(x, 0x0F00, row(2));
        x = _mm512_mask_broadcast_i32x4(x, 0xF000, row(3));
        finish(x, flip, v);
      }
      // Rows are read in pieces too short for the processor to run ahead.
      for (std::ptrdiff_t r = 0; r < 4; ++r) {
        __builtin_prefetch(from + (kRowsAhead + r) * k_stride, 0, 2);
      }
      from += 4 * k_stride;
      to += 64 * Vectors;
    }
  }
  for (; l < task.k; l += 4) {
    const std::size_t left = task.k - l < 4 ? task.k - l : 4;
    const __m512i bytes = _mm512_and_si512(flip, low_bytes(left));
    for (std::size_t v = 0; v < Vectors; ++v) {
      const auto mask =
          static_cast<__mmask16>(first_bits(task.lines > 16 * v ? task.lines - 16 * v : 0));
      __m512i x = _mm512_setzero_si512();
      for (std::size_t r = 0; r < left; ++r) {
        const __m128i row =
            _mm_maskz_loadu_epi8(mask, from + static_cast<std::ptrdiff_t>(r) * k_stride + 16 * v);
        x = _mm512_mask_broadcast_i32x4(x, static_cast<__mmask16>(0xF << (4 * r)), row);
      }
      finish(x, _mm512_maskz_mov_epi32(mask, bytes), v);
    }
    from += 4 * k_stride;
    to += 64 * Vectors;
  }
  for (std::size_t v = 0; v < Vectors; ++v) _mm512_storeu_si512(task.sums + 16 * v, sums[v]);
}

#define ZEROPOINT_AVX512VBMI                                             \
  __attribute__((                                                        \
      target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi," \
             "bmi2")))

// Byte r of element c of a vector: from element `first + c` of the r-th of `rows` that lie in two
// vectors, each row `row` bytes after the one before.
ZEROPOINT_AVX512VBMI inline __m512i interleaving(std::size_t first, std::size_t row) {
  alignas(64) std::uint8_t at[64];
  for (std::size_t i = 0; i < 64; ++i) {
    at[i] = static_cast<std::uint8_t>(first + i / 4 + i % 4 * row);
  }
  return _mm512_load_si512(at);
}

// All columns, or those of `mask` and zeros.
template <bool Whole>
ZEROPOINT_AVX512VBMI inline __m256i load_32(__mmask32 mask, const std::uint8_t* from) {
  if constexpr (Whole) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm256_maskz_loadu_epi8(mask, from);
}
template <bool Whole>
ZEROPOINT_AVX512VBMI inline __m128i load_16(__mmask16 mask, const std::uint8_t* from) {
  if constexpr (Whole) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm_maskz_loadu_epi8(mask, from);
}

// The same as pack_columns, for 17 columns and more, where bytes can be permuted across two
// vectors: half the loads, a third of the operations on them.
template <std::size_t Vectors, bool Whole>
ZEROPOINT_AVX512VBMI void pack_pairs(const PackTask& task, __m512i flip) {
  const __m512i low = interleaving(0, 32);
  const __m512i high = interleaving(16, 32);
  const __m512i single = interleaving(0, 16);
  const __m512i ones = _mm512_set1_epi8(1);
  const std::ptrdiff_t k_stride = task.k_stride;
  const auto mask = static_cast<__mmask32>(first_bits(task.lines));
  const auto last = static_cast<__mmask16>(first_bits(task.lines > 32 ? task.lines - 32 : 0));
  __m512i with[Vectors];
  __m512i sums[Vectors];
  for (std::size_t v = 0; v < Vectors; ++v) {
    const std::size_t lines = task.lines > 16 * v ? task.lines - 16 * v : 0;
    with[v] = _mm512_maskz_mov_epi32(static_cast<__mmask16>(first_bits(lines)), flip);
    sums[v] = _mm512_setzero_si512();
  }
  PackTask rest = task;
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  for (; rest.k >= 4; rest.k -= 4) {
    const std::uint8_t* row[4] = {from, from + k_stride, from + 2 * k_stride, from + 3 * k_stride};
    __m512i x[Vectors];
    __m512i pair[2];
    for (int p = 0; p < 2; ++p) {
      pair[p] = _mm512_inserti64x4(_mm512_castsi256_si512(load_32<Whole>(mask, row[2 * p])),
                                   load_32<Whole>(mask, row[2 * p + 1]), 1);
    }
    x[0] = _mm512_permutex2var_epi8(pair[0], low, pair[1]);
    x[1] = _mm512_permutex2var_epi8(pair[0], high, pair[1]);
    if constexpr (Vectors == 3) {
      __m512i rows = _mm512_castsi128_si512(load_16<Whole>(last, row[0] + 32));
      rows = _mm512_mask_broadcast_i32x4(rows, 0x00F0, load_16<Whole>(last, row[1] + 32));
      rows = _mm512_mask_broadcast_i32x4(rows, 0x0F00, load_16<Whole>(last, row[2] + 32));
      rows = _mm512_mask_broadcast_i32x4(rows, 0xF000, load_16<Whole>(last, row[3] + 32));
      x[2] = _mm512_permutexvar_epi8(single, rows);
    }
    for (std::size_t v = 0; v < Vectors; ++v) {
      x[v] = _mm512_xor_si512(x[v], with[v]);
      sums[v] = _mm512_dpbusd_epi32(sums[v], x[v], ones);
      _mm512_storeu_si512(rest.panel + 64 * v, x[v]);
    }
    for (std::ptrdiff_t r = 0; r < 4; ++r) {
      __builtin_prefetch(from + (kRowsAhead + r) * k_stride, 0, 2);
    }
    from += 4 * k_stride;
    rest.panel += 64 * Vectors;
  }
  std::int32_t of_rest[16 * Vectors] = {};
  if (rest.k > 0) {
    rest.codes = from;
    rest.sums = of_rest;
    pack_columns<Vectors>(rest, flip);
  }
  for (std::size_t v = 0; v < Vectors; ++v) {
    if (rest.k > 0) sums[v] = _mm512_add_epi32(sums[v], _mm512_loadu_si512(of_rest + 16 * v));
    _mm512_storeu_si512(task.sums + 16 * v, sums[v]);
  }
}

// Rows and columns of a 16 × 16 matrix of 32-bit elements change places.
ZEROPOINT_AVX512 inline void transpose(__m512i (&x)[16]) {
  __m512i y[16];
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    y[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
    y[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xDD);
    y[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
    y[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    x[i] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0x88);
    x[i + 8] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0xDD);
    x[i + 4] = _mm512_shuffle_i32x4(y[i + 4], y[i + 12], 0x88);
    x[i + 12] = _mm512_shuffle_i32x4(y[i + 4], y[i + 12], 0xDD);
  }
}

// 16 columns, each contiguous along k.
ZEROPOINT_AVX512 __m512i pack_transposed(const std::uint8_t* from, std::ptrdiff_t line_stride,
                                         std::size_t lines, std::size_t k, __m512i flip,
                                         std::uint8_t* to, std::size_t step) {
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i column_flip =
      _mm512_maskz_mov_epi32(static_cast<__mmask16>(first_bits(lines)), flip);
  __m512i sums = _mm512_setzero_si512();
  for (std::size_t l = 0; l < k; l += 64) {
    const std::size_t left = k - l < 64 ? k - l : 64;
    const __mmask64 mask = first_bits(left);
    __m512i x[16];
    for (std::size_t i = 0; i < 16; ++i) {
      x[i] = i < lines ? _mm512_maskz_loadu_epi8(
                             mask, from + static_cast<std::ptrdiff_t>(i) * line_stride + l)
                       : _mm512_setzero_si512();
    }
    transpose(x);
    const std::size_t groups = (left + 3) / 4;
    for (std::size_t g = 0; g < groups; ++g) {
      const bool whole = 4 * g + 4 <= left;
      const __m512i with =
          whole ? column_flip : _mm512_and_si512(column_flip, low_bytes(left - 4 * g));
      const __m512i y = _mm512_xor_si512(x[g], with);
      sums = _mm512_dpbusd_epi32(sums, y, ones);
      _mm512_storeu_si512(to, y);
      to += step;
    }
  }
  return sums;
}

bool permutes_bytes() { return __builtin_cpu_supports("avx512vbmi"); }

ZEROPOINT_AVX512 void pack(const PackTask& task) noexcept {
  if (task.line_stride != 1 && task.k_stride != 1)
    return pack_plain<std::uint8_t>(task, task.is_signed ? -128 : 0);
  const __m512i flip = _mm512_set1_epi8(task.is_signed ? static_cast<char>(0x80) : char{0});
  if (task.line_stride == 1) {
    if (task.columns == kLanes) return pack_columns<1>(task, flip);
    if (permutes_bytes()) {
      const bool whole = task.lines == task.columns;
      if (task.columns == 2 * kLanes) {
        return whole ? pack_pairs<2, true>(task, flip) : pack_pairs<2, false>(task, flip);
      }
      return whole ? pack_pairs<3, true>(task, flip) : pack_pairs<3, false>(task, flip);
    }
    if (task.columns == 2 * kLanes) return pack_columns<2>(task, flip);
    return pack_columns<3>(task, flip);
  }
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  for (std::size_t j = 0; j < task.columns; j += kLanes) {
    const std::size_t rest = task.lines > j ? task.lines - j : 0;
    const __m512i sums = pack_transposed(from + static_cast<std::ptrdiff_t>(j) * task.line_stride,
                                         task.line_stride, rest < kLanes ? rest : kLanes, task.k,
                                         flip, task.panel + 4 * j, 4 * task.columns);
    _mm512_storeu_si512(task.sums + j, sums);
  }
}

// Quarters of two vectors, added in pairs.
ZEROPOINT_AVX512 inline __m512i add_quarters(__m512i x, __m512i y) {
  return _mm512_add_epi32(_mm512_shuffle_i32x4(x, y, 0x88), _mm512_shuffle_i32x4(x, y, 0xDD));
}

// Up to four rows that are contiguous along k: quarter q, lane i of the result is a part of row i's
// sum. With `Copy`, also what the tile takes. Sums have names, as compilers keep arrays in memory.
template <bool Copy>
ZEROPOINT_AVX512 inline __m512i sum_4_rows(const RowTask& task, std::size_t first, std::size_t rows,
                                           __m512i flip) {
  const __m512i ones = _mm512_set1_epi8(1);
  // Rows that are not there are the last one again; what comes of it is not stored.
  const std::ptrdiff_t at[4] = {0, rows > 1 ? 1 : 0,
                                rows > 2   ? 2
                                : rows > 1 ? 1
                                           : 0,
                                static_cast<std::ptrdiff_t>(rows) - 1};
  const auto row = static_cast<std::ptrdiff_t>(first);
  const auto* from = static_cast<const std::uint8_t*>(task.codes) + row * task.row_stride;
  std::uint8_t* to = Copy ? task.to + row * task.to_row : nullptr;
  __m512i sum0 = _mm512_setzero_si512();
  __m512i sum1 = sum0;
  __m512i sum2 = sum0;
  __m512i sum3 = sum0;
  std::size_t left = task.k;
  for (; left >= 64; left -= 64) {
    const auto add = [&](std::ptrdiff_t i, __m512i sum) ZEROPOINT_AVX512 {
      const __m512i v = _mm512_xor_si512(_mm512_loadu_si512(from + i * task.row_stride), flip);
      if constexpr (Copy) _mm512_storeu_si512(to + i * task.to_row, v);
      return _mm512_dpbusd_epi32(sum, ones, v);
    };
    sum0 = add(at[0], sum0);
    sum1 = add(at[1], sum1);
    sum2 = add(at[2], sum2);
    sum3 = add(at[3], sum3);
    from += 64;
    if constexpr (Copy) to += 64;
  }
  if (left > 0) {
    const __mmask64 rest = first_bits(left);
    const __m512i flip_rest = _mm512_maskz_mov_epi8(rest, flip);
    const auto add = [&](std::ptrdiff_t i, __m512i sum) ZEROPOINT_AVX512 {
      const __m512i v =
          _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, from + i * task.row_stride), flip_rest);
      if constexpr (Copy) {
        _mm512_mask_storeu_epi8(to + i * task.to_row, first_bits((left + 3) / 4 * 4), v);
      }
      return _mm512_dpbusd_epi32(sum, ones, v);
    };
    sum0 = add(at[0], sum0);
    sum1 = add(at[1], sum1);
    sum2 = add(at[2], sum2);
    sum3 = add(at[3], sum3);
  }
  const __m512i a =
      _mm512_add_epi32(_mm512_unpacklo_epi32(sum0, sum1), _mm512_unpackhi_epi32(sum0, sum1));
  const __m512i b =
      _mm512_add_epi32(_mm512_unpacklo_epi32(sum2, sum3), _mm512_unpackhi_epi32(sum2, sum3));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

template <bool Copy>
ZEROPOINT_AVX512 void sum_rows(const RowTask& task, __m512i flip) {
  std::size_t i = 0;
  for (; i + 16 <= task.rows; i += 16) {
    const __m512i first = sum_4_rows<Copy>(task, i, 4, flip);
    const __m512i second = sum_4_rows<Copy>(task, i + 4, 4, flip);
    const __m512i third = sum_4_rows<Copy>(task, i + 8, 4, flip);
    const __m512i fourth = sum_4_rows<Copy>(task, i + 12, 4, flip);
    _mm512_storeu_si512(task.sums + i,
                        add_quarters(add_quarters(first, second), add_quarters(third, fourth)));
  }
  for (; i < task.rows; i += 4) {
    const std::size_t rows = task.rows - i < 4 ? task.rows - i : 4;
    const __m512i parts = sum_4_rows<Copy>(task, i, rows, flip);
    const __m512i halves = add_quarters(parts, parts);
    _mm512_mask_storeu_epi32(task.sums + i, static_cast<__mmask16>(first_bits(rows)),
                             add_quarters(halves, halves));
  }
}

ZEROPOINT_AVX512 void start_sums(const std::int32_t* x, std::size_t count, std::uint32_t factor,
                                 std::uint32_t term, std::int32_t* y) noexcept {
  const __m512i f = _mm512_set1_epi32(static_cast<int>(factor));
  const __m512i t = _mm512_set1_epi32(static_cast<int>(term));
  for (std::size_t i = 0; i < count; i += kLanes) {
    const auto mask = static_cast<__mmask16>(first_bits(count - i));
    const __m512i v = _mm512_maskz_loadu_epi32(mask, x + i);
    _mm512_mask_storeu_epi32(y + i, mask, _mm512_add_epi32(_mm512_mullo_epi32(v, f), t));
  }
}

ZEROPOINT_AVX512 void rows_of_a(const RowTask& task) noexcept {
  if (task.k_stride != 1) return rows_plain<std::int8_t>(task, task.is_signed ? 0 : 128);
  const __m512i flip = _mm512_set1_epi8(task.is_signed ? char{0} : static_cast<char>(0x80));
  if (task.to != nullptr) return sum_rows<true>(task, flip);
  sum_rows<false>(task, flip);
}

// Sums are kept in `room`, 64 columns after 64, in the order in which bytes of four rows interleave
// within a vector's quarters: vector v holds columns 16q + 4v … 16q + 4v + 3 in quarter q.
ZEROPOINT_AVX512 void row_product(const RowProductTask& task) noexcept {
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i flip = _mm512_set1_epi8(task.is_signed ? static_cast<char>(0x80) : char{0});
  const std::size_t strips = (task.columns + 63) / 64;
  for (std::size_t l = 0; l < task.k; l += 4) {
    const std::size_t left = task.k - l < 4 ? task.k - l : 4;
    std::uint8_t group[4] = {};
    for (std::size_t r = 0; r < left; ++r) group[r] = task.a[l + r];
    std::int32_t four = 0;
    __builtin_memcpy(&four, group, 4);
    const __m512i a = _mm512_set1_epi32(four);
    const std::uint8_t* rows = task.b + static_cast<std::ptrdiff_t>(l) * task.k_stride;
    for (std::size_t s = 0; s < strips; ++s) {
      const std::size_t j = 64 * s;
      const __mmask64 mask = first_bits(task.columns - j);
      __m512i x[4];
      for (std::size_t r = 0; r < 4; ++r) {
        const std::uint8_t* row = rows + static_cast<std::ptrdiff_t>(r) * task.k_stride + j;
        // The next four rows: where one ends, the processor does not see the next one coming.
        __builtin_prefetch(row + 4 * task.k_stride);
        x[r] = r < left ? _mm512_maskz_mov_epi8(
                              mask, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, row), flip))
                        : _mm512_setzero_si512();
      }
      const __m512i low01 = _mm512_unpacklo_epi8(x[0], x[1]);
      const __m512i high01 = _mm512_unpackhi_epi8(x[0], x[1]);
      const __m512i low23 = _mm512_unpacklo_epi8(x[2], x[3]);
      const __m512i high23 = _mm512_unpackhi_epi8(x[2], x[3]);
      const __m512i groups[4] = {
          _mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
          _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
      std::int32_t* const room = task.room + 128 * s;
      for (std::size_t v = 0; v < 4; ++v) {
        const __m512i zero = _mm512_setzero_si512();
        const __m512i products = l == 0 ? zero : _mm512_loadu_si512(room + 16 * v);
        const __m512i sums = l == 0 ? zero : _mm512_loadu_si512(room + 64 + 16 * v);
        _mm512_storeu_si512(room + 16 * v, _mm512_dpbusd_epi32(products, groups[v], a));
        _mm512_storeu_si512(room + 64 + 16 * v, _mm512_dpbusd_epi32(sums, groups[v], ones));
      }
    }
  }
  for (std::size_t j = 0; j < task.columns; ++j) {
    const std::size_t at = j % 64;
    const std::int32_t* const room =
        task.room + j / 64 * 128 + at / 4 % 4 * 16 + at / 16 * 4 + at % 4;
    task.products[j] = room[0];
    task.sums[j] = room[64];
  }
}

bool supported() noexcept {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("bmi2");
}

}  // namespace

const Kernel kernel_avx512vnni{.name = "s8u8s32_8x32c4_avx512vnni",
                               .supported = supported,
                               .element = 1,
                               .a_signed = true,
                               .b_signed = false,
                               .rows = kRows,
                               .lanes = kLanes,
                               .vectors = kVectors,
                               .last_vectors = kLastVectors,
                               .tile = tile,
                               .tile_and_finish = tile_and_finish,
                               .pack = pack,
                               .rows_of_a = rows_of_a,
                               .start_sums = start_sums,
                               .row_product = row_product};

}  // namespace zeropoint

#endif
