// Spans of floats to codes and back: the same as number by number, on every instruction set.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/float_format.hpp"

#include "support/targets.hpp"

namespace zeropoint {
namespace {

std::vector<FloatFormat> sixteen_bits_at_most() {
  std::vector<FloatFormat> list;
  for (const auto& format : float_formats()) {
    if (format.bits() <= 16) list.push_back(format);
  }
  for (const auto* name : {"e1m2", "e4m3ieee", "e6m9fnuz", "e8m3fn", "e8m3ieee", "e3m0", "e5m0fnuz",
                           "e7m8fn", "e2m3ieee", "e8m7fnuz", "e5m10finite"}) {
    list.push_back(float_format(name));
  }
  return list;
}

// Every bf16, every fp16, halves of steps between them and their neighbours, and random bits.
std::vector<float> inputs() {
  std::vector<float> x;
  for (std::uint32_t i = 0; i < 1 << 16; ++i) {
    x.push_back(std::bit_cast<float>(i << 16));
    x.push_back(std::bit_cast<float>(i << 16 | 0x8000));
    x.push_back(std::bit_cast<float>(i << 16 | 0x7FFF));
    x.push_back(static_cast<float>(decode(float_format("fp16"), i).value));
  }
  std::mt19937 random(1);
  for (int i = 0; i < 100'003; ++i) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    const auto near_one = static_cast<std::uint32_t>(random()) & 0x87FFFFFF;
    x.push_back(std::bit_cast<float>(near_one | 0x38000000));
  }
  return x;
}

TEST(FloatCodes, EncodeAsNumberByNumberDoes) {
  const auto x = inputs();
  for (const auto& format : sixteen_bits_at_most()) {
    SCOPED_TRACE(std::string(format.name));
    for (const auto overflow : {Overflow::special, Overflow::saturate}) {
      std::vector<std::uint16_t> expected(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) {
        expected[i] = static_cast<std::uint16_t>(encode(format, x[i], overflow));
      }
      testing::on_every_target([&] {
        std::vector<std::uint16_t> codes(x.size());
        encode<std::uint16_t>(format, x, codes, {.overflow = overflow});
        for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(codes[i], expected[i]) << x[i];
        if (format.bits() <= 8) {
          std::vector<std::uint8_t> bytes(x.size());
          encode<std::uint8_t>(format, x, bytes, {.overflow = overflow});
          for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(bytes[i], expected[i]) << x[i];
        }
      });
    }
  }
}

// A code's number times a scale, within float32 if it is finite.
float scaled_number(const FloatFormat& format, std::uint32_t code, float scale) {
  const double value = decode(format, code).value * scale;
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::isfinite(value) ? std::clamp(value, -kLargest, kLargest) : value);
}

// Finite numbers alone go another way than those among NaNs and infinities.
TEST(FloatCodes, EncodeNextToEveryCodeAndTieOnEveryTarget) {
  auto formats = sixteen_bits_at_most();
  formats.push_back(float_format("tf32"));
  for (const auto& format : formats) {
    if (!format.has_sign()) continue;
    SCOPED_TRACE(std::string(format.name));
    std::vector<float> x;
    const std::uint32_t stride = format.bits() > 16 ? 7 : format.bits() > 8 ? 3 : 1;
    const auto add = [&](double value) {
      const auto v = static_cast<float>(value);
      for (const float near : {v, std::nextafter(v, 0.0F), std::nextafter(v, 4 * v)}) {
        if (std::isfinite(near)) x.insert(x.end(), {near, -near});
      }
    };
    for (std::uint32_t code = 0; code < format.largest_code(); code += stride) {
      const double here = decode(format, code).value, next = decode(format, code + 1).value;
      add(here);
      add((here + next) / 2);
    }
    const double most = largest(format);
    const double before = decode(format, format.largest_code() - 1).value;
    for (const double steps : {0.0, 0.25, 0.5, 0.75, 1.0, 2.0}) add(most + steps * (most - before));
    std::vector<std::uint32_t> expected(x.size());
    std::size_t beyond = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      expected[i] = encode(format, x[i], Overflow::saturate);
      // By special codes, what is beyond is told from what is not; if there are any.
      if (format.has_nan()) {
        const auto kind = decode(format, encode(format, x[i], Overflow::special)).kind;
        beyond += kind == FloatClass::infinite || kind == FloatClass::nan ? 1 : 0;
      }
    }
    testing::on_every_target([&] {
      const auto check = [&]<class Code>(Code) {
        std::vector<Code> codes(x.size());
        const auto found = encode<Code>(format, x, codes, {.overflow = Overflow::saturate});
        for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(codes[i], expected[i]) << x[i];
        if (format.has_nan()) {
          ASSERT_EQ(found, beyond);
        }
        std::vector<float> back(x.size());
        decode<Code>(format, codes, back, 0.37F);
        for (std::size_t i = 0; i < x.size(); ++i) {
          ASSERT_EQ(back[i], scaled_number(format, expected[i], 0.37F));
        }
      };
      if (format.bits() <= 8) check(std::uint8_t{});
      if (format.bits() <= 16) check(std::uint16_t{});
      check(std::uint32_t{});
    });
  }
}

TEST(FloatCodes, CountWhatLiesBeyondTheLargest) {
  for (const auto& format : sixteen_bits_at_most()) {
    if (format.bias() >= 127) continue;
    const auto most = static_cast<float>(largest(format));
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<float> x = {most, -most, 2 * most, -3 * most, inf, std::nanf(""), 0.0F};
    for (const auto rounding : {Rounding::half_even, Rounding::half_away}) {
      std::vector<std::uint16_t> codes(x.size());
      const auto beyond = encode<std::uint16_t>(format, x, codes, {.rounding = rounding});
      EXPECT_EQ(beyond, format.has_sign() ? 2U : 1U) << format.name;
    }
  }
}

