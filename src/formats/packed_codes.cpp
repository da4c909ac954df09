#include "zeropoint/formats/packed_codes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

// Codes to a piece: whole bytes at any width.
constexpr std::size_t kGrain = 1 << 16;

void check_bits(int bits) {
  if (bits < 1 || bits > 16) {
    throw InputError(fmt::format("packed codes: expected 1 to 16 bits a code, found {}", bits));
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

std::uint64_t load_little(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, bytes, count);
  } else {
    for (std::size_t i = 0; i < count; ++i) word |= std::uint64_t{bytes[i]} << (8 * i);
  }
  return word;
}

void store_little(std::uint64_t word, std::uint8_t* bytes, std::size_t count) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(bytes, &word, count);
  } else {
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(word >> (8 * i));
  }
}

// Eight codes are kBits bytes. With the width known, compilers make vector code of these loops.
template <int kBits, class Code>
void pack_eights(const Code* __restrict codes, std::size_t eights, std::uint8_t* __restrict bytes) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << kBits) - 1;
  for (std::size_t i = 0; i < eights; ++i) {
    std::uint64_t low = 0, high = 0;
    for (int j = 0; j < 4; ++j) {
      low |= (codes[8 * i + static_cast<std::size_t>(j)] & kMask) << (kBits * j);
      high |= (codes[8 * i + static_cast<std::size_t>(j) + 4] & kMask) << (kBits * j);
    }
    // Four codes are at most 64 bits, but half a byte more than whole bytes at odd widths.
    if constexpr (kBits <= 8) {
      store_little(low | high << (4 * kBits), bytes + i * kBits, kBits);
    } else {
      const std::uint64_t first = low | (kBits == 16 ? 0 : high << (4 * kBits % 64));
      store_little(first, bytes + i * kBits, 8);
      store_little(kBits == 16 ? high : high >> (64 - 4 * kBits % 64), bytes + i * kBits + 8,
                   kBits - 8);
    }
  }
}

template <int kBits, class Code>
void unpack_eights(const std::uint8_t* __restrict bytes, std::size_t eights,
                   Code* __restrict codes) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << kBits) - 1;
  for (std::size_t i = 0; i < eights; ++i) {
    std::uint64_t low = 0, high = 0;
    if constexpr (kBits <= 8) {
      low = load_little(bytes + i * kBits, kBits);
      high = low >> (4 * kBits);
    } else {
      low = load_little(bytes + i * kBits, 8);
      high = load_little(bytes + i * kBits + 8, kBits - 8);
      if constexpr (kBits < 16) high = high << (64 - 4 * kBits) | low >> (4 * kBits);
    }
    for (int j = 0; j < 4; ++j) {
      codes[8 * i + static_cast<std::size_t>(j)] = static_cast<Code>(low >> (kBits * j) & kMask);
      codes[8 * i + static_cast<std::size_t>(j) + 4] =
          static_cast<Code>(high >> (kBits * j) & kMask);
    }
  }
}

// Calls body with the width as a compile-time constant.
template <int kBits = 1, class Body>
void with_width(int bits, const Body& body) {
  if (bits == kBits) {
    body(std::integral_constant<int, kBits>{});
  } else if constexpr (kBits < 16) {
    with_width<kBits + 1>(bits, body);
  }
}

template <class Code>
void pack_all(std::span<const Code> codes, int bits, std::span<std::uint8_t> bytes) {
  check_pack<Code>(codes.size(), bits, bytes.size());
  with_width(bits, [&](auto width) {
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
  with_width(bits, [&](auto width) {
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

}  // namespace zeropoint
