#include "core/scratch.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace zeropoint {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr std::size_t kMostKept = std::size_t{64} << 20;
constexpr std::size_t kLeast = std::size_t{64} << 10;

std::byte* allocate(std::size_t bytes) {
  return static_cast<std::byte*>(::operator new(bytes, kAlignment));
}
void release(std::byte* data) { ::operator delete(data, kAlignment); }

struct Kept {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  ~Kept() { release(data); }
};
thread_local Kept kept;

}  // namespace

Scratch::Scratch(std::size_t bytes) : data_(nullptr), bytes_(bytes) {
  if (kept.bytes >= bytes) {
    data_ = std::exchange(kept.data, nullptr);
    bytes_ = std::exchange(kept.bytes, 0);
    return;
  }
  bytes_ = std::max(bytes, kLeast);
  data_ = allocate(bytes_);
}

Scratch::~Scratch() {
  if (bytes_ > kMostKept || bytes_ <= kept.bytes) {
    release(data_);
    return;
  }
  release(std::exchange(kept.data, data_));
  kept.bytes = bytes_;
}

}  // namespace zeropoint
