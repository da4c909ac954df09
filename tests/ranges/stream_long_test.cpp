// A stream of more than 10^9 values whose every order statistic is known without keeping one.
// Disabled, since it takes half a minute:
//   test_ranges --gtest_also_run_disabled_tests --gtest_filter='*LongStream*'
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/ranges/stream_statistics.hpp"

namespace zeropoint {
namespace {

// So that a rank divided by the last is exact.
constexpr std::uint64_t kCount = (std::uint64_t{1} << 30) + 1;
constexpr std::uint64_t kBatch = 1 << 18;

// The value of that rank: quantiles of Laplace's distribution, rising with the rank.
float value_at(std::uint64_t rank) {
  const double p = (static_cast<double>(rank) + 0.5) / kCount;
  return static_cast<float>(p < 0.5 ? std::log(2 * p) : -std::log(2 * (1 - p)));
}

// The most that this process had resident, in bytes; where the system does not say, 0.
std::size_t resident_peak() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    std::size_t kib = 0;
    status >> kib;
    return kib << 10;
  }
  return 0;
}

TEST(DISABLED_LongStream, QuantilesAreWhereTheySay) {
  using Clock = std::chrono::steady_clock;
  const std::size_t before = resident_peak();
  StreamStatistics halves[2];
  std::vector<float> batch(kBatch);
  Clock::duration observing{};
  // Ranks in the order of a multiple that has no factor in common with their count.
  constexpr std::uint64_t kStride = 618'033'989;
  std::uint64_t rank = 0;
  for (std::uint64_t done = 0; done < kCount;) {
    const std::uint64_t size = std::min(kBatch, kCount - done);
    for (std::uint64_t i = 0; i < size; ++i) {
      batch[i] = value_at(rank);
      rank = (rank + kStride) % kCount;
    }
    const auto start = Clock::now();
    halves[done / kBatch % 2].observe(std::span(batch).first(size));
    observing += Clock::now() - start;
    done += size;
  }
  halves[0].merge(StreamStatistics::deserialize(halves[1].serialize()));
  const auto& stream = halves[0];
  ASSERT_EQ(stream.count(), kCount);
  EXPECT_EQ(stream.min_max(), (Range{value_at(0), value_at(kCount - 1)}));

  double widest = 0;
  double most_mass = 0;
  double farthest = 0;
  const std::uint64_t steps = 20'000;
  for (std::uint64_t step = 0; step <= steps; ++step) {
    // Evenly, and at either end rank by rank.
    const std::uint64_t at = step < 200           ? step
                             : step > steps - 200 ? kCount - 1 - (steps - step)
                                                  : (kCount - 1) / steps * step;
    const double p = static_cast<double>(at) / static_cast<double>(kCount - 1);
    const auto found = stream.quantile(p);
    const float exact = value_at(at);
    ASSERT_LE(found.at_least, exact) << at;
    ASSERT_GE(found.at_most, exact) << at;
    ASSERT_LE(found.first_rank, at);
    ASSERT_GE(found.last_rank, at);
    // The interval holds the values of these ranks, and of none beyond.
    ASSERT_LE(value_at(found.last_rank), found.at_most);
    ASSERT_GE(value_at(found.first_rank), found.at_least);
    if (found.first_rank > 0 && at > 0) {
      ASSERT_LE(value_at(found.first_rank - 1), found.at_least);
    }
    if (found.last_rank + 1 < kCount && at + 1 < kCount) {
      ASSERT_GE(value_at(found.last_rank + 1), found.at_most);
    }
    widest = std::max(widest, (double{found.at_most} - found.at_least) / std::abs(exact));
    most_mass =
        std::max(most_mass, static_cast<double>(found.last_rank - found.first_rank + 1) / kCount);
    farthest = std::max(farthest, std::abs((double{found.value} - exact) / exact));
  }
  EXPECT_LE(widest, 0x1p-13);
  const std::size_t grown = resident_peak() - before;
  std::cout << kCount << " values: memory grew by " << (grown >> 10) << " KiB, of which "
            << (sizeof(float) * kBatch >> 10) << " are the batch; observed at "
            << 4e-9 * kCount / std::chrono::duration<double>(observing).count()
            << " GB/s; widest interval " << widest << " of the value, most mass " << most_mass
            << " of all, farthest value " << farthest << "\n";
  EXPECT_LT(grown, std::size_t{64} << 20);
}

}  // namespace
}  // namespace zeropoint
