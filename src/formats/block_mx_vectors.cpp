// OCP's and NVIDIA's blocks by vector code, bit for bit as block_mx.cpp has them. Compiled once for
// each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/block_mx_vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/block_bits.hpp"
#include "formats/block_export.hpp"
#include "formats/block_packing-inl.hpp"
#include "formats/block_rows.hpp"
#include "formats/block_vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR

// An int8 in units of 1/64.
struct IntElement {
  static constexpr int kBits = 8;
  static constexpr int kFraction = 6;
  static constexpr int kPower = 0;
  static constexpr std::uint32_t kLargestBits = std::bit_cast<std::uint32_t>(127.0F / 64);

  static HWY_INLINE WordsV Code(FloatsV v) {
    const Floats df;
    const FloatsV most = hn::Set(df, 127.0F);
    const FloatsV steps = hn::Mul(v, hn::Set(df, 64.0F));
    const FloatsV kept = hn::Min(hn::Max(steps, hn::Neg(most)), most);
    return hn::BitCast(Words(), hn::NearestInt(kept));
  }
  static HWY_INLINE FloatsV NumberAt(const std::uint8_t* codes) {
    const Floats df;
    return hn::Mul(hn::ConvertTo(df, LoadSignedCodes(codes)), hn::Set(df, 1.0F / 64));
  }
};

using E5m2 = FloatElement<FloatBits<5, 2, FloatSpecials::ieee>>;
using E3m2 = FloatElement<FloatBits<3, 2, FloatSpecials::finite>>;
using E2m3 = FloatElement<FloatBits<2, 3, FloatSpecials::finite>>;
using E2m1 = FloatElement<FloatBits<2, 1, FloatSpecials::finite>>;

// How a rule gets a power of two from the bits of a magnitude: what is added to them before the
// exponent is read, and the fraction above which it is one more.
struct RuleBits {
  std::int32_t added, threshold;
};

template <class E>
RuleBits BitsOf(ScaleRule rule) {
  constexpr std::int32_t kNever = 0x007FFFFF;
  switch (rule) {
    case ScaleRule::ceil:
      return {0, 0};
    case ScaleRule::even:
      return {1 << (22 - E::kFraction), kNever};
    case ScaleRule::rceil:
      return {0, static_cast<std::int32_t>(E::kLargestBits & 0x007FFFFF)};
    case ScaleRule::floor:
      break;
  }
  return {0, kNever};
}

// The E8M0 bytes of a batch: what block_mx.cpp's shared_power() says; and by which power of two the
// values are multiplied. False if a magnitude is not finite.
template <class E>
HWY_INLINE bool ScalesOf(std::int32_t* HWY_RESTRICT most, std::size_t blocks, RuleBits rule,
                         float* HWY_RESTRICT factors) {
  const Ints di;
  const Floats d;
  const IntsV one = hn::Set(di, 1);
  const IntsV fraction = hn::Set(di, 0x007FFFFF);
  IntsV seen = hn::Zero(di);
  for (std::size_t k = 0; k < blocks; k += hn::Lanes(di)) {
    const IntsV given = hn::Load(di, most + k);
    seen = hn::Max(seen, given);
    // A subnormal number is moved up once. What stays below the smallest power gets byte 0.
    const auto is_small = hn::Lt(given, hn::Set(di, 0x00800000));
    const IntsV bits = hn::IfThenElse(is_small, hn::Add(given, given), given);
    const IntsV exponent = hn::ShiftRight<23>(hn::Add(bits, hn::Set(di, rule.added)));
    const auto is_more = hn::Gt(hn::And(bits, fraction), hn::Set(di, rule.threshold));
    const IntsV more = hn::Sub(hn::IfThenElseZero(is_more, one), hn::IfThenElseZero(is_small, one));
    const IntsV power = hn::Sub(hn::Add(exponent, more), hn::Set(di, E::kPower));
    const IntsV byte = hn::Min(hn::Max(power, hn::Zero(di)), hn::Set(di, 254));
    const IntsV inverse = hn::ShiftLeft<23>(hn::Sub(hn::Set(di, 254), byte));
    const IntsV factor = hn::Max(inverse, hn::Set(di, 0x00400000));  // 2^-127 is subnormal
    hn::Store(byte, di, most + k);
    hn::Store(hn::BitCast(d, factor), d, factors + k);
  }
  return AreFinite(seen);
}

