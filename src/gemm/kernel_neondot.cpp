#include "gemm/kernel_rows.hpp"

#if defined(__aarch64__)
#include <sys/auxv.h>

#include "gemm/pack_neon.hpp"

// How a function asks for SDOT is where the compilers differ.
#if defined(__clang__)
#define ZEROPOINT_DOTPROD __attribute__((target("dotprod")))
#else
#define ZEROPOINT_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

namespace zeropoint {
namespace {

constexpr std::size_t kRows = 8;
constexpr std::size_t kLanes = neon::kLanes;
constexpr std::size_t kVectors = 3;

// The tile in assembly, so that all its registers stay registers: v0–23 hold the sums, row r in
// 3r…3r+2, v24–26 the panel's vectors, v27–30 four rows of A. A is read where it lies, four groups
// of a row at once. Eight rows of it would not fit beside the sums; rows 4–7 therefore come after
// rows 0–3 and read the four groups of the panel once more: one load for three products, where the
// processors can do one for one.
// clang-format off
#define ZEROPOINT_ROWS_0_3(DO, g)             \
  DO(0, "0", "1", "2", "27", "%[a0]", g)      \
  DO(1, "3", "4", "5", "28", "%[a1]", g)      \
  DO(2, "6", "7", "8", "29", "%[a2]", g)      \
  DO(3, "9", "10", "11", "30", "%[a3]", g)
#define ZEROPOINT_ROWS_4_7(DO, g)             \
  DO(4, "12", "13", "14", "27", "%[a4]", g)   \
  DO(5, "15", "16", "17", "28", "%[a5]", g)   \
  DO(6, "18", "19", "20", "29", "%[a6]", g)   \
  DO(7, "21", "22", "23", "30", "%[a7]", g)
#define ZEROPOINT_IF_ROW(r, code) ".if %c[rows] > " #r "\n" code ".endif\n"
#define ZEROPOINT_IF_VECTOR(v, code) ".if %c[vectors] > " #v "\n" code ".endif\n"

#define ZEROPOINT_START(r, c0, c1, c2, a, pointer, g)                                          \
  ZEROPOINT_IF_ROW(r, "ld1r {v27.4s}, [%[row_start]], #4\n"                                    \
                      "add v" c0 ".4s, v24.4s, v27.4s\n"                                       \
                      ZEROPOINT_IF_VECTOR(1, "add v" c1 ".4s, v25.4s, v27.4s\n")               \
                      ZEROPOINT_IF_VECTOR(2, "add v" c2 ".4s, v26.4s, v27.4s\n"))
#define ZEROPOINT_LOAD_4(r, c0, c1, c2, a, pointer, g)                                         \
  ZEROPOINT_IF_ROW(r, "ldr q" a ", [" pointer "], #16\n")
#define ZEROPOINT_LOAD_1(r, c0, c1, c2, a, pointer, g)                                         \
  ZEROPOINT_IF_ROW(r, "ldr s" a ", [" pointer "], #4\n")
#define ZEROPOINT_TAIL(r, c0, c1, c2, a, pointer, g)                                           \
  ZEROPOINT_IF_ROW(r, "add " pointer ", %[tail], #4*" #r "\n")
#define ZEROPOINT_DOT(r, c0, c1, c2, a, pointer, g)                                            \
  ZEROPOINT_IF_ROW(r, "sdot v" c0 ".4s, v24.16b, v" a ".4b[" #g "]\n"                          \
                      ZEROPOINT_IF_VECTOR(1, "sdot v" c1 ".4s, v25.16b, v" a ".4b[" #g "]\n")  \
                      ZEROPOINT_IF_VECTOR(2, "sdot v" c2 ".4s, v26.16b, v" a ".4b[" #g "]\n"))
#define ZEROPOINT_STORE(r, c0, c1, c2, a, pointer, g)                                          \
  ZEROPOINT_IF_ROW(r, "str q" c0 ", [%[c]]\n"                                                  \
                      ZEROPOINT_IF_VECTOR(1, "str q" c1 ", [%[c], #16]\n")                     \
                      ZEROPOINT_IF_VECTOR(2, "str q" c2 ", [%[c], #32]\n")                     \
                      "add %[c], %[c], %[c_row]\n")
#define ZEROPOINT_LOAD_B(g)                                                                    \
  "ldr q24, [%[b], #16*%c[vectors]*" #g "]\n"                                                  \
  ZEROPOINT_IF_VECTOR(1, "ldr q25, [%[b], #16*%c[vectors]*" #g "+16]\n")                       \
  ZEROPOINT_IF_VECTOR(2, "ldr q26, [%[b], #16*%c[vectors]*" #g "+32]\n")
#define ZEROPOINT_4_GROUPS(ROWS)               \
  ROWS(ZEROPOINT_LOAD_4, 0)                    \
  ZEROPOINT_LOAD_B(0) ROWS(ZEROPOINT_DOT, 0)   \
  ZEROPOINT_LOAD_B(1) ROWS(ZEROPOINT_DOT, 1)   \
  ZEROPOINT_LOAD_B(2) ROWS(ZEROPOINT_DOT, 2)   \
  ZEROPOINT_LOAD_B(3) ROWS(ZEROPOINT_DOT, 3)
// clang-format on

template <std::size_t Rows, std::size_t Vectors>
ZEROPOINT_DOTPROD void tile_of(const TileTask& task) noexcept {
  const auto row = [&](std::size_t r) {
    return task.a + static_cast<std::ptrdiff_t>(r < Rows ? r : 0) * task.a_row;
  };
  const std::uint8_t* a0 = row(0);
  const std::uint8_t* a1 = row(1);
  const std::uint8_t* a2 = row(2);
  const std::uint8_t* a3 = row(3);
  const std::uint8_t* a4 = row(4);
  const std::uint8_t* a5 = row(5);
  const std::uint8_t* a6 = row(6);
  const std::uint8_t* a7 = row(7);
  const std::uint8_t* tail = task.a_tail;
  const std::uint8_t* b = task.b;
  const std::int32_t* row_start = task.row_start;
  std::size_t groups = task.groups;
  std::int32_t* c = task.c;
  asm volatile(
      "ldr q24, [%[column_start]]\n"
      ZEROPOINT_IF_VECTOR(1, "ldr q25, [%[column_start], #16]\n")
      ZEROPOINT_IF_VECTOR(2, "ldr q26, [%[column_start], #32]\n")
      ZEROPOINT_ROWS_0_3(ZEROPOINT_START, 0)
      ZEROPOINT_ROWS_4_7(ZEROPOINT_START, 0)
      "subs %[groups], %[groups], #4\n"
      "b.lo 2f\n"
      ".p2align 4\n"
      "1:\n"
      ZEROPOINT_4_GROUPS(ZEROPOINT_ROWS_0_3)
      ZEROPOINT_IF_ROW(4, ZEROPOINT_4_GROUPS(ZEROPOINT_ROWS_4_7))
      "add %[b], %[b], #64*%c[vectors]\n"
      "subs %[groups], %[groups], #4\n"
      "b.hs 1b\n"
      "2:\n"
      "adds %[groups], %[groups], #4\n"
      "b.eq 4f\n"
      "3:\n"
      ZEROPOINT_LOAD_B(0)
      ZEROPOINT_ROWS_0_3(ZEROPOINT_LOAD_1, 0)
      ZEROPOINT_ROWS_0_3(ZEROPOINT_DOT, 0)
      ZEROPOINT_ROWS_4_7(ZEROPOINT_LOAD_1, 0)
      ZEROPOINT_ROWS_4_7(ZEROPOINT_DOT, 0)
      "add %[b], %[b], #16*%c[vectors]\n"
      "subs %[groups], %[groups], #1\n"
      "b.ne 3b\n"
      "4:\n"  // one more group, whose rows are 4 bytes apart
      "cbz %[tail], 5f\n"
      ZEROPOINT_ROWS_0_3(ZEROPOINT_TAIL, 0)
      ZEROPOINT_ROWS_4_7(ZEROPOINT_TAIL, 0)
      "mov %[tail], xzr\n"
      "mov %[groups], #1\n"
      "b 3b\n"
      "5:\n"
      ZEROPOINT_ROWS_0_3(ZEROPOINT_STORE, 0)
      ZEROPOINT_ROWS_4_7(ZEROPOINT_STORE, 0)
      : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [a4] "+r"(a4), [a5] "+r"(a5),
        [a6] "+r"(a6), [a7] "+r"(a7), [tail] "+r"(tail), [b] "+r"(b), [row_start] "+r"(row_start),
        [groups] "+r"(groups), [c] "+r"(c)
      : [rows] "i"(Rows), [vectors] "i"(Vectors), [column_start] "r"(task.column_start),
        [c_row] "r"(task.c_row * 4)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
        "v25", "v26", "v27", "v28", "v29", "v30");
}

using TileFunction = void (*)(const TileTask&) noexcept;
#define ZEROPOINT_TILES(v)                                                                    \
  {                                                                                           \
    tile_of<1, v>, tile_of<2, v>, tile_of<3, v>, tile_of<4, v>, tile_of<5, v>, tile_of<6, v>, \
        tile_of<7, v>, tile_of<8, v>                                                          \
  }
constexpr TileFunction kTiles[kVectors][kRows] = {ZEROPOINT_TILES(1), ZEROPOINT_TILES(2),
                                                  ZEROPOINT_TILES(3)};

void tile(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept {
  kTiles[vectors - 1][rows - 1](task);
}

bool supported() noexcept { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }

}  // namespace

const Kernel kernel_neondot{.name = "s8s8s32_8x12c4_neondot",
                            .supported = supported,
                            .element = 1,
                            .a_signed = true,
                            .b_signed = true,
                            .rows = kRows,
                            .lanes = kLanes,
                            .vectors = kVectors,
                            .last_vectors = kVectors,
                            .tile = tile,
                            .pack = neon::pack,
                            .rows_of_a = neon::rows_of_a};

}  // namespace zeropoint

#endif
