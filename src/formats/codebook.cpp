// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

// Bytes are looked up across a whole vector.
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/codebook.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "zeropoint/formats/codebook.hpp"

#include "core/count_if-inl.hpp"
#include "core/prefetch.hpp"
#include "core/vector_target.hpp"
#include "formats/codebook_coder.hpp"
#include "formats/codebook_limits.hpp"
#include "formats/codebook_words-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors at a time: a whole vector of bytes.
constexpr std::size_t kVectors = 4;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using F = hn::Vec<D>;
using I = hn::Vec<DI>;

// Numbers of a table of a power of two, by the lower bits of `index`: in vectors, of which one, or
// two at once, are looked up in at a time.
#if ZEROPOINT_AVX512
template <std::size_t kSize>
HWY_INLINE F Lookup(const float* HWY_RESTRICT table, I index) {
  const D d;
  const DI di;
  if constexpr (kSize <= 16) {
    return hn::TableLookupLanes(hn::LoadU(d, table), hn::IndicesFromVec(d, index));
  } else if constexpr (kSize == 32) {
    return F{
        _mm512_permutex2var_ps(hn::LoadU(d, table).raw, index.raw, hn::LoadU(d, table + 16).raw)};
  } else {
    const auto half = hn::Set(di, static_cast<std::int32_t>(kSize / 2));
    return hn::IfThenElse(hn::RebindMask(d, hn::TestBit(index, half)),
                          Lookup<kSize / 2>(table + kSize / 2, index),
                          Lookup<kSize / 2>(table, index));
  }
}
#elif HWY_TARGET == HWY_AVX2
template <std::size_t kSize>
HWY_INLINE F Lookup(const float* HWY_RESTRICT table, I index) {
  const D d;
  const DI di;
  if constexpr (kSize <= 8) {  // by the lowest three bits
    return F{_mm256_permutevar8x32_ps(hn::LoadU(d, table).raw, index.raw)};
  } else {
    constexpr int kToSign = 32 - std::bit_width(kSize / 2);
    const auto is_upper = hn::MaskFromVec(hn::BitCast(d, hn::ShiftLeft<kToSign>(index)));
    return hn::IfThenElse(is_upper, Lookup<kSize / 2>(table + kSize / 2, index),
                          Lookup<kSize / 2>(table, index));
  }
}
#endif

// Each of these counts the limits that are below numbers.
// Up to 15, by comparing with all of them.
struct FewLimits {
  HWY_INLINE I operator()(F x) const {
    const D d;
    const DI di;
    I code = hn::Zero(di);
    for (std::size_t k = 0; k < limits.count; ++k) {
      const auto is_above = hn::Gt(x, hn::Set(d, limits.limits[k]));
      code = CountIf(di, hn::RebindMask(di, is_above), code);
    }
    return code;
  }
  const Limits& limits;
};

#if ZEROPOINT_AVX512
// By halving what is left of them, a bit of the code at a time.
template <int kBits, int kBit = 0>
HWY_INLINE I SearchTree(const float* HWY_RESTRICT tree, F x, I code) {
  if constexpr (kBit == kBits) {
    return code;
  } else {
    const D d;
    const DI di;
    constexpr std::size_t kSize = std::size_t{1} << kBit;
    F limit;
    if constexpr (kBit == 0) {
      limit = hn::Set(d, tree[1]);
    } else {
      limit = Lookup<kSize>(tree + kSize, code);
    }
    const auto is_above = hn::RebindMask(di, hn::Gt(x, limit));
    return SearchTree<kBits, kBit + 1>(tree, x, CountIf(di, is_above, hn::Add(code, code)));
  }
}
template <int kBits>
struct LimitTree {
  HWY_INLINE I operator()(F x) const { return SearchTree<kBits>(limits.tree, x, hn::Zero(DI())); }
  const Limits& limits;
};
#endif

