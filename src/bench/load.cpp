#include "bench/load.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/kernels.hpp"

namespace zeropoint {
namespace {

// Bytes at a cache line's beginning, each page touched by the thread that will read it.
class Buffer {
 public:
  Buffer(std::size_t bytes, int threads)
      : data_(static_cast<std::byte*>(::operator new(bytes, kAlignment))), bytes_(bytes) {
    each_piece(threads, [this](std::size_t begin, std::size_t size) {
      std::memset(data_ + begin, 0x5A, size);
    });
  }
  ~Buffer() { ::operator delete(data_, kAlignment); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }

  /// work(begin, size) for an even piece a thread, all at once.
  template <class Work>
  void each_piece(int threads, const Work& work) const {
    const std::size_t steps = bytes_ / kReadStep;
    const auto pieces = static_cast<std::size_t>(threads);
    const auto piece = [&](std::size_t p) {
      const std::size_t begin = steps * p / pieces, end = steps * (p + 1) / pieces;
      if (end > begin) work(begin * kReadStep, (end - begin) * kReadStep);
    };
    if (threads == 1) return piece(0);
    run_team(threads, [&](int index, int size) {
      for (auto p = static_cast<std::size_t>(index); p < pieces;
           p += static_cast<std::size_t>(size)) {
        piece(p);
      }
    });
  }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  std::byte* data_;
  std::size_t bytes_;
};

// Threads are woken for no less: it takes as long as reading a few hundred KiB.
constexpr std::size_t kWorthThreads = std::size_t{1} << 20;

std::size_t whole_steps(std::size_t bytes) {
  return std::max<std::size_t>(1, (bytes + kReadStep - 1) / kReadStep) * kReadStep;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Rates for seconds: the quartiles change places.
Spread rate(double amount, const Spread& seconds) {
  if (seconds.count == 0) return {};
  return {amount / seconds.median, amount / seconds.high, amount / seconds.low, seconds.count};
}

PeakRunner peak(void (*loop)(std::size_t) noexcept, double ops, int threads) {
  // Long enough that starting and joining a team does not count.
  const double wanted = threads > 1 ? 2e-3 : 0.5e-3;
  std::size_t rounds = 64;
  for (double took = 0; took < wanted / 2; rounds *= 2) took = seconds_of([&] { loop(rounds); });
  const auto call = [=] {
    if (threads == 1) return loop(rounds);
    run_team(threads, [=](int index, int size) {
      for (int p = index; p < threads; p += size) loop(rounds);
    });
  };
  return {{call}, ops * static_cast<double>(rounds) * threads};
}

// The part of the time that the least lucky of the threads ran, all of them having work: less than
// all of it is what other processes took.
double part_run(const PeakLoops& loops, int threads) {
  constexpr auto kWatched = std::chrono::milliseconds(60);
  std::vector<double> parts(static_cast<std::size_t>(threads), 1);
  const auto watch = [&](int index, int) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const double before = thread_seconds();
    while (Clock::now() - start < kWatched) loops.run_dot(1000);
    parts[static_cast<std::size_t>(index)] =
        (thread_seconds() - before) / std::chrono::duration<double>(Clock::now() - start).count();
  };
  run_team(threads, watch);
  return std::min(1.0, std::ranges::min(parts));
}

}  // namespace

PeakRunner dot_peak(const PeakLoops& loops, int threads) {
  return peak(loops.run_dot, loops.dot_ops, threads);
}

PeakRunner fma_peak(const PeakLoops& loops, int threads) {
  return peak(loops.run_fma, loops.fma_ops, threads);
}

MemoryRunner reading(const PeakLoops& loops, std::size_t bytes, int threads) {
  const std::size_t whole = whole_steps(bytes);
  const int team = whole < kWorthThreads ? 1 : threads;
  const auto buffer = std::make_shared<Buffer>(whole, team);
  const auto call = [=, read = loops.read] {
    buffer->each_piece(
        team, [&](std::size_t begin, std::size_t size) { read(buffer->data() + begin, size); });
  };
  return {{call}, static_cast<double>(whole)};
}

MemoryRunner copying(std::size_t bytes, int threads) {
  const std::size_t half = whole_steps(bytes / 2);
  const int team = half < kWorthThreads ? 1 : threads;
  const auto from = std::make_shared<Buffer>(half, team);
  const auto to = std::make_shared<Buffer>(half, team);
  const auto call = [=] {
    from->each_piece(team, [&](std::size_t begin, std::size_t size) {
      std::memcpy(to->data() + begin, from->data() + begin, size);
    });
  };
  return {{call}, 2 * static_cast<double>(half)};
}

std::vector<BenchMachine::Cache> data_caches() {
  std::vector<BenchMachine::Cache> caches;
  for (int index = 0;; ++index) {
    const auto folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    std::string type, unit;
    BenchMachine::Cache cache;
    if (!(std::ifstream(folder + "type") >> type)) return caches;
    if (type == "Instruction") continue;
    if (!(std::ifstream(folder + "level") >> cache.level)) continue;
    if (!(std::ifstream(folder + "size") >> cache.bytes >> unit)) continue;
    cache.bytes <<= unit.starts_with('M') ? 20 : 10;
    caches.push_back(cache);
  }
}

std::size_t beyond_caches(const std::vector<BenchMachine::Cache>& caches, bool quick) {
  std::size_t largest = 0;
  for (const auto& cache : caches) largest = std::max(largest, cache.bytes);
  // Eight times the last cache leaves little of it; a machine of little memory makes do with less.
  const std::size_t wanted =
      std::max((quick ? std::size_t{64} : std::size_t{256}) << 20, (quick ? 2 : 8) * largest);
  return whole_steps(std::min<std::size_t>(wanted, available_memory() / 8));
}

BenchPeaks measure_peaks(const PeakLoops& loops, std::size_t bytes, int threads, double seconds) {
  const auto dot = dot_peak(loops, threads);
  const auto fma = fma_peak(loops, threads);
  const auto read = reading(loops, bytes, threads);
  const auto copy = copying(bytes, threads);
  const auto samples =
      take_turns({dot.runner, fma.runner, read.runner, copy.runner}, {.seconds = seconds});
  return {threads,
          part_run(loops, threads),
          rate(dot.ops, spread(samples[0])),
          rate(fma.ops, spread(samples[1])),
          rate(read.bytes, spread(samples[2])),
          rate(copy.bytes, spread(samples[3]))};
}

double read_rate(std::size_t bytes, int threads) {
  const auto read = reading(peak_loops(kernel_name()), bytes, threads);
  return read.bytes / spread(take_turns({read.runner}, {.seconds = 0.2}).front()).median;
}

}  // namespace zeropoint
