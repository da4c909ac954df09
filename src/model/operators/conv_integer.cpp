// ConvInteger and QLinearConv: each group's patches as a matrix, which the group's filters multiply
// by qgemm. What is padded has the value 0, so the code of x's zero point.
#include <algorithm>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "model/convert.hpp"
#include "model/memory.hpp"
#include "model/operators/convolution.hpp"
#include "model/operators/families.hpp"
#include "model/operators/integer_product.hpp"

namespace zeropoint::model {
namespace {

// One a filter, or one alone.
void check_of_filters(const Value& value, const Convolution& c, std::string_view what) {
  const bool each = value.rank() == 1 && value.size() == c.filters;
  if (!value.is_single() && !each) {
    throw InputError(fmt::format("{}: expected one, or {} (one a filter), found shape {}", what,
                                 c.filters, to_string(value.shape())));
  }
}

void check_type(const Value& value, const Value& of, std::string_view what) {
  if (value.type() != of.type()) {
    throw InputError(
        fmt::format("{}: expected type {}, found {}", what, name(of.type()), name(value.type())));
  }
}

std::int32_t x_zero_point(const Value* value, const Value& x) {
  if (value == nullptr) return 0;
  check_type(*value, x, "x's zero point");
  if (!value->is_single()) {
    throw InputError(
        fmt::format("x's zero point: expected one, found shape {}", to_string(value->shape())));
  }
  return static_cast<std::int32_t>(integer_at(*value, 0));
}

// One a filter.
std::vector<std::int32_t> w_zero_points(const Value* value, const Value& w, const Convolution& c) {
  if (value == nullptr) return std::vector<std::int32_t>(c.filters, 0);
  check_type(*value, w, "w's zero point");
  check_of_filters(*value, c, "w's zero point");
  const auto all = to_integers(*value);
  std::vector<std::int32_t> result(c.filters);
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<std::int32_t>(all[value->is_single() ? 0 : i]);
  }
  return result;
}

// Calls done(first, sums) for each image and group: `first` is the group's first channel of y,
// counted over images, and sums has a row for each of its channels.
template <class Sum, class Done>
void convolve(const Convolution& c, const Value& x, const Value& w, std::int32_t z_x,
              std::span<const std::int32_t> z_w, const Done& done) {
  const std::size_t filters = c.filters / c.groups;
  const std::size_t depth = c.channels / c.groups * c.kernel_size();
  const bool x_signed = x.type() == ElementType::int8, w_signed = w.type() == ElementType::int8;
  check_memory(filters * c.output_size(), sizeof(Sum), "sums of a convolution");
  Matrix<Sum> sums(filters, c.output_size());
  std::vector<std::uint8_t> matrix;
  for (std::size_t i = 0; i < c.batch * c.groups; ++i) {
    const std::size_t group = i % c.groups;
    const auto* of_x = x.bytes().data() + i * (c.channels / c.groups) * c.input_size();
    if (!c.is_pointwise()) {
      patches(c, of_x, static_cast<std::uint8_t>(z_x), matrix);
      of_x = matrix.data();
    }
    const auto* of_w = w.bytes().data() + group * filters * depth;
    const ZeroPoints of_filters(z_w.subspan(group * filters, filters));
    qgemm(Operand(codes_view(of_w, w_signed, filters, depth), of_filters),
          Operand(codes_view(of_x, x_signed, depth, c.output_size()), z_x), sums.view());
    done(i * filters, sums);
  }
}

void check_operands(const Value& x, const Value& w) {
  check_codes(x, "x");
  check_codes(w, "w");
}

}  // namespace

Outputs run_conv_integer(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  const Value& w = arguments.input(1);
  check_operands(x, w);
  const Convolution c = convolution(arguments, x, w);
  const std::int32_t z_x = x_zero_point(arguments.optional_input(2), x);
  const auto z_w = w_zero_points(arguments.optional_input(3), w, c);
  Value y(ElementType::int32, c.y_shape());
  const auto out = y.as<std::int32_t>();
  convolve<std::int32_t>(
      c, x, w, z_x, z_w, [&](std::size_t first, const Matrix<std::int32_t>& sums) {
        std::ranges::copy(sums.values(),
                          out.begin() + static_cast<std::ptrdiff_t>(first * c.output_size()));
      });
  return {std::move(y)};
}

Outputs run_qlinear_conv(const Arguments& arguments) {
  const Value& x = arguments.input(0);
  const Value& x_scale = arguments.input(1);
  const Value& w = arguments.input(3);
  const Value& w_scale = arguments.input(4);
  const Value& y_scale = arguments.input(6);
  check_operands(x, w);
  const Convolution c = convolution(arguments, x, w);
  const std::int32_t z_x = x_zero_point(&arguments.input(2), x);
  const auto z_w = w_zero_points(&arguments.input(5), w, c);
  const Requantizer requantizer(arguments.input(7), y_scale.type());
  const ScaleArithmetic arithmetic(x_scale, w_scale, y_scale);
  if (!x_scale.is_single()) {
    throw InputError(
        fmt::format("x's scale: expected one, found shape {}", to_string(x_scale.shape())));
  }
  check_of_filters(w_scale, c, "w's scale");
  const Value* bias = arguments.optional_input(8);
  std::vector<std::int64_t> biases(c.filters, 0);
  if (bias != nullptr) {
    if (bias->type() != ElementType::int32 ||
        bias->shape() != Shape{static_cast<std::int64_t>(c.filters)}) {
      throw InputError(fmt::format("B: expected int32 of shape [{}], found {} of shape {}",
                                   c.filters, name(bias->type()), to_string(bias->shape())));
    }
    biases = to_integers(*bias);
  }
  const float s_x = to_floats(x_scale)[0], s_y = to_floats(y_scale)[0];
  const auto s_w = to_floats(w_scale);

  Value y(requantizer.type(), c.y_shape());
  const auto out = y.bytes();
  convolve<std::int64_t>(
      c, x, w, z_x, z_w, [&](std::size_t first, const Matrix<std::int64_t>& sums) {
        std::size_t at = first * c.output_size();
        for (std::size_t i = 0; i < sums.rows(); ++i) {
          const std::size_t filter = (first + i) % c.filters;
          const float multiplier =
              arithmetic.multiplier(s_x, s_w[w_scale.is_single() ? 0 : filter], s_y);
          for (std::size_t j = 0; j < sums.cols(); ++j, ++at) {
            out[at] = requantizer(sums(i, j) + biases[filter], multiplier);
          }
        }
      });
  return {std::move(y)};
}

}  // namespace zeropoint::model
