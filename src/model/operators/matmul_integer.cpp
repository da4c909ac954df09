// MatMulInteger and QLinearMatMul: numpy.matmul's shapes, the products of qgemm. Sums beyond int32,
// which ONNX lets overflow, are refused by MatMulInteger, and held in 64 bits by QLinearMatMul.
#include <algorithm>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"
#include "model/memory.hpp"
#include "model/operators/broadcast.hpp"
#include "model/operators/families.hpp"
#include "model/operators/integer_product.hpp"

namespace zeropoint::model {
namespace {

// What numpy.matmul multiplies: stacks of matrices, m×k and k×n, stretched over a common batch.
struct Stacks {
  Shape batch;
  std::size_t m = 1, k = 1, n = 1;
  Shape y;                              // without the axes of 1 that a vector was given
  std::vector<std::size_t> a_of, b_of;  // for each matrix of the batch: which of A, which of B
};

Stacks stacks(const Value& a, const Value& b) {
  if (a.rank() == 0 || b.rank() == 0) {
    throw InputError(
        fmt::format("expected vectors, matrices or stacks of them, found shapes {} and {}",
                    to_string(a.shape()), to_string(b.shape())));
  }
  Shape left = a.shape(), right = b.shape();
  if (a.rank() == 1) left.insert(left.begin(), 1);
  if (b.rank() == 1) right.push_back(1);
  if (left.back() != right[right.size() - 2]) {
    throw InputError(fmt::format("expected shapes that multiply, found {} and {}",
                                 to_string(a.shape()), to_string(b.shape())));
  }
  Stacks s;
  s.m = static_cast<std::size_t>(left[left.size() - 2]);
  s.k = static_cast<std::size_t>(left.back());
  s.n = static_cast<std::size_t>(right.back());
  const Shape left_batch(left.begin(), left.end() - 2), right_batch(right.begin(), right.end() - 2);
  s.batch = broadcast(left_batch, right_batch);
  s.a_of = broadcast_indices(left_batch, s.batch);
  s.b_of = broadcast_indices(right_batch, s.batch);
  s.y = s.batch;
  if (a.rank() > 1) s.y.push_back(static_cast<std::int64_t>(s.m));
  if (b.rank() > 1) s.y.push_back(static_cast<std::int64_t>(s.n));
  return s;
}

// A scale or zero point for each row of A (or column of B) of each matrix of the batch; one index
// alone if one serves all.
std::vector<std::size_t> parameter_indices(const Value& parameter, const Stacks& s, bool rows,
                                           std::string_view what) {
  if (parameter.is_single()) return {0};
  const auto each = static_cast<std::int64_t>(rows ? s.m : s.n);
  Shape to = s.batch, from = parameter.shape();
  to.push_back(rows ? each : 1);
  to.push_back(rows ? 1 : each);
  if (from.size() == 1) from = rows ? Shape{from[0], 1} : Shape{1, from[0]};
  try {
    return broadcast_indices(from, to);
  } catch (const InputError&) {
    throw InputError(fmt::format(
        "{}: expected one, {} (one a {}), or a shape that broadcasts to {}; found "
        "shape {}",
        what, each, rows ? "row" : "column", to_string(to), to_string(parameter.shape())));
  }
}

// Parameters of one matrix of the batch.
template <class T>
class OfMatrix {
 public:
  OfMatrix(std::vector<T> values, std::vector<std::size_t> indices, std::size_t each)
      : all_(indices.size() == 1), each_(each) {
    for (const std::size_t i : indices) values_.push_back(values[i]);
  }
  T at(std::size_t matrix, std::size_t i) const {
    return all_ ? values_[0] : values_[matrix * each_ + i];
  }
  std::span<const T> of(std::size_t matrix) const {
    if (all_) return values_;
    return std::span(values_).subspan(matrix * each_, each_);
  }

