#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <unistd.h>

#include <fmt/format.h>

#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/kernels.hpp"

#include "bench/contestants.hpp"
#include "bench/elementwise.hpp"
#include "bench/peak.hpp"

namespace zeropoint {
namespace {

// Of up to so many rows of A, reading B is what takes the time.
constexpr std::size_t kFewRows = 16;
// Rounds of a peak loop: some 50 microseconds.
constexpr std::size_t kPeakRounds = 4000;

using ThreadWork = std::function<void(std::size_t index)>;

// Calls work(0 … threads − 1) at once, each on a thread of its own.
void on_threads(int threads, const ThreadWork& work) {
  if (threads == 1) return work(0);
  run_team(threads, [&](int index, int) { work(static_cast<std::size_t>(index)); });
}

Runner dot_runner(const PeakLoops& loops, int threads) {
  return {
      [&loops, threads] { on_threads(threads, [&](std::size_t) { loops.run_dot(kPeakRounds); }); }};
}

// Each thread reads its part of the same buffer.
Runner read_runner(const PeakLoops& loops, const std::vector<std::byte>& data, int threads) {
  return {[&loops, &data, threads] {
    const auto count = static_cast<std::size_t>(threads);
    const std::size_t steps = data.size() / kReadStep;
    on_threads(threads, [&](std::size_t index) {
      const std::size_t from = steps * index / count;
      const std::size_t to = steps * (index + 1) / count;
      loops.read(data.data() + from * kReadStep, (to - from) * kReadStep);
    });
  }};
}

Runner copy_runner(const std::vector<std::byte>& from, std::vector<std::byte>& to, int threads) {
  return {[&from, &to, threads] {
    const auto count = static_cast<std::size_t>(threads);
    on_threads(threads, [&](std::size_t index) {
      const std::size_t begin = from.size() * index / count;
      const std::size_t end = from.size() * (index + 1) / count;
      std::memcpy(to.data() + begin, from.data() + begin, end - begin);
    });
  }};
}

Spread inverse(const Spread& seconds, double amount) {
  if (seconds.count == 0) return {};
  return {amount / seconds.median, amount / seconds.high, amount / seconds.low, seconds.count};
}

BenchPeaks measure_peaks(const PeakLoops& loops, int threads, double seconds, std::size_t bytes) {
  const std::vector<std::byte> data(bytes, std::byte{1});
  std::vector<std::byte> other(bytes, std::byte{2});
  const std::vector<Runner> runners = {
      dot_runner(loops, threads),
      {[&] { on_threads(threads, [&](std::size_t) { loops.run_fma(kPeakRounds); }); }},
      read_runner(loops, data, threads),
      copy_runner(data, other, threads)};
  const auto samples = take_turns(runners, {.seconds = seconds});
  const double rounds = static_cast<double>(kPeakRounds) * threads;
  BenchPeaks peaks;
  peaks.threads = threads;
  peaks.dot = inverse(spread(samples[0]), loops.dot_ops * rounds);
  peaks.fma = inverse(spread(samples[1]), loops.fma_ops * rounds);
  peaks.read = inverse(spread(samples[2]), static_cast<double>(bytes));
  peaks.copy = inverse(spread(samples[3]), 2 * static_cast<double>(bytes));
  return peaks;
}

BenchMachine describe_machine(const PeakLoops& loops, const BenchSpec& spec) {
  BenchMachine machine;
  machine.cpu = cpu_name();
  machine.version = version();
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  machine.started = text;
  machine.kernel = kernel_name();
  machine.threads = *std::ranges::max_element(spec.threads);
  set_threads(0);
  machine.cores = threads();
  for (const auto& kernel : kernels()) {
    machine.kernels.push_back({std::string(kernel.name), kernel.supported});
  }
  const auto cache = [&](int level, int name) {
    const long bytes = sysconf(name);
    if (bytes > 0) machine.caches.push_back({level, static_cast<std::size_t>(bytes)});
  };
  cache(1, _SC_LEVEL1_DCACHE_SIZE);
  cache(2, _SC_LEVEL2_CACHE_SIZE);
  cache(3, _SC_LEVEL3_CACHE_SIZE);
  machine.dot = loops.dot;
  machine.fma = loops.fma;
  // Far beyond the last cache, as far as a machine's is known.
  const std::size_t last = machine.caches.empty() ? 0 : machine.caches.back().bytes;
  machine.read_bytes =
      spec.quick ? std::size_t{64} << 20 : std::clamp<std::size_t>(8 * last, 256U << 20, 1U << 30);
  return machine;
}

void measure_shape(const BenchShape& shape, int threads, double seconds, const PeakLoops& loops,
                   std::vector<BenchRow>& rows) {
  set_threads(threads);
  const BenchOperands operands(shape);
  std::vector<Entrant> entrants;
  for (const auto& row : contestant_rows()) {
    auto entrant = row.make(operands, threads);
    if (!entrant) continue;
    entrant->info = &row.info;
    entrant->call();
    entrant->check();
    entrants.push_back(std::move(*entrant));
  }
  // The instructions' peak, and for few rows the reading of as many bytes as B has, are taken in
  // turn with the products: the clock drifts.
  const double ops = 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.k) *
                     static_cast<double>(shape.n);
  const std::size_t b_bytes = shape.k * shape.n;
  const std::vector<std::byte> data(shape.m <= kFewRows ? b_bytes / kReadStep * kReadStep : 0,
                                    std::byte{1});
  const std::size_t peak_rounds = kPeakRounds * static_cast<std::size_t>(threads);
  std::vector<Runner> runners = {
      dot_runner(loops, threads),
      {[&] { on_threads(threads, [&](std::size_t) { loops.run_fma(kPeakRounds); }); }}};
  if (!data.empty()) runners.push_back(read_runner(loops, data, threads));
  const std::size_t first = runners.size();
  for (const auto& entrant : entrants) runners.push_back({entrant.call, entrant.foreign_threads});
  const auto samples = take_turns(runners, {.seconds = seconds});

