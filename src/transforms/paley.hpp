#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace zeropoint {

/// The largest order of a Paley matrix that is used: 344 = 7³ + 1 is the least that divides 11008,
/// a width of many language models. Each number costs as many additions as the order.
constexpr std::size_t kLargestPaley = 344;

/// Whether Paley's first or second construction gives a matrix of that order, up to kLargestPaley.
bool has_paley_order(std::size_t order);

/// That matrix, ±1, row by row.
std::vector<std::int8_t> paley_matrix(std::size_t order);

}  // namespace zeropoint