// Numbers after scaling, a NaN as 0, and how many are beyond the ends.
struct Scaled {
  const CodebookScaling& how;
  HWY_INLINE F operator()(F x, I& outside) const {
    const D d;
    const DI di;
    const F y = hn::Div(x, hn::Set(d, how.scale));
    const auto is_outside = hn::Or(hn::Lt(y, hn::Set(d, how.lo)), hn::Gt(y, hn::Set(d, how.hi)));
    outside = CountIf(di, hn::RebindMask(di, is_outside), outside);
    return hn::IfThenElseZero(hn::Eq(y, y), y);
  }
};

HWY_INLINE std::size_t SumOf(I counts) {
  HWY_ALIGN std::int32_t lanes[HWY_MAX_BYTES / sizeof(std::int32_t)];
  hn::Store(counts, DI(), lanes);
  std::size_t sum = 0;
  for (std::size_t k = 0; k < hn::Lanes(DI()); ++k) sum += static_cast<std::size_t>(lanes[k]);
  return sum;
}

template <class Search>
std::size_t EncodeBy(const float* HWY_RESTRICT x, std::size_t count, const Limits& limits,
                     const CodebookScaling& how, std::uint8_t* HWY_RESTRICT codes) {
  const Search search{limits};
  const Scaled scaled{how};
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t group = kVectors * lanes;
  I outside = hn::Zero(DI());
  const auto one_group = [&](const float* from, std::uint8_t* to) ZEROPOINT_INLINED {
    const F v0 = scaled(hn::LoadU(d, from), outside);
    const F v1 = scaled(hn::LoadU(d, from + lanes), outside);
    const F v2 = scaled(hn::LoadU(d, from + 2 * lanes), outside);
    const F v3 = scaled(hn::LoadU(d, from + 3 * lanes), outside);
    const I c0 = search(v0), c1 = search(v1), c2 = search(v2), c3 = search(v3);
#if HWY_TARGET == HWY_SCALAR
    const hn::Rebind<std::uint8_t, hn::ScalableTag<float>> dc;
    hn::StoreU(hn::DemoteTo(dc, c0), dc, to);
    hn::StoreU(hn::DemoteTo(dc, c1), dc, to + lanes);
    hn::StoreU(hn::DemoteTo(dc, c2), dc, to + 2 * lanes);
    hn::StoreU(hn::DemoteTo(dc, c3), dc, to + 3 * lanes);
#else
    const hn::Repartition<std::uint16_t, hn::ScalableTag<float>> dh;
    const hn::Repartition<std::uint8_t, hn::ScalableTag<float>> db;
    const auto first = hn::ConcatEven(dh, hn::BitCast(dh, c1), hn::BitCast(dh, c0));
    const auto second = hn::ConcatEven(dh, hn::BitCast(dh, c3), hn::BitCast(dh, c2));
    hn::StoreU(hn::ConcatEven(db, hn::BitCast(db, second), hn::BitCast(db, first)), db, to);
#endif
  };
  std::size_t i = 0;
  for (; i + group <= count; i += group) {
    prefetch_ahead(x, i, group, count + how.ahead);
    one_group(x + i, codes + i);
  }
  if (i < count) {  // what is left goes through vectors that are filled up with NaNs
    HWY_ALIGN float rest[kVectors * HWY_MAX_BYTES / sizeof(float)];
    HWY_ALIGN std::uint8_t result[kVectors * HWY_MAX_BYTES / sizeof(float)];
    std::fill_n(rest, group, std::numeric_limits<float>::quiet_NaN());
    std::copy_n(x + i, count - i, rest);
    one_group(rest, result);
    std::copy_n(result, count - i, codes + i);
  }
  return SumOf(outside);
}

