#pragma once
#include <algorithm>
#include <cstddef>

#include <hwy/cache_control.h>

namespace zeropoint {

/// How far ahead of its use data is asked for. The processor's own prefetching ends with a page of
/// 4 KiB, and finds the next one late; two pages ahead, quantizing 10^7 numbers took 1.03 ms where
/// it took 1.32 without, one page ahead 1.15, four pages ahead 1.04 (bench_elementwise).
constexpr std::size_t kPrefetchBytes = 8192;

/// Asks for what `x[i]` … `x[i + length - 1]` will be followed by, if it is still below `count`.
/// Always inlined: a call of a function that does nothing but this is left out by GCC.
template <class T>
HWY_INLINE void prefetch_ahead(const T* x, std::size_t i, std::size_t length, std::size_t count) {
  constexpr std::size_t kLine = 64 / sizeof(T);
  const T* const from = x + std::min(i + kPrefetchBytes / sizeof(T), count);
  const std::size_t lines = (length + kLine - 1) / kLine;
  for (std::size_t line = 0; line < lines; ++line) {
    hwy::Prefetch(reinterpret_cast<const char*>(from) + 64 * line);
  }
}

}  // namespace zeropoint
