// ggml's 32-value blocks, byte for byte: ggml-quants.c, quantize_row_*_ref, and the gguf package's
// quants.py. Scales are fp16; codes come from the scale before it was rounded to fp16.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/float_format.hpp"

#include "formats/block_rows.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kBlock = 32;

const FloatFormat& fp16() {
  static const FloatFormat& format = float_format("fp16");
  return format;
}

void put_fp16(float value, BlockNonFinite non_finite, std::uint8_t* bytes) {
  const auto code = encode(fp16(), value);
  if ((code & ~fp16().sign_bit()) == fp16().infinity_code() &&
      non_finite == BlockNonFinite::refuse) {
    throw InputError(fmt::format("expected a scale within fp16 (65504), found {}", value));
  }
  bytes[0] = static_cast<std::uint8_t>(code);
  bytes[1] = static_cast<std::uint8_t>(code >> 8);
}

float get_fp16(const std::uint8_t* bytes) {
  return static_cast<float>(decode(fp16(), bytes[0] | std::uint32_t{bytes[1]} << 8).value);
}

struct Ends {
  float min, max;  // of zeros of both signs, the first, as ggml's C has it
  float extremum;  // the number of largest magnitude, the first of them
};

Ends ends_of(const float* x) {
  Ends ends{x[0], x[0], x[0]};
  for (std::size_t j = 1; j < kBlock; ++j) {
    ends.min = std::min(ends.min, x[j]);
    ends.max = std::max(ends.max, x[j]);
    if (std::abs(x[j]) > std::abs(ends.extremum)) ends.extremum = x[j];
  }
  return ends;
}

void encode_q8_0(const float* x, std::size_t count, const BlockOptions& options, float,
                 std::uint8_t* out) {
  for (; count > 0; count -= kBlock, x += kBlock, out += 34) {
    const float d = std::abs(ends_of(x).extremum) / 127;
    const float id = reciprocal(d);
    put_fp16(d, options.non_finite, out);
    for (std::size_t j = 0; j < kBlock; ++j) {
      out[2 + j] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::round(x[j] * id)));
    }
  }
}

void decode_q8_0(const std::uint8_t* in, std::size_t count, float, float* x) {
  for (; count > 0; count -= kBlock, x += kBlock, in += 34) {
    const float d = get_fp16(in);
    for (std::size_t j = 0; j < kBlock; ++j) x[j] = static_cast<std::int8_t>(in[2 + j]) * d;
  }
}

// Nibbles: value j low, value j + 16 high; of 5-bit codes the uppermost bits in a word before them.
template <bool kFifthBit>
void put_codes(const std::uint8_t* codes, std::uint8_t* out) {
  std::uint32_t high = 0;
  std::uint8_t* const nibbles = out + (kFifthBit ? 4 : 0);
  for (std::size_t j = 0; j < kBlock / 2; ++j) {
    const unsigned low_code = codes[j];
    const unsigned high_code = codes[j + kBlock / 2];
    nibbles[j] = static_cast<std::uint8_t>((low_code & 15) | (high_code & 15) << 4);
    high |= (low_code >> 4 & 1) << j | (high_code >> 4 & 1) << (j + kBlock / 2);
  }
  if constexpr (kFifthBit) {
    for (int byte = 0; byte < 4; ++byte) out[byte] = static_cast<std::uint8_t>(high >> (8 * byte));
  }
}

template <bool kFifthBit>
void get_codes(const std::uint8_t* in, int* codes) {
  std::uint32_t high = 0;
  if constexpr (kFifthBit) {
    for (int byte = 0; byte < 4; ++byte) high |= std::uint32_t{in[byte]} << (8 * byte);
    in += 4;
  }
  for (std::size_t j = 0; j < kBlock / 2; ++j) {
    codes[j] = static_cast<int>((in[j] & 15U) | (high >> j & 1) << 4);
    codes[j + kBlock / 2] = static_cast<int>((in[j] >> 4U) | (high >> (j + kBlock / 2) & 1) << 4);
  }
}

// q4_0 and q5_0: the number of largest magnitude gets code 0, real = d·(code − 8 or 16). The sum
// with 8.5 or 16.5 is rounded once, as a fused multiply-add does and gguf's float64 stands in for.
template <int kHalf>
void encode_symmetric(const float* x, std::size_t count, const BlockOptions& options, float,
                      std::uint8_t* out) {
  constexpr bool kFifthBit = kHalf == 16;
  constexpr int kMost = 2 * kHalf - 1;
  for (; count > 0; count -= kBlock, x += kBlock, out += kFifthBit ? 22 : 18) {
    const float d = ends_of(x).extremum / -kHalf;
    const double id = reciprocal(d);
    put_fp16(d, options.non_finite, out);
    std::uint8_t codes[kBlock];
    for (std::size_t j = 0; j < kBlock; ++j) {
      const auto sum = static_cast<float>(double{x[j]} * id + (kHalf + 0.5));
      codes[j] = static_cast<std::uint8_t>(std::min(static_cast<int>(sum), kMost));
    }
    put_codes<kFifthBit>(codes, out + 2);
  }
}

