#include "zeropoint/formats/float_codes.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/parallel.hpp"

#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

constexpr Rounding kRoundings[] = {Rounding::half_even, Rounding::half_away, Rounding::floor,
                                   Rounding::truncate, Rounding::ceil};

std::vector<const FloatFormat*> short_formats() {
  std::vector<const FloatFormat*> formats;
  for (const FloatFormat& format : float_formats()) {
    if (format.bits() <= 16) formats.push_back(&format);
  }
  for (const char* name :
       {"e1m1", "e1m14finite", "e2m13ieee", "e3m0", "e2m5fnuz", "e7m8", "e7m7fnuz", "e8m1",
        "e8m3fn", "e8m7fnuz", "e9m2", "e10m5", "e4m11fn", "e5m9fnuz"}) {
    formats.push_back(&float_format(name));
  }
  return formats;
}

// Every fp16, every bf16, and random and awkward floats.
std::vector<float> inputs() {
  std::vector<float> x = testing::awkward_values();
  for (std::uint32_t code = 0; code < 65536; ++code) {
    x.push_back(static_cast<float>(decode(float_format("fp16"), code).value));
    x.push_back(std::bit_cast<float>(code << 16));
  }
  std::mt19937_64 random(11);
  for (int i = 0; i < 50'000; ++i) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  }
  return x;
}

// Ties of a format, and the floats next to them.
void add_ties(const FloatFormat& format, std::vector<float>& x) {
  std::mt19937_64 random(12);
  const std::uint32_t count = format.largest_code() + 1;
  for (std::uint32_t i = 0; i < std::min(count, 4096U); ++i) {
    const auto code = count <= 4096 ? i : static_cast<std::uint32_t>(random() % count);
    const FloatFields fields = decode(format, code);
    const double step = std::ldexp(1.0, fields.power - format.fraction_bits);
    for (const double real : {fields.value, fields.value + step / 2}) {
      const auto middle = static_cast<float>(real);
      for (const float y : {middle, std::nextafter(middle, 0.0F),
                            std::nextafter(middle, std::numeric_limits<float>::infinity())}) {
        x.push_back(y);
        x.push_back(-y);
      }
    }
  }
}

template <class Code>
void expect_as_one_by_one(const FloatFormat& format, const std::vector<float>& x, Overflow overflow,
                          Rounding rounding) {
  std::vector<std::uint32_t> expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected[i] = encode(format, x[i], overflow, rounding);
  }
  testing::on_every_target([&] {
    std::vector<Code> codes(x.size());
    encode(format, x, codes, overflow, rounding);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(codes[i], expected[i]) << std::hexfloat << x[i];
    }
  });
}

TEST(FloatCodes, EncodesAsOneByOne) {
  const std::vector<float> common = inputs();
  for (const FloatFormat* format : short_formats()) {
    std::vector<float> x = common;
    add_ties(*format, x);
    for (const Overflow overflow : {Overflow::special, Overflow::saturate}) {
      for (const Rounding rounding : kRoundings) {
        SCOPED_TRACE(std::string(format->name) +
                     (overflow == Overflow::special ? "" : " saturate") + " rounding " +
                     std::to_string(static_cast<int>(rounding)));
        if (format->bits() <= 8) {
          expect_as_one_by_one<std::uint8_t>(*format, x, overflow, rounding);
        } else {
          expect_as_one_by_one<std::uint16_t>(*format, x, overflow, rounding);
        }
        if (HasFatalFailure()) return;
      }
    }
  }
  expect_as_one_by_one<std::uint16_t>(float_format("e4m3"), common, Overflow::special,
                                      Rounding::half_even);
}

template <class Code>
void expect_decoded(const FloatFormat& format) {
  std::vector<Code> codes(std::size_t{1} << (8 * sizeof(Code)));
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<Code>(i);
  testing::on_every_target([&] {
    std::vector<float> x(codes.size());
    decode(format, codes, x);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::uint32_t code = codes[i] & (format.sign_bit() | format.magnitude_mask());
      const auto expected = static_cast<float>(decode(format, code).value);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(x[i]), std::bit_cast<std::uint32_t>(expected)) << i;
    }
  });
}

TEST(FloatCodes, DecodesEveryCodeAsOneByOne) {
  for (const FloatFormat* format : short_formats()) {
    SCOPED_TRACE(format->name);
    if (format->bits() <= 8) expect_decoded<std::uint8_t>(*format);
    expect_decoded<std::uint16_t>(*format);
    if (HasFatalFailure()) return;
  }
}

// Every count up to a few vectors, at any alignment; the bytes behind stay as they were.
TEST(FloatCodes, AnyCount) {
  const FloatFormat& format = float_format("e4m3");
  std::mt19937_64 random(13);
  const std::vector<float> x = testing::uniform_values(random, 300, -500, 500);
  testing::on_every_target([&] {
    for (std::size_t count = 0; count < 150; ++count) {
      std::vector<std::uint8_t> codes(count + 3, 0xaa);
      encode(format, std::span(x).subspan(count % 7, count), std::span(codes).subspan(1, count));
      std::vector<float> back(count + 2, -1);
      decode(format, std::span<const std::uint8_t>(codes).subspan(1, count),
             std::span(back).subspan(1, count));
      ASSERT_EQ(codes.front(), 0xaa);
      ASSERT_EQ(codes[count + 1], 0xaa);
      ASSERT_EQ(back.back(), -1);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(codes[i + 1], encode(format, x[count % 7 + i])) << count;
        ASSERT_EQ(
            std::bit_cast<std::uint32_t>(back[i + 1]),
            std::bit_cast<std::uint32_t>(static_cast<float>(decode(format, codes[i + 1]).value)));
      }
    }
  });
}

TEST(FloatCodes, SameOnAnyNumberOfThreads) {
  std::mt19937_64 random(14);
  const std::vector<float> x = testing::uniform_values(random, 200'001, -9, 9);
  std::vector<std::uint8_t> first;
  for (const int count : {1, 2, 3}) {
    const testing::WithThreads threads(count);
    std::vector<std::uint8_t> codes(x.size());
    encode(float_format("e2m1"), x, codes);
    if (first.empty()) first = codes;
    EXPECT_EQ(codes, first) << count;
  }
}

TEST(FloatCodes, Refusals) {
  std::vector<float> x(4);
  std::vector<std::uint8_t> bytes(4), three(3);
  std::vector<std::uint16_t> words(4);
  using ::testing::HasSubstr;
  const auto& e4m3 = float_format("e4m3");
  EXPECT_THAT(testing::refusal([&] { encode(e4m3, x, three); }), HasSubstr("found 3 and 4"));
  EXPECT_THAT(testing::refusal([&] { decode(e4m3, std::span<const std::uint8_t>(three), x); }),
              HasSubstr("found 3 and 4"));
  EXPECT_THAT(testing::refusal([&] { encode(float_format("fp16"), x, bytes); }),
              HasSubstr("fp16: expected codes of a type that holds 16 bits, found 8"));
  EXPECT_THAT(testing::refusal([&] { encode(float_format("fp32"), x, words); }),
              HasSubstr("holds 32 bits, found 16"));
  EXPECT_THAT(testing::refusal(
                  [&] { decode(float_format("tf32"), std::span<const std::uint16_t>(words), x); }),
              HasSubstr("holds 19 bits, found 16"));
}

}  // namespace
}  // namespace zeropoint
