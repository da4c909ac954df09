// What the vector code of block formats has in common; compiled for each instruction set. Vectors
// have 8 lanes at most: a block of 32 values is four of them, or eight of 4.
#if defined(ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP
#undef ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP
#else
#define ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP
#endif
#include <hwy/highway.h>

#include "formats/block_bits.hpp"

// For lambdas: a call would pass vectors through memory.
#undef ZEROPOINT_INLINED
#define ZEROPOINT_INLINED HWY_ATTR __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 8>;
using Words = hn::RebindToUnsigned<Floats>;
using Ints = hn::RebindToSigned<Floats>;
using FloatsV = hn::Vec<Floats>;
using WordsV = hn::Vec<Words>;
using IntsV = hn::Vec<Ints>;
using Bytes = hn::FixedTag<std::uint8_t, 16>;
using BytesV = hn::Vec<Bytes>;

constexpr std::size_t kValues = 32;  // that one step takes
constexpr std::uint32_t kInfinityBits = 0x7F800000;

/// The bits of the largest magnitude of a whole number of vectors.
HWY_INLINE std::uint32_t LargestBits(const float* HWY_RESTRICT x, std::size_t count) {
  const Ints di;
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  const auto magnitude = hn::Set(di, 0x7FFFFFFF);
  IntsV most = hn::Zero(di);
  for (std::size_t j = 0; j < count; j += lanes) {
    most = hn::Max(most, hn::And(hn::BitCast(di, hn::LoadU(d, x + j)), magnitude));
  }
  return static_cast<std::uint32_t>(hn::GetLane(hn::MaxOfLanes(di, most)));
}

// Blocks whose scales are made together, a vector at a time. While their codes are made, the next
// batch is asked for.
constexpr std::size_t kBatch = 64;

HWY_INLINE bool AreFinite(IntsV magnitudes) {
  const Ints di;
  return hn::AllTrue(di, hn::Lt(magnitudes, hn::Set(di, static_cast<std::int32_t>(kInfinityBits))));
}

