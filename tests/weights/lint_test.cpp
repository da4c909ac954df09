#include <cmath>
#include <cstring>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/parallel.hpp"
#include "zeropoint/weights/weights.hpp"

#include "support/memory_file.hpp"
#include "support/quantized_files.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();

class Lint : public ::testing::Test {
 protected:
  WeightLint lint(const QuantizedFile& file) const {
    const std::string path = (folder_.path() / "file").string();
    file.write(path);
    const WeightFile weights = open_weights(path);
    return weights.lint(*weights.find("w"));
  }
  // Numbers of which one tile of eight, the third, is 0.
  static std::vector<float> with_zero_tile(std::size_t count) {
    auto x = weight_values(count, 5);
    for (std::size_t i = 16; i < 24; ++i) x[i] = 0;
    return x;
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(Lint, ScalesThatAreDead) {
  for (const std::string scheme :
       {"int8:sym:group=8", "int4:group=8", "nf4:group=8", "e4m3:group=8"}) {
    QuantizedFile file(weight_values(64, 5), {4, 16}, scheme);
    EXPECT_TRUE(lint(file).is_clean()) << scheme;
    EXPECT_EQ(lint(file).tiles, 8U) << scheme;
    EXPECT_EQ(lint(file).zero_blocks, 0U) << scheme;
    std::size_t dead = 0;
    for (const float scale : {0.0F, -0.0F, 1e-40F, kInf, std::nanf("")}) {
      file.set("w.scale", dead++, scale);
      EXPECT_EQ(lint(file).dead_scales, dead) << scheme << ' ' << scale;
    }
    EXPECT_EQ(lint(file).zero_blocks, 0U) << "codes stand for something, whatever the scale";
    EXPECT_FALSE(lint(file).is_clean());
  }
}

TEST_F(Lint, TilesOfZeros) {
  for (const std::string scheme : {"int8:sym:group=8", "int8:group=8", "uint4:affine:group=8",
                                   "nf4:group=8", "e4m3:group=8", "fp16:group=8"}) {
    const auto found = lint(QuantizedFile(with_zero_tile(64), {4, 16}, scheme));
    EXPECT_EQ(found.zero_blocks, 1U) << scheme;
    EXPECT_TRUE(found.is_clean()) << scheme;
  }
  // Tiles across pieces and rows.
  auto x = weight_values(400 * 500, 5);
  for (std::size_t i = 0; i < 400; ++i) x[i * 500 + 7] = 0;
  const QuantizedFile columns(x, {400, 500}, "int8:sym:channel=1");
  for (const int count : {1, 2, 7, 0}) {
    set_threads(count);
    EXPECT_EQ(lint(columns).zero_blocks, 1U) << count;
    EXPECT_EQ(lint(columns).tiles, 500U);
  }
  const std::vector<float> zeros(1000, 0);
  EXPECT_EQ(lint(QuantizedFile(zeros, {1000}, "int8")).zero_blocks, 1U);
}

TEST_F(Lint, ZeroPointsOutOfRange) {
  QuantizedFile file(weight_values(64, 5), {4, 16}, "int4:affine:group=8");
  ASSERT_EQ(file.part("w.zero_point").type, "I8");
  for (const auto& [i, zero_point] : {std::pair{0, 8}, {1, -9}, {2, 7}, {3, -8}}) {
    file.set("w.zero_point", static_cast<std::size_t>(i), static_cast<std::int8_t>(zero_point));
  }
  EXPECT_EQ(lint(file).outside_zero_points, 2U);
}

TEST_F(Lint, BlocksOfZeropointsOwn) {
  for (const std::string scheme : {"mxfp4", "mxfp8-e5m2", "nvfp4", "q8_0", "q4_0", "q4_1", "q5_0",
                                   "q5_1", "nest2", "trellis2"}) {
    auto x = weight_values(4 * 512, 5);
    std::fill_n(x.begin(), 512, 0.0F);
    QuantizedFile file(x, {4, 512}, scheme);
    const BlockFormat& format = *parse_scheme(scheme).format.block;
    const WeightLint before = lint(file);
    EXPECT_EQ(before.tiles, 4 * 512 / format.block) << scheme;
    EXPECT_EQ(before.zero_blocks, 512 / format.block) << scheme;
    EXPECT_TRUE(before.is_clean()) << scheme << before.dead_scales;
    const std::size_t last = file.part("w").bytes.size() - format.bytes;
    const std::size_t scale = std::min<std::size_t>(format.scale_bytes, 2);
    std::memcpy(file.part("w").bytes.data() + last, &format.nan_scale, scale);
    EXPECT_EQ(lint(file).dead_scales, 1U) << scheme;
    // MX: a byte of 0 is 2^-127. Joint codes have no other form for zeros.
    if (scheme.starts_with("mx") || format.is_joint) continue;
    std::memset(file.part("w").bytes.data() + last, 0, scale);
    EXPECT_EQ(lint(file).dead_scales, 1U) << scheme;
    EXPECT_EQ(lint(file).zero_blocks, before.zero_blocks) << scheme;
  }
}

// A block of ggml's: codes that stand for something under a d of 0 are lost.
TEST(LintOfBlocks, OfGgml) {
  for (const auto& type : tensor_types()) {
    if (type.kind != TensorKind::blocks || type.name == "MXFP4") continue;  // no scale is 0
    SCOPED_TRACE(type.name);
    const std::size_t d = type.name == "Q2_K"   ? 80
                          : type.name == "Q3_K" ? 108
                          : type.name == "Q6_K" ? 208
                                                : 0;
    std::vector<std::uint8_t> bytes(5 * type.bytes, 0);
    const auto set_d = [&](std::size_t block, std::uint32_t fp16, std::uint32_t fp32) {
      std::uint8_t* const at = bytes.data() + block * type.bytes + d;
      type.name == "Q8_K" ? std::memcpy(at, &fp32, 4) : std::memcpy(at, &fp16, 2);
    };
    const auto fill = [&](std::size_t block) {
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block * type.bytes), type.bytes,
                  0x11);
      // Minima of 0, where a type has them.
      for (const auto& [name, at] :
           {std::pair{"Q4_1", 2}, {"Q5_1", 2}, {"Q2_K", 82}, {"Q4_K", 2}, {"Q5_K", 2}}) {
        if (type.name == name) {
          std::memset(bytes.data() + block * type.bytes + static_cast<std::size_t>(at), 0, 2);
        }
      }
    };
    // The first block is 0 throughout.
    fill(1);
    set_d(1, 0, 0);
    fill(2);
    set_d(2, 0x3c00, 0x3f800000);
    fill(3);
    set_d(3, 0x7c00, 0x7f800000);
    fill(4);
    set_d(4, 0x8000, 0x80000000);
    const WeightFile file(std::make_unique<MemoryFile>(
        std::vector<RawTensor>{{"w", type.name, {5, type.block}, bytes}},
        std::vector<DequantizedTensor>{}));
    const auto found = file.lint(file.weights()[0]);
    EXPECT_EQ(found.tiles, 5U);
    EXPECT_EQ(found.dead_scales, 3U);
    EXPECT_EQ(found.zero_blocks, 1U);
  }
}

