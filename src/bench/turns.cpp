#include "bench/turns.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

namespace zeropoint {
namespace {

using Clock = std::chrono::steady_clock;

// Reading the clock takes some 30 ns: a thousandth or less of a batch.
constexpr double kBatch = 60e-6;
// Longer calls find the caches full of their own data whatever ran before. Others are called before
// the clock starts, and once is not enough: a last cache that was full of other data kept B of
// 1x4096x4096 (16 MiB of 32) only after four to eight passes, 342 µs a call after one, 174 after
// eight.
constexpr double kWarmBelow = 10e-3;
constexpr double kWarmFor = 4e-3;
constexpr std::size_t kWarmCalls = 8;
// How long the threads of OpenMP and of gemmlowp wait for more work before they sleep.
constexpr auto kSpinning = std::chrono::milliseconds(4);

double seconds_of(const std::function<void()>& call, std::size_t times) {
  const auto start = Clock::now();
  for (std::size_t i = 0; i < times; ++i) call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Pace {
  std::size_t batch = 1;   // calls
  std::size_t warm = 0;    // calls before them, untimed
  double seconds = 0;      // of a call
  double turn = 0;         // seconds of a turn
  std::size_t stride = 1;  // it takes part in every stride-th turn
};

Pace pace_of(const Runner& runner) {
  Pace pace;
  runner.call();
  pace.seconds = seconds_of(runner.call, 1);
  while (pace.seconds * static_cast<double>(pace.batch) < kBatch) {
    const double wanted = std::ceil(kBatch / std::max(pace.seconds, 1e-9));
    pace.batch = std::clamp(static_cast<std::size_t>(wanted), pace.batch + 1, pace.batch * 1000);
    pace.seconds = seconds_of(runner.call, pace.batch) / static_cast<double>(pace.batch);
  }
  if (pace.seconds < kWarmBelow) {
    pace.warm =
        std::clamp<std::size_t>(static_cast<std::size_t>(kWarmFor / pace.seconds), 1, kWarmCalls);
  }
  pace.turn = pace.seconds * static_cast<double>(pace.batch + pace.warm);
  if (runner.foreign_threads) pace.turn += 2 * std::chrono::duration<double>(kSpinning).count();
  return pace;
}

// A batch during which this thread was not let run tells of other processes: it is taken again, as
// long as there is hope.
double sample(const Runner& runner, const Pace& pace) {
  constexpr int kAttempts = 4;
  constexpr double kUndisturbed = 0.97;
  if (runner.foreign_threads) std::this_thread::sleep_for(kSpinning);
  double seconds = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    for (std::size_t i = 0; i < pace.warm; ++i) runner.call();
    const double before = thread_seconds();
    seconds = seconds_of(runner.call, pace.batch);
    if (thread_seconds() - before > kUndisturbed * seconds) break;
  }
  seconds /= static_cast<double>(pace.batch);
  if (runner.foreign_threads) std::this_thread::sleep_for(kSpinning);
  return seconds;
}

double median(std::vector<double>& values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<Samples> take_turns(const std::vector<Runner>& runners, const TurnLimits& limits) {
  std::vector<Pace> paces;
  for (const auto& runner : runners) paces.push_back(pace_of(runner));
  // Whoever takes more than its part of the time sits turns out. Strides are powers of two, so that
  // any two meet in every turn of the slower one.
  const double part =
      2 * limits.seconds / static_cast<double>(std::max<std::size_t>(1, paces.size()));
  std::vector<std::size_t> wanted;
  for (const auto& pace : paces) {
    wanted.push_back(static_cast<std::size_t>(std::clamp(
        part / pace.turn, static_cast<double>(limits.least), static_cast<double>(limits.most))));
  }
  const std::size_t turns = wanted.empty() ? 0 : std::ranges::max(wanted);
  for (std::size_t i = 0; i < paces.size(); ++i) {
    paces[i].stride = std::bit_floor(turns / wanted[i]);
  }
  std::vector<Samples> samples(runners.size());
  const auto start = Clock::now();
  for (std::size_t t = 0; t < turns; ++t) {
    const double spent = std::chrono::duration<double>(Clock::now() - start).count();
    if (t >= limits.least && spent > limits.seconds) break;
    for (std::size_t i = 0; i < runners.size(); ++i) {
      samples[i].push_back(t % paces[i].stride == 0 ? sample(runners[i], paces[i])
                                                    : std::numeric_limits<double>::quiet_NaN());
    }
  }
  return samples;
}

Spread spread(Samples samples) {
  std::erase_if(samples, [](double s) { return std::isnan(s); });
  std::ranges::sort(samples);
  if (samples.empty()) return {};
  const auto at = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1) + 0.5)];
  };
  return {at(0.5), at(0.25), at(0.75), samples.size()};
}

double median_ratio(const Samples& a, const Samples& b) {
  std::vector<double> ratios;
  for (std::size_t t = 0; t < std::min(a.size(), b.size()); ++t) {
    if (!std::isnan(a[t]) && !std::isnan(b[t]) && a[t] > 0) ratios.push_back(b[t] / a[t]);
  }
  return median(ratios);
}

}  // namespace zeropoint
