#pragma once
#include <cstddef>
#include <cstdint>

namespace zeropoint {

/// Memory for the length of one call, aligned to 64 bytes and uninitialized. Each thread keeps
/// two pieces that it gave back, up to 64 MiB each, so that what is called again allocates nothing.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

/// Cuts a piece of memory into arrays: first count what is needed, then hand it out.
class Carver {
 public:
  /// With nullptr, only counts.
  explicit Carver(std::byte* data) : data_(data) {}

  template <class T>
  T* take(std::size_t count) {
    T* const piece = data_ == nullptr ? nullptr : reinterpret_cast<T*>(data_ + used_);
    used_ += (count * sizeof(T) + 63) / 64 * 64;
    return piece;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* data_;
  std::size_t used_ = 0;
};

}  // namespace zeropoint
