#include "bench/elementwise.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/random.hpp"
#include "zeropoint/gemm/kernels.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/ranges/range.hpp"

#include "bench/load.hpp"

namespace zeropoint {
namespace {

constexpr double kCover = 0.999;

// Sums of four uniform numbers: a distribution with tails, whose quantiles are not its ends.
std::vector<float> draw(std::size_t count) {
  const CounterStream stream(7, 0);
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    double sum = -2;
    for (const auto word : stream.words(i)) sum += word * 0x1p-32;
    x[i] = static_cast<float>(sum);
  }
  return x;
}

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

}  // namespace

void measure_elementwise(int threads, double seconds, bool quick,
                         std::vector<BenchElementwise>& rows) {
  const std::size_t count = quick ? 1'000'000 : 10'000'000;
  const std::vector<float> x = draw(count);
  const Convention convention;
  const IntegerGrid grid = convention.grid(8);
  const QuantParams params{1.0F / 64, 3};
  std::vector<std::int8_t> codes(count);
  std::vector<float> back(count);
  std::vector<float> other(count);

  quantize<std::int8_t>(x, params, grid, convention, codes);
  dequantize<std::int8_t>(codes, params, back);
  for (std::size_t i = 0; i < count; i += 997) {
    expect_equal("quantize", i, quantize_one(x[i], params, grid, convention), codes[i]);
    expect_equal("dequantize", i, dequantize(codes[i], params), back[i]);
  }
  std::vector<float> sorted = x;
  std::ranges::sort(sorted);
  const Range whole = min_max_range(x);
  expect_equal("min-max", 0, sorted.front(), whole.min);
  expect_equal("min-max", count - 1, sorted.back(), whole.max);
  const Range covered = coverage_range(x, kCover, Coverage::two_sided);
  const auto near = [&](double p, float found) {
    const double expected = quantile(sorted, p);
    // Interpolated in other steps: the last bits of a float32.
    if (std::abs(expected - found) > 1e-6 * std::abs(expected)) {
      expect_equal("coverage", 0, expected, found);
    }
  };
  near((1 - kCover) / 2, covered.min);
  near((1 + kCover) / 2, covered.max);

  volatile float sink = 0;
  const auto low = static_cast<std::ptrdiff_t>((1 - kCover) / 2 * static_cast<double>(count - 1));
  const auto high = static_cast<std::ptrdiff_t>((1 + kCover) / 2 * static_cast<double>(count - 1));
  const double size = static_cast<double>(count);
  const MemoryRunner copied = copying(5 * count, threads);
  const MemoryRunner read = reading(peak_loops(kernel_name()), 4 * count, threads);
  constexpr double kPairs = 4;
  // `of_theirs`: the bytes that a call moves, of those that `theirs` moves.
  const auto measure = [&](const char* name, const char* against, double bytes,
                           const std::function<void()>& mine, const Runner& theirs,
                           double of_theirs) {
    const auto samples = take_turns({{mine}, theirs}, {.seconds = seconds / kPairs});
    BenchElementwise row;
    row.name = name;
    row.against = against;
    row.count = count;
    row.threads = threads;
    row.seconds = spread(samples[0]);
    row.against_seconds = spread(samples[1]);
    row.bytes = bytes / row.seconds.median;
    row.ratio = median_ratio(samples[0], samples[1]) * of_theirs;
    rows.push_back(std::move(row));
  };
  // A copy's bytes are read and written, as those of numbers and codes are.
  measure(
      "quantize to int8", "a copy of as many bytes", 5 * size,
      [&] { quantize<std::int8_t>(x, params, grid, convention, codes); }, copied.runner,
      5 * size / copied.bytes);
  measure(
      "dequantize int8", "a copy of as many bytes", 5 * size,
      [&] { dequantize<std::int8_t>(codes, params, back); }, copied.runner,
      5 * size / copied.bytes);
  measure(
      "min-max range", "reading as many bytes", 4 * size, [&] { sink = min_max_range(x).max; },
      read.runner, 4 * size / read.bytes);
  const Runner partitions{[&] {
    std::ranges::copy(x, other.begin());
    std::nth_element(other.begin(), other.begin() + high, other.end());
    std::nth_element(other.begin(), other.begin() + low, other.begin() + high);
    sink = other[static_cast<std::size_t>(low)];
  }};
  measure(
      "coverage range", "std::nth_element on a copy, both ends", 4 * size,
      [&] { sink = coverage_range(x, kCover, Coverage::two_sided).max; }, partitions, 1);
}

}  // namespace zeropoint
