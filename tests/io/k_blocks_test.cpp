// Numbers that the Python package gguf gives, written down by tests/peers/golden_k_blocks.py.
#include <bit>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/io/tensor_type.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kBlocks = 32;

struct Scales {
  const char* type;
  std::vector<std::size_t> fp16;  // where they lie
};
const Scales kScales[] = {{"Q8_1", {0, 2}}, {"Q2_K", {80, 82}}, {"Q3_K", {108}}, {"Q4_K", {0, 2}},
                          {"Q5_K", {0, 2}}, {"Q6_K", {208}},    {"Q8_K", {}},    {"MXFP4", {}}};

// Any bytes, but no scale that is infinite or NaN.
std::vector<std::uint8_t> blocks_of(const TensorType& type) {
  std::vector<std::uint8_t> data(kBlocks * type.bytes);
  std::uint32_t state = 1;
  for (auto& byte : data) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  for (std::size_t block = 0; block < kBlocks; ++block) {
    std::uint8_t* const bytes = data.data() + block * type.bytes;
    for (const auto& [name, places] : kScales) {
      if (name != type.name) continue;
      for (const std::size_t at : places) {
        if ((bytes[at + 1] & 0x7C) == 0x7C) bytes[at + 1] &= 0xBF;
      }
    }
    if (type.name == "Q8_K" && (bytes[3] & 0x7F) == 0x7F) bytes[3] &= 0xBF;
  }
  return data;
}

std::uint64_t hash(const float* x, std::size_t count) {
  std::uint64_t value = 0xCBF29CE484222325U;
  for (std::size_t i = 0; i < 4 * count; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[i / 4]);
    value = (value ^ (bits >> (8 * (i % 4)) & 255)) * 0x100000001B3U;
  }
  return value;
}

TEST(KBlocks, NumbersAreGgmls) {
  std::ifstream file(ZEROPOINT_SOURCE_DIR "/tests/io/k_blocks_golden.txt");
  std::size_t types = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    std::size_t bytes = 0;
    words >> name >> bytes >> std::hex;
    const TensorType& type = tensor_type(name);
    ASSERT_EQ(type.bytes, bytes);
    const auto data = blocks_of(type);
    std::vector<float> x(kBlocks * type.block);
    type.decode(data.data(), x.size(), x.data());
    for (std::size_t block = 0; block < kBlocks; ++block) {
      std::uint64_t expected = 0;
      ASSERT_TRUE(words >> expected);
      EXPECT_EQ(hash(x.data() + block * type.block, type.block), expected)
          << name << ", block " << block;
    }
    ++types;
  }
  EXPECT_EQ(types, std::size(kScales));
}

TEST(KBlocks, LastBlocksInPart) {
  for (const auto& type : tensor_types()) {
    if (type.kind != TensorKind::blocks) continue;
    auto data = blocks_of(type);
    data.resize(3 * type.bytes);
    std::vector<float> whole(3 * type.block);
    type.decode(data.data(), whole.size(), whole.data());
    for (std::size_t count = 0; count <= whole.size(); ++count) {
      // Neither a byte that the count does not need, nor a number more than it.
      const std::vector<std::uint8_t> needed(
          data.begin(), data.begin() + static_cast<std::ptrdiff_t>(type.stored_bytes(count)));
      std::vector<float> x(count + 1, 123456.0F);
      type.decode(needed.data(), count, x.data());
      EXPECT_EQ(x.back(), 123456.0F) << type.name;
      EXPECT_EQ(hash(x.data(), count), hash(whole.data(), count)) << type.name << ' ' << count;
    }
  }
}

TEST(KBlocks, ScalesThatAreNotFiniteCarryOver) {
  const TensorType& type = tensor_type("Q4_K");
  std::vector<std::uint8_t> block(type.bytes, 0x11);
  block[0] = 0x00;
  block[1] = 0x7C;  // infinity
  std::vector<float> x(type.block);
  type.decode(block.data(), x.size(), x.data());
  EXPECT_TRUE(std::isinf(x[0]));
  block[1] = 0x7E;  // NaN
  type.decode(block.data(), x.size(), x.data());
  EXPECT_TRUE(std::isnan(x[0]));
}

}  // namespace
}  // namespace zeropoint
