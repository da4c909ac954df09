// Spans of floats to codes and back. Compiled once for each instruction set by Highway; the best is
// chosen at run time.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/random.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/float_codes.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "zeropoint/formats/float_format.hpp"

#include "core/count_if-inl.hpp"
#include "core/prefetch.hpp"
#include "core/vector_target.hpp"
#include "formats/float_coder.hpp"
#include "formats/float_constants.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using WordsV = hn::Vec<Words>;

// The codes of one vector of floats: encode() by arithmetic on their bits, ties to even.
HWY_INLINE WordsV EncodeVector(const EncodeConstants& c, hn::Vec<Floats> x, WordsV& clipped) {
  const Words d;
  const Floats df;
  const WordsV bits = hn::BitCast(d, x);
  const WordsV magnitude = hn::And(bits, hn::Set(d, 0x7FFFFFFF));
  // Normal numbers: the exponent's bias is changed, the fraction rounded. A carry moves on.
  const WordsV unrounded = hn::ShiftRightSame(magnitude, c.drop);
  const WordsV odd = hn::And(unrounded, hn::Set(d, 1));
  const WordsV rounded =
      hn::ShiftRightSame(hn::Add(hn::Add(magnitude, hn::Set(d, c.half_less_one)), odd), c.drop);
  WordsV code = hn::Sub(rounded, hn::Set(d, c.rebias));
  // Subnormal ones: adding a power of two whose step is theirs rounds them.
  const auto magic = hn::Set(df, c.magic);
  const WordsV small =
      hn::Sub(hn::BitCast(d, hn::Add(hn::BitCast(df, magnitude), magic)), hn::BitCast(d, magic));
  code = hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, c.smallest_normal)), small, code);

  WordsV sign = hn::ShiftRightSame(hn::AndNot(hn::Set(d, 0x7FFFFFFF), bits), c.sign_shift);
  const auto is_nan = hn::Gt(magnitude, hn::Set(d, 0x7F800000));
  const auto is_over = hn::Gt(code, hn::Set(d, c.largest));
  const auto is_infinite = hn::Eq(magnitude, hn::Set(d, 0x7F800000));
  clipped = hn::Sub(clipped, hn::VecFromMask(d, hn::AndNot(hn::Or(is_nan, is_infinite), is_over)));
  code = hn::IfThenElse(is_over, hn::Set(d, c.over), code);
  const WordsV payload = hn::And(unrounded, hn::Set(d, c.payload_mask));
  code = hn::IfThenElse(is_nan, hn::Or(hn::Set(d, c.nan), payload), code);
  // Where the sign does not count: fnuz's zero and NaN; a format without NaN turns it around.
  const auto no_sign =
      hn::Or(hn::And(is_over, hn::Ne(hn::Set(d, c.over_unsigned), hn::Zero(d))),
             hn::And(hn::Eq(code, hn::Zero(d)), hn::Ne(hn::Set(d, c.zero_unsigned), hn::Zero(d))));
  sign = hn::IfThenElse(
      is_nan, hn::And(hn::Xor(sign, hn::Set(d, c.nan_sign_flip)), hn::Set(d, c.nan_sign_mask)),
      hn::IfThenZeroElse(no_sign, sign));
  return hn::Or(code, sign);
}

// The same of numbers that are all finite, for formats of up to 16 bits whose exponents are fewer
// than float32's: the lower 16 bits of the codes, without signs. A power of two whose last bit
// counts as a code's does is added, so that the sum's last bits are the fraction with its leading 1
// (of subnormal numbers, without), to which the exponent is added.
HWY_INLINE WordsV EncodePlain(const EncodeConstants& c, WordsV magnitude) {
  const Words d;
  const Floats df;
  const WordsV at_least = hn::Max(magnitude, hn::Set(d, c.least_exponent));
  const WordsV exponent = hn::And(at_least, hn::Set(d, 0x7F800000));
  const auto step = hn::BitCast(df, hn::Add(exponent, hn::Set(d, c.step)));
  const WordsV sum = hn::BitCast(d, hn::Add(hn::BitCast(df, magnitude), step));
  return hn::Add(sum, hn::ShiftRightSame(exponent, c.drop));
}

// And where the format has all of float32's exponents.
HWY_INLINE WordsV EncodeWide(const EncodeConstants& c, WordsV magnitude) {
  const Words d;
  const WordsV odd = hn::And(hn::ShiftRightSame(magnitude, c.drop), hn::Set(d, 1));
  const WordsV sum = hn::Add(hn::Add(magnitude, hn::Set(d, c.half_less_one)), odd);
  return hn::Sub(hn::ShiftRightSame(sum, c.drop), hn::Set(d, c.rebias));
}

