// Blocks made by hand, bytes made by other tools, and the edges of what block formats take.
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/block_format.hpp"

#include "support/refusal.hpp"
#include "support/targets.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr auto kRules = {ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil};

bool is_ggml(const BlockFormat& format) { return format.name.starts_with('q'); }

MatrixView<const float> in_rows(const std::vector<float>& x, std::size_t cols) {
  return {x.data(), x.size() / cols, cols, static_cast<std::ptrdiff_t>(cols), 1};
}

std::vector<std::uint8_t> bytes_of(const BlockFormat& format, const std::vector<float>& x,
                                   std::size_t cols, const BlockOptions& options = {},
                                   float scale = 1) {
  std::vector<std::uint8_t> bytes(block_bytes(format, x.size() / cols, cols));
  encode_blocks(format, options, in_rows(x, cols), scale, bytes);
  return bytes;
}

std::vector<float> numbers_of(const BlockFormat& format, const std::vector<std::uint8_t>& bytes,
                              std::size_t rows, std::size_t cols, float scale = 1) {
  std::vector<float> x(rows * cols);
  decode_blocks(format, bytes, scale, {x.data(), rows, cols, static_cast<std::ptrdiff_t>(cols), 1});
  return x;
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
  static const char* digits = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) text += {digits[byte >> 4], digits[byte & 15]};
  return text;
}

template <class T>
std::vector<T> from_hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

std::vector<float> counting(float first) {
  std::vector<float> x(32);
  for (std::size_t j = 0; j < 32; ++j) x[j] = first + static_cast<float>(j);
  return x;
}

TEST(BlockEdges, BlocksMadeByHand) {
  testing::on_every_target([] {
    const auto expect = [](const char* name, const std::vector<float>& x, const std::string& all) {
      EXPECT_EQ(hex(bytes_of(block_format(name), x, x.size())), all) << name;
    };
    // d = 1 is 3c00 in fp16, little-endian.
    auto q8_0 = counting(0);
    q8_0[31] = -127;
    expect("q8_0", q8_0, "003c000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e81");
    auto q4_0 = counting(-8);
    for (std::size_t j = 16; j < 32; ++j) q4_0[j] = 0;
    expect("q4_0", q4_0, "003c808182838485868788898a8b8c8d8e8f");
    expect(
        "q4_1",
        [] {
          auto x = counting(2);
          for (std::size_t j = 16; j < 32; ++j) x[j] = 2;
          return x;
        }(),
        "003c0040000102030405060708090a0b0c0d0e0f");
    expect("q5_0", counting(-16), "003c0000ffff00112233445566778899aabbccddeeff");
    expect("q5_1", counting(2), "003c00400000ffff00112233445566778899aabbccddeeff");

    // 7f is 2^0. The rest of the block is 0.
    const std::string zeros(64, '0');
    expect("mxfp4", {0, 0.5F, 1, 1.5F, 2, 3, 4, 6, -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6},
           "7f1032547698badcfe" + zeros.substr(0, 16));
    expect("mxfp8", {448, 1, -1, 0x1p-9F, 0x1p-10F, 0x1.8p-9F, -449},
           "7f7e38b8010002fe" + zeros.substr(0, 50));
    expect("mxfp8-e5m2", {57344, 1, -1, 0x1p-16F}, "7f7b3cbc01" + zeros.substr(0, 56));
    expect("mxint8", {1, -1, 1 / 64.0F, 1.5F / 64, 2.5F / 64, -1.999F},
           "7f40c001020281" + zeros.substr(0, 52));
    // Codes 1c, 0c, 2c, 01: 24 bits, the first lowest.
    expect("mxfp6", {16, 1, -1, 0x1p-4F}, "7f1cc306" + zeros.substr(0, 42));
    expect("mxfp6-e2m3", {4, 1, -1, 0x1p-3F}, "7f188206" + zeros.substr(0, 42));
    expect("nvfp4", {6, -3, 1, 0.5F}, "38d712" + zeros.substr(0, 12));
  });
}

