#pragma once
#include <bit>
#include <cstdint>

#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {

/// Bit arithmetic on float32 of the vector code's formats, of at most 16 bits, with a bias below
/// 127. The definitions, encode() and decode(), say the same of all formats; tests compare.
template <int kExponentBits, int kFractionBits, FloatSpecials kSpecials>
struct FloatBits {
  static constexpr FloatFormat kFormat{"", "", kExponentBits, kFractionBits, kSpecials};
  static constexpr int kBits = kFormat.bits();
  static constexpr int kFraction = kFractionBits;
  static constexpr int kDrop = 23 - kFractionBits;
  static constexpr std::uint32_t kRebias = static_cast<std::uint32_t>(127 - kFormat.bias());
  static constexpr std::uint32_t kLargestCode = kFormat.largest_code();
  static constexpr std::uint32_t kLargestBits = (kLargestCode << kDrop) + (kRebias << 23);
  /// The power of two of the largest number.
  static constexpr int kPower = static_cast<int>(kLargestCode >> kFractionBits) - kFormat.bias();
  static constexpr std::uint32_t kSmallestNormalBits = (kRebias + 1) << 23;
  static constexpr float kSmallest = std::bit_cast<float>((kRebias + 1 - kFractionBits) << 23);

  /// The number of a code without its sign, no NaN or infinity.
  static float number(std::uint32_t magnitude) {
    if (magnitude >> kFractionBits == 0) return static_cast<float>(magnitude) * kSmallest;
    return std::bit_cast<float>((magnitude << kDrop) + (kRebias << 23));
  }
};

using Fp16Bits = FloatBits<5, 10, FloatSpecials::ieee>;
using E4m3Bits = FloatBits<4, 3, FloatSpecials::fn>;

inline float get_fp16_bits(const std::uint8_t* bytes) {
  const std::uint32_t code = bytes[0] | std::uint32_t{bytes[1]} << 8;
  const std::uint32_t magnitude = code & 0x7FFF;
  const std::uint32_t sign = (code & 0x8000) << 16;
  // Infinity; a NaN keeps its payload.
  const std::uint32_t number = magnitude > Fp16Bits::kLargestCode
                                   ? 0x7F800000 | (magnitude & 0x3FF) << Fp16Bits::kDrop
                                   : std::bit_cast<std::uint32_t>(Fp16Bits::number(magnitude));
  return std::bit_cast<float>(number | sign);
}

/// 2^(byte − 127), NaN for 255.
inline float e8m0_number(std::uint32_t byte) {
  if (byte == 0) return 0x1p-127F;
  return std::bit_cast<float>(byte == 255 ? 0x7FC00000 : byte << 23);
}

}  // namespace zeropoint
