#include "gemm/kernel_rows.hpp"
#include "gemm/pack_plain.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kRows = 4;
constexpr std::size_t kLanes = 8;

// Pairs of 16-bit integers: what every vector instruction set can multiply and add without
// saturating, so that compilers find it in these loops.
void tile(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept {
  const std::size_t columns = vectors * kLanes;
  std::int32_t sums[kRows][kLanes * 2];
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < columns; ++j) {
      sums[r][j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(task.row_start[r]) +
                                             static_cast<std::uint32_t>(task.column_start[j]));
    }
  }
  const auto* b = reinterpret_cast<const std::int16_t*>(task.b);
  const auto add_group = [&](const std::uint8_t* a, std::ptrdiff_t a_row) {
    for (std::size_t r = 0; r < rows; ++r) {
      const auto* pair =
          reinterpret_cast<const std::int16_t*>(a + static_cast<std::ptrdiff_t>(r) * a_row);
      const std::int32_t first = pair[0];
      const std::int32_t second = pair[1];
      for (std::size_t j = 0; j < columns; ++j) {
        const std::int32_t both = first * b[2 * j] + second * b[2 * j + 1];
        sums[r][j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[r][j]) +
                                               static_cast<std::uint32_t>(both));
      }
    }
    b += 2 * columns;
  };
  for (std::size_t g = 0; g < task.groups; ++g) add_group(task.a + 4 * g, task.a_row);
  if (task.a_tail != nullptr) add_group(task.a_tail, 4);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < columns; ++j) {
      task.c[static_cast<std::ptrdiff_t>(r) * task.c_row + static_cast<std::ptrdiff_t>(j)] =
          sums[r][j];
    }
  }
}

void pack(const PackTask& task) noexcept { pack_plain<std::int16_t>(task, 0); }
void rows_of_a(const RowTask& task) noexcept { rows_plain<std::int16_t>(task, 0); }
bool supported() noexcept { return true; }

}  // namespace

const Kernel kernel_portable{.name = "s16s16s32_4x16c2_portable",
                             .supported = supported,
                             .element = 2,
                             .a_signed = true,
                             .b_signed = true,
                             .rows = kRows,
                             .lanes = kLanes,
                             .vectors = 2,
                             .last_vectors = 2,
                             .tile = tile,
                             .pack = pack,
                             .rows_of_a = rows_of_a};

}  // namespace zeropoint
