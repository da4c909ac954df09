// For vector code, within what is compiled for each instruction set: no include guard but
// Highway's.
#if defined(ZEROPOINT_FORMATS_CODEBOOK_WORDS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_FORMATS_CODEBOOK_WORDS_INL_HPP
#undef ZEROPOINT_FORMATS_CODEBOOK_WORDS_INL_HPP
#else
#define ZEROPOINT_FORMATS_CODEBOOK_WORDS_INL_HPP
#endif
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/codebook_limits.hpp"

#undef ZEROPOINT_AVX512
#undef ZEROPOINT_BYTE_LOOKUPS
#define ZEROPOINT_AVX512 (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
#define ZEROPOINT_BYTE_LOOKUPS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL)

// For lambdas: a call would pass vectors through memory.
#undef ZEROPOINT_INLINED
#define ZEROPOINT_INLINED HWY_ATTR __attribute__((always_inline))

#if ZEROPOINT_AVX512
HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {

// Numbers: a vector of their codes.
constexpr std::size_t kWordsAtOnce = 64;

template <std::size_t kSize>
HWY_INLINE __m512i LookupWords(const std::uint16_t* HWY_RESTRICT table, __m512i index) {
  if constexpr (kSize <= 32) {
    return _mm512_permutexvar_epi16(index, _mm512_loadu_si512(table));
  } else if constexpr (kSize == 64) {
    return _mm512_permutex2var_epi16(_mm512_loadu_si512(table), index,
                                     _mm512_loadu_si512(table + 32));
  } else {
    const __mmask32 is_upper =
        _mm512_test_epi16_mask(index, _mm512_set1_epi16(static_cast<short>(kSize / 2)));
    return _mm512_mask_mov_epi16(LookupWords<kSize / 2>(table, index), is_upper,
                                 LookupWords<kSize / 2>(table + kSize / 2, index));
  }
}

// The first bits of codes, in their places.
template <int kFirst, int kBit = 0>
HWY_INLINE __m512i FirstBits(const WordKeys& words, __m512i key, __m512i code) {
  if constexpr (kBit == kFirst) {
    return code;
  } else {
    const __m512i limit = kBit == 0 ? _mm512_set1_epi16(static_cast<short>(words.first[0][0]))
                                    : LookupWords<32>(words.first[kBit], code);
    const __mmask32 is_above = _mm512_cmpgt_epu16_mask(key, limit);
    constexpr short kAdded = 1 << (kFirst - 1 - kBit);
    return FirstBits<kFirst, kBit + 1>(
        words, key, _mm512_mask_add_epi16(code, is_above, code, _mm512_set1_epi16(kAdded)));
  }
}
template <int kBits, int kBit = 5>
HWY_INLINE __m512i OtherBits(const WordKeys& words, __m512i key, __m512i code) {
  if constexpr (kBit >= kBits) {
    return code;
  } else {
    constexpr std::size_t kSize = std::size_t{1} << kBit;
    const __mmask32 is_above =
        _mm512_cmpgt_epu16_mask(key, LookupWords<kSize>(words.rest + kSize, code));
    const __m512i doubled = _mm512_add_epi16(code, code);
    return OtherBits<kBits, kBit + 1>(
        words, key, _mm512_mask_add_epi16(doubled, is_above, doubled, _mm512_set1_epi16(1)));
  }
}

// Codes by words, and where a word is that of the limit which is next to the code.
struct WordCodes {
  __m512i code;
  __mmask32 unsure;
};
template <int kBits>
struct WordTree {
  static HWY_INLINE WordCodes Find(const WordKeys& words, __m512i key) {
    constexpr int kFirst = kBits < 5 ? kBits : 5;
    const __m512i code =
        OtherBits<kBits>(words, key, FirstBits<kFirst>(words, key, _mm512_setzero_si512()));
    constexpr std::size_t kCodes = std::size_t{1} << kBits;
    return {code, _mm512_cmpeq_epi16_mask(key, LookupWords<kCodes>(words.keys, code))};
  }
};
template <int kBits, int kOwn>
struct WordParts {
  static HWY_INLINE WordCodes Find(const WordKeys& words, __m512i key) {
    constexpr std::size_t kParts = std::size_t{1} << kBits;
    const __m512i part = _mm512_srli_epi16(key, 16 - kBits);
    WordCodes found{LookupWords<kParts>(words.below, part), 0};
    const auto compare = [&](int k) ZEROPOINT_INLINED {
      const __m512i limit = LookupWords<kParts>(words.own[k], part);
      const __mmask32 is_above = _mm512_cmpgt_epu16_mask(key, limit);
      found.code = _mm512_mask_add_epi16(found.code, is_above, found.code, _mm512_set1_epi16(1));
      found.unsure |= _mm512_cmpeq_epi16_mask(key, limit);
    };
    compare(0);
    if constexpr (kOwn > 1) compare(1);
    if constexpr (kOwn > 2) compare(2);
    return found;
  }
};

// Ways to find the codes of 64 numbers by their words; of each two vectors of those, each fourth
// of 128 bits has four words of 16 numbers and four of the next.
struct FoundCodes {
  __m512i codes;
  std::uint64_t unsure;  // whether a number's code may be the next
};
template <class Tables>
struct ByWords {
  static constexpr bool kIsBent = false;
  static const WordKeys& Keys(const Limits& limits) { return limits.words; }
  static float Most(const WordKeys&) { return WordKeys::kMost; }
  static HWY_INLINE FoundCodes Find(const WordKeys& words, __m512i first, __m512i second) {
    const WordCodes a = Tables::Find(words, first), b = Tables::Find(words, second);
    // Packing goes by 128 bits: of four vectors, each has every fourth of 32 bits.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return {_mm512_permutexvar_epi32(order, _mm512_packus_epi16(a.code, b.code)),
            a.unsure | std::uint64_t{b.unsure} << 32};
  }
  // Writes the places of unsure numbers, those of all after `first`, and what may be overwritten;
  // how many they are.
  static HWY_INLINE std::size_t Note(std::uint64_t unsure, std::size_t first,
                                     std::uint16_t* HWY_RESTRICT places) {
    const __m512i order = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    std::size_t noted = 0;
    for (const std::size_t from : {0, 8, 32, 40}) {
      const auto bits = static_cast<__mmask16>(unsure);
      const __m512i at = _mm512_add_epi32(order, _mm512_set1_epi32(static_cast<int>(first + from)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(places + noted),
                          _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(bits, at)));
      noted += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(bits)));
      unsure >>= 16;
    }
    return noted;
  }
};

