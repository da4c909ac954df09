// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/packed_codes.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "zeropoint/formats/packed_codes.hpp"

#include "core/vector_target.hpp"
#include "formats/bit_fields.hpp"
#include "formats/packing.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<std::uint64_t>;

// gather() and scatter(), below, in each lane.
template <int kBits, int kWidth, class V>
HWY_INLINE V Gather(V word) {
  if constexpr (kWidth == 64) {
    return word;
  } else {
    constexpr std::uint64_t kEven = lower_bits<kBits, 2 * kWidth>();
    const auto odd = hn::And(hn::ShiftRight<kWidth - kBits>(word), hn::Set(D(), kEven << kBits));
    return Gather<2 * kBits, 2 * kWidth>(hn::Or(hn::And(word, hn::Set(D(), kEven)), odd));
  }
}
template <int kBits, int kWidth, class V>
HWY_INLINE V Scatter(V word) {
  if constexpr (kWidth == 64) {
    return word;
  } else {
    constexpr std::uint64_t kEven = lower_bits<kBits, 2 * kWidth>();
    word = Scatter<2 * kBits, 2 * kWidth>(word);
    const auto odd = hn::And(hn::ShiftLeft<kWidth - kBits>(word), hn::Set(D(), kEven << kWidth));
    return hn::Or(hn::And(word, hn::Set(D(), kEven)), odd);
  }
}

// Packs eights of codes in bytes, as many as fill vectors, and says how many.
template <int kBits, class Packed>
HWY_INLINE std::size_t PackIn(const std::uint8_t* codes, std::size_t eights, std::uint8_t* bytes) {
  const D d;
  const hn::Rebind<Packed, D> dp;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= eights; i += lanes) {
    const auto word = hn::And(hn::LoadU(d, reinterpret_cast<const std::uint64_t*>(codes + 8 * i)),
                              hn::Set(d, lower_bits<kBits, 8>()));
    hn::StoreU(hn::TruncateTo(dp, Gather<kBits, 8>(word)), dp,
               reinterpret_cast<Packed*>(bytes + i * kBits));
  }
  return i;
}

template <int kBits, class Packed>
HWY_INLINE std::size_t UnpackIn(const std::uint8_t* bytes, std::size_t eights,
                                std::uint8_t* codes) {
  const D d;
  const hn::Rebind<Packed, D> dp;
  const hn::Rebind<std::uint32_t, D> du;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= eights; i += lanes) {
    const auto packed = hn::LoadU(dp, reinterpret_cast<const Packed*>(bytes + i * kBits));
    if constexpr (sizeof(Packed) == 4) {
      hn::StoreU(Scatter<kBits, 8>(hn::PromoteTo(d, packed)), d,
                 reinterpret_cast<std::uint64_t*>(codes + 8 * i));
    } else {
      const auto word = hn::PromoteTo(d, hn::PromoteTo(du, packed));
      hn::StoreU(Scatter<kBits, 8>(word), d, reinterpret_cast<std::uint64_t*>(codes + 8 * i));
    }
  }
  return i;
}

#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
// At other widths, eights of codes are put together within 16 bytes, which overlap in memory.
constexpr std::size_t kBlock = 16;

// Each 16 bytes of a vector, `stride` bytes apart.
template <class DB, class V>
HWY_INLINE void StoreBlocks(DB db, V v, std::size_t stride, std::uint8_t* to) {
  if constexpr (hn::MaxLanes(DB()) == kBlock) {
    hn::StoreU(v, db, to);
  } else {
    const hn::Half<DB> half;
    constexpr std::size_t kBlocks = hn::MaxLanes(DB()) / kBlock / 2;
    StoreBlocks(half, hn::LowerHalf(half, v), stride, to);
    StoreBlocks(half, hn::UpperHalf(half, v), stride, to + kBlocks * stride);
  }
}
template <class DB>
HWY_INLINE hn::Vec<DB> LoadBlocks(DB db, std::size_t stride, const std::uint8_t* from) {
  if constexpr (hn::MaxLanes(DB()) == kBlock) {
    return hn::LoadU(db, from);
  } else {
    const hn::Half<DB> half;
    constexpr std::size_t kBlocks = hn::MaxLanes(DB()) / kBlock / 2;
    const auto low = LoadBlocks(half, stride, from);
    return hn::Combine(db, LoadBlocks(half, stride, from + kBlocks * stride), low);
  }
}

