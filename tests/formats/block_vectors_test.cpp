// The vector code of block formats against their definitions, on every instruction set: the same
// bytes, the same bits, and nothing outside of what was given.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/formats/block_format.hpp"
#include "zeropoint/formats/float_format.hpp"

#include "formats/block_bits.hpp"
#include "support/guarded.hpp"
#include "support/random_values.hpp"
#include "support/targets.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kRun = 2144;  // values of a run: whole blocks, a batch of them and a rest
constexpr std::size_t kPart = 48;   // an odd number of NVFP4's blocks

// Whole blocks, one at least.
std::size_t whole(const BlockFormat& format, std::size_t count) {
  return std::max(count / format.block, std::size_t{1}) * format.block;
}

bool is_ggml(const BlockFormat& format) { return format.name.starts_with('q'); }

bool has_vectors() { return (hwy::SupportedTargets() & HWY_SCALAR) == 0; }

// Whether the instruction set in use must not leave finite values to the definition: all but those
// that cannot round x · y + z once.
bool must_be_fast(const BlockFormat& format) {
  if (!has_vectors()) return false;
  if (format.name != "q4_0" && format.name != "q5_0") return true;
  return (hwy::SupportedTargets() & (HWY_SSSE3 | HWY_SSE4 | HWY_EMU128)) == 0;
}

// Runs of values that have blocks of many kinds in them; within fp16 if asked to.
std::vector<std::vector<float>> runs(bool for_ggml) {
  std::mt19937_64 random(11);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> list;
  const auto add = [&](const auto& draw) {
    std::vector<float> x(kRun);
    for (float& value : x) value = draw();
    list.push_back(x);
  };
  for (int i = 0; i < 8; ++i) {
    for (const float scale : {1.0F, 1e-3F, 3e4F / 8, 1e-7F, 1e-20F, 1e-38F, 1e-41F}) {
      add([&] { return normal(random) * scale; });
    }
    // Multiples of halves and quarters: ties. Few values: extrema of both signs.
    for (const float step : {0.25F, 0.5F, 1.0F, 8.0F / 127}) {
      add([&] { return static_cast<float>(testing::integer_between(random, -16, 16)) * step; });
    }
    add([&] { return static_cast<float>(testing::integer_between(random, -1, 1)); });
    add([&] { return std::max(normal(random), 0.0F); });
    add([&] { return (random() & 1) != 0 ? 0.0F : -0.0F; });
    add([&] { return (random() & 7) != 0 ? 0.0F : 1e-45F; });
    // Halves and their neighbours, in units of the scale: each block's largest is 127, 8, 7, 15.
    for (const float largest : {127.0F, 8.0F, -8.0F, 16.0F, 7.0F, 15.0F}) {
      add([&] {
        const auto most = static_cast<std::int64_t>(std::abs(largest)) - 1;
        const float half = static_cast<float>(testing::integer_between(random, -most, most)) + 0.5F;
        const float toward[] = {-1000, half, 1000};
        return std::nextafter(half, toward[random() % 3]);
      });
      for (std::size_t k = 0; k < kRun; k += 16) list.back()[k] = largest;
    }
    // Wide: elements far below their block's scale, down to what becomes 0.
    add([&] {
      return std::ldexp(normal(random),
                        static_cast<int>(testing::integer_between(random, -30, 10)));
    });
    if (for_ggml) continue;
    add([&] { return testing::any_finite(random); });
    const auto power = static_cast<int>(testing::integer_between(random, -149, 127));
    add([&] { return std::ldexp(1 + std::abs(normal(random)) / 8, std::min(power, 126)); });
    add([&] { return normal(random) * 1e37F; });
  }
  const auto awkward = testing::awkward_values();
  if (!for_ggml) add([&] { return awkward[random() % awkward.size()]; });
  if (!for_ggml) list.emplace_back(kRun, std::numeric_limits<float>::max());
  list.emplace_back(kRun, -3.25F);
  return list;
}

std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }

TEST(BlockVectors, EncodeByteForByteAsTheDefinition) {
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    auto inputs = runs(is_ggml(format));
    if (format.is_slow) inputs.erase(inputs.begin() + 25, inputs.end() - 3);  // one of each kind
    for (const auto rule : {ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil}) {
      if (!format.has_scale_rule && rule != ScaleRule::floor) continue;
      SCOPED_TRACE(to_string(rule));
      const BlockOptions options{.scale_rule = rule};
      struct Expected {
        std::size_t count;
        float scale;
        std::vector<std::uint8_t> bytes;
      };
      std::vector<std::vector<Expected>> expected;
      for (const auto& x : inputs) {
        auto& of_run = expected.emplace_back();
        for (const std::size_t count : {whole(format, kRun), whole(format, kPart)}) {
          if (format.is_slow && count > format.block) continue;
          const auto stride = static_cast<std::ptrdiff_t>(count);
          Expected one{count, tensor_scale(format, {x.data(), 1, count, stride, 1}),
                       std::vector<std::uint8_t>(count / format.block * format.bytes)};
          format.encode(x.data(), count, options, one.scale, one.bytes.data());
          of_run.push_back(std::move(one));
        }
      }
      testing::on_every_target([&] {
        const testing::Guarded from(kRun * sizeof(float)), to(kRun * sizeof(float));
        for (std::size_t run = 0; run < inputs.size(); ++run) {
          for (const Expected& one : expected[run]) {
            auto* x = from.array<float>(one.count, true);
            auto* blocks = to.array<std::uint8_t>(one.bytes.size(), true);
            std::copy_n(inputs[run].data(), one.count, x);
            const bool is_done = format.fast_encode(x, one.count, options, one.scale, blocks);
            ASSERT_EQ(is_done, must_be_fast(format));
            if (!is_done) continue;
            for (std::size_t i = 0; i < one.bytes.size(); ++i) {
              ASSERT_EQ(int{blocks[i]}, int{one.bytes[i]})
                  << "byte " << i << ", block begins with " << x[i / format.bytes * format.block];
            }
          }
        }
      });
    }
  }
}

TEST(BlockVectors, DecodeAnyBytesAsTheDefinition) {
  std::mt19937_64 random(13);
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    testing::on_every_target([&] {
      const testing::Guarded from(kRun * sizeof(float)), to(kRun * sizeof(float));
      for (int round = 0; round < 600; ++round) {
        const std::size_t count = whole(format, round % 2 == 0 ? kRun : kPart);
        const std::size_t bytes = count / format.block * format.bytes;
        auto* blocks = from.array<std::uint8_t>(bytes, true);
        for (std::size_t i = 0; i < bytes; ++i) blocks[i] = static_cast<std::uint8_t>(random());
        // Every scale's byte in its turn.
        if (round < 256) blocks[format.scale_bytes - 1] = static_cast<std::uint8_t>(round);
        const float scale = format.has_tensor_scale ? 0.0371F : 1;
        std::vector<float> expected(count);
        format.decode(blocks, count, scale, expected.data());
        auto* x = to.array<float>(count, true);
        ASSERT_EQ(format.fast_decode(blocks, count, scale, x), has_vectors());
        if (!has_vectors()) continue;
        for (std::size_t i = 0; i < count; ++i) {
          if (std::isnan(expected[i])) {
            ASSERT_TRUE(std::isnan(x[i])) << i;
          } else {
            ASSERT_EQ(bits_of(x[i]), bits_of(expected[i])) << i;
          }
        }
      }
    });
  }
}

TEST(BlockVectors, LeaveToTheDefinitionWhatIsNotFiniteOrRoundedOtherwise) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& format : block_formats()) {
    SCOPED_TRACE(std::string(format.name));
    const std::size_t count = whole(format, 96);
    testing::on_every_target([&] {
      std::vector<std::uint8_t> blocks(count * 2);
      for (const float odd : {inf, -inf, std::nanf(""), -std::nanf("")}) {
        for (std::size_t at = 0; at < count; ++at) {
          std::vector<float> x(count, 1.0F);
          x[at] = odd;
          ASSERT_FALSE(format.fast_encode(x.data(), count, {}, 1, blocks.data())) << at;
        }
      }
      const std::vector<float> x(count, 1.0F);
      if (format.has_scale_rule) {
        const BlockOptions options{.rounding = Rounding::floor};
        ASSERT_FALSE(format.fast_encode(x.data(), count, options, 1, blocks.data()));
      }
    });
  }
}

