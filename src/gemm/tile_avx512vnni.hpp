#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

#include "gemm/kernel.hpp"

/// The tile of kernel_avx512vnni.cpp in assembly. With intrinsics, how many of its registers stay
/// in memory is up to the compiler's mood (g++ 12 spills a third of them).
///
///   zmm0–23   sums: row r in 3r, 3r + 1, 3r + 2
///   zmm24–26  a group of the panel
///   zmm27     a group of a row of A, broadcast
///
/// Eight rows keep both dot product units busy (16 chains; 2 units of 4 cycles) and leave tiles so
/// short that the next one begins while one is being stored.

#define ZEROPOINT_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,bmi2")))

namespace zeropoint::avx512vnni {

constexpr std::size_t kRows = 8;
constexpr std::size_t kLanes = 16;
constexpr std::size_t kVectors = 2;
constexpr std::size_t kLastVectors = 3;

// Lines of assembly for what a tile has: the assembler drops the others.
// clang-format off
#define ZEROPOINT_ROW(r, lines) ".if %c[rows] > " #r "\n" lines ".endif\n"
#define ZEROPOINT_VECTOR(v, lines) ".if %c[vectors] > " #v "\n" lines ".endif\n"
#define ZEROPOINT_EACH_ROW(DO)            \
  DO(0, "0", "1", "2", "(%[a])")          \
  DO(1, "3", "4", "5", "(%[a],%[row])")   \
  DO(2, "6", "7", "8", "(%[a],%[row],2)") \
  DO(3, "9", "10", "11", "(%[a],%[row3])") \
  DO(4, "12", "13", "14", "(%[a4])")      \
  DO(5, "15", "16", "17", "(%[a4],%[row])") \
  DO(6, "18", "19", "20", "(%[a4],%[row],2)") \
  DO(7, "21", "22", "23", "(%[a4],%[row3])")

#define ZEROPOINT_START(r, c0, c1, c2, a)                               \
  ZEROPOINT_ROW(r,                                                      \
    "vpbroadcastd " #r "*4(%[row_start]), %%zmm27\n"                    \
                        "vpaddd %%zmm24, %%zmm27, %%zmm" c0 "\n"        \
    ZEROPOINT_VECTOR(1, "vpaddd %%zmm25, %%zmm27, %%zmm" c1 "\n")       \
    ZEROPOINT_VECTOR(2, "vpaddd %%zmm26, %%zmm27, %%zmm" c2 "\n"))

// One group: `of_a` bytes into the rows, `of_b` vectors into the panel.
#define ZEROPOINT_DOT(r, c0, c1, c2, a) ZEROPOINT_DOT_AT("", r, c0, c1, c2, a)
#define ZEROPOINT_SECOND_DOT(r, c0, c1, c2, a) ZEROPOINT_DOT_AT("4", r, c0, c1, c2, a)
#define ZEROPOINT_DOT_AT(of_a, r, c0, c1, c2, a)                        \
  ZEROPOINT_ROW(r,                                                      \
    "vpbroadcastd " of_a a ", %%zmm27\n"                                \
                        "vpdpbusd %%zmm27, %%zmm24, %%zmm" c0 "\n"      \
    ZEROPOINT_VECTOR(1, "vpdpbusd %%zmm27, %%zmm25, %%zmm" c1 "\n")     \
    ZEROPOINT_VECTOR(2, "vpdpbusd %%zmm27, %%zmm26, %%zmm" c2 "\n"))
#define ZEROPOINT_LOAD_B(of_b)                                          \
                        "vmovdqu64 64*(" of_b ")(%[b]), %%zmm24\n"      \
    ZEROPOINT_VECTOR(1, "vmovdqu64 64*(" of_b " + 1)(%[b]), %%zmm25\n") \
    ZEROPOINT_VECTOR(2, "vmovdqu64 64*(" of_b " + 2)(%[b]), %%zmm26\n")

// A kilobyte ahead: from the second-level cache, the processor alone brings a panel too late.
#define ZEROPOINT_PREFETCH_B(of_b)                                      \
                        "prefetcht0 1024+64*(" of_b ")(%[b])\n"         \
    ZEROPOINT_VECTOR(1, "prefetcht0 1024+64*(" of_b " + 1)(%[b])\n")    \
    ZEROPOINT_VECTOR(2, "prefetcht0 1024+64*(" of_b " + 2)(%[b])\n")

#define ZEROPOINT_SUMS                                                  \
                        "vmovdqu64 (%[column_start]), %%zmm24\n"        \
    ZEROPOINT_VECTOR(1, "vmovdqu64 64(%[column_start]), %%zmm25\n")     \
    ZEROPOINT_VECTOR(2, "vmovdqu64 128(%[column_start]), %%zmm26\n")    \
    ZEROPOINT_EACH_ROW(ZEROPOINT_START)                                 \
    "shr %[groups]\n"                                                   \
    "jnc 2f\n"                                                          \
    "1:\n" /* one group */                                              \
    ZEROPOINT_LOAD_B("0")                                               \
    ZEROPOINT_EACH_ROW(ZEROPOINT_DOT)                                   \
                     "add $4, %[a]\n"                                   \
    ZEROPOINT_ROW(4, "add $4, %[a4]\n")                                 \
    "add $64*%c[vectors], %[b]\n"                                       \
    "2:\n"                                                              \
    "test %[groups], %[groups]\n"                                       \
    "jz 4f\n"                                                           \
    ".p2align 5\n"                                                      \
    "3:\n" /* two groups */                                             \
    ZEROPOINT_LOAD_B("0")                                               \
    ZEROPOINT_PREFETCH_B("0")                                           \
    ZEROPOINT_EACH_ROW(ZEROPOINT_DOT)                                   \
    ZEROPOINT_LOAD_B("%c[vectors]")                                     \
    ZEROPOINT_PREFETCH_B("%c[vectors]")                                 \
    ZEROPOINT_EACH_ROW(ZEROPOINT_SECOND_DOT)                            \
                     "add $8, %[a]\n"                                   \
    ZEROPOINT_ROW(4, "add $8, %[a4]\n")                                 \
    "add $128*%c[vectors], %[b]\n"                                      \
    "dec %[groups]\n"                                                   \
    "jnz 3b\n"                                                          \
    "4:\n" /* the incomplete one, whose rows are 4 bytes apart */       \
    "test %[tail], %[tail]\n"                                           \
    "jz 5f\n"                                                           \
    "mov %[tail], %[a]\n"                                               \
    "lea 16(%[tail]), %[a4]\n"                                          \
    "mov $4, %[row]\n"                                                  \
    "mov $12, %[row3]\n"                                                \
    "xor %k[tail], %k[tail]\n"                                          \
    "jmp 1b\n"                                                          \
    "5:\n"

// A vector into memory, the last one of a row by the mask k1.
#define ZEROPOINT_PUT(move, c, v, bytes)                                \
    ".if %c[vectors] == " #v " + 1\n"                                   \
    move " %%zmm" c ", " #v "*" #bytes "(%[c])%{%%k1%}\n"               \
    ".else\n"                                                           \
    move " %%zmm" c ", " #v "*" #bytes "(%[c])\n"                       \
    ".endif\n"

#define ZEROPOINT_STORE(r, c0, c1, c2, a)                               \
  ZEROPOINT_ROW(r,                                                      \
                        "vmovdqu64 %%zmm" c0 ", (%[c])\n"               \
    ZEROPOINT_VECTOR(1, "vmovdqu64 %%zmm" c1 ", 64(%[c])\n")            \
    ZEROPOINT_VECTOR(2, "vmovdqu64 %%zmm" c2 ", 128(%[c])\n")           \
    "add %[c_row], %[c]\n")

#define ZEROPOINT_STORE_INT32(r, c0, c1, c2, a)                         \
  ZEROPOINT_ROW(r,                                                      \
                        ZEROPOINT_PUT("vmovdqu32", c0, 0, 64)           \
    ZEROPOINT_VECTOR(1, ZEROPOINT_PUT("vmovdqu32", c1, 1, 64))          \
    ZEROPOINT_VECTOR(2, ZEROPOINT_PUT("vmovdqu32", c2, 2, 64))          \
    "add %[c_row], %[c]\n")

#define ZEROPOINT_SCALED(c, scale, v)                                   \
    "vcvtdq2ps %%zmm" c ", %%zmm" c "\n"                                \
    "vmulps %%zmm" scale ", %%zmm" c ", %%zmm" c "\n"                   \
    ZEROPOINT_PUT("vmovups", c, v, 64)
#define ZEROPOINT_STORE_SCALED(r, c0, c1, c2, a)                        \
  ZEROPOINT_ROW(r,                                                      \
                        ZEROPOINT_SCALED(c0, "24", 0)                   \
    ZEROPOINT_VECTOR(1, ZEROPOINT_SCALED(c1, "25", 1))                  \
    ZEROPOINT_VECTOR(2, ZEROPOINT_SCALED(c2, "26", 2))                  \
    "add %[c_row], %[c]\n")

#define ZEROPOINT_FLOAT(c, scale, bias, v)                              \
    "vcvtdq2ps %%zmm" c ", %%zmm" c "\n"                                \
    "vmulps %%zmm" scale ", %%zmm" c ", %%zmm" c "\n"                   \
    "vaddps %%zmm" bias ", %%zmm" c ", %%zmm" c "\n"                    \
    ZEROPOINT_PUT("vmovups", c, v, 64)
#define ZEROPOINT_STORE_FLOAT(r, c0, c1, c2, a)                         \
  ZEROPOINT_ROW(r,                                                      \
                        ZEROPOINT_FLOAT(c0, "24", "27", 0)              \
    ZEROPOINT_VECTOR(1, ZEROPOINT_FLOAT(c1, "25", "28", 1))             \
    ZEROPOINT_VECTOR(2, ZEROPOINT_FLOAT(c2, "26", "29", 2))             \
    "add %[c_row], %[c]\n")

// Packing two vectors, and two of these, leaves their quarters' parts side by side.
struct Order {
  std::int32_t at[16];
};
alignas(64) constexpr Order kOrder{{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}};

// Rounded, in 32 bits; too low becomes the lowest, which 16 bits then saturate.
#define ZEROPOINT_ROUNDED(c, scale)                                     \
    "vcvtdq2ps %%zmm" c ", %%zmm" c "\n"                                \
    "vmulps %%zmm" scale ", %%zmm" c ", %%zmm" c "\n"                   \
    "vminps %%zmm29, %%zmm" c ", %%zmm" c "\n"                          \
    "vcvtps2dq %%zmm" c ", %%zmm" c "\n"
#define ZEROPOINT_ROUNDED_ROW(c0, c1, c2)                               \
                        ZEROPOINT_ROUNDED(c0, "24")                     \
    ZEROPOINT_VECTOR(1, ZEROPOINT_ROUNDED(c1, "25"))                    \
    ZEROPOINT_VECTOR(2, ZEROPOINT_ROUNDED(c2, "26"))
#define ZEROPOINT_TO_16(to, x, y)                                       \
    "vpackssdw %%zmm" y ", %%zmm" x ", %%zmm" to "\n"                   \
    "vpaddsw %%zmm27, %%zmm" to ", %%zmm" to "\n"
// Two vectors of 16 bits into bytes, column after column, row after row.
#define ZEROPOINT_TO_8(to, x, y)                                        \
    "vpacksswb %%zmm" y ", %%zmm" x ", %%zmm" to "\n"                   \
    "vpmaxsb %%zmm28, %%zmm" to ", %%zmm" to "\n"                       \
    "vpxord %%zmm31, %%zmm" to ", %%zmm" to "\n"                        \
    "vpermd %%zmm" to ", %%zmm30, %%zmm" to "\n"
// b: what is missing of a last vector that is not whole; masked bytes are slow to store.
#define ZEROPOINT_PUT_8(part, at)                                       \
    "test %k[b], %k[b]\n"                                     \
    "jnz 6f\n"                                                          \
    "vmovdqu64 " part ", " at "(%[c])\n"                                  \
    "jmp 7f\n"                                                          \
    "6: vmovdqu8 " part ", " at "(%[c])%{%%k1%}\n"                      \
    "7:\n"
// Two rows, or one.
#define ZEROPOINT_STORE_INT8(r, s, c0, c1, c2, d0, d1, d2)              \
  ZEROPOINT_ROW(r,                                                      \
    ZEROPOINT_ROUNDED_ROW(c0, c1, c2)                                   \
    ZEROPOINT_ROW(s, ZEROPOINT_ROUNDED_ROW(d0, d1, d2))                 \
    ".if %c[vectors] == 1\n"                                            \
    ZEROPOINT_TO_16(c0, c0, d0)                                         \
    ZEROPOINT_TO_8(c0, c0, c0)                                          \
    ZEROPOINT_PUT_8("%%xmm" c0, "0")                                    \
    "add %[c_row], %[c]\n"                                              \
    ZEROPOINT_ROW(s,                                                    \
      "vextracti32x4 $1, %%ymm" c0 ", %%xmm" c0 "\n"                     \
      ZEROPOINT_PUT_8("%%xmm" c0, "0")                                  \
      "add %[c_row], %[c]\n")                                           \
    ".else\n"                                                           \
    ZEROPOINT_TO_16(c0, c0, c1)                                         \
    ZEROPOINT_ROW(s, ZEROPOINT_TO_16(d0, d0, d1))                       \
    ZEROPOINT_TO_8(c0, c0, d0)                                          \
    ZEROPOINT_ROW(s, "vextracti64x4 $1, %%zmm" c0 ", %%ymm" d0 "\n")    \
    ".if %c[vectors] == 2\n"                                            \
    ZEROPOINT_PUT_8("%%ymm" c0, "0")                                    \
    "add %[c_row], %[c]\n"                                              \
    ZEROPOINT_ROW(s, ZEROPOINT_PUT_8("%%ymm" d0, "0")                   \
      "add %[c_row], %[c]\n")                                           \
    ".else\n"                                                           \
    ZEROPOINT_TO_16(c2, c2, d2)                                         \
    ZEROPOINT_TO_8(c2, c2, c2)                                          \
    "vmovdqu64 %%ymm" c0 ", (%[c])\n"                                     \
    ZEROPOINT_PUT_8("%%xmm" c2, "32")                                   \
    "add %[c_row], %[c]\n"                                              \
    ZEROPOINT_ROW(s,                                                    \
      "vextracti32x4 $1, %%ymm" c2 ", %%xmm" c2 "\n"                     \
      "vmovdqu64 %%ymm" d0 ", (%[c])\n"                                   \
      ZEROPOINT_PUT_8("%%xmm" c2, "32")                                 \
      "add %[c_row], %[c]\n")                                           \
    ".endif\n"                                                          \
    ".endif\n")

// What all outputs have in common around `finish`, which finds the sums in zmm0–23 and may use the
// registers of a, b and zmm24–29.
#define ZEROPOINT_TILE(finish, out, bytes_of_row, ...)                                            \
  const std::uint8_t* a = task.a;                                                                 \
  const std::uint8_t* a4 = a + 4 * task.a_row;                                                    \
  std::ptrdiff_t row = task.a_row;                                                                \
  std::ptrdiff_t row3 = 3 * row;                                                                  \
  const std::uint8_t* tail = task.a_tail;                                                         \
  const std::uint8_t* b = task.b;                                                                 \
  std::size_t groups = task.groups;                                                               \
  void* c = out;                                                                                  \
  asm volatile(ZEROPOINT_SUMS finish                                                              \
               : [a] "+r"(a), [a4] "+r"(a4), [row] "+r"(row), [row3] "+r"(row3),                  \
                 [tail] "+r"(tail), [b] "+r"(b), [groups] "+r"(groups), [c] "+r"(c)               \
               : [rows] "i"(Rows), [vectors] "i"(Vectors), [row_start] "r"(task.row_start),       \
                 [column_start] "r"(task.column_start), [c_row] "r"(bytes_of_row) __VA_OPT__(,)   \
                 __VA_ARGS__                                                                      \
               : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",  \
                 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16",   \
                 "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", \
                 "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1")

/// 32-bit sums of the whole panel, into task.c.
struct Plain {
  template <std::size_t Rows, std::size_t Vectors>
  ZEROPOINT_AVX512 static void tile(const TileTask& task, const TileFinish*) noexcept {
    ZEROPOINT_TILE(ZEROPOINT_EACH_ROW(ZEROPOINT_STORE), task.c, task.c_row * 4);
  }
};

struct Int32 {
  template <std::size_t Rows, std::size_t Vectors>
  ZEROPOINT_AVX512 static void tile(const TileTask& task, const TileFinish* finish) noexcept {
    ZEROPOINT_TILE("kmovw %[mask], %%k1\n"
                   ZEROPOINT_EACH_ROW(ZEROPOINT_STORE_INT32),
                   finish->out, finish->out_row * 4, [mask] "m"(finish->last_lanes));
  }
};

/// Without a bias.
struct Scaled {
  template <std::size_t Rows, std::size_t Vectors>
  ZEROPOINT_AVX512 static void tile(const TileTask& task, const TileFinish* finish) noexcept {
    // Pointers are loaded when the loop no longer needs its registers.
    ZEROPOINT_TILE("kmovw %[mask], %%k1\n"
                   "mov %[scale], %[a]\n"
                                       "vmovups (%[a]), %%zmm24\n"
                   ZEROPOINT_VECTOR(1, "vmovups 64(%[a]), %%zmm25\n")
                   ZEROPOINT_VECTOR(2, "vmovups 128(%[a]), %%zmm26\n")
                   ZEROPOINT_EACH_ROW(ZEROPOINT_STORE_SCALED),
                   finish->out, finish->out_row * 4, [mask] "m"(finish->last_lanes),
                   [scale] "m"(finish->scale));
  }
};

struct Float32 {
  template <std::size_t Rows, std::size_t Vectors>
  ZEROPOINT_AVX512 static void tile(const TileTask& task, const TileFinish* finish) noexcept {
    ZEROPOINT_TILE("kmovw %[mask], %%k1\n"
                   "mov %[scale], %[a]\n"
                   "mov %[bias], %[b]\n"
                                       "vmovups (%[a]), %%zmm24\n"
                                       "vmovups (%[b]), %%zmm27\n"
                   ZEROPOINT_VECTOR(1, "vmovups 64(%[a]), %%zmm25\n"
                                       "vmovups 64(%[b]), %%zmm28\n")
                   ZEROPOINT_VECTOR(2, "vmovups 128(%[a]), %%zmm26\n"
                                       "vmovups 128(%[b]), %%zmm29\n")
                   ZEROPOINT_EACH_ROW(ZEROPOINT_STORE_FLOAT),
                   finish->out, finish->out_row * 4, [mask] "m"(finish->last_lanes),
                   [scale] "m"(finish->scale), [bias] "m"(finish->bias));
  }
};

struct Int8 {
  template <std::size_t Rows, std::size_t Vectors>
  ZEROPOINT_AVX512 static void tile(const TileTask& task, const TileFinish* finish) noexcept {
    ZEROPOINT_TILE("mov %[mask], %k[b]\n"
                   ".if %c[vectors] == 2\n"
                   "shl $16, %k[b]\n"
                   "or $0xFFFF, %k[b]\n"
                   ".endif\n"
                   "kmovd %k[b], %%k1\n"
                   ".if %c[vectors] == 2\n"
                   "not %k[b]\n"
                   ".else\n"
                   "xor $0xFFFF, %k[b]\n"
                   ".endif\n"
                   "mov %[scale], %[a]\n"
                                       "vmovups (%[a]), %%zmm24\n"
                   ZEROPOINT_VECTOR(1, "vmovups 64(%[a]), %%zmm25\n")
                   ZEROPOINT_VECTOR(2, "vmovups 128(%[a]), %%zmm26\n")
                   "vpbroadcastd %[shift], %%zmm27\n"
                   "vpbroadcastd %[lo], %%zmm28\n"
                   "vbroadcastss %[hi], %%zmm29\n"
                   "vmovdqu64 %[order], %%zmm30\n"
                   "vpbroadcastd %[flip], %%zmm31\n"
                   ZEROPOINT_STORE_INT8(0, 1, "0", "1", "2", "3", "4", "5")
                   ZEROPOINT_STORE_INT8(2, 3, "6", "7", "8", "9", "10", "11")
                   ZEROPOINT_STORE_INT8(4, 5, "12", "13", "14", "15", "16", "17")
                   ZEROPOINT_STORE_INT8(6, 7, "18", "19", "20", "21", "22", "23"),
                   finish->out, finish->out_row, [mask] "m"(finish->last_lanes),
                   [scale] "m"(finish->scale), [shift] "m"(finish->shift), [lo] "m"(finish->lo),
                   [hi] "m"(finish->hi), [flip] "m"(finish->flip), [order] "m"(kOrder));
  }
};
// clang-format on

/// One function for each number of rows and vectors.
using TileFunction = void (*)(const TileTask&, const TileFinish*) noexcept;
struct Tiles {
  TileFunction of[kLastVectors][kRows];
};

template <class As, std::size_t Vectors, std::size_t... Row>
constexpr void put_tiles(Tiles& tiles, std::index_sequence<Row...>) {
  ((tiles.of[Vectors - 1][Row] = As::template tile<Row + 1, Vectors>), ...);
}

template <class As>
constexpr Tiles tiles_of() {
  Tiles tiles{};
  constexpr auto rows = std::make_index_sequence<kRows>();
  put_tiles<As, 1>(tiles, rows);
  put_tiles<As, 2>(tiles, rows);
  put_tiles<As, 3>(tiles, rows);
  return tiles;
}

}  // namespace zeropoint::avx512vnni