#if ZEROPOINT_AVX512
std::size_t EncodeTree(const float* x, std::size_t count, const Limits& limits,
                       const CodebookScaling& how, std::uint8_t* codes) {
  if (limits.bits <= 4) return EncodeBy<LimitTree<4>>(x, count, limits, how, codes);
  if (limits.bits == 5) return EncodeBy<LimitTree<5>>(x, count, limits, how, codes);
  if (limits.bits == 6) return EncodeBy<LimitTree<6>>(x, count, limits, how, codes);
  if (limits.bits == 7) return EncodeBy<LimitTree<7>>(x, count, limits, how, codes);
  return EncodeBy<LimitTree<8>>(x, count, limits, how, codes);
}
#endif

// Any number of limits: those in lower buckets are known, those in the number's are compared with.
// Tables are read one by one, as vectors' gathers are slower on many processors.
template <int kCompare>
std::size_t EncodeByBuckets(const float* HWY_RESTRICT x, std::size_t count, const Limits& limits,
                            const CodebookScaling& how, std::uint8_t* HWY_RESTRICT codes) {
  const D d;
  const DI di;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t kBlock = 256;
  HWY_ALIGN float reals[kBlock] = {};
  HWY_ALIGN std::int32_t buckets[kBlock];
  const F most = hn::Set(d, static_cast<float>(kBuckets - 1));
  const Scaled scaled{how};
  I outside = hn::Zero(di);
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t block = std::min(kBlock, count - begin);
    std::copy_n(x + begin, block, reals);
    std::fill(reals + block, reals + kBlock, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t i = 0; i < block; i += lanes) {
      const F real = scaled(hn::Load(d, reals + i), outside);
      hn::Store(real, d, reals + i);
      const F place = hn::Mul(hn::Sub(real, hn::Set(d, limits.origin)), hn::Set(d, limits.factor));
      hn::Store(hn::ConvertTo(di, hn::Min(hn::Max(place, hn::Zero(d)), most)), di, buckets + i);
    }
    for (std::size_t i = 0; i < block; ++i) {
      if constexpr (kCompare == 1) {
        const Bucket& bucket = limits.buckets[buckets[i]];
        codes[begin + i] =
            static_cast<std::uint8_t>(bucket.below + (reals[i] > bucket.limit ? 1 : 0));
      } else if constexpr (kCompare > 1) {
        std::uint32_t code = limits.buckets[buckets[i]].below;
        for (int k = 0; k < kCompare; ++k) code += reals[i] > limits.limits[code] ? 1 : 0;
        codes[begin + i] = static_cast<std::uint8_t>(code);
      } else {
        std::uint32_t code = 0;
        for (std::uint32_t step = kMostLevels / 2; step > 0; step /= 2) {
          code += reals[i] > limits.limits[code + step - 1] ? step : 0;
        }
        codes[begin + i] = static_cast<std::uint8_t>(code);
      }
    }
  }
  return SumOf(outside);
}

HWY_INLINE bool AreFinite(const float* HWY_RESTRICT x, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const F zero = hn::Zero(d);
  F even = zero, odd = zero;  // infinity times 0 is a NaN
  std::size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    even = hn::MulAdd(hn::LoadU(d, x + i), zero, even);
    odd = hn::MulAdd(hn::LoadU(d, x + i + lanes), zero, odd);
  }
  const F sum = hn::Add(even, odd);
  bool finite = hn::AllTrue(d, hn::Eq(sum, sum));
  for (; i < count; ++i) finite &= std::isfinite(x[i]);
  return finite;
}

std::size_t EncodeOthers(const float* x, std::size_t count, const Limits& limits,
                         const CodebookScaling& how, std::uint8_t* codes) {
#if ZEROPOINT_AVX512
  return EncodeTree(x, count, limits, how, codes);
#else
  if (limits.count <= kFewLimits) return EncodeBy<FewLimits>(x, count, limits, how, codes);
  if (limits.in_a_bucket <= 1) return EncodeByBuckets<1>(x, count, limits, how, codes);
  if (limits.in_a_bucket <= 4) return EncodeByBuckets<4>(x, count, limits, how, codes);
  return EncodeByBuckets<0>(x, count, limits, how, codes);
#endif
}

