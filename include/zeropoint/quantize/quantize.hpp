#pragma once
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

/// Quantizes a matrix by a scheme, with parameters found in the matrix itself. `what` names it in
/// errors. Throws InputError on NaN and infinity, naming the first, and on an empty matrix (an
/// empty one has no range), except with unit scale. The same codes on every instruction set and
/// thread count. Transforms run along what a product sums over: the rows of a left operand, the
/// columns of a right one, a stored tensor's last axis; throws InputError if they need both
/// operands.
QTensor quantize(MatrixView<const float> x, const Scheme& scheme, Role role = Role::stored,
                 std::string_view what = "tensor");

/// A tensor of any shape, contiguous and row-major.
QTensor quantize(std::span<const float> x, std::span<const std::size_t> shape, const Scheme& scheme,
                 std::string_view what = "tensor");

/// Both operands of a product. Their transforms must be the same; those that need both operands,
/// as `smooth` does, can be quantized by this alone.
std::pair<QTensor, QTensor> quantize_pair(MatrixView<const float> a, MatrixView<const float> b,
                                          const SchemePair& schemes, std::string_view what_a = "A",
                                          std::string_view what_b = "B");

/// With parameters that are given: static quantization. As many as the scheme has tiles for that
/// matrix, or one for all. A scheme that shrinks chooses the scales anew once there are codes.
/// Throws InputError on scales that are no positive numbers, and on levels that are not as many as
/// the format's.
QTensor quantize(MatrixView<const float> x, const Scheme& scheme, const TensorParams& params,
                 Role role = Role::stored, std::string_view what = "tensor");

/// The parameters that quantize() would find: what codes are made with, before shrink.
TensorParams find_params(MatrixView<const float> x, const Scheme& scheme, Role role = Role::stored,
                         std::string_view what = "tensor");

/// Quantizes and comes back: what is left of x.
Matrix<float> fake_quantize(MatrixView<const float> x, const Scheme& scheme,
                            Role role = Role::stored, std::string_view what = "tensor");

/// A·B of what the codes stand for, in float32. Integer codes with one scale and zero point a
/// tensor, a row of A, a column of B, or for groups of as many along k in both (one of them may
/// have the whole) are multiplied as integers, exactly within a group; groups are added in float32,
/// from the first on. All others are dequantized and multiplied in float32. Transforms that both
/// have had alike cancel: codes are multiplied as they are.
Matrix<float> multiply(const QTensor& a, const QTensor& b);

/// The same with sums as an accumulator holds them. An integer one adds products of codes, zero
/// points taken off, within each group, and throws InputError if multiply() would not multiply
/// those as integers; a floating-point one adds products of what the codes stand for.
Matrix<float> multiply(const QTensor& a, const QTensor& b, const Accumulator& accumulator);

/// Finds static parameters: sees tensor after tensor, of which those of one calibrator share their
/// parameters (a tensor over many batches, or all of a layer's or a model's). A scheme of several
/// tiles needs matrices of one shape.
class Calibrator {
 public:
  explicit Calibrator(Scheme scheme, Role role = Role::stored);
  /// Throws InputError on NaN and infinity, naming the first, and on another shape; nothing of the
  /// tensor is kept then. An empty one adds nothing.
  void observe(MatrixView<const float> x, std::string_view what = "tensor");
  /// Takes over what another has seen, in any order. Throws InputError if their schemes differ, or
  /// their matrices' shapes where there are several tiles.
  void merge(const Calibrator& other);
  /// Throws InputError if nothing was seen.
  TensorParams params() const;

 private:
  void check_tiles(const Tiles& tiles, std::string_view what) const;

  Scheme scheme_;
  Role role_;
  Tiles tiles_;
  std::vector<Observer> observers_;
};

}  // namespace zeropoint
