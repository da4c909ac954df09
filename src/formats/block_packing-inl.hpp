// Codes of 8, 6 and 4 bits, packed from the least significant bit on, in vectors; compiled for each
// instruction set.
#if defined(ZEROPOINT_FORMATS_BLOCK_PACKING_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_FORMATS_BLOCK_PACKING_INL_HPP
#undef ZEROPOINT_FORMATS_BLOCK_PACKING_INL_HPP
#else
#define ZEROPOINT_FORMATS_BLOCK_PACKING_INL_HPP
#endif
#include "formats/block_vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR

// Pairs of nibbles.
HWY_INLINE BytesV PackNibbles(const std::uint8_t* HWY_RESTRICT codes) {
  const Bytes d;
  const hn::Repartition<std::uint16_t, Bytes> dh;
  const auto pairs = [&](const std::uint8_t* from) ZEROPOINT_INLINED {
    const auto two = hn::BitCast(dh, hn::Load(d, from));
    return hn::BitCast(d, hn::Or(two, hn::ShiftRight<4>(two)));
  };
  return hn::ConcatEven(d, pairs(codes + 16), pairs(codes));
}

// Four codes of 6 bits, a byte each, to the lower 24 bits of their word; 32 codes in place.
HWY_INLINE void PackSixes(std::uint8_t* codes) {
  const hn::Repartition<std::uint8_t, Words> db;
  const hn::Repartition<std::uint16_t, Words> dh;
  const Words dw;
  for (std::size_t j = 0; j < kValues; j += hn::Lanes(db)) {
    const auto one = hn::BitCast(dh, hn::Load(db, codes + j));
    const auto first = hn::And(one, hn::Set(dh, 0x3F));
    const auto two = hn::BitCast(dw, hn::Or(first, hn::ShiftRight<2>(hn::Xor(one, first))));
    const auto lower = hn::And(two, hn::Set(dw, 0xFFF));
    const auto four = hn::Or(lower, hn::ShiftRight<4>(hn::Xor(two, lower)));
    hn::Store(hn::BitCast(db, four), db, codes + j);
  }
}

// The inverse of one vector; bits above the 24 do not count.
HWY_INLINE BytesV UnpackSixes(BytesV packed) {
  const Bytes d;
  const hn::Repartition<std::uint32_t, Bytes> dw;
  const auto four = hn::BitCast(dw, packed);
  const auto part = [&](auto moved, std::uint32_t mask)
                        HWY_ATTR { return hn::And(moved, hn::Set(dw, mask)); };
  const auto low = hn::Or(part(four, 0x3F), part(hn::ShiftLeft<2>(four), 0x3F00));
  const auto high =
      hn::Or(part(hn::ShiftLeft<4>(four), 0x3F0000), part(hn::ShiftLeft<6>(four), 0x3F000000));
  return hn::BitCast(d, hn::Or(low, high));
}

// Where bytes come from; 0x80: 0.
alignas(16) constexpr std::uint8_t kGather[16] = {0,  1,  2,  4,  5,    6,    8,    9,
                                                  10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80};
alignas(16) constexpr std::uint8_t kGatherTop[16] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                                     0x80, 0x80, 0x80, 0x80, 0,    1,    2,    4};
alignas(16) constexpr std::uint8_t kGatherRest[16] = {
    5, 6, 8, 9, 10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
alignas(16) constexpr std::uint8_t kScatter[16] = {1, 2, 3, 0, 4,  5,  6,  0,
                                                   7, 8, 9, 0, 10, 11, 12, 0};
alignas(16) constexpr std::uint8_t kScatterTop[16] = {4,  5,  6,  0, 7,  8,  9,  0,
                                                      10, 11, 12, 0, 13, 14, 15, 0};

template <int kBits>
HWY_INLINE void PutElements(std::uint8_t* HWY_RESTRICT codes, std::uint8_t* HWY_RESTRICT out) {
  const Bytes d;
  if constexpr (kBits == 8) {
    hn::StoreU(hn::Load(d, codes), d, out);
    hn::StoreU(hn::Load(d, codes + 16), d, out + 16);
  } else if constexpr (kBits == 4) {
    hn::StoreU(PackNibbles(codes), d, out);
  } else {
    static_assert(kBits == 6);
    PackSixes(codes);
    const BytesV first = hn::Load(d, codes);
    const BytesV second = hn::Load(d, codes + 16);
    const auto moved = [&](BytesV from, const std::uint8_t* where)
                           HWY_ATTR { return hn::TableLookupBytesOr0(from, hn::Load(d, where)); };
    hn::StoreU(hn::Or(moved(first, kGather), moved(second, kGatherTop)), d, out);
    const hn::Half<Bytes> half;
    hn::StoreU(hn::LowerHalf(half, moved(second, kGatherRest)), half, out + 16);
  }
}

template <int kBits>
HWY_INLINE void StoreNibbles(BytesV packed, std::uint8_t* HWY_RESTRICT codes) {
  const Bytes d;
  const BytesV low = hn::And(packed, hn::Set(d, 15));
  const BytesV high = hn::ShiftRight<4>(packed);
  hn::Store(hn::InterleaveLower(d, low, high), d, codes);
  if constexpr (kBits == 4) hn::Store(hn::InterleaveUpper(d, low, high), d, codes + 16);
}

// 32 codes of a block that begins with its scale's byte; of 8 bits, where they lie.
template <int kBits>
HWY_INLINE const std::uint8_t* GetElements(const std::uint8_t* HWY_RESTRICT block,
                                           std::uint8_t* HWY_RESTRICT codes) {
  if constexpr (kBits == 8) return block + 1;
  const Bytes d;
  if constexpr (kBits == 4) StoreNibbles<4>(hn::LoadU(d, block + 1), codes);
  if constexpr (kBits == 6) {
    const auto words = [&](const std::uint8_t* from, const std::uint8_t* where) ZEROPOINT_INLINED {
      return UnpackSixes(hn::TableLookupBytes(hn::LoadU(d, from), hn::Load(d, where)));
    };
    hn::Store(words(block, kScatter), d, codes);
    hn::Store(words(block + 9, kScatterTop), d, codes + 16);
  }
  return codes;
}

#endif
}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
