// How near does elementwise work come to the memory's own speed? Quantizing and dequantizing
// against a memcpy that moves as many bytes, min–max against a loop that only reads, and coverage
// ranges against std::nth_element.
//
//   bench_elementwise [--count=10000000] [--threads=1,2] [--turns=11]
//
// Everything is compared with its plain definition before it is timed; a difference ends the run
// with status 1. A task and what it is held against are timed in turn, so that both meet the same
// machine, and medians are shown: of either's time, and of the ratios turn by turn.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <hwy/targets.h>

#include "zeropoint/zeropoint.hpp"

namespace {

using namespace zeropoint;
using Clock = std::chrono::steady_clock;

struct Options {
  std::size_t count = 10'000'000;
  std::vector<std::size_t> thread_counts = {1, 2};
  std::size_t turns = 11;
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "bench_elementwise: %s\n", what.c_str());
  std::exit(1);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class Call>
double seconds_of(const Call& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Times `baseline` and `call` in turn; the ratio is how many times as fast as the baseline.
/// `times` calls of the task stand against one of the baseline.
void compare(const Options& options, int threads_used, const std::string& task,
             const std::string& against, const std::function<void()>& baseline,
             const std::function<void()>& call, int times = 1) {
  std::vector<double> base, mine, ratios;
  const auto repeat = [&] {
    for (int i = 0; i < times; ++i) call();
  };
  baseline();
  repeat();
  for (std::size_t turn = 0; turn < options.turns; ++turn) {
    base.push_back(seconds_of(baseline));
    mine.push_back(seconds_of(repeat) / times);
    ratios.push_back(base.back() / mine.back());
  }
  std::printf("%d  %-48s %9.3f ms   %-28s %9.3f ms   %6.2f\n", threads_used, task.c_str(),
              median(mine) * 1e3, against.c_str(), median(base) * 1e3, median(ratios));
  std::fflush(stdout);
}

/// A memcpy of `bytes`, split over the threads in use: it reads as many as it writes.
void copy(const std::vector<char>& from, std::vector<char>& to, std::size_t bytes) {
  const auto team = static_cast<std::size_t>(threads());
  parallel_for(bytes, bytes / team + 1, [&](std::size_t begin, std::size_t end) {
    std::memcpy(to.data() + begin, from.data() + begin, end - begin);
  });
}

/// Reads one word of each cache line.
std::uint64_t read_lines(const std::vector<float>& values) {
  const auto team = static_cast<std::size_t>(threads());
  std::atomic<std::uint64_t> sum{0};
  parallel_for(values.size(), values.size() / team + 1, [&](std::size_t begin, std::size_t end) {
    std::uint64_t mine[4] = {};
    const float* const x = values.data();
    for (std::size_t i = begin; i + 64 <= end; i += 64) {
      for (std::size_t line = 0; line < 4; ++line) {
        std::uint32_t word;
        std::memcpy(&word, x + i + 16 * line, sizeof word);
        mine[line] ^= word;
      }
    }
    sum += mine[0] ^ mine[1] ^ mine[2] ^ mine[3];
  });
  return sum;
}

std::vector<float> sample(std::string_view name, std::size_t count) {
  const std::size_t rows = count / 1000 + 1;
  const auto [x, y] = draw_operands(distribution(name), Generator::counter, 0, rows, 1000, 1);
  return {x.values().begin(), x.values().begin() + static_cast<std::ptrdiff_t>(count)};
}

template <class Code>
void time_codes(const Options& options, int used, const std::vector<float>& x,
                const std::vector<char>& from, std::vector<char>& to) {
  const IntegerGrid grid{8 * sizeof(Code), std::is_signed_v<Code>, false};
  std::vector<Code> codes(x.size());
  std::vector<float> reals(x.size());
  const std::size_t half_of_bytes = x.size() * (sizeof(float) + sizeof(Code)) / 2;
  const auto baseline = [&] { copy(from, to, half_of_bytes); };
  for (const auto operation : {Operation::multiply, Operation::divide}) {
    for (const auto order : {ZeroPointOrder::before_rounding, ZeroPointOrder::after_rounding}) {
      Convention convention;
      convention.is_signed = grid.is_signed;
      convention.operation = operation;
      convention.order = order;
      // Some of the values are clipped.
      const QuantParams params = choose_params({-0.9F, 0.95F}, grid, convention);
      std::size_t clipped = 0;
      const auto task = [&] { clipped = quantize<Code>(x, params, grid, convention, codes); };
      task();
      std::size_t expected_clipped = 0;
      for (std::size_t i = 0; i < x.size(); i += i < 2000 ? 1 : 997) {
        const auto expected = quantize_one(x[i], params, grid, convention);
        if (codes[i] != expected) fail(name(grid) + ": code " + std::to_string(i) + " differs");
      }
      for (std::size_t i = 0; i < x.size() && used == 1; ++i) {
        bool was_clipped = false;
        quantize_one(x[i], params, grid, convention, &was_clipped);
        expected_clipped += was_clipped ? 1 : 0;
      }
      if (used == 1 && clipped != expected_clipped) fail(name(grid) + ": clipped differ");
      compare(options, used,
              "quantize " + name(grid) +
                  (operation == Operation::divide ? ", divide" : ", multiply") +
                  (order == ZeroPointOrder::before_rounding ? ", before" : ", after"),
              "memcpy of as many bytes", baseline, task);
    }
  }
  const QuantParams params{0.0075F, 3};
  const auto task = [&] { dequantize<Code>(codes, params, reals); };
  task();
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (reals[i] != dequantize(codes[i], params)) {
      fail(name(grid) + ": real number " + std::to_string(i) + " differs");
    }
  }
  compare(options, used, "dequantize " + name(grid), "memcpy of as many bytes", baseline, task);
}

void time_ranges(const Options& options, int used, std::string_view kind,
                 const std::vector<float>& x, const std::vector<char>& from,
                 std::vector<char>& to) {
  const std::string of = " of " + std::string(kind);
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  if (min_max_range(x) != Range{*low, *high}) fail("min_max_range differs");
  volatile std::uint64_t sink = 0;
  const auto min_max = [&] { min_max_range(x); };
  compare(
      options, used, "min_max_range" + of, "one word of each line", [&] { sink = read_lines(x); },
      min_max);
  compare(
      options, used, "min_max_range" + of, "memcpy of as many bytes",
      [&] { copy(from, to, x.size() * sizeof(float) / 2); }, min_max);

  Options fewer = options;
  fewer.turns = std::min<std::size_t>(options.turns, 5);
  for (const double cover : {0.99, 0.9}) {
    const auto at = [&](double p) {
      return static_cast<std::ptrdiff_t>(p * static_cast<double>(x.size() - 1));
    };
    const auto [p_lower, p_upper] = cover_probabilities(cover, Coverage::one_sided);
    const auto lower = at(p_lower), upper = at(p_upper);
    std::vector<float> copied(x.size());
    const auto select = [&] {
      std::nth_element(copied.begin(), copied.begin() + lower, copied.end());
      std::nth_element(copied.begin() + lower + 1, copied.begin() + upper, copied.end());
    };
    const auto copy_and_select = [&] {
      std::copy(x.begin(), x.end(), copied.begin());
      select();
    };
    copy_and_select();
    const std::vector<std::size_t> ranks = {static_cast<std::size_t>(lower),
                                            static_cast<std::size_t>(upper)};
    if (order_statistics(x, ranks) != std::vector<float>{copied[lower], copied[upper]}) {
      fail("order_statistics differ");
    }
    char task[80];
    std::snprintf(task, sizeof task, "coverage_range %g%s", cover, of.c_str());
    const auto coverage = [&] { coverage_range(x, cover, Coverage::one_sided); };
    compare(fewer, used, task, "copy, 2 x nth_element", copy_and_select, coverage, 5);

    std::vector<double> select_only, mine;
    for (std::size_t turn = 0; turn < fewer.turns; ++turn) {
      std::copy(x.begin(), x.end(), copied.begin());
      select_only.push_back(seconds_of(select));
      mine.push_back(seconds_of(coverage));
    }
    std::printf("%d  %-48s %9.3f ms   %-28s %9.3f ms   %6.2f\n", used, task, median(mine) * 1e3,
                "2 x nth_element, no copy", median(select_only) * 1e3,
                median(select_only) / median(mine));
  }
  std::vector<std::size_t> many;
  for (std::size_t i = 0; i < 24; ++i) many.push_back(i * (x.size() - 1) / 23);
  const auto task = [&] { order_statistics(x, many); };
  compare(
      fewer, used, "order_statistics, 24 ranks," + of, "memcpy of as many bytes",
      [&] { copy(from, to, x.size() * sizeof(float) / 2); }, task);
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

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto equals = std::min(argument.find('='), argument.size() - 1);
    const auto option = argument.substr(0, equals);
    const auto numbers = parse_list(argument.substr(equals + 1));
    if (numbers.empty()) return false;
    if (option == "--threads") {
      options.thread_counts = numbers;
    } else if (option == "--count" && numbers.size() == 1 && numbers[0] >= 100) {
      options.count = numbers[0];
    } else if (option == "--turns" && numbers.size() == 1) {
      options.turns = numbers[0];
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "bench_elementwise: expected --count=N (at least 100), --threads=N,… or "
                 "--turns=N\n");
    return 2;
  }
  std::printf("zeropoint %s, %s, %s, %zu numbers, medians of %zu turns\n", version(),
              cpu_name().c_str(),
              hwy::TargetName(hwy::SupportedTargets() & -hwy::SupportedTargets()), options.count,
              options.turns);
  std::printf("threads, task, its time, what it is held against, its time, times as fast\n");
  const std::vector<float> uniform = sample("uniform", options.count);  // from −1 to 1
  const std::vector<float> normal = sample("normal", options.count);
  const std::vector<char> from(options.count * 4, 1);
  std::vector<char> to(options.count * 4, 2);
  for (const std::size_t count : options.thread_counts) {
    set_threads(static_cast<int>(count));
    const int used = threads();
    time_codes<std::int8_t>(options, used, uniform, from, to);
    time_codes<std::uint8_t>(options, used, uniform, from, to);
    time_codes<std::int16_t>(options, used, uniform, from, to);
    time_codes<std::uint16_t>(options, used, uniform, from, to);
    time_ranges(options, used, "uniform", uniform, from, to);
    time_ranges(options, used, "normal", normal, from, to);
  }
}
