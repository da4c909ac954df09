#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/weights/weights.hpp"

#include "weights/layout.hpp"

namespace zeropoint {

constexpr std::size_t kDecodeGrain = std::size_t{1} << 16;  // values; a multiple of every block

/// All values of a plain tensor or of blocks, on all threads.
void decode_all(const StoredTensor& tensor, std::span<const std::uint8_t> bytes,
                std::span<float> out);
/// Scales, zero points and levels of a tensor of zeropoint's own, as they are stored.
TensorParams own_params(const TensorFile& file, const Weight& weight, const Layout& layout);
/// Its codes with these. Throws InputError if a code is wider than the format.
QTensor own_tensor(const TensorFile& file, const Weight& weight, const Layout& layout,
                   TensorParams params);

/// Which of ONNX's scales a value has.
class DequantizationTiles {
 public:
  /// The axis must be one of the shape's, if it counts.
  DequantizationTiles(const DequantizedTensor& how, std::span<const std::size_t> shape);
  std::size_t count() const { return count_; }
  /// Calls body(i, n, tile, step) for stripes of [begin, end): value i + k has the scale
  /// tile + k · step.
  template <class Body>
  void for_stripes(std::size_t begin, std::size_t end, const Body& body) const {
    for (std::size_t i = begin; i < end;) {
      std::size_t n = end - i, tile = 0, step = 0;
      if (!is_one_) {
        const std::size_t k = i % inner_, line = i / inner_;
        const std::size_t j = line % along_, outer = line / along_;
        if (block_ == 0) {
          step = inner_ == 1 ? 1 : 0;
          tile = j;
          n = inner_ == 1 ? along_ - j : inner_ - k;
        } else {
          step = inner_ == 1 ? 0 : 1;
          tile = (outer * blocks_ + j / block_) * inner_ + k;
          n = inner_ == 1 ? std::min(block_ - j % block_, along_ - j) : inner_ - k;
        }
        n = std::min(n, end - i);
      }
      body(i, n, tile, step);
      i += n;
    }
  }

 private:
  bool is_one_;
  std::size_t along_ = 1, inner_ = 1, block_ = 0, blocks_ = 1, count_ = 1;
};

}  // namespace zeropoint
