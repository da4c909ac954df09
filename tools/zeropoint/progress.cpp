#include "progress.hpp"

#include <algorithm>
#include <unistd.h>

#include <fmt/format.h>

#include "files.hpp"

Progress::Progress(std::size_t steps, std::size_t done, double cost)
    : shown_(isatty(STDERR_FILENO) != 0),
      steps_(steps),
      done_before_(done),
      done_(done),
      cost_(cost) {}

Progress::~Progress() { clear(); }

void Progress::clear() const {
  if (shown_) tell("\r\x1b[K");
}

void Progress::step(double cost, const std::string& what) {
  ++done_;
  done_cost_ += cost;
  if (!shown_) return;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double share = cost_ > 0 ? std::min(1.0, done_cost_ / cost_) : 1;
  constexpr int kWidth = 12;
  const auto filled = static_cast<std::size_t>(share * kWidth);
  std::string line =
      fmt::format("[{}{}] {:.0f} %, {}/{} rows, {:.1f} rows/s", std::string(filled, '#'),
                  std::string(kWidth - filled, '.'), share * 100, done_, steps_,
                  seconds > 0 ? static_cast<double>(done_ - done_before_) / seconds : 0.0);
  // The first rows are small ones and say little about the rest.
  constexpr double kEnoughToTell = 0.03;
  if (share >= kEnoughToTell) {
    const auto left = static_cast<long>(seconds * (1 - share) / share + 0.5);
    line += fmt::format(", {}:{:02} left", left / 60, left % 60);
  }
  line += "  " + what;
  // A line that wraps could not be taken away again.
  const auto width = static_cast<std::size_t>(width_of(STDERR_FILENO));
  if (width > 0 && line.size() >= width) line.resize(width - 1);
  tell("\r\x1b[K" + line);
}