// The bytes of a block's two eights, one after the other, and back; 0x80: 0.
template <int kBits>
HWY_INLINE hn::Vec<hn::Repartition<std::uint8_t, D>> TogetherOrApart(bool together) {
  const hn::Repartition<std::uint8_t, D> db;
  alignas(kBlock) std::uint8_t from[kBlock];
  for (int j = 0; j < static_cast<int>(kBlock); ++j) {
    const int there = together ? (j < kBits       ? j
                                  : j < 2 * kBits ? 8 + j - kBits
                                                  : 0x80)
                               : (j % 8 < kBits ? j / 8 * kBits + j % 8 : 0x80);
    from[j] = static_cast<std::uint8_t>(there);
  }
  return hn::LoadDup128(db, from);
}

template <int kBits>
HWY_INLINE std::size_t PackOdd(const std::uint8_t* codes, std::size_t eights, std::uint8_t* bytes) {
  const D d;
  const hn::Repartition<std::uint8_t, D> db;
  const std::size_t lanes = hn::Lanes(d);
  const auto together = TogetherOrApart<kBits>(true);
  constexpr std::size_t kWidth = kBits;
  std::size_t i = 0;
  // What the last block writes beyond its own bytes is still to come.
  for (; i + lanes <= eights && (eights - i - lanes) * kWidth >= kBlock - 2 * kWidth; i += lanes) {
    const auto word =
        hn::And(hn::BitCast(d, hn::LoadU(db, codes + 8 * i)), hn::Set(d, lower_bits<kBits, 8>()));
    const auto packed = hn::BitCast(db, Gather<kBits, 8>(word));
    StoreBlocks(db, hn::TableLookupBytesOr0(packed, together), 2 * kWidth, bytes + i * kWidth);
  }
  return i;
}

template <int kBits>
HWY_INLINE std::size_t UnpackOdd(const std::uint8_t* bytes, std::size_t eights,
                                 std::uint8_t* codes) {
  const D d;
  const hn::Repartition<std::uint8_t, D> db;
  const std::size_t lanes = hn::Lanes(d);
  const auto apart = TogetherOrApart<kBits>(false);
  constexpr std::size_t kWidth = kBits;
  std::size_t i = 0;
  for (; i + lanes <= eights && (eights - i - lanes) * kWidth >= kBlock - 2 * kWidth; i += lanes) {
    const auto packed = LoadBlocks(db, 2 * kWidth, bytes + i * kWidth);
    const auto word = hn::BitCast(d, hn::TableLookupBytesOr0(packed, apart));
    hn::StoreU(hn::BitCast(db, Scatter<kBits, 8>(word)), db, codes + 8 * i);
  }
  return i;
}

// Codes of 17 to 25 bits in words. Four of them are 16 bytes or less, and those of every other
// block of a vector begin within a byte, if their bits are odd, 4 bits after its beginning.
constexpr int kLeastWide = 17, kMostWide = 25;

