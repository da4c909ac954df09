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

#include "formats/bit_fields.hpp"

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

// Eights of codes are whole lanes at these widths, and none at others.
std::size_t PackEights(const std::uint8_t* codes, std::size_t eights, int bits,
                       std::uint8_t* bytes) {
  if (hn::Lanes(D()) == 1) return 0;
  if (bits == 1) return PackIn<1, std::uint8_t>(codes, eights, bytes);
  if (bits == 2) return PackIn<2, std::uint16_t>(codes, eights, bytes);
  return bits == 4 ? PackIn<4, std::uint32_t>(codes, eights, bytes) : 0;
}
std::size_t UnpackEights(const std::uint8_t* bytes, std::size_t eights, int bits,
                         std::uint8_t* codes) {
  if (hn::Lanes(D()) == 1) return 0;
  if (bits == 1) return UnpackIn<1, std::uint8_t>(bytes, eights, codes);
  if (bits == 2) return UnpackIn<2, std::uint16_t>(bytes, eights, codes);
  return bits == 4 ? UnpackIn<4, std::uint32_t>(bytes, eights, codes) : 0;
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(PackEights);
HWY_EXPORT(UnpackEights);

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

template <class Code>
void pack_all(std::span<const Code> codes, int bits, std::span<std::uint8_t> bytes) {
  check_pack<Code>(codes.size(), bits, bytes.size());
  with_width<8 * sizeof(Code)>(bits, [&](auto width) {
    constexpr int kBits = width;
    constexpr auto kWidth = static_cast<std::size_t>(kBits);
    parallel_for(codes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      const std::size_t eights = (end - begin) / 8;
      pack_eights<kBits>(codes.data() + begin, eights, bytes.data() + begin / 8 * kWidth);
      const std::size_t done = begin + 8 * eights;
      if (done == end) return;
      std::uint8_t packed[16] = {};
      Code rest[8] = {};
      std::copy(codes.begin() + static_cast<std::ptrdiff_t>(done),
                codes.begin() + static_cast<std::ptrdiff_t>(end), rest);
      pack_eights<kBits>(rest, 1, packed);
      std::copy_n(packed, packed_bytes(end - done, kBits), bytes.data() + done / 8 * kWidth);
    });
  });
}

template <class Code>
void unpack_all(std::span<const std::uint8_t> bytes, int bits, std::span<Code> codes) {
  check_pack<Code>(codes.size(), bits, bytes.size());
  with_width<8 * sizeof(Code)>(bits, [&](auto width) {
    constexpr int kBits = width;
    constexpr auto kWidth = static_cast<std::size_t>(kBits);
    parallel_for(codes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      const std::size_t eights = (end - begin) / 8;
      unpack_eights<kBits>(bytes.data() + begin / 8 * kWidth, eights, codes.data() + begin);
      const std::size_t done = begin + 8 * eights;
      if (done == end) return;
      std::uint8_t packed[16] = {};
      Code rest[8] = {};
      std::copy_n(bytes.data() + done / 8 * kWidth, packed_bytes(end - done, kBits), packed);
      unpack_eights<kBits>(packed, 1, rest);
      std::copy_n(rest, end - done, codes.data() + done);
    });
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

void pack(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> bytes) {
  pack_all(codes, bits, bytes);
}

void pack(std::span<const std::uint16_t> codes, int bits, std::span<std::uint8_t> bytes) {
  pack_all(codes, bits, bytes);
}

void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<std::uint8_t> codes) {
  unpack_all(bytes, bits, codes);
}

void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<std::uint16_t> codes) {
  unpack_all(bytes, bits, codes);
}

// Wider codes are few and far between: one after the other, a byte when it is full.
void pack(std::span<const std::uint32_t> codes, int bits, std::span<std::uint8_t> bytes) {
  check_pack<std::uint32_t>(codes.size(), bits, bytes.size());
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t waiting = 0;
  int held = 0;
  std::uint8_t* to = bytes.data();
  for (const std::uint32_t code : codes) {
    waiting |= (code & mask) << held;
    for (held += bits; held >= 8; held -= 8, waiting >>= 8) {
      *to++ = static_cast<std::uint8_t>(waiting);
    }
  }
  if (held > 0) *to = static_cast<std::uint8_t>(waiting);
}

void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<std::uint32_t> codes) {
  check_pack<std::uint32_t>(codes.size(), bits, bytes.size());
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t waiting = 0;
  int held = 0;
  const std::uint8_t* from = bytes.data();
  for (std::uint32_t& code : codes) {
    for (; held < bits; held += 8) waiting |= std::uint64_t{*from++} << held;
    code = static_cast<std::uint32_t>(waiting & mask);
    waiting >>= bits;
    held -= bits;
  }
}

}  // namespace zeropoint
#endif
