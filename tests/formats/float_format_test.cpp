#include "zeropoint/formats/float_format.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {
namespace {

const FloatFormat& fp32() { return float_format("fp32"); }
const FloatFormat& fp16() { return float_format("fp16"); }
const FloatFormat& bf16() { return float_format("bf16"); }

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

double value(const FloatFormat& format, std::uint32_t code) { return decode(format, code).value; }

std::uint32_t hardware_code(double x) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(x));
}

TEST(FloatFormat, TheReportsExample) {
  const std::uint32_t code = encode(fp32(), 0.375);
  EXPECT_EQ(code, 0b0'01111101'10000000000000000000000U);
  const FloatFields fields = decode(fp32(), code);
  EXPECT_FALSE(fields.negative);
  EXPECT_EQ(fields.exponent, 0b01111101U);
  EXPECT_EQ(fields.fraction, std::uint32_t{1} << 22);  // 23 bits: 1 and 22 zeros
  EXPECT_EQ(fields.kind, FloatClass::normal);
  EXPECT_EQ(fields.power, -2);
  EXPECT_EQ(fields.significand, 1.5);
  EXPECT_EQ(fields.value, 0.375);
}

TEST(FloatFormat, Layouts) {
  EXPECT_EQ(fp32().bits(), 32);
  EXPECT_EQ(fp32().bias(), 127);
  EXPECT_EQ(fp16().bits(), 16);
  EXPECT_EQ(fp16().bias(), 15);
  EXPECT_EQ(bf16().bits(), 16);
  EXPECT_EQ(bf16().bias(), 127);
}

TEST(FloatFormat, UnknownNameIsRefusedWithTheKnownOnes) {
  try {
    float_format("fp61");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("fp32, fp16, bf16"));
    EXPECT_THAT(error.what(), testing::HasSubstr("'fp61'"));
  }
}

// The landmarks of every format with infinities, from IEEE 754's definitions of them.
TEST(FloatFormat, LandmarksOfEveryIeeeFormat) {
  for (const FloatFormat& format : float_formats()) {
    if (format.specials != FloatSpecials::ieee) continue;
    SCOPED_TRACE(format.name);
    const int f = format.fraction_bits;
    const double largest = std::ldexp(2 - std::ldexp(1.0, -f), format.bias());
    const double half_step = std::ldexp(1.0, format.bias() - f - 1);
    const double smallest_normal = std::ldexp(1.0, 1 - format.bias());
    const double smallest = std::ldexp(1.0, 1 - format.bias() - f);
    const std::uint32_t infinity = format.infinity_code();
    const std::uint32_t sign = format.sign_bit();

    EXPECT_EQ(value(format, infinity - 1), largest);
    EXPECT_EQ(encode(format, largest), infinity - 1);
    EXPECT_EQ(encode(format, std::nextafter(largest + half_step, 0)), infinity - 1);
    EXPECT_EQ(encode(format, largest + half_step), infinity);
    EXPECT_EQ(encode(format, -largest - half_step), infinity | sign);
    EXPECT_EQ(encode(format, std::numeric_limits<double>::max()), infinity);
    EXPECT_EQ(encode(format, kInfinity), infinity);
    EXPECT_EQ(encode(format, -kInfinity), infinity | sign);
    EXPECT_EQ(value(format, infinity), kInfinity);
    EXPECT_EQ(value(format, infinity | sign), -kInfinity);

    EXPECT_EQ(value(format, 1), smallest);
    EXPECT_EQ(decode(format, 1).kind, FloatClass::subnormal);
    EXPECT_EQ(encode(format, smallest), 1U);
    EXPECT_EQ(encode(format, smallest / 2), 0U);  // a tie, and 0 is even
    EXPECT_EQ(encode(format, std::nextafter(smallest / 2, 1)), 1U);
    EXPECT_EQ(encode(format, smallest * 1.5), 2U);  // a tie, and 2 is even
    EXPECT_EQ(encode(format, -smallest / 4), sign);
    EXPECT_EQ(encode(format, std::numeric_limits<double>::denorm_min()), 0U);
    EXPECT_EQ(encode(format, -std::numeric_limits<double>::denorm_min()), sign);
    EXPECT_EQ(encode(format, smallest_normal), std::uint32_t{1} << f);
    EXPECT_EQ(decode(format, std::uint32_t{1} << f).kind, FloatClass::normal);
    EXPECT_EQ(decode(format, (std::uint32_t{1} << f) - 1).kind, FloatClass::subnormal);
    EXPECT_EQ(value(format, std::uint32_t{1} << f), smallest_normal);
    // The carry from the largest subnormal to the smallest normal number.
    EXPECT_EQ(encode(format, smallest_normal - smallest / 2), std::uint32_t{1} << f);

    EXPECT_EQ(encode(format, 0.0), 0U);
    EXPECT_EQ(encode(format, -0.0), sign);
    EXPECT_TRUE(std::signbit(value(format, sign)));
    EXPECT_EQ(decode(format, sign).kind, FloatClass::zero);

    for (const double nan : {kNan, -kNan}) {
      const std::uint32_t code = encode(format, nan);
      EXPECT_EQ(decode(format, code).kind, FloatClass::nan);
      EXPECT_TRUE(std::isnan(value(format, code)));
      EXPECT_EQ(decode(format, code).negative, std::signbit(nan));
      EXPECT_NE(code & std::uint32_t{1} << (f - 1), 0U) << "quiet";
    }
  }
}