// Every half between two fp16 and its neighbours: the minimum of a constant block of q4_1.
TEST(BlockVectors, ScalesAreRoundedToFp16AsTheDefinitionDoes) {
  const auto& fp16 = float_format("fp16");
  const auto& q4_1 = block_format("q4_1");
  std::vector<float> minima;
  for (std::uint32_t code = 0; code < 0x7BFF; ++code) {
    const auto below = static_cast<float>(decode(fp16, code).value);
    const auto above = static_cast<float>(decode(fp16, code + 1).value);
    const float middle = (below + above) / 2;
    for (const float x : {below, std::nextafter(middle, 0.0F), middle,
                          std::nextafter(middle, 1e30F), std::nextafter(below, 0.0F)}) {
      minima.push_back(x);
      minima.push_back(-x);
    }
  }
  minima.push_back(std::nextafter(65520.0F, 0.0F));
  std::vector<float> x;
  for (const float value : minima) x.insert(x.end(), 32, value);
  testing::on_every_target([&] {
    std::vector<std::uint8_t> blocks(minima.size() * q4_1.bytes);
    const bool is_done = q4_1.fast_encode(x.data(), x.size(), {}, 1, blocks.data());
    ASSERT_EQ(is_done, has_vectors());
    for (std::size_t k = 0; is_done && k < minima.size(); ++k) {
      const auto* block = blocks.data() + k * q4_1.bytes;
      ASSERT_EQ(block[0] | block[1] << 8, 0);
      ASSERT_EQ(block[2] | block[3] << 8, static_cast<int>(encode(fp16, minima[k]))) << minima[k];
    }
    const std::vector<float> beyond(32, 65520.0F);
    ASSERT_FALSE(q4_1.fast_encode(beyond.data(), 32, {}, 1, blocks.data()));
  });
}

TEST(BlockVectors, BitsOfSmallFloatsAreThoseOfTheirDefinition) {
  const auto& fp16 = float_format("fp16");
  const auto& e4m3 = float_format("e4m3");
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    const std::uint8_t bytes[2] = {static_cast<std::uint8_t>(code),
                                   static_cast<std::uint8_t>(code >> 8)};
    const auto expected = static_cast<float>(decode(fp16, code).value);
    const float found = get_fp16_bits(bytes);
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(found) : bits_of(expected) == bits_of(found));
  }
  for (std::uint32_t code = 0; code < 0x7F; ++code) {
    ASSERT_EQ(E4m3Bits::number(code), static_cast<float>(decode(e4m3, code).value));
  }
  for (std::uint32_t code = 0; code < 255; ++code) {
    ASSERT_EQ(e8m0_number(code), static_cast<float>(decode(float_format("e8m0"), code).value));
  }
}

// The scale's byte of every power of two and the fractions near where a rule turns.
TEST(BlockVectors, ScaleRulesAtEveryExponent) {
  for (const auto& format : block_formats()) {
    if (!format.has_scale_rule) continue;
    SCOPED_TRACE(std::string(format.name));
    for (const auto rule : {ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil}) {
      for (std::uint32_t exponent = 0; exponent < 255; ++exponent) {
        for (std::uint32_t fraction = 0; fraction < 1U << 23; fraction += 1U << 14) {
          for (const std::uint32_t offset : {0U, 1U, (1U << 14) - 1}) {
            float x[32] = {std::bit_cast<float>(exponent << 23 | (fraction + offset))};
            std::uint8_t expected[33];
            std::uint8_t found[33];
            if (offset == 1 && (fraction >> 14) % 64 != 0) continue;  // enough of them
            if ((exponent > 4 && exponent < 250) && exponent % 16 != 0) continue;
            format.encode(x, 32, {.scale_rule = rule}, 1, expected);
            ASSERT_TRUE(format.fast_encode(x, 32, {.scale_rule = rule}, 1, found));
            ASSERT_EQ(int{found[0]}, int{expected[0]}) << x[0];
            ASSERT_EQ(int{found[1]}, int{expected[1]}) << x[0];
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace zeropoint
