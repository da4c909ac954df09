#pragma once
#include <algorithm>
#include <cstring>

#include "gemm/kernel.hpp"
#if defined(__SSE2__)
#include "gemm/pack_sse.hpp"
#endif

namespace zeropoint {

/// Packing for any strides, in plain code: what kernels share that have nothing faster. An element
/// is code − offset; sums are of elements, modulo 2^32.

template <class Element, class Code>
void pack_plain_of(const PackTask& task, std::int32_t offset) noexcept {
  constexpr std::size_t kGroup = 4 / sizeof(Element);
  const auto* from = static_cast<const Code*>(task.codes);
  auto* to = reinterpret_cast<Element*>(task.panel);
  std::fill_n(task.sums, task.columns, 0);
  for (std::size_t l = 0; l < task.k; l += kGroup) {
    const std::size_t depth = std::min(kGroup, task.k - l);
    const Code* group = from + static_cast<std::ptrdiff_t>(l) * task.k_stride;
    for (std::size_t j = 0; j < task.columns; ++j) {
      for (std::size_t d = 0; d < kGroup; ++d) {
        Element element = 0;
        if (j < task.lines && d < depth) {
          element = static_cast<Element>(group[static_cast<std::ptrdiff_t>(j) * task.line_stride +
                                               static_cast<std::ptrdiff_t>(d) * task.k_stride] -
                                         offset);
          task.sums[j] += element;
        }
        *to++ = element;
      }
    }
  }
}

template <class Element>
void pack_plain(const PackTask& task, std::int32_t offset) noexcept {
  if (task.is_signed) return pack_plain_of<Element, std::int8_t>(task, offset);
  pack_plain_of<Element, std::uint8_t>(task, offset);
}

template <class Element, class Code>
void rows_plain_of(const RowTask& task, std::int32_t offset) noexcept {
  // A block of rows and of k at a time, so that columns that are contiguous are read as such.
  constexpr std::size_t kBlock = 64;
  const auto* from = static_cast<const Code*>(task.codes);
  std::fill_n(task.sums, task.rows, 0);
  for (std::size_t i0 = 0; i0 < task.rows; i0 += kBlock) {
    const std::size_t i1 = std::min(task.rows, i0 + kBlock);
    for (std::size_t l0 = 0; l0 < task.k; l0 += kBlock) {
      const std::size_t l1 = std::min(task.k, l0 + kBlock);
      for (std::size_t i = i0; i < i1; ++i) {
        const Code* row = from + static_cast<std::ptrdiff_t>(i) * task.row_stride;
        Element* to = task.to == nullptr
                          ? nullptr
                          : reinterpret_cast<Element*>(task.to + static_cast<std::ptrdiff_t>(i) *
                                                                     task.to_row);
        std::int32_t sum = 0;
        for (std::size_t l = l0; l < l1; ++l) {
          const std::int32_t element = row[static_cast<std::ptrdiff_t>(l) * task.k_stride] - offset;
          sum += element;
          if (to != nullptr) to[l] = static_cast<Element>(element);
        }
        task.sums[i] += sum;
      }
    }
  }
  if (task.to == nullptr) return;
  constexpr std::size_t kGroup = 4 / sizeof(Element);
  const std::size_t padded = (task.k + kGroup - 1) / kGroup * kGroup;
  for (std::size_t i = 0; i < task.rows; ++i) {
    auto* row = reinterpret_cast<Element*>(task.to + static_cast<std::ptrdiff_t>(i) * task.to_row);
    std::fill(row + task.k, row + padded, Element{0});
  }
}

template <class Element>
void rows_plain(const RowTask& task, std::int32_t offset) noexcept {
#if defined(__SSE2__)
  if (task.row_stride == 1 && task.rows > 4) return rows_from_columns<Element>(task, offset);
#endif
  if (task.is_signed) return rows_plain_of<Element, std::int8_t>(task, offset);
  rows_plain_of<Element, std::uint8_t>(task, offset);
}

}  // namespace zeropoint
