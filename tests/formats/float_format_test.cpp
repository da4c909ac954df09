#include "zeropoint/formats/float_format.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

#include "support/refusal.hpp"

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
    EXPECT_THAT(error.what(), ::testing::HasSubstr("fp32, fp16, bf16"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'fp61'"));
  }
}

// The landmarks of every ieee format, from IEEE 754's definitions of them.
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

// What overflows, by the definitions of those formats.
struct Ends {
  const char* name;
  int bias;
  double largest, smallest;
  std::uint32_t largest_code, beyond, minus_beyond, nan, minus_nan;
};

TEST(FloatFormat, LandmarksOfTheOthers) {
  const std::vector<Ends> all = {
      {"e4m3", 7, 448, 0x1p-9, 0x7e, 0x7f, 0xff, 0x7f, 0xff},
      {"e4m3fnuz", 8, 240, 0x1p-10, 0x7f, 0x80, 0x80, 0x80, 0x80},
      {"e5m2fnuz", 16, 57344, 0x1p-17, 0x7f, 0x80, 0x80, 0x80, 0x80},
      {"e3m2", 3, 28, 0x1p-4, 0x1f, 0x1f, 0x3f, 0x20, 0},
      {"e2m3", 1, 7.5, 0x1p-3, 0x1f, 0x1f, 0x3f, 0x20, 0},
      {"e2m1", 1, 6, 0.5, 7, 7, 15, 8, 0},
      {"e8m0", 127, 0x1p127, 0x1p-127, 254, 255, 255, 255, 255},
      {"e3m0", 3, 16, 0.25, 7, 7, 15, 8, 0},
  };
  for (const Ends& ends : all) {
    SCOPED_TRACE(ends.name);
    const FloatFormat& format = float_format(ends.name);
    const std::uint32_t sign = format.sign_bit();
    EXPECT_EQ(format.bias(), ends.bias);
    EXPECT_EQ(format.largest(), ends.largest);
    EXPECT_EQ(format.smallest(), ends.smallest);
    EXPECT_EQ(format.largest_code(), ends.largest_code);
    EXPECT_EQ(encode(format, ends.largest), ends.largest_code);
    for (const double x : {kInfinity, 1e300}) {
      EXPECT_EQ(encode(format, x), ends.beyond);
      EXPECT_EQ(encode(format, -x), ends.minus_beyond);
      EXPECT_EQ(encode(format, x, Overflow::saturate), ends.largest_code);
      if (sign != 0) {
        EXPECT_EQ(encode(format, -x, Overflow::saturate), ends.largest_code | sign);
      }
    }
    for (const Overflow overflow : {Overflow::special, Overflow::saturate}) {
      EXPECT_EQ(encode(format, kNan, overflow), ends.nan);
      EXPECT_EQ(encode(format, -kNan, overflow), ends.minus_nan);
    }
    // IEEE 754-2019, 7.4: rounding towards 0 ends at the largest number.
    for (const Rounding rule : {Rounding::floor, Rounding::truncate}) {
      EXPECT_EQ(encode(format, 1e300, Overflow::special, rule), ends.largest_code);
    }
    EXPECT_EQ(encode(format, 1e300, Overflow::special, Rounding::ceil), ends.beyond);
  }
}

TEST(FloatFormat, AScaleHasNoZeroAndNoSign) {
  const FloatFormat& e8m0 = float_format("e8m0");
  EXPECT_EQ(e8m0.bits(), 8);
  for (const double zero : {0.0, -0.0}) {
    EXPECT_EQ(encode(e8m0, zero), 255U);
    EXPECT_EQ(encode(e8m0, zero, Overflow::saturate), 0U);
  }
  EXPECT_EQ(encode(e8m0, -1), 255U);
  EXPECT_EQ(encode(e8m0, -1, Overflow::saturate), 255U);
  EXPECT_EQ(encode(e8m0, 0x1p-149), 0U);
  EXPECT_EQ(encode(e8m0, std::numeric_limits<double>::denorm_min()), 0U);
  EXPECT_EQ(encode(e8m0, 0x1p-127), 0U);
  EXPECT_EQ(encode(e8m0, 0x1.000002p-127), 1U);
  EXPECT_EQ(encode(e8m0, 0x1.7p-127, Overflow::special, Rounding::half_away), 0U);
  EXPECT_EQ(encode(e8m0, 0x1.8p-127, Overflow::special, Rounding::half_away), 1U);
  EXPECT_EQ(encode(e8m0, 1.5), 128U);  // ties go up, whatever the code
  EXPECT_EQ(encode(e8m0, 3), 129U);
  EXPECT_EQ(encode(e8m0, 0x1.7fffffp0), 127U);
  EXPECT_EQ(encode(e8m0, 0x1.8p127), 255U);
  EXPECT_EQ(encode(e8m0, 0x1.8p127, Overflow::saturate), 254U);
  EXPECT_EQ(encode(e8m0, 0x1.000002p0, Overflow::saturate, Rounding::ceil), 128U);
  EXPECT_EQ(encode(e8m0, 0x1.fffffep0, Overflow::saturate, Rounding::floor), 127U);
}

