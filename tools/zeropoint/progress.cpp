#include "progress.hpp"

#include <algorithm>
#include <unistd.h>

#include <fmt/format.h>

#include "files.hpp"

Progress::Progress(std::size_t steps, double cost)
    : shown_(isatty(STDERR_FILENO) != 0), steps_(steps), cost_(cost) {}

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
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  constexpr int kWidth = 24;
  const auto filled = static_cast<std::size_t>(share * kWidth);
  const auto whole = static_cast<long>(left + 0.5);
  std::string line = fmt::format("[{}{}] {}/{} rows, {:.1f} rows/s, {}:{:02} left  {}",
                                 std::string(filled, '#'), std::string(kWidth - filled, '.'), done_,
                                 steps_, seconds > 0 ? static_cast<double>(done_) / seconds : 0.0,
                                 whole / 60, whole % 60, what);
  // A line that wraps could not be taken away again.
  const auto width = static_cast<std::size_t>(width_of(STDERR_FILENO));
  if (width > 0 && line.size() >= width) line.resize(width - 1);
  tell("\r\x1b[K" + line);
}