#if ZEROPOINT_WORDS
// Any number of them: what is left of whole groups is filled up with zeros.
CodebookCounts EncodeByWords(WordsKernel kernel, const float* HWY_RESTRICT x, std::size_t count,
                             const Limits& limits, const CodebookScaling& how,
                             std::uint8_t* HWY_RESTRICT codes) {
  const std::size_t rest = count % kWordsAtOnce;
  const std::size_t whole = count - rest;
  CodebookScaling of_whole = how;
  of_whole.ahead += rest;
  CodebookCounts counts = kernel(x, whole, limits, of_whole, codes);
  if (rest == 0) return counts;
  float numbers[kWordsAtOnce] = {};
  std::uint8_t result[kWordsAtOnce];
  std::copy_n(x + whole, rest, numbers);
  CodebookScaling of_rest = how;
  of_rest.ahead = 0;
  const CodebookCounts last = kernel(numbers, kWordsAtOnce, limits, of_rest, result);
  std::copy_n(result, rest, codes + whole);
  const float zero = 0 / how.scale;
  const bool zero_is_outside = how.counts && (zero < how.lo || zero > how.hi);
  counts.outside += last.outside - (zero_is_outside ? kWordsAtOnce - rest : 0);
  counts.finite &= last.finite;
  return counts;
}
#endif

CodebookCounts EncodeAll(const float* x, std::size_t count, const Limits& limits,
                         const CodebookScaling& how, std::uint8_t* codes) {
#if ZEROPOINT_WORDS
  if (const WordsKernel kernel = KernelByWords(limits); kernel != nullptr) {
    return EncodeByWords(kernel, x, count, limits, how, codes);
  }
#endif
  CodebookCounts counts;
  if (how.checks && !AreFinite(x, count)) counts.finite = false;
  counts.outside = EncodeOthers(x, count, limits, how, codes);
  return counts;
}

#if ZEROPOINT_AVX512 || HWY_TARGET == HWY_AVX2
template <std::size_t kLevels>
void DecodeIn(const std::uint8_t* HWY_RESTRICT codes, std::size_t count,
              const float* HWY_RESTRICT levels, float* HWY_RESTRICT x) {
  const D d;
  const DI di;
  const hn::Rebind<std::uint8_t, D> dc;
  const std::size_t lanes = hn::Lanes(d);
  const auto last = hn::Set(di, static_cast<std::int32_t>(kLevels - 1));
  const auto one_vector = [&](std::size_t at) HWY_ATTR {
    I code = hn::PromoteTo(di, hn::LoadU(dc, codes + at));
    if constexpr (kLevels < kMostLevels) code = hn::Min(code, last);
    hn::StoreU(Lookup<kLevels>(levels, code), d, x + at);
  };
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);
    for (std::size_t part = 0; part < 4; ++part) one_vector(i + part * lanes);
  }
  for (; i + lanes <= count; i += lanes) one_vector(i);
  for (; i < count; ++i) x[i] = levels[codes[i]];
}
#endif

// By any levels, one by one.
void DecodeMany(const std::uint8_t* HWY_RESTRICT codes, std::size_t count,
                const float* HWY_RESTRICT levels, float* HWY_RESTRICT x) {
  constexpr std::size_t kAtOnce = 16;
  std::size_t i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce) {
    prefetch_ahead(x, i, kAtOnce, count);
    for (std::size_t k = 0; k < kAtOnce; ++k) x[i + k] = levels[codes[i + k]];
  }
  for (; i < count; ++i) x[i] = levels[codes[i]];
}

