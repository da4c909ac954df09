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
#include <cstring>

#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/codebook_limits.hpp"

#undef ZEROPOINT_AVX512
#undef ZEROPOINT_BYTE_LOOKUPS
#undef ZEROPOINT_WORDS
#define ZEROPOINT_AVX512 (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
#define ZEROPOINT_BYTE_LOOKUPS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL)
#define ZEROPOINT_WORDS (ZEROPOINT_AVX512 || HWY_TARGET == HWY_AVX2)

// For lambdas: a call would pass vectors through memory.
#undef ZEROPOINT_INLINED
#define ZEROPOINT_INLINED HWY_ATTR __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {

// Relative times, as measured, and what is compiled below.
#if ZEROPOINT_BYTE_LOOKUPS
constexpr SearchSteps kSearchSteps = {
    .widths = {{}, {}, {1, 4}, {1, 6}, {3, 8}}, .compare = 3, .bend = 6, .again = 12};
#elif ZEROPOINT_AVX512
constexpr SearchSteps kSearchSteps = {
    .widths = {{}, {}, {2, 4}, {6, 6}, {14, 8}}, .compare = 5, .bend = 10, .again = 40};
#elif ZEROPOINT_WORDS
constexpr SearchSteps kSearchSteps = {
    .widths = {{1, 4}, {2, 4}, {4, 4}}, .compare = 2, .bend = 4, .again = 12, .table = 19};
#else
constexpr SearchSteps kSearchSteps = {};
#endif
const SearchSteps& StepsOfSearch() { return kSearchSteps; }

#if ZEROPOINT_WORDS
namespace hn = hwy::HWY_NAMESPACE;

using Reals = hn::Vec<hn::ScalableTag<float>>;
using Words = hn::Vec<hn::ScalableTag<std::uint16_t>>;
using Bytes = hn::Vec<hn::ScalableTag<std::uint8_t>>;

// Numbers: a vector of their codes.
constexpr std::size_t kWordsAtOnce = hn::MaxLanes(hn::ScalableTag<std::uint8_t>());
constexpr std::size_t kReals = hn::MaxLanes(hn::ScalableTag<float>());

// What of so many numbers is found, a bit for each.
#if ZEROPOINT_AVX512
using Bits = std::uint64_t;
#else
using Bits = std::uint32_t;
#endif
struct FoundCodes {
  Bytes codes;
  Bits unsure;  // whether a number's code may be the next
};

// Kept in a register: a compiler may read memory at each use, which takes up to twice as long where
// it is still on its way.
HWY_INLINE Reals LoadOnce(const float* from) {
  Reals x = hn::LoadU(hn::ScalableTag<float>(), from);
  asm("" : "+v"(x.raw));
  return x;
}

// To nearest; what is too large, below all. By 128 bits: of two vectors, each part of the result
// has four words of the first and four of the second.
HWY_INLINE Words WordsOf(Reals first, Reals second) {
#if ZEROPOINT_AVX512
  return Words{_mm512_packus_epi32(_mm512_cvtps_epi32(first.raw), _mm512_cvtps_epi32(second.raw))};
#else
  return Words{_mm256_packus_epi32(_mm256_cvtps_epi32(first.raw), _mm256_cvtps_epi32(second.raw))};
#endif
}

#if !ZEROPOINT_BYTE_LOOKUPS
// Of two such vectors, in the numbers' order.
HWY_INLINE Bytes PackedInOrder(Words first, Words second) {
#if ZEROPOINT_AVX512
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return Bytes{_mm512_permutexvar_epi32(order, _mm512_packus_epi16(first.raw, second.raw))};
#else
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  return Bytes{_mm256_permutevar8x32_epi32(_mm256_packus_epi16(first.raw, second.raw), order)};
#endif
}

// Writes the places of 64 numbers that are unsure, those of all after `first`, and what may be
// overwritten; how many they are.
HWY_INLINE std::size_t NotePlaces(std::uint64_t unsure, std::size_t first,
                                  std::uint16_t* HWY_RESTRICT places) {
  std::size_t noted = 0;
#if ZEROPOINT_AVX512
  // Bits are those of words, one vector's after the other's.
  const __m512i order = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  for (const std::size_t from : {0, 8, 32, 40}) {
    const auto bits = static_cast<__mmask16>(unsure);
    const __m512i at = _mm512_add_epi32(order, _mm512_set1_epi32(static_cast<int>(first + from)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(places + noted),
                        _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(bits, at)));
    noted += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(bits)));
    unsure >>= 16;
  }