#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86  // others lack blocks, or shifts of their own a lane
std::size_t PackWide(const std::uint32_t* codes, std::size_t count, int bits, std::uint8_t* bytes) {
  const D d;
  const hn::Repartition<std::uint8_t, D> db;
  const hn::Repartition<std::uint32_t, D> dw;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  const auto width = static_cast<std::size_t>(bits);
  const auto wide = static_cast<std::uint64_t>(bits);
  const std::size_t to_odd = 4 * width / 8;
  HWY_ALIGN std::uint64_t own_left[8], next_left[8], right[8], carried[8];
  for (std::size_t lane = 0; lane < 8; ++lane) {
    const std::uint64_t begin = lane % 4 < 2 ? 0 : 4 * wide % 8;
    const bool lower = lane % 2 == 0;
    constexpr std::uint64_t kNone = 64;  // shifts everything out
    own_left[lane] = lower ? begin : kNone;
    next_left[lane] = lower ? 2 * wide + begin : kNone;
    right[lane] = lower ? kNone : 64 - 2 * wide - begin;
    carried[lane] = lane % 4 == 2 && begin != 0 ? 0xF : 0;
  }
  const auto v_own = hn::Load(d, own_left), v_next = hn::Load(d, next_left),
             v_right = hn::Load(d, right), v_carried = hn::Load(d, carried);
  const std::uint64_t mask = (std::uint64_t{1} << wide) - 1;
  const auto lower_mask = hn::Set(d, mask);
  const auto upper_mask = hn::Set(d, mask << wide);
  const std::size_t at_once = 2 * lanes;
  // Where the even block's last half byte lies: of its upper lane, the bits from here on.
  const int half_byte = static_cast<int>(8 * to_odd) - 64;
  const std::size_t beyond = (at_once * width + 7) / 8 + kBlock;
  for (; i + at_once <= count && (count - i) * width / 8 >= beyond; i += at_once) {
    const auto two = hn::BitCast(d, hn::LoadU(dw, codes + i));
    const auto pair =
        hn::Or(hn::And(two, lower_mask), hn::And(hn::ShiftRightSame(two, 32 - bits), upper_mask));
    const auto other = hn::Shuffle01(pair);
    const auto four =
        hn::Or(hn::Or(hn::Shl(pair, v_own), hn::Shl(other, v_next)), hn::Shr(pair, v_right));
    const auto from_even = hn::And(
        hn::ShiftRightSame(hn::Shuffle01(hn::SwapAdjacentBlocks(four)), half_byte), v_carried);
    const auto packed = hn::BitCast(db, hn::Or(four, from_even));
    std::uint8_t* const to = bytes + i * width / 8;
    const auto two_blocks = [&](auto half_d, auto v, std::uint8_t* at) HWY_ATTR {
      const hn::Half<decltype(half_d)> block;
      hn::StoreU(hn::LowerHalf(block, v), block, at);
      hn::StoreU(hn::UpperHalf(block, v), block, at + to_odd);
    };
    if constexpr (hn::MaxLanes(D()) == 8) {
      const hn::Half<decltype(db)> half;
      two_blocks(half, hn::LowerHalf(half, packed), to);
      two_blocks(half, hn::UpperHalf(half, packed), to + width);
    } else {
      two_blocks(db, packed, to);
    }
  }
  return i;
}

std::size_t UnpackWide(const std::uint8_t* bytes, std::size_t count, int bits,
                       std::uint32_t* codes) {
  const hn::ScalableTag<std::uint32_t> d;
  const hn::Repartition<std::uint8_t, decltype(d)> db;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  const auto width = static_cast<std::size_t>(bits);
  const std::size_t to_odd = 4 * width / 8;
  HWY_ALIGN std::uint8_t from[HWY_MAX_BYTES];
  HWY_ALIGN std::uint32_t down[HWY_MAX_BYTES / 4];
  for (std::size_t code = 0; code < lanes; ++code) {
    const std::size_t at = (code % 8 < 4 ? 0 : 4 * width % 8) + code % 4 * width;
    down[code] = static_cast<std::uint32_t>(at % 8);
    for (std::size_t byte = 0; byte < 4; ++byte) {
      from[4 * code + byte] = static_cast<std::uint8_t>(at / 8 + byte);
    }
  }
  const auto v_from = hn::Load(db, from);
  const auto v_down = hn::Load(d, down);
  const auto mask = hn::Set(d, (std::uint32_t{1} << bits) - 1);
  const std::size_t beyond = (lanes * width + 7) / 8 + kBlock;
  const auto two_blocks = [&](auto two_d, const std::uint8_t* at) HWY_ATTR {
    const hn::Half<decltype(two_d)> block;
    return hn::Combine(two_d, hn::LoadU(block, at + to_odd), hn::LoadU(block, at));
  };
  for (; i + lanes <= count && (count - i) * width / 8 >= beyond; i += lanes) {
    const std::uint8_t* const at = bytes + i * width / 8;
    const auto packed = [&] HWY_ATTR {
      if constexpr (hn::MaxLanes(decltype(d)()) == 16) {
        const hn::Half<decltype(db)> half;
        return hn::Combine(db, two_blocks(half, at + width), two_blocks(half, at));
      } else {
        return two_blocks(db, at);
      }
    }();
    const auto words = hn::BitCast(d, hn::TableLookupBytes(packed, v_from));
    hn::StoreU(hn::And(hn::Shr(words, v_down), mask), d, codes + i);
  }
  return i;
}
#define ZEROPOINT_PACKS_WIDE 1
#endif
#endif