/// The largest of a's lanes to to[0], of b's to to[1].
template <class D, class V>
HWY_INLINE void StoreTwoLargest(D d, V a, V b, hn::TFromD<D>* to) {
  V most = hn::Max(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
  if constexpr (hn::MaxLanes(D()) == 8) most = hn::Max(most, hn::Shuffle1032(most));
  most = hn::Max(most, hn::Shuffle2301(most));
  to[0] = hn::GetLane(most);
  to[1] = hn::ExtractLane(most, hn::Lanes(d) / 2);
}

/// The magnitudes of a block's values, the larger of each lane, as integers.
template <std::size_t kBlock>
HWY_INLINE IntsV MagnitudesOf(const float* HWY_RESTRICT x) {
  const Ints di;
  const Floats d;
  const auto magnitude = hn::Set(di, 0x7FFFFFFF);
  IntsV most = hn::And(hn::BitCast(di, hn::LoadU(d, x)), magnitude);
  for (std::size_t j = hn::Lanes(d); j < kBlock; j += hn::Lanes(d)) {
    most = hn::Max(most, hn::And(hn::BitCast(di, hn::LoadU(d, x + j)), magnitude));
  }
  return most;
}

/// The bits of the largest magnitude of each block of a batch; 0 behind them up to a whole vector.
template <std::size_t kBlock>
HWY_INLINE void StoreMagnitudes(const float* HWY_RESTRICT x, std::size_t blocks,
                                std::int32_t* HWY_RESTRICT most) {
  const Ints di;
  for (std::size_t k = blocks & ~std::size_t{7}; k < blocks; k += hn::Lanes(di)) {
    hn::Store(hn::Zero(di), di, most + k);
  }
  std::size_t k = 0;
  for (; k + 2 <= blocks; k += 2) {
    StoreTwoLargest(di, MagnitudesOf<kBlock>(x + k * kBlock),
                    MagnitudesOf<kBlock>(x + (k + 1) * kBlock), most + k);
  }
  if (k < blocks) {
    most[k] = hn::GetLane(hn::MaxOfLanes(di, MagnitudesOf<kBlock>(x + k * kBlock)));
  }
}

/// Bytes to words, one a lane.
HWY_INLINE IntsV LoadCodes(const std::uint8_t* codes) {
  const Ints di;
  const hn::Rebind<std::uint8_t, Ints> db;
  return hn::PromoteTo(di, hn::LoadU(db, codes));
}
HWY_INLINE IntsV LoadSignedCodes(const std::uint8_t* codes) {
  const Ints di;
  const hn::Rebind<std::int8_t, Ints> db;
  return hn::PromoteTo(di, hn::LoadU(db, reinterpret_cast<const std::int8_t*>(codes)));
}

/// Elements, or scales, that are floats.
template <class F>
struct FloatElement : F {
  static constexpr std::uint32_t kSign = F::kFormat.sign_bit();

  static HWY_INLINE IntsV Signed(std::uint32_t bits) {
    return hn::Set(Ints(), static_cast<std::int32_t>(bits));
  }

  // The codes, ties to even, the largest for what is above, in the lowest byte of each word, or
  // two of them; what is above is no matter. A float whose last bits count in steps of the code's
  // is added to the magnitude: these bits then hold the fraction and its leading 1, to which the
  // exponent is added.
  static HWY_INLINE WordsV Code(FloatsV v) {
    const Words d;
    const Ints di;
    const Floats df;
    constexpr std::uint32_t kOffset = (F::kRebias + 1) << F::kFraction;
    static_assert(kOffset % 2 == 0, "ties see the code's last bit");
    constexpr std::uint32_t kStep =
        (static_cast<std::uint32_t>(F::kDrop) << 23) + (-kOffset & (F::kBits <= 8 ? 0xFF : 0xFFFF));
    const IntsV bits = hn::BitCast(di, v);
    const IntsV magnitude = hn::And(bits, Signed(0x7FFFFFFF));
    const IntsV kept = hn::Min(magnitude, Signed(F::kLargestBits));
    const IntsV at_least = hn::Max(kept, Signed(F::kSmallestNormalBits));
    const IntsV exponent = hn::And(at_least, Signed(0x7F800000));
    const auto step = hn::BitCast(df, hn::Add(exponent, Signed(kStep)));
    const WordsV fraction = hn::BitCast(d, hn::Add(hn::BitCast(df, kept), step));
    const WordsV code = hn::Add(fraction, hn::ShiftRight<F::kDrop>(hn::BitCast(d, exponent)));
    return hn::OrAnd(code, hn::ShiftRight<32 - F::kBits>(hn::BitCast(d, v)), hn::Set(d, kSign));
  }

  static HWY_INLINE FloatsV Number(IntsV code) {
    const Words d;
    const Floats df;
    const Ints di;
    const WordsV sign =
        hn::ShiftLeft<32 - F::kBits>(hn::And(hn::BitCast(d, code), hn::Set(d, kSign)));
    const IntsV magnitude = hn::And(code, hn::Set(di, static_cast<std::int32_t>(kSign) - 1));
    const auto small = hn::Mul(hn::ConvertTo(df, magnitude), hn::Set(df, F::kSmallest));
    const IntsV normal = hn::Add(hn::ShiftLeft<F::kDrop>(magnitude),
                                 hn::Set(di, static_cast<std::int32_t>(F::kRebias << 23)));
    const auto is_small = hn::Lt(magnitude, hn::Set(di, 1 << F::kFraction));
    IntsV bits = hn::IfThenElse(is_small, hn::BitCast(di, small), normal);
    if constexpr (F::kFormat.has_nan()) {
      const auto is_special =
          hn::Gt(magnitude, hn::Set(di, static_cast<std::int32_t>(F::kLargestCode)));
      IntsV special = hn::Set(di, 0x7FC00000);
      if constexpr (F::kFormat.has_infinity()) {
        const auto infinity = static_cast<std::int32_t>(F::kFormat.infinity_code());
        const auto is_infinity = hn::Eq(magnitude, hn::Set(di, infinity));
        special = hn::IfThenElse(is_infinity, hn::Set(di, 0x7F800000), special);
      }
      bits = hn::IfThenElse(is_special, special, bits);
    }
    return hn::BitCast(df, hn::Or(hn::BitCast(d, bits), sign));
  }

  static HWY_INLINE FloatsV NumberAt(const std::uint8_t* codes) { return Number(LoadCodes(codes)); }
};

using E4m3 = FloatElement<E4m3Bits>;
using Fp16 = FloatElement<Fp16Bits>;

/// The lowest bytes of four vectors of words, in order.
HWY_INLINE void StoreLowBytes(WordsV a, WordsV b, WordsV c, WordsV d, std::uint8_t* to) {
  const hn::Repartition<std::uint16_t, Words> dh;
  const hn::Repartition<std::uint8_t, Words> db;
  const auto low = hn::ConcatEven(dh, hn::BitCast(dh, b), hn::BitCast(dh, a));
  const auto high = hn::ConcatEven(dh, hn::BitCast(dh, d), hn::BitCast(dh, c));
  hn::StoreU(hn::ConcatEven(db, hn::BitCast(db, high), hn::BitCast(db, low)), db, to);
}

/// The same of two; 16 bytes if a vector has 8 lanes.
HWY_INLINE void StoreLowBytes(WordsV a, WordsV b, std::uint8_t* to) {
  const hn::Repartition<std::uint16_t, Words> dh;
  const hn::Repartition<std::uint8_t, Words> db;
  const hn::Half<decltype(db)> half;
  const auto both = hn::BitCast(db, hn::ConcatEven(dh, hn::BitCast(dh, b), hn::BitCast(dh, a)));
  hn::StoreU(hn::LowerHalf(half, hn::ConcatEven(db, both, both)), half, to);
}

/// The codes of 32 values; `code_of(values, first)` makes those of one vector.
template <class CodeOf>
HWY_INLINE void StoreCodes(const float* HWY_RESTRICT x, std::uint8_t* HWY_RESTRICT codes,
                           const CodeOf& code_of) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t j = 0; j < kValues; j += 4 * lanes) {
    const WordsV first = code_of(hn::LoadU(d, x + j), j);
    const WordsV second = code_of(hn::LoadU(d, x + j + lanes), j + lanes);
    const WordsV third = code_of(hn::LoadU(d, x + j + 2 * lanes), j + 2 * lanes);
    const WordsV fourth = code_of(hn::LoadU(d, x + j + 3 * lanes), j + 3 * lanes);
    StoreLowBytes(first, second, third, fourth, codes + j);
  }
}

#endif
}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
