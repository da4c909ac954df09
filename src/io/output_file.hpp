#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

/// A file that appears under its name when it is whole. Until then it is NAME.partial beside it,
/// locked, so that one that a killed process left is taken over by the next.
class OutputFile {
 public:
  /// Throws InputError if it cannot be created, or another process is writing it now.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::uint8_t> bytes);
  void write(std::string_view text);
  void zeros(std::size_t count);
  /// Replaces as many bytes from `at` on, all of them written before.
  void rewrite(std::uint64_t at, std::span<const std::uint8_t> bytes);
  std::uint64_t written() const { return written_ + used_; }
  /// Syncs and renames.
  void finish();
  /// Where it is until then.
  const std::string& partial() const { return partial_; }

 private:
  void flush();
  [[noreturn]] void fail(std::string_view what) const;

  std::string shown_, path_, partial_;
  int file_ = -1;
  std::vector<std::uint8_t> buffer_;
  std::size_t used_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace zeropoint
