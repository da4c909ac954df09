// The tile of 6 × 16 with sixteen 256-bit registers, of which ZEROPOINT_DOT(r, c0, c1, a) is what
// instruction sets do differently: a kernel's file defines it and ZEROPOINT_TILE_TARGET, then
// includes this file.
#pragma once
#include "gemm/kernel.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kRows = 6;
constexpr std::size_t kLanes = 8;
constexpr std::size_t kVectors = 2;

// Assembly, as for AVX-512. ymm0–11 hold the sums, row r in 2r and 2r + 1, ymm12–13 the panel's
// vectors; ymm14–15 are ZEROPOINT_DOT's. 12 chains keep two units busy that take 4 or 5 cycles.
// Wider and lower would read B more often: a panel comes from the second-level cache once a tile.
//
// clang-format off
#define ZEROPOINT_EACH_ROW(DO)               \
  DO(0, "0", "1", "(%[a])")                  \
  DO(1, "2", "3", "(%[a],%[row])")           \
  DO(2, "4", "5", "(%[a],%[row],2)")         \
  DO(3, "6", "7", "(%[a3])")                 \
  DO(4, "8", "9", "(%[a3],%[row])")          \
  DO(5, "10", "11", "(%[a3],%[row],2)")
#define ZEROPOINT_IF_ROW(r, code) ".if %c[rows] > " #r "\n" code ".endif\n"
#define ZEROPOINT_IF_TWO(code) ".if %c[vectors] > 1\n" code ".endif\n"

#define ZEROPOINT_START(r, c0, c1, a)                                    \
  ZEROPOINT_IF_ROW(r, "vpbroadcastd " #r "*4(%[row_start]), %%ymm14\n"   \
                      "vpaddd %%ymm12, %%ymm14, %%ymm" c0 "\n"           \
                      ZEROPOINT_IF_TWO("vpaddd %%ymm13, %%ymm14, %%ymm" c1 "\n"))
#define ZEROPOINT_STORE(r, c0, c1, a)                                    \
  ZEROPOINT_IF_ROW(r, "vmovdqu %%ymm" c0 ", (%[c])\n"                    \
                      ZEROPOINT_IF_TWO("vmovdqu %%ymm" c1 ", 32(%[c])\n") \
                      "add %[c_row], %[c]\n")

template <std::size_t Rows, std::size_t Vectors>
ZEROPOINT_TILE_TARGET void tile_of(const TileTask& task) noexcept {
  const std::uint8_t* a = task.a;
  const std::uint8_t* a3 = a + 3 * task.a_row;
  std::ptrdiff_t row = task.a_row;
  const std::uint8_t* tail = task.a_tail;
  const std::uint8_t* b = task.b;
  std::size_t groups = task.groups;
  std::int32_t* c = task.c;
  asm volatile(
      "vmovdqu (%[column_start]), %%ymm12\n"
      ZEROPOINT_IF_TWO("vmovdqu 32(%[column_start]), %%ymm13\n")
      ZEROPOINT_EACH_ROW(ZEROPOINT_START)
      "test %[groups], %[groups]\n"
      "jz 2f\n"
      ".p2align 5\n"
      "1:\n"
      "vmovdqu (%[b]), %%ymm12\n"
      ZEROPOINT_IF_TWO("vmovdqu 32(%[b]), %%ymm13\n")
      ZEROPOINT_EACH_ROW(ZEROPOINT_DOT)
      "add $4, %[a]\n"
      ZEROPOINT_IF_ROW(3, "add $4, %[a3]\n")
      "add $32*%c[vectors], %[b]\n"
      "dec %[groups]\n"
      "jnz 1b\n"
      "2:\n"  // one more group, whose rows are 4 bytes apart
      "test %[tail], %[tail]\n"
      "jz 3f\n"
      "mov %[tail], %[a]\n"
      "lea 12(%[tail]), %[a3]\n"
      "mov $4, %k[row]\n"
      "xor %k[tail], %k[tail]\n"
      "mov $1, %k[groups]\n"
      "jmp 1b\n"
      "3:\n"
      ZEROPOINT_EACH_ROW(ZEROPOINT_STORE)
      "vzeroupper\n"
      : [a] "+r"(a), [a3] "+r"(a3), [row] "+r"(row), [tail] "+r"(tail), [b] "+r"(b),
        [groups] "+r"(groups), [c] "+r"(c)
      : [rows] "i"(Rows), [vectors] "i"(Vectors), [row_start] "r"(task.row_start),
        [column_start] "r"(task.column_start), [c_row] "r"(task.c_row * 4)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}
// clang-format on

using TileFunction = void (*)(const TileTask&) noexcept;
constexpr TileFunction kTiles[kVectors][kRows] = {
    {tile_of<1, 1>, tile_of<2, 1>, tile_of<3, 1>, tile_of<4, 1>, tile_of<5, 1>, tile_of<6, 1>},
    {tile_of<1, 2>, tile_of<2, 2>, tile_of<3, 2>, tile_of<4, 2>, tile_of<5, 2>, tile_of<6, 2>}};

void tile(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept {
  kTiles[vectors - 1][rows - 1](task);
}

}  // namespace
}  // namespace zeropoint