// How many eights of codes went by vectors.
std::size_t PackEights(const std::uint8_t* codes, std::size_t eights, int bits,
                       std::uint8_t* bytes) {
  if (hn::Lanes(D()) == 1) return 0;
  if (bits == 1) return PackIn<1, std::uint8_t>(codes, eights, bytes);
  if (bits == 2) return PackIn<2, std::uint16_t>(codes, eights, bytes);
  if (bits == 4) return PackIn<4, std::uint32_t>(codes, eights, bytes);
#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
  if (bits == 3) return PackOdd<3>(codes, eights, bytes);
  if (bits == 5) return PackOdd<5>(codes, eights, bytes);
  if (bits == 6) return PackOdd<6>(codes, eights, bytes);
  if (bits == 7) return PackOdd<7>(codes, eights, bytes);
#endif
  return 0;
}
std::size_t UnpackEights(const std::uint8_t* bytes, std::size_t eights, int bits,
                         std::uint8_t* codes) {
  if (hn::Lanes(D()) == 1) return 0;
  if (bits == 1) return UnpackIn<1, std::uint8_t>(bytes, eights, codes);
  if (bits == 2) return UnpackIn<2, std::uint16_t>(bytes, eights, codes);
  if (bits == 4) return UnpackIn<4, std::uint32_t>(bytes, eights, codes);
#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
  if (bits == 3) return UnpackOdd<3>(bytes, eights, codes);
  if (bits == 5) return UnpackOdd<5>(bytes, eights, codes);
  if (bits == 6) return UnpackOdd<6>(bytes, eights, codes);
  if (bits == 7) return UnpackOdd<7>(bytes, eights, codes);
#endif
  return 0;
}

// How many codes, a multiple of 8.
std::size_t PackWords([[maybe_unused]] const std::uint32_t* codes,
                      [[maybe_unused]] std::size_t count, [[maybe_unused]] int bits,
                      [[maybe_unused]] std::uint8_t* bytes) {
#if defined(ZEROPOINT_PACKS_WIDE)
  if (bits >= kLeastWide && bits <= kMostWide) return PackWide(codes, count, bits, bytes);
#endif
  return 0;
}
std::size_t UnpackWords([[maybe_unused]] const std::uint8_t* bytes,
                        [[maybe_unused]] std::size_t count, [[maybe_unused]] int bits,
                        [[maybe_unused]] std::uint32_t* codes) {
#if defined(ZEROPOINT_PACKS_WIDE)
  if (bits >= kLeastWide && bits <= kMostWide) return UnpackWide(bytes, count, bits, codes);
#endif
  return 0;
}

#undef ZEROPOINT_PACKS_WIDE

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(PackEights);
HWY_EXPORT(UnpackEights);
HWY_EXPORT(PackWords);
HWY_EXPORT(UnpackWords);