template <class E>
bool EncodeMx(const float* HWY_RESTRICT x, std::size_t count, const BlockOptions& options,
              std::uint8_t* HWY_RESTRICT out) {
  if (options.rounding != Rounding::half_even) return false;
  const Floats d;
  const RuleBits rule = BitsOf<E>(options.scale_rule);
  HWY_ALIGN std::int32_t most[kBatch];  // then the scales' bytes
  HWY_ALIGN float factors[kBatch];
  HWY_ALIGN std::uint8_t codes[kValues];
  for (std::size_t i = 0; i < count; i += kBatch * kValues) {
    const std::size_t blocks = std::min(kBatch, (count - i) / kValues);
    StoreMagnitudes<kValues>(x + i, blocks, most);
    if (!ScalesOf<E>(most, blocks, rule, factors)) return false;
    for (std::size_t k = 0; k < blocks; ++k, out += 1 + 4 * E::kBits) {
      prefetch_ahead(x, i + k * kValues, kValues, count);
      // A power of two: as the division by its reciprocal is.
      const auto factor = hn::Set(d, factors[k]);
      out[0] = static_cast<std::uint8_t>(most[k]);
      StoreCodes(x + i + k * kValues, codes, [&](FloatsV v, std::size_t) ZEROPOINT_INLINED {
        return E::Code(hn::Mul(v, factor));
      });
      PutElements<E::kBits>(codes, out + 1);
    }
  }
  return true;
}

template <class E>
bool DecodeMx(const std::uint8_t* HWY_RESTRICT in, std::size_t count, float* HWY_RESTRICT x) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN std::uint8_t unpacked[kValues];
  for (std::size_t i = 0; i < count; i += kValues, in += 1 + 4 * E::kBits) {
    prefetch_ahead(x, i, kValues, count);
    const auto scale = hn::Set(d, e8m0_number(in[0]));
    const std::uint8_t* codes = GetElements<E::kBits>(in, unpacked);
    for (std::size_t j = 0; j < kValues; j += lanes) {
      hn::StoreU(hn::Mul(E::NumberAt(codes + j), scale), d, x + i + j);
    }
  }
  return true;
}

constexpr std::size_t kNvBlock = 16;
constexpr std::size_t kNvBytes = 9;

// The e4m3 bytes of a batch, and the scales. False if a magnitude is not finite.
HWY_INLINE bool NvScalesOf(std::int32_t* HWY_RESTRICT most, std::size_t blocks, float tensor_scale,
                           float* HWY_RESTRICT scales) {
  const Ints di;
  const Floats d;
  const auto whole = hn::Set(d, tensor_scale);
  IntsV seen = hn::Zero(di);
  for (std::size_t k = 0; k < blocks; k += hn::Lanes(di)) {
    const IntsV given = hn::Load(di, most + k);
    seen = hn::Max(seen, given);
    const auto wanted = hn::Div(hn::Div(hn::BitCast(d, given), hn::Set(d, 6.0F)), whole);
    const IntsV byte = hn::And(hn::BitCast(di, E4m3::Code(wanted)), hn::Set(di, 0xFF));
    hn::Store(byte, di, most + k);
    hn::Store(hn::Mul(E4m3::Number(byte), whole), d, scales + k);
  }
  return AreFinite(seen);
}

// Codes of one block, or of two at once.
HWY_INLINE void PutNvCodes(const float* HWY_RESTRICT x, const float* scales, std::size_t blocks,
                           std::uint8_t* HWY_RESTRICT out) {
  const Floats d;
  HWY_ALIGN std::uint8_t codes[kValues];
  HWY_ALIGN std::uint8_t packed[kNvBlock];
  const auto first_scale = hn::Set(d, scales[0]);
  const auto second_scale = hn::Set(d, scales[blocks - 1]);
  StoreCodes(x, codes, [&](FloatsV v, std::size_t first) ZEROPOINT_INLINED {
    return E2m1::Code(hn::Div(v, first < kNvBlock ? first_scale : second_scale));
  });
  hn::Store(PackNibbles(codes), Bytes(), packed);
  for (std::size_t k = 0; k < blocks; ++k) {
    // A scale of 0 leaves nothing of its block.
    if (scales[k] == 0) std::memset(packed + 8 * k, 0, 8);
    std::memcpy(out + kNvBytes * k + 1, packed + 8 * k, 8);
  }
}

bool EncodeNvfp4(const float* HWY_RESTRICT x, std::size_t count, const BlockOptions&,
                 float tensor_scale, std::uint8_t* HWY_RESTRICT out) {
  HWY_ALIGN std::int32_t most[kBatch];  // then the scales' bytes
  HWY_ALIGN float scales[kBatch];
  for (std::size_t i = 0; i < count; i += kBatch * kNvBlock) {
    const std::size_t blocks = std::min(kBatch, (count - i) / kNvBlock);
    StoreMagnitudes<kNvBlock>(x + i, blocks, most);
    if (!NvScalesOf(most, blocks, tensor_scale, scales)) return false;
    for (std::size_t k = 0; k < blocks; ++k) out[k * kNvBytes] = static_cast<std::uint8_t>(most[k]);
    std::size_t k = 0;
    for (; k + 2 <= blocks; k += 2, out += 2 * kNvBytes) {
      prefetch_ahead(x, i + k * kNvBlock, kValues, count);
      PutNvCodes(x + i + k * kNvBlock, scales + k, 2, out);
    }
    if (k == blocks) continue;
    float last[kValues] = {};
    std::copy_n(x + i + k * kNvBlock, kNvBlock, last);
    PutNvCodes(last, scales + k, 1, out);
  }
  return true;
}

