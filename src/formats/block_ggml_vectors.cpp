// ggml's blocks by vector code, byte for byte as block_ggml.cpp has them. Compiled once for each
// instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/block_ggml_vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/block_bits.hpp"
#include "formats/block_export.hpp"
#include "formats/block_rows.hpp"
#include "formats/block_vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR

// The fifth bits of the codes of one vector, from value `first` on, into four bytes set to 0.
HWY_INLINE void PutFifthBits(IntsV code, std::size_t first, std::uint8_t* out) {
  const Ints di;
  std::uint8_t bits[8] = {};
  hn::StoreMaskBits(di, hn::Gt(code, hn::Set(di, 15)), bits);
  out[first / 8] = static_cast<std::uint8_t>(out[first / 8] | bits[0] << (first % 8));
}

// The codes of 32 values, made by `code_of(values)`. Nibbles: value j low, value j + 16 high; of
// 5-bit codes the uppermost bits in four bytes before them.
template <bool kFifthBit, class CodeOf>
HWY_INLINE void PutCodes(const float* HWY_RESTRICT x, std::uint8_t* HWY_RESTRICT out,
                         const CodeOf& code_of) {
  const Floats d;
  const Ints di;
  const std::size_t lanes = hn::Lanes(d);
  std::uint8_t* const nibbles = out + (kFifthBit ? 4 : 0);
  if constexpr (kFifthBit) std::memset(out, 0, 4);
  const auto pair = [&](std::size_t j) ZEROPOINT_INLINED {
    IntsV low = code_of(hn::LoadU(d, x + j));
    const IntsV high = code_of(hn::LoadU(d, x + j + 16));
    if constexpr (kFifthBit) {
      PutFifthBits(low, j, out);
      PutFifthBits(high, j + 16, out);
      low = hn::And(low, hn::Set(di, 15));
    }
    return hn::BitCast(Words(), hn::Or(low, hn::ShiftLeft<4>(high)));  // the lowest 8 bits count
  };
  if constexpr (hn::MaxLanes(Floats()) == 8) {
    StoreLowBytes(pair(0), pair(8), nibbles);
  } else {
    StoreLowBytes(pair(0), pair(lanes), pair(2 * lanes), pair(3 * lanes), nibbles);
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

// 1 / scale, as reciprocal() has it.
HWY_INLINE FloatsV Reciprocal(FloatsV scale) {
  const Floats d;
  const FloatsV inverse = hn::Div(hn::Set(d, 1.0F), scale);
  const auto largest = hn::Set(d, std::numeric_limits<float>::max());
  return hn::IfThenElseZero(hn::Le(hn::Abs(inverse), largest), inverse);
}

// The codes of a vector of numbers in fp16; the largest of their magnitudes goes into `seen`.
HWY_INLINE void StoreFp16(FloatsV v, IntsV& seen, std::uint32_t* codes) {
  const Ints di;
  seen = hn::Max(seen, hn::BitCast(di, hn::Abs(v)));
  hn::Store(Fp16::Code(v), Words(), codes);
}

// Whether all of what StoreFp16() has seen is a number in fp16.
HWY_INLINE bool AreWithinFp16(IntsV seen) {
  constexpr std::uint32_t kFrom = Fp16Bits::kLargestBits + (1U << (Fp16Bits::kDrop - 1));
  const Ints di;
  return hn::AllTrue(di, hn::Lt(seen, hn::Set(di, static_cast<std::int32_t>(kFrom))));
}

HWY_INLINE void PutTwoBytes(std::uint32_t code, std::uint8_t* out) {
  out[0] = static_cast<std::uint8_t>(code);
  out[1] = static_cast<std::uint8_t>(code >> 8);
}

bool EncodeQ8_0(const float* HWY_RESTRICT x, std::size_t count, const BlockOptions&, float,
                std::uint8_t* HWY_RESTRICT out) {
  const Floats d;
  const Ints di;
  const auto below_half = hn::Set(d, 0.49999997F);
  HWY_ALIGN std::int32_t most[kBatch];
  HWY_ALIGN std::uint32_t scales[kBatch];
  HWY_ALIGN float factors[kBatch];
  for (std::size_t i = 0; i < count; i += kBatch * kValues) {
    const std::size_t blocks = std::min(kBatch, (count - i) / kValues);
    StoreMagnitudes<kValues>(x + i, blocks, most);
    IntsV seen = hn::Zero(di);  // infinity and NaN are seen in the scales
    for (std::size_t k = 0; k < blocks; k += hn::Lanes(d)) {
      const auto largest = hn::BitCast(d, hn::Load(di, most + k));
      const FloatsV scale = hn::Div(largest, hn::Set(d, 127.0F));
      StoreFp16(scale, seen, scales + k);
      hn::Store(Reciprocal(scale), d, factors + k);
    }
    if (!AreWithinFp16(seen)) return false;
    for (std::size_t k = 0; k < blocks; ++k, out += 34) {
      prefetch_ahead(x, i + k * kValues, kValues, count);
      PutTwoBytes(scales[k], out);
      const auto factor = hn::Set(d, factors[k]);
      StoreCodes(x + i + k * kValues, out + 2, [&](FloatsV v, std::size_t) ZEROPOINT_INLINED {
        // Ties away from 0: the number before a half carries every half, and nothing below one.
        const FloatsV scaled = hn::Mul(v, factor);
        const FloatsV shifted = hn::Add(scaled, hn::CopySign(below_half, scaled));
        return hn::BitCast(Words(), hn::ConvertTo(di, shifted));
      });
    }
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

// The largest number of each block of a batch and the largest negated one, in turns; 0 behind
// them up to whole vectors. False if a value is not finite; or so large that a sum of them is not,
// which is beyond fp16 anyway.
HWY_INLINE bool StoreEnds(const float* HWY_RESTRICT x, std::size_t blocks,
                          float* HWY_RESTRICT ends) {
  const Floats d;
  const Words dw;
  const std::size_t lanes = hn::Lanes(d);
  WordsV seen = hn::Zero(dw);
  for (std::size_t k = blocks & ~std::size_t{7}; k < blocks; k += lanes) {
    hn::Store(hn::Zero(d), d, ends + 2 * k);
    hn::Store(hn::Zero(d), d, ends + 2 * k + lanes);
  }
  for (std::size_t k = 0; k < blocks; ++k) {
    const float* const block = x + k * kValues;
    FloatsV high = hn::LoadU(d, block);
    FloatsV low = high;
    FloatsV sum = high;
    for (std::size_t j = lanes; j < kValues; j += lanes) {
      const FloatsV v = hn::LoadU(d, block + j);
      high = hn::Max(high, v);
      low = hn::Min(low, v);
      sum = hn::Add(sum, v);
    }
    seen = hn::Or(seen, hn::BitCast(dw, hn::Sub(sum, sum)));  // 0, or NaN
    StoreTwoLargest(d, high, hn::Neg(low), ends + 2 * k);
  }
  return hn::AllTrue(dw, hn::Eq(seen, hn::Zero(dw)));
}

template <int kHalf>
bool EncodeSymmetric(const float* HWY_RESTRICT x, std::size_t count,
                     std::uint8_t* HWY_RESTRICT out) {
#if HWY_NATIVE_FMA
  constexpr bool kFifthBit = kHalf == 16;
  const Floats d;
  const Ints di;
  const auto shift = hn::Set(d, kHalf + 0.5F);
  const auto last = hn::Set(di, 2 * kHalf - 1);
  HWY_ALIGN float ends[2 * kBatch];
  HWY_ALIGN float extrema[kBatch];
  HWY_ALIGN std::uint32_t scales[kBatch];
  HWY_ALIGN float factors[kBatch];
  for (std::size_t i = 0; i < count; i += kBatch * kValues) {
    const std::size_t blocks = std::min(kBatch, (count - i) / kValues);
    if (!StoreEnds(x + i, blocks, ends)) return false;
    for (std::size_t k = 0; k < blocks; k += hn::Lanes(d)) {
      FloatsV high, low;
      hn::LoadInterleaved2(d, ends + 2 * k, high, low);
      hn::Store(hn::IfThenElse(hn::Gt(high, low), high, hn::Neg(low)), d, extrema + k);
    }
    for (std::size_t k = 0; k < blocks; ++k) {
      const float most = ends[2 * k];
      if (most != ends[2 * k + 1]) continue;  // else the first of both signs
      const float* const block = x + i + k * kValues;
      extrema[k] =
          *std::find_if(block, block + kValues, [&](float v) { return std::abs(v) == most; });
    }
    IntsV seen = hn::Zero(di);
    for (std::size_t k = 0; k < blocks; k += hn::Lanes(d)) {
      const FloatsV scale = hn::Div(hn::Load(d, extrema + k), hn::Set(d, -kHalf));
      StoreFp16(scale, seen, scales + k);
      hn::Store(Reciprocal(scale), d, factors + k);
    }
    if (!AreWithinFp16(seen)) return false;
    for (std::size_t k = 0; k < blocks; ++k, out += kFifthBit ? 22 : 18) {
      prefetch_ahead(x, i + k * kValues, kValues, count);
      PutTwoBytes(scales[k], out);
      const auto factor = hn::Set(d, factors[k]);
      PutCodes<kFifthBit>(x + i + k * kValues, out + 2, [&](FloatsV v) ZEROPOINT_INLINED {
        return hn::Min(hn::ConvertTo(di, hn::MulAdd(v, factor, shift)), last);
      });
    }
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

template <int kMost>
bool EncodeAffine(const float* HWY_RESTRICT x, std::size_t count, std::uint8_t* HWY_RESTRICT out) {
  constexpr bool kFifthBit = kMost == 31;
  const Floats d;
  const Ints di;
  const auto half = hn::Set(d, 0.5F);
  const auto last = hn::Set(di, kMost);
  HWY_ALIGN float ends[2 * kBatch];
  HWY_ALIGN std::uint32_t scales[kBatch];
  HWY_ALIGN std::uint32_t minima[kBatch];
  HWY_ALIGN float factors[kBatch];
  for (std::size_t i = 0; i < count; i += kBatch * kValues) {
    const std::size_t blocks = std::min(kBatch, (count - i) / kValues);
    if (!StoreEnds(x + i, blocks, ends)) return false;
    for (std::size_t k = 0; k < blocks; ++k) {
      if (ends[2 * k + 1] != 0) continue;
      const float* const block = x + i + k * kValues;
      ends[2 * k + 1] = -*std::find(block, block + kValues, 0.0F);  // the first 0's sign
    }
    IntsV seen = hn::Zero(di);
    for (std::size_t k = 0; k < blocks; k += hn::Lanes(d)) {
      FloatsV high, low;
      hn::LoadInterleaved2(d, ends + 2 * k, high, low);
      low = hn::Neg(low);
      const auto range = hn::IfThenElseZero(hn::Gt(high, low), hn::Sub(high, low));
      const FloatsV scale = hn::Div(range, hn::Set(d, kMost));
      StoreFp16(scale, seen, scales + k);
      StoreFp16(low, seen, minima + k);
      hn::Store(Reciprocal(scale), d, factors + k);
    }
    if (!AreWithinFp16(seen)) return false;
    for (std::size_t k = 0; k < blocks; ++k, out += kFifthBit ? 24 : 20) {
      prefetch_ahead(x, i + k * kValues, kValues, count);
      PutTwoBytes(scales[k], out);
      PutTwoBytes(minima[k], out + 2);
      const auto factor = hn::Set(d, factors[k]);
      const auto least = hn::Set(d, -ends[2 * k + 1]);
      PutCodes<kFifthBit>(x + i + k * kValues, out + 4, [&](FloatsV v) ZEROPOINT_INLINED {
        const auto sum = hn::Add(hn::Mul(hn::Sub(v, least), factor), half);
        return hn::Min(hn::ConvertTo(di, sum), last);
      });
    }
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

ZEROPOINT_BLOCK_EXPORT(q8_0, Q8_0)
ZEROPOINT_BLOCK_EXPORT(q4_0, Q4_0)
ZEROPOINT_BLOCK_EXPORT(q4_1, Q4_1)
ZEROPOINT_BLOCK_EXPORT(q5_0, Q5_0)
ZEROPOINT_BLOCK_EXPORT(q5_1, Q5_1)

}  // namespace zeropoint
#endif
