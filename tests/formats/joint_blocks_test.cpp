// Formats whose values are coded together: how far from the rate–distortion function they are, what
// another decoder reads, and what they make of awkward blocks.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "zeropoint/formats/block_format.hpp"

#include "formats/trellis.hpp"
#include "support/normal.hpp"
#include "support/targets.hpp"

namespace zeropoint {
namespace {

std::vector<float> normal_values(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> x;
  while (x.size() < count) {
    const auto pair = testing::normal_pair(random);
    x.push_back(static_cast<float>(pair.first));
    x.push_back(static_cast<float>(pair.second));
  }
  x.resize(count);
  return x;
}

std::vector<std::uint8_t> bytes_of(const BlockFormat& format, const std::vector<float>& x) {
  std::vector<std::uint8_t> bytes(block_bytes(format, 1, x.size()));
  const auto stride = static_cast<std::ptrdiff_t>(x.size());
  encode_blocks(format, {}, {x.data(), 1, x.size(), stride, 1}, 1, bytes);
  return bytes;
}

std::vector<float> numbers_of(const BlockFormat& format, const std::vector<std::uint8_t>& bytes,
                              std::size_t count) {
  std::vector<float> x(count);
  decode_blocks(format, bytes, 1, {x.data(), 1, count, static_cast<std::ptrdiff_t>(count), 1});
  return x;
}

// The relative squared error.
double error_of(const std::vector<float>& x, const std::vector<float>& back) {
  double error = 0, signal = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x[i]} - back[i], 2);
    signal += std::pow(double{x[i]}, 2);
  }
  return error / signal;
}

// In dB above D(R) = 2^(−2R) at the bits that a block takes: docs/decisions/2026-11-24-beyond-
// scalar.md has these figures.
TEST(JointBlocks, DistanceFromTheRateDistortionFunction) {
  const std::map<std::string, double> claimed = {{"nest2", 2.11},    {"nest3", 1.99},
                                                 {"nest4", 2.02},    {"trellis2", 0.60},
                                                 {"trellis3", 0.68}, {"trellis4", 0.78}};
  constexpr std::size_t kBlock = 512;
  const auto x = normal_values(1 << 16, 42);
  std::size_t seen = 0;
  for (const auto& format : block_formats()) {
    if (!format.is_joint) continue;
    ++seen;
    SCOPED_TRACE(std::string(format.name));
    const auto back = numbers_of(format, bytes_of(format, x), x.size());
    const double error = error_of(x, back);
    testing::Mean of_blocks;
    for (std::size_t i = 0; i < x.size(); i += kBlock) {
      double sum = 0;
      for (std::size_t j = i; j < i + kBlock; ++j) sum += std::pow(double{x[j]} - back[j], 2);
      of_blocks.add(sum / kBlock);
    }
    const double deviation = 10 / std::log(10) * of_blocks.standard_error() / of_blocks.value();
    const double bits = 8.0 * static_cast<double>(format.bytes) / static_cast<double>(format.block);
    const double above = 10 * std::log10(error) + 20 * std::log10(2) * bits;
    RecordProperty(std::string(format.name), fmt::format("{:.3f} dB", above));
    EXPECT_LT(deviation, 0.04);
    EXPECT_NEAR(above, claimed.at(std::string(format.name)), 3 * deviation);
  }
  EXPECT_EQ(seen, claimed.size());
}

template <class T>
std::vector<T> from_hex(const std::string& text) {
  std::vector<T> values(text.size() / 2 / sizeof(T));
  auto* const bytes = reinterpret_cast<std::uint8_t*>(values.data());
  for (std::size_t i = 0; i < values.size() * sizeof(T); ++i) {
    bytes[i] = static_cast<std::uint8_t>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  }
  return values;
}

// tests/peers/golden_joint.py made them, with definitions of its own.
TEST(JointBlocks, BytesAndNumbersOfAnotherProgram) {
  std::ifstream file(ZEROPOINT_SOURCE_DIR "/tests/formats/joint_golden.txt");
  ASSERT_TRUE(file);
  std::map<std::string, int> decoded, encoded;
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string what, name, bytes_text, numbers_text;
    ASSERT_TRUE(words >> what >> name >> bytes_text >> numbers_text) << line;
    const auto& format = block_format(name);
    const auto bytes = from_hex<std::uint8_t>(bytes_text);
    const auto numbers = from_hex<float>(numbers_text);
    testing::on_every_target([&] {
      if (what == "encode") {
        EXPECT_EQ(bytes_of(format, numbers), bytes) << name;
      } else {
        EXPECT_EQ(numbers_of(format, bytes, numbers.size()), numbers) << name;
      }
    });
    ++(what == "encode" ? encoded : decoded)[name];
  }
  for (const auto& format : block_formats()) {
    if (!format.is_joint) continue;
    EXPECT_GE(decoded[std::string(format.name)], 1) << format.name;
    EXPECT_GE(encoded[std::string(format.name)], format.is_slow ? 0 : 2) << format.name;
  }
}

double value_of(int bits, std::size_t state) {
  return static_cast<double>(trellis_pairs(bits)[state].value) / double{kTrellisUnit};
}