// Four vectors of codes.
template <class Code>
HWY_INLINE void StoreFour(WordsV a, WordsV b, WordsV c, WordsV e, Code* to) {
  const Words d;
  const std::size_t lanes = hn::Lanes(d);
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(Code) < 4) {
    const hn::Repartition<std::uint16_t, Words> dh;
    const auto low = hn::ConcatEven(dh, hn::BitCast(dh, b), hn::BitCast(dh, a));
    const auto high = hn::ConcatEven(dh, hn::BitCast(dh, e), hn::BitCast(dh, c));
    if constexpr (sizeof(Code) == 2) {
      hn::StoreU(low, dh, to);
      hn::StoreU(high, dh, to + 2 * lanes);
    } else {
      const hn::Repartition<std::uint8_t, Words> db;
      hn::StoreU(hn::ConcatEven(db, hn::BitCast(db, high), hn::BitCast(db, low)), db, to);
    }
    return;
  }
#endif
  const hn::Rebind<Code, Words> dc;
  const auto put = [&](WordsV code, std::size_t part) HWY_ATTR {
    if constexpr (sizeof(Code) == 4) {
      hn::StoreU(code, d, to + part * lanes);
    } else {
      hn::StoreU(hn::TruncateTo(dc, code), dc, to + part * lanes);
    }
  };
  put(a, 0);
  put(b, 1);
  put(c, 2);
  put(e, 3);
}

// One way to encode, as the compiler sees it.
template <bool kWide, bool kZeroUnsigned>
struct PlainWay {
  static HWY_INLINE WordsV Code(const EncodeConstants& c, WordsV bits, WordsV& clipped) {
    const Words d;
    const hn::RebindToSigned<Words> di;
    const WordsV magnitude = hn::And(bits, hn::Set(d, 0x7FFFFFFF));
    WordsV code = kWide ? EncodeWide(c, magnitude) : EncodePlain(c, magnitude);
    const auto limit = hn::Set(di, static_cast<std::int32_t>(c.over_limit));
    const auto is_over = hn::RebindMask(d, hn::Gt(hn::BitCast(di, magnitude), limit));
    clipped = hn::BitCast(d, CountIf(di, hn::RebindMask(di, is_over), hn::BitCast(di, clipped)));
    code = hn::IfThenElse(is_over, hn::Set(d, c.over), code);
    WordsV sign = hn::And(hn::ShiftRightSame(bits, c.sign_shift), hn::Set(d, c.sign_bit));
    if constexpr (kZeroUnsigned) {
      const auto zero = hn::Set(di, static_cast<std::int32_t>(c.zero_limit));
      const auto is_more = hn::RebindMask(d, hn::Gt(hn::BitCast(di, magnitude), zero));
      sign = hn::IfThenElseZero(is_more, sign);
    }
    return hn::Or(code, sign);
  }
};

template <class Way, bool kMultiplies, class Code>
std::size_t EncodeIn(const EncodeConstants& c, const float* HWY_RESTRICT x, std::size_t count,
                     Code* HWY_RESTRICT codes) {
  const Floats df;
  const Words d;
  const hn::Rebind<Code, Words> dc;
  const std::size_t lanes = hn::Lanes(d);
  const auto factor = hn::Set(df, c.factor);
  WordsV clipped = hn::Zero(d);
  std::size_t i = 0;
  const auto scaled = [&](const float* from) HWY_ATTR {
    const auto v = hn::LoadU(df, from);
    return kMultiplies ? hn::Mul(v, factor) : hn::Div(v, factor);
  };
  const auto put = [&](const float* from, Code* to) HWY_ATTR {
    const WordsV code = EncodeVector(c, scaled(from), clipped);
    if constexpr (sizeof(Code) == 4) {
      hn::StoreU(code, d, to);
    } else {
      hn::StoreU(hn::TruncateTo(dc, code), dc, to);
    }
  };
  const hn::RebindToSigned<Words> di;
  const auto infinity = hn::Set(di, 0x7F800000);
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count + c.ahead);
    if (c.is_plain) {
      const WordsV v0 = hn::BitCast(d, scaled(x + i)), v1 = hn::BitCast(d, scaled(x + i + lanes)),
                   v2 = hn::BitCast(d, scaled(x + i + 2 * lanes)),
                   v3 = hn::BitCast(d, scaled(x + i + 3 * lanes));
      // A finite number's exponent is not all ones.
      const auto is_special = [&](WordsV v) HWY_ATTR {
        return hn::Eq(hn::BitCast(di, hn::And(v, hn::Set(d, 0x7F800000))), infinity);
      };
      const auto any =
          hn::Or(hn::Or(is_special(v0), is_special(v1)), hn::Or(is_special(v2), is_special(v3)));
      if (HWY_LIKELY(hn::AllFalse(di, any))) {
        const WordsV c0 = Way::Code(c, v0, clipped), c1 = Way::Code(c, v1, clipped),
                     c2 = Way::Code(c, v2, clipped), c3 = Way::Code(c, v3, clipped);
        StoreFour(c0, c1, c2, c3, codes + i);
        continue;
      }
    }
    for (std::size_t part = 0; part < 4; ++part)
      put(x + i + part * lanes, codes + i + part * lanes);
  }
  for (; i + lanes <= count; i += lanes) put(x + i, codes + i);
  if (i < count) {
    HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)] = {};
    HWY_ALIGN Code rest_codes[HWY_MAX_BYTES / sizeof(float)];
    std::copy(x + i, x + count, rest);
    put(rest, rest_codes);
    std::copy(rest_codes, rest_codes + (count - i), codes + i);
  }
  HWY_ALIGN std::uint32_t counts[HWY_MAX_BYTES / sizeof(std::uint32_t)];
  hn::Store(clipped, d, counts);
  std::size_t sum = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) sum += counts[lane];
  return sum;
}

