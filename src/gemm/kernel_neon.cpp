#include "gemm/kernel_rows.hpp"

#if defined(__aarch64__)
#include "gemm/pack_neon.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kRows = 4;
constexpr std::size_t kLanes = neon::kLanes;
constexpr std::size_t kVectors = 2;

// Every arm64 has this: SMULL makes eight products of 8 bits, which 16 hold, and SADALP adds them
// in pairs to sums of 32. As many products an instruction as SMLAL of 16-bit elements, but A stays
// as it is, both operands take half the memory, and the two go to different pipes of most
// processors.
//
// v0–15 hold the sums, row r in 4r…4r+3, two of them a column; v16 and v17 the panel's vectors,
// v18–21 four groups of each row of A, v22 and v23 one group of a row in all lanes, v24–31
// products: of even rows in 24–27, of odd ones in 28–31, so that a row's are made while those of
// the row before are added.
// clang-format off
#define ZEROPOINT_ROW_0(DO, g)                                                                 \
  DO(0, "0", "1", "2", "3", "18", "22", "24", "25", "26", "27", "%[a0]", g)
#define ZEROPOINT_ROW_1(DO, g)                                                                 \
  DO(1, "4", "5", "6", "7", "19", "23", "28", "29", "30", "31", "%[a1]", g)
#define ZEROPOINT_ROW_2(DO, g)                                                                 \
  DO(2, "8", "9", "10", "11", "20", "22", "24", "25", "26", "27", "%[a2]", g)
#define ZEROPOINT_ROW_3(DO, g)                                                                 \
  DO(3, "12", "13", "14", "15", "21", "23", "28", "29", "30", "31", "%[a3]", g)
#define ZEROPOINT_EACH_ROW(DO, g)                                                              \
  ZEROPOINT_ROW_0(DO, g) ZEROPOINT_ROW_1(DO, g) ZEROPOINT_ROW_2(DO, g) ZEROPOINT_ROW_3(DO, g)
#define ZEROPOINT_IF_ROW(r, code) ".if %c[rows] > " #r "\n" code ".endif\n"
#define ZEROPOINT_IF_VECTOR(v, code) ".if %c[vectors] > " #v "\n" code ".endif\n"

#define ZEROPOINT_ZERO(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                  \
  ZEROPOINT_IF_ROW(r, "movi v" c0 ".4s, #0\n"                                                  \
                      "movi v" c1 ".4s, #0\n"                                                  \
                      ZEROPOINT_IF_VECTOR(1, "movi v" c2 ".4s, #0\n"                           \
                                             "movi v" c3 ".4s, #0\n"))
#define ZEROPOINT_LOAD_4(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                \
  ZEROPOINT_IF_ROW(r, "ldr q" a ", [" pointer "], #16\n")
#define ZEROPOINT_LOAD_1(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                \
  ZEROPOINT_IF_ROW(r, "ldr s" a ", [" pointer "], #4\n")