#else
  // Bits are those of words that are packed to bytes.
  const auto note = [&] {
    const auto bit = static_cast<std::size_t>(std::countr_zero(unsure));
    const std::size_t place = bit / 32 * 32 + bit / 4 % 4 * 8 + bit / 16 % 2 * 4 + bit % 4;
    places[noted] = static_cast<std::uint16_t>(first + place);
    noted += unsure != 0 ? 1 : 0;
    unsure &= unsure - 1;
  };
  note();
  note();  // another is there too often for a branch to be foretold
  while (HWY_UNLIKELY(unsure != 0)) note();
#endif
  return noted;
}
#endif

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

template <int kBits, int kOwn, bool kBent = false>
struct ByBytes {
  static constexpr bool kIsBent = kBent, kInMemory = false;
  static const ByteKeys& Keys(const Limits& limits) { return limits.bytes; }
  static float Most(const ByteKeys& bytes) { return static_cast<float>(bytes.most); }
  static HWY_INLINE FoundCodes Find(const ByteKeys& bytes, Words first, Words second) {
    const __m512i from = _mm512_load_si512(kLowerBytes.data());
    const __m512i lower = _mm512_permutex2var_epi8(first.raw, from, second.raw);
    const __m512i part =
        _mm512_permutex2var_epi8(first.raw, _mm512_or_si512(from, _mm512_set1_epi8(1)), second.raw);
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
    return {Bytes{code}, ~sure};
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
#elif ZEROPOINT_AVX512
struct Two {
  __m512i first, second;
};
struct TwoMasks {
  __mmask32 first, second;
};
HWY_INLINE Two Choose(Two otherwise, TwoMasks where, Two x) {
  return {_mm512_mask_mov_epi16(otherwise.first, where.first, x.first),
          _mm512_mask_mov_epi16(otherwise.second, where.second, x.second)};
}

// By the lower bits of `index`; the masks are of its two highest bits. Tables are loaded once for
// both: reading the first cache all the time holds up what is to come into it.
template <int kBits>
HWY_INLINE Two LookupWords(const std::uint16_t* HWY_RESTRICT table, Two index, TwoMasks has_64,
                           TwoMasks has_128) {
  const auto among_64 = [&](int k) ZEROPOINT_INLINED {
    __m512i lower = _mm512_load_si512(table + 64 * k);
    __m512i upper = _mm512_load_si512(table + 64 * k + 32);
    asm("" : "+v"(lower), "+v"(upper));
    return Two{_mm512_permutex2var_epi16(lower, index.first, upper),
               _mm512_permutex2var_epi16(lower, index.second, upper)};
  };
  if constexpr (kBits == 6) {
    return among_64(0);
  } else {
    const Two below = Choose(among_64(0), has_64, among_64(1));
    if constexpr (kBits == 7) return below;
    return Choose(below, has_128, Choose(among_64(2), has_64, among_64(3)));
  }
}

template <int kBits, int kOwn, bool kBent = false>
struct ByBytes {
  static constexpr bool kIsBent = kBent, kInMemory = false;
  static const ByteKeys& Keys(const Limits& limits) { return limits.bytes; }
  static float Most(const ByteKeys& bytes) { return static_cast<float>(bytes.most); }
  static HWY_INLINE FoundCodes Find(const ByteKeys& bytes, Words first, Words second) {
    const auto both = [&](const auto& of) ZEROPOINT_INLINED {
      return Two{of(first.raw), of(second.raw)};
    };
    const Two part =
        both([](__m512i word) ZEROPOINT_INLINED { return _mm512_srli_epi16(word, 8); });
    const Two lower = both([](__m512i word) ZEROPOINT_INLINED {
      return _mm512_and_si512(word, _mm512_set1_epi16(255));
    });
    TwoMasks has_64{}, has_128{};
    if constexpr (kBits > 6) {
      const __m512i bit = _mm512_set1_epi16(64);
      has_64 = {_mm512_test_epi16_mask(part.first, bit), _mm512_test_epi16_mask(part.second, bit)};
    }
    if constexpr (kBits > 7) {
      has_128 = {_mm512_movepi16_mask(first.raw), _mm512_movepi16_mask(second.raw)};
    }
    // Their upper bytes are the complements of codes.
    Two code = LookupWords<kBits>(bytes.words[0], part, has_64, has_128);
    TwoMasks unsure;
    const auto begin = [&](__m512i& of, __m512i byte) ZEROPOINT_INLINED {
      of = _mm512_sub_epi16(of, byte);
      return _mm512_testn_epi16_mask(of, _mm512_set1_epi16(255));
    };
    unsure = {begin(code.first, lower.first), begin(code.second, lower.second)};
    const auto compare = [&](__m512i byte, __m512i limit, __m512i& of, __mmask32& open)
                             ZEROPOINT_INLINED {
                               const __mmask32 is_above = _mm512_cmpgt_epu16_mask(byte, limit);
                               of = _mm512_mask_sub_epi16(of, is_above, of, _mm512_set1_epi16(256));
                               open |= _mm512_cmpeq_epi16_mask(byte, limit);
                             };
#pragma GCC unroll 8
    for (int k = 1; k < kOwn; ++k) {
      const Two limit = LookupWords<kBits>(bytes.words[k], part, has_64, has_128);
      compare(lower.first, limit.first, code.first, unsure.first);
      compare(lower.second, limit.second, code.second, unsure.second);
    }
    const Bytes complements = PackedInOrder(Words{_mm512_srli_epi16(code.first, 8)},
                                            Words{_mm512_srli_epi16(code.second, 8)});
    return {hn::Not(complements), unsure.first | std::uint64_t{unsure.second} << 32};
  }
  static HWY_INLINE std::size_t Note(std::uint64_t unsure, std::size_t first,
                                     std::uint16_t* HWY_RESTRICT places) {
    return NotePlaces(unsure, first, places);
  }
};
#else
// By the lower bits of `index`, among 16 at a time; the highest bits of bytes in `bit_4` and
// `bit_5` are those of the index.
template <int kBits>
HWY_INLINE __m256i LookupBytes(const std::uint8_t* HWY_RESTRICT table, __m256i index, __m256i bit_4,
                               __m256i bit_5) {
  if constexpr (kBits == 4) {
    const auto* const from = reinterpret_cast<const __m128i*>(table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(from)), index);
  } else {
    constexpr int kHalf = 1 << (kBits - 1);
    return _mm256_blendv_epi8(LookupBytes<kBits - 1>(table, index, bit_4, bit_5),
                              LookupBytes<kBits - 1>(table + kHalf, index, bit_4, bit_5),
                              kBits == 5 ? bit_4 : bit_5);
  }
}

template <int kBits, int kOwn>
struct ByBytes {
  static constexpr bool kIsBent = false, kInMemory = false;
  static const ByteKeys& Keys(const Limits& limits) { return limits.bytes; }
  static float Most(const ByteKeys& bytes) { return static_cast<float>(bytes.most); }
  static HWY_INLINE FoundCodes Find(const ByteKeys& bytes, Words first, Words second) {
    const __m256i mask = _mm256_set1_epi16(255);
    const __m256i lower =
        _mm256_packus_epi16(_mm256_and_si256(first.raw, mask), _mm256_and_si256(second.raw, mask));
    const __m256i part =
        _mm256_packus_epi16(_mm256_srli_epi16(first.raw, 8), _mm256_srli_epi16(second.raw, 8));
    const __m256i bit_4 = _mm256_slli_epi16(part, 3), bit_5 = _mm256_slli_epi16(part, 2);
    // All of the part's own, less those that the number is not above.
    __m256i code = _mm256_add_epi8(LookupBytes<kBits>(bytes.below, part, bit_4, bit_5),
                                   _mm256_set1_epi8(kOwn));
    __m256i unsure = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int k = 0; k < kOwn; ++k) {
      const __m256i limit = LookupBytes<kBits>(bytes.own[k], part, bit_4, bit_5);
      const __m256i not_above = _mm256_cmpeq_epi8(_mm256_min_epu8(lower, limit), lower);
      code = _mm256_add_epi8(code, not_above);
      unsure = _mm256_or_si256(unsure, _mm256_cmpeq_epi8(lower, limit));
    }
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return {Bytes{_mm256_permutevar8x32_epi32(code, order)},
            static_cast<Bits>(_mm256_movemask_epi8(unsure))};
  }
  static HWY_INLINE std::size_t Note(std::uint64_t unsure, std::size_t first,
                                     std::uint16_t* HWY_RESTRICT places) {
    return NotePlaces(unsure, first, places);
  }
};