// A trellis' value is about the normal quantile of its place among all states' values.
TEST(JointBlocks, TrellisValuesAreNearlyNormal) {
  for (const int bits : {2, 3, 4}) {
    std::vector<double> values;
    for (std::size_t state = 0; state < kTrellisStates; ++state) {
      values.push_back(value_of(bits, state));
    }
    std::sort(values.begin(), values.end());
    testing::Mean mean;
    double off = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      mean.add(values[i] * values[i]);
      const double place = testing::normal_probability_below(values[i]);
      off = std::max(off, std::abs(place - (static_cast<double>(i) + 0.5) / kTrellisStates));
    }
    EXPECT_NEAR(mean.value(), 1, 0.03) << bits;
    EXPECT_LT(off, 0.015) << bits;
    EXPECT_GT(values.back(), 3.2) << bits;
    EXPECT_LT(values.back(), 4) << bits;  // a square of 16 bits
  }
}

// From each state and into each leads a step to every slice of 1 / 2^bits of the probability.
TEST(JointBlocks, TrellisStepsReachAllParts) {
  for (const int bits : {2, 3, 4}) {
    const std::size_t ways = std::size_t{1} << bits;
    for (const bool is_last : {true, false}) {
      for (std::size_t i = 0; i < kTrellisStates / ways; ++i) {
        std::vector<double> places;
        for (std::size_t way = 0; way < ways; ++way) {
          const std::size_t state = is_last ? i + way * (kTrellisStates / ways) : i * ways + way;
          const double value = value_of(bits, state);
          places.push_back(testing::normal_probability_below(value));
        }
        std::sort(places.begin(), places.end());
        for (std::size_t way = 1; way < ways; ++way) {
          const double gap = (places[way] - places[way - 1]) * static_cast<double>(ways);
          ASSERT_GT(gap, 0.4) << bits << " " << i;
          ASSERT_LT(gap, 1.6) << bits << " " << i;
        }
      }
    }
  }
}

TEST(JointBlocks, ErrorDoesNotDependOnTheScale) {
  const auto unit = normal_values(4096, 7);
  for (const auto& format : block_formats()) {
    if (!format.is_joint) continue;
    const double expected = error_of(unit, numbers_of(format, bytes_of(format, unit), unit.size()));
    for (const float scale : {0x1p-120F, 1e-30F, 0.013F, 3e4F, 1e36F}) {
      std::vector<float> x;
      for (const float value : unit) x.push_back(value * scale);
      const double error = error_of(x, numbers_of(format, bytes_of(format, x), x.size()));
      EXPECT_NEAR(error / expected, 1, 0.02) << format.name << " " << scale;
    }
  }
}

// Nothing becomes worse than 0 is, and few large numbers do not take the others with them.
TEST(JointBlocks, BlocksFarFromNormal) {
  std::mt19937_64 random(9);
  const auto base = normal_values(512, 3);
  for (const auto& format : block_formats()) {
    if (!format.is_joint) continue;
    SCOPED_TRACE(std::string(format.name));
    const double normal = error_of(base, numbers_of(format, bytes_of(format, base), 512));
    auto x = base;
    for (float& value : x) value = std::copysign(1.0F, value);
    EXPECT_LT(error_of(x, numbers_of(format, bytes_of(format, x), 512)), 2 * normal);
    for (float& value : x) value = static_cast<float>(testing::between(random, -1, 1));
    EXPECT_LT(error_of(x, numbers_of(format, bytes_of(format, x), 512)), 1.5 * normal);
    x = base;
    x[100] = 60;
    x[300] = -50;
    EXPECT_LT(error_of(x, numbers_of(format, bytes_of(format, x), 512)), 1);
    // As much as possible in a row, over the block's end.
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = i < 6 || i >= 506 ? std::copysign(100.0F, base[i]) : base[i] * 1e-3F;
    }
    EXPECT_LT(error_of(x, numbers_of(format, bytes_of(format, x), 512)), 0.5);
    std::fill(x.begin(), x.end(), 0.0F);
    x[77] = -1e-3F;
    EXPECT_LE(error_of(x, numbers_of(format, bytes_of(format, x), 512)), 1);
  }
}

// A row's last block is filled up with the row's own values: what it loses is no more than others.
TEST(JointBlocks, ShortRows) {
  for (const auto& format : block_formats()) {
    if (!format.is_joint) continue;
    for (const std::size_t count : {1U, 7U, 100U, 513U, 700U}) {
      const auto x = normal_values(count, 11 + count);
      const double error = error_of(x, numbers_of(format, bytes_of(format, x), count));
      EXPECT_LT(error, (count < 100 ? 4 : 1.5) * std::pow(4, -format.element_bits))
          << format.name << " " << count;
    }
  }
}

TEST(JointBlocks, LargestNumbersAreFinite) {
  for (const auto& format : block_formats()) {
    if (!format.is_joint) continue;
    std::vector<float> x(512, std::numeric_limits<float>::max());
    for (std::size_t i = 0; i < x.size(); i += 3) x[i] = -x[i];
    for (const float value : numbers_of(format, bytes_of(format, x), 512)) {
      EXPECT_TRUE(std::isfinite(value)) << format.name;
    }
  }
}

}  // namespace
}  // namespace zeropoint
