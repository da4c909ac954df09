// Exact quantiles without a second copy of the data: every allocation of this test program counts.
#include <atomic>
#include <cstdlib>
#include <malloc.h>
#include <new>

#include <gtest/gtest.h>

#include "zeropoint/ranges/observer.hpp"
#include "zeropoint/ranges/order_statistics.hpp"
#include "zeropoint/ranges/range.hpp"

#include "support/random_values.hpp"
#include "support/threads.hpp"

namespace {

std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};

void* allocate(std::size_t size) {
  void* const block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t live = live_bytes += malloc_usable_size(block);
  for (std::size_t peak = peak_bytes; live > peak;) {
    if (peak_bytes.compare_exchange_weak(peak, live)) break;
  }
  return block;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  live_bytes -= malloc_usable_size(block);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }

namespace zeropoint {
namespace {

// The most that `call` held at any moment, beyond what was there before.
template <class Call>
std::size_t peak_of(const Call& call) {
  const std::size_t before = live_bytes;
  peak_bytes = before;
  call();
  return peak_bytes - before;
}

TEST(Memory, TheCounterSeesACopy) {
  const std::vector<float> values(1 << 20, 1.0F);
  EXPECT_GE(peak_of([&] { const auto copy = values; }), values.size() * sizeof(float));
}

TEST(Memory, RangesMakeNoCopyOfTheData) {
  constexpr std::size_t kCount = std::size_t{16} << 20;  // 64 MiB
  std::mt19937_64 random(31);
  std::vector<float> values(kCount);
  for (float& x : values) x = static_cast<float>(static_cast<std::int32_t>(random())) * 0x1p-31F;
  const testing::WithThreads with(2);
  constexpr std::size_t kCounters = 512 << 10;
  // Counts of the first pass, where bins are kept, and for the second pass two bins' counters
  // in total and on each of two threads.
  constexpr std::size_t kLimit = kCounters + kCounters / 2 + 3 * 2 * kCounters + (64 << 10);
  static_assert(kLimit < kCount * sizeof(float) / 10);
  EXPECT_LE(peak_of([&] { coverage_range(values, 0.99, Coverage::one_sided); }), kLimit);
  EXPECT_LE(peak_of([&] { min_max_range(values); }), std::size_t{64} << 10);
  EXPECT_LE(peak_of([&] { sigma_range(values, 3); }), std::size_t{64} << 10);
}

// Values all over float32, the worst there is: every page exists, and each thread's share of them.
TEST(Memory, StreamsTakeNoMoreThanTheySay) {
  std::mt19937_64 random(32);
  std::vector<float> values(std::size_t{6} << 20);
  for (float& x : values) x = testing::any_finite(random);
  for (const int count : {1, 2, 16}) {
    const testing::WithThreads with(count);
    StreamStatistics stream;
    const std::size_t kMiB = 1 << 20;
    EXPECT_LE(peak_of([&] { stream.observe(values); }), (count == 1 ? 17 : 50) * kMiB) << count;
    EXPECT_LE(stream.bytes(), 17 * kMiB);
    EXPECT_LE(peak_of([&] { stream.observe(values); }), (count == 1 ? 1 : 33) * kMiB) << count;
    EXPECT_LE(peak_of([&] { static_cast<void>(stream.bins()); }), 10 * kMiB);
    Observer observer(parse_range_estimator("mse"));
    observer.observe(values);
    EXPECT_LE(peak_of([&] { static_cast<void>(observer.range({256, false})); }), 20 * kMiB);
    EXPECT_LE(peak_of([&] { static_cast<void>(observer.serialize()); }), 46 * kMiB);
  }
}

// What calibration of int4:group=32:mse takes of a 64x4096 matrix; batch after batch no more than
// lists of kFew bins.
TEST(Memory, ManySmallStreamsTakeLittle) {
  std::mt19937_64 random(33);
  std::vector<Observer> observers(8192, Observer(parse_range_estimator("mse")));
  const auto see = [&] {
    std::normal_distribution<float> normal;
    std::vector<float> tile(32);
    for (auto& observer : observers) {
      for (float& x : tile) x = normal(random);
      observer.observe(tile);
    }
  };
  EXPECT_LE(peak_of(see), std::size_t{8} << 20);
  for (int batch = 0; batch < 7; ++batch) see();
  EXPECT_LE(observers.front().statistics().bytes(), std::size_t{4} << 10);
}

}  // namespace
}  // namespace zeropoint
