#pragma once
#include <cstdint>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/model/value.hpp"

namespace zeropoint::model {

/// Bytes as a row-major matrix of int8 or uint8.
CodesView codes_view(const std::uint8_t* data, bool is_signed, std::size_t rows, std::size_t cols);

/// Throws InputError unless the tensor is of int8 or uint8; `what` names it.
void check_codes(const Value& value, std::string_view what);

/// Sums S as codes of an 8-bit type. With float scales by ONNX Runtime's rules, which are ONNX's
/// text in float32: round(float(S) · multiplier), half to even, + zero point, saturated. With
/// 16-bit scales, which ONNX Runtime has not, by those of ONNX's reference implementation: round(S
/// · multiplier + zero point) in float64. The two differ at ties if the zero point is odd, and in
/// the last bits of the product.
class Requantizer {
 public:
  /// Throws InputError unless the zero point is one int8 or uint8.
  Requantizer(const Value& zero_point, ElementType scale_type);
  ElementType type() const { return type_; }
  std::uint8_t operator()(std::int64_t sum, float multiplier) const;

 private:
  ElementType type_;
  bool by_reference_;
  Requantization rules_;
};

/// Scales as floats and, where they are 16-bit floats, products and quotients rounded to their
/// type: (s_a · s_b) / s_y as ONNX's reference implementation makes it.
class ScaleArithmetic {
 public:
  /// Throws InputError unless all are of one type: float, float16 or bfloat16.
  ScaleArithmetic(const Value& a, const Value& b, const Value& y);
  float multiplier(float a, float b, float y) const;

 private:
  const FloatFormat* format_ = nullptr;
};

}  // namespace zeropoint::model