// Entries are read one by one, as a gather takes twice as long, and put together four at a time.
template <int kBits, bool kBent>
struct ByTable {
  static constexpr bool kIsBent = kBent, kInMemory = true;
  static const TableKeys& Keys(const Limits& limits) { return limits.table; }
  static float Most(const TableKeys&) { return TableKeys::kMost; }

  // The words of some groups, and then their entries. What was stored must have left the
  // processor's buffers to be read in other sizes: so many groups later.
  static constexpr std::size_t kApart = 2;
  struct Group {
    alignas(32) std::uint16_t words[kWordsAtOnce], found[kWordsAtOnce];
  };
  static HWY_INLINE void Put(Words first, Words second, Group& group) {
    auto* const to = reinterpret_cast<__m256i*>(group.words);
    _mm256_store_si256(to, first.raw);
    _mm256_store_si256(to + 1, second.raw);
  }
  static HWY_INLINE void Read(const TableKeys& table, Group& group) {
    const char* entries = reinterpret_cast<const char*>(table.entries + 1);
    asm("" : "+r"(entries));
    const auto entry = [&](std::uint64_t part, std::size_t place) ZEROPOINT_INLINED {
      std::uint64_t result;
      std::memcpy(&result, entries + sizeof result * part - 2 * place, sizeof result);
      return result;
    };
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kWordsAtOnce; k += 4) {
      std::uint64_t four;
      std::memcpy(&four, group.words + k, sizeof four);
      const std::uint64_t found = entry(_bextr_u64(four, kLower, kBits), 0) |
                                  entry(_bextr_u64(four, kLower + 16, kBits), 1) |
                                  entry(_bextr_u64(four, kLower + 32, kBits), 2) |
                                  entry(four >> (kLower + 48), 3);
      std::memcpy(group.found + k, &found, sizeof found);
    }
  }
  static HWY_INLINE FoundCodes Get(const Group& group) {
    const auto* const words = reinterpret_cast<const __m256i*>(group.words);
    const auto* const found = reinterpret_cast<const __m256i*>(group.found);
    const auto sum = [&](std::size_t k) ZEROPOINT_INLINED {
      const __m256i lower = _mm256_slli_epi16(_mm256_load_si256(words + k), kBits);
      return _mm256_add_epi16(_mm256_srli_epi16(lower, kBits - 1), _mm256_load_si256(found + k));
    };
    const auto is_open = [&](__m256i of) ZEROPOINT_INLINED {
      const __m256i all = _mm256_set1_epi16(static_cast<short>(-1 * (1 << (kBits - 1))));
      return _mm256_cmpeq_epi16(_mm256_slli_epi16(of, kBits - 1), all);
    };
    const __m256i a = sum(0), b = sum(1);
    const __m256i unsure = _mm256_packs_epi16(is_open(a), is_open(b));
    return {PackedInOrder(Words{_mm256_srli_epi16(a, kLower + 1)},
                          Words{_mm256_srli_epi16(b, kLower + 1)}),
            static_cast<Bits>(_mm256_movemask_epi8(unsure))};
  }
  static HWY_INLINE std::size_t Note(std::uint64_t unsure, std::size_t first,
                                     std::uint16_t* HWY_RESTRICT places) {
    return NotePlaces(unsure, first, places);
  }

 private:
  static constexpr unsigned kLower = 16 - kBits;
};
#endif

