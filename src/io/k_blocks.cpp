#include "io/k_blocks.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "formats/block_bits.hpp"

// Codes are unpacked into bytes first and multiplied then, in loops of constant length without a
// branch: compilers make vector code of both for whatever instruction set the library is built for.

namespace zeropoint {
namespace {

constexpr std::size_t kSuper = 256;  // values of a block
using Codes = std::array<std::uint8_t, kSuper>;

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

// 64 bytes of four 2-bit codes: byte j of each half holds values j, j + 32, j + 64, j + 96 of it.
void unpack_2_bits(const std::uint8_t* bytes, Codes& codes) {
  for (std::size_t part = 0; part < 2; ++part) {
    for (std::size_t quarter = 0; quarter < 4; ++quarter) {
      for (std::size_t i = 0; i < 32; ++i) {
        codes[part * 128 + quarter * 32 + i] =
            static_cast<std::uint8_t>(bytes[part * 32 + i] >> (2 * quarter) & 3);
      }
    }
  }
}

// 128 bytes of two nibbles: byte j of each run of `half` holds values j and j + half.
template <std::size_t half>
void unpack_nibbles(const std::uint8_t* bytes, Codes& codes) {
  for (std::size_t run = 0; run < kSuper / (2 * half); ++run) {
    for (std::size_t i = 0; i < half; ++i) {
      codes[run * 2 * half + i] = bytes[run * half + i] & 15;
      codes[run * 2 * half + half + i] = static_cast<std::uint8_t>(bytes[run * half + i] >> 4);
    }
  }
}

// 32 bytes, bit k of byte j of value 32k + j.
template <class Add>
void each_bit(const std::uint8_t* bytes, Codes& codes, Add add) {
  for (std::size_t bit = 0; bit < 8; ++bit) {
    for (std::size_t i = 0; i < 32; ++i) {
      codes[bit * 32 + i] =
          static_cast<std::uint8_t>(add(codes[bit * 32 + i], bytes[i] >> bit & 1));
    }
  }
}

// scale · code, or scale · code − min, of each run of values.
template <std::size_t run, class Code>
void scale_runs(const Code* codes, const float* scales, float* x) {
  for (std::size_t sub = 0; sub < kSuper / run; ++sub) {
    for (std::size_t i = 0; i < run; ++i) {
      x[sub * run + i] = scales[sub] * static_cast<float>(codes[sub * run + i]);
    }
  }
}
template <std::size_t run>
void scale_runs(const Codes& codes, const float* scales, const float* minima, float* x) {
  for (std::size_t sub = 0; sub < kSuper / run; ++sub) {
    for (std::size_t i = 0; i < run; ++i) {
      x[sub * run + i] = scales[sub] * static_cast<float>(codes[sub * run + i]) - minima[sub];
    }
  }
}

// Codes that are `offset` more than the number.
template <std::size_t run>
void scale_offset_runs(const Codes& codes, int offset, const float* scales, float* x) {
  std::array<std::int8_t, kSuper> numbers;
  for (std::size_t i = 0; i < kSuper; ++i) {
    numbers[i] = static_cast<std::int8_t>(codes[i] - offset);
  }
  scale_runs<run>(numbers.data(), scales, x);
}

// Six-bit scales and minima of eight runs in twelve bytes: the first four of each lie in the low
// bits of bytes j and j + 4, the others in nibbles of byte j + 4 with the top bits of the former.
// Before them d and dmin, which they are multiplied with.
void eight_scales(const std::uint8_t* block, float* scales, float* minima) {
  const float d = get_fp16_bits(block), dmin = get_fp16_bits(block + 2);
  const std::uint8_t* const q = block + 4;
  for (std::size_t j = 0; j < 4; ++j) {
    scales[j] = d * static_cast<float>(q[j] & 63);
    minima[j] = dmin * static_cast<float>(q[j + 4] & 63);
    scales[j + 4] = d * static_cast<float>((q[j + 8] & 15) | (q[j] >> 6) << 4);
    minima[j + 4] = dmin * static_cast<float>(q[j + 8] >> 4 | (q[j + 4] >> 6) << 4);
  }
}

}  // namespace

// d, s (fp16), 32 signed codes.
void decode_q8_1(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<32, 36>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = get_fp16_bits(b);
    for (std::size_t i = 0; i < 32; ++i) {
      out[i] = d * static_cast<float>(static_cast<std::int8_t>(b[4 + i]));
    }
  });
}