namespace {

// Codes to a piece: whole bytes at any width.
constexpr std::size_t kGrain = 1 << 16;
constexpr bool kIsLittle = std::endian::native == std::endian::little;

void check_bits(int bits) {
  if (bits < 1 || bits > 32) {
    throw InputError(fmt::format("packed codes: expected 1 to 32 bits a code, found {}", bits));
  }
}

template <class Code>
void check_pack(std::size_t codes, int bits, std::size_t bytes) {
  check_bits(bits);
  if (bits > static_cast<int>(8 * sizeof(Code))) {
    throw InputError(
        fmt::format("packed codes: expected codes of a type that holds {} bits, found {}", bits,
                    8 * sizeof(Code)));
  }
  if (bytes != packed_bytes(codes, bits)) {
    throw InputError(
        fmt::format("packed codes: expected {} bytes for {} codes of {} bits, found {}",
                    packed_bytes(codes, bits), codes, bits, bytes));
  }
}

// Words of little-endian memory, on any machine.
template <class T>
std::uint64_t load_little(const T* from, std::size_t count) {
  std::uint64_t word = 0;
  if constexpr (kIsLittle) {
    std::memcpy(&word, from, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) word |= std::uint64_t{from[i]} << (8 * sizeof(T) * i);
  }
  return word;
}

template <class T>
void store_little(std::uint64_t word, T* to, std::size_t count) {
  if constexpr (kIsLittle) {
    std::memcpy(to, &word, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<T>(word >> (8 * sizeof(T) * i));
  }
}

// Moves the kBits-bit codes at every kWidth bits of a word to its bottom: two codes to each double
// width, then four, then eight.
template <int kBits, int kWidth>
std::uint64_t gather(std::uint64_t word) {
  if constexpr (kWidth == 64) {
    return word;
  } else {
    constexpr std::uint64_t kEven = lower_bits<kBits, 2 * kWidth>();
    word = (word & kEven) | (word >> (kWidth - kBits) & kEven << kBits);
    return gather<2 * kBits, 2 * kWidth>(word);
  }
}

// The opposite.
template <int kBits, int kWidth>
std::uint64_t scatter(std::uint64_t word) {
  if constexpr (kWidth == 64) {
    return word;
  } else {
    word = scatter<2 * kBits, 2 * kWidth>(word);
    constexpr std::uint64_t kEven = lower_bits<kBits, 2 * kWidth>();
    return (word & kEven) | (word << (kWidth - kBits) & kEven << kWidth);
  }
}

// A group's bytes: by a load of 8 where that many are left, as loads of odd lengths are slow.
template <int kBits>
std::uint64_t load_group(const std::uint8_t* bytes, std::size_t group, std::size_t groups) {
  const std::uint8_t* const from = bytes + group * kBits;
  return (groups - group) * kBits >= 8 ? load_little(from, 8) & lower_bits<8 * kBits, 64>()
                                       : load_little(from, kBits);
}

// Eight codes are kBits bytes.
template <int kBits>
void pack_eights(const std::uint8_t* codes, std::size_t eights, std::uint8_t* bytes) {
  const std::size_t done =
      kIsLittle ? HWY_DYNAMIC_DISPATCH(PackEights)(codes, eights, kBits, bytes) : 0;
  for (std::size_t i = done; i < eights; ++i) {
    const std::uint64_t word = load_little(codes + 8 * i, 8) & lower_bits<kBits, 8>();
    store_little(gather<kBits, 8>(word), bytes + i * kBits, kBits);
  }
}

template <int kBits>
void unpack_eights(const std::uint8_t* bytes, std::size_t eights, std::uint8_t* codes) {
  const std::size_t done =
      kIsLittle ? HWY_DYNAMIC_DISPATCH(UnpackEights)(bytes, eights, kBits, codes) : 0;
  for (std::size_t i = done; i < eights; ++i) {
    store_little(scatter<kBits, 8>(load_group<kBits>(bytes, i, eights)), codes + 8 * i, 8);
  }
}

// Four codes may end within a byte, so that the second four are shifted to the end of the first.
template <int kBits>
void pack_eights(const std::uint16_t* codes, std::size_t eights, std::uint8_t* bytes) {
  constexpr int kFour = 4 * kBits;
  for (std::size_t i = 0; i < eights; ++i) {
    const auto four = [&](std::size_t at) {
      return gather<kBits, 16>(load_little(codes + 8 * i + at, 4) & lower_bits<kBits, 16>());
    };
    const std::uint64_t low = four(0), high = four(4);
    std::uint8_t* const to = bytes + i * kBits;
    if constexpr (kBits <= 8) {
      store_little(low | high << kFour, to, kBits);
    } else {
      store_little(kBits == 16 ? low : low | high << kFour % 64, to, 8);
      store_little(kBits == 16 ? high : high >> (64 - kFour), to + 8, kBits - 8);
    }
  }
}

template <int kBits>
void unpack_eights(const std::uint8_t* bytes, std::size_t eights, std::uint16_t* codes) {
  constexpr int kFour = 4 * kBits;
  constexpr std::uint64_t kMask = lower_bits<kFour, 64>();
  for (std::size_t i = 0; i < eights; ++i) {
    const std::uint8_t* const from = bytes + i * kBits;
    std::uint64_t low = 0, high = 0;
    if constexpr (kBits <= 8) {
      low = load_group<kBits>(bytes, i, eights);
      high = low >> kFour;
    } else {
      low = load_little(from, 8);
      high = load_little(from + 8, kBits - 8);
      if constexpr (kBits < 16) high = high << (64 - kFour) | low >> kFour;
    }
    store_little(scatter<kBits, 16>(low & kMask), codes + 8 * i, 4);
    store_little(scatter<kBits, 16>(high & kMask), codes + 8 * i + 4, 4);
  }
}

// Calls body with the width as a compile-time constant.
template <int kMost, int kBits = 1, class Body>
void with_width(int bits, const Body& body) {
  if (bits == kBits) {
    body(std::integral_constant<int, kBits>{});
  } else if constexpr (kBits < kMost) {
    with_width<kMost, kBits + 1>(bits, body);
  }
}

// Codes of up to 16 bits: eights, and what is left of them by way of an eight.
template <class Code>
void pack_narrow(const Code* codes, std::size_t count, int bits, std::uint8_t* bytes) {
  with_width<8 * sizeof(Code)>(bits, [&](auto width) {
    constexpr int kBits = width;
    const std::size_t eights = count / 8;
    pack_eights<kBits>(codes, eights, bytes);
    if (count % 8 == 0) return;
    std::uint8_t packed[16] = {};
    Code rest[8] = {};
    std::copy(codes + 8 * eights, codes + count, rest);
    pack_eights<kBits>(rest, 1, packed);
    std::copy_n(packed, packed_bytes(count % 8, kBits),
                bytes + eights * static_cast<std::size_t>(kBits));
  });
}

template <class Code>
void unpack_narrow(const std::uint8_t* bytes, std::size_t count, int bits, Code* codes) {
  with_width<8 * sizeof(Code)>(bits, [&](auto width) {
    constexpr int kBits = width;
    const std::size_t eights = count / 8;
    unpack_eights<kBits>(bytes, eights, codes);
    if (count % 8 == 0) return;
    std::uint8_t packed[16] = {};
    Code rest[8] = {};
    std::copy_n(bytes + eights * static_cast<std::size_t>(kBits), packed_bytes(count % 8, kBits),
                packed);
    unpack_eights<kBits>(packed, 1, rest);
    std::copy_n(rest, count % 8, codes + 8 * eights);
  });
}

// Pieces of eights are whole bytes.
template <class Code>
void pack_all(std::span<const Code> codes, int bits, std::span<std::uint8_t> bytes) {
  check_pack<Code>(codes.size(), bits, bytes.size());
  parallel_for(codes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    pack_run(codes.data() + begin, end - begin, bits,
             bytes.data() + begin / 8 * static_cast<std::size_t>(bits));
  });
}

template <class Code>
void unpack_all(std::span<const std::uint8_t> bytes, int bits, std::span<Code> codes) {
  check_pack<Code>(codes.size(), bits, bytes.size());
  parallel_for(codes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    unpack_run(bytes.data() + begin / 8 * static_cast<std::size_t>(bits), end - begin, bits,
               codes.data() + begin);
  });
}

}  // namespace