WeightFile onnx(const RawTensor& codes, const RawTensor& scale, const RawTensor* zero,
                DequantizedTensor how) {
  std::vector<RawTensor> tensors = {codes, scale};
  if (zero != nullptr) tensors.push_back(*zero);
  how.name = "w";
  how.codes = codes.name;
  how.scale = scale.name;
  if (zero != nullptr) how.zero_point = zero->name;
  return WeightFile(
      std::make_unique<MemoryFile>(std::move(tensors), std::vector<DequantizedTensor>{how}));
}

TEST(LintOfOnnx, EveryWayThatScalesLie) {
  // 2 × 6 × 3; scales along each axis, alone or in blocks of 4.
  const std::vector<std::size_t> shape = {2, 6, 3};
  for (const std::size_t axis : {0U, 1U, 2U}) {
    for (const std::size_t block : {0U, 1U, 4U}) {
      SCOPED_TRACE(::testing::Message() << axis << ' ' << block);
      std::vector<std::size_t> of_scale = shape;
      of_scale[axis] = (shape[axis] + 3) / 4;
      if (block == 0) of_scale = {shape[axis]};
      if (block == 1) of_scale = shape;
      std::size_t count = 1;
      for (const auto extent : of_scale) count *= extent;
      const auto tile = [&](std::size_t i) {
        const std::size_t at[3] = {i / 18, i / 3 % 6, i % 3};
        if (block == 0) return at[axis];
        std::size_t which = 0;
        for (std::size_t k = 0; k < 3; ++k) {
          which = which * of_scale[k] + (k == axis ? at[k] / block : at[k]);
        }
        return which;
      };
      std::vector<float> scales(count);
      std::vector<std::int8_t> zeros(count), codes(36);
      for (std::size_t i = 0; i < count; ++i) {
        scales[i] = 0.5F * static_cast<float>(i + 1);
        zeros[i] = static_cast<std::int8_t>(i % 5);
      }
      for (std::size_t i = 0; i < 36; ++i) codes[i] = static_cast<std::int8_t>(i * 7 % 40 + 10);
      for (std::size_t i = 0; i < 36; ++i) {
        if (tile(i) == count - 1) codes[i] = zeros[count - 1];
      }
      const RawTensor zero{"z", "I8", of_scale, bytes_of_values(zeros)};
      const WeightFile file = onnx({"c", "I8", shape, bytes_of_values(codes)},
                                   {"s", "F32", of_scale, bytes_of_values(scales)}, &zero,
                                   {"", "", "", "", axis, block, block == 0});
      ASSERT_EQ(file.weights().size(), 1U);
      const WeightValues loaded = file.load(file.weights()[0]);
      for (std::size_t i = 0; i < 36; ++i) {
        ASSERT_EQ(loaded.values()[i],
                  scales[tile(i)] * static_cast<float>(codes[i] - zeros[tile(i)]))
            << i;
      }
      auto found = file.lint(file.weights()[0]);
      EXPECT_EQ(found.tiles, count);
      EXPECT_EQ(found.zero_blocks, 1U);
      EXPECT_TRUE(found.is_clean());
    }
  }
}

