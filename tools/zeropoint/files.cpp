#include "files.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace fs = std::filesystem;

namespace {

// A name that no other process writes to.
std::string beside(const std::string& path) { return fmt::format("{}.{}.part", path, getpid()); }

[[noreturn]] void cannot_write(const std::string& path) {
  throw zeropoint::WorkError(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
}

void write_all(const std::string& path, std::string_view text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) cannot_write(path);
}

}  // namespace

void write_text(const std::string& path, std::string_view text) {
  if (path == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    finish_output();
    return;
  }
  std::error_code error;
  // A device or a pipe must not be replaced by a file; a link is followed.
  const auto target = fs::weakly_canonical(path, error).string();
  if (fs::exists(target, error) && !fs::is_regular_file(target, error)) {
    return write_all(target, text);
  }
  const std::string part = beside(target);
  try {
    write_all(part, text);
  } catch (...) {
    fs::remove(part, error);
    throw;
  }
  fs::rename(part, target, error);
  if (error) {
    const std::string why = error.message();
    fs::remove(part, error);
    throw zeropoint::WorkError(fmt::format("{}: cannot be written: {}", path, why));
  }
}

void check_writable(const std::string& path) {
  if (path.empty() || path == "-") return;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw zeropoint::InputError(fmt::format("{}: expected a file to write, found a folder", path));
  }
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) return;
  const std::string part = beside(path);
  errno = 0;
  const bool opened = std::ofstream(part).is_open();
  const int reason = errno;
  fs::remove(part, error);
  if (!opened) {
    throw zeropoint::InputError(
        fmt::format("{}: expected a file that can be written: {}", path, std::strerror(reason)));
  }
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!fs::is_directory(path)) {
    throw zeropoint::InputError(fmt::format("{}: expected a folder for results: {}", path,
                                            error ? error.message() : "it is a file"));
  }
  check_writable((fs::path(path) / "probe").string());
}

std::string store_path(const std::string& folder) {
  return (fs::path(folder) / "runs.sqlite").string();
}

void finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw zeropoint::WorkError(
        fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
  }
}

int output_width() {
  winsize size{};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}
