// Vectors whose size the compiler does not know cannot be captured by lambdas, as they are below.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif

// Trellis codes by vector code, bit for bit as block_trellis.cpp has them. Compiled once for each
// instruction set by Highway; the best is chosen at run time.
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/block_trellis_vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/block_export.hpp"
#include "formats/block_fit.hpp"
#include "formats/block_rows.hpp"
#include "formats/block_vectors-inl.hpp"
#include "formats/trellis.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR

// One step: from the costs behind it to those before it.
template <int kBits>
HWY_INLINE void StepOf(std::int16_t factor, const std::int32_t* HWY_RESTRICT costs,
                       std::int32_t* HWY_RESTRICT before, std::uint8_t* HWY_RESTRICT choices) {
  constexpr std::size_t kWays = std::size_t{1} << kBits;
  constexpr std::size_t kEnds = kTrellisStates >> kBits;
  constexpr std::size_t kPart = kEnds >> kBits;  // ends from which the same step before leads
  const hn::CappedTag<std::int32_t, 16> d;
  static_assert(kPart % 16 == 0);
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::Rebind<std::uint8_t, decltype(d)> db;
  const hn::Repartition<std::int16_t, decltype(d)> dh;
  const std::size_t lanes = hn::Lanes(d);
  const auto* const pairs = reinterpret_cast<const std::int16_t*>(trellis_pairs(kBits));
  const auto mask = hn::Set(d, static_cast<std::int32_t>(kWays - 1));
  const auto repeated = hn::IndicesFromVec(d, hn::ShiftRight<kBits>(hn::Iota(d, 0)));
  const std::uint32_t factors = static_cast<std::uint16_t>(factor) | kSquareFactor << 16;
  const auto both = hn::BitCast(dh, hn::Set(du, factors));
  const auto base = hn::Set(d, costs[0]);
  for (std::size_t end = 0; end < kEnds; end += lanes) {
    auto best = hn::Set(d, 0x7FFFFFFF);
    for (std::size_t way = 0; way < kWays; ++way) {
      const std::size_t state = end + way * kEnds;
      auto odd = hn::Zero(d);
      const auto even = hn::ReorderWidenMulAccumulate(d, hn::LoadU(dh, pairs + 2 * state), both,
                                                      hn::Zero(d), odd);
      const auto own = hn::RearrangeToOddPlusEven(even, odd);
      const auto behind = hn::TableLookupLanes(hn::LoadU(d, costs + (state >> kBits)), repeated);
      best = hn::Min(best, hn::Add(own, behind));
    }
    const auto choice = hn::And(best, mask);
    hn::StoreU(hn::TruncateTo(db, hn::BitCast(du, choice)), db, choices + end);
    const auto way = hn::Set(d, static_cast<std::int32_t>(end / kPart));
    hn::StoreU(hn::Add(hn::Sub(hn::Sub(best, choice), base), way), d, before + end);
  }
}

template <int kBits>
void SearchOf(const std::int16_t* factors, std::size_t steps, std::int32_t* costs,
              std::int32_t* spare, std::uint8_t* choices) {
  constexpr std::size_t kEnds = kTrellisStates >> kBits;
  for (std::size_t step = steps; step-- > 0;) {
    StepOf<kBits>(factors[step], costs, spare, choices + step * kEnds);
    std::swap(costs, spare);
  }
  if (steps % 2 != 0) std::memcpy(spare, costs, kEnds * sizeof *costs);
}

void Search(int bits, const std::int16_t* factors, std::size_t steps, std::int32_t* costs,
            std::int32_t* spare, std::uint8_t* choices) {
  switch (bits) {
    case 2:
      return SearchOf<2>(factors, steps, costs, spare, choices);
    case 3:
      return SearchOf<3>(factors, steps, costs, spare, choices);
    default:
      return SearchOf<4>(factors, steps, costs, spare, choices);
  }
}

template <int kBits>
bool EncodeTrellis(const float* x, std::size_t count, std::uint8_t* out) {
  if (largest_magnitude_bits(x, count) >= kInfinityBits) return false;
  encode_trellis(kBits, Search, x, count, out);
  return true;
}

using WideFloats = hn::CappedTag<float, 16>;
using WideWords = hn::RebindToUnsigned<WideFloats>;

constexpr std::size_t kGroup = 16;  // values whose states begin in the same 16 bytes

// Where, lane by lane.
template <int kBits>
struct Windows {
  alignas(64) std::uint8_t bytes[4 * kGroup];
  alignas(64) std::uint32_t shifts[kGroup];
  constexpr Windows() : bytes(), shifts() {
    for (std::size_t lane = 0; lane < kGroup; ++lane) {
      const std::size_t bit = lane * kBits;
      for (std::size_t j = 0; j < 4; ++j) {
        bytes[4 * lane + j] = static_cast<std::uint8_t>(bit / 8 + j);
      }
      shifts[lane] = static_cast<std::uint32_t>(bit % 8);
    }
  }
};

