#include "progress.hpp"

#include <algorithm>
#include <unistd.h>

#include <fmt/format.h>

#include "zeropoint/weights/weights.hpp"

#include "files.hpp"

namespace {

// The first steps say little about the rest.
constexpr double kEnoughToTell = 0.03;

// ", 1:05 left", once enough is done.
std::string left_text(double seconds, double share) {
  if (share < kEnoughToTell) return "";
  const auto left = static_cast<long>(seconds * (1 - share) / share + 0.5);
  return fmt::format(", {}:{:02} left", left / 60, left % 60);
}

void clear_line() { tell("\r\x1b[K"); }

// In place of the line before. One that wraps could not be taken away again.
void show_line(std::string line) {
  const auto width = static_cast<std::size_t>(width_of(STDERR_FILENO));
  if (width > 0 && line.size() >= width) line.resize(width - 1);
  tell("\r\x1b[K" + line);
}

}  // namespace

Progress::Progress(std::size_t steps, std::size_t done, double cost)
    : shown_(isatty(STDERR_FILENO) != 0),
      steps_(steps),
      done_before_(done),
      done_(done),
      cost_(cost) {}

Progress::~Progress() { clear(); }

void Progress::clear() const {
  if (shown_) clear_line();
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
  line += left_text(seconds, share);
  line += "  " + what;
  show_line(std::move(line));
}

ProgressOfBytes::ProgressOfBytes(std::string what)
    : shown_(isatty(STDERR_FILENO) != 0), what_(std::move(what)) {}

ProgressOfBytes::~ProgressOfBytes() {
  if (shown_) clear_line();
}

void ProgressOfBytes::at(std::uint64_t done, std::uint64_t all) {
  using namespace std::chrono;
  const auto now = steady_clock::now();
  if (!shown_ || now - last_ < milliseconds(100)) return;
  last_ = now;
  const double seconds = duration<double>(now - start_).count();
  const double share =
      all == 0 ? 1 : std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line =
      fmt::format("{} {:.0f} %, {} of {}, {}/s", what_, 100 * share,
                  zeropoint::size_text(static_cast<double>(done)),
                  zeropoint::size_text(static_cast<double>(all)), zeropoint::size_text(rate));
  line += left_text(seconds, share);
  show_line(std::move(line));
}
