// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/float_codes.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "zeropoint/formats/float_codes.hpp"

#include "core/vector_target.hpp"
#include "formats/float_codes-inl.hpp"
#include "formats/float_codes.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {

// One exported name for each layout and code type: Highway's dispatch table takes plain functions.
#define ZEROPOINT_FOR_CODE(Layout, Name, Code)                                                 \
  void Encode##Layout##Name(const float* x, std::size_t count, const FloatLanes& f, Code* c) { \
    EncodeBy<Layout>(x, count, f, c);                                                          \
  }                                                                                            \
  void Decode##Layout##Name(const Code* c, std::size_t count, const FloatLanes& f, float* x) { \
    DecodeIn<Layout>(c, count, f, x);                                                          \
  }
#define ZEROPOINT_FOR_LAYOUT(Layout)           \
  ZEROPOINT_FOR_CODE(Layout, U8, std::uint8_t) \
  ZEROPOINT_FOR_CODE(Layout, U16, std::uint16_t)
ZEROPOINT_FOR_LAYOUT(Fp32Exponent)
ZEROPOINT_FOR_LAYOUT(Narrow)
ZEROPOINT_FOR_LAYOUT(Scale)
#undef ZEROPOINT_FOR_LAYOUT
#undef ZEROPOINT_FOR_CODE

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(EncodeFp32ExponentU8);
HWY_EXPORT(EncodeFp32ExponentU16);
HWY_EXPORT(EncodeNarrowU8);
HWY_EXPORT(EncodeNarrowU16);
HWY_EXPORT(EncodeScaleU8);
HWY_EXPORT(EncodeScaleU16);
HWY_EXPORT(DecodeFp32ExponentU8);
HWY_EXPORT(DecodeFp32ExponentU16);
HWY_EXPORT(DecodeNarrowU8);
HWY_EXPORT(DecodeNarrowU16);
HWY_EXPORT(DecodeScaleU8);
HWY_EXPORT(DecodeScaleU16);