// By words, exact: where a number's word is a limit's, it is compared with the limit itself. Of
// numbers that are a multiple of kWordsAtOnce.
template <class Way>
CodebookCounts EncodeWords(const float* HWY_RESTRICT x, std::size_t count, const Limits& limits,
                           const CodebookScaling& how, std::uint8_t* HWY_RESTRICT codes) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<std::uint16_t> dw;
  const hn::ScalableTag<std::uint8_t> db;
  const auto& keys = Way::Keys(limits);
  const bool divides = how.scale != 1, counts_outside = how.counts;
  const std::size_t reachable = count + how.ahead;
  const Reals lo = hn::Set(d, how.lo), hi = hn::Set(d, how.hi);
  const Reals factor = hn::Set(d, keys.line.factor), offset = hn::Set(d, keys.line.offset);
  const Reals tail_factor = hn::Set(d, keys.line.tail_factor);
  const Reals upper = hn::Set(d, keys.line.upper), lower = hn::Set(d, keys.line.lower);
  const Reals most = hn::Set(d, Way::Most(keys));
  // What is above the largest word of numbers becomes that one, as NaNs do: of a NaN and a number,
  // the processor's least is the second.
  const auto place_of = [&](Reals y) ZEROPOINT_INLINED {
    Reals place = hn::MulAdd(y, factor, offset);
    if constexpr (Way::kIsBent) {
      place = hn::Min(place, hn::MulAdd(y, tail_factor, upper));
      place = hn::Max(place, hn::MulAdd(y, tail_factor, lower));
    }
    return hn::Min(place, most);
  };
  const auto words_of = [&](Reals y0, Reals y1)
                            ZEROPOINT_INLINED { return WordsOf(place_of(y0), place_of(y1)); };
  // Words between those of both ends are of numbers between both.
  const Words above_lo = hn::Add(words_of(lo, lo), hn::Set(dw, 1));
  const Words inner = hn::Sub(words_of(hi, hi), above_lo);
  const auto at_ends = [&](Words first, Words second) ZEROPOINT_INLINED {
    const auto at_one = [&](Words key) ZEROPOINT_INLINED {
      const Words above = hn::Sub(key, above_lo);
      return hn::Eq(hn::Max(above, inner), above);
    };
    return !hn::AllFalse(dw, hn::Or(at_one(first), at_one(second)));
  };
  CodebookCounts counts;
  // What is to be looked at again is noted block by block: nothing waits for branches.
  constexpr std::size_t kBlock = 2048;
  constexpr std::size_t kGroups = kBlock / kWordsAtOnce;
  constexpr std::size_t kSums = ZEROPOINT_AVX512 ? 4 : 2;  // as registers are left
  constexpr std::size_t kMasked = 64;
  std::uint64_t unsure[kBlock / kMasked];
  std::size_t again[kBlock / kMasked];
  std::uint16_t places[kBlock + kMasked];
  bool ends[kGroups];
  HWY_ALIGN float quotients[kBlock];
  std::size_t i = 0;
  while (i < count) {
    const std::size_t block = std::min(kBlock, count - i);
    const std::size_t groups = block / kWordsAtOnce;
    const float* y = x + i;
    if (divides) {
      const Reals scale = hn::Set(d, how.scale);
      for (std::size_t k = 0; k < block; k += kReals) {
        hn::Store(hn::Div(hn::LoadU(d, x + i + k), scale), d, quotients + k);
      }
      y = quotients;
    }
    Reals sums[kSums];
    std::fill_n(sums, kSums, hn::Zero(d));
    unsure[(block - 1) / kMasked] = 0;  // it may be filled but half
    // Calls body(first, second) with a group's words.
    const auto take = [&](std::size_t group, const auto& body) ZEROPOINT_INLINED {
      const std::size_t at = group * kWordsAtOnce;
      prefetch_ahead(x, i + at, kWordsAtOnce, reachable);
      const float* const from = y + at;
      const Reals y0 = LoadOnce(from), y1 = LoadOnce(from + kReals);
      const Reals y2 = LoadOnce(from + 2 * kReals), y3 = LoadOnce(from + 3 * kReals);
      // NaNs of NaNs and infinities.
      const Reals zero = hn::Zero(d);
      sums[0] = hn::MulAdd(y0, zero, sums[0]);
      sums[1] = hn::MulAdd(y1, zero, sums[1]);
      sums[2 % kSums] = hn::MulAdd(y2, zero, sums[2 % kSums]);
      sums[3 % kSums] = hn::MulAdd(y3, zero, sums[3 % kSums]);
      const Words first = words_of(y0, y1), second = words_of(y2, y3);
      body(first, second);
      if (counts_outside) ends[group] = at_ends(first, second);
    };
    const auto give = [&](std::size_t group, const FoundCodes& found) ZEROPOINT_INLINED {
      hn::StoreU(found.codes, db, codes + i + group * kWordsAtOnce);
      std::memcpy(reinterpret_cast<char*>(unsure) + group * sizeof(Bits), &found.unsure,
                  sizeof(Bits));
    };
    if constexpr (Way::kInMemory) {
      constexpr std::size_t kApart = Way::kApart;
      typename Way::Group kept[kGroups];
      const auto put = [&](std::size_t group) ZEROPOINT_INLINED {
        take(group, [&](Words first, Words second)
                        ZEROPOINT_INLINED { Way::Put(first, second, kept[group]); });
      };
      const auto get = [&](std::size_t group)
                           ZEROPOINT_INLINED { give(group, Way::Get(kept[group])); };
      const std::size_t first = std::min(groups, kApart), second = std::min(groups, 2 * kApart);
      for (std::size_t step = 0; step < first; ++step) put(step);
      for (std::size_t step = first; step < second; ++step) {
        put(step);
        Way::Read(keys, kept[step - kApart]);
      }
      for (std::size_t step = second; step < groups; ++step) {
        put(step);
        Way::Read(keys, kept[step - kApart]);
        get(step - 2 * kApart);
      }
      for (std::size_t group = groups - first; group < groups; ++group) {
        Way::Read(keys, kept[group]);
      }
      for (std::size_t group = groups - second; group < groups; ++group) get(group);
    } else {
      for (std::size_t group = 0; group < groups; ++group) {
        take(group, [&](Words first, Words second)
                        ZEROPOINT_INLINED { give(group, Way::Find(keys, first, second)); });
      }
    }
    std::size_t listed = 0, noted = 0;
    for (std::size_t k = 0; k * kMasked < block; ++k) {
      again[listed] = k;
      listed += unsure[k] != 0 ? 1 : 0;
    }
    for (std::size_t k = 0; k < listed; ++k) {
      noted += Way::Note(unsure[again[k]], kMasked * again[k], places + noted);
    }
    for (std::size_t k = 0; k < noted; ++k) {  // their codes are below or right
      std::uint8_t& code = codes[i + places[k]];
      code += y[places[k]] > limits.limits[code] ? 1 : 0;
    }
    if (counts_outside) {
      for (std::size_t group = 0; group < groups; ++group) {
        for (std::size_t k = 0; ends[group] && k < kWordsAtOnce; k += kReals) {
          const Reals part = hn::LoadU(d, y + group * kWordsAtOnce + k);
          counts.outside += hn::CountTrue(d, hn::Or(hn::Lt(part, lo), hn::Gt(part, hi)));
        }
      }
    }
    Reals sum = hn::Zero(d);
    for (const Reals part : sums) sum = hn::Add(sum, part);
    if (HWY_UNLIKELY(!hn::AllTrue(d, hn::Eq(sum, sum)))) {
      // Among so many there may be NaNs, whose code is that of 0, or infinities.
      const auto zero_code = static_cast<std::uint8_t>(
          std::lower_bound(limits.limits, limits.limits + limits.count, 0.0F) - limits.limits);
      for (std::size_t k = 0; k < block; ++k) {
        if (how.checks && !std::isfinite(x[i + k])) counts.finite = false;
        if (std::isnan(y[k])) codes[i + k] = zero_code;
      }
    }
    i += block;
  }
  return counts;
}

