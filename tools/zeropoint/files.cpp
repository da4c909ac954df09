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

// `name` is what the user knows the file by.
void write_all(const std::string& path, const std::string& name, std::string_view text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) {
    throw zeropoint::WorkError(
        fmt::format("{}: cannot be written: {}", name, std::strerror(errno)));
  }
}

// The path with its links followed as far as it exists.
fs::path resolved(const std::string& path) {
  std::error_code error;
  const auto result = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? fs::path(path) : result;
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
  const auto target = resolved(path).string();
  if (fs::exists(target, error) && !fs::is_regular_file(target, error)) {
    return write_all(target, path, text);
  }
  const std::string part = beside(target);
  try {
    write_all(part, path, text);
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
  const std::string part = beside(resolved(path).string());
  errno = 0;
  const bool opened = std::ofstream(part).is_open();
  const int reason = errno;
  fs::remove(part, error);
  if (!opened) {
    throw zeropoint::InputError(
        fmt::format("{}: expected a file that can be written: {}", path, std::strerror(reason)));
  }
}

void check_distinct(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& others) {
  auto taken = others;
  for (const auto& output : outputs) {
    std::error_code error;
    // Devices and pipes take any number of writers.
    const bool is_file = fs::is_regular_file(output.path, error) || !fs::exists(output.path, error);
    if (output.path.empty() || !is_file) continue;
    for (const auto& other : taken) {
      if (other.path.empty() || resolved(other.path) != resolved(output.path)) continue;
      throw zeropoint::InputError(fmt::format("expected two files for {} and {}, found {} for both",
                                              output.what, other.what, output.path));
    }
    taken.push_back(output);
  }
}

void make_folder(const std::string& path, const std::function<void()>& then) {
  std::error_code error;
  // The folders that are missing, the innermost first.
  std::vector<fs::path> missing;
  for (auto at = fs::absolute(path, error).lexically_normal();
       !at.empty() && at != at.parent_path() && !fs::exists(at, error); at = at.parent_path()) {
    missing.push_back(at);
  }
  fs::create_directories(path, error);
  std::error_code unknown;
  if (!fs::is_directory(path, unknown)) {
    throw zeropoint::InputError(fmt::format("{}: expected a folder for results: {}", path,
                                            error ? error.message() : "it is a file"));
  }
  try {
    check_writable((fs::path(path) / "probe").string());
    then();
  } catch (...) {
    for (const auto& folder : missing) fs::remove(folder, error);
    throw;
  }
}

std::string store_path(const std::string& folder) {
  return (fs::path(folder) / "runs.sqlite").string();
}

std::string page_path(const std::string& folder) {
  return fs::absolute(fs::path(folder) / "study.html").lexically_normal().string();
}

void tell(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw zeropoint::WorkError(
        fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
  }
}

int width_of(int stream) {
  winsize size{};
  if (isatty(stream) == 0 || ioctl(stream, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}