// 16 bytes of scale (low) and minimum (high), 64 bytes of 2-bit codes, d, dmin.
void decode_q2_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 84>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = get_fp16_bits(b + 80), dmin = get_fp16_bits(b + 82);
    float scales[16], minima[16];
    for (std::size_t sub = 0; sub < 16; ++sub) {
      scales[sub] = d * static_cast<float>(b[sub] & 15);
      minima[sub] = dmin * static_cast<float>(b[sub] >> 4);
    }
    Codes codes;
    unpack_2_bits(b + 16, codes);
    scale_runs<16>(codes, scales, minima, out);
  });
}

// 32 bytes of third bits, 64 of 2-bit codes, 12 of sixteen 6-bit scales, d.
void decode_q3_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 110>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const std::uint8_t* const q = b + 96;
    const float d = get_fp16_bits(b + 108);
    float scales[16];
    for (std::size_t sub = 0; sub < 16; ++sub) {
      const int low = sub < 8 ? q[sub] & 15 : q[sub - 8] >> 4;
      const int high = q[8 + sub % 4] >> (2 * (sub / 4)) & 3;
      scales[sub] = d * static_cast<float>((low | high << 4) - 32);
    }
    Codes codes;
    unpack_2_bits(b + 32, codes);
    each_bit(b, codes, [](int code, int bit) { return code | bit << 2; });
    scale_offset_runs<16>(codes, 4, scales, out);
  });
}

// d, dmin, 12 bytes of scales and minima, 128 bytes of nibbles.
void decode_q4_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 144>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    float scales[8], minima[8];
    eight_scales(b, scales, minima);
    Codes codes;
    unpack_nibbles<32>(b + 16, codes);
    scale_runs<32>(codes, scales, minima, out);
  });
}

// As Q4_K, with 32 bytes of fifth bits before the nibbles.
void decode_q5_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 176>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    float scales[8], minima[8];
    eight_scales(b, scales, minima);
    Codes codes;
    unpack_nibbles<32>(b + 48, codes);
    each_bit(b + 16, codes, [](int code, int bit) { return code | bit << 4; });
    scale_runs<32>(codes, scales, minima, out);
  });
}

// 128 bytes of low nibbles, 64 of upper bits, 16 signed scales, d.
void decode_q6_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 210>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const float d = get_fp16_bits(b + 208);
    float scales[16];
    for (std::size_t sub = 0; sub < 16; ++sub) {
      scales[sub] = d * static_cast<float>(static_cast<std::int8_t>(b[192 + sub]));
    }
    Codes codes, high;
    unpack_nibbles<64>(b, codes);
    unpack_2_bits(b + 128, high);
    for (std::size_t i = 0; i < kSuper; ++i) {
      codes[i] = static_cast<std::uint8_t>(codes[i] | high[i] << 4);
    }
    scale_offset_runs<16>(codes, 32, scales, out);
  });
}

// d in float32, 256 signed codes, 16 sums that nobody needs here.
void decode_q8_k(const std::uint8_t* blocks, std::size_t count, float* x) {
  decode_blocks_of<kSuper, 292>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    float d = 0;
    std::memcpy(&d, b, sizeof(d));
    for (std::size_t i = 0; i < kSuper; ++i) {
      out[i] = d * static_cast<float>(static_cast<std::int8_t>(b[4 + i]));
    }
  });
}

// A power of two, 16 bytes of nibbles. ggml doubles e2m1's numbers and halves the scale, so that
// its byte 255 is 2^127, not NaN; -0 is 0.
void decode_mxfp4(const std::uint8_t* blocks, std::size_t count, float* x) {
  static constexpr float kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  decode_blocks_of<32, 17>(blocks, count, x, [](const std::uint8_t* b, float* out) {
    const std::uint32_t power = b[0];
    const auto half =
        std::bit_cast<float>(power < 2 ? std::uint32_t{0x00200000} << power : (power - 1) << 23);
    for (std::size_t i = 0; i < 16; ++i) {
      out[i] = half * kDoubled[b[1 + i] & 15];
      out[i + 16] = half * kDoubled[b[1 + i] >> 4];
    }
  });
}

}  // namespace zeropoint
