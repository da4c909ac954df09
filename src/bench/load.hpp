#pragma once
#include <functional>
#include <memory>

#include "zeropoint/bench/bench.hpp"

#include "bench/peak.hpp"
#include "bench/turns.hpp"

namespace zeropoint {

/// What a machine's limits are measured with, as runners that take their turn.

/// A peak loop on so many threads at once; `ops` is what a call does.
struct PeakRunner {
  Runner runner;
  double ops;
};
PeakRunner dot_peak(const PeakLoops& loops, int threads);
PeakRunner fma_peak(const PeakLoops& loops, int threads);

/// Reads, or copies, in pieces that the threads share out; `bytes` is what a call moves, for a copy
/// read and written together.
struct MemoryRunner {
  Runner runner;
  double bytes;
};
MemoryRunner reading(const PeakLoops& loops, std::size_t bytes, int threads);
MemoryRunner copying(std::size_t bytes, int threads);

/// Caches of data. By sysfs: what sysconf() says of them is wrong on some processors (an L3 of
/// 384 MiB where a core can use 32).
std::vector<BenchMachine::Cache> data_caches();

/// Bytes that are far beyond the last cache.
std::size_t beyond_caches(const std::vector<BenchMachine::Cache>& caches, bool quick);

BenchPeaks measure_peaks(const PeakLoops& loops, std::size_t bytes, int threads, double seconds);

}  // namespace zeropoint
