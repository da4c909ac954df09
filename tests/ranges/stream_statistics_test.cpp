#include "zeropoint/ranges/stream_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

#include "ranges/byte_stream.hpp"
#include "ranges/draws.hpp"
#include "support/properties.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using testing::draw;
using ::testing::HasSubstr;
using testing::kDraws;

StreamStatistics in_batches(std::span<const float> x, std::size_t batch) {
  StreamStatistics s;
  for (std::size_t i = 0; i < x.size(); i += batch) {
    s.observe(x.subspan(i, std::min(batch, x.size() - i)));
  }
  return s;
}

TEST(StreamStatistics, DependsOnNoBatchAndNoOrderOfMerging) {
  for (const auto kind : kDraws) {
    const auto x = draw(kind, 20'000);
    const auto whole = in_batches(x, x.size());
    for (const std::size_t batch : {1U, 7U, 1000U}) EXPECT_EQ(in_batches(x, batch), whole);
    std::mt19937 random(2);
    for (int trial = 0; trial < 5; ++trial) {
      std::vector<StreamStatistics> parts;
      for (std::size_t i = 0; i < x.size(); i += 2500) {
        parts.push_back(in_batches(std::span(x).subspan(i, 2500), 1 + random() % 999));
      }
      std::ranges::shuffle(parts, random);
      StreamStatistics merged;
      for (const auto& part : parts) merged.merge(part);
      EXPECT_EQ(merged, whole) << kind;
      EXPECT_EQ(merged.mean(), whole.mean());
      EXPECT_EQ(merged.variance(), whole.variance());
    }
  }
}

TEST(StreamStatistics, QuantilesLieWhereTheySayTheyDo) {
  for (const auto kind : kDraws) {
    const auto x = draw(kind, 32'769);  // so that ranks are exact probabilities
    auto sorted = x;
    std::ranges::sort(sorted);
    const auto s = in_batches(x, 777);
    for (const std::size_t low : {0U, 3U, 300U, 7500U, 15'000U, 30'000U, 32'765U, 32'768U}) {
      const double p = static_cast<double>(low) / static_cast<double>(x.size() - 1);
      const auto q = s.quantile(p);
      EXPECT_LE(q.at_least, sorted[low]) << kind << p;
      EXPECT_GE(q.at_most, sorted[low]) << kind << p;
      EXPECT_LE(q.first_rank, low);
      EXPECT_GE(q.last_rank, low);
      // All of those ranks, and no others, lie in the interval.
      if (low > 0 && low + 1 < x.size()) {
        const auto below = std::ranges::lower_bound(sorted, q.at_least) - sorted.begin();
        const auto after = std::ranges::upper_bound(sorted, q.at_most) - sorted.begin();
        EXPECT_EQ(q.first_rank, static_cast<std::uint64_t>(below));
        EXPECT_EQ(q.last_rank + 1, static_cast<std::uint64_t>(after));
      }
      EXPECT_LE(q.at_most - q.at_least, std::abs(q.at_most) * 0x1p-12F);
      EXPECT_GE(q.value, q.at_least);
      EXPECT_LE(q.value, q.at_most);
    }
  }
}

TEST(StreamStatistics, KeepWhatTheyAreToldTo) {
  const std::vector<float> x = {1, 2, 6};
  StreamStatistics extremes(StreamParts::extremes), moments(StreamParts::moments);
  extremes.observe(x);
  moments.observe(x);
  EXPECT_EQ(extremes.min_max(), (Range{1, 6}));
  EXPECT_THAT(testing::refusal([&] { extremes.mean(); }), HasSubstr("kept"));
  EXPECT_THAT(testing::refusal([&] { moments.quantile(0.5); }), HasSubstr("kept"));
  EXPECT_EQ(moments.mean(), 3);
  EXPECT_LE(moments.bytes(), 400U);
  EXPECT_THAT(testing::refusal([&] { moments.merge(extremes); }), HasSubstr("keeps the same"));
  for (const auto* part : {&extremes, &moments}) {
    EXPECT_EQ(StreamStatistics::deserialize(part->serialize()), *part);
  }
}

TEST(StreamStatistics, BinsAreBoundedAndHoldAll) {
  std::mt19937_64 random(9);
  std::vector<float> x(1 << 21);
  for (float& v : x) v = testing::any_finite(random);
  StreamStatistics s(StreamParts::bins);
  s.observe(x);
  EXPECT_LE(s.bytes(), std::size_t{17} << 20);
  const auto bins = s.bins();
  EXPECT_LE(bins.size(), 220'000U);
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    count += bins[i].count;
    ASSERT_LE(bins[i].at_least, bins[i].at_most);
    if (i > 0) {
      ASSERT_LT(bins[i - 1].at_most, bins[i].at_least);
    }
  }
  EXPECT_EQ(count, x.size());
  EXPECT_EQ(bins.front().at_least, s.min_max().min);
  EXPECT_EQ(bins.back().at_most, s.min_max().max);
}

// Any floats, any cut, any order: the same to the last bit.
RC_GTEST_PROP(StreamStatistics, AreTheSameHoweverCutAndMerged, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  std::vector<float> x(1 + random() % 500);
  for (float& v : x) {
    v = random() % 2 ? testing::any_finite(random)
                     : static_cast<float>(testing::between(random, -2, 2));
  }
  const auto whole = in_batches(x, x.size());
  std::vector<StreamStatistics> parts(1 + random() % 4);
  for (std::size_t i = 0; i < x.size();) {
    const std::size_t size = std::min<std::size_t>(random() % 60, x.size() - i);
    parts[random() % parts.size()].observe(std::span(x).subspan(i, size));
    i += size;
  }
  // Merged as a tree, some by way of bytes.
  while (parts.size() > 1) {
    std::ranges::shuffle(parts, random);
    auto last = std::move(parts.back());
    parts.pop_back();
    parts[random() % parts.size()].merge(
        random() % 2 ? last : StreamStatistics::deserialize(last.serialize()));
  }
  RC_ASSERT(parts.front() == whole);
  RC_ASSERT(parts.front().serialize() == whole.serialize());

  // Whatever the quantile asked for, the interval holds it.
  std::ranges::sort(x);
  const double p = testing::between(random, 0, 1);
  const double rank = p * static_cast<double>(x.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const std::size_t high = std::min(low + 1, x.size() - 1);
  const auto q = whole.quantile(p);
  RC_ASSERT(q.at_least <= x[low]);
  RC_ASSERT(q.at_most >= x[rank > static_cast<double>(low) ? high : low]);
  RC_ASSERT(q.first_rank <= low && q.last_rank >= low);
  RC_ASSERT(x[q.first_rank] >= q.at_least && x[q.last_rank] <= q.at_most);
  RC_ASSERT(q.value >= q.at_least && q.value <= q.at_most);
}

TEST(StreamStatistics, AreTheSameAtAnyThreadCount) {
  const auto x = draw("outliers", (2 << 20) + 3);
  StreamStatistics alone;
  {
    const testing::WithThreads one(1);
    alone.observe(x);
  }
  for (const int count : {2, 5}) {
    const testing::WithThreads with(count);
    EXPECT_EQ(in_batches(x, x.size()), alone) << count;
  }
}

TEST(StreamStatistics, BytesComeBackAndOthersAreRefused) {
  const auto s = in_batches(draw("outliers", 5000), 100);
  const auto bytes = s.serialize();
  EXPECT_EQ(StreamStatistics::deserialize(bytes), s);
  EXPECT_EQ(StreamStatistics::deserialize(StreamStatistics().serialize()), StreamStatistics());
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 9) {
    EXPECT_THROW(StreamStatistics::deserialize(std::span(bytes).first(size)), InputError) << size;
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_THROW(StreamStatistics::deserialize(longer), InputError);
  std::mt19937 random(4);
  for (int trial = 0; trial < 300; ++trial) {
    auto wrong = bytes;
    wrong[random() % wrong.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    EXPECT_THROW(StreamStatistics::deserialize(wrong), InputError);
  }
}

// Bytes that someone made, with the right checksum: refused, or statistics that answer.
TEST(StreamStatistics, ForgedBytesDoNoHarm) {
  const auto small = in_batches(std::vector<float>{-3, 0, 1, 1, 1e30F}, 5).serialize();
  std::mt19937 random(5);
  for (int trial = 0; trial < 20'000; ++trial) {
    std::vector<std::uint8_t> wrong(small.begin(), small.end() - sizeof(std::uint64_t));
    const auto flips = 1 + random() % 3;
    for (unsigned flip = 0; flip < flips; ++flip) {
      wrong[random() % wrong.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    }
    if (random() % 4 == 0) wrong.resize(random() % (wrong.size() + 1));
    ByteWriter out;
    out.put(std::span<const std::uint8_t>(wrong));
    try {
      const auto read = StreamStatistics::deserialize(out.take_with_checksum());
      if (read.count() == 0) continue;
      EXPECT_TRUE(std::isfinite(read.mean()));
      EXPECT_GE(read.variance(), 0);
      EXPECT_TRUE(std::isfinite(read.quantile(0.3).value));
    } catch (const InputError&) {
    }
  }
}

TEST(StreamStatistics, WhatIsNotFiniteIsRefusedPassedOverOrSaturated) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {1, -inf, std::nanf(""), 2};
  StreamStatistics s;
  s.observe(std::vector<float>{5});
  EXPECT_THAT(testing::refusal([&] { s.observe(x, "W"); }), HasSubstr("W"));
  EXPECT_EQ(s.count(), 1U);
  s.observe(x, "W", NonFinite::ignore);
  EXPECT_EQ(s.count(), 3U);
  EXPECT_EQ(s.min_max(), (Range{1, 5}));
  s.observe(x, "W", NonFinite::saturate);
  EXPECT_EQ(s.min_max(), (Range{std::numeric_limits<float>::lowest(), 5}));
  EXPECT_THROW(StreamStatistics().min_max(), InputError);
  EXPECT_THROW(StreamStatistics().quantile(0.5), InputError);
}

}  // namespace
}  // namespace zeropoint
