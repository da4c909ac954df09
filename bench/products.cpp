// How fast are the products? The float32 product of oneDNN, the quantized product, and the two
// references, at the same sizes in one run.
//
//   bench_products [--sizes=100,1000] [--turns=3] [Google Benchmark's options]
//
// Every integer product is compared with the triple loop before anything is timed; a difference
// ends the run with status 1. `in_turn` times the outer-product reference and the quantized product
// alternately, so that both meet the same machine, and its counter `ratio` is the median of theirs.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "zeropoint/zeropoint.hpp"

namespace {

using namespace zeropoint;
using Clock = std::chrono::steady_clock;

// What min–max quantization of uniform data gives, give or take: zero points that are not 0.
constexpr std::int32_t zero_point_a = -128;
constexpr std::int32_t zero_point_b = -3;

/// Operands of one size, and a place for each kind of result.
struct Case {
  explicit Case(std::size_t size)
      : n(size), a(n, n), b(n, n), fast(n, n), outer(n, n), triple(n, n) {
    auto [x, y] = draw_operands(distribution("uniform"), Generator::counter, 0, n, n, n);
    float_a = std::move(x);
    float_b = std::move(y);
    const auto code = [](float u) {
      return static_cast<std::int8_t>(static_cast<int>(u * 256) - 128);
    };
    std::transform(float_a.values().begin(), float_a.values().end(), a.data(), code);
    std::transform(float_b.values().begin(), float_b.values().end(), b.data(), code);
  }

  void run_float() { benchmark::DoNotOptimize(float_product(float_a, float_b).data()); }
  void run_fast() { product_int32(view(a), view(b), zero_point_a, zero_point_b, fast.view()); }
  void run_outer() {
    outer_product_product(view(a), view(b), zero_point_a, zero_point_b, outer.view());
  }
  void run_triple() {
    triple_loop_product(view(a), view(b), zero_point_a, zero_point_b, triple.view());
  }

  /// Whether all integer products agree, everywhere.
  bool verify() {
    run_fast();
    run_outer();
    run_triple();
    for (std::size_t i = 0; i < triple.size(); ++i) {
      if (fast.data()[i] != triple.data()[i] || outer.data()[i] != triple.data()[i]) {
        std::fprintf(stderr,
                     "bench_products: size %zu, element (%zu, %zu): triple loop %lld, "
                     "quantized product %d, outer products %d\n",
                     n, i / n, i % n, static_cast<long long>(triple.data()[i]), fast.data()[i],
                     outer.data()[i]);
        return false;
      }
    }
    return true;
  }

  static MatrixView<const std::int8_t> view(const Matrix<std::int8_t>& codes) {
    return codes.view();
  }

  std::size_t n;
  Matrix<float> float_a, float_b;
  Matrix<std::int8_t> a, b;
  Matrix<std::int32_t> fast, outer;
  Matrix<std::int64_t> triple;
};

void time_product(benchmark::State& state, Case& c, void (Case::*product)()) {
  for (auto _ : state) {
    (c.*product)();
    benchmark::ClobberMemory();
  }
  // One multiplication and one addition for each of n³ terms.
  const double n = static_cast<double>(c.n);
  state.counters["op/s"] = benchmark::Counter(
      2 * n * n * n, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

double seconds_of(Case& c, void (Case::*product)(), int times) {
  const auto start = Clock::now();
  for (int i = 0; i < times; ++i) (c.*product)();
  return std::chrono::duration<double>(Clock::now() - start).count() / times;
}

void time_in_turn(benchmark::State& state, Case& c) {
  std::vector<double> ratios;
  for (auto _ : state) {
    const double outer = seconds_of(c, &Case::run_outer, 1);
    // As long as one of the other, within reason: a single short call measures the clock.
    const double fast = seconds_of(c, &Case::run_fast, 20);
    ratios.push_back(outer / fast);
  }
  std::sort(ratios.begin(), ratios.end());
  state.counters["ratio"] = ratios[ratios.size() / 2];
}

std::vector<std::size_t> parse_list(std::string_view text) {
  std::vector<std::size_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::size_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || number == 0) return {};
    numbers.push_back(number);
    at = next + (next < end && *next == ',');
  }
  return numbers;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::vector<std::size_t> sizes = {100, 1000};
  std::vector<std::size_t> turns = {3};
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    const auto value = [&](std::string_view option) {
      if (!argument.starts_with(option)) return false;
      argument.remove_prefix(option.size());
      return true;
    };
    if (value("--sizes=")) {
      sizes = parse_list(argument);
    } else if (value("--turns=")) {
      turns = parse_list(argument);
    } else {
      sizes.clear();
    }
    if (sizes.empty() || turns.size() != 1) {
      std::fprintf(stderr, "bench_products: expected --sizes=N,… or --turns=N, found %s\n",
                   argv[i]);
      return 2;
    }
  }

  std::deque<Case> cases;  // a deque leaves its elements where they are
  for (const std::size_t size : sizes) {
    Case& c = cases.emplace_back(size);
    if (!c.verify()) return 1;
    const auto add = [&](const char* name, void (Case::*product)()) {
      benchmark::RegisterBenchmark((name + ("/" + std::to_string(size))).c_str(), time_product,
                                   std::ref(c), product)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    };
    add("float_product", &Case::run_float);
    add("quantized_product", &Case::run_fast);
    add("outer_product_reference", &Case::run_outer);
    add("triple_loop_reference", &Case::run_triple);
    benchmark::RegisterBenchmark(("in_turn/" + std::to_string(size)).c_str(), time_in_turn,
                                 std::ref(c))
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->Iterations(static_cast<benchmark::IterationCount>(turns[0]));
  }
  benchmark::AddCustomContext("zeropoint", version());
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("threads", std::to_string(threads()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