bool DecodeNvfp4(const std::uint8_t* HWY_RESTRICT in, std::size_t count, float tensor_scale,
                 float* HWY_RESTRICT x) {
  const Floats d;
  const Bytes db;
  const hn::Half<Bytes> half;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN std::uint8_t codes[kNvBlock];
  for (std::size_t i = 0; i < count; i += kNvBlock, in += kNvBytes) {
    prefetch_ahead(x, i, kNvBlock, count);
    const std::uint32_t magnitude = in[0] & 0x7FU;
    const float number =
        magnitude > E4m3Bits::kLargestCode ? e8m0_number(255) : E4m3Bits::number(magnitude);
    const auto scale = hn::Set(d, (in[0] >= 0x80 ? -number : number) * tensor_scale);
    StoreNibbles<2>(hn::ZeroExtendVector(db, hn::LoadU(half, in + 1)), codes);
    for (std::size_t j = 0; j < kNvBlock; j += lanes) {
      hn::StoreU(hn::Mul(E2m1::NumberAt(codes + j), scale), d, x + i + j);
    }
  }
  return true;
}

std::uint32_t LargestOfAll(const float* HWY_RESTRICT x, std::size_t count) {
  std::uint32_t most = 0;
  std::size_t i = 0;
  for (; i + 16 * kValues <= count; i += 16 * kValues) {
    most = std::max(most, LargestBits(x + i, 16 * kValues));
  }
  for (; i < count; ++i) most = std::max(most, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFF);
  return most;
}

#define ZEROPOINT_MX(Name, Element)                                                        \
  bool Encode##Name(const float* x, std::size_t count, const BlockOptions& options, float, \
                    std::uint8_t* out) {                                                   \
    return EncodeMx<Element>(x, count, options, out);                                      \
  }                                                                                        \
  bool Decode##Name(const std::uint8_t* in, std::size_t count, float, float* x) {          \
    return DecodeMx<Element>(in, count, x);                                                \
  }
ZEROPOINT_MX(Mxfp8, E4m3)
ZEROPOINT_MX(Mxfp8E5m2, E5m2)
ZEROPOINT_MX(Mxfp6, E3m2)
ZEROPOINT_MX(Mxfp6E2m3, E2m3)
ZEROPOINT_MX(Mxfp4, E2m1)
ZEROPOINT_MX(Mxint8, IntElement)
#undef ZEROPOINT_MX

#else  // HWY_SCALAR: left to the definition
#define ZEROPOINT_MX(Name)                                                                  \
  bool Encode##Name(const float*, std::size_t, const BlockOptions&, float, std::uint8_t*) { \
    return false;                                                                           \
  }                                                                                         \
  bool Decode##Name(const std::uint8_t*, std::size_t, float, float*) { return false; }
ZEROPOINT_MX(Mxfp8)
ZEROPOINT_MX(Mxfp8E5m2)
ZEROPOINT_MX(Mxfp6)
ZEROPOINT_MX(Mxfp6E2m3)
ZEROPOINT_MX(Mxfp4)
ZEROPOINT_MX(Mxint8)
ZEROPOINT_MX(Nvfp4)
#undef ZEROPOINT_MX
std::uint32_t LargestOfAll(const float* x, std::size_t count) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    most = std::max(most, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFF);
  }
  return most;
}
#endif

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

ZEROPOINT_BLOCK_EXPORT(mxfp8, Mxfp8)
ZEROPOINT_BLOCK_EXPORT(mxfp8_e5m2, Mxfp8E5m2)
ZEROPOINT_BLOCK_EXPORT(mxfp6, Mxfp6)
ZEROPOINT_BLOCK_EXPORT(mxfp6_e2m3, Mxfp6E2m3)
ZEROPOINT_BLOCK_EXPORT(mxfp4, Mxfp4)
ZEROPOINT_BLOCK_EXPORT(mxint8, Mxint8)
ZEROPOINT_BLOCK_EXPORT(nvfp4, Nvfp4)

HWY_EXPORT(LargestOfAll);
std::uint32_t largest_magnitude_bits(const float* x, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(LargestOfAll)(x, count);
}

}  // namespace zeropoint
#endif
