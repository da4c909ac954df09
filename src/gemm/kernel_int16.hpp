#pragma once
#include <cstddef>
#include <cstdint>

namespace zeropoint::int16_kernel {

/// The portable product's inner tile. Panels hold 16-bit integers, two successive l side by side:
///
///   A panel: for each pair of l: kRows × {a(i, l), a(i, l+1)}
///   B panel: for each pair of l: cols() × {b(l, j), b(l+1, j)}
///
/// C tile, kRows × cols() int32 at `stride`: C += A·B over `pairs` pairs. Sums must fit int32.

constexpr std::size_t kRows = 4;

/// Columns of a tile on this machine: three vectors of int32.
std::size_t cols() noexcept;

using Kernel = void (*)(const std::int16_t* a, const std::int16_t* b, std::size_t pairs,
                        std::int32_t* c, std::size_t stride);

/// The kernel for this machine's instruction set.
Kernel kernel() noexcept;

}  // namespace zeropoint::int16_kernel
