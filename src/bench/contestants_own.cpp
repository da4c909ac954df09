#include <cmath>
#include <memory>

#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/quantize/quantized_matmul.hpp"
#include "zeropoint/ranges/range.hpp"

#include "bench/contestants.hpp"

// zeropoint's own products. Each is an entrant whose output lives as long as it does.

namespace zeropoint {
namespace {

Requantization requantization_of(const BenchOperands& operands) {
  Requantization how = requantization("onnxruntime");
  // Codes are uniform: sums have a standard deviation of about 74² √k; six of them fit the grid.
  how.multiplier = 128 / (3 * 74.0 * 74.0 * std::sqrt(static_cast<double>(operands.shape.k)));
  how.zero_point = kBenchZeroY;
  return how;
}

// With B as it is, or packed.
struct Right {
  Right(const BenchOperands& operands, bool packs) {
    if (packs) packed = PackedMatrix(Operand(operands.b.view(), kBenchZeroB));
    is_packed = packs;
  }
  RightOperand operand(const BenchOperands& operands) const {
    if (is_packed) return packed;
    return Operand(operands.b.view(), kBenchZeroB);
  }
  PackedMatrix packed;
  bool is_packed = false;
};

std::optional<Entrant> to_float32(const BenchOperands& o, bool packs) {
  const auto y = std::make_shared<Matrix<float>>(o.shape.m, o.shape.n);
  const auto right = std::make_shared<Right>(o, packs);
  return Entrant{.call =
                     [&o, y, right] {
                       qgemm({o.a.view(), kBenchZeroA}, right->operand(o),
                             Dequantization{kBenchScaleA, kBenchScaleB}, y->view());
                     },
                 .check =
                     [&o, y] {
                       check_result(
                           o, "int8 to float32",
                           [&](std::size_t i, std::size_t j) { return (*y)(i, j); },
                           [](std::int64_t sum) {
                             return kBenchScaleA * kBenchScaleB * static_cast<float>(sum);
                           },
                           {});
                     }};
}

std::optional<Entrant> to_int8(const BenchOperands& o, bool packs) {
  const auto y = std::make_shared<Matrix<std::int8_t>>(o.shape.m, o.shape.n);
  const auto right = std::make_shared<Right>(o, packs);
  const Requantization how = requantization_of(o);
  return Entrant{.call =
                     [&o, y, right, how] {
                       qgemm({o.a.view(), kBenchZeroA}, right->operand(o), how, y->view());
                     },
                 .check =
                     [&o, y, how] {
                       check_result(
                           o, "int8 to int8",
                           [&](std::size_t i, std::size_t j) { return (*y)(i, j); },
                           [&](std::int64_t sum) { return requantize(sum, how); }, {});
                     }};
}

void check_dynamic(const BenchOperands& o, std::string_view name, const Matrix<float>& y) {
  const Convention convention = DynamicQuantization().convention;
  const IntegerGrid grid = convention.grid(8);
  const auto codes_of = [&](const Matrix<float>& x, Matrix<std::int8_t>& codes) {
    const auto params = choose_params(min_max_range(x.values()), grid, convention);
    quantize<std::int8_t>(x.values(), params, grid, convention, codes.values());
    return params;
  };
  Matrix<std::int8_t> a(o.shape.m, o.shape.k), b(o.shape.k, o.shape.n);
  const QuantParams of_a = codes_of(o.float_a, a);
  const QuantParams of_b = codes_of(o.float_b, b);
  const auto sums = exact_rows(a, of_a.zero_point, b, of_b.zero_point, o.rows);
  check_result(
      o, name, [&](std::size_t i, std::size_t j) { return y(i, j); },
      [&](std::int64_t sum) { return of_a.scale * of_b.scale * static_cast<float>(sum); }, {},
      &sums);
}

}  // namespace

std::optional<Entrant> make_int8_float32(const BenchOperands& o, int) {
  return to_float32(o, false);
}
std::optional<Entrant> make_int8_float32_packed(const BenchOperands& o, int) {
  return to_float32(o, true);
}
std::optional<Entrant> make_int8_int8(const BenchOperands& o, int) { return to_int8(o, false); }
std::optional<Entrant> make_int8_int8_packed(const BenchOperands& o, int) {
  return to_int8(o, true);
}

std::optional<Entrant> make_int8_int32(const BenchOperands& o, int) {
  const auto y = std::make_shared<Matrix<std::int32_t>>(o.shape.m, o.shape.n);
  return Entrant{.call =
                     [&o, y] {
                       qgemm({o.a.view(), kBenchZeroA}, {o.b.view(), kBenchZeroB}, y->view());
                     },
                 .check =
                     [&o, y] {
                       check_result(
                           o, "int8 to int32",
                           [&](std::size_t i, std::size_t j) { return (*y)(i, j); },
                           [](std::int64_t sum) { return static_cast<double>(sum); }, {});
                     }};
}

// Against its own steps, one at a time: ranges, codes, exact sums, the product of scales.
std::optional<Entrant> make_dynamic(const BenchOperands& o, int) {
  const auto y = std::make_shared<Matrix<float>>(o.shape.m, o.shape.n);
  return Entrant{
      .call = [&o, y] { quantized_matmul(o.float_a.view(), o.float_b.view(), y->view()); },
      .check = [&o, y] { check_dynamic(o, "dynamic", *y); }};
}

std::optional<Entrant> make_dynamic_packed(const BenchOperands& o, int) {
  const auto y = std::make_shared<Matrix<float>>(o.shape.m, o.shape.n);
  const auto b = std::make_shared<QuantizedWeights>(o.float_b.view(), DynamicQuantization());
  return Entrant{.call = [&o, y, b] { quantized_matmul(o.float_a.view(), *b, y->view()); },
                 .check = [&o, y] { check_dynamic(o, "dynamic_packed", *y); }};
}

}  // namespace zeropoint
