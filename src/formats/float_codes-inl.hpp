// Float32s to codes of a format and back. For vector code, within what is compiled for each
// instruction set: no include guard but Highway's.
#if defined(ZEROPOINT_FORMATS_FLOAT_CODES_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_FORMATS_FLOAT_CODES_INL_HPP
#undef ZEROPOINT_FORMATS_FLOAT_CODES_INL_HPP
#else
#define ZEROPOINT_FORMATS_FLOAT_CODES_INL_HPP
#endif
#include <algorithm>
#include <type_traits>

#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/float_codes.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Bits as signed integers, which every instruction set compares; but for a sign they are positive.
using DI = hn::ScalableTag<std::int32_t>;
using DF = hn::Repartition<float, DI>;
using I = hn::Vec<DI>;
using F = hn::Vec<DF>;

constexpr std::int32_t kInfinity = 0x7f800000;  // of float32

HWY_INLINE I Set(std::int32_t bits) { return hn::Set(DI(), bits); }
HWY_INLINE F AsFloat(I bits) { return hn::BitCast(DF(), bits); }
HWY_INLINE I AsBits(F x) { return hn::BitCast(DI(), x); }
HWY_INLINE auto IsNegative(I x) { return hn::Lt(x, hn::Zero(DI())); }
HWY_INLINE I BySign(I x, const std::int32_t (&codes)[2]) {
  return hn::IfThenElse(IsNegative(x), Set(codes[1]), Set(codes[0]));
}
template <Rounding kRule>
constexpr bool kStops =
    kRule == Rounding::truncate || kRule == Rounding::floor || kRule == Rounding::ceil;

// What is added to a magnitude before its lower bits are dropped; `step` is one of what is kept,
// `odd` the last bit that is kept.
template <Rounding kRule>
HWY_INLINE I Bias(I x, std::int32_t step, I odd) {
  if constexpr (kRule == Rounding::half_even) return hn::Add(Set(step / 2 - 1), odd);
  if constexpr (kRule == Rounding::half_away) return Set(step / 2);
  if constexpr (kRule == Rounding::floor) return hn::IfThenElseZero(IsNegative(x), Set(step - 1));
  if constexpr (kRule == Rounding::ceil) {
    return hn::IfThenZeroElse(IsNegative(x), Set(step - 1));
  }
  return hn::Zero(DI());
}

// Each of these rounds the magnitudes `a` of `x` to codes, beyond the largest where they are.
struct Fp32Exponent {
  template <Rounding kRule>
  static HWY_INLINE I Magnitudes(I x, I a, const FloatLanes& format) {
    const int shift = format.shift;
    const I odd = hn::And(hn::ShiftRightSame(a, shift), Set(1));
    return hn::ShiftRightSame(hn::Add(a, Bias<kRule>(x, 1 << shift, odd)), shift);
  }
  static HWY_INLINE I Decoded(I a, const FloatLanes& format) {
    return hn::ShiftLeftSame(a, format.shift);
  }
};

// The sum of a magnitude and 2^(its exponent + 23 − fraction bits) rounds to a step of the format,
// to the nearest and ties to even, and its lower bits count the steps.
struct Narrow {
  template <Rounding kRule>
  static HWY_INLINE I Magnitudes(I x, I a, const FloatLanes& format) {
    const I lowest = Set(format.lowest << 23);
    const I exponent = hn::Max(hn::And(a, Set(kInfinity)), lowest);
    // Far beyond the largest number, a lower exponent does as well.
    const I near = hn::Min(exponent, Set((230) << 23));
    const I magic = hn::Add(near, Set(format.shift << 23));
    const I sum = AsBits(hn::Add(AsFloat(a), AsFloat(magic)));
    I steps = hn::Sub(sum, magic);
    if constexpr (kRule != Rounding::half_even) {
      const F nearest = hn::Sub(AsFloat(sum), AsFloat(magic));
      const I up = Set(1);
      if constexpr (kRule == Rounding::half_away) {
        const F half = AsFloat(hn::Sub(magic, Set(24 << 23)));
        const auto tie_below = hn::Eq(hn::Sub(AsFloat(a), nearest), half);
        steps = hn::Add(steps, hn::IfThenElseZero(hn::RebindMask(DI(), tie_below), up));
      } else {
        const auto above = hn::RebindMask(DI(), hn::Gt(nearest, AsFloat(a)));
        const auto below = hn::RebindMask(DI(), hn::Lt(nearest, AsFloat(a)));
        const I down = hn::Sub(steps, hn::IfThenElseZero(above, up));
        const I away = hn::Add(steps, hn::IfThenElseZero(below, up));
        if constexpr (kRule == Rounding::truncate) steps = down;
        if constexpr (kRule == Rounding::floor) steps = hn::IfThenElse(IsNegative(x), away, down);
        if constexpr (kRule == Rounding::ceil) steps = hn::IfThenElse(IsNegative(x), down, away);
      }
    }
    const I stored = hn::ShiftRightSame(hn::Sub(exponent, lowest), format.shift);
    return hn::Add(stored, steps);
  }
  static HWY_INLINE I Decoded(I a, const FloatLanes& format) {
    const int shift = format.shift;
    const I normal = hn::Add(hn::ShiftLeftSame(a, shift), Set((format.lowest - 1) << 23));
    const I magic = Set((format.lowest + format.shift) << 23);
    const I subnormal = AsBits(hn::Sub(AsFloat(hn::Add(magic, a)), AsFloat(magic)));
    const auto is_normal = hn::Gt(normal, Set((format.lowest << 23) - 1));
    return hn::IfThenElse(is_normal, normal, subnormal);
  }
};

