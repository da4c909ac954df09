#include "zeropoint/core/parallel.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/properties.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using testing::WithThreads;
using Pieces = std::multiset<std::pair<std::size_t, std::size_t>>;

Pieces pieces_of(std::size_t count, std::size_t grain) {
  Pieces pieces;
  std::mutex mutex;
  parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
    const std::lock_guard lock(mutex);
    pieces.emplace(begin, end);
  });
  return pieces;
}

Pieces expected_pieces(std::size_t count, std::size_t grain) {
  Pieces pieces;
  for (std::size_t begin = 0; begin < count;) {
    const std::size_t end = count - begin > grain ? begin + grain : count;
    pieces.emplace(begin, end);
    begin = end;
  }
  return pieces;
}

TEST(ParallelFor, MakesTheSamePiecesAtAnyThreadCount) {
  for (const int count_of_threads : {1, 2, 3, 7, 64}) {
    const WithThreads with(count_of_threads);
    for (const std::size_t count : {1, 2, 7, 8, 9, 1000}) {
      for (const std::size_t grain : {1, 2, 3, 8, 999, 1000, 1001}) {
        EXPECT_EQ(pieces_of(count, grain), expected_pieces(count, grain))
            << count << " by " << grain << " on " << count_of_threads;
      }
    }
  }
}

RC_GTEST_PROP(ParallelFor, CoversEveryIndexOnce, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(0, 3000);
  const auto grain = *rc::gen::inRange<std::size_t>(1, 400);
  const WithThreads with(*rc::gen::inRange(1, 9));
  std::vector<std::atomic<int>> visits(count);
  parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++visits[i];
  });
  for (const auto& visit : visits) RC_ASSERT(visit == 1);
}

TEST(ParallelFor, KeepsLittleWorkOnItsOwnThreadInTheSamePieces) {
  const WithThreads with(4);
  const auto caller = std::this_thread::get_id();
  Pieces pieces;
  std::mutex mutex;
  const auto body = [&](std::size_t begin, std::size_t end) {
    // Time enough for others to take their pieces, if there are others.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::lock_guard lock(mutex);
    EXPECT_EQ(std::this_thread::get_id(), caller);
    pieces.emplace(begin, end);
  };
  parallel_for(100, 7, body, 100);
  EXPECT_EQ(pieces, expected_pieces(100, 7));
}

TEST(ParallelFor, DoesNothingForNothing) {
  parallel_for(0, 1, [](std::size_t, std::size_t) { FAIL() << "called for an empty range"; });
}

TEST(ParallelFor, TakesAGrainOfZeroAsOne) { EXPECT_EQ(pieces_of(3, 0), expected_pieces(3, 1)); }

TEST(ParallelFor, TakesTheLargestGrainAsOnePiece) {
  const auto largest = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(pieces_of(10, largest), expected_pieces(10, 10));
  EXPECT_EQ(pieces_of(10, largest - 5), expected_pieces(10, 10));
}

TEST(ParallelFor, RethrowsWhatTheBodyThrew) {
  for (const int count_of_threads : {1, 2, 7}) {
    const WithThreads with(count_of_threads);
    try {
      parallel_for(100, 1, [](std::size_t begin, std::size_t) {
        if (begin == 42) throw std::out_of_range("at 42");
      });
      FAIL() << "nothing thrown on " << count_of_threads;
    } catch (const std::out_of_range& error) {
      EXPECT_STREQ(error.what(), "at 42");
    }
  }
}

TEST(ParallelFor, RethrowsOneOfManyAndStopsEarly) {
  const WithThreads with(4);
  std::atomic<int> calls{0};
  EXPECT_THROW(parallel_for(1'000'000, 1,
                            [&](std::size_t, std::size_t) {
                              ++calls;
                              throw std::runtime_error("each");
                            }),
               std::runtime_error);
  EXPECT_LE(calls, 1000);  // each thread's piece or two in flight, not the million
  // The machinery is whole after that.
  EXPECT_EQ(pieces_of(9, 2), expected_pieces(9, 2));
}

TEST(ParallelFor, NestsAndCarriesExceptionsThroughBothLevels) {
  const WithThreads with(3);
  std::vector<std::atomic<int>> visits(12 * 50);
  parallel_for(12, 1, [&](std::size_t row, std::size_t) {
    parallel_for(50, 7, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) ++visits[row * 50 + i];
    });
  });
  for (const auto& visit : visits) EXPECT_EQ(visit, 1);
  EXPECT_THROW(parallel_for(12, 1,
                            [&](std::size_t row, std::size_t) {
                              parallel_for(50, 7, [&](std::size_t begin, std::size_t) {
                                if (row == 7 && begin == 49) throw std::logic_error("inner");
                              });
                            }),
               std::logic_error);
}

TEST(ParallelFor, ServesSeveralCallersAtOnce) {
  std::vector<std::thread> callers;
  std::array<std::atomic<std::size_t>, 4> sums{};
  for (std::size_t caller = 0; caller < sums.size(); ++caller) {
    callers.emplace_back([&, caller] {
      for (int turn = 0; turn < 50; ++turn) {
        parallel_for(1000, 13, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) sums[caller] += i;
        });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  for (const auto& sum : sums) EXPECT_EQ(sum, 50U * 1000 * 999 / 2);
}

TEST(Threads, AreWhatWasSetAndOneACoreOtherwise) {
  {
    const WithThreads with(5);
    EXPECT_EQ(threads(), 5);
  }
  EXPECT_GE(threads(), 1);
  EXPECT_LE(threads(), static_cast<int>(std::thread::hardware_concurrency()));
  const int by_default = threads();
  set_threads(-3);
  EXPECT_EQ(threads(), by_default);
  set_threads(0);
}

TEST(Threads, BoundHowManyWorkAtOnce) {
  const WithThreads with(2);
  std::set<std::thread::id> workers;
  std::mutex mutex;
  parallel_for(64, 1, [&](std::size_t, std::size_t) {
    const std::lock_guard lock(mutex);
    workers.insert(std::this_thread::get_id());
  });
  EXPECT_LE(workers.size(), 2U);
}

}  // namespace
}  // namespace zeropoint