#define ZEROPOINT_TAIL(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                  \
  ZEROPOINT_IF_ROW(r, "add " pointer ", %[tail], #4*" #r "\n")
#define ZEROPOINT_SPREAD(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                \
  ZEROPOINT_IF_ROW(r, "dup v" all ".4s, v" a ".s[" #g "]\n")
#define ZEROPOINT_MULTIPLY_0(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)            \
  ZEROPOINT_IF_ROW(r, "smull v" p0 ".8h, v16.8b, v" all ".8b\n")
#define ZEROPOINT_MULTIPLY_1(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)            \
  ZEROPOINT_IF_ROW(r, "smull2 v" p1 ".8h, v16.16b, v" all ".16b\n")
#define ZEROPOINT_MULTIPLY_2(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)            \
  ZEROPOINT_IF_ROW(r, ZEROPOINT_IF_VECTOR(1, "smull v" p2 ".8h, v17.8b, v" all ".8b\n"))
#define ZEROPOINT_MULTIPLY_3(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)            \
  ZEROPOINT_IF_ROW(r, ZEROPOINT_IF_VECTOR(1, "smull2 v" p3 ".8h, v17.16b, v" all ".16b\n"))
#define ZEROPOINT_ADD_0(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                 \
  ZEROPOINT_IF_ROW(r, "sadalp v" c0 ".4s, v" p0 ".8h\n")
#define ZEROPOINT_ADD_1(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                 \
  ZEROPOINT_IF_ROW(r, "sadalp v" c1 ".4s, v" p1 ".8h\n")
#define ZEROPOINT_ADD_2(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                 \
  ZEROPOINT_IF_ROW(r, ZEROPOINT_IF_VECTOR(1, "sadalp v" c2 ".4s, v" p2 ".8h\n"))
#define ZEROPOINT_ADD_3(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                 \
  ZEROPOINT_IF_ROW(r, ZEROPOINT_IF_VECTOR(1, "sadalp v" c3 ".4s, v" p3 ".8h\n"))
#define ZEROPOINT_STORE(r, c0, c1, c2, c3, a, all, p0, p1, p2, p3, pointer, g)                 \
  ZEROPOINT_IF_ROW(r, "ld1r {v18.4s}, [%[row_start]], #4\n"                                    \
                      "addp v" c0 ".4s, v" c0 ".4s, v" c1 ".4s\n"                              \
                      "add v19.4s, v16.4s, v18.4s\n"                                           \
                      "add v" c0 ".4s, v" c0 ".4s, v19.4s\n"                                   \
                      "str q" c0 ", [%[c]]\n"                                                  \
                      ZEROPOINT_IF_VECTOR(1, "addp v" c2 ".4s, v" c2 ".4s, v" c3 ".4s\n"       \
                                             "add v19.4s, v17.4s, v18.4s\n"                    \
                                             "add v" c2 ".4s, v" c2 ".4s, v19.4s\n"            \
                                             "str q" c2 ", [%[c], #16]\n")                     \
                      "add %[c], %[c], %[c_row]\n")

#define ZEROPOINT_MULTIPLY(ROW, g)                                      \
  ROW(ZEROPOINT_MULTIPLY_0, g) ROW(ZEROPOINT_MULTIPLY_1, g)             \
  ROW(ZEROPOINT_MULTIPLY_2, g) ROW(ZEROPOINT_MULTIPLY_3, g)
#define ZEROPOINT_ADD(ROW, g)                                           \
  ROW(ZEROPOINT_ADD_0, g) ROW(ZEROPOINT_ADD_1, g)                       \
  ROW(ZEROPOINT_ADD_2, g) ROW(ZEROPOINT_ADD_3, g)
#define ZEROPOINT_ADD_AND_MULTIPLY(BEFORE, ROW, g)                      \
  ROW(ZEROPOINT_MULTIPLY_0, g) BEFORE(ZEROPOINT_ADD_0, g)               \
  ROW(ZEROPOINT_MULTIPLY_1, g) BEFORE(ZEROPOINT_ADD_1, g)               \
  ROW(ZEROPOINT_MULTIPLY_2, g) BEFORE(ZEROPOINT_ADD_2, g)               \
  ROW(ZEROPOINT_MULTIPLY_3, g) BEFORE(ZEROPOINT_ADD_3, g)
#define ZEROPOINT_GROUP(g)                                              \
  "ldr q16, [%[b], #16*%c[vectors]*" #g "]\n"                           \
  ZEROPOINT_IF_VECTOR(1, "ldr q17, [%[b], #16*%c[vectors]*" #g "+16]\n") \
  ZEROPOINT_ROW_0(ZEROPOINT_SPREAD, g)                                  \
  ZEROPOINT_ROW_1(ZEROPOINT_SPREAD, g)                                  \
  ZEROPOINT_MULTIPLY(ZEROPOINT_ROW_0, g)                                \
  ZEROPOINT_ROW_2(ZEROPOINT_SPREAD, g)                                  \
  ZEROPOINT_ADD_AND_MULTIPLY(ZEROPOINT_ROW_0, ZEROPOINT_ROW_1, g)       \
  ZEROPOINT_ROW_3(ZEROPOINT_SPREAD, g)                                  \
  ZEROPOINT_ADD_AND_MULTIPLY(ZEROPOINT_ROW_1, ZEROPOINT_ROW_2, g)       \
  ZEROPOINT_ADD_AND_MULTIPLY(ZEROPOINT_ROW_2, ZEROPOINT_ROW_3, g)       \
  ZEROPOINT_ADD(ZEROPOINT_ROW_3, g)
// clang-format on

template <std::size_t Rows, std::size_t Vectors>
void tile_of(const TileTask& task) noexcept {
  const auto row = [&](std::size_t r) {
    return task.a + static_cast<std::ptrdiff_t>(r < Rows ? r : 0) * task.a_row;
  };
  const std::uint8_t* a0 = row(0);
  const std::uint8_t* a1 = row(1);
  const std::uint8_t* a2 = row(2);
  const std::uint8_t* a3 = row(3);
  const std::uint8_t* tail = task.a_tail;
  const std::uint8_t* b = task.b;
  const std::int32_t* row_start = task.row_start;
  std::size_t groups = task.groups;
  std::int32_t* c = task.c;
  asm volatile(
      ZEROPOINT_EACH_ROW(ZEROPOINT_ZERO, 0)
      "subs %[groups], %[groups], #4\n"
      "b.lo 2f\n"
      ".p2align 4\n"
      "1:\n"
      ZEROPOINT_EACH_ROW(ZEROPOINT_LOAD_4, 0)
      ZEROPOINT_GROUP(0)
      ZEROPOINT_GROUP(1)
      ZEROPOINT_GROUP(2)
      ZEROPOINT_GROUP(3)
      "add %[b], %[b], #64*%c[vectors]\n"
      "subs %[groups], %[groups], #4\n"
      "b.hs 1b\n"
      "2:\n"
      "adds %[groups], %[groups], #4\n"
      "b.eq 4f\n"
      "3:\n"
      ZEROPOINT_EACH_ROW(ZEROPOINT_LOAD_1, 0)
      ZEROPOINT_GROUP(0)
      "add %[b], %[b], #16*%c[vectors]\n"
      "subs %[groups], %[groups], #1\n"
      "b.ne 3b\n"
      "4:\n"  // one more group, whose rows are 4 bytes apart
      "cbz %[tail], 5f\n"
      ZEROPOINT_EACH_ROW(ZEROPOINT_TAIL, 0)
      "mov %[tail], xzr\n"
      "mov %[groups], #1\n"
      "b 3b\n"
      "5:\n"
      "ldr q16, [%[column_start]]\n"
      ZEROPOINT_IF_VECTOR(1, "ldr q17, [%[column_start], #16]\n")
      ZEROPOINT_EACH_ROW(ZEROPOINT_STORE, 0)
      : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [tail] "+r"(tail), [b] "+r"(b),
        [row_start] "+r"(row_start), [groups] "+r"(groups), [c] "+r"(c)
      : [rows] "i"(Rows), [vectors] "i"(Vectors), [column_start] "r"(task.column_start),
        [c_row] "r"(task.c_row * 4)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
        "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

using TileFunction = void (*)(const TileTask&) noexcept;
#define ZEROPOINT_TILES(v) \
  { tile_of<1, v>, tile_of<2, v>, tile_of<3, v>, tile_of<4, v> }
constexpr TileFunction kTiles[kVectors][kRows] = {ZEROPOINT_TILES(1), ZEROPOINT_TILES(2)};

void tile(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept {
  kTiles[vectors - 1][rows - 1](task);
}

bool supported() noexcept { return true; }

}  // namespace

const Kernel kernel_neon{.name = "s8s8s32_4x8c4_neon",
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