template <class Code>
std::size_t EncodeBy(const EncodeConstants& c, const float* x, std::size_t n, Code* codes) {
  if (c.has_all_exponents || sizeof(Code) == 4) {
    using Wide = PlainWay<true, false>;
    if (c.zero_unsigned == 0 && c.has_all_exponents) {
      return c.multiplies ? EncodeIn<Wide, true>(c, x, n, codes)
                          : EncodeIn<Wide, false>(c, x, n, codes);
    }
    EncodeConstants careful = c;  // as few are
    careful.is_plain = false;
    return c.multiplies ? EncodeIn<Wide, true>(careful, x, n, codes)
                        : EncodeIn<Wide, false>(careful, x, n, codes);
  }
  if (c.zero_unsigned != 0) {
    using Way = PlainWay<false, true>;
    return c.multiplies ? EncodeIn<Way, true>(c, x, n, codes)
                        : EncodeIn<Way, false>(c, x, n, codes);
  }
  using Way = PlainWay<false, false>;
  return c.multiplies ? EncodeIn<Way, true>(c, x, n, codes) : EncodeIn<Way, false>(c, x, n, codes);
}

// A number's bits, its exponent's bias changed; of subnormal ones, the number of smallest ones.
template <class Code>
void DecodeBits(const DecodeConstants& c, const Code* HWY_RESTRICT codes, std::size_t count,
                float* HWY_RESTRICT x) {
  const Floats df;
  const Words d;
  const hn::RebindToSigned<Words> di;
  const hn::Rebind<Code, Words> dc;
  const std::size_t lanes = hn::Lanes(d);
  const auto scale = hn::Set(df, c.scale);
  const auto signed_of = [&](std::uint32_t word)
                             HWY_ATTR { return hn::Set(di, static_cast<std::int32_t>(word)); };
  const auto number = [&](WordsV code) HWY_ATTR {
    const WordsV magnitude = hn::And(code, hn::Set(d, c.magnitude_mask));
    const auto m = hn::BitCast(di, magnitude);
    const WordsV moved = hn::ShiftLeftSame(magnitude, c.shift);
    const auto small = hn::Mul(hn::ConvertTo(df, m), hn::Set(df, c.smallest));
    const auto is_small = hn::RebindMask(d, hn::Lt(m, signed_of(c.smallest_normal)));
    WordsV bits =
        hn::IfThenElse(is_small, hn::BitCast(d, small), hn::Add(moved, hn::Set(d, c.rebias)));
    // What is no number takes float32's own exponent for such.
    const auto is_number = hn::RebindMask(d, hn::Lt(m, signed_of(c.special_from)));
    bits = hn::IfThenElse(is_number, bits, hn::Or(moved, hn::Set(d, 0x7F800000)));
    const auto is_lone = hn::RebindMask(d, hn::Eq(hn::BitCast(di, code), signed_of(c.lone_nan)));
    bits = hn::IfThenElse(is_lone, hn::Set(d, 0x7FC00000), bits);
    const WordsV sign =
        hn::ShiftLeftSame(hn::AndNot(hn::Set(d, c.magnitude_mask), code), c.sign_shift);
    return hn::Mul(hn::BitCast(df, hn::Or(bits, sign)), scale);
  };
  const auto one_vector = [&](std::size_t at) HWY_ATTR {
    if constexpr (sizeof(Code) == 4) {
      hn::StoreU(number(hn::LoadU(d, codes + at)), df, x + at);
    } else {
      hn::StoreU(number(hn::PromoteTo(d, hn::LoadU(dc, codes + at))), df, x + at);
    }
  };
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);
    for (std::size_t part = 0; part < 4; ++part) one_vector(i + part * lanes);
  }
  for (; i + lanes <= count; i += lanes) one_vector(i);
  if (i < count) {
    HWY_ALIGN Code rest[HWY_MAX_BYTES / sizeof(float)] = {};
    HWY_ALIGN float numbers[HWY_MAX_BYTES / sizeof(float)];
    std::copy(codes + i, codes + count, rest);
    const auto code = [&] HWY_ATTR {
      if constexpr (sizeof(Code) == 4) {
        return hn::Load(d, rest);
      } else {
        return hn::PromoteTo(d, hn::LoadU(dc, rest));
      }
    };
    hn::Store(number(code()), df, numbers);
    std::copy(numbers, numbers + (count - i), x + i);
  }
}

