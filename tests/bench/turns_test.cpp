#include "bench/turns.hpp"

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

namespace zeropoint {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TEST(Turns, SpreadIsMedianAndQuartilesOfWhatWasMeasured) {
  const Spread s = spread({5, kNone, 1, 4, 2, kNone, 3});
  EXPECT_EQ(s.median, 3);
  EXPECT_EQ(s.low, 2);
  EXPECT_EQ(s.high, 4);
  EXPECT_EQ(s.count, 5U);
  EXPECT_EQ(spread({}).count, 0U);
}

// The clock halves in the middle: the ratio of what was measured in the same turn stays.
TEST(Turns, RatiosAreThoseOfTheSameTurn) {
  EXPECT_EQ(median_ratio({1, 1, 2, 2}, {3, 3, 6, 6}), 3);
  EXPECT_EQ(median_ratio({1, kNone, 2}, {3, 100, 6}), 3);
  EXPECT_TRUE(std::isnan(median_ratio({kNone}, {1})));
}

TEST(Turns, EachRunnerIsMeasuredAndAnyTwoMeet) {
  int quick = 0, slow = 0;
  const std::vector<Runner> runners = {
      {[&] { ++quick; }},
      {[&] {
        ++slow;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }},
  };
  const auto samples = take_turns(runners, {.seconds = 0.02, .least = 2, .most = 64});
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].size(), samples[1].size());
  EXPECT_GE(spread(samples[0]).count, 2U);
  EXPECT_GE(spread(samples[1]).count, 1U);
  EXPECT_GT(median_ratio(samples[0], samples[1]), 0);
  // Calls that take nanoseconds come in batches.
  EXPECT_GT(quick, 10 * slow);
}

}  // namespace
}  // namespace zeropoint