// The others' landmarks, as their specifications have them.
TEST(FloatFormat, LandmarksOfSmallFormats) {
  struct Row {
    const char* name;
    double largest, smallest_normal, smallest;
    std::uint32_t beyond, nan;  // codes of 2·largest and of NaN
  };
  for (const Row& row :
       {Row{"e4m3", 448, 0x1p-6, 0x1p-9, 0x7F, 0x7F},
        Row{"e5m2", 57344, 0x1p-14, 0x1p-16, 0x7C, 0x7E},
        Row{"e4m3fnuz", 240, 0x1p-7, 0x1p-10, 0x80, 0x80},
        Row{"e5m2fnuz", 57344, 0x1p-15, 0x1p-17, 0x80, 0x80},
        Row{"e3m4", 15.5, 0x1p-2, 0x1p-6, 0x70, 0x78}, Row{"e3m2", 28, 0x1p-2, 0x1p-4, 0x1F, 0x20},
        Row{"e2m3", 7.5, 1, 0x1p-3, 0x1F, 0x20}, Row{"e2m1", 6, 1, 0.5, 0x7, 0x8}}) {
    SCOPED_TRACE(row.name);
    const auto& format = float_format(row.name);
    EXPECT_EQ(largest(format), row.largest);
    EXPECT_EQ(value(format, std::uint32_t{1} << format.fraction_bits), row.smallest_normal);
    EXPECT_EQ(value(format, 1), row.smallest);
    EXPECT_EQ(encode(format, 2 * row.largest), row.beyond);
    EXPECT_EQ(encode(format, 2 * row.largest, Overflow::saturate), format.largest_code());
    EXPECT_EQ(encode(format, -kInfinity, Overflow::saturate),
              format.largest_code() | format.sign_bit());
    EXPECT_EQ(encode(format, kNan), row.nan);
    EXPECT_EQ(encode(format, -0.0),
              format.specials == FloatSpecials::fnuz ? 0U : format.sign_bit());
  }
  EXPECT_TRUE(std::signbit(value(float_format("e4m3fnuz"), 0x80)));  // the sign that −0 would have
  std::vector<double> e2m1;
  for (std::uint32_t code = 0; code < 8; ++code) e2m1.push_back(value(float_format("e2m1"), code));
  EXPECT_THAT(e2m1, testing::ElementsAre(0, 0.5, 1, 1.5, 2, 3, 4, 6));
}