// tests/peers/golden_blocks.py made them: ggml's by the gguf package, the others by ml_dtypes.
TEST(BlockEdges, BytesOfOtherTools) {
  std::ifstream file(ZEROPOINT_SOURCE_DIR "/tests/formats/block_golden.txt");
  ASSERT_TRUE(file);
  std::string line;
  std::map<std::string, std::vector<float>> inputs;
  std::map<std::string, int> seen;
  while (std::getline(file, line)) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string name, rule, scale, input, bytes;
    words >> name;
    if (name == "input") {
      ASSERT_TRUE(words >> input >> bytes);
      inputs[input] = from_hex<float>(bytes);
      continue;
    }
    ASSERT_TRUE(words >> rule >> scale >> input >> bytes) << line;
    const auto& format = block_format(name);
    ++seen[name];
    testing::on_every_target([&] {
      const auto& values = inputs.at(input);
      const float whole = from_hex<float>(scale)[0];
      EXPECT_EQ(std::bit_cast<std::uint32_t>(tensor_scale(format, in_rows(values, values.size()))),
                std::bit_cast<std::uint32_t>(whole));
      EXPECT_EQ(hex(bytes_of(format, values, values.size(), {.scale_rule = parse_scale_rule(rule)},
                             whole)),
                bytes)
          << name << " " << rule;
    });
  }
  for (const auto& format : block_formats()) {
    if (format.is_joint) continue;  // joint_blocks_test.cpp
    EXPECT_GE(seen[std::string(format.name)], 4) << format.name;
  }
}

TEST(BlockEdges, WhatIsNotFiniteIsNamed) {
  for (const auto& format : block_formats()) {
    for (const float odd : {kInf, -kInf, std::nanf("")}) {
      // In whole blocks, in the block that is filled up; and the first of several.
      for (const std::size_t column : {0U, 31U, 77U, 129U}) {
        std::vector<float> x(3 * 130, 1.0F);
        x[130 + column] = odd;
        x[2 * 130] = odd;
        const auto message = testing::refusal([&] { bytes_of(format, x, 130); });
        EXPECT_THAT(message, AllOf(HasSubstr(std::string(format.name) + ": expected finite"),
                                   HasSubstr("row 1, column " + std::to_string(column))));
        std::vector<float> turned(x.size());
        for (std::size_t i = 0; i < 3; ++i) {
          for (std::size_t j = 0; j < 130; ++j) turned[j * 3 + i] = x[i * 130 + j];
        }
        std::vector<std::uint8_t> bytes(block_bytes(format, 3, 130));
        EXPECT_EQ(testing::refusal([&] {
                    encode_blocks(format, {}, {turned.data(), 3, 130, 1, 3}, 1, bytes);
                  }),
                  message);
      }
    }
  }
}

TEST(BlockEdges, WhatIsNotFiniteMakesItsBlockNaNIfAskedTo) {
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    const BlockOptions options{.non_finite = BlockNonFinite::propagate};
    std::vector<float> x(160, 1.5F);
    const auto without = bytes_of(format, x, 160, options);
    for (const float odd : {kInf, -kInf, std::nanf("")}) {
      x[70] = odd;
      const auto bytes = bytes_of(format, x, 160, options);
      const auto numbers = numbers_of(format, bytes, 1, 160);
      const std::size_t block = 70 / format.block;
      for (std::size_t j = 0; j < 160; ++j) {
        EXPECT_EQ(std::isnan(numbers[j]), j / format.block == block) << j;
      }
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i / format.bytes == block) continue;
        EXPECT_EQ(bytes[i], without[i]);
      }
    }
    EXPECT_EQ(tensor_scale(format, in_rows(x, 160)),
              format.has_tensor_scale ? 1.5F / (6 * 448) : 1);
  }
}

TEST(BlockEdges, ScalesBeyondFp16) {
  for (const auto& format : block_formats()) {
    if (!is_ggml(format)) continue;
    SCOPED_TRACE(std::string(format.name));
    std::vector<float> x(70, 1.0F);
    x[65] = 3e38F;
    EXPECT_THAT(testing::refusal([&] { bytes_of(format, x, 70); }),
                AllOf(HasSubstr("within fp16"), HasSubstr("row 0, column 64")));
    x[66] = -3e38F;  // their difference is beyond float32, too
    const auto bytes = bytes_of(format, x, 70, {.non_finite = BlockNonFinite::propagate});
    const unsigned scale = bytes[2 * format.bytes] | bytes[2 * format.bytes + 1] << 8;
    EXPECT_EQ(scale & 0x7FFF, 0x7C00U);
  }
}

TEST(BlockEdges, LargestAndSmallestNumbers) {
  const float most = std::numeric_limits<float>::max();
  for (const auto& format : block_formats()) {
    if (is_ggml(format) || format.is_joint) continue;
    SCOPED_TRACE(std::string(format.name));
    for (const auto rule : kRules) {
      std::vector<float> x(32, 0.0F);
      x[3] = most;
      x[4] = -most;
      const float whole = tensor_scale(format, in_rows(x, 32));
      const auto back =
          numbers_of(format, bytes_of(format, x, 32, {.scale_rule = rule}, whole), 1, 32, whole);
      // Other rules round it up to 2^128, which is infinite as a float32.
      if (rule == ScaleRule::floor) {
        EXPECT_TRUE(std::isfinite(back[3]));
      }
      EXPECT_GT(back[3], most / 2);
      EXPECT_EQ(back[4], -back[3]);
      EXPECT_EQ(back[5], 0);
    }
    // Numbers below the smallest normal one: within half of the smallest step there is, or 0.
    std::vector<float> tiny(32);
    for (std::size_t j = 0; j < 32; ++j) tiny[j] = std::ldexp(static_cast<float>(j), -149);
    const float whole = tensor_scale(format, in_rows(tiny, 32));
    EXPECT_TRUE(std::isnormal(whole));
    const auto back = numbers_of(format, bytes_of(format, tiny, 32, {}, whole), 1, 32, whole);
    for (std::size_t j = 0; j < 32; ++j) EXPECT_NEAR(back[j], tiny[j], 0x1p-134);
  }
}

