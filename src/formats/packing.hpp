#pragma once
#include <cstddef>
#include <cstdint>

namespace zeropoint {

/// pack() and unpack() of codes that begin with a byte, on the thread that calls and without
/// checks. Not more than packed_bytes() bytes are touched.
void pack_run(const std::uint8_t* codes, std::size_t count, int bits, std::uint8_t* bytes);
void pack_run(const std::uint16_t* codes, std::size_t count, int bits, std::uint8_t* bytes);
void pack_run(const std::uint32_t* codes, std::size_t count, int bits, std::uint8_t* bytes);
void unpack_run(const std::uint8_t* bytes, std::size_t count, int bits, std::uint8_t* codes);
void unpack_run(const std::uint8_t* bytes, std::size_t count, int bits, std::uint16_t* codes);
void unpack_run(const std::uint8_t* bytes, std::size_t count, int bits, std::uint32_t* codes);

}  // namespace zeropoint