// What is above the states does not count.
template <int kBits>
HWY_INLINE hn::Vec<WideFloats> ValuesOf(hn::Vec<WideWords> states) {
  using Hash = TrellisHash<kBits>;
  const WideWords d;
  const hn::RebindToSigned<WideWords> di;
  const WideFloats df;
  constexpr std::uint32_t kMiddleMask = (1U << Hash::kMiddle) - 1;
  const auto middle = hn::And(hn::ShiftRight<kBits>(states), hn::Set(d, kMiddleMask));
  auto angle = hn::Add(hn::Mul(middle, hn::Set(d, Hash::kFactor)), hn::Set(d, Hash::kStart));
  angle = hn::Mul(hn::Xor(angle, hn::ShiftRight<15>(angle)), hn::Set(d, Hash::kSecondFactor));
  const auto last = hn::ShiftLeft<32 - kBits>(hn::ShiftRight<kTrellisBits - kBits>(states));
  const auto first = hn::And(states, hn::Set(d, Hash::kMask));
  angle = hn::Add(angle, hn::Add(last, hn::Mul(first, hn::Set(d, Hash::kFirst))));
  const auto u = hn::Mul(hn::ConvertTo(df, hn::BitCast(di, angle)), hn::Set(df, 0x1p-31F));
  const auto u2 = hn::Mul(u, u);
  const auto u4 = hn::Mul(u2, u2);
  const auto u8 = hn::Max(hn::Mul(u4, u4), hn::Set(df, kLeastPower));
  const auto u16 = hn::Mul(u8, u8);
  const auto u32 = hn::Mul(u16, u16);
  const auto u64 = hn::Mul(u32, u32);
  const auto inner = hn::Add(hn::Set(df, kQuantile1), hn::Mul(hn::Set(df, kQuantile5), u4));
  const auto slope = hn::Add(inner, hn::Mul(hn::Set(df, kQuantile65), u64));
  // Ties to even, and no zero below 0.
  const auto shift = hn::Set(df, 0x1.8p23F);
  return hn::Sub(hn::Add(hn::Mul(u, slope), shift), shift);
}

template <int kBits>
bool DecodeTrellis(const std::uint8_t* HWY_RESTRICT in, std::size_t count, float* HWY_RESTRICT x) {
  constexpr std::size_t kBytes = trellis_bytes(kBits) - 2;
  static constexpr Windows<kBits> kWindows;
  const WideWords d;
  const WideFloats df;
  const hn::Repartition<std::uint8_t, WideWords> db;
  const std::size_t lanes = hn::Lanes(d);
  const auto unit = hn::Set(df, 1 / kTrellisUnit);
  // Groups whose bytes are read where they lie: 16 bytes each, within the block.
  constexpr std::size_t kGroupBytes = kGroup * kBits / 8;
  constexpr std::size_t kInPlace = (kBytes - 16) / kGroupBytes + 1;
  constexpr std::size_t kTail = kInPlace * kGroupBytes;
  std::uint8_t tail[kBytes - kTail + 16] = {};
  for (std::size_t i = 0; i < count; i += kTrellisBlock, in += 2 + kBytes) {
    const auto scale = hn::Set(df, get_scale(in));
    std::size_t at = i;
    const auto group = [&](const std::uint8_t* from) ZEROPOINT_INLINED {
      prefetch_ahead(x, at, kGroup, count);
      const auto bytes = hn::LoadDup128(db, from);
      for (std::size_t lane = 0; lane < kGroup; lane += lanes, at += lanes) {
        const auto words =
            hn::BitCast(d, hn::TableLookupBytes(bytes, hn::Load(db, kWindows.bytes + 4 * lane)));
        const auto states = hn::Shr(words, hn::Load(d, kWindows.shifts + lane));
        hn::StoreU(hn::Mul(hn::Mul(ValuesOf<kBits>(states), unit), scale), df, x + at);
      }
    };
    for (std::size_t k = 0; k < kInPlace; ++k) group(in + 2 + k * kGroupBytes);
    std::memcpy(tail, in + 2 + kTail, kBytes - kTail);
    std::memcpy(tail + kBytes - kTail, in + 2, 2);
    for (std::size_t k = 0; k < kTrellisBlock / kGroup - kInPlace; ++k) {
      group(tail + k * kGroupBytes);
    }
  }
  return true;
}

#else  // HWY_SCALAR: left to the definition
template <int kBits>
bool EncodeTrellis(const float*, std::size_t, std::uint8_t*) {
  return false;
}
template <int kBits>
bool DecodeTrellis(const std::uint8_t*, std::size_t, float*) {
  return false;
}
#endif

#define ZEROPOINT_TRELLIS(bits)                                                           \
  bool EncodeTrellis##bits(const float* x, std::size_t count, const BlockOptions&, float, \
                           std::uint8_t* out) {                                           \
    return EncodeTrellis<bits>(x, count, out);                                            \
  }                                                                                       \
  bool DecodeTrellis##bits(const std::uint8_t* in, std::size_t count, float, float* x) {  \
    return DecodeTrellis<bits>(in, count, x);                                             \
  }
ZEROPOINT_TRELLIS(2)
ZEROPOINT_TRELLIS(3)
ZEROPOINT_TRELLIS(4)
#undef ZEROPOINT_TRELLIS

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

ZEROPOINT_BLOCK_EXPORT(trellis2, Trellis2)
ZEROPOINT_BLOCK_EXPORT(trellis3, Trellis3)
ZEROPOINT_BLOCK_EXPORT(trellis4, Trellis4)

}  // namespace zeropoint
#endif
