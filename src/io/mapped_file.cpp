#include "io/mapped_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {

void refuse_file(std::string_view path, std::string_view expected, std::string_view found) {
  throw InputError(fmt::format("{}: expected {}, found {}", printable(path), expected, found));
}

std::string byte_count(std::uint64_t bytes) {
  return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
}

MappedFile::MappedFile(const std::string& path, bool links) : path_(path) {
  // A pipe must not block the opening: it is refused below.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links ? 0 : O_NOFOLLOW));
  if (file < 0) {
    const bool is_link = !links && errno == ELOOP;
    refuse_file(path, is_link ? "a file that is no link" : "a file that can be read",
                is_link ? "a link" : fmt::format("\"{}\"", std::strerror(errno)));
  }
  struct stat status {};
  const bool known = fstat(file, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    close(file);
    refuse_file(path, "a file",
                S_ISDIR(status.st_mode) ? "a folder" : "a device, a pipe or a socket");
  }
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ != 0) {
    void* const mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    const int reason = errno;
    close(file);
    if (mapped == MAP_FAILED) {
      throw WorkError(
          fmt::format("{}: cannot be mapped: {}", printable(path), std::strerror(reason)));
    }
    data_ = static_cast<const std::uint8_t*>(mapped);
  } else {
    close(file);
  }
}

MappedFile::~MappedFile() {
  if (size_ != 0) munmap(const_cast<std::uint8_t*>(data_), size_);
}

void MappedFile::release(std::size_t first, std::size_t count) const {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t begin = (first + page - 1) / page * page;
  const std::size_t end = (first + count) / page * page;
  if (begin >= end) return;
  madvise(const_cast<std::uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace zeropoint