  const Samples* fp32 = nullptr;
  const Samples* onednn = nullptr;
  const Samples* gemmlowp = nullptr;
  for (std::size_t i = 0; i < entrants.size(); ++i) {
    if (entrants[i].info->name == "onednn_fp32") fp32 = &samples[first + i];
    if (entrants[i].info->name == "onednn_int8") onednn = &samples[first + i];
    if (entrants[i].info->name == "gemmlowp") gemmlowp = &samples[first + i];
  }
  for (std::size_t i = 0; i < entrants.size(); ++i) {
    const Samples& mine = samples[first + i];
    const ContestantInfo& info = *entrants[i].info;
    BenchRow row;
    row.shape = shape;
    row.threads = threads;
    row.contestant = info.name;
    row.title = info.title;
    row.output = info.output;
    row.packed = info.packed;
    row.peer = info.peer;
    row.seconds = spread(mine);
    row.turns = row.seconds.count;
    row.ops = ops / row.seconds.median;
    const bool is_float = &mine == fp32;
    const double of_round = is_float ? loops.fma_ops : loops.dot_ops;
    row.of_peak = median_ratio(mine, samples[is_float ? 1 : 0]) * ops /
                  (of_round * static_cast<double>(peak_rounds));
    if (!data.empty() && !is_float && info.name != "dynamic") {
      row.b_bytes = static_cast<double>(b_bytes) / row.seconds.median;
      row.of_read = median_ratio(mine, samples[2]) * static_cast<double>(b_bytes) /
                    static_cast<double>(data.size());
    }
    if (fp32 != nullptr && !is_float) row.to_fp32 = median_ratio(mine, *fp32);
    if (onednn != nullptr && !info.peer) row.to_onednn_int8 = median_ratio(mine, *onednn);
    if (gemmlowp != nullptr && !info.peer) row.to_gemmlowp = median_ratio(mine, *gemmlowp);
    rows.push_back(std::move(row));
  }
}

}  // namespace

double read_rate(std::size_t bytes, int threads) {
  const std::vector<std::byte> data(std::max(bytes / kReadStep, std::size_t{1}) * kReadStep,
                                    std::byte{1});
  const auto samples = take_turns({read_runner(peak_loops(kernel_name()), data, threads)}, {});
  return static_cast<double>(data.size()) / spread(samples[0]).median;
}

BenchResult run_bench(const BenchSpec& spec, const BenchProgress& progress) {
  const auto start = std::chrono::steady_clock::now();
  const PeakLoops& loops = peak_loops(kernel_name());
  BenchResult result;
  result.machine = describe_machine(loops, spec);
  // A step for the peaks and one for the elementwise work count as two shapes.
  const std::size_t per_count = spec.shapes.size() + 2;
  const std::size_t steps = per_count * spec.threads.size();
  const double share = spec.seconds / (static_cast<double>(per_count + 2) *
                                       static_cast<double>(spec.threads.size()));
  std::size_t step = 0;
  for (const int threads : spec.threads) {
    const std::string on = fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
    set_threads(threads);
    progress(step++, steps, "peaks, " + on);
    result.machine.peaks.push_back(
        measure_peaks(loops, threads, 2 * share, result.machine.read_bytes));
    for (const auto& shape : spec.shapes) {
      progress(step++, steps, to_string(shape) + ", " + on);
      measure_shape(shape, threads, share, loops, result.products);
    }
    progress(step++, steps, "elementwise, " + on);
    measure_elementwise(threads, 2 * share, spec.quick, result.elementwise);
  }
  set_threads(0);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace zeropoint
