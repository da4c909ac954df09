#include "bench/elementwise.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/codebook.hpp"
#include "zeropoint/gemm/kernels.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/ranges/range.hpp"
#include "zeropoint/transforms/hadamard.hpp"

#include "bench/draw.hpp"
#include "bench/load.hpp"

namespace zeropoint {
namespace {

constexpr double kCover = 0.999;
constexpr std::size_t kEvery = 997;  // number that is checked

void expect_equal(std::string_view what, std::size_t i, double expected, double found) {
  if (expected == found) return;
  throw WorkError(
      fmt::format("bench: {}, number {}: expected {}, found {}", what, i, expected, found));
}

// The quantile by its definition, from sorted numbers.
double quantile(const std::vector<float>& sorted, double p) {
  const double rank = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const double weight = rank - static_cast<double>(below);
  const double low = sorted[below];
  const double high = sorted[std::min(below + 1, sorted.size() - 1)];
  return low + weight * (high - low);
}

// What the rows work on, and what they are held against.
struct Operands {
  std::vector<float> x, sorted;
  MemoryRunner copied, read;

  double bytes(double each) const { return each * static_cast<double>(x.size()); }
};

// One row: what is timed, and what in turn with it. Without `theirs`, it is held against a second.
struct Work {
  const char* name;
  const char* against;
  double bytes;  // that a call reads and writes
  std::function<void()> mine;
  std::optional<Runner> theirs = {};
  double of_theirs = 1;  // what `mine` does, of what `theirs` does
};

constexpr const char* kCopy = "a copy of as many bytes";
const QuantParams kParams{1.0F / 64, 3};

// A copy's bytes are read and written, as those of numbers and codes are.
Work beside_copy(const Operands& o, const char* name, double bytes, std::function<void()> mine) {
  return {name, kCopy, bytes, std::move(mine), o.copied.runner, bytes / o.copied.bytes};
}

Work quantize_int8(const Operands& o) {
  const Convention convention;
  const IntegerGrid grid = convention.grid(8);
  const auto codes = std::make_shared<std::vector<std::int8_t>>(o.x.size());
  const auto call = [=, &o] { quantize<std::int8_t>(o.x, kParams, grid, convention, *codes); };
  call();
  for (std::size_t i = 0; i < o.x.size(); i += kEvery) {
    expect_equal("quantize", i, quantize_one(o.x[i], kParams, grid, convention), (*codes)[i]);
  }
  return beside_copy(o, "quantize to int8", o.bytes(5), call);
}

Work dequantize_int8(const Operands& o) {
  const auto codes = std::make_shared<std::vector<std::int8_t>>(o.x.size());
  const Convention convention;
  quantize<std::int8_t>(o.x, kParams, convention.grid(8), convention, *codes);
  const auto back = std::make_shared<std::vector<float>>(o.x.size());
  const auto call = [=] { dequantize<std::int8_t>(*codes, kParams, *back); };
  call();
  for (std::size_t i = 0; i < o.x.size(); i += kEvery) {
    expect_equal("dequantize", i, dequantize((*codes)[i], kParams), (*back)[i]);
  }
  return beside_copy(o, "dequantize int8", o.bytes(5), call);
}

volatile float sink = 0;

Work min_max(const Operands& o) {
  const Range whole = min_max_range(o.x);
  expect_equal("min-max", 0, o.sorted.front(), whole.min);
  expect_equal("min-max", o.x.size() - 1, o.sorted.back(), whole.max);
  return {"min-max range", "reading as many bytes",
          o.bytes(4),      [&o] { sink = min_max_range(o.x).max; },
          o.read.runner,   o.bytes(4) / o.read.bytes};
}

Work coverage(const Operands& o) {
  const Range covered = coverage_range(o.x, kCover, Coverage::two_sided);
  const auto near = [&](double p, float found) {
    const double expected = quantile(o.sorted, p);
    // Interpolated in other steps: the last bits of a float32.
    if (std::abs(expected - found) > 1e-6 * std::abs(expected)) {
      expect_equal("coverage", 0, expected, found);
    }
  };
  near((1 - kCover) / 2, covered.min);
  near((1 + kCover) / 2, covered.max);
  const auto last = static_cast<double>(o.x.size() - 1);
  const auto low = static_cast<std::ptrdiff_t>((1 - kCover) / 2 * last);
  const auto high = static_cast<std::ptrdiff_t>((1 + kCover) / 2 * last);
  const auto other = std::make_shared<std::vector<float>>(o.x.size());
  const Runner partitions{[=, &o] {
    std::ranges::copy(o.x, other->begin());
    std::nth_element(other->begin(), other->begin() + high, other->end());
    std::nth_element(other->begin(), other->begin() + low, other->begin() + high);
    sink = (*other)[static_cast<std::size_t>(low)];
  }};
  return {"coverage range", "std::nth_element on a copy, both ends", o.bytes(4),
          [&o] { sink = coverage_range(o.x, kCover, Coverage::two_sided).max; }, partitions};
}

// Each level is the mean of the numbers nearest to it.
Work fit_lloyd4(const Operands& o) {
  const std::vector<float> levels = fit_lloyd_max(o.x, 4).levels;
  auto begin = o.sorted.begin();
  for (std::size_t k = 0; k < levels.size(); ++k) {
    auto end = o.sorted.end();
    if (k + 1 < levels.size()) {
      end = std::upper_bound(begin, end, (double{levels[k]} + levels[k + 1]) / 2);
    }
    const double mean = std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
    // Levels are rounded to float32, and so are the limits' numbers taken.
    if (!(std::abs(mean - levels[k]) < 1e-5)) expect_equal("fit lloyd4", k, mean, levels[k]);
    begin = end;
  }
  return {"fit lloyd4", "a second", o.bytes(4), [&o] { sink = fit_lloyd_max(o.x, 4).levels[0]; }};
}

// In place, lines of 1024 side by side; the first line is checked against the matrix.
Work rotate_rows(const Operands& o) {
  constexpr std::size_t kLine = 1024;
  const std::size_t rows = o.x.size() / kLine;
  const auto x = std::make_shared<std::vector<float>>(o.x.begin(), o.x.begin() + rows * kLine);
  const auto rotation = std::make_shared<Rotation>(kLine);
  const MatrixView<float> view{x->data(), rows, kLine, kLine, 1};
  rotation->apply(view, Along::rows);
  const auto matrix = hadamard_matrix(kLine);
  for (std::size_t i = 0; i < kLine; ++i) {
    double sum = 0, most = 0;
    for (std::size_t j = 0; j < kLine; ++j) {
      sum += matrix[i * kLine + j] * double{o.x[j]};
      most += std::abs(double{o.x[j]});
    }
    const double expected = sum / std::sqrt(double{kLine});
    // Ten additions in float32, each of at most the sum of magnitudes.
    const double error = 10 * 0x1p-24 * most / std::sqrt(double{kLine});
    if (!(std::abs((*x)[i] - expected) <= error)) expect_equal("rotate", i, expected, (*x)[i]);
  }
  return beside_copy(o, "rotate rows of 1024 (Hadamard)", o.bytes(8),
                     [x, rotation, view] { rotation->apply(view, Along::rows); });
}

// A new row is a function here.
constexpr Work (*kRows[])(const Operands&) = {quantize_int8, dequantize_int8, min_max,
                                              coverage,      fit_lloyd4,      rotate_rows};

std::vector<Samples> time_work(const Work& work, double seconds) {
  if (work.theirs) return take_turns({{work.mine}, *work.theirs}, {.seconds = seconds});
  constexpr std::size_t kTimes = 3;
  Samples mine;
  for (std::size_t i = 0; i < kTimes; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work.mine();
    mine.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return {mine, Samples(kTimes, 1.0)};
}

}  // namespace

void measure_elementwise(int threads, double seconds, bool quick,
                         std::vector<BenchElementwise>& rows) {
  const std::size_t count = quick ? 1'000'000 : 10'000'000;
  const std::vector<float> x = draw_for_bench(count);
  std::vector<float> sorted = x;
  std::ranges::sort(sorted);
  const Operands operands{x, std::move(sorted), copying(5 * count, threads),
                          reading(peak_loops(kernel_name()), 4 * count, threads)};
  for (const auto& make : kRows) {
    const Work work = make(operands);
    const auto samples = time_work(work, seconds / static_cast<double>(std::size(kRows)));
    BenchElementwise row;
    row.name = work.name;
    row.against = work.against;
    row.count = count;
    row.threads = threads;
    row.seconds = spread(samples[0]);
    row.against_seconds = spread(samples[1]);
    row.bytes = work.bytes / row.seconds.median;
    row.ratio = median_ratio(samples[0], samples[1]) * work.of_theirs;
    rows.push_back(std::move(row));
  }
}

}  // namespace zeropoint