// Float32's subnormals have half the step there: 2^-127 is the smallest scale, and halfway from it
// to 2^-126 lies 1.5·2^-127.
struct Scale {
  template <Rounding kRule>
  static HWY_INLINE I Magnitudes(I x, I a, const FloatLanes&) {
    const I bias = Bias<kRule>(x, 1 << 23, Set(1));
    const auto is_subnormal = hn::Lt(a, Set(1 << 23));
    // ml_dtypes has nothing round down there.
    const I below = kRule == Rounding::half_even ? Set(0x3fffff) : hn::ShiftRight<1>(bias);
    return hn::ShiftRight<23>(hn::Add(a, hn::IfThenElse(is_subnormal, below, bias)));
  }
  static HWY_INLINE I Decoded(I a, const FloatLanes&) {
    const I smallest = Set(1 << 22);
    return hn::Max(hn::ShiftLeft<23>(a), smallest);
  }
};

// Infinities and NaNs.
HWY_NOINLINE I EncodeSpecials(I x, I a, I codes, const FloatLanes& format) {
  const I payload = hn::And(hn::ShiftRightSame(a, format.shift), Set(format.keeps_nan));
  const I nan = hn::Or(BySign(x, format.nan), payload);
  codes = hn::IfThenElse(hn::Eq(a, Set(kInfinity)), BySign(x, format.infinite), codes);
  return hn::IfThenElse(hn::Gt(a, Set(kInfinity)), nan, codes);
}

template <class Layout, Rounding kRule>
HWY_INLINE I EncodeVector(I x, const FloatLanes& format) {
  constexpr bool kIsScale = std::is_same_v<Layout, Scale>;
  const I a = hn::And(x, Set(0x7fffffff));
  I codes = Layout::template Magnitudes<kRule>(x, a, format);
  const auto is_over = hn::Gt(codes, Set(format.largest));
  const auto is_special = hn::Gt(a, Set(kInfinity - 1));
  if constexpr (kIsScale) {
    codes = hn::IfThenElse(is_over, Set(format.over[0]), codes);
    codes = hn::IfThenElse(hn::Eq(a, hn::Zero(DI())), Set(format.zero[0]),
                           hn::IfThenElse(IsNegative(x), Set(format.nan[1]), codes));
  } else {
    const I sign = hn::And(hn::ShiftRightSame(x, format.sign_shift), Set(format.sign));
    if constexpr (kStops<kRule>) {
      codes = hn::IfThenElse(is_over, BySign(x, format.over), hn::Or(codes, sign));
    } else {
      codes = hn::Or(hn::IfThenElse(is_over, Set(format.over[0]), codes), sign);
    }
    if (!format.negative_zero) {
      // The sign alone is −0, if it does not stand for what overflowed.
      const auto is_zero = hn::AndNot(is_over, hn::Eq(codes, Set(format.sign)));
      codes = hn::IfThenZeroElse(is_zero, codes);
    }
  }
  if (HWY_UNLIKELY(!hn::AllFalse(DI(), is_special))) return EncodeSpecials(x, a, codes, format);
  return codes;
}

