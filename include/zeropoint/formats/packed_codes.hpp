#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace zeropoint {

/// The bytes that `count` codes of `bits` bits take without gaps: ceil(count · bits / 8). Throws
/// InputError unless 1 ≤ bits ≤ 32.
std::size_t packed_bytes(std::size_t count, int bits);

/// Stores codes without gaps, least significant bits first: code i is bits i·b … i·b + b − 1 of
/// `bytes`, whose bit j is bit j mod 8 of byte j / 8. 4-bit codes are so as in ONNX, 16-bit codes
/// little-endian. Bits of a code above `bits` are ignored (so that signed codes may be cast);
/// what is left of the last byte is 0. Throws InputError unless `bytes` has packed_bytes() bytes
/// and, for codes in bytes, bits ≤ 8.
void pack(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> bytes);
void pack(std::span<const std::uint16_t> codes, int bits, std::span<std::uint8_t> bytes);
void pack(std::span<const std::uint32_t> codes, int bits, std::span<std::uint8_t> bytes);

/// The opposite: codes.size() codes, their upper bits 0.
void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<std::uint8_t> codes);
void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<std::uint16_t> codes);
void unpack(std::span<const std::uint8_t> bytes, int bits, std::span<std::uint32_t> codes);

}  // namespace zeropoint
