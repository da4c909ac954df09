#pragma once
#include "zeropoint/gemm/operand.hpp"

#include "gemm/finish.hpp"
#include "gemm/kernel.hpp"

namespace zeropoint {

/// What this folder may know of a PackedMatrix.
struct PackedAccess {
  static const Kernel& kernel(const PackedMatrix& b) { return *b.kernel_; }
  static bool is_signed(const PackedMatrix& b) { return b.is_signed_; }
  static const std::uint8_t* panels(const PackedMatrix& b) { return b.panels_.get(); }
  static const std::int64_t* sums(const PackedMatrix& b) { return b.sums_.data(); }
  static ZeroPoints zero_points(const PackedMatrix& b) {
    if (b.zero_points_.empty()) return b.zero_point_;
    return std::span<const std::int32_t>(b.zero_points_);
  }
};

/// Columns of B in panels: each as wide as the kernel likes, the last up to `last_vectors` wide.
struct Panels {
  Panels(const Kernel& kernel, std::size_t n);

  std::size_t count;
  std::size_t width;                  ///< columns of each but the last
  std::size_t last_width;             ///< of the last
  std::size_t vectors, last_vectors;  ///< the same in vectors of the kernel
  std::size_t first(std::size_t panel) const { return panel * width; }
  std::size_t width_of(std::size_t panel) const { return panel + 1 == count ? last_width : width; }
  std::size_t vectors_of(std::size_t panel) const {
    return panel + 1 == count ? last_vectors : vectors;
  }
  /// Columns of all panels, with those that are padding.
  std::size_t padded() const { return count == 0 ? 0 : (count - 1) * width + last_width; }
};

/// 8-bit operands whose sums are made in 32 bits, modulo 2^32, and finished tile by tile. The
/// shapes fit, m and n are not 0.
struct NarrowProduct {
  const Kernel* kernel;
  CodesView a;
  ZeroPoints zero_a;
  const PackedMatrix* packed = nullptr;  ///< B, or
  CodesView b;                           ///< B
  ZeroPoints zero_b;
  std::size_t n;
  /// A part of k only where B is packed: from a whole number of groups on.
  std::size_t first_k = 0, k = 0;
  /// Sums of the kernel's elements as they are: neither offsets nor zero points are taken off.
  bool raw = false;
  bool alone = false;  ///< on the calling thread, as a part of a larger product
  FinishAs as = FinishAs::int32;
  Finish finish = {};
};
void multiply(const NarrowProduct& product);

}  // namespace zeropoint
