#include "zeropoint/ranges/bin_counts.hpp"

#include <limits>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_values.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

constexpr std::uint64_t kCarry = std::uint64_t{1} << 32;

std::map<std::uint32_t, std::uint64_t> all_of(const BinCounts& counts) {
  std::map<std::uint32_t, std::uint64_t> all;
  counts.for_each([&](std::uint32_t bin, std::uint64_t count) {
    all[bin] = count;
    return true;
  });
  return all;
}

TEST(BinCounts, BinsAreInOrderAndHoldTheirEnds) {
  auto values = testing::awkward_values();
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) values.push_back(testing::any_finite(random));
  for (const float x : values) {
    const auto bin = BinCounts::bin_of(x);
    ASSERT_LT(bin, BinCounts::kBins);
    const float first = BinCounts::first_of(bin);
    const float last = BinCounts::last_of(bin);
    EXPECT_LE(first, x);
    EXPECT_GE(last, x);
    EXPECT_EQ(BinCounts::bin_of(first), bin);
    if (last != 0) {
      EXPECT_EQ(BinCounts::bin_of(last), bin);
    }
    // Denormals are as far apart as the smallest normal numbers.
    EXPECT_LE(double{last} - first, std::max(std::abs(double{x}), 0x1p-126) * 0x1p-13);
  }
  EXPECT_EQ(BinCounts::bin_of(-0.0F), BinCounts::bin_of(0.0F));
}

TEST(BinCounts, CountWhatIsThere) {
  std::mt19937_64 random(2);
  std::map<std::uint32_t, std::uint64_t> expected;
  std::vector<float> values(50'000);
  for (float& x : values) {
    x = testing::any_finite(random);
    ++expected[BinCounts::bin_of(x)];
  }
  BinCounts counts;
  EXPECT_EQ(counts.bytes(), 0U);
  counts.add(std::span<const float>());
  EXPECT_EQ(counts, BinCounts());
  counts.add(values);
  EXPECT_EQ(all_of(counts), expected);
}

TEST(BinCounts, GoPast32Bits) {
  const float x = 1.5F;
  const auto bin = BinCounts::bin_of(x);
  BinCounts counts;
  counts.add(bin, 3 * kCarry - 1);
  counts.add({&x, 1});
  EXPECT_EQ(counts[bin], 3 * kCarry);
  EXPECT_EQ(all_of(counts), (std::map<std::uint32_t, std::uint64_t>{{bin, 3 * kCarry}}));
  counts.add(bin, kCarry - 7);
  counts.merge(counts);
  EXPECT_EQ(counts[bin], 2 * (4 * kCarry - 7));
  BinCounts other;
  other.add(bin, 14);
  counts.merge(other);
  EXPECT_EQ(counts[bin], 8 * kCarry);
  BinCounts at_once;
  at_once.add(bin, 8 * kCarry);
  EXPECT_EQ(counts, at_once);
}

// Values all over make every thread run out of pages.
TEST(BinCounts, AreTheSameAtAnyThreadCount) {
  std::mt19937_64 random(3);
  std::vector<float> values((3 << 20) + 5);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = i % 3 == 0 ? testing::any_finite(random)
                           : static_cast<float>(testing::between(random, -1, 1));
  }
  BinCounts alone;
  {
    const testing::WithThreads one(1);
    alone.add(values);
  }
  EXPECT_LE(alone.bytes(), std::size_t{17} << 20);
  for (const int count : {2, 3, 16}) {
    const testing::WithThreads with(count);
    BinCounts together;
    together.add(values);
    EXPECT_EQ(together, alone) << count;
  }
}

// A list up to kFew bins, pages beyond, whatever way they came: in batches, at once, merged.
TEST(BinCounts, AreAListWhileTheyAreFew) {
  for (const std::size_t distinct : {1U, 32U, 1024U, 1025U, 3000U}) {
    std::vector<float> values(20'000);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = BinCounts::first_of(BinCounts::bin_of(0.001F) +
                                      static_cast<std::uint32_t>(i * 7 % distinct) * 3);
    }
    BinCounts at_once, one_by_one, merged, other_way;
    at_once.add(values);
    for (const float x : values) one_by_one.add(std::span(&x, 1));
    BinCounts first, second;
    first.add(std::span(values).first(100));
    second.add(std::span(values).subspan(100));
    merged.merge(first);
    merged.merge(second);
    other_way.merge(second);
    other_way.merge(first);
    EXPECT_EQ(at_once, one_by_one) << distinct;
    EXPECT_EQ(at_once, merged) << distinct;
    EXPECT_EQ(at_once, other_way) << distinct;
    EXPECT_EQ(at_once.bytes() <= 16 * BinCounts::kFew, distinct <= BinCounts::kFew) << distinct;
    std::uint64_t all = 0;
    at_once.for_each([&](std::uint32_t bin, std::uint64_t count) {
      all += count;
      EXPECT_EQ(one_by_one[bin], count);
      return true;
    });
    EXPECT_EQ(all, values.size());
  }
}

}  // namespace
}  // namespace zeropoint
