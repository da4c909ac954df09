#include "gemm/kernel_rows.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include "gemm/pack_plain.hpp"

#define ZEROPOINT_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,bmi2")))

namespace zeropoint {
namespace {

constexpr std::size_t kRows = 8;
constexpr std::size_t kLanes = 16;
constexpr std::size_t kVectors = 2;
constexpr std::size_t kLastVectors = 3;

// The tile in assembly: with intrinsics, how many of its registers stay in memory is up to the
// compiler's mood (g++ 12 spills a third of them). zmm0–23 hold the sums, row r in 3r…3r+2,
// zmm24–26 the panel's vectors, zmm27 an element group of A, broadcast. Eight rows keep both dot
// product units busy (16 chains, 2 units × 4 cycles) and leave tiles short enough for one to begin
// while the last is being stored.
#define ZEROPOINT_EACH_ROW(DO)                       \
  DO(0, "0", "1", "2", "(%[a])")                     \
  DO(1, "3", "4", "5", "(%[a],%[row])")              \
  DO(2, "6", "7", "8", "(%[a],%[row],2)")            \
  DO(3, "9", "10", "11", "(%[a],%[row3])")           \
  DO(4, "12", "13", "14", "(%[a4])")                 \
  DO(5, "15", "16", "17", "(%[a4],%[row])")          \
  DO(6, "18", "19", "20", "(%[a4],%[row],2)")        \
  DO(7, "21", "22", "23", "(%[a4],%[row3])")
#define ZEROPOINT_IF_ROW(r, code) ".if %c[rows] > " #r "\n" code ".endif\n"
#define ZEROPOINT_IF_VECTOR(v, code) ".if %c[vectors] > " #v "\n" code ".endif\n"

#define ZEROPOINT_START(r, c0, c1, c2, a)                                             \
  ZEROPOINT_IF_ROW(r, "vpbroadcastd " #r "*4(%[row_start]), %%zmm27\n"                \
                      "vpaddd %%zmm24, %%zmm27, %%zmm" c0 "\n"                        \
                      ZEROPOINT_IF_VECTOR(1, "vpaddd %%zmm25, %%zmm27, %%zmm" c1 "\n") \
                      ZEROPOINT_IF_VECTOR(2, "vpaddd %%zmm26, %%zmm27, %%zmm" c2 "\n"))
#define ZEROPOINT_DOT(r, c0, c1, c2, a)                                                   \
  ZEROPOINT_IF_ROW(r, "vpbroadcastd " a ", %%zmm27\n"                                     \
                      "vpdpbusd %%zmm27, %%zmm24, %%zmm" c0 "\n"                          \
                      ZEROPOINT_IF_VECTOR(1, "vpdpbusd %%zmm27, %%zmm25, %%zmm" c1 "\n")  \
                      ZEROPOINT_IF_VECTOR(2, "vpdpbusd %%zmm27, %%zmm26, %%zmm" c2 "\n"))
#define ZEROPOINT_STORE(r, c0, c1, c2, a)                                           \
  ZEROPOINT_IF_ROW(r, "vmovdqu64 %%zmm" c0 ", (%[c])\n"                             \
                      ZEROPOINT_IF_VECTOR(1, "vmovdqu64 %%zmm" c1 ", 64(%[c])\n")   \
                      ZEROPOINT_IF_VECTOR(2, "vmovdqu64 %%zmm" c2 ", 128(%[c])\n")  \
                      "add %[c_row], %[c]\n")

template <std::size_t Rows, std::size_t Vectors>
ZEROPOINT_AVX512 void tile_of(const TileTask& task) noexcept {
  const std::uint8_t* a = task.a;
  const std::uint8_t* a4 = a + 4 * task.a_row;
  std::ptrdiff_t row = task.a_row;
  std::ptrdiff_t row3 = 3 * row;
  const std::uint8_t* tail = task.a_tail;
  const std::uint8_t* b = task.b;
  std::size_t groups = task.groups;
  std::int32_t* c = task.c;
  asm volatile(
      "vmovdqu64 (%[column_start]), %%zmm24\n"
      ZEROPOINT_IF_VECTOR(1, "vmovdqu64 64(%[column_start]), %%zmm25\n")
      ZEROPOINT_IF_VECTOR(2, "vmovdqu64 128(%[column_start]), %%zmm26\n")
      ZEROPOINT_EACH_ROW(ZEROPOINT_START)
      "test %[groups], %[groups]\n"
      "jz 2f\n"
      ".p2align 5\n"
      "1:\n"
      "vmovdqu64 (%[b]), %%zmm24\n"
      ZEROPOINT_IF_VECTOR(1, "vmovdqu64 64(%[b]), %%zmm25\n")
      ZEROPOINT_IF_VECTOR(2, "vmovdqu64 128(%[b]), %%zmm26\n")
      ZEROPOINT_EACH_ROW(ZEROPOINT_DOT)
      "add $4, %[a]\n"
      ZEROPOINT_IF_ROW(4, "add $4, %[a4]\n")
      "add $64*%c[vectors], %[b]\n"
      "dec %[groups]\n"
      "jnz 1b\n"
      "2:\n"  // one more group, whose rows are 4 bytes apart
      "test %[tail], %[tail]\n"
      "jz 3f\n"
      "mov %[tail], %[a]\n"
      "lea 16(%[tail]), %[a4]\n"
      "mov $4, %[row]\n"
      "mov $12, %[row3]\n"
      "xor %k[tail], %k[tail]\n"
      "mov $1, %k[groups]\n"
      "jmp 1b\n"
      "3:\n"
      ZEROPOINT_EACH_ROW(ZEROPOINT_STORE)
      : [a] "+r"(a), [a4] "+r"(a4), [row] "+r"(row), [row3] "+r"(row3), [tail] "+r"(tail),
        [b] "+r"(b), [groups] "+r"(groups), [c] "+r"(c)
      : [rows] "i"(Rows), [vectors] "i"(Vectors), [row_start] "r"(task.row_start),
        [column_start] "r"(task.column_start), [c_row] "r"(task.c_row * 4)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",
        "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27");
}

using TileFunction = void (*)(const TileTask&) noexcept;
#define ZEROPOINT_TILES(v)                                                              \
  {                                                                                     \
    tile_of<1, v>, tile_of<2, v>, tile_of<3, v>, tile_of<4, v>, tile_of<5, v>,          \
        tile_of<6, v>, tile_of<7, v>, tile_of<8, v>                                     \
  }
constexpr TileFunction kTiles[kLastVectors][kRows] = {ZEROPOINT_TILES(1), ZEROPOINT_TILES(2),
                                                      ZEROPOINT_TILES(3)};

void tile(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept {
  kTiles[vectors - 1][rows - 1](task);
}

// Bit i set for i < count.
std::uint64_t first_bits(std::size_t count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// The lowest `bytes` of each group of four, as a mask of a vector's bytes.
ZEROPOINT_AVX512 inline __m512i bytes_of_group(std::size_t bytes, int value) {
  const auto one = static_cast<std::uint32_t>(value) * 0x01010101U;
  return _mm512_set1_epi32(static_cast<int>(one & static_cast<std::uint32_t>(first_bits(8 * bytes))));
}

// 16 columns whose elements lie side by side in memory: four rows of B become one vector.
ZEROPOINT_AVX512 __m512i pack_columns(const std::uint8_t* from, std::ptrdiff_t k_stride,
                                      std::size_t lines, std::size_t k, __m512i flip,
                                      std::uint8_t* to, std::size_t step) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i within = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m512i ones = _mm512_set1_epi8(1);
  const auto mask = static_cast<__mmask16>(first_bits(lines));
  flip = _mm512_maskz_mov_epi32(mask, flip);
  __m512i sums = _mm512_setzero_si512();
  const auto finish = [&](__m512i rows, __m512i with) ZEROPOINT_AVX512 {
    const __m512i x = _mm512_xor_si512(
        _mm512_shuffle_epi8(_mm512_permutexvar_epi32(order, rows), within), with);
    sums = _mm512_dpbusd_epi32(sums, x, ones);
    _mm512_storeu_si512(to, x);
    to += step;
  };
  std::size_t l = 0;
  if (lines == kLanes) {
    const auto row = [&](std::size_t r) ZEROPOINT_AVX512 {
      return _mm_loadu_si128(
          reinterpret_cast<const __m128i*>(from + static_cast<std::ptrdiff_t>(r) * k_stride));
    };
    for (; l + 4 <= k; l += 4) {
      __m512i x = _mm512_zextsi128_si512(row(0));
      x = _mm512_mask_broadcast_i32x4(x, 0x00F0, row(1));
      x = _mm512_mask_broadcast_i32x4(x, 0x0F00, row(2));
      x = _mm512_mask_broadcast_i32x4(x, 0xF000, row(3));
      from += 4 * k_stride;
      finish(x, flip);
    }
  }
  for (; l < k; l += 4) {
    const std::size_t left = k - l < 4 ? k - l : 4;
    __m512i x = _mm512_setzero_si512();
    for (std::size_t r = 0; r < left; ++r) {
      const __m128i row =
          _mm_maskz_loadu_epi8(mask, from + static_cast<std::ptrdiff_t>(r) * k_stride);
      x = _mm512_mask_broadcast_i32x4(x, static_cast<__mmask16>(0xF << (4 * r)), row);
    }
    from += 4 * k_stride;
    finish(x, _mm512_and_si512(flip, bytes_of_group(left, 0xFF)));
  }
  return sums;
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
          whole ? column_flip
                : _mm512_and_si512(column_flip, bytes_of_group(left - 4 * g, 0xFF));
      const __m512i y = _mm512_xor_si512(x[g], with);
      sums = _mm512_dpbusd_epi32(sums, y, ones);
      _mm512_storeu_si512(to, y);
      to += step;
    }
  }
  return sums;
}

ZEROPOINT_AVX512 void pack(const PackTask& task) noexcept {
  if (task.line_stride != 1 && task.k_stride != 1) return pack_plain<std::uint8_t>(task, task.is_signed ? -128 : 0);
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  const __m512i flip = _mm512_set1_epi8(task.is_signed ? static_cast<char>(0x80) : char{0});
  const std::size_t step = 4 * task.columns;
  for (std::size_t j = 0; j < task.columns; j += kLanes) {
    const std::size_t lines = task.lines > j ? (task.lines - j < kLanes ? task.lines - j : kLanes) : 0;
    const std::uint8_t* first = from + static_cast<std::ptrdiff_t>(j) * task.line_stride;
    const __m512i sums =
        task.line_stride == 1
            ? pack_columns(first, task.k_stride, lines, task.k, flip, task.panel + 4 * j, step)
            : pack_transposed(first, task.line_stride, lines, task.k, flip, task.panel + 4 * j,
                              step);
    _mm512_storeu_si512(task.sums + j, sums);
  }
}

// Up to 16 rows that are contiguous along k: their sums, and with `Copy` what the tile takes.
template <bool Copy>
ZEROPOINT_AVX512 __m512i sum_16_rows(const RowTask& task, std::size_t first, std::size_t rows,
                                     __m512i flip) {
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  const __m512i ones = _mm512_set1_epi8(1);
  const std::size_t whole = task.k / 64 * 64;
  const __mmask64 rest = first_bits(task.k - whole);
  __m512i sums[16];
  for (std::size_t i = 0; i < 16; ++i) {
    __m512i sum = _mm512_setzero_si512();
    if (i < rows) {
      const std::uint8_t* x = from + static_cast<std::ptrdiff_t>(first + i) * task.row_stride;
      std::uint8_t* to =
          Copy ? task.to + static_cast<std::ptrdiff_t>(first + i) * task.to_row : nullptr;
      for (std::size_t l = 0; l < whole; l += 64) {
        const __m512i v = _mm512_xor_si512(_mm512_loadu_si512(x + l), flip);
        sum = _mm512_dpbusd_epi32(sum, ones, v);
        if constexpr (Copy) _mm512_storeu_si512(to + l, v);
      }
      if (rest != 0) {
        const __m512i v = _mm512_maskz_mov_epi8(
            rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, x + whole), flip));
        sum = _mm512_dpbusd_epi32(sum, ones, v);
        if constexpr (Copy) {
          const std::size_t bytes = (task.k - whole + 3) / 4 * 4;
          _mm512_mask_storeu_epi8(to + whole, first_bits(bytes), v);
        }
      }
    }
    sums[i] = sum;
  }
  transpose(sums);
  __m512i total = sums[0];
  for (std::size_t i = 1; i < 16; ++i) total = _mm512_add_epi32(total, sums[i]);
  return total;
}

ZEROPOINT_AVX512 void rows_of_a(const RowTask& task) noexcept {
  if (task.k_stride != 1) return rows_plain<std::int8_t>(task, task.is_signed ? 0 : 128);
  const __m512i flip = _mm512_set1_epi8(task.is_signed ? char{0} : static_cast<char>(0x80));
  for (std::size_t i = 0; i < task.rows; i += 16) {
    const std::size_t rows = task.rows - i < 16 ? task.rows - i : 16;
    const __m512i sums = task.to != nullptr ? sum_16_rows<true>(task, i, rows, flip)
                                            : sum_16_rows<false>(task, i, rows, flip);
    _mm512_mask_storeu_epi32(task.sums + i, static_cast<__mmask16>(first_bits(rows)), sums);
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
                               .pack = pack,
                               .rows_of_a = rows_of_a};

}  // namespace zeropoint

#endif
