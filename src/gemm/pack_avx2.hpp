#pragma once
#include <immintrin.h>

#include "gemm/kernel.hpp"
#include "gemm/pack_sse.hpp"

#define ZEROPOINT_AVX2 __attribute__((target("avx2")))

namespace zeropoint {

/// What packing with 256-bit vectors shares. Vectors that belong together have names of their own:
/// in an array, g++ 12 or clang 14 at -O2 keeps them in memory.

/// The first `count` ≤ 32 bytes, then zeros.
ZEROPOINT_AVX2 inline __m256i load_up_to_32(const std::uint8_t* from, std::size_t count) {
  if (count < 16) return _mm256_zextsi128_si256(load_up_to_16(from, count));
  return _mm256_set_m128i(load_up_to_16(from + 16, count - 16), load_up_to_16(from, 16));
}

/// The first `count` ≤ 32 bytes are all ones, the others 0.
ZEROPOINT_AVX2 inline __m256i first_bytes(std::size_t count) {
  alignas(64) static constexpr std::int8_t kOnes[64] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnes + 32 - count));
}

/// Σ of the elements of each of four vectors.
ZEROPOINT_AVX2 inline __m128i sums_of_four(__m256i x0, __m256i x1, __m256i x2, __m256i x3) {
  const __m256i y = _mm256_hadd_epi32(_mm256_hadd_epi32(x0, x1), _mm256_hadd_epi32(x2, x3));
  return _mm_add_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

/// Eight columns that are contiguous along k, the last ones absent.
struct EightColumns {
  const std::uint8_t* from;
  std::ptrdiff_t line_stride;
  std::size_t lines;

  /// `depth` ≤ 16 bytes of columns i and i + 4, from byte l on; the others, and absent ones, are 0.
  ZEROPOINT_AVX2 inline __m256i pair(std::size_t i, std::size_t l, std::size_t depth) const {
    return _mm256_set_m128i(one(i + 4, l, depth), one(i, l, depth));
  }
  /// 16 of both, which are there.
  ZEROPOINT_AVX2 inline __m256i whole_pair(std::size_t i, std::size_t l) const {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(at(i + 4, l)),
                               reinterpret_cast<const __m128i*>(at(i, l)));
  }

 private:
  const std::uint8_t* at(std::size_t i, std::size_t l) const {
    return from + static_cast<std::ptrdiff_t>(i) * line_stride + l;
  }
  __m128i one(std::size_t i, std::size_t l, std::size_t depth) const {
    return i < lines ? load_up_to_16(at(i, l), depth) : _mm_setzero_si128();
  }
};

}  // namespace zeropoint
