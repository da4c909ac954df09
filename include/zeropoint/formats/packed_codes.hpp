#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace zeropoint {

/// Codes of 1 to 32 bits without gaps between them, least significant bits first: code i takes the
/// bits from i·bits on. What is left of the last byte is 0.

/// Bytes that `count` codes of `bits` take.
constexpr std::size_t packed_bytes(std::size_t count, int bits) {
  const auto wide = static_cast<std::size_t>(bits);
  return count / 8 * wide + (count % 8 * wide + 7) / 8;  // no overflow on the way
}

/// A code type is uint8_t, uint16_t or uint32_t. Bits of a code above `bits` are dropped. Throws
/// InputError unless `packed` has packed_bytes(codes.size(), bits) and a code type holds `bits`.
template <class Code>
void pack(std::span<const Code> codes, int bits, std::span<std::uint8_t> packed);
template <class Code>
void unpack(std::span<const std::uint8_t> packed, int bits, std::span<Code> codes);

}  // namespace zeropoint
