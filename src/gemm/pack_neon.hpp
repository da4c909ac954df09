#pragma once
#include "gemm/pack_plain.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace zeropoint::neon {

/// Packing for the kernels of arm64, whose elements are all int8 and whose panels are up to four
/// vectors of four columns wide. An unsigned code less 128 is the code with its highest bit turned.

constexpr std::size_t kLanes = 4;

inline uint8x16_t load_some(const std::uint8_t* from, std::size_t count) {
  std::uint8_t bytes[16] = {};
  std::memcpy(bytes, from, count);
  return vld1q_u8(bytes);
}

inline void store_some(std::uint8_t* to, uint8x16_t x, std::size_t count) {
  std::uint8_t bytes[16];
  vst1q_u8(bytes, x);
  std::memcpy(to, bytes, count);
}

/// What turns the first `count` of 16 codes into elements, and leaves the others alone.
inline uint8x16_t flip_some(bool is_signed, std::size_t count) {
  const std::uint8_t bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const uint8x16_t concerned = vcltq_u8(vld1q_u8(bytes), vdupq_n_u8(static_cast<uint8_t>(count)));
  return vandq_u8(concerned, vdupq_n_u8(is_signed ? 0 : 0x80));
}

/// Adds each group's four elements to its column.
inline int32x4_t add_groups(int32x4_t sums, uint8x16_t groups) {
  return vpadalq_s16(sums, vpaddlq_s8(vreinterpretq_s8_u8(groups)));
}

/// 4·Vectors codes, and no byte beyond.
template <std::size_t Vectors>
uint8x16_t load_columns(const std::uint8_t* from) {
  if constexpr (Vectors == 4) return vld1q_u8(from);
  uint8x16_t x = vdupq_n_u8(0);
  if constexpr (Vectors >= 2) x = vcombine_u8(vld1_u8(from), vdup_n_u8(0));
  if constexpr (Vectors % 2 == 1) {
    std::uint32_t last;
    std::memcpy(&last, from + 4 * (Vectors - 1), 4);
    x = vreinterpretq_u8_u32(vsetq_lane_u32(last, vreinterpretq_u32_u8(x), Vectors - 1));
  }
  return x;
}

/// Columns side by side in memory: bytes of four rows of B become groups.
template <std::size_t Vectors>
void pack_columns(const PackTask& task) noexcept {
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  std::uint8_t* to = task.panel;
  const uint8x16_t flip = flip_some(task.is_signed, task.lines);
  int32x4_t sums[Vectors];
  for (auto& sum : sums) sum = vdupq_n_s32(0);
  const auto finish = [&](const uint8x16_t(&rows)[4]) {
    const uint16x8_t low01 = vreinterpretq_u16_u8(vzip1q_u8(rows[0], rows[1]));
    const uint16x8_t low23 = vreinterpretq_u16_u8(vzip1q_u8(rows[2], rows[3]));
    const uint16x8_t high01 = vreinterpretq_u16_u8(vzip2q_u8(rows[0], rows[1]));
    const uint16x8_t high23 = vreinterpretq_u16_u8(vzip2q_u8(rows[2], rows[3]));
    const uint16x8_t groups[4] = {vzip1q_u16(low01, low23), vzip2q_u16(low01, low23),
                                  vzip1q_u16(high01, high23), vzip2q_u16(high01, high23)};
    for (std::size_t v = 0; v < Vectors; ++v) {
      const uint8x16_t x = vreinterpretq_u8_u16(groups[v]);
      sums[v] = add_groups(sums[v], x);
      vst1q_u8(to + 16 * v, x);
    }
    to += 16 * Vectors;
    from += 4 * task.k_stride;
  };
  const auto row = [&](std::size_t r) {
    return from + static_cast<std::ptrdiff_t>(r) * task.k_stride;
  };
  uint8x16_t rows[4];
  std::size_t l = 0;
  if (task.lines == kLanes * Vectors) {
    for (; l + 4 <= task.k; l += 4) {
      for (std::size_t r = 0; r < 4; ++r) rows[r] = veorq_u8(load_columns<Vectors>(row(r)), flip);
      finish(rows);
    }
  }
  for (; l < task.k; l += 4) {
    for (std::size_t r = 0; r < 4; ++r) {
      rows[r] = l + r < task.k ? veorq_u8(load_some(row(r), task.lines), flip) : vdupq_n_u8(0);
    }
    finish(rows);
  }
  for (std::size_t v = 0; v < Vectors; ++v) vst1q_s32(task.sums + kLanes * v, sums[v]);
}