template <class Layout, Rounding kRule, class Code>
void EncodeIn(const float* HWY_RESTRICT x, std::size_t count, const FloatLanes& lanes_format,
              Code* HWY_RESTRICT codes) {
  const DI d;
  const FloatLanes format = lanes_format;
  const hn::Rebind<Code, DI> dc;
  const hn::RebindToUnsigned<DI> du;
  const std::size_t lanes = hn::Lanes(d);
  const auto* bits = reinterpret_cast<const std::int32_t*>(x);
  const auto encoded = [&](const std::int32_t* from) HWY_ATTR {
    return EncodeVector<Layout, kRule>(hn::LoadU(d, from), format);
  };
  std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::Repartition<std::uint16_t, DI> dh;
  const hn::Repartition<std::uint8_t, DI> db;
  const auto two_vectors = [&](const std::int32_t* from) HWY_ATTR {
    const auto first = hn::BitCast(dh, encoded(from));
    return hn::ConcatEven(dh, hn::BitCast(dh, encoded(from + lanes)), first);
  };
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);
    const auto first = two_vectors(bits + i);
    const auto second = two_vectors(bits + i + 2 * lanes);
    if constexpr (sizeof(Code) == 1) {
      hn::StoreU(hn::ConcatEven(db, hn::BitCast(db, second), hn::BitCast(db, first)), db,
                 codes + i);
    } else {
      hn::StoreU(first, dh, codes + i);
      hn::StoreU(second, dh, codes + i + 2 * lanes);
    }
  }
#endif
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::TruncateTo(dc, hn::BitCast(du, encoded(bits + i))), dc, codes + i);
  }
  if (i < count) {  // what is left goes through a padded vector
    HWY_ALIGN std::int32_t rest[HWY_MAX_BYTES / sizeof(float)] = {};
    HWY_ALIGN Code result[HWY_MAX_BYTES / sizeof(float)];
    std::copy_n(bits + i, count - i, rest);
    hn::StoreU(hn::TruncateTo(dc, hn::BitCast(du, encoded(rest))), dc, result);
    std::copy_n(result, count - i, codes + i);
  }
}

template <class Layout, class Code>
void EncodeBy(const float* x, std::size_t count, const FloatLanes& format, Code* codes) {
  switch (format.rounding) {
    case Rounding::half_even:
    case Rounding::stochastic:
      return EncodeIn<Layout, Rounding::half_even>(x, count, format, codes);
    case Rounding::half_away:
      return EncodeIn<Layout, Rounding::half_away>(x, count, format, codes);
    case Rounding::floor:
      return EncodeIn<Layout, Rounding::floor>(x, count, format, codes);
    case Rounding::ceil:
      return EncodeIn<Layout, Rounding::ceil>(x, count, format, codes);
    case Rounding::truncate:
      break;
  }
  return EncodeIn<Layout, Rounding::truncate>(x, count, format, codes);
}

template <class Layout>
HWY_INLINE I DecodeVector(I code, const FloatLanes& format) {
  const I magnitude = hn::And(code, Set(format.magnitude));
  I bits = Layout::Decoded(magnitude, format);
  const I sign = hn::ShiftLeftSame(hn::And(code, Set(format.sign)), format.sign_shift);
  if (format.negative_zero) {
    // A NaN keeps its fraction and becomes quiet.
    const I fraction = hn::ShiftLeftSame(hn::And(magnitude, Set(format.keeps_nan)), format.shift);
    const auto is_nan = hn::Gt(magnitude, Set(format.infinity));
    const I special =
        hn::Or(hn::Or(Set(kInfinity), fraction), hn::IfThenElseZero(is_nan, Set(0x400000)));
    bits = hn::IfThenElse(hn::Gt(magnitude, Set(format.largest)), special, bits);
    return hn::Or(bits, sign);
  }
  const I whole = hn::And(code, Set(format.magnitude | format.sign));
  const auto is_nan = hn::Eq(whole, Set(format.nan[0]));
  return hn::Or(hn::IfThenElse(is_nan, Set(0x7fc00000), bits), sign);
}

template <class Layout, class Code>
void DecodeIn(const Code* HWY_RESTRICT codes, std::size_t count, const FloatLanes& lanes_format,
              float* HWY_RESTRICT x) {
  const DI d;
  const FloatLanes format = lanes_format;
  const hn::Rebind<Code, DI> dc;
  const std::size_t lanes = hn::Lanes(d);
  auto* bits = reinterpret_cast<std::int32_t*>(x);
  const auto decoded = [&](const Code* from) HWY_ATTR {
    return DecodeVector<Layout>(hn::PromoteTo(d, hn::LoadU(dc, from)), format);
  };
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);  // what is written is most of the bytes
    for (std::size_t part = 0; part < 4; ++part) {
      hn::StoreU(decoded(codes + i + part * lanes), d, bits + i + part * lanes);
    }
  }
  for (; i + lanes <= count; i += lanes) hn::StoreU(decoded(codes + i), d, bits + i);
  if (i < count) {
    HWY_ALIGN Code rest[HWY_MAX_BYTES / sizeof(float)] = {};
    HWY_ALIGN std::int32_t result[HWY_MAX_BYTES / sizeof(float)];
    std::copy_n(codes + i, count - i, rest);
    hn::StoreU(decoded(rest), d, result);
    std::copy_n(result, count - i, bits + i);
  }
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