// `levels` has 256 entries, the last of those that are meant being repeated.
void DecodeAll(const std::uint8_t* codes, std::size_t count, const float* levels, std::size_t size,
               float* x) {
#if ZEROPOINT_AVX512 || HWY_TARGET == HWY_AVX2
  if (size <= 16) return DecodeIn<16>(codes, count, levels, x);
  if (size <= 32) return DecodeIn<32>(codes, count, levels, x);
  if (size <= 64) return DecodeIn<64>(codes, count, levels, x);
#endif
#if ZEROPOINT_AVX512
  if (size <= 128) return DecodeIn<128>(codes, count, levels, x);
  return DecodeIn<256>(codes, count, levels, x);
#else
  static_cast<void>(size);
  DecodeMany(codes, count, levels, x);
#endif
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(StepsOfSearch);
HWY_EXPORT(EncodeAll);
HWY_EXPORT(DecodeAll);

namespace {

constexpr std::size_t kGrain = 1 << 16;

void check(const Codebook& codebook, std::size_t reals, std::size_t codes) {
  const std::vector<float>& levels = codebook.levels;
  if (levels.empty() || levels.size() > kMostLevels) {
    throw InputError(fmt::format("codebook {}: expected 1 to {} levels, found {}", codebook.name,
                                 kMostLevels, levels.size()));
  }
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (!std::isfinite(levels[i]) || (i > 0 && levels[i] <= levels[i - 1])) {
      throw InputError(
          fmt::format("codebook {}: expected finite levels in ascending order, found {} at [{}]",
                      codebook.name, levels[i], i));
    }
  }
  if (reals != codes) {
    throw InputError(fmt::format("codebook {}: expected as many codes as numbers, found {} and {}",
                                 codebook.name, codes, reals));
  }
}

}  // namespace

int Codebook::bits() const {
  return std::max(1, static_cast<int>(std::bit_width(levels.size() - 1)));
}

CodebookEncoder::CodebookEncoder(const std::vector<float>& levels, float scale)
    : limits_(std::make_unique<Limits>()) {
  // What can be put into the limits once need not be divided by each time.
  if (std::isnormal(scale)) {
    lo_ = -largest_within(-levels.front(), scale);
    hi_ = largest_within(levels.back(), scale);
  } else {
    divisor_ = scale;
    scale = 1;
    lo_ = levels.front();
    hi_ = levels.back();
  }
  choose_vector_target();
  fill_limits(levels, scale, HWY_DYNAMIC_DISPATCH(StepsOfSearch)(), *limits_);
  kernel_ = HWY_DYNAMIC_DISPATCH(EncodeAll);
}

CodebookCounts CodebookEncoder::operator()(const float* x, std::size_t count,
                                           const CodebookPass& pass, std::uint8_t* codes) const {
  return kernel_(x, count, *limits_,
                 {divisor_ * pass.scale, lo_, hi_, pass.ahead, pass.counts, pass.checks}, codes);
}

CodebookDecoder::CodebookDecoder(const std::vector<float>& levels, float scale)
    : size_(levels.size()) {
  // Within float32, as levels by themselves are.
  constexpr float kLargest = std::numeric_limits<float>::max();
  const auto scaled = [&](float level) { return std::clamp(level * scale, -kLargest, kLargest); };
  std::ranges::fill(levels_, scaled(levels.back()));
  std::ranges::transform(levels, levels_, scaled);
  choose_vector_target();
  kernel_ = HWY_DYNAMIC_DISPATCH(DecodeAll);
}

void CodebookDecoder::operator()(const std::uint8_t* codes, std::size_t count, float* x) const {
  kernel_(codes, count, levels_, size_, x);
}

void encode(const Codebook& codebook, std::span<const float> x, std::span<std::uint8_t> codes) {
  check(codebook, x.size(), codes.size());
  const CodebookEncoder encoder(codebook.levels, 1);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    encoder(x.data() + begin, end - begin, {}, codes.data() + begin);
  });
}

void decode(const Codebook& codebook, std::span<const std::uint8_t> codes, std::span<float> x) {
  check(codebook, x.size(), codes.size());
  const CodebookDecoder decoder(codebook.levels, 1);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    decoder(codes.data() + begin, end - begin, x.data() + begin);
  });
}

}  // namespace zeropoint
#endif