std::size_t packed_bytes(std::size_t count, int bits) {
  check_bits(bits);
  // Eight codes are `bits` bytes; counted so that no product of large counts wraps.
  const auto width = static_cast<std::size_t>(bits);
  if (count / 8 > std::numeric_limits<std::size_t>::max() / width - 1) {
    throw InputError(fmt::format("packed codes: expected fewer codes, found {}", count));
  }
  return count / 8 * width + (count % 8 * width + 7) / 8;
}

void pack_run(const std::uint8_t* codes, std::size_t count, int bits, std::uint8_t* bytes) {
  pack_narrow(codes, count, bits, bytes);
}
void pack_run(const std::uint16_t* codes, std::size_t count, int bits, std::uint8_t* bytes) {
  pack_narrow(codes, count, bits, bytes);
}
void unpack_run(const std::uint8_t* bytes, std::size_t count, int bits, std::uint8_t* codes) {
  unpack_narrow(bytes, count, bits, codes);
}
void unpack_run(const std::uint8_t* bytes, std::size_t count, int bits, std::uint16_t* codes) {
  unpack_narrow(bytes, count, bits, codes);
}

// Wider codes beside what vectors do: one after the other, a byte when it is full.
void pack_run(const std::uint32_t* codes, std::size_t count, int bits, std::uint8_t* bytes) {
  choose_vector_target();
  const std::size_t done =
      kIsLittle ? HWY_DYNAMIC_DISPATCH(PackWords)(codes, count, bits, bytes) : 0;
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t waiting = 0;
  int held = 0;
  std::uint8_t* to = bytes + done / 8 * static_cast<std::size_t>(bits);
  for (std::size_t i = done; i < count; ++i) {
    waiting |= (codes[i] & mask) << held;
    for (held += bits; held >= 8; held -= 8, waiting >>= 8) {
      *to++ = static_cast<std::uint8_t>(waiting);
    }
  }
  if (held > 0) *to = static_cast<std::uint8_t>(waiting);
}

