#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/quantize/quantize.hpp"

namespace zeropoint {

/// A tensor under a scheme, some rows at a time, so that neither codes nor what they stand for need
/// memory for the whole. The codes are those that quantize() gives to the whole tensor.
class SchemeOnTensor {
 public:
  /// `x`, contiguous and row-major, must outlive this. Finds what all rows share: the parameters of
  /// a whole tensor or of its columns, levels, a tensor's second scale. Throws InputError as
  /// quantize() does, except for numbers that are not finite where rows share nothing: those are
  /// found by rows().
  SchemeOnTensor(std::span<const float> x, std::span<const std::size_t> shape, const Scheme& scheme,
                 std::string what);

  /// The matrix that its tiles are cut from.
  const Tiles& tiles() const { return tiles_; }
  /// How many rows to take at once: whole tiles, a multiple of 8, so that codes of any width end
  /// with a byte; or all.
  std::size_t rows_a_piece() const { return rows_a_piece_; }
  std::size_t pieces() const;
  std::size_t first_row(std::size_t piece) const { return piece * rows_a_piece_; }
  std::size_t rows_of(std::size_t piece) const;
  /// The values of a piece, after the scheme's transforms: what its codes stand for.
  MatrixView<const float> values(std::size_t piece) const;
  /// The codes of a piece: a tensor of its rows. Its decoded() goes beside values(); transforms are
  /// not taken back. Safe to call from several threads at once.
  QTensor codes(std::size_t piece) const;
  /// Whether the pieces share parameters, and which.
  bool is_shared() const { return is_shared_; }
  const TensorParams& shared() const { return shared_; }

 private:
  Scheme scheme_;  ///< of the matrix, without transforms
  std::string what_;
  Tiles tiles_;
  Matrix<float> turned_;
  MatrixView<const float> x_;
  std::size_t rows_a_piece_ = 0;
  bool is_shared_ = false;
  TensorParams shared_;
};

}  // namespace zeropoint
