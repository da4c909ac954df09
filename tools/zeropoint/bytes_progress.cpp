#include "bytes_progress.hpp"

#include <algorithm>
#include <unistd.h>

#include <fmt/format.h>

#include "zeropoint/weights/weights.hpp"

#include "files.hpp"

ProgressOfBytes::ProgressOfBytes(std::string what)
    : shown_(isatty(STDERR_FILENO) != 0), what_(std::move(what)) {}

ProgressOfBytes::~ProgressOfBytes() {
  if (shown_) tell("\r\x1b[K");
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
  if (share > 0.03) {
    const auto left = static_cast<long>(seconds * (1 - share) / share + 0.5);
    line += fmt::format(", {}:{:02} left", left / 60, left % 60);
  }
  const auto width = static_cast<std::size_t>(width_of(STDERR_FILENO));
  if (width > 0 && line.size() >= width) line.resize(width - 1);
  tell("\r\x1b[K" + line);
}