TEST(FloatFormat, NoNegativeZeroInFnuz) {
  for (const char* name : {"e4m3fnuz", "e5m2fnuz"}) {
    EXPECT_EQ(encode(float_format(name), -0.0), 0U);
    EXPECT_EQ(encode(float_format(name), -1e-30), 0U);
  }
}

TEST(FloatFormat, NamesOfAnyEightBitsAndOthers) {
  for (const FloatFormat& format : float_formats()) {
    EXPECT_EQ(&float_format(format.name), &format);
  }
  const auto same = [](const char* a, const char* b) {
    EXPECT_EQ(&float_format(a), &float_format(b)) << a << " " << b;
  };
  same("e5m10", "fp16");
  same("e8m7", "bf16");
  same("e8m10ieee", "tf32");
  same("e8m23", "fp32");
  same("e4m3fn", "e4m3");
  same("e5m2ieee", "e5m2");
  same("e3m4ieee", "e3m4");
  same("e2m1finite", "e2m1");
  same("e2m2finite", "e2m2");
  same("e6m9ieee", "e6m9");
  same("e4m5fn", "e4m5");
  EXPECT_EQ(float_format("e2m2").specials, FloatSpecials::finite);
  EXPECT_EQ(float_format("e4m5").specials, FloatSpecials::fn);
  EXPECT_EQ(float_format("e5m3").specials, FloatSpecials::ieee);
  EXPECT_EQ(float_format("e3m4fn").name, "e3m4fn");  // as e3m4 is a row, and ieee
  EXPECT_EQ(float_format("e2m5fnuz").bias(), 2);
  for (const char* name :
       {"",          "e",     "e4",    "e4m",    "m3",       "e4m3x",         "e4m-3",
        "e-4m3",     "e0m7",  "e11m2", "e8m8",   "e1m0",     "e1m3ieee",      "e5m0ieee",
        "e4m3scale", "e4 m3", "E4M3",  "e004m3", "e4m3fnfn", "e99999999999m1"}) {
    EXPECT_THROW(float_format(name), InputError) << name;
  }
  EXPECT_THAT(testing::refusal([] { float_format("e4m3fnus"); }),
              ::testing::HasSubstr("did you mean e4m3fnuz?"));
}

TEST(FloatFormat, StochasticRoundsByThePartThatIsDropped) {
  for (const char* name : {"e4m3", "e2m1", "bf16", "e5m2fnuz"}) {
    const FloatFormat& format = float_format(name);
    for (const double sign : {1.0, -1.0}) {
      for (const std::uint32_t code : {0U, 1U, format.largest_code() - 2}) {
        const double low = sign * value(format, code), high = sign * value(format, code + 1);
        const double x = low + 0.25 * (high - low);
        EXPECT_EQ(value(format, encode_stochastic(format, x, 0.24)), high) << name << code;
        EXPECT_EQ(value(format, encode_stochastic(format, x, 0.25)), low) << name << code;
        EXPECT_EQ(value(format, encode_stochastic(format, low, 0)), low);
      }
    }
    EXPECT_EQ(encode_stochastic(format, 1e-300, 0), 1U);
    EXPECT_EQ(encode_stochastic(format, 1e-300, 1e-200), 0U);
    EXPECT_TRUE(encode_stochastic(format, kInfinity, 0, Overflow::saturate) ==
                format.largest_code());
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
    const std::uint32_t quiet = format.fraction_bits >= 10
                                    ? code | std::uint32_t{1} << (format.fraction_bits - 1)
                                    : format.nan_code() | (fields.negative ? format.sign_bit() : 0);
    ASSERT_EQ(encode(format, fields.value), quiet) << std::hex << code;
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
  const double step = std::ldexp(1.0, low.power - format.fraction_bits);
  const double middle = low.value + (low.negative ? -step : step) / 2;
  const bool is_scale = format.specials == FloatSpecials::scale;
  if (is_scale && code == 0) return;  // AScaleHasNoZeroAndNoSign has the codes there
  if ((code & format.magnitude_mask()) == format.largest_code() &&
      format.specials != FloatSpecials::ieee) {
    const std::uint32_t sign = code & format.sign_bit();
    const bool up = is_scale || (code & 1) != 0;
    const std::uint32_t beyond =
        format.has_nan() ? (format.nan_code() | sign) : format.largest_code() | sign;
    ASSERT_EQ(encode(format, middle), up ? beyond : code) << std::hex << code;
    return;
  }
  ASSERT_EQ(encode(format, middle), code + (is_scale ? 1 : code & 1)) << std::hex << code;
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
