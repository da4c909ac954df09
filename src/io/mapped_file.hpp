#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace zeropoint {

/// A whole file, mapped for reading. Nobody may shorten the file meanwhile.
class MappedFile {
 public:
  /// Throws InputError unless it is a regular file that can be read. `links` false: nor a link.
  explicit MappedFile(const std::string& path, bool links = true);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  /// Takes the pages that lie wholly in here out of memory; they can be read again.
  void release(std::size_t first, std::size_t count) const;

 private:
  std::string path_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// "PATH: expected …, found …" as InputError, the path fit to be shown.
[[noreturn]] void refuse_file(std::string_view path, std::string_view expected,
                              std::string_view found);

/// "1 byte", "17 bytes".
std::string byte_count(std::uint64_t bytes);

}  // namespace zeropoint
