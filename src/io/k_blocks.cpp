#include "io/k_blocks.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kSuper = 256;  // values of a block

float half(const std::uint8_t* bytes) {
  static const FloatFormat& format = float_format("fp16");
  return static_cast<float>(
      decode(format, static_cast<std::uint32_t>(bytes[0] | bytes[1] << 8)).value);
}

float single(const std::uint8_t* bytes) {
  float value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Block by block, each of Block values by `one`.
template <std::size_t Block, std::size_t Bytes, class One>
void decode_blocks_of(const std::uint8_t* blocks, std::size_t count, float* x, One one) {
  for (std::size_t done = 0; done < count; done += Block, blocks += Bytes) {
    if (count - done >= Block) {
      one(blocks, x + done);
      continue;
    }
    std::array<float, Block> whole;
    one(blocks, whole.data());
    std::copy_n(whole.data(), count - done, x + done);
  }
}

// Six-bit scale and minimum j of eight, twelve bytes in all: the first four of each lie in the low
// bits of bytes j and j + 4, the others in nibbles of byte j + 4 with the top bits of the former.
void scale_and_min(const std::uint8_t* q, std::size_t j, int& scale, int& min) {
  if (j < 4) {
    scale = q[j] & 63;
    min = q[j + 4] & 63;
  } else {
    scale = (q[j + 4] & 15) | (q[j - 4] >> 6) << 4;
    min = q[j + 4] >> 4 | (q[j] >> 6) << 4;
  }
}

}  // namespace

// d, s (fp16), 32 signed codes.
void decode_q8_1(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<32, 36>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = half(b);
    for (std::size_t i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(static_cast<std::int8_t>(b[4 + i]));
  });
}

// 16 bytes of scale (low) and minimum (high), 64 bytes of 2-bit codes, d, dmin.
void decode_q2_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 84>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = half(b + 80), dmin = half(b + 82);
    for (std::size_t i = 0; i < kSuper; ++i) {
      const std::size_t part = i / 128, shift = i / 32 % 4, sub = i / 16;
      const int code = b[16 + part * 32 + i % 32] >> (2 * shift) & 3;
      const float scale = d * static_cast<float>(b[sub] & 15);
      const float min = dmin * static_cast<float>(b[sub] >> 4);
      out[i] = scale * static_cast<float>(code) - min;
    }
  });
}

// 32 bytes of third bits, 64 of 2-bit codes, 12 of sixteen 6-bit scales, d.
void decode_q3_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 110>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const std::uint8_t* const scales = b + 96;
    const float d = half(b + 108);
    for (std::size_t i = 0; i < kSuper; ++i) {
      const std::size_t part = i / 128, shift = i / 32 % 4, sub = i / 16;
      const int low = b[32 + part * 32 + i % 32] >> (2 * shift) & 3;
      const bool high = (b[i % 32] >> (i / 32) & 1) != 0;
      const int low4 = sub < 8 ? scales[sub] & 15 : scales[sub - 8] >> 4;
      const int high2 = scales[8 + sub % 4] >> (2 * (sub / 4)) & 3;
      const float scale = d * static_cast<float>((low4 | high2 << 4) - 32);
      out[i] = scale * static_cast<float>(low - (high ? 0 : 4));
    }
  });
}

// d, dmin, 12 bytes of scales and minima, 128 bytes of nibbles.
void decode_q4_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 144>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = half(b), dmin = half(b + 2);
    for (std::size_t i = 0; i < kSuper; ++i) {
      int scale = 0, min = 0;
      scale_and_min(b + 4, i / 32, scale, min);
      const int byte = b[16 + i / 64 * 32 + i % 32];
      const int code = i / 32 % 2 == 0 ? byte & 15 : byte >> 4;
      out[i] =
          d * static_cast<float>(scale) * static_cast<float>(code) - dmin * static_cast<float>(min);
    }
  });
}

// As Q4_K, with 32 bytes of fifth bits before the nibbles.
void decode_q5_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 176>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = half(b), dmin = half(b + 2);
    for (std::size_t i = 0; i < kSuper; ++i) {
      int scale = 0, min = 0;
      scale_and_min(b + 4, i / 32, scale, min);
      const int byte = b[48 + i / 64 * 32 + i % 32];
      const int fifth = b[16 + i % 32] >> (i / 32) & 1;
      const int code = (i / 32 % 2 == 0 ? byte & 15 : byte >> 4) | fifth << 4;
      out[i] =
          d * static_cast<float>(scale) * static_cast<float>(code) - dmin * static_cast<float>(min);
    }
  });
}

// 128 bytes of low nibbles, 64 of upper bits, 16 signed scales, d.
void decode_q6_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 210>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = half(b + 208);
    for (std::size_t i = 0; i < kSuper; ++i) {
      const std::size_t part = i / 128, quarter = i / 32 % 4, at = i % 32;
      const int byte = b[part * 64 + quarter % 2 * 32 + at];
      const int low = quarter < 2 ? byte & 15 : byte >> 4;
      const int high = b[128 + part * 32 + at] >> (2 * quarter) & 3;
      const auto scale = static_cast<float>(static_cast<std::int8_t>(b[192 + i / 16]));
      out[i] = d * scale * static_cast<float>((low | high << 4) - 32);
    }
  });
}

// d in float32, 256 signed codes, 16 sums that nobody needs here.
void decode_q8_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 292>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = single(b);
    for (std::size_t i = 0; i < kSuper; ++i) {
      out[i] = d * static_cast<float>(static_cast<std::int8_t>(b[4 + i]));
    }
  });
}

}  // namespace zeropoint
