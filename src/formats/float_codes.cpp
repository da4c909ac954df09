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

#include "core/prefetch.hpp"
#include "core/vector_target.hpp"
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

template <class Code>
std::size_t EncodeIn(const EncodeConstants& c, const float* HWY_RESTRICT x, std::size_t count,
                     Code* HWY_RESTRICT codes) {
  const Floats df;
  const Words d;
  const hn::Rebind<Code, Words> dc;
  const std::size_t lanes = hn::Lanes(d);
  const auto factor = hn::Set(df, c.factor);
  WordsV clipped = hn::Zero(d);
  std::size_t i = 0;
  const auto put = [&](const float* from, Code* to) HWY_ATTR {
    const auto v = hn::LoadU(df, from);
    const auto scaled = c.multiplies ? hn::Mul(v, factor) : hn::Div(v, factor);
    const WordsV code = EncodeVector(c, scaled, clipped);
    if constexpr (sizeof(Code) == 4) {
      hn::StoreU(code, d, to);
    } else {
      hn::StoreU(hn::TruncateTo(dc, code), dc, to);
    }
  };
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);
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
  return static_cast<std::size_t>(hn::GetLane(hn::SumOfLanes(d, clipped)));
}

// Up to 8 bits: the numbers of all codes, scaled, from a table.
void DecodeTable(const float* HWY_RESTRICT table, const std::uint8_t* HWY_RESTRICT codes,
                 std::size_t count, float* HWY_RESTRICT x) {
  const Floats df;
  const hn::RebindToSigned<Floats> di;
  const hn::Rebind<std::uint8_t, Floats> dc;
  const std::size_t lanes = hn::Lanes(df);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto index = hn::PromoteTo(di, hn::LoadU(dc, codes + i));
    hn::StoreU(hn::GatherIndex(df, table, index), df, x + i);
  }
  for (; i < count; ++i) x[i] = table[codes[i]];
}

// The bits of a number whose exponent has another bias are those of the number times a power of
// two, its subnormals included.
template <class Code>
std::size_t DecodeBits(const DecodeConstants& c, const Code* HWY_RESTRICT codes, std::size_t count,
                       float* HWY_RESTRICT x) {
  const Floats df;
  const Words d;
  const hn::Rebind<Code, Words> dc;
  const std::size_t lanes = hn::Lanes(d);
  const auto scale = hn::Set(df, c.scale);
  const auto rebias = hn::Set(df, c.rebias);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    WordsV code;
    if constexpr (sizeof(Code) == 4) {
      code = hn::LoadU(d, codes + i);
    } else {
      code = hn::PromoteTo(d, hn::LoadU(dc, codes + i));
    }
    const WordsV magnitude = hn::And(code, hn::Set(d, c.magnitude_mask));
    const WordsV sign =
        hn::ShiftLeftSame(hn::AndNot(hn::Set(d, c.magnitude_mask), code), c.sign_shift);
    auto value = hn::Mul(hn::BitCast(df, hn::ShiftLeftSame(magnitude, c.shift)), rebias);
    // What is no number takes float32's own exponent for such.
    const auto special = hn::Or(hn::ShiftLeftSame(magnitude, c.shift), hn::Set(d, 0x7F800000));
    value =
        hn::IfThenElse(hn::RebindMask(df, hn::Not(hn::Lt(magnitude, hn::Set(d, c.special_from)))),
                       hn::BitCast(df, special), value);
    value = hn::BitCast(df, hn::Or(hn::BitCast(d, value), sign));
    hn::StoreU(hn::Mul(value, scale), df, x + i);
  }
  return i;
}