/// Up to four columns, each contiguous along k: groups of four columns change places.
inline int32x4_t pack_4_lines(const std::uint8_t* from, std::ptrdiff_t line_stride,
                              std::size_t lines, std::size_t k, bool is_signed, std::uint8_t* to,
                              std::size_t step) {
  int32x4_t sums = vdupq_n_s32(0);
  for (std::size_t l = 0; l < k; l += 16) {
    const std::size_t left = std::min<std::size_t>(16, k - l);
    const uint8x16_t flip = flip_some(is_signed, left);
    uint32x4_t x[4];
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint8_t* line = from + static_cast<std::ptrdiff_t>(i) * line_stride + l;
      x[i] = i >= lines ? vdupq_n_u32(0)
                        : vreinterpretq_u32_u8(
                              veorq_u8(left == 16 ? vld1q_u8(line) : load_some(line, left), flip));
    }
    const uint64x2_t even01 = vreinterpretq_u64_u32(vtrn1q_u32(x[0], x[1]));
    const uint64x2_t odd01 = vreinterpretq_u64_u32(vtrn2q_u32(x[0], x[1]));
    const uint64x2_t even23 = vreinterpretq_u64_u32(vtrn1q_u32(x[2], x[3]));
    const uint64x2_t odd23 = vreinterpretq_u64_u32(vtrn2q_u32(x[2], x[3]));
    const uint64x2_t groups[4] = {vtrn1q_u64(even01, even23), vtrn1q_u64(odd01, odd23),
                                  vtrn2q_u64(even01, even23), vtrn2q_u64(odd01, odd23)};
    for (std::size_t g = 0; 4 * g < left; ++g) {
      const uint8x16_t y = vreinterpretq_u8_u64(groups[g]);
      sums = add_groups(sums, y);
      vst1q_u8(to, y);
      to += step;
    }
  }
  return sums;
}

inline void pack(const PackTask& task) noexcept {
  if (task.line_stride == 1) {
    switch (task.columns / kLanes) {
      case 1:
        return pack_columns<1>(task);
      case 2:
        return pack_columns<2>(task);
      case 3:
        return pack_columns<3>(task);
      case 4:
        return pack_columns<4>(task);
    }
  }
  if (task.k_stride != 1) return pack_plain<std::int8_t>(task, task.is_signed ? 0 : 128);
  const auto* from = static_cast<const std::uint8_t*>(task.codes);
  for (std::size_t j = 0; j < task.columns; j += kLanes) {
    const std::size_t lines = task.lines > j ? std::min(kLanes, task.lines - j) : 0;
    vst1q_s32(task.sums + j, pack_4_lines(from + static_cast<std::ptrdiff_t>(j) * task.line_stride,
                                          task.line_stride, lines, task.k, task.is_signed,
                                          task.panel + 4 * j, 4 * task.columns));
  }
}

/// One row that is contiguous along k: its sum, and with `Copy` what the tile takes.
template <bool Copy>
std::int32_t sum_row(const std::uint8_t* from, std::size_t k, bool is_signed, std::uint8_t* to) {
  const uint8x16_t flip = flip_some(is_signed, 16);
  int32x4_t sums = vdupq_n_s32(0);
  const auto element = [&](std::size_t l) {
    const uint8x16_t x = veorq_u8(vld1q_u8(from + l), flip);
    if constexpr (Copy) vst1q_u8(to + l, x);
    return vreinterpretq_s8_u8(x);
  };
  std::size_t l = 0;
  for (; l + 64 <= k; l += 64) {
    // Eight elements of 8 bits to one sum of 16.
    int16x8_t part = vpaddlq_s8(element(l));
    part = vpadalq_s8(part, element(l + 16));
    part = vpadalq_s8(part, element(l + 32));
    part = vpadalq_s8(part, element(l + 48));
    sums = vpadalq_s16(sums, part);
  }
  for (; l + 16 <= k; l += 16) sums = vpadalq_s16(sums, vpaddlq_s8(element(l)));
  if (l < k) {
    const uint8x16_t x = veorq_u8(load_some(from + l, k - l), flip_some(is_signed, k - l));
    if constexpr (Copy) store_some(to + l, x, (k - l + 3) / 4 * 4);
    sums = add_groups(sums, x);
  }
  return vaddvq_s32(sums);
}

inline void rows_of_a(const RowTask& task) noexcept {
  if (task.k_stride != 1) return rows_plain<std::int8_t>(task, task.is_signed ? 0 : 128);
  for (std::size_t i = 0; i < task.rows; ++i) {
    const auto* from = static_cast<const std::uint8_t*>(task.codes) +
                       static_cast<std::ptrdiff_t>(i) * task.row_stride;
    task.sums[i] = task.to == nullptr
                       ? sum_row<false>(from, task.k, task.is_signed, nullptr)
                       : sum_row<true>(from, task.k, task.is_signed,
                                       task.to + static_cast<std::ptrdiff_t>(i) * task.to_row);
  }
}

}  // namespace zeropoint::neon

#endif