// One exported name for each code type: Highway's dispatch table takes plain functions.
#define ZEROPOINT_FOR_CODE(Name, Code)                                                          \
  std::size_t Encode##Name(const EncodeConstants& c, const float* x, std::size_t n, Code* to) { \
    return EncodeBy(c, x, n, to);                                                               \
  }                                                                                             \
  void Decode##Name(const DecodeConstants& c, const Code* codes, std::size_t n, float* x) {     \
    DecodeBits(c, codes, n, x);                                                                 \
  }
ZEROPOINT_FOR_CODE(U8, std::uint8_t)
ZEROPOINT_FOR_CODE(U16, std::uint16_t)
ZEROPOINT_FOR_CODE(U32, std::uint32_t)
#undef ZEROPOINT_FOR_CODE

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(EncodeU8);
HWY_EXPORT(EncodeU16);
HWY_EXPORT(EncodeU32);
HWY_EXPORT(DecodeU8);
HWY_EXPORT(DecodeU16);
HWY_EXPORT(DecodeU32);

namespace {

constexpr std::size_t kGrain = 1 << 16;

// Bits as EncodeVector and DecodeBits take them; other formats go number by number.
bool has_vector_encoding(const FloatFormat& f) {
  return f.specials != FloatSpecials::scale && f.fraction_bits >= 1 && f.fraction_bits < 23 &&
         (f.bias() < 127 || f.specials == FloatSpecials::ieee);
}
bool has_vector_decoding(const FloatFormat& f) {
  if (f.fraction_bits >= 23 || f.bias() > 127) return false;
  // Below float32's own bias, every code is a float32 number.
  return f.specials == FloatSpecials::ieee || (f.has_sign() && f.bias() < 127);
}

template <class Code>
void check_spans(const FloatFormat& format, std::size_t reals, std::size_t codes) {
  if (reals != codes) {
    throw InputError(fmt::format("{}: expected as many codes as numbers, found {} and {}",
                                 format.name, codes, reals));
  }
  if (format.bits() > std::numeric_limits<Code>::digits) {
    throw InputError(fmt::format("{}: expected codes of a type that holds {} bits, found {}",
                                 format.name, format.bits(), std::numeric_limits<Code>::digits));
  }
}

template <class Code>
auto encode_kernel() {
  choose_vector_target();
  if constexpr (sizeof(Code) == 1) return HWY_DYNAMIC_DISPATCH(EncodeU8);
  if constexpr (sizeof(Code) == 2) return HWY_DYNAMIC_DISPATCH(EncodeU16);
  if constexpr (sizeof(Code) == 4) return HWY_DYNAMIC_DISPATCH(EncodeU32);
}

template <class Code>
auto decode_kernel() {
  choose_vector_target();
  if constexpr (sizeof(Code) == 1) return HWY_DYNAMIC_DISPATCH(DecodeU8);
  if constexpr (sizeof(Code) == 2) return HWY_DYNAMIC_DISPATCH(DecodeU16);
  if constexpr (sizeof(Code) == 4) return HWY_DYNAMIC_DISPATCH(DecodeU32);
}

template <class Code>
std::size_t encode_one_by_one(const FloatFormat& format, const float* x, std::size_t count,
                              Code* codes, const FloatEncoding& how, std::uint64_t first) {
  UniformFloats uniform(how.seed);
  const float reciprocal = 1 / how.scale;
  std::size_t clipped = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float v = how.multiplies ? x[i] * reciprocal : x[i] / how.scale;
    bool is_beyond = false;
    auto code = encode_noting(format, v, how.overflow, how.rounding, &is_beyond);
    if (how.rounding == Rounding::stochastic) {
      code = encode_stochastic(format, v, uniform.at(how.first + first + i), how.overflow);
    }
    codes[i] = static_cast<Code>(code);
    clipped += is_beyond ? 1 : 0;
  }
  return clipped;
}

