// ggml's blocks by vector code, byte for byte as block_ggml.cpp has them. Compiled once for each
// instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/block_ggml_vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/block_bits.hpp"
#include "formats/block_rows.hpp"
#include "formats/block_vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR

// Nibbles: value j low, value j + 16 high; of 5-bit codes the uppermost bits in a word before them.
template <bool kFifthBit>
HWY_INLINE void PutCodes(const std::uint8_t* HWY_RESTRICT codes, std::uint8_t* HWY_RESTRICT out) {
  const Bytes d;
  const BytesV nibble = hn::Set(d, 15);
  const BytesV low = hn::And(hn::Load(d, codes), nibble);
  const BytesV high = hn::ShiftLeft<4>(hn::And(hn::Load(d, codes + 16), nibble));
  hn::StoreU(hn::Or(low, high), d, out + (kFifthBit ? 4 : 0));
  if constexpr (kFifthBit) {
    for (std::size_t part = 0; part < 4; ++part) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, codes + 8 * part, sizeof eight);
      // Bit 4 of byte i moves to bit 56 + i of the product.
      out[part] =
          static_cast<std::uint8_t>(((eight >> 4 & 0x0101010101010101) * 0x0102040810204080) >> 56);
    }
  }
}

// Codes as 32 bytes, but for the fifth bits, which are returned.
template <bool kFifthBit>
HWY_INLINE std::uint32_t GetCodes(const std::uint8_t* HWY_RESTRICT in,
                                  std::uint8_t* HWY_RESTRICT codes) {
  std::uint32_t high = 0;
  if constexpr (kFifthBit) {
    std::memcpy(&high, in, sizeof high);
    in += 4;
  }
  const Bytes d;
  const BytesV both = hn::LoadU(d, in);
  hn::Store(hn::And(both, hn::Set(d, 15)), d, codes);
  hn::Store(hn::ShiftRight<4>(both), d, codes + 16);
  return high;
}

// The codes of one vector as integers, fifth bits put on.
template <bool kFifthBit>
HWY_INLINE IntsV CodesAt(const std::uint8_t* codes, std::uint32_t high, std::size_t j) {
  const Ints di;
  const IntsV code = LoadCodes(codes + j);
  if constexpr (!kFifthBit) return code;
  const IntsV own_bit = hn::Shl(hn::Set(di, 1), hn::Iota(di, 0));
  const auto is_set = hn::TestBit(hn::Set(di, static_cast<std::int32_t>(high >> j)), own_bit);
  return hn::IfThenElse(is_set, hn::Or(code, hn::Set(di, 16)), code);
}

bool EncodeQ8_0(const float* HWY_RESTRICT x, std::size_t count, const BlockOptions&, float,
                std::uint8_t* HWY_RESTRICT out) {
  const Floats d;
  const Words dw;
  const auto below_half = hn::Set(d, 0.49999997F);
  for (std::size_t i = 0; i < count; i += kValues, out += 34) {
    prefetch_ahead(x, i, kValues, count);
    const std::uint32_t most = LargestBits(x + i, kValues);
    const float scale = std::bit_cast<float>(most) / 127;
    if (most >= kInfinityBits || !put_fp16_bits(scale, out)) return false;
    const auto factor = hn::Set(d, reciprocal(scale));
    StoreCodes(x + i, out + 2, [&](FloatsV v, std::size_t) ZEROPOINT_INLINED {
      // Ties away from 0: the number before a half carries every half, and nothing below one.
      const FloatsV scaled = hn::Mul(v, factor);
      const FloatsV shifted = hn::Add(scaled, hn::CopySign(below_half, scaled));
      return hn::BitCast(dw, hn::ConvertTo(Ints(), shifted));
    });
  }
  return true;
}

bool DecodeQ8_0(const std::uint8_t* HWY_RESTRICT in, std::size_t count, float,
                float* HWY_RESTRICT x) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t i = 0; i < count; i += kValues, in += 34) {
    prefetch_ahead(x, i, kValues, count);
    const auto scale = hn::Set(d, get_fp16_bits(in));
    for (std::size_t j = 0; j < kValues; j += lanes) {
      const auto code = hn::ConvertTo(d, LoadSignedCodes(in + 2 + j));
      hn::StoreU(hn::Mul(code, scale), d, x + i + j);
    }
  }
  return true;
}