namespace {

constexpr std::size_t kGrain = 1 << 16;

FloatLayout layout_of(const FloatFormat& format) {
  if (format.specials == FloatSpecials::scale) {
    return format.exponent_bits == 8 ? FloatLayout::scale : FloatLayout::other;
  }
  if (format.bias() < 127) return FloatLayout::narrow;
  // Where exponent field 255 holds numbers, these are no float32's.
  const bool ends_as_fp32 = format.bias() == 127 && format.specials == FloatSpecials::ieee;
  return ends_as_fp32 ? FloatLayout::fp32_exponent : FloatLayout::other;
}

FloatLanes lanes_of(const FloatFormat& format, Overflow overflow, Rounding rounding) {
  const auto fraction = static_cast<std::int32_t>((std::uint32_t{1} << format.fraction_bits) - 1);
  FloatLanes lanes{};
  lanes.largest = static_cast<std::int32_t>(format.largest_code());
  lanes.magnitude = static_cast<std::int32_t>(format.magnitude_mask());
  lanes.sign = static_cast<std::int32_t>(format.sign_bit());
  lanes.infinity = static_cast<std::int32_t>(format.has_infinity() ? format.infinity_code()
                                                                   : format.largest_code());
  lanes.shift = 23 - format.fraction_bits;
  lanes.sign_shift = 32 - format.bits();
  lanes.lowest = 128 - format.bias();
  lanes.negative_zero =
      format.specials != FloatSpecials::fnuz && format.specials != FloatSpecials::scale;
  lanes.keeps_nan = format.has_infinity() && format.fraction_bits >= 10 ? fraction : 0;
  lanes.rounding = rounding;
  using Limits = std::numeric_limits<double>;
  for (const int i : {0, 1}) {
    const double sign = i == 0 ? 1 : -1;
    const auto code = [&](double x) {
      return static_cast<std::int32_t>(encode(format, std::copysign(x, sign), overflow, rounding));
    };
    lanes.zero[i] = code(0);
    lanes.over[i] = code(Limits::max());
    lanes.infinite[i] = code(Limits::infinity());
    lanes.nan[i] = code(Limits::quiet_NaN());
  }
  return lanes;
}

// The same, to decode: every NaN of an ieee format keeps its fraction.
FloatLanes decoding_lanes_of(const FloatFormat& format) {
  FloatLanes lanes = lanes_of(format, Overflow::special, Rounding::half_even);
  if (format.has_infinity()) lanes.keeps_nan = lanes.magnitude - lanes.infinity;
  return lanes;
}

template <class Code>
auto encode_kernel(FloatLayout layout) {
  choose_vector_target();
  if constexpr (sizeof(Code) == 1) {
    if (layout == FloatLayout::scale) return HWY_DYNAMIC_DISPATCH(EncodeScaleU8);
    return layout == FloatLayout::narrow ? HWY_DYNAMIC_DISPATCH(EncodeNarrowU8)
                                         : HWY_DYNAMIC_DISPATCH(EncodeFp32ExponentU8);
  } else {
    if (layout == FloatLayout::scale) return HWY_DYNAMIC_DISPATCH(EncodeScaleU16);
    return layout == FloatLayout::narrow ? HWY_DYNAMIC_DISPATCH(EncodeNarrowU16)
                                         : HWY_DYNAMIC_DISPATCH(EncodeFp32ExponentU16);
  }
}

template <class Code>
auto decode_kernel(FloatLayout layout) {
  choose_vector_target();
  if constexpr (sizeof(Code) == 1) {
    if (layout == FloatLayout::scale) return HWY_DYNAMIC_DISPATCH(DecodeScaleU8);
    return layout == FloatLayout::narrow ? HWY_DYNAMIC_DISPATCH(DecodeNarrowU8)
                                         : HWY_DYNAMIC_DISPATCH(DecodeFp32ExponentU8);
  } else {
    if (layout == FloatLayout::scale) return HWY_DYNAMIC_DISPATCH(DecodeScaleU16);
    return layout == FloatLayout::narrow ? HWY_DYNAMIC_DISPATCH(DecodeNarrowU16)
                                         : HWY_DYNAMIC_DISPATCH(DecodeFp32ExponentU16);
  }
}

template <class Code>
void check_sizes(const FloatFormat& format, std::size_t reals, std::size_t codes) {
  if (reals != codes) {
    throw InputError(fmt::format("{}: expected as many codes as numbers, found {} and {}",
                                 format.name, codes, reals));
  }
  if (format.bits() > static_cast<int>(8 * sizeof(Code))) {
    throw InputError(fmt::format("{}: expected codes of a type that holds {} bits, found {}",
                                 format.name, format.bits(), 8 * sizeof(Code)));
  }
}

template <class Code>
void encode_all(const FloatFormat& format, std::span<const float> x, std::span<Code> codes,
                Overflow overflow, Rounding rounding) {
  check_sizes<Code>(format, x.size(), codes.size());
  const FloatLayout layout = layout_of(format);
  if (layout == FloatLayout::other) {
    parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        codes[i] = static_cast<Code>(encode(format, x[i], overflow, rounding));
      }
    });
    return;
  }
  const FloatLanes lanes = lanes_of(format, overflow, rounding);
  const auto kernel = encode_kernel<Code>(layout);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    kernel(x.data() + begin, end - begin, lanes, codes.data() + begin);
  });
}

template <class Code>
void decode_all(const FloatFormat& format, std::span<const Code> codes, std::span<float> x) {
  check_sizes<Code>(format, x.size(), codes.size());
  const FloatLayout layout = layout_of(format);
  if (layout == FloatLayout::other) {
    const std::uint32_t mask = format.sign_bit() | format.magnitude_mask();
    parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        x[i] = static_cast<float>(decode(format, codes[i] & mask).value);
      }
    });
    return;
  }
  const FloatLanes lanes = decoding_lanes_of(format);
  const auto kernel = decode_kernel<Code>(layout);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    kernel(codes.data() + begin, end - begin, lanes, x.data() + begin);
  });
}

}  // namespace

void encode(const FloatFormat& format, std::span<const float> x, std::span<std::uint8_t> codes,
            Overflow overflow, Rounding rounding) {
  encode_all(format, x, codes, overflow, rounding);
}

void encode(const FloatFormat& format, std::span<const float> x, std::span<std::uint16_t> codes,
            Overflow overflow, Rounding rounding) {
  encode_all(format, x, codes, overflow, rounding);
}

void decode(const FloatFormat& format, std::span<const std::uint8_t> codes, std::span<float> x) {
  decode_all(format, codes, x);
}

void decode(const FloatFormat& format, std::span<const std::uint16_t> codes, std::span<float> x) {
  decode_all(format, codes, x);
}

}  // namespace zeropoint
#endif