// A finite number that float32 does not hold is its largest.
float within_float32(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::isfinite(value) ? std::clamp(value, -kLargest, kLargest) : value);
}

}  // namespace

template <class Code>
FloatEncoder<Code>::FloatEncoder(const FloatFormat& format, const FloatEncoding& how)
    : format_(&format), how_(how) {
  if (!std::isnormal(how.scale) || how.scale < 0) {
    throw InputError(fmt::format("{}: expected a positive normal number as scale, found {}",
                                 format.name, how.scale));
  }
  if (!has_vector_encoding(format) || how.rounding != Rounding::half_even) return;
  constants_ = encode_constants(format, how);
  kernel_ = encode_kernel<Code>();
}

template <class Code>
std::size_t FloatEncoder<Code>::operator()(const float* x, std::size_t count, Code* codes,
                                           std::uint64_t first, std::size_t ahead) const {
  if (kernel_ != nullptr && ahead != 0) {
    EncodeConstants constants = constants_;
    constants.ahead = ahead;
    return kernel_(constants, x, count, codes);
  }
  return kernel_ != nullptr ? kernel_(constants_, x, count, codes)
                            : encode_one_by_one(*format_, x, count, codes, how_, first);
}

template <class Code>
FloatDecoder<Code>::FloatDecoder(const FloatFormat& format) : format_(&format) {
  if (has_vector_decoding(format)) {
    constants_ = decode_constants(format, 1);
    kernel_ = decode_kernel<Code>();
  } else if (format.bits() <= 8) {
    for (std::uint32_t code = 0; code >> format.bits() == 0; ++code) {
      numbers_.push_back(decode(format, code).value);
    }
  }
}

template <class Code>
void FloatDecoder<Code>::operator()(const Code* codes, std::size_t count, float scale,
                                    float* x) const {
  if (kernel_ == nullptr) {
    for (std::size_t i = 0; i < count; ++i) {
      const double number =
          numbers_.empty() ? decode(*format_, codes[i]).value : numbers_[codes[i]];
      x[i] = within_float32(number * scale);
    }
    return;
  }
  DecodeConstants scaled = constants_;
  scaled.scale = scale;
  kernel_(scaled, codes, count, x);
  if (largest(*format_) * scale <= double{std::numeric_limits<float>::max()}) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isinf(x[i])) x[i] = within_float32(decode(*format_, codes[i]).value * scale);
  }
}

template <class Code>
std::size_t encode(const FloatFormat& format, std::span<const float> x, std::span<Code> codes,
                   const FloatEncoding& how) {
  check_spans<Code>(format, x.size(), codes.size());
  const FloatEncoder<Code> encoder(format, how);
  std::atomic<std::size_t> clipped{0};
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    clipped += encoder(x.data() + begin, end - begin, codes.data() + begin, begin);
  });
  return clipped;
}

template <class Code>
void decode(const FloatFormat& format, std::span<const Code> codes, std::span<float> x,
            float scale) {
  check_spans<Code>(format, x.size(), codes.size());
  const FloatDecoder<Code> decoder(format);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    decoder(codes.data() + begin, end - begin, scale, x.data() + begin);
  });
}

#define ZEROPOINT_INSTANTIATE(Code)                                                              \
  template class FloatEncoder<Code>;                                                             \
  template class FloatDecoder<Code>;                                                             \
  template std::size_t encode<Code>(const FloatFormat&, std::span<const float>, std::span<Code>, \
                                    const FloatEncoding&);                                       \
  template void decode<Code>(const FloatFormat&, std::span<const Code>, std::span<float>, float);
ZEROPOINT_INSTANTIATE(std::uint8_t)
ZEROPOINT_INSTANTIATE(std::uint16_t)
ZEROPOINT_INSTANTIATE(std::uint32_t)
#undef ZEROPOINT_INSTANTIATE

}  // namespace zeropoint
#endif
