#include "zeropoint/formats/packed_codes.hpp"

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

// Bit by bit, by the definition.
template <class Code>
std::vector<std::uint8_t> packed_by_bits(const std::vector<Code>& codes, int bits) {
  const auto width = static_cast<std::size_t>(bits);
  std::vector<std::uint8_t> bytes((codes.size() * width + 7) / 8);
  for (std::size_t j = 0; j < codes.size() * width; ++j) {
    const auto bit = codes[j / width] >> (j % width) & 1;
    bytes[j / 8] = static_cast<std::uint8_t>(bytes[j / 8] | bit << (j % 8));
  }
  return bytes;
}

template <class Code>
void expect_packed(std::size_t count, int bits) {
  SCOPED_TRACE(bits);
  SCOPED_TRACE(count);
  std::mt19937_64 random(count);
  std::vector<Code> codes(count);
  for (Code& code : codes) code = static_cast<Code>(random());  // upper bits too
  ASSERT_EQ(packed_bytes(count, bits), (count * static_cast<std::size_t>(bits) + 7) / 8);
  std::vector<std::uint8_t> bytes(packed_bytes(count, bits) + 1, 0xa5);
  const auto packed = std::span(bytes).first(bytes.size() - 1);
  pack(codes, bits, packed);
  ASSERT_EQ(std::vector(packed.begin(), packed.end()), packed_by_bits(codes, bits));
  ASSERT_EQ(bytes.back(), 0xa5);
  std::vector<Code> back(count + 1, 99);
  unpack(packed, bits, std::span(back).first(count));
  for (std::size_t i = 0; i < count; ++i)
    ASSERT_EQ(back[i], codes[i] & ((std::uint64_t{1} << bits) - 1)) << i;
  ASSERT_EQ(back[count], 99);
}

TEST(PackedCodes, BitByBitAtEveryWidthAndCount) {
  testing::on_every_target([] {
    for (int bits = 1; bits <= 32; ++bits) {
      for (const std::size_t count : {0,  1,  2,  3,  5,   7,   8,   9,   15,  16,   17,    31,
                                      63, 64, 65, 72, 104, 121, 136, 137, 511, 1000, 70'003}) {
        if (bits <= 8) expect_packed<std::uint8_t>(count, bits);
        if (bits <= 16) expect_packed<std::uint16_t>(count, bits);
        if (count < 1000 || bits % 6 == 1) expect_packed<std::uint32_t>(count, bits);
        if (HasFatalFailure()) return;
      }
    }
  });
}

TEST(PackedCodes, FourBitsAreTheLowNibbleFirst) {
  const std::vector<std::uint8_t> codes = {1, 2, 15, 0, 7};
  std::vector<std::uint8_t> bytes(3);
  pack(codes, 4, bytes);
  EXPECT_EQ(bytes, (std::vector<std::uint8_t>{0x21, 0x0f, 0x07}));
}

TEST(PackedCodes, SameOnAnyNumberOfThreads) {
  std::vector<std::uint16_t> codes(300'001);
  std::mt19937_64 random(3);
  for (auto& code : codes) code = static_cast<std::uint16_t>(random());
  const std::vector<std::uint8_t> expected = packed_by_bits(codes, 5);
  for (const int count : {1, 2, 3}) {
    const testing::WithThreads threads(count);
    std::vector<std::uint8_t> bytes(expected.size());
    pack(codes, 5, bytes);
    EXPECT_EQ(bytes, expected);
  }
}

TEST(PackedCodes, Refusals) {
  using ::testing::HasSubstr;
  std::vector<std::uint8_t> codes(10), bytes(5);
  for (const int bits : {-1, 0, 33}) {
    EXPECT_THAT(testing::refusal([&] { packed_bytes(1, bits); }), HasSubstr("1 to 32 bits"));
    EXPECT_THAT(testing::refusal([&] { pack(codes, bits, bytes); }), HasSubstr("1 to 32 bits"));
  }
  EXPECT_THAT(testing::refusal([&] { pack(codes, 9, bytes); }), HasSubstr("holds 9 bits, found 8"));
  EXPECT_THAT(testing::refusal([&] { pack(codes, 3, bytes); }),
              HasSubstr("expected 4 bytes for 10 codes of 3 bits, found 5"));
  EXPECT_THAT(testing::refusal([&] { unpack(bytes, 5, codes); }), HasSubstr("expected 7 bytes"));
  constexpr auto kMost = std::numeric_limits<std::size_t>::max();
  EXPECT_THAT(testing::refusal([&] { packed_bytes(kMost, 16); }), HasSubstr("fewer codes"));
}

}  // namespace
}  // namespace zeropoint