 private:
  bool all_;
  std::size_t each_;
  std::vector<T> values_;
};

OfMatrix<std::int32_t> zero_points(const Value* value, const Value& of, const Stacks& s, bool rows,
                                   std::string_view what) {
  if (value == nullptr) return {{0}, {0}, 1};
  if (value->type() != of.type()) {
    throw InputError(
        fmt::format("{}: expected type {}, found {}", what, name(of.type()), name(value->type())));
  }
  const auto wide = to_integers(*value);
  std::vector<std::int32_t> all(wide.begin(), wide.end());
  return {std::move(all), parameter_indices(*value, s, rows, what), rows ? s.m : s.n};
}

OfMatrix<float> scales(const Value& value, const Stacks& s, bool rows, std::string_view what) {
  return {to_floats(value), parameter_indices(value, s, rows, what), rows ? s.m : s.n};
}

ZeroPoints as_zero_points(std::span<const std::int32_t> values) {
  return values.size() == 1 ? ZeroPoints(values[0]) : ZeroPoints(values);
}

// Calls done(matrix, sums) for each matrix of the batch; sums are of type Sum.
template <class Sum, class Done>
void multiply(const Value& a, const Value& b, const Stacks& s, const OfMatrix<std::int32_t>& z_a,
              const OfMatrix<std::int32_t>& z_b, const Done& done) {
  check_memory(s.m * s.n, sizeof(Sum), "sums of a product");
  Matrix<Sum> sums(s.m, s.n);
  const bool a_signed = a.type() == ElementType::int8, b_signed = b.type() == ElementType::int8;
  for (std::size_t i = 0; i < s.a_of.size(); ++i) {
    const auto* of_a = a.bytes().data() + s.a_of[i] * s.m * s.k;
    const auto* of_b = b.bytes().data() + s.b_of[i] * s.k * s.n;
    qgemm(Operand(codes_view(of_a, a_signed, s.m, s.k), as_zero_points(z_a.of(i))),
          Operand(codes_view(of_b, b_signed, s.k, s.n), as_zero_points(z_b.of(i))), sums.view());
    done(i, sums);
  }
}

}  // namespace

Outputs run_matmul_integer(const Arguments& arguments) {
  const Value& a = arguments.input(0);
  const Value& b = arguments.input(1);
  check_codes(a, "A");
  check_codes(b, "B");
  const Stacks s = stacks(a, b);
  const auto z_a = zero_points(arguments.optional_input(2), a, s, true, "A's zero point");
  const auto z_b = zero_points(arguments.optional_input(3), b, s, false, "B's zero point");
  Value y(ElementType::int32, s.y);
  const auto out = y.as<std::int32_t>();
  multiply<std::int32_t>(a, b, s, z_a, z_b, [&](std::size_t i, const Matrix<std::int32_t>& sums) {
    std::ranges::copy(sums.values(), out.begin() + static_cast<std::ptrdiff_t>(i * s.m * s.n));
  });
  return {std::move(y)};
}

Outputs run_qlinear_matmul(const Arguments& arguments) {
  const Value& a = arguments.input(0);
  const Value& b = arguments.input(3);
  check_codes(a, "a");
  check_codes(b, "b");
  const Stacks s = stacks(a, b);
  const Value& y_scale = arguments.input(6);
  const ScaleArithmetic arithmetic(arguments.input(1), arguments.input(4), y_scale);
  const auto s_a = scales(arguments.input(1), s, true, "a's scale");
  const auto s_b = scales(arguments.input(4), s, false, "b's scale");
  const auto z_a = zero_points(&arguments.input(2), a, s, true, "a's zero point");
  const auto z_b = zero_points(&arguments.input(5), b, s, false, "b's zero point");
  const float s_y = to_floats(y_scale)[0];
  const Requantizer requantizer(arguments.input(7), y_scale.type());

  Value y(requantizer.type(), s.y);
  const auto out = y.bytes();
  multiply<std::int64_t>(a, b, s, z_a, z_b,
                         [&](std::size_t matrix, const Matrix<std::int64_t>& sums) {
                           std::size_t at = matrix * s.m * s.n;
                           for (std::size_t i = 0; i < s.m; ++i) {
                             for (std::size_t j = 0; j < s.n; ++j, ++at) {
                               const float multiplier =
                                   arithmetic.multiplier(s_a.at(matrix, i), s_b.at(matrix, j), s_y);
                               out[at] = requantizer(sums(i, j), multiplier);
                             }
                           }
                         });
  return {std::move(y)};
}

}  // namespace zeropoint::model