std::size_t EncodeU8(const EncodeConstants& c, const float* x, std::size_t n, std::uint8_t* codes) {
  return EncodeIn(c, x, n, codes);
}
std::size_t EncodeU16(const EncodeConstants& c, const float* x, std::size_t n,
                      std::uint16_t* codes) {
  return EncodeIn(c, x, n, codes);
}
std::size_t EncodeU32(const EncodeConstants& c, const float* x, std::size_t n,
                      std::uint32_t* codes) {
  return EncodeIn(c, x, n, codes);
}
std::size_t DecodeU16(const DecodeConstants& c, const std::uint16_t* codes, std::size_t n,
                      float* x) {
  return DecodeBits(c, codes, n, x);
}
std::size_t DecodeU32(const DecodeConstants& c, const std::uint32_t* codes, std::size_t n,
                      float* x) {
  return DecodeBits(c, codes, n, x);
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(EncodeU8);
HWY_EXPORT(EncodeU16);
HWY_EXPORT(EncodeU32);
HWY_EXPORT(DecodeTable);
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
  return f.specials == FloatSpecials::ieee && f.fraction_bits < 23 && f.bias() <= 127;
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
std::size_t encode_one_by_one(const FloatFormat& format, std::span<const float> x, Code* codes,
                              const FloatEncoding& how, std::uint64_t first) {
  UniformFloats uniform(how.seed);
  const float reciprocal = 1 / how.scale;
  std::size_t clipped = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
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

}  // namespace

template <class Code>
std::size_t encode(const FloatFormat& format, std::span<const float> x, std::span<Code> codes,
                   const FloatEncoding& how) {
  check_spans<Code>(format, x.size(), codes.size());
  if (!std::isnormal(how.scale)) {
    throw InputError(
        fmt::format("{}: expected a normal number as scale, found {}", format.name, how.scale));
  }
  const bool by_vector = has_vector_encoding(format) && how.rounding == Rounding::half_even;
  const EncodeConstants constants = by_vector ? encode_constants(format, how) : EncodeConstants{};
  const auto kernel = encode_kernel<Code>();
  std::atomic<std::size_t> clipped{0};
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    clipped += by_vector ? kernel(constants, x.data() + begin, end - begin, codes.data() + begin)
                         : encode_one_by_one(format, x.subspan(begin, end - begin),
                                             codes.data() + begin, how, begin);
  });
  return clipped;
}

template <class Code>
void decode(const FloatFormat& format, std::span<const Code> codes, std::span<float> x,
            float scale) {
  check_spans<Code>(format, x.size(), codes.size());
  choose_vector_target();
  const auto plain = [&](Code code) {
    return static_cast<float>(decode(format, code).value) * scale;
  };
  if constexpr (sizeof(Code) == 1) {
    std::array<float, 256> table{};
    for (std::uint32_t code = 0; code >> format.bits() == 0; ++code) {
      table[code] = plain(static_cast<Code>(code));
    }
    const auto kernel = HWY_DYNAMIC_DISPATCH(DecodeTable);
    parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      kernel(table.data(), codes.data() + begin, end - begin, x.data() + begin);
    });
  } else {
    const bool by_vector = has_vector_decoding(format);
    const DecodeConstants constants =
        by_vector ? decode_constants(format, scale) : DecodeConstants{};
    parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      std::size_t i = begin;
      if (by_vector) {
        if constexpr (sizeof(Code) == 2) {
          i += HWY_DYNAMIC_DISPATCH(DecodeU16)(constants, codes.data() + begin, end - begin,
                                               x.data() + begin);
        } else {
          i += HWY_DYNAMIC_DISPATCH(DecodeU32)(constants, codes.data() + begin, end - begin,
                                               x.data() + begin);
        }
      }
      for (; i < end; ++i) x[i] = plain(codes[i]);
    });
  }
}

#define ZEROPOINT_INSTANTIATE(Code)                                                              \
  template std::size_t encode<Code>(const FloatFormat&, std::span<const float>, std::span<Code>, \
                                    const FloatEncoding&);                                       \
  template void decode<Code>(const FloatFormat&, std::span<const Code>, std::span<float>, float);
ZEROPOINT_INSTANTIATE(std::uint8_t)
ZEROPOINT_INSTANTIATE(std::uint16_t)
ZEROPOINT_INSTANTIATE(std::uint32_t)
#undef ZEROPOINT_INSTANTIATE

}  // namespace zeropoint
#endif