#if ZEROPOINT_BYTE_LOOKUPS
// By the lower bits of `index`; `upper` are those of 128 and more.
template <int kBits>
HWY_INLINE __m512i LookupBytes(const std::uint8_t* HWY_RESTRICT table, __m512i index,
                               __mmask64 upper) {
  const auto part = [&](int k) ZEROPOINT_INLINED { return _mm512_load_si512(table + 64 * k); };
  if constexpr (kBits == 6) {
    return _mm512_permutexvar_epi8(index, part(0));
  } else {
    const __m512i below = _mm512_permutex2var_epi8(part(0), index, part(1));
    if constexpr (kBits == 7) return below;
    return _mm512_mask_mov_epi8(below, upper, _mm512_permutex2var_epi8(part(2), index, part(3)));
  }
}

alignas(64) constexpr auto kLowerBytes = [] {
  std::array<std::uint8_t, 64> from{};
  for (int k = 0; k < 64; ++k) {
    const int word = (k & 32) + (k & 16) / 4 + (k & 12) * 2 + (k & 3);
    from[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(2 * word);
  }
  return from;
}();

alignas(64) constexpr auto kCounting = [] {
  std::array<std::uint16_t, 32> numbers{};
  for (std::size_t k = 0; k < 32; ++k) numbers[k] = static_cast<std::uint16_t>(k);
  return numbers;
}();

template <int kBits, int kOwn, bool kBent>
struct ByBytes {
  static constexpr bool kIsBent = kBent;
  static const ByteKeys& Keys(const Limits& limits) { return limits.bytes; }
  static float Most(const ByteKeys& bytes) { return static_cast<float>(bytes.most); }
  static HWY_INLINE FoundCodes Find(const ByteKeys& bytes, __m512i first, __m512i second) {
    const __m512i from = _mm512_load_si512(kLowerBytes.data());
    const __m512i lower = _mm512_permutex2var_epi8(first, from, second);
    const __m512i part =
        _mm512_permutex2var_epi8(first, _mm512_or_si512(from, _mm512_set1_epi8(1)), second);
    const __mmask64 upper = kBits == 8 ? _mm512_movepi8_mask(part) : 0;
    __m512i code = LookupBytes<kBits>(bytes.below, part, upper);
    __mmask64 sure = ~__mmask64{0};
#pragma GCC unroll 8
    for (int k = 0; k < kOwn; ++k) {
      const __m512i limit = LookupBytes<kBits>(bytes.own[k], part, upper);
      const __mmask64 is_above = _mm512_cmpgt_epu8_mask(lower, limit);
      code = _mm512_mask_sub_epi8(code, is_above, code, _mm512_set1_epi8(-1));
      sure = _mm512_mask_cmpneq_epi8_mask(sure, lower, limit);
    }
    return {code, ~sure};
  }
  static HWY_INLINE std::size_t Note(std::uint64_t unsure, std::size_t first,
                                     std::uint16_t* HWY_RESTRICT places) {
    const auto lower = static_cast<std::uint32_t>(unsure);
    const auto upper = static_cast<std::uint32_t>(unsure >> 32);
    const __m512i at = _mm512_add_epi16(_mm512_load_si512(kCounting.data()),
                                        _mm512_set1_epi16(static_cast<short>(first)));
    const __m512i at_upper = _mm512_add_epi16(at, _mm512_set1_epi16(32));
    _mm512_storeu_si512(places, _mm512_maskz_compress_epi16(lower, at));
    const auto noted = static_cast<std::size_t>(std::popcount(lower));
    _mm512_storeu_si512(places + noted, _mm512_maskz_compress_epi16(upper, at_upper));
    return noted + static_cast<std::size_t>(std::popcount(upper));
  }
};
#endif

// By words, 64 numbers at a time; exact: where a number's word is a limit's, it is compared with
// the limit itself.
template <class Way>
CodebookCounts EncodeWords(const float* HWY_RESTRICT x, std::size_t count, const Limits& limits,
                           const CodebookScaling& how, std::uint8_t* HWY_RESTRICT codes) {
  const auto& keys = Way::Keys(limits);
  const __m512 scale = _mm512_set1_ps(how.scale);
  const bool divides = how.scale != 1;
  const __m512 lo = _mm512_set1_ps(how.lo), hi = _mm512_set1_ps(how.hi);
  const __m512 factor = _mm512_set1_ps(keys.line.factor);
  const __m512 offset = _mm512_set1_ps(keys.line.offset);
  const __m512 tail_factor = _mm512_set1_ps(keys.line.tail_factor);
  const __m512 upper = _mm512_set1_ps(keys.line.upper);
  const __m512 lower = _mm512_set1_ps(keys.line.lower);
  const __m512 most = _mm512_set1_ps(Way::Most(keys));
  const auto load = [&](const float* from) ZEROPOINT_INLINED {
    const __m512 y = _mm512_loadu_ps(from);
    return divides ? _mm512_div_ps(y, scale) : y;
  };
  // What is below all words becomes the least, what is above the largest of numbers, as NaNs do.
  const auto word = [&](__m512 y) ZEROPOINT_INLINED {
    __m512 place = _mm512_fmadd_ps(y, factor, offset);
    if constexpr (Way::kIsBent) {
      place = _mm512_min_ps(place, _mm512_fmadd_ps(y, tail_factor, upper));
      place = _mm512_max_ps(place, _mm512_fmadd_ps(y, tail_factor, lower));
    }
    return _mm512_cvtps_epi32(_mm512_min_ps(place, most));
  };
  const auto words_of = [&](__m512 y0, __m512 y1)
                            ZEROPOINT_INLINED { return _mm512_packus_epi32(word(y0), word(y1)); };
  // Words between those of both ends are of numbers between both.
  const __m512i above_lo = _mm512_add_epi16(words_of(lo, lo), _mm512_set1_epi16(1));
  const __m512i inner = _mm512_sub_epi16(words_of(hi, hi), above_lo);
  const auto at_ends = [&](__m512i key) ZEROPOINT_INLINED {
    return _mm512_cmpge_epu16_mask(_mm512_sub_epi16(key, above_lo), inner);
  };
  CodebookCounts counts;
  const auto count_outside = [&](std::size_t at) ZEROPOINT_INLINED {
    for (std::size_t k = 0; k < kWordsAtOnce; k += 16) {
      const __m512 y = load(x + at + k);
      const __mmask16 is_outside =
          _mm512_cmp_ps_mask(y, lo, _CMP_LT_OQ) | _mm512_cmp_ps_mask(y, hi, _CMP_GT_OQ);
      counts.outside += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(is_outside)));
    }
  };
  const auto zero_code = static_cast<std::uint8_t>(
      std::lower_bound(limits.limits, limits.limits + limits.count, 0.0F) - limits.limits);
  // Among so many there may be NaNs, whose code is that of 0, or infinities.
  const auto mend = [&](std::size_t at, std::size_t length) {
    for (std::size_t i = at; i < at + length; ++i) {
      if (how.checks && !std::isfinite(x[i])) counts.finite = false;
      if (std::isnan(x[i] / how.scale)) codes[i] = zero_code;
    }
  };
  // What is to be looked at again is noted block by block: nothing waits for branches.
  constexpr std::size_t kBlock = 2048;
  constexpr std::size_t kGroups = kBlock / kWordsAtOnce;
  std::uint64_t unsure[kGroups];
  std::size_t again[kGroups];
  std::uint16_t places[kBlock + kWordsAtOnce];
  std::uint32_t ends[kGroups];
  std::size_t i = 0;
  while (i < count) {
    const std::size_t block = std::min(kBlock, count - i);
    __m512 sum0 = _mm512_setzero_ps(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (std::size_t k = 0; k < block; k += kWordsAtOnce) {
      const float* const from = x + i + k;
      prefetch_ahead(x, i + k, kWordsAtOnce, count + how.ahead);
      const __m512 y0 = load(from), y1 = load(from + 16);
      const __m512 y2 = load(from + 32), y3 = load(from + 48);
      // NaNs of NaNs and infinities.
      const __m512 zero = _mm512_setzero_ps();
      sum0 = _mm512_fmadd_ps(y0, zero, sum0);
      sum1 = _mm512_fmadd_ps(y1, zero, sum1);
      sum2 = _mm512_fmadd_ps(y2, zero, sum2);
      sum3 = _mm512_fmadd_ps(y3, zero, sum3);
      const __m512i first = words_of(y0, y1), second = words_of(y2, y3);
      const FoundCodes found = Way::Find(keys, first, second);
      _mm512_storeu_si512(codes + i + k, found.codes);
      unsure[k / kWordsAtOnce] = found.unsure;
      if (how.counts) ends[k / kWordsAtOnce] = at_ends(first) | at_ends(second);
    }
    const std::size_t groups = block / kWordsAtOnce;
    std::size_t listed = 0, noted = 0;
    for (std::size_t group = 0; group < groups; ++group) {
      again[listed] = group;
      listed += unsure[group] != 0 ? 1 : 0;
    }
    for (std::size_t k = 0; k < listed; ++k) {
      noted += Way::Note(unsure[again[k]], kWordsAtOnce * again[k], places + noted);
    }
    for (std::size_t k = 0; k < noted; ++k) {  // their codes are below or right
      const std::size_t at = i + places[k];
      const float y = divides ? x[at] / how.scale : x[at];
      codes[at] += y > limits.limits[codes[at]] ? 1 : 0;
    }
    if (how.counts) {
      for (std::size_t group = 0; group < groups; ++group) {
        if (ends[group] != 0) count_outside(i + group * kWordsAtOnce);
      }
    }
    const __m512 sum = _mm512_add_ps(_mm512_add_ps(sum0, sum1), _mm512_add_ps(sum2, sum3));
    if (HWY_UNLIKELY(_mm512_cmp_ps_mask(sum, sum, _CMP_UNORD_Q) != 0)) mend(i, block);
    i += block;
  }
  return counts;
}

