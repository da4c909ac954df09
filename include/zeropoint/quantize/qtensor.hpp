#pragma once
#include <cstddef>
#include <cstdint>
#include <variant>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/gemm/operand.hpp"
#include "zeropoint/quantize/params.hpp"

namespace zeropoint {

/// A matrix of codes in the narrowest type that holds the grid.
using CodeMatrix = std::variant<Matrix<std::int8_t>, Matrix<std::uint8_t>, Matrix<std::int16_t>,
                                Matrix<std::uint16_t>>;

/// Uninitialized codes for that grid.
CodeMatrix make_codes(const IntegerGrid& grid, std::size_t rows, std::size_t cols);

/// A quantized matrix: its codes, what they mean, and what clipping cost. Immutable.
class QTensor {
 public:
  /// Quantizes `x` with the given parameters.
  QTensor(const Matrix<float>& x, QuantParams params, const IntegerGrid& grid,
          const Convention& convention);
  /// Takes codes that are already there.
  QTensor(CodeMatrix codes, QuantParams params, const IntegerGrid& grid)
      : codes_(std::move(codes)), params_(params), grid_(grid) {}

  const CodeMatrix& codes() const { return codes_; }
  QuantParams params() const { return params_; }
  const IntegerGrid& grid() const { return grid_; }
  /// The fraction of elements whose rounded value fell outside the grid.
  double clipped() const { return clipped_; }
  std::size_t rows() const;
  std::size_t cols() const;
  /// Codes and zero point, as the product takes them; to be used while this lives.
  Operand operand() const;
  /// The real values that the codes stand for.
  Matrix<float> dequantized() const;

 private:
  CodeMatrix codes_;
  QuantParams params_;
  IntegerGrid grid_;
  double clipped_ = 0;
};

}  // namespace zeropoint