TEST(FloatCodes, DecodeAsNumberByNumberDoes) {
  for (const auto& format : sixteen_bits_at_most()) {
    SCOPED_TRACE(std::string(format.name));
    std::vector<std::uint16_t> codes;
    for (std::uint32_t code = 0; code >> format.bits() == 0; ++code) {
      codes.push_back(static_cast<std::uint16_t>(code));
    }
    for (const float scale : {1.0F, 0.37F}) {
      testing::on_every_target([&] {
        std::vector<float> x(codes.size());
        decode<std::uint16_t>(format, codes, x, scale);
        for (std::size_t i = 0; i < codes.size(); ++i) {
          const float expected = scaled_number(format, codes[i], scale);
          if (std::isnan(expected)) {
            ASSERT_TRUE(std::isnan(x[i])) << codes[i];
          } else {
            ASSERT_EQ(std::bit_cast<std::uint32_t>(x[i]), std::bit_cast<std::uint32_t>(expected))
                << codes[i];
          }
        }
      });
    }
  }
}

TEST(FloatCodes, ScaleFirst) {
  const auto& format = float_format("e4m3");
  const auto all = inputs();
  for (const bool multiplies : {false, true}) {
    testing::on_every_target([&] {
      std::vector<std::uint8_t> codes(all.size());
      encode<std::uint8_t>(format, all, codes, {.scale = 0.3F, .multiplies = multiplies});
      for (std::size_t i = 0; i < all.size(); ++i) {
        const float scaled = multiplies ? all[i] * (1 / 0.3F) : all[i] / 0.3F;
        ASSERT_EQ(codes[i], encode(format, scaled)) << all[i];
      }
    });
  }
}

TEST(FloatCodes, EveryNumberIsItsOwnNearest) {
  for (const auto& format : sixteen_bits_at_most()) {
    for (std::uint32_t code = 0; code >> format.bits() == 0; ++code) {
      const auto fields = decode(format, code);
      if (fields.kind == FloatClass::nan) continue;
      for (const auto rounding : {Rounding::half_even, Rounding::half_away, Rounding::floor,
                                  Rounding::ceil, Rounding::truncate}) {
        ASSERT_EQ(encode(format, fields.value, Overflow::special, rounding), code) << format.name;
      }
      ASSERT_EQ(encode_stochastic(format, fields.value, 0), code) << format.name;
    }
  }
}

TEST(FloatCodes, RoundAsTheyAreToldBetweenNeighbours) {
  for (const auto& format : sixteen_bits_at_most()) {
    if (!format.has_sign()) continue;
    for (std::uint32_t code = 0; code < format.largest_code(); ++code) {
      const double below = decode(format, code).value;
      const double above = decode(format, code + 1).value;
      const double part = 0.25 * above + 0.75 * below;
      const auto expect = [&](double x, Rounding rounding, std::uint32_t expected) {
        ASSERT_EQ(encode(format, x, Overflow::special, rounding), expected) << format.name << x;
      };
      const auto negative = [&](std::uint32_t magnitude) {
        return magnitude == 0 && format.specials == FloatSpecials::fnuz
                   ? 0
                   : magnitude | format.sign_bit();
      };
      expect(part, Rounding::floor, code);
      expect(part, Rounding::ceil, code + 1);
      expect(part, Rounding::truncate, code);
      expect(part, Rounding::half_even, code);
      expect((below + above) / 2, Rounding::half_even, code + (code & 1));
      expect((below + above) / 2, Rounding::half_away, code + 1);
      expect(-part, Rounding::floor, negative(code + 1));
      expect(-part, Rounding::ceil, negative(code));
      expect(-part, Rounding::truncate, negative(code));
      ASSERT_EQ(encode_stochastic(format, part, 0.2), code + 1) << format.name;
      ASSERT_EQ(encode_stochastic(format, part, 0.25), code) << format.name;
    }
  }
}

TEST(FloatCodes, StochasticRoundingIsRightOnAverageAndTheSameOnAnyThreads) {
  const std::vector<float> x(1 << 18, 1.03F);  // e4m3: between 1 and 1.125
  std::vector<std::uint8_t> codes(x.size()), again(x.size());
  const FloatEncoding how{.rounding = Rounding::stochastic, .seed = 7};
  encode<std::uint8_t>(float_format("e4m3"), x, codes, how);
  set_threads(3);
  encode<std::uint8_t>(float_format("e4m3"), x, again, how);
  set_threads(0);
  EXPECT_EQ(codes, again);
  double sum = 0;
  for (const auto code : codes) sum += decode(float_format("e4m3"), code).value;
  EXPECT_NEAR(sum / static_cast<double>(x.size()), 1.03, 5 * 0.0625 / 512);
}

TEST(FloatCodes, SpansAndTypesThatDoNotFitAreRefused) {
  const std::vector<float> x(3);
  std::vector<std::uint8_t> three(3), two(2);
  EXPECT_THROW(encode<std::uint8_t>(float_format("e4m3"), x, two), InputError);
  EXPECT_THROW(encode<std::uint8_t>(float_format("fp16"), x, three), InputError);
  EXPECT_THROW(encode<std::uint8_t>(float_format("e4m3"), x, three, {.scale = 0}), InputError);
}

}  // namespace
}  // namespace zeropoint
