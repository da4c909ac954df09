#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

/// Reads JSON of little depth piece by piece, without building a tree: a stranger's text costs no
/// more than what the reader keeps of it. A subclass is told what stands where.
class ShallowJson {
 public:
  /// The keys that lead to a value; within a list its position stands for one, as "".
  using Path = std::vector<std::string>;

  /// `path` names the file in refusals; `depth`, how many keys may lead to a value.
  ShallowJson(const std::string& path, std::size_t depth) : file_(path), depth_(depth) {}
  virtual ~ShallowJson() = default;
  /// Throws InputError.
  void read(std::string_view text);

 protected:
  /// An object or a list begins.
  virtual void open(const Path& at, bool is_array) = 0;
  virtual void text(const Path& at, std::string& value) = 0;
  /// A whole number from 0 to 2^64 − 1.
  virtual void number(const Path& at, std::uint64_t value) = 0;
  /// Any other value: null, true, a fraction, a number below 0.
  virtual void other(const Path& at) = 0;
  [[noreturn]] void wrong(const Path& at, std::string_view expected) const;

 private:
  friend class ShallowSax;
  const std::string file_;
  const std::size_t depth_;
};

}  // namespace zeropoint
