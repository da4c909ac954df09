#pragma once
#include <cstdint>
#include <span>

#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {

/// codes[i] = encode(format, x[i], overflow, rounding), code for code, by vector code on
/// `threads()` threads. Formats of at most 8 bits in bytes, of at most 16 in either; their bits are
/// the lowest. Formats whose bias is above 127 (9 exponent bits or more) go one by one.
/// Throws InputError if the sizes differ or the codes do not fit.
void encode(const FloatFormat& format, std::span<const float> x, std::span<std::uint8_t> codes,
            Overflow overflow = Overflow::special, Rounding rounding = Rounding::half_even);
void encode(const FloatFormat& format, std::span<const float> x, std::span<std::uint16_t> codes,
            Overflow overflow = Overflow::special, Rounding rounding = Rounding::half_even);

/// x[i] = decode(format, codes[i]).value as a float, NaNs quiet; bits above the format's are
/// ignored. Every code of a format of at most 8 exponent bits is exactly a float. Throws as encode.
void decode(const FloatFormat& format, std::span<const std::uint8_t> codes, std::span<float> x);
void decode(const FloatFormat& format, std::span<const std::uint16_t> codes, std::span<float> x);

}  // namespace zeropoint
