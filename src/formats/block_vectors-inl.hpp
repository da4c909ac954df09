// What the vector code of block formats has in common; compiled for each instruction set. Vectors
// have 8 lanes at most: a block of 32 values is four of them, or eight of 4.
#if defined(ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP
#undef ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP
#else
#define ZEROPOINT_FORMATS_BLOCK_VECTORS_INL_HPP
#endif
#include <hwy/highway.h>

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

/// The lowest bytes of four vectors of words, in order.
HWY_INLINE void StoreLowBytes(WordsV a, WordsV b, WordsV c, WordsV d, std::uint8_t* to) {
  const hn::Repartition<std::uint16_t, Words> dh;
  const hn::Repartition<std::uint8_t, Words> db;
  const auto low = hn::ConcatEven(dh, hn::BitCast(dh, b), hn::BitCast(dh, a));
  const auto high = hn::ConcatEven(dh, hn::BitCast(dh, d), hn::BitCast(dh, c));
  hn::StoreU(hn::ConcatEven(db, hn::BitCast(db, high), hn::BitCast(db, low)), db, to);
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

#endif
}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