// A power of two, and the nearest one of what is none, counted from 1.5 on as the upper.
TEST(FloatFormat, ScalesArePowersOfTwo) {
  const auto& e8m0 = float_format("e8m0");
  EXPECT_EQ(e8m0.bits(), 8);
  EXPECT_EQ(value(e8m0, 0), 0x1p-127);
  EXPECT_EQ(value(e8m0, 254), 0x1p127);
  EXPECT_TRUE(std::isnan(value(e8m0, 255)));
  EXPECT_EQ(encode(e8m0, 1), 127U);
  EXPECT_EQ(encode(e8m0, std::nextafter(1.5, 0)), 127U);
  EXPECT_EQ(encode(e8m0, 1.5), 128U);
  EXPECT_EQ(encode(e8m0, 3), 129U);
  EXPECT_EQ(encode(e8m0, 1.01, Overflow::special, Rounding::ceil), 128U);
  EXPECT_EQ(encode(e8m0, 1.99, Overflow::special, Rounding::floor), 127U);
  EXPECT_EQ(encode(e8m0, 1e-45), 0U);
  EXPECT_EQ(encode(e8m0, 0x1p-127), 0U);
  EXPECT_EQ(encode(e8m0, 0x1.01p-127), 1U);
  EXPECT_EQ(encode(e8m0, 0x1.8p127), 255U);
  EXPECT_EQ(encode(e8m0, 0x1.8p127, Overflow::saturate), 254U);
  EXPECT_EQ(encode(e8m0, kInfinity, Overflow::saturate), 254U);
  EXPECT_EQ(encode(e8m0, 0), 255U);
  EXPECT_EQ(encode(e8m0, 0, Overflow::saturate), 0U);
  EXPECT_EQ(encode(e8m0, -1), 255U);
  EXPECT_EQ(encode(e8m0, kNan), 255U);
}

// Any eXmY has a name, by the rule that its width suggests or the one that it says.
TEST(FloatFormat, AnyExponentAndFractionHaveAName) {
  EXPECT_EQ(float_format("e3m3").specials, FloatSpecials::fn);
  EXPECT_EQ(float_format("e2m2").specials, FloatSpecials::finite);
  EXPECT_EQ(float_format("e5m6").specials, FloatSpecials::ieee);
  EXPECT_EQ(float_format("e4m3ieee").specials, FloatSpecials::ieee);
  EXPECT_EQ(largest(float_format("e4m3ieee")), 240);
  EXPECT_EQ(&float_format("e4m3ieee"), &float_format("e4m3ieee"));
  for (const auto* name : {"e0m3", "e9m1", "e8m8", "e5m11", "e4m3x", "e4", "m3", "e5m0ieee", ""}) {
    EXPECT_THROW(float_format(name), InputError) << name;
  }
}

// A code's fields give its value, and its value gives it back.
void check_round_trip(const FloatFormat& format, std::uint32_t code) {
  const FloatFields fields = decode(format, code);
  ASSERT_EQ(fields.code, code);
  ASSERT_EQ((fields.negative ? format.sign_bit() : 0) | fields.exponent << format.fraction_bits |
                fields.fraction,
            code);
  if (fields.kind == FloatClass::nan) {
    const std::uint32_t quiet =
        format.has_payload() ? std::uint32_t{1} << (format.fraction_bits - 1) : 0;
    const std::uint32_t one = format.specials == FloatSpecials::fnuz
                                  ? code
                                  : format.nan_code() | (code & format.sign_bit());
    ASSERT_EQ(encode(format, fields.value), format.has_payload() ? code | quiet : one)
        << std::hex << code;
    return;
  }
  ASSERT_EQ(encode(format, fields.value), code) << std::hex << code;
  if (fields.kind != FloatClass::infinite) {
    ASSERT_EQ(std::ldexp(fields.negative ? -fields.significand : fields.significand, fields.power),
              fields.value);
  }
}

// Halfway between neighbours is a tie, which the even code wins; a hair beyond, the nearer one.
void check_tie_above(const FloatFormat& format, std::uint32_t code) {
  const FloatFields low = decode(format, code);
  if (low.kind == FloatClass::nan || low.kind == FloatClass::infinite) return;
  // Beyond the largest there may be no neighbour; scales have their own ties, tested above.
  const bool is_largest = (code & ~format.sign_bit()) == format.largest_code();
  if ((is_largest && !format.has_infinity()) || !format.has_sign()) return;
  if (format.specials == FloatSpecials::fnuz && low.value == 0) return;
  const double step = std::ldexp(1.0, low.power - format.fraction_bits);
  const double middle = low.value + (low.negative ? -step : step) / 2;
  ASSERT_EQ(encode(format, middle), code + (code & 1)) << std::hex << code;
  ASSERT_EQ(encode(format, std::nextafter(middle, low.value)), code) << std::hex << code;
  ASSERT_EQ(encode(format, std::nextafter(middle, low.negative ? -kInfinity : kInfinity)), code + 1)
      << std::hex << code;
}

