#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/gemm/operand.hpp"
#include "zeropoint/quantize/granularity.hpp"
#include "zeropoint/quantize/params.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

/// A matrix of codes in the narrowest type that holds the grid.
using CodeMatrix = std::variant<Matrix<std::int8_t>, Matrix<std::uint8_t>, Matrix<std::int16_t>,
                                Matrix<std::uint16_t>>;

/// Uninitialized codes for that grid.
CodeMatrix make_codes(const IntegerGrid& grid, std::size_t rows, std::size_t cols);

/// What codes mean beside their format: fixed before a static scheme is used, or found in the
/// tensor itself.
struct TensorParams {
  std::vector<QuantParams> tiles;  ///< one a tile; of float formats and codebooks the scale alone,
                                   ///< which is 0 where levels in the root mean square are all 0
  std::vector<float> levels;       ///< a fitted codebook's, ascending
  float tensor_scale = 1;          ///< of block formats with a second scale (NVFP4)
  std::vector<float> smoothing;    ///< the factors of smooth, the same of both operands
  bool operator==(const TensorParams&) const = default;
};

/// A quantized tensor, seen as a matrix: its scheme, its codes as they are stored, what they mean,
/// and what clipping cost. Immutable. Of a scheme with transforms, codes and parameters are those
/// of the transformed matrix. Codes of less than a byte are packed without gaps, least
/// significant bits first; those of 9 to 16 bits take two bytes, wider ones (tf32) are packed
/// again; block formats are whole blocks, row by row (of a right operand column by column, along
/// which its blocks run).
class QTensor {
 public:
  /// Quantizes `x` to integers with the given parameters for all of it.
  QTensor(const Matrix<float>& x, QuantParams params, const IntegerGrid& grid,
          const Convention& convention);
  /// Takes codes that are already there, with one scale and zero point for all of them.
  QTensor(CodeMatrix codes, QuantParams params, const IntegerGrid& grid);
  /// As quantize() makes it: `stored` as said above, in an 8-bit matrix of one row where it is
  /// packed or in blocks.
  QTensor(Scheme scheme, Role role, Tiles tiles, CodeMatrix stored, TensorParams params,
          double clipped);

  std::size_t rows() const { return tiles_.rows; }
  std::size_t cols() const { return tiles_.cols; }
  const Scheme& scheme() const { return scheme_; }
  const Tiles& tiles() const { return tiles_; }
  Role role() const { return role_; }
  const TensorParams& parameters() const { return params_; }
  /// Scale and zero point, where there is one tile.
  QuantParams params() const { return params_.tiles.front(); }
  const IntegerGrid& grid() const { return scheme_.format.grid; }
  /// The fraction of elements beyond the grid's ends; 0 for block formats, and for codebooks whose
  /// levels are fitted or measured in the root mean square: their ends stand for all beyond them.
  double clipped() const { return clipped_; }
  /// The same under another scheme's name, which must mean the same tiles. `last_axis` is what its
  /// transforms ran along, where that is not the matrix's columns (of a right operand, rows).
  QTensor with_scheme(Scheme scheme, std::size_t last_axis = 0) &&;
  /// What its codes were made with, where `shrink` then chose other scales: parameters() is what
  /// they are read with. Without it the same. Whoever only reads codes needs no more than those.
  TensorParams encoding_parameters() const;
  /// The same codes with other scales, one a tile, after shrink.
  QTensor with_scales(std::span<const float> scales) &&;
  /// The codes' bytes.
  std::span<const std::uint8_t> bytes() const;
  /// How many numbers the scheme's transforms combine.
  std::size_t line() const {
    if (last_axis_ != 0) return last_axis_;
    return role_ == Role::right ? rows() : cols();
  }
  /// Bits a value: codes, scales (32 bits, or as a block stores them), zero points (as wide as a
  /// code where the convention keeps them on the grid, else 32 bits), levels where they were
  /// fitted (others belong to the format), padding; of a left operand also the factors of smooth
  /// (32 bits each): it must be divided by them when it comes, while the right one's are in its
  /// codes. Seeds count nothing.
  double effective_bits() const;

  /// Calls f(const Matrix<Code>&) with the codes, a value each; those that are packed are unpacked
  /// for the call. Codes of float formats and codebooks are unsigned. Throws InputError for block
  /// formats and for codes of more than 16 bits (tf32).
  template <class F>
  decltype(auto) visit_codes(F&& f) const {
    if (!is_packed()) return std::visit(std::forward<F>(f), stored_);
    const CodeMatrix plain = unpacked();
    return std::visit(std::forward<F>(f), plain);
  }
  /// Codes and zero point as the product takes them, to be used while this lives: integers of 8
  /// to 16 bits with one scale. Throws InputError if they are others; multiply() takes all.
  Operand operand() const;
  /// The real values that the codes stand for, transformed back.
  Matrix<float> dequantized() const;
  /// The same as they are in the codes: of the transformed matrix.
  Matrix<float> decoded() const;

 private:
  bool is_packed() const { return scheme_.format.bits < 8 || scheme_.format.bits > 16; }
  CodeMatrix unpacked() const;

  Scheme scheme_;
  Role role_ = Role::stored;
  Tiles tiles_;
  CodeMatrix stored_;
  TensorParams params_;
  double clipped_ = 0;
  std::size_t last_axis_ = 0;
  std::vector<float> encoding_scales_;  // where shrink changed them
};

}  // namespace zeropoint
