#include "zeropoint/formats/packed_codes.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

// A multiple of 8 codes, so that pieces begin at a byte.
constexpr std::size_t kGrain = 1 << 16;

template <class Code>
void check_spans(std::size_t codes, int bits, std::size_t packed) {
  if (bits < 1 || bits > std::numeric_limits<Code>::digits) {
    throw InputError(fmt::format("packed codes: expected 1 to {} bits, found {}",
                                 std::numeric_limits<Code>::digits, bits));
  }
  if (packed != packed_bytes(codes, bits)) {
    throw InputError(
        fmt::format("packed codes: expected {} bytes for {} codes of {} bits, found {}",
                    packed_bytes(codes, bits), codes, bits, packed));
  }
}

// Widths that divide a byte, the compiler's to unroll.
template <int kBits, class Code>
void pack_even(const Code* codes, std::size_t count, std::uint8_t* packed) {
  constexpr std::size_t kPerByte = 8 / kBits;
  constexpr unsigned kMask = (1U << kBits) - 1;
  std::size_t i = 0;
  for (; i + kPerByte <= count; i += kPerByte) {
    unsigned byte = 0;
    for (std::size_t j = 0; j < kPerByte; ++j) byte |= (codes[i + j] & kMask) << (kBits * j);
    packed[i / kPerByte] = static_cast<std::uint8_t>(byte);
  }
  unsigned byte = 0;
  for (std::size_t j = 0; i + j < count; ++j) byte |= (codes[i + j] & kMask) << (kBits * j);
  if (i < count) packed[i / kPerByte] = static_cast<std::uint8_t>(byte);
}

template <int kBits, class Code>
void unpack_even(const std::uint8_t* packed, Code* codes, std::size_t count) {
  constexpr std::size_t kPerByte = 8 / kBits;
  constexpr unsigned kMask = (1U << kBits) - 1;
  const std::size_t whole = count / kPerByte;
  for (std::size_t i = 0; i < whole; ++i) {
    for (std::size_t j = 0; j < kPerByte; ++j) {
      codes[i * kPerByte + j] = static_cast<Code>((packed[i] >> (kBits * j)) & kMask);
    }
  }
  for (std::size_t i = whole * kPerByte; i < count; ++i) {
    codes[i] = static_cast<Code>((packed[i / kPerByte] >> (kBits * (i % kPerByte))) & kMask);
  }
}

template <class Code>
void pack_any(const Code* codes, std::size_t count, int bits, std::uint8_t* packed) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t waiting = 0;
  int held = 0;
  for (std::size_t i = 0; i < count; ++i) {
    waiting |= (codes[i] & mask) << held;
    for (held += bits; held >= 8; held -= 8, waiting >>= 8) {
      *packed++ = static_cast<std::uint8_t>(waiting);
    }
  }
  if (held > 0) *packed = static_cast<std::uint8_t>(waiting);
}

template <class Code>
void unpack_any(const std::uint8_t* packed, int bits, Code* codes, std::size_t count) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t waiting = 0;
  int held = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (; held < bits; held += 8) waiting |= std::uint64_t{*packed++} << held;
    codes[i] = static_cast<Code>(waiting & mask);
    waiting >>= bits;
    held -= bits;
  }
}

}  // namespace

template <class Code>
void pack(std::span<const Code> codes, int bits, std::span<std::uint8_t> packed) {
  check_spans<Code>(codes.size(), bits, packed.size());
  parallel_for(codes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    const auto* const from = codes.data() + begin;
    auto* const to = packed.data() + packed_bytes(begin, bits);
    const auto count = end - begin;
    switch (bits) {
      case 1:
        return pack_even<1>(from, count, to);
      case 2:
        return pack_even<2>(from, count, to);
      case 4:
        return pack_even<4>(from, count, to);
      case 8:
        return pack_even<8>(from, count, to);
      default:
        return pack_any(from, count, bits, to);
    }
  });
}

template <class Code>
void unpack(std::span<const std::uint8_t> packed, int bits, std::span<Code> codes) {
  check_spans<Code>(codes.size(), bits, packed.size());
  parallel_for(codes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    const auto* const from = packed.data() + packed_bytes(begin, bits);
    auto* const to = codes.data() + begin;
    const auto count = end - begin;
    switch (bits) {
      case 1:
        return unpack_even<1>(from, to, count);
      case 2:
        return unpack_even<2>(from, to, count);
      case 4:
        return unpack_even<4>(from, to, count);
      case 8:
        return unpack_even<8>(from, to, count);
      default:
        return unpack_any(from, bits, to, count);
    }
  });
}

#define ZEROPOINT_INSTANTIATE(Code)                                              \
  template void pack<Code>(std::span<const Code>, int, std::span<std::uint8_t>); \
  template void unpack<Code>(std::span<const std::uint8_t>, int, std::span<Code>);
ZEROPOINT_INSTANTIATE(std::uint8_t)
ZEROPOINT_INSTANTIATE(std::uint16_t)
ZEROPOINT_INSTANTIATE(std::uint32_t)
#undef ZEROPOINT_INSTANTIATE

}  // namespace zeropoint
