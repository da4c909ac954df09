#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace zeropoint {

/// What a kernel is given and gives: integers in a fixed layout, nothing of formats or scales.
///
/// k is cut into groups of 4 bytes: four 8-bit or two 16-bit elements, by the kernel's `element`.
///
///   A: rows, each contiguous along k         B panel: group after group, `columns` × 4 bytes each
///      ┌──────────────── k ───────────────┐     ┌─ column 0 ─┬─ column 1 ─┬ …
///      │ g0 │ g1 │ g2 │ …                 │  g0 │ k0 k1 k2 k3│ k0 k1 k2 k3│
///      └──────────────────────────────────┘  g1 │ k4 …       │            │
///
/// A and B hold code − offset, where the offset (0, 128 or −128) makes of the code what the
/// instruction takes. B's incomplete last group and its columns beyond n are 0, so that whatever
/// stands there in A does not count.

/// One tile of C = A·B + row_start ⊕ column_start, in 32 bits modulo 2^32.
struct TileTask {
  const std::uint8_t* a;             ///< the tile's first row
  std::ptrdiff_t a_row;              ///< bytes from row to row
  std::size_t groups;                ///< whole groups of each row
  const std::uint8_t* a_tail;        ///< rows × 4 bytes: one more, incomplete group; or nullptr
  const std::uint8_t* b;             ///< the panel, groups (+ 1) × columns × 4 bytes
  const std::int32_t* row_start;     ///< one a row
  const std::int32_t* column_start;  ///< one a column of the panel
  std::int32_t* c;                   ///< rows × columns of the panel
  std::ptrdiff_t c_row;              ///< elements from row to row
};

/// An output that a kernel makes of a tile's sums itself, without a detour through memory.
enum class TileOutput {
  int32,    ///< S
  float32,  ///< scale_j · S + bias_j, each step rounded to float32
  int8      ///< or uint8: z + clamp(round half to even(scale_j · S), lo − z, hi − z)
};

/// What that takes. Columns beyond the output's last are left alone.
struct TileFinish {
  void* out = nullptr;           ///< the tile's first element
  std::ptrdiff_t out_row = 0;    ///< elements from row to row
  const float* scale = nullptr;  ///< one a column of the panel
  const float* bias = nullptr;   ///< the same, or nullptr: nothing is added
  float hi = 0;                  ///< hi − z
  /// Codes are made in the range of int8, 128 lower where hi is beyond it: z less that twice in 16
  /// bits, lo less that four times in 8, and what takes it back.
  std::uint32_t shift = 0, lo = 0, flip = 0;
  std::uint32_t last_lanes = 0;  ///< bit i: column i of the last vector is in the output
};

/// Lines of codes to be laid out for a kernel: columns of B for a panel.
struct PackTask {
  const void* codes;           ///< 8-bit codes: element l of line j at j·line_stride + l·k_stride
  std::ptrdiff_t line_stride;  ///< in elements
  std::ptrdiff_t k_stride;
  std::size_t lines;  ///< at most the panel's columns; the others become 0
  std::size_t k;
  std::size_t columns;  ///< of the panel
  bool is_signed;       ///< whether codes are int8
  std::uint8_t* panel;
  std::int32_t* sums;  ///< one a column: Σ of what the panel holds, modulo 2^32
};

/// One row of A times rows of B that are contiguous, read once, as they lie.
struct RowProductTask {
  const std::uint8_t* a;  ///< k elements, in the kernel's form
  const std::uint8_t* b;  ///< 8-bit codes: column j of row l at l·k_stride + j
  std::ptrdiff_t k_stride;
  std::size_t k;
  std::size_t columns;     ///< all sums are of this many
  bool is_signed;          ///< whether B's codes are int8
  std::int32_t* products;  ///< Σ_l a_l·b_lj, modulo 2^32
  std::int32_t* sums;      ///< Σ_l b_lj, both of the kernel's elements
  std::int32_t* room;      ///< 2 · columns, rounded up to 64 each
};

/// Rows of A: made into what the kernel takes, unless they are that already, and summed.
struct RowTask {
  const void* codes;          ///< 8-bit codes: element l of row i at i·row_stride + l·k_stride
  std::ptrdiff_t row_stride;  ///< in elements
  std::ptrdiff_t k_stride;
  std::size_t rows;
  std::size_t k;
  bool is_signed;
  std::uint8_t* to;       ///< the rows, `to_row` bytes apart; nullptr: sum only
  std::ptrdiff_t to_row;  ///< a whole number of groups, the last filled up with anything
  std::int32_t* sums;     ///< one a row: Σ of the elements, modulo 2^32
};

/// One instruction set's product. Functions neither check nor allocate.
struct Kernel {
  std::string_view name;         ///< A's, B's and the sum's type, the tile, the instruction set
  bool (*supported)() noexcept;  ///< by this processor
  std::size_t element;           ///< bytes of an element of A and B: 1 or 2
  bool a_signed, b_signed;       ///< of 8-bit elements; those of 16 bits are signed
  std::size_t rows;              ///< of a tile, at most
  std::size_t lanes;             ///< columns are a multiple of this
  std::size_t vectors;           ///< a panel has this many times `lanes` columns,
  std::size_t last_vectors;      ///< the last one up to so many
  void (*tile)(const TileTask& task, std::size_t rows, std::size_t vectors) noexcept;
  /// The same, and what becomes of it; nullptr: the driver finishes tiles in memory.
  void (*tile_and_finish)(const TileTask& task, const TileFinish& finish, TileOutput as,
                          std::size_t rows, std::size_t vectors) noexcept = nullptr;
  void (*pack)(const PackTask& task) noexcept;
  void (*rows_of_a)(const RowTask& task) noexcept;
  /// y_i = factor · x_i + term, modulo 2^32, from x to y, which may be x; nullptr: a plain loop.
  void (*start_sums)(const std::int32_t* x, std::size_t count, std::uint32_t factor,
                     std::uint32_t term, std::int32_t* y) noexcept = nullptr;
  /// nullptr: a single row of A is multiplied like others.
  void (*row_product)(const RowProductTask& task) noexcept = nullptr;

  std::size_t group() const { return element == 1 ? 4 : 2; }
  /// Groups that hold so many elements; by shifts, as small products notice divisions.
  std::size_t groups(std::size_t elements) const {
    return element == 1 ? (elements + 3) / 4 : (elements + 1) / 2;
  }
  std::size_t whole_groups(std::size_t elements) const {
    return element == 1 ? elements / 4 : elements / 2;
  }
  /// What is taken from a code of that sign to make an element of A or B.
  std::int32_t offset_a(bool is_signed) const { return offset(is_signed, a_signed); }
  std::int32_t offset_b(bool is_signed) const { return offset(is_signed, b_signed); }

 private:
  std::int32_t offset(bool code_signed, bool element_signed) const {
    if (element != 1 || code_signed == element_signed) return 0;
    return code_signed ? -128 : 128;
  }
};

/// Fastest first, the portable one last. Those of other architectures are not in the list.
std::span<const Kernel* const> kernel_list() noexcept;

/// The one in use: the first that is supported, or what was asked for. Throws InputError if
/// ZEROPOINT_KERNEL names none that is known and supported.
const Kernel& kernel();

}  // namespace zeropoint
