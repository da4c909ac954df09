#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/kernels.hpp"

#include "bench/contestants.hpp"
#include "bench/elementwise.hpp"
#include "bench/formats.hpp"
#include "bench/load.hpp"

namespace zeropoint {
namespace {

// Of up to so many rows of A, reading B is what takes the time.
constexpr std::size_t kFewRows = 16;
constexpr std::size_t kMuchOfB = std::size_t{1} << 18;

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
  machine.caches = data_caches();
  machine.dot = loops.dot;
  machine.fma = loops.fma;
  machine.read_bytes = beyond_caches(machine.caches, spec.quick);
  return machine;
}

// Codes in several layouts, float32, an output for each contestant.
double bytes_of(const BenchShape& shape) {
  const auto m = static_cast<double>(shape.m);
  const auto k = static_cast<double>(shape.k);
  const auto n = static_cast<double>(shape.n);
  return m * k * 7 + k * n * 16 + m * n * 40;
}

void check_memory(const BenchSpec& spec) {
  const auto available = static_cast<double>(available_memory());
  for (const auto& shape : spec.shapes) {
    if (bytes_of(shape) <= available) continue;
    throw InputError(
        fmt::format("bench: expected shapes that {:.1f} GB of memory hold, found {}, for {:.1f} GB",
                    available / 1e9, to_string(shape), bytes_of(shape) / 1e9));
  }
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
  const auto b_bytes = static_cast<double>(shape.k) * static_cast<double>(shape.n);
  const PeakRunner dot = dot_peak(loops, threads);
  const PeakRunner fma = fma_peak(loops, threads);
  std::vector<Runner> runners = {dot.runner, fma.runner};
  std::optional<MemoryRunner> read;
  if (shape.m == 1 || (shape.m <= kFewRows && shape.k * shape.n >= kMuchOfB)) {
    read = reading(loops, shape.k * shape.n, threads);
    runners.push_back(read->runner);
  }
  const std::size_t first = runners.size();
  for (const auto& entrant : entrants) runners.push_back({entrant.call, entrant.foreign_threads});
  const auto samples = take_turns(runners, {.seconds = seconds});

  const Samples* fp32 = nullptr;
  const Samples* onednn = nullptr;
  const Samples* onednn_packed = nullptr;
  const Samples* gemmlowp = nullptr;
  for (std::size_t i = 0; i < entrants.size(); ++i) {
    if (entrants[i].info->name == "onednn_fp32") fp32 = &samples[first + i];
    if (entrants[i].info->name == "onednn_int8") onednn = &samples[first + i];
    if (entrants[i].info->name == "onednn_int8_packed") onednn_packed = &samples[first + i];
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
    row.of_peak =
        median_ratio(mine, samples[is_float ? 1 : 0]) * ops / (is_float ? fma.ops : dot.ops);
    if (read && !is_float && !info.floats) {
      row.b_bytes = b_bytes / row.seconds.median;
      row.of_read = median_ratio(mine, samples[2]) * b_bytes / read->bytes;
    }
    if (fp32 != nullptr && !is_float) row.to_fp32 = median_ratio(mine, *fp32);
    const Samples* alike = info.packed ? onednn_packed : onednn;
    if (alike != nullptr && !info.peer) row.to_onednn_int8 = median_ratio(mine, *alike);
    if (gemmlowp != nullptr && !info.peer) row.to_gemmlowp = median_ratio(mine, *gemmlowp);
    rows.push_back(std::move(row));
  }
}

}  // namespace

BenchResult run_bench(const BenchSpec& spec, const BenchProgress& progress) {
  if (spec.threads.empty()) {
    throw InputError("bench: expected at least one number of threads, found none");
  }
  const auto start = std::chrono::steady_clock::now();
  const PeakLoops& loops = peak_loops(kernel_name());
  check_memory(spec);
  BenchResult result;
  result.machine = describe_machine(loops, spec);
  // A step for the peaks and one for the elementwise work count as two shapes; formats, of which
  // there are many, have a third of the time.
  const std::size_t per_count = spec.shapes.size() + 2;
  const std::size_t steps = per_count * spec.threads.size() + 1;
  const double of_formats = spec.seconds / 3;
  const double share = (spec.seconds - of_formats) / (static_cast<double>(per_count + 2) *
                                                      static_cast<double>(spec.threads.size()));
  std::size_t step = 0;
  for (const int threads : spec.threads) {
    const std::string on = fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
    set_threads(threads);
    progress(step++, steps, "peaks, " + on);
    result.machine.peaks.push_back(
        measure_peaks(loops, result.machine.read_bytes, threads, 2 * share));
    for (const auto& shape : spec.shapes) {
      progress(step++, steps, to_string(shape) + ", " + on);
      measure_shape(shape, threads, share, loops, result.products);
    }
    progress(step++, steps, "elementwise, " + on);
    measure_elementwise(threads, 2 * share, spec.quick, result.elementwise);
  }
  set_threads(spec.threads.front());
  progress(step, steps, "formats");
  measure_formats(spec.threads.front(), of_formats, spec.quick, result.formats);
  set_threads(0);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace zeropoint