// MX: a scale beyond E8M0's ends stays at the end. Only mxint8 gets there from above.
TEST(BlockEdges, ScalesStayWithinE8m0) {
  std::vector<float> x(32, std::numeric_limits<float>::max());
  for (const auto rule : {ScaleRule::ceil, ScaleRule::even}) {
    EXPECT_EQ(bytes_of(block_format("mxint8"), x, 32, {.scale_rule = rule})[0], 254);
  }
  x.assign(32, 0x1p-126F);
  for (const auto& format : block_formats()) {
    if (!format.has_scale_rule || format.name == "mxint8") continue;
    for (const auto rule : kRules) {
      EXPECT_EQ(bytes_of(format, x, 32, {.scale_rule = rule})[0], 0) << format.name;
    }
  }
}

// What was read back gives the same numbers again: by MX's rules always, as their largest number
// stays within the grid; by NVFP4 with the same tensor scale; by ggml where one number, not a
// difference, makes the scale.
TEST(BlockEdges, NumbersReadBackAreTheirOwnCodes) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const auto& format : block_formats()) {
    if (format.name == "q4_1" || format.name == "q5_1" || format.is_joint) continue;
    SCOPED_TRACE(std::string(format.name));
    for (const auto rule : kRules) {
      for (const float deviation : {1.0F, 1e-2F, 300.0F}) {
        std::vector<float> x(100 * 32);
        for (float& value : x) value = normal(random) * deviation;
        const float whole = tensor_scale(format, in_rows(x, 32));
        const BlockOptions options{.scale_rule = rule};
        const auto once =
            numbers_of(format, bytes_of(format, x, 32, options, whole), 100, 32, whole);
        const auto twice =
            numbers_of(format, bytes_of(format, once, 32, options, whole), 100, 32, whole);
        for (std::size_t j = 0; j < x.size(); ++j) ASSERT_EQ(once[j], twice[j]) << j;
      }
    }
  }
}

TEST(BlockEdges, SizesAndBits) {
  EXPECT_EQ(block_bytes(block_format("mxfp4"), 3, 33), 3 * 2 * 17U);
  EXPECT_EQ(effective_bits(block_format("mxfp4"), 3, 64), 4.25);
  EXPECT_EQ(effective_bits(block_format("mxfp8"), 1, 1), 33 * 8);
  EXPECT_EQ(effective_bits(block_format("q8_0"), 2, 32), 8.5);
  EXPECT_EQ(effective_bits(block_format("nvfp4"), 1, 16), 4.5 + 2);  // with the tensor's float32
  EXPECT_EQ(effective_bits(block_format("nvfp4"), 0, 16), 0);
  const auto most = std::numeric_limits<std::size_t>::max();
  for (const auto& format : block_formats()) {
    EXPECT_THAT(testing::refusal([&] { block_bytes(format, most, most); }),
                HasSubstr("fewer than 2^64"));
    EXPECT_EQ(block_bytes(format, 0, most), 0U);
    EXPECT_EQ(block_bytes(format, 5, 0), 0U);
  }
}

TEST(BlockEdges, TensorScalesThatAreNone) {
  const auto& format = block_format("nvfp4");
  const std::vector<float> x(16, 1.0F);
  for (const float scale : {0.0F, -1.0F, std::nanf(""), kInf, 1e36F}) {
    EXPECT_THAT(testing::refusal([&] { bytes_of(format, x, 16, {}, scale); }),
                HasSubstr("tensor scale above 0"));
    EXPECT_THAT(
        testing::refusal([&] { numbers_of(format, std::vector<std::uint8_t>(9), 1, 16, scale); }),
        HasSubstr("tensor scale above 0"));
  }
  EXPECT_EQ(tensor_scale(format, in_rows(std::vector<float>(16, 0.0F), 16)), 1);
  EXPECT_EQ(tensor_scale(format, in_rows({2688.0F, -5376.0F}, 2)), 2);
}

}  // namespace
}  // namespace zeropoint