// Of numbers that are a multiple of kWordsAtOnce; false if that cannot be done.
HWY_INLINE bool EncodeWholeByWords(const float* x, std::size_t count, const Limits& limits,
                                   const CodebookScaling& how, std::uint8_t* codes,
                                   CodebookCounts& counts) {
#if ZEROPOINT_BYTE_LOOKUPS
  const int bend = limits.bytes.line.is_bent ? 100 : 0;
  switch (bend + 10 * limits.bytes.part_bits + limits.bytes.in_a_part) {
#define ZEROPOINT_BYTES(bits, own)                                                 \
  case 10 * bits + own:                                                            \
    counts = EncodeWords<ByBytes<bits, own, false>>(x, count, limits, how, codes); \
    return true
    ZEROPOINT_BYTES(6, 1);
    ZEROPOINT_BYTES(6, 2);
    ZEROPOINT_BYTES(6, 3);
    ZEROPOINT_BYTES(6, 4);
    ZEROPOINT_BYTES(7, 1);
    ZEROPOINT_BYTES(7, 2);
    ZEROPOINT_BYTES(7, 3);
    ZEROPOINT_BYTES(7, 4);
    ZEROPOINT_BYTES(7, 5);
    ZEROPOINT_BYTES(7, 6);
    ZEROPOINT_BYTES(8, 1);
    ZEROPOINT_BYTES(8, 2);
    ZEROPOINT_BYTES(8, 3);
    ZEROPOINT_BYTES(8, 4);
    ZEROPOINT_BYTES(8, 5);
    ZEROPOINT_BYTES(8, 6);
    ZEROPOINT_BYTES(8, 7);
    ZEROPOINT_BYTES(8, 8);
#undef ZEROPOINT_BYTES
#define ZEROPOINT_BENT(own)                                                    \
  case 180 + own:                                                              \
    counts = EncodeWords<ByBytes<8, own, true>>(x, count, limits, how, codes); \
    return true
    ZEROPOINT_BENT(1);
    ZEROPOINT_BENT(2);
    ZEROPOINT_BENT(3);
    ZEROPOINT_BENT(4);
    ZEROPOINT_BENT(5);
    ZEROPOINT_BENT(6);
    ZEROPOINT_BENT(7);
    ZEROPOINT_BENT(8);
#undef ZEROPOINT_BENT
    default:
      break;
  }
#endif
  if (!limits.words.usable) return false;
  const auto encode = [&]<class Tables>(Tables) {
    counts = EncodeWords<ByWords<Tables>>(x, count, limits, how, codes);
    return true;
  };
  switch (10 * limits.words.part_bits + limits.words.in_a_part) {
#define ZEROPOINT_PARTS(bits, own) \
  case 10 * bits + own:            \
    return encode(WordParts<bits, own>())
    ZEROPOINT_PARTS(5, 1);
    ZEROPOINT_PARTS(5, 2);
    ZEROPOINT_PARTS(5, 3);
    ZEROPOINT_PARTS(6, 1);
    ZEROPOINT_PARTS(6, 2);
    ZEROPOINT_PARTS(6, 3);
    ZEROPOINT_PARTS(7, 1);
    ZEROPOINT_PARTS(7, 2);
    ZEROPOINT_PARTS(7, 3);
    ZEROPOINT_PARTS(8, 1);
    ZEROPOINT_PARTS(8, 2);
    ZEROPOINT_PARTS(8, 3);
#undef ZEROPOINT_PARTS
    default:
      break;
  }
  if (limits.bits <= 4) return encode(WordTree<4>());
  if (limits.bits == 5) return encode(WordTree<5>());
  if (limits.bits == 6) return encode(WordTree<6>());
  if (limits.bits == 7) return encode(WordTree<7>());
  return encode(WordTree<8>());
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