TEST(LintOfOnnx, ScalesThatAreDead) {
  const RawTensor codes{"c", "U8", {3, 2}, {1, 2, 3, 4, 0, 0}};
  const WeightFile file =
      onnx(codes, {"s", "F32", {3}, bytes_of_values(std::vector<float>{0, kInf, 1})}, nullptr,
           {"", "", "", "", 0, 0, true});
  const auto found = file.lint(file.weights()[0]);
  EXPECT_EQ(found.dead_scales, 2U);
  EXPECT_EQ(found.zero_blocks, 1U);
}

TEST(LintOfPlain, NumbersThatAreNone) {
  const std::vector<float> x = {1, kInf, -kInf, std::nanf(""), 0};
  const WeightFile file(std::make_unique<MemoryFile>(
      std::vector<RawTensor>{{"w", "F32", {5}, bytes_of_values(x)},
                             {"h", "F16", {2}, {0x00, 0x7c, 0x00, 0x3c}},
                             {"i", "I8", {2}, {0xff, 0x7f}}},
      std::vector<DequantizedTensor>{}));
  EXPECT_EQ(file.lint(file.weights()[0]).non_finite, 3U);
  EXPECT_EQ(file.lint(file.weights()[1]).non_finite, 1U);
  EXPECT_TRUE(file.lint(file.weights()[2]).is_clean());
}

}  // namespace
}  // namespace zeropoint
