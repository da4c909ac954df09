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

struct Piece {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
};

// The larger piece first.
struct Kept {
  Piece large, small;
  ~Kept() {
    release(large.data);
    release(small.data);
  }
};
thread_local Kept kept;

}  // namespace

Scratch::Scratch(std::size_t bytes) : data_(nullptr), bytes_(0) {
  for (Piece* piece : {&kept.small, &kept.large}) {
    if (piece->bytes < bytes) continue;
    const Piece taken = std::exchange(*piece, {});
    data_ = taken.data;
    bytes_ = taken.bytes;
    return;
  }
  bytes_ = std::max(bytes, kLeast);
  data_ = allocate(bytes_);
}

Scratch::~Scratch() {
  Piece back{data_, bytes_};
  if (back.bytes <= kMostKept && back.bytes > kept.small.bytes) std::swap(back, kept.small);
  if (kept.small.bytes > kept.large.bytes) std::swap(kept.small, kept.large);
  release(back.data);
}

}  // namespace zeropoint
