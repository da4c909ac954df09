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

ZEROPOINT_AVX512 void pack(const PackTask& task) noexcept {
  if (task.line_stride != 1 && task.k_stride != 1)
    return pack_plain<std::uint8_t>(task, task.is_signed ? -128 : 0);
  const __m512i flip = _mm512_set1_epi8(task.is_signed ? static_cast<char>(0x80) : char{0});
  if (task.line_stride == 1) {
    if (task.columns == kLanes) return pack_columns<1>(task, flip);
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

// Four rows that are contiguous along k: lanes 4q + i hold parts of row i's sum. With `Copy`, also
// what the tile takes.
template <bool Copy>
ZEROPOINT_AVX512 inline __m512i sum_4_rows(const RowTask& task, std::size_t first, __m512i flip) {
  const __m512i ones = _mm512_set1_epi8(1);
  // Rows that are not there are the last one again; what comes of it is not stored.
  const std::uint8_t* x[4];
  std::uint8_t* to[4] = {};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t row = first + i < task.rows ? first + i : task.rows - 1;
    x[i] = static_cast<const std::uint8_t*>(task.codes) +
           static_cast<std::ptrdiff_t>(row) * task.row_stride;
    if constexpr (Copy) to[i] = task.to + static_cast<std::ptrdiff_t>(row) * task.to_row;
  }
  __m512i sum[4];
  for (auto& of_row : sum) of_row = _mm512_setzero_si512();
  const std::size_t whole = task.k / 64 * 64;
  for (std::size_t l = 0; l < whole; l += 64) {
    for (std::size_t i = 0; i < 4; ++i) {
      const __m512i v = _mm512_xor_si512(_mm512_loadu_si512(x[i] + l), flip);
      sum[i] = _mm512_dpbusd_epi32(sum[i], ones, v);
      if constexpr (Copy) _mm512_storeu_si512(to[i] + l, v);
    }
  }
  if (whole < task.k) {
    const __mmask64 rest = first_bits(task.k - whole);
    const __mmask64 groups = first_bits((task.k - whole + 3) / 4 * 4);
    for (std::size_t i = 0; i < 4; ++i) {
      const __m512i v = _mm512_maskz_mov_epi8(
          rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, x[i] + whole), flip));
      sum[i] = _mm512_dpbusd_epi32(sum[i], ones, v);
      if constexpr (Copy) _mm512_mask_storeu_epi8(to[i] + whole, groups, v);
    }
  }
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(sum[0], sum[1]),
                                     _mm512_unpackhi_epi32(sum[0], sum[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(sum[2], sum[3]),
                                     _mm512_unpackhi_epi32(sum[2], sum[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

template <bool Copy>
ZEROPOINT_AVX512 void sum_rows(const RowTask& task, __m512i flip) {
  for (std::size_t i = 0; i < task.rows; i += 4) {
    const __m512i parts = sum_4_rows<Copy>(task, i, flip);
    const __m256i halves =
        _mm256_add_epi32(_mm512_castsi512_si256(parts), _mm512_extracti64x4_epi64(parts, 1));
    const __m128i sums =
        _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    const std::size_t rows = task.rows - i;
    if (rows >= 4) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(task.sums + i), sums);
    } else {
      _mm_mask_storeu_epi32(task.sums + i, static_cast<__mmask8>(first_bits(rows)), sums);
    }
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
                               .row_product = row_product};

}  // namespace zeropoint

#endif
