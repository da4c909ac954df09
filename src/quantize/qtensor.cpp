#include "zeropoint/quantize/qtensor.hpp"

#include "zeropoint/quantize/elementwise.hpp"

namespace zeropoint {

CodeMatrix make_codes(const IntegerGrid& grid, std::size_t rows, std::size_t cols) {
  check(grid);
  if (grid.bits <= 8) {
    if (grid.is_signed) return Matrix<std::int8_t>(rows, cols);
    return Matrix<std::uint8_t>(rows, cols);
  }
  if (grid.is_signed) return Matrix<std::int16_t>(rows, cols);
  return Matrix<std::uint16_t>(rows, cols);
}

QTensor::QTensor(const Matrix<float>& x, QuantParams params, const IntegerGrid& grid,
                 const Convention& convention)
    : codes_(make_codes(grid, x.rows(), x.cols())), params_(params), grid_(grid) {
  std::visit(
      [&](auto& codes) {
        const auto clipped = quantize(x.values(), params, grid, convention, codes.values());
        clipped_ = x.size() == 0 ? 0 : static_cast<double>(clipped) / static_cast<double>(x.size());
      },
      codes_);
}

std::size_t QTensor::rows() const {
  return std::visit([](const auto& codes) { return codes.rows(); }, codes_);
}

std::size_t QTensor::cols() const {
  return std::visit([](const auto& codes) { return codes.cols(); }, codes_);
}

Operand QTensor::operand() const {
  return std::visit([&](const auto& codes) { return Operand(codes.view(), params_.zero_point); },
                    codes_);
}

Matrix<float> QTensor::dequantized() const {
  Matrix<float> x(rows(), cols());
  std::visit(
      [&]<class Code>(const Matrix<Code>& codes) {
        dequantize<Code>(codes.values(), params_, x.values());
      },
      codes_);
  return x;
}

}  // namespace zeropoint