template <int kHalf>
void decode_symmetric(const std::uint8_t* in, std::size_t count, float, float* x) {
  constexpr bool kFifthBit = kHalf == 16;
  for (; count > 0; count -= kBlock, x += kBlock, in += kFifthBit ? 22 : 18) {
    const float d = get_fp16(in);
    int codes[kBlock];
    get_codes<kFifthBit>(in + 2, codes);
    for (std::size_t j = 0; j < kBlock; ++j) x[j] = static_cast<float>(codes[j] - kHalf) * d;
  }
}

// q4_1 and q5_1: real = d·code + m.
template <int kMost>
void encode_affine(const float* x, std::size_t count, const BlockOptions& options, float,
                   std::uint8_t* out) {
  constexpr bool kFifthBit = kMost == 31;
  for (; count > 0; count -= kBlock, x += kBlock, out += kFifthBit ? 24 : 20) {
    const Ends ends = ends_of(x);
    const float d = (ends.max - ends.min) / kMost;
    const float id = reciprocal(d);
    put_fp16(d, options.non_finite, out);
    put_fp16(ends.min, options.non_finite, out + 2);
    std::uint8_t codes[kBlock];
    for (std::size_t j = 0; j < kBlock; ++j) {
      // A d that is infinite, or 0 or too small for a reciprocal, leaves code 0.
      const float sum = id == 0 ? 0 : (x[j] - ends.min) * id + 0.5F;
      codes[j] = static_cast<std::uint8_t>(std::min(static_cast<int>(sum), kMost));
    }
    put_codes<kFifthBit>(codes, out + 4);
  }
}

template <int kMost>
void decode_affine(const std::uint8_t* in, std::size_t count, float, float* x) {
  constexpr bool kFifthBit = kMost == 31;
  for (; count > 0; count -= kBlock, x += kBlock, in += kFifthBit ? 24 : 20) {
    const float d = get_fp16(in);
    const float m = get_fp16(in + 2);
    int codes[kBlock];
    get_codes<kFifthBit>(in + 4, codes);
    for (std::size_t j = 0; j < kBlock; ++j) x[j] = static_cast<float>(codes[j]) * d + m;
  }
}

// fp16's quiet NaN.
constexpr std::uint32_t kNan = 0x7E00;

}  // namespace

#define ZEROPOINT_ROW(constant, name, title, bytes, bits, scale_bytes, encode, decode, reach) \
  constinit const BlockFormat constant = {#name,                                              \
                                          title,                                              \
                                          kBlock,                                             \
                                          bytes,                                              \
                                          bits,                                               \
                                          false,                                              \
                                          false,                                              \
                                          scale_bytes,                                        \
                                          kNan,                                               \
                                          encode,                                             \
                                          decode,                                             \
                                          fast_encode_##name,                                 \
                                          fast_decode_##name,                                 \
                                          reach,                                              \
                                          (scale_bytes) == 4};
ZEROPOINT_ROW(kQ8_0, q8_0, "ggml: 32 int8, a scale in fp16", 34, 8, 2, encode_q8_0, decode_q8_0,
              127)
ZEROPOINT_ROW(kQ4_0, q4_0, "ggml: 32 4-bit codes, a signed scale in fp16", 18, 4, 2,
              encode_symmetric<8>, decode_symmetric<8>, 8)
ZEROPOINT_ROW(kQ4_1, q4_1, "ggml: 32 4-bit codes, scale and minimum in fp16", 20, 4, 2,
              encode_affine<15>, decode_affine<15>, 15)
ZEROPOINT_ROW(kQ5_0, q5_0, "ggml: 32 5-bit codes, a signed scale in fp16", 22, 5, 2,
              encode_symmetric<16>, decode_symmetric<16>, 16)
ZEROPOINT_ROW(kQ5_1, q5_1, "ggml: 32 5-bit codes, scale and minimum in fp16", 24, 5, 2,
              encode_affine<31>, decode_affine<31>, 31)
#undef ZEROPOINT_ROW

}  // namespace zeropoint