using WordsKernel = CodebookCounts (*)(const float*, std::size_t, const Limits&,
                                       const CodebookScaling&, std::uint8_t*);

// What encodes by such words, if that can be done.
HWY_INLINE WordsKernel KernelByWords(const Limits& limits) {
#define ZEROPOINT_BYTES(bits, own) \
  case 10 * bits + own:            \
    return &EncodeWords<ByBytes<bits, own>>
#if ZEROPOINT_AVX512
  const int bend = limits.bytes.line.is_bent ? 100 : 0;
  switch (bend + 10 * limits.bytes.part_bits + limits.bytes.in_a_part) {
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
#define ZEROPOINT_BENT(own) \
  case 180 + own:           \
    return &EncodeWords<ByBytes<8, own, true>>
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
      return nullptr;
  }
#else
  if (limits.table.part_bits != 0) {
    const bool bends = limits.table.line.is_bent;
    if (limits.table.part_bits == 10) {
      return bends ? &EncodeWords<ByTable<10, true>> : &EncodeWords<ByTable<10, false>>;
    }
    return bends ? &EncodeWords<ByTable<11, true>> : &EncodeWords<ByTable<11, false>>;
  }
  switch (10 * limits.bytes.part_bits + limits.bytes.in_a_part) {
    ZEROPOINT_BYTES(4, 1);
    ZEROPOINT_BYTES(4, 2);
    ZEROPOINT_BYTES(4, 3);
    ZEROPOINT_BYTES(4, 4);
    ZEROPOINT_BYTES(5, 1);
    ZEROPOINT_BYTES(5, 2);
    ZEROPOINT_BYTES(5, 3);
    ZEROPOINT_BYTES(5, 4);
    ZEROPOINT_BYTES(6, 1);
    ZEROPOINT_BYTES(6, 2);
    ZEROPOINT_BYTES(6, 3);
    ZEROPOINT_BYTES(6, 4);
    default:
      return nullptr;
  }
#undef ZEROPOINT_BYTES
#endif
}
#endif

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
