#include "quantize/transformed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/range.hpp"
#include "zeropoint/transforms/smoothing.hpp"

#include "quantize/tile_walk.hpp"

namespace zeropoint {
namespace {

std::size_t lines_length(const Matrix<float>& x, Along along) {
  return along == Along::rows ? x.cols() : x.rows();
}

Matrix<float> finite_copy(MatrixView<const float> x, std::string_view what) {
  Matrix<float> copy(x.rows, x.cols);
  if (copy.size() == 0) return copy;
  std::ranges::copy(Gathered<float>(x).values(), copy.values().begin());
  check_finite(std::as_const(copy).values(), what);
  return copy;
}

// n numbers of at most M have a norm of at most √n·M, and so has each of the rotated ones. What a
// grid over them stands for is at most twice as large, 2·√n·M, and each number that comes back at
// most √n times that: 2·n·M.
void check_magnitudes(const Matrix<float>& x, std::size_t length, std::string_view what) {
  const float most =
      std::numeric_limits<float>::max() / 4 / static_cast<float>(std::max<std::size_t>(length, 1));
  const Range range = min_max_range(x.values(), what);
  if (range.max <= most && range.min >= -most) return;
  const auto values = x.values();
  const auto first =
      std::ranges::find_if(values, [&](float value) { return std::abs(value) > most; });
  throw InputError(fmt::format(
      "{}: expected magnitudes up to {:.3g}, so that {} of them can be rotated; found {:.9g} at "
      "index {}",
      what, most, length, *first, first - values.begin()));
}

void rotate(Matrix<float>& x, const Transform& transform, Along along, std::string_view what) {
  const std::size_t length = lines_length(x, along);
  if (x.size() == 0) return;
  check_magnitudes(x, length, what);
  Rotation(length, transform.seed).apply(x.view(), along);
}

}  // namespace

bool needs_both(const Scheme& scheme) {
  return std::ranges::any_of(scheme.transforms, [](const Transform& transform) {
    return transform.kind == TransformKind::smooth;
  });
}

Matrix<float> transformed(MatrixView<const float> x, const Scheme& scheme,
                          std::span<const float> smoothing, Role role, std::string_view what) {
  const Along along = along_of(role);
  Matrix<float> turned = finite_copy(x, what);
  const std::size_t length = lines_length(turned, along);
  if (needs_both(scheme) && smoothing.size() != length) {
    throw InputError(
        fmt::format("{}: expected both operands of a product with {}, in which smooth finds its "
                    "{} factors (quantize_pair); found {}",
                    what, short_form(scheme), length,
                    smoothing.empty() ? std::string("one") : fmt::format("{}", smoothing.size())));
  }
  for (const auto& transform : scheme.transforms) {
    switch (transform.kind) {
      case TransformKind::hadamard:
        rotate(turned, transform, along, what);
        break;
      case TransformKind::smooth:
        if (role == Role::right) {
          multiply_along(turned.view(), along, smoothing);
        } else {
          divide_along(turned.view(), along, smoothing);
        }
        break;
    }
  }
  return turned;
}

TransformedPair transformed_pair(MatrixView<const float> a, MatrixView<const float> b,
                                 const Scheme& scheme, std::string_view what_a,
                                 std::string_view what_b) {
  TransformedPair pair{finite_copy(a, what_a), finite_copy(b, what_b), {}};
  for (const auto& transform : scheme.transforms) {
    switch (transform.kind) {
      case TransformKind::hadamard:
        rotate(pair.a, transform, Along::rows, what_a);
        rotate(pair.b, transform, Along::columns, what_b);
        break;
      case TransformKind::smooth:
        pair.smoothing = smoothing_factors(pair.a.view(), pair.b.view(), transform.alpha);
        divide_along(pair.a.view(), Along::rows, pair.smoothing);
        multiply_along(pair.b.view(), Along::columns, pair.smoothing);
        break;
    }
  }
  return pair;
}

void transform_back(MatrixView<float> x, const Scheme& scheme, std::span<const float> smoothing,
                    Along along) {
  if (x.rows == 0 || x.cols == 0) return;
  for (auto transform = scheme.transforms.rbegin(); transform != scheme.transforms.rend();
       ++transform) {
    switch (transform->kind) {
      case TransformKind::hadamard:
        Rotation(along == Along::rows ? x.cols : x.rows, transform->seed).invert(x, along);
        break;
      case TransformKind::smooth:
        if (along == Along::rows) {
          multiply_along(x, along, smoothing);
        } else {
          divide_along(x, along, smoothing);
        }
        break;
    }
  }
}

}  // namespace zeropoint
