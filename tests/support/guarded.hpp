#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace zeropoint::testing {

/// Memory between two pages that nobody may touch: reading or writing one byte too many ends the
/// program.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) {
    page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (bytes + page_ - 1) / page_ * page_;
    void* all = mmap(nullptr, bytes_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::runtime_error("no guarded memory");
    start_ = static_cast<std::uint8_t*>(all) + page_;
    if (mprotect(start_, bytes_, PROT_READ | PROT_WRITE) != 0) {
      throw std::runtime_error("no guarded memory");
    }
  }
  ~Guarded() { munmap(start_ - page_, bytes_ + 2 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  /// `count` elements just before the page behind, or just behind the page before.
  template <class T>
  T* array(std::size_t count, bool at_end) const {
    if (count * sizeof(T) > bytes_) throw std::runtime_error("too little guarded memory");
    return reinterpret_cast<T*>(at_end ? start_ + bytes_ - count * sizeof(T) : start_);
  }

 private:
  std::size_t page_ = 0, bytes_ = 0;
  std::uint8_t* start_ = nullptr;
};

}  // namespace zeropoint::testing