TEST(FloatFormat, EveryCodeOfEverySmallFormatRoundTripsAndBreaksItsTie) {
  for (const FloatFormat& format : float_formats()) {
    if (format.bits() > 16) continue;
    SCOPED_TRACE(format.name);
    for (std::uint32_t code = 0; code < std::uint32_t{1} << format.bits(); ++code) {
      check_round_trip(format, code);
      check_tie_above(format, code);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(FloatFormat, RandomCodesOfEveryLargeFormatRoundTripAndBreakTheirTies) {
  for (const FloatFormat& format : float_formats()) {
    if (format.bits() <= 16) continue;
    SCOPED_TRACE(format.name);
    constexpr std::uint64_t seed = 20240501;
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 300'000; ++i) {
      const auto code = static_cast<std::uint32_t>(random() >> (64 - format.bits()));
      check_round_trip(format, code);
      check_tie_above(format, code);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(FloatFormat, Fp32EqualsTheHardwaresFloat) {
  constexpr std::uint64_t seed = 20240502;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 1'000'000; ++i) {
    // Any bits at all, and doubles whose exponents float32 has.
    const double any = std::bit_cast<double>(random());
    const double near = std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())),
                                   static_cast<int>(random() % 320) - 220);
    for (const double x : {any, near}) {
      ASSERT_EQ(encode(fp32(), x), hardware_code(x)) << std::hexfloat << x;
    }
    const auto code = static_cast<std::uint32_t>(random());
    const auto expected = static_cast<double>(std::bit_cast<float>(code));
    const double got = value(fp32(), code);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got));
    } else {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(got), std::bit_cast<std::uint64_t>(expected));
    }
  }
}

TEST(FloatFormat, Fp32EqualsTheHardwaresFloatAtSpecialNumbers) {
  using F = std::numeric_limits<float>;
  using D = std::numeric_limits<double>;
  for (const double x : {0.0,
                         1.0,
                         double{F::max()},
                         double{F::min()},
                         double{F::denorm_min()},
                         D::max(),
                         D::min(),
                         D::denorm_min(),
                         D::infinity(),
                         D::quiet_NaN(),
                         0x1.ffffffp127,
                         0x1.fffffefffffffp127,
                         0x1p-149,
                         0x1p-150,
                         0x1.0000000000001p-150,
                         0x1.8p-149,
                         0x1.fffffcp-127,
                         0x1.fffffep-127,
                         0x1.000001p0,
                         0x1.000003p0,
                         0x1.0000010000001p0,
                         0.1,
                         1.0 / 3}) {
    for (const double signed_x : {x, -x}) {
      EXPECT_EQ(encode(fp32(), signed_x), hardware_code(signed_x)) << std::hexfloat << signed_x;
    }
  }
}

#ifdef __FLT16_MAX__
TEST(FloatFormat, Fp16EqualsTheCompilers) {
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const auto expected =
        static_cast<double>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(code)));
    const double got = value(fp16(), code);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got));
    } else {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(got), std::bit_cast<std::uint64_t>(expected));
    }
  }
  constexpr std::uint64_t seed = 20240503;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 300'000; ++i) {
    const double x = std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())),
                                static_cast<int>(random() % 50) - 92);
    ASSERT_EQ(encode(fp16(), x), std::bit_cast<std::uint16_t>(static_cast<_Float16>(x)))
        << std::hexfloat << x;
  }
}
#endif

// Rounding first to float32 would make a tie of this and lose the last bit.
TEST(FloatFormat, RoundsOnce) {
  const double x = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(encode(fp16(), x), encode(fp16(), 1 + 0x1p-10));
  EXPECT_EQ(encode(fp16(), static_cast<double>(static_cast<float>(x))), encode(fp16(), 1));
}

TEST(FloatFormat, Bf16IsTheUpperHalfOfFp32) {
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const double expected = value(fp32(), code << 16);
    const double got = value(bf16(), code);
    ASSERT_EQ(std::bit_cast<std::uint64_t>(got), std::bit_cast<std::uint64_t>(expected));
  }
}

}  // namespace
}  // namespace zeropoint
