// QuantizeLinear. y = saturate(round(x / scale) + zero point), by ONNX's text: the division in the
// type of the scale, or in that of the attribute `precision`, rounded to that type; then to the
// nearest integer, ties to even; then the zero point, exactly; then saturation. Where the text says
// nothing, as ONNX's reference implementation does: scales that are float8e8m0 divide in float32,
// int32 scales in float64. To floats: x / scale + zero point in that type, then as Cast.
// NaN becomes the lowest code, as there.
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/integer_grid.hpp"
#include "zeropoint/formats/packed_codes.hpp"

#include "model/convert.hpp"
#include "model/operators/families.hpp"
#include "model/operators/quantization.hpp"

namespace zeropoint::model {
namespace {

using enum ElementType;

template <class Real>
std::vector<Real> to_reals(const Value& value) {
  if constexpr (std::is_same_v<Real, float>) {
    return to_floats(value);
  } else {
    return to_doubles(value);
  }
}

// To the 16-bit floats that `precision` may be; others are as they are.
void round_to(ElementType precision, std::vector<float>& x) {
  if (precision != float16 && precision != bfloat16) return;
  const auto count = static_cast<std::int64_t>(x.size());
  x = to_floats(from_floats(precision, {count}, x));
}
void round_to(ElementType, std::vector<double>&) {}

// x / scale. A quotient of two 16-bit floats in float32 has more than twice their digits and two,
// so that rounding it again is as rounding once.
template <class Real>
std::vector<Real> quotients(const Value& x, const Value& scale, const Granularity& granularity,
                            ElementType precision) {
  auto result = to_reals<Real>(x);
  auto scales = to_reals<Real>(scale);
  round_to(precision, result);
  round_to(precision, scales);
  granularity.for_each_run(
      [&](std::size_t at, std::size_t parameter, std::size_t count, bool each) {
        for (std::size_t i = 0; i < count; ++i)
          result[at + i] /= scales[parameter + (each ? i : 0)];
      });
  round_to(precision, result);
  return result;
}

// To the nearest integer, ties to even, of numbers that are small beside the type's digits: where
// the sum lies, neighbours are 1 apart.
template <class Real>
Real round_small(Real x) {
  constexpr Real kShift = Real{3} * (std::uint64_t{1} << (std::numeric_limits<Real>::digits - 2));
  return (x + kShift) - kShift;
}

template <class Code, class Real>
void write_codes(std::span<const Real> x, const std::vector<Real>& zero_points,
                 const Granularity& granularity, const IntegerGrid& grid, std::span<Code> codes) {
  const auto lo = static_cast<Real>(grid.lo()), hi = static_cast<Real>(grid.hi());
  granularity.for_each_run(
      [&](std::size_t at, std::size_t parameter, std::size_t count, bool each) {
        for (std::size_t i = 0; i < count; ++i) {
          const Real z = zero_points.empty() ? 0 : zero_points[parameter + (each ? i : 0)];
          // The ends are integers: saturating first is as saturating last. A NaN fails the
          // comparison.
          Real code = x[at + i] > lo - z ? x[at + i] : lo - z;
          code = code < hi - z ? code : hi - z;
          codes[at + i] = static_cast<Code>(static_cast<std::int32_t>(round_small(code) + z));
        }
      });
}

template <class Real>
Value to_codes(const std::vector<Real>& x, const Value* zero_point, const Granularity& granularity,
               ElementType type, const Shape& shape) {
  const ElementInfo& row = info(type);
  const IntegerGrid grid{row.bits, row.kind == ElementKind::signed_integer};
  const auto zero_points =
      zero_point != nullptr ? to_reals<Real>(*zero_point) : std::vector<Real>{};
  Value y(type, shape);
  const std::span<const Real> in(x);
  if (row.bits == 16) {
    write_codes(in, zero_points, granularity, grid, y.as<std::uint16_t>());
  } else if (row.bits == 8) {
    write_codes(in, zero_points, granularity, grid, y.bytes());
  } else {
    std::vector<std::uint8_t> codes(x.size());
    write_codes(in, zero_points, granularity, grid, std::span<std::uint8_t>(codes));
    pack(codes, row.bits, y.bytes());
  }
  return y;
}

template <class Real>
Value to_floats_of(std::vector<Real> x, const Value* zero_point, const Granularity& granularity,
                   ElementType type, ElementType precision, const Shape& shape, bool saturate) {
  if (zero_point != nullptr) {
    const auto zero_points = to_reals<Real>(*zero_point);
    // ONNX's reference implementation makes +0 of -0 + 0 in 4-bit floats, and leaves zero points of
    // 8-bit floats out, which are 0 there.
    const bool always = info(type).bits < 8;
    granularity.for_each_run(
        [&](std::size_t at, std::size_t parameter, std::size_t count, bool each) {
          for (std::size_t i = 0; i < count; ++i) {
            const Real z = zero_points[parameter + (each ? i : 0)];
            if (z != 0 || always) x[at + i] += z;
          }
        });
    round_to(precision, x);
  }
  const Overflow overflow = saturate ? Overflow::saturate : Overflow::special;
  if constexpr (std::is_same_v<Real, float>) {
    return from_floats(type, shape, x, overflow);
  } else {
    return from_doubles(type, shape, x, overflow);
  }
}

bool is_quantized_type(ElementType type) {
  const ElementInfo& row = info(type);
  if (row.is_float()) return row.bits <= 8 && type != float8e8m0;
  return row.is_integer() && row.bits <= 16;
}

ElementType output_type(const Arguments& arguments, const Value* zero_point) {
  const ElementType type =
      type_attribute(arguments, "output_dtype", zero_point != nullptr ? zero_point->type() : uint8);
  if (zero_point != nullptr && zero_point->type() != type) {
    throw InputError(fmt::format("zero point: expected type {} of attribute output_dtype, found {}",
                                 name(type), name(zero_point->type())));
  }
  if (!is_quantized_type(type)) {
    throw InputError(fmt::format(
        "expected an output of 2- to 16-bit integers or 4- or 8-bit floats, found type {}",
        name(type)));
  }
  return type;
}

ElementType division_type(const Arguments& arguments, const Value& x, const Value& scale) {
  const auto expect = [](ElementType type, std::string_view what, bool fits) {
    if (fits) return;
    throw InputError(fmt::format(
        "{}: expected float, float16, bfloat16 or int32 (a scale: or float8e8m0; precision: float "
        "or double), found {}",
        what, name(type)));
  };
  const auto is_main = [](ElementType t) { return t == float32 || t == float16 || t == bfloat16; };
  expect(x.type(), "x", is_main(x.type()) || x.type() == int32);
  expect(scale.type(), "scale",
         is_main(scale.type()) || scale.type() == int32 || scale.type() == float8e8m0);
  ElementType otherwise = scale.type();
  if (scale.type() == float8e8m0) otherwise = float32;
  if (scale.type() == int32) otherwise = float64;
  const ElementType type = type_attribute(arguments, "precision", otherwise);
  expect(type, "attribute precision", is_main(type) || type == float64);
  return type;
}

template <class Real>
Value quantize(const Value& x, const Value& scale, const Value* zero_point,
               const Granularity& granularity, ElementType precision, ElementType type,
               bool saturate) {
  auto q = quotients<Real>(x, scale, granularity, precision);
  if (info(type).is_float()) {
    return to_floats_of(std::move(q), zero_point, granularity, type, precision, x.shape(),
                        saturate);
  }
  return to_codes(q, zero_point, granularity, type, x.shape());
}

}  // namespace

Outputs run_quantize_linear(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  const Value& scale = arguments.input(1);
  const Value* zero_point = arguments.optional_input(2);
  const ElementType type = output_type(arguments, zero_point);
  const ElementType precision = division_type(arguments, x, scale);
  const Granularity of = granularity(arguments, x, scale);
  if (zero_point != nullptr) check_zero_point(*zero_point, scale);
  const bool saturate = arguments.attribute<std::int64_t>("saturate", 1) != 0;
  if (precision == float64) {
    return {quantize<double>(x, scale, zero_point, of, precision, type, saturate)};
  }
  return {quantize<float>(x, scale, zero_point, of, precision, type, saturate)};
}

Value quantize_uint8(const Value& x, float scale, std::uint8_t zero_point) {
  Granularity all;
  all.outer = x.size();
  const Value z(uint8, {}, std::span<const std::uint8_t>(&zero_point, 1));
  const Value s(float32, {}, std::span<const float>(&scale, 1));
  return quantize<float>(x, s, &z, all, float32, uint8, true);
}

}  // namespace zeropoint::model