// The number of largest magnitude, the first of them, by its magnitude.
HWY_INLINE float SignedExtremum(const float* x, float most) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  const auto above = hn::Set(d, most);
  const auto below = hn::Neg(above);
  auto is_above = hn::Eq(hn::LoadU(d, x), above);
  auto is_below = hn::Eq(hn::LoadU(d, x), below);
  for (std::size_t j = lanes; j < kValues; j += lanes) {
    is_above = hn::Or(is_above, hn::Eq(hn::LoadU(d, x + j), above));
    is_below = hn::Or(is_below, hn::Eq(hn::LoadU(d, x + j), below));
  }
  if (hn::AllFalse(d, is_below)) return most;
  if (hn::AllFalse(d, is_above)) return -most;
  return *std::find_if(x, x + kValues, [&](float v) { return std::abs(v) == most; });
}

template <int kHalf>
bool EncodeSymmetric(const float* HWY_RESTRICT x, std::size_t count,
                     std::uint8_t* HWY_RESTRICT out) {
#if HWY_NATIVE_FMA
  constexpr bool kFifthBit = kHalf == 16;
  const Floats d;
  const Ints di;
  const Words dw;
  const auto shift = hn::Set(d, kHalf + 0.5F);
  const auto last = hn::Set(di, 2 * kHalf - 1);
  HWY_ALIGN std::uint8_t codes[kValues];
  for (std::size_t i = 0; i < count; i += kValues, out += kFifthBit ? 22 : 18) {
    prefetch_ahead(x, i, kValues, count);
    const std::uint32_t most = LargestBits(x + i, kValues);
    if (most >= kInfinityBits) return false;
    const float scale = SignedExtremum(x + i, std::bit_cast<float>(most)) / -kHalf;
    if (!put_fp16_bits(scale, out)) return false;
    const auto factor = hn::Set(d, reciprocal(scale));
    StoreCodes(x + i, codes, [&](FloatsV v, std::size_t) ZEROPOINT_INLINED {
      const auto code = hn::ConvertTo(di, hn::MulAdd(v, factor, shift));
      return hn::BitCast(dw, hn::Min(code, last));
    });
    PutCodes<kFifthBit>(codes, out + 2);
  }
  return true;
#else
  (void)x, (void)count, (void)out;
  return false;  // the sum is to be rounded once
#endif
}

template <int kHalf>
bool DecodeSymmetric(const std::uint8_t* HWY_RESTRICT in, std::size_t count,
                     float* HWY_RESTRICT x) {
  constexpr bool kFifthBit = kHalf == 16;
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  const auto half = hn::Set(Ints(), kHalf);
  HWY_ALIGN std::uint8_t codes[kValues];
  for (std::size_t i = 0; i < count; i += kValues, in += kFifthBit ? 22 : 18) {
    prefetch_ahead(x, i, kValues, count);
    const auto scale = hn::Set(d, get_fp16_bits(in));
    const std::uint32_t high = GetCodes<kFifthBit>(in + 2, codes);
    for (std::size_t j = 0; j < kValues; j += lanes) {
      const IntsV code = hn::Sub(CodesAt<kFifthBit>(codes, high, j), half);
      hn::StoreU(hn::Mul(hn::ConvertTo(d, code), scale), d, x + i + j);
    }
  }
  return true;
}

// The ends of 32 values as block_ggml.cpp finds them: of zeros, the first. False if one of the
// values is not finite.
HWY_INLINE bool FindEnds(const float* x, float& min, float& max) {
  const Floats d;
  const Ints di;
  const std::size_t lanes = hn::Lanes(d);
  const auto magnitude = hn::Set(di, 0x7FFFFFFF);
  const FloatsV first = hn::LoadU(d, x);
  FloatsV low = first;
  FloatsV high = first;
  IntsV most = hn::And(hn::BitCast(di, first), magnitude);
  for (std::size_t j = lanes; j < kValues; j += lanes) {
    const FloatsV v = hn::LoadU(d, x + j);
    low = hn::Min(low, v);
    high = hn::Max(high, v);
    most = hn::Max(most, hn::And(hn::BitCast(di, v), magnitude));
  }
  if (!hn::AllTrue(di, hn::Lt(most, hn::Set(di, static_cast<std::int32_t>(kInfinityBits))))) {
    return false;
  }
  min = hn::GetLane(hn::MinOfLanes(d, low));
  max = hn::GetLane(hn::MaxOfLanes(d, high));
  if (min == 0) min = *std::find(x, x + kValues, 0.0F);
  if (max == min) max = min;
  return true;
}

