#include "io/output_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBuffer = std::size_t{1} << 20;

// A link is followed, even where there is no file behind it yet: that file is what is replaced.
std::string resolved(const std::string& path) {
  std::error_code error;
  fs::path at = fs::absolute(path, error);
  constexpr int kMostLinks = 40;  // as the system's own limit
  for (int i = 0; i < kMostLinks && fs::is_symlink(at, error); ++i) {
    at = at.parent_path() / fs::read_symlink(at, error);
  }
  return at.string();
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : shown_(printable(path)), path_(resolved(path)) {
  std::error_code error;
  if (fs::exists(path_, error) && !fs::is_regular_file(path_, error)) {
    refuse_file(path, "a file to write", fs::is_directory(path_, error) ? "a folder" : "a device");
  }
  if (fs::is_symlink(path_, error)) refuse_file(path, "a file to write", "a link without an end");
  buffer_.resize(kBuffer);
  partial_ = path_ + ".partial";
  // A pipe of that name must not block.
  file_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (file_ < 0) {
    refuse_file(path, "a file that can be written", fmt::format("\"{}\"", std::strerror(errno)));
  }
  // The lock is on the file, not on its name: another process may have finished in between.
  struct stat ours {
  }, named{};
  const bool locked = flock(file_, LOCK_EX | LOCK_NB) == 0 && fstat(file_, &ours) == 0 &&
                      stat(partial_.c_str(), &named) == 0 && ours.st_ino == named.st_ino;
  if (!locked) {
    close(file_);
    file_ = -1;
    refuse_file(path, "a file that nobody else is writing", "another process at it");
  }
  if (ftruncate(file_, 0) != 0) {
    const int reason = errno;
    close(std::exchange(file_, -1));
    errno = reason;
    fail("emptied");
  }
}

OutputFile::~OutputFile() {
  if (file_ < 0) return;
  unlink(partial_.c_str());
  close(file_);
}

void OutputFile::fail(std::string_view what) const {
  throw WorkError(fmt::format("{}: cannot be {}: {}", shown_, what, std::strerror(errno)));
}

void OutputFile::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (used_ == buffer_.size()) flush();
    const std::size_t now = std::min(bytes.size(), buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, bytes.data(), now);
    used_ += now;
    bytes = bytes.subspan(now);
  }
}

void OutputFile::write(std::string_view text) {
  write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void OutputFile::zeros(std::size_t count) {
  static constexpr std::uint8_t kZeros[64] = {};
  for (; count > 0; count -= std::min(count, sizeof(kZeros))) {
    write(std::span(kZeros).first(std::min(count, sizeof(kZeros))));
  }
}

void OutputFile::flush() {
  for (std::size_t done = 0; done < used_;) {
    const ssize_t now = ::write(file_, buffer_.data() + done, used_ - done);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) fail("written");
    done += static_cast<std::size_t>(now);
  }
  written_ += used_;
  used_ = 0;
}

void OutputFile::rewrite(std::uint64_t at, std::span<const std::uint8_t> bytes) {
  if (at >= written_) {  // it is still in the buffer
    std::memcpy(buffer_.data() + (at - written_), bytes.data(), bytes.size());
    return;
  }
  flush();
  while (!bytes.empty()) {
    const ssize_t now = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) fail("written");
    at += static_cast<std::uint64_t>(now);
    bytes = bytes.subspan(static_cast<std::size_t>(now));
  }
}

void OutputFile::finish() {
  flush();
  if (fsync(file_) != 0) fail("written");
  if (rename(partial_.c_str(), path_.c_str()) != 0) fail("renamed");
  close(file_);
  file_ = -1;
  // The name, too, must outlive a power cut; where a folder cannot be synced, it does when it can.
  const int folder = open(fs::path(path_).parent_path().c_str(), O_RDONLY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
}

}  // namespace zeropoint
