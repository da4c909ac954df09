#include "zeropoint/core/random.hpp"

#include <set>

#include <gtest/gtest.h>

namespace zeropoint {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The vectors that Random123 publishes for philox4x32-10 (its tests/kat_vectors).
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterStream, PutsEveryBitOfSeedStreamAndBlockIntoTheWords) {
  std::set<Words> seen{CounterStream(0, 0).words(0)};
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_TRUE(seen.insert(CounterStream(std::uint64_t{1} << bit, 0).words(0)).second) << bit;
    EXPECT_TRUE(seen.insert(CounterStream(0, 0).words(std::uint64_t{1} << bit)).second) << bit;
  }
  for (int bit = 0; bit < 32; ++bit) {
    EXPECT_TRUE(seen.insert(CounterStream(0, std::uint32_t{1} << bit).words(0)).second) << bit;
  }
}

TEST(CounterStream, IsPhiloxOfBlockAndStreamKeyedBySeed) {
  EXPECT_EQ(CounterStream(0, 0).words(0), philox4x32({0, 0, 0, 0}, {0, 0}));
  EXPECT_EQ(CounterStream(0x123456789abcdef0, 7).words(0xfedcba9876543210),
            philox4x32({0x76543210, 0xfedcba98, 7, 0}, {0x9abcdef0, 0x12345678}));
}

// std::mt19937 seeded with 0 begins 2357136044, 2546248239, 3071714933; of each the low 24 bits.
TEST(ReportStream, GivesTheLow24BitsOfTheTwister) {
  ReportStream stream(0);
  EXPECT_EQ(stream.next(), 8325804 * 0x1p-24F);
  EXPECT_EQ(stream.next(), 12888623 * 0x1p-24F);
  EXPECT_EQ(stream.next(), 1484405 * 0x1p-24F);
}

TEST(ReportStream, FollowsTheTwisterForAnySeed) {
  for (const std::uint32_t seed : {0U, 1U, 5489U, 0xFFFFFFFFU}) {
    std::mt19937 engine(seed);
    ReportStream stream(seed);
    for (int i = 0; i < 2000; ++i) {
      const auto word = engine();
      const float u = stream.next();
      ASSERT_EQ(static_cast<double>(u), static_cast<double>(word % 16777216) / 16777216)
          << "seed " << seed << ", draw " << i;
      ASSERT_LT(u, 1.0F);
    }
  }
}

}  // namespace
}  // namespace zeropoint