template <int kMost>
bool EncodeAffine(const float* HWY_RESTRICT x, std::size_t count, std::uint8_t* HWY_RESTRICT out) {
  constexpr bool kFifthBit = kMost == 31;
  const Floats d;
  const Ints di;
  const Words dw;
  const auto half = hn::Set(d, 0.5F);
  const auto last = hn::Set(di, kMost);
  HWY_ALIGN std::uint8_t codes[kValues];
  for (std::size_t i = 0; i < count; i += kValues, out += kFifthBit ? 24 : 20) {
    prefetch_ahead(x, i, kValues, count);
    float min = 0;
    float max = 0;
    if (!FindEnds(x + i, min, max)) return false;
    const float scale = (max - min) / kMost;
    if (!put_fp16_bits(scale, out) || !put_fp16_bits(min, out + 2)) return false;
    const auto factor = hn::Set(d, reciprocal(scale));
    const auto least = hn::Set(d, min);
    StoreCodes(x + i, codes, [&](FloatsV v, std::size_t) ZEROPOINT_INLINED {
      const auto sum = hn::Add(hn::Mul(hn::Sub(v, least), factor), half);
      return hn::BitCast(dw, hn::Min(hn::ConvertTo(di, sum), last));
    });
    PutCodes<kFifthBit>(codes, out + 4);
  }
  return true;
}

template <int kMost>
bool DecodeAffine(const std::uint8_t* HWY_RESTRICT in, std::size_t count, float* HWY_RESTRICT x) {
  constexpr bool kFifthBit = kMost == 31;
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN std::uint8_t codes[kValues];
  for (std::size_t i = 0; i < count; i += kValues, in += kFifthBit ? 24 : 20) {
    prefetch_ahead(x, i, kValues, count);
    const auto scale = hn::Set(d, get_fp16_bits(in));
    const auto least = hn::Set(d, get_fp16_bits(in + 2));
    const std::uint32_t high = GetCodes<kFifthBit>(in + 4, codes);
    for (std::size_t j = 0; j < kValues; j += lanes) {
      const auto code = hn::ConvertTo(d, CodesAt<kFifthBit>(codes, high, j));
      hn::StoreU(hn::Add(hn::Mul(code, scale), least), d, x + i + j);
    }
  }
  return true;
}

#define ZEROPOINT_GGML(Name, kind)                                                 \
  bool Encode##Name(const float* x, std::size_t count, const BlockOptions&, float, \
                    std::uint8_t* out) {                                           \
    return Encode##kind(x, count, out);                                            \
  }                                                                                \
  bool Decode##Name(const std::uint8_t* in, std::size_t count, float, float* x) {  \
    return Decode##kind(in, count, x);                                             \
  }
ZEROPOINT_GGML(Q4_0, Symmetric<8>)
ZEROPOINT_GGML(Q5_0, Symmetric<16>)
ZEROPOINT_GGML(Q4_1, Affine<15>)
ZEROPOINT_GGML(Q5_1, Affine<31>)
#undef ZEROPOINT_GGML

#else  // HWY_SCALAR: left to the definition
#define ZEROPOINT_GGML(Name)                                                                \
  bool Encode##Name(const float*, std::size_t, const BlockOptions&, float, std::uint8_t*) { \
    return false;                                                                           \
  }                                                                                         \
  bool Decode##Name(const std::uint8_t*, std::size_t, float, float*) { return false; }
ZEROPOINT_GGML(Q8_0)
ZEROPOINT_GGML(Q4_0)
ZEROPOINT_GGML(Q5_0)
ZEROPOINT_GGML(Q4_1)
ZEROPOINT_GGML(Q5_1)
#undef ZEROPOINT_GGML
#endif

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

#define ZEROPOINT_EXPORT(name, Name)                                                         \
  HWY_EXPORT(Encode##Name);                                                                  \
  HWY_EXPORT(Decode##Name);                                                                  \
  bool fast_encode_##name(const float* x, std::size_t count, const BlockOptions& options,    \
                          float tensor_scale, std::uint8_t* blocks) {                        \
    return HWY_DYNAMIC_DISPATCH(Encode##Name)(x, count, options, tensor_scale, blocks);      \
  }                                                                                          \
  bool fast_decode_##name(const std::uint8_t* blocks, std::size_t count, float tensor_scale, \
                          float* x) {                                                        \
    return HWY_DYNAMIC_DISPATCH(Decode##Name)(blocks, count, tensor_scale, x);               \
  }
ZEROPOINT_EXPORT(q8_0, Q8_0)
ZEROPOINT_EXPORT(q4_0, Q4_0)
ZEROPOINT_EXPORT(q4_1, Q4_1)
ZEROPOINT_EXPORT(q5_0, Q5_0)
ZEROPOINT_EXPORT(q5_1, Q5_1)
#undef ZEROPOINT_EXPORT

}  // namespace zeropoint
#endif