void unpack_run(const std::uint8_t* bytes, std::size_t count, int bits, std::uint32_t* codes) {
  choose_vector_target();
  const std::size_t done =
      kIsLittle ? HWY_DYNAMIC_DISPATCH(UnpackWords)(bytes, count, bits, codes) : 0;
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t waiting = 0;
  int held = 0;
  const std::uint8_t* from = bytes + done / 8 * static_cast<std::size_t>(bits);
  for (std::size_t i = done; i < count; ++i) {
    for (; held < bits; held += 8) waiting |= std::uint64_t{*from++} << held;
    codes[i] = static_cast<std::uint32_t>(waiting & mask);
    waiting >>= bits;
    held -= bits;
  }
}

#define ZEROPOINT_FOR_CODE(Code)                                                      \
  void pack(std::span<const Code> codes, int bits, std::span<std::uint8_t> bytes) {   \
    pack_all(codes, bits, bytes);                                                     \
  }                                                                                   \
  void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<Code> codes) { \
    unpack_all(bytes, bits, codes);                                                   \
  }
ZEROPOINT_FOR_CODE(std::uint8_t)
ZEROPOINT_FOR_CODE(std::uint16_t)
ZEROPOINT_FOR_CODE(std::uint32_t)
#undef ZEROPOINT_FOR_CODE

}  // namespace zeropoint
#endif
