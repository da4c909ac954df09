#include "zeropoint/formats/block_format.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/float_format.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

struct Coded {
  std::vector<std::uint8_t> bytes;
  float scale;
  std::vector<float> back;
};

Coded coded(const BlockFormat& format, std::vector<float> x, std::size_t cols,
            const BlockOptions& options = {}) {
  const MatrixView<float> view{x.data(), x.size() / cols, cols, static_cast<std::ptrdiff_t>(cols),
                               1};
  Coded result{std::vector<std::uint8_t>(block_bytes(format, view.rows, cols)),
               tensor_scale(format, view), std::vector<float>(x.size())};
  encode_blocks(format, options, view, result.scale, result.bytes);
  const MatrixView<float> back{result.back.data(), view.rows, cols, view.row_stride, 1};
  decode_blocks(format, result.bytes, result.scale, back);
  return result;
}

std::vector<float> normal(std::size_t count, float deviation) {
  std::mt19937 random(5);
  std::normal_distribution<float> draw(0, deviation);
  std::vector<float> x(count);
  for (auto& value : x) value = draw(random);
  return x;
}

TEST(BlockFormat, NumbersComeBackWithinTheStepOfTheirFormat) {
  // Steps relative to a block's largest magnitude: of the grid, or half a float's at its top.
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    const auto x = normal(4096, 0.3F);
    const auto back = coded(format, x, 1024).back;
    double error = 0, signal = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      error += std::pow(double{x[i]} - back[i], 2);
      signal += std::pow(double{x[i]}, 2);
    }
    const double sqnr = 10 * std::log10(signal / error);
    const std::map<int, double> least = {{2, 11}, {3, 17}, {4, 17}, {5, 20}, {6, 20}, {8, 25}};
    EXPECT_GT(sqnr, least.at(format.element_bits));
    EXPECT_LT(sqnr, 6.03 * format.element_bits + 1);
  }
}

TEST(BlockFormat, AwkwardTensorsHaveDefinedResults) {
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    EXPECT_THAT(coded(format, std::vector<float>(64, 0.0F), 64).back, ::testing::Each(0.0F));
    // One element is a block by itself, filled up.
    const auto one = coded(format, {-3}, 1);
    EXPECT_EQ(one.bytes.size(), format.bytes);
    const double step = format.is_joint ? std::ldexp(1, -format.element_bits) : 0.06;
    EXPECT_NEAR(one.back[0], -3, 2 * 3 * step);
    const auto constant = coded(format, std::vector<float>(33, 2), 33).back;
    for (const float value : constant) EXPECT_NEAR(value, 2, 3 * 2 * step);
    for (const float value : coded(format, std::vector<float>(32, 1e-45F), 32).back) {
      EXPECT_GE(value, 0);
      EXPECT_LE(value, 0x1p-126);
    }
    EXPECT_TRUE(coded(format, {}, 1).bytes.empty());
    const std::vector<float> largest(32, std::numeric_limits<float>::max());
    if (format.name.starts_with('q')) {
      EXPECT_THAT(testing::refusal([&] { coded(format, largest, 32); }), HasSubstr("within fp16"));
    } else {
      const float least = format.is_joint ? 0x1p122F : 2e38F;
      for (const float value : coded(format, largest, 32).back) {
        EXPECT_GT(value, least);
        EXPECT_LT(value, std::numeric_limits<float>::infinity());
      }
    }
    std::vector<std::uint8_t> few(1);
    std::vector<float> x(64);
    EXPECT_THROW(encode_blocks(format, {}, MatrixView<const float>{x.data(), 1, 64, 64, 1}, 1, few),
                 InputError);
  }
}

TEST(BlockFormat, TheSameOnAnyThreadsAndStrides) {
  const std::size_t rows = 70, cols = 1000;
  const auto x = normal(rows * cols, 2);
  std::vector<float> turned(x.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) turned[j * rows + i] = x[i * cols + j];
  }
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    set_threads(1);
    const auto alone = coded(format, x, cols);
    set_threads(3);
    EXPECT_EQ(coded(format, x, cols).bytes, alone.bytes);
    set_threads(0);
    const MatrixView<const float> by_column{turned.data(), rows, cols, 1,
                                            static_cast<std::ptrdiff_t>(rows)};
    std::vector<std::uint8_t> bytes(alone.bytes.size());
    encode_blocks(format, {}, by_column, alone.scale, bytes);
    EXPECT_EQ(bytes, alone.bytes);
  }
}

// A block's scale by each rule: m = 7 with elements of at most 6 = 1.5·2^2.
TEST(BlockFormat, ScaleRulesOfMicroscaling) {
  const auto scale_of = [](float most, ScaleRule rule) {
    return int{coded(block_format("mxfp4"), {most}, 1, {.scale_rule = rule}).bytes[0]} - 127;
  };
  EXPECT_EQ(scale_of(7, ScaleRule::floor), 0);  // 2^2 is in 7 as in 6
  EXPECT_EQ(scale_of(7, ScaleRule::ceil), 1);
  EXPECT_EQ(scale_of(7, ScaleRule::even), 1);  // 7 rounds to 8 with one fraction bit
  EXPECT_EQ(scale_of(6.9F, ScaleRule::even), 0);
  EXPECT_EQ(scale_of(7, ScaleRule::rceil), 1);
  EXPECT_EQ(scale_of(6, ScaleRule::rceil), 0);
  EXPECT_EQ(scale_of(4, ScaleRule::ceil), 0);
  EXPECT_EQ(scale_of(1e-38F, ScaleRule::floor), -127);  // E8M0's end
  EXPECT_EQ(scale_of(0, ScaleRule::rceil), -127);
}

TEST(BlockFormat, WordsAreReadBackAndOthersRefused) {
  for (const auto& format : block_formats()) EXPECT_EQ(&block_format(format.name), &format);
  EXPECT_THAT(testing::refusal([] { block_format("mxfp5"); }), HasSubstr("did you mean mxfp"));
  EXPECT_EQ(parse_scale_rule("rceil"), ScaleRule::rceil);
  EXPECT_THAT(testing::refusal([] { parse_scale_rule("cell"); }), HasSubstr("did you mean ceil?"));
}

}  // namespace
}  // namespace zeropoint
