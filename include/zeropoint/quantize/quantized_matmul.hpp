#pragma once
#include <span>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/gemm/operand.hpp"
#include "zeropoint/quantize/convention.hpp"
#include "zeropoint/quantize/granularity.hpp"

namespace zeropoint {

/// How a float32 operand becomes int8 (or uint8) at the moment it is multiplied: by its own
/// smallest and largest number, a tensor or a channel at a time.
struct DynamicQuantization {
  Convention convention;  ///< of 8 bits; "onnx" unless said otherwise
  /// tensor, or channel: a scale and zero point for each row of A or column of B.
  GranularityKind granularity = GranularityKind::tensor;

  explicit DynamicQuantization(GranularityKind of = GranularityKind::tensor);
  DynamicQuantization(Convention by, GranularityKind of)
      : convention(std::move(by)), granularity(of) {}
};

/// B (k×n) in float32, quantized and packed once for all products with it: a layer's weights.
/// Immutable; several threads may multiply by one.
class QuantizedWeights {
 public:
  /// For each column its own scale, symmetric about 0, codes from −127 to 127.
  explicit QuantizedWeights(MatrixView<const float> b);
  /// Throws InputError if a number is NaN or infinite, naming the first.
  QuantizedWeights(MatrixView<const float> b, const DynamicQuantization& how);

  std::size_t rows() const { return packed_.rows(); }
  std::size_t cols() const { return packed_.cols(); }
  const PackedMatrix& packed() const { return packed_; }
  /// One, or one a column.
  std::span<const float> scales() const { return scales_; }

 private:
  PackedMatrix packed_;
  std::vector<float> scales_;
};

/// Y = A·B + bias in one call, as an sgemm would be: A (m×k) and B (k×n) are quantized to 8 bits,
/// multiplied as integers, exactly, and the product comes back in float32 (see qgemm.hpp for its
/// rounding). Any strides; bias is empty or has n numbers. The same on every instruction set and
/// thread count. Throws InputError if shapes do not fit, or if a number of A or B is NaN or
/// infinite, naming the first, or if the product of their scales is beyond float32. Y must not
/// overlap A or B.
void quantized_matmul(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> y,
                      std::span<const float> bias = {},
                      const DynamicQuantization& of_a = DynamicQuantization(),
                      const DynamicQuantization& of_b = DynamicQuantization());

/// The same with weights that were quantized before.
void quantized_matmul(MatrixView<const float> a, const QuantizedWeights& b, MatrixView<float> y,
                      std::span<const float> bias = {},
                      const DynamicQuantization& of_a = DynamicQuantization());

}  // namespace zeropoint
