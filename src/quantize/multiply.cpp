#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/quantize/quantize.hpp"

namespace zeropoint {
namespace {

// Along k, all of a row of A (column of B) or groups of as many; across, one for all or one each.
struct Grouping {
  std::size_t along;  ///< of k
  bool for_each;      ///< row of A, column of B
};

std::optional<Grouping> grouping(const QTensor& q, bool is_left) {
  if (q.scheme().format.kind != FormatKind::integer || q.parameters().tiles.empty()) {
    return std::nullopt;
  }
  const Tiles& t = q.tiles();
  const std::size_t k = is_left ? t.cols : t.rows;
  const std::size_t lines = is_left ? t.rows : t.cols;
  const std::size_t along = is_left ? t.tile_cols : t.tile_rows;
  const std::size_t across = is_left ? t.tile_rows : t.tile_cols;
  if (q.parameters().tiles.size() == 1) return Grouping{k, false};
  if (across != 1 && across < lines) return std::nullopt;
  return Grouping{std::min(along, k), across == 1 && lines > 1};
}

// Scales and zero points of one group along k.
struct Lines {
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;
};

Lines lines_of(const QTensor& q, bool is_left, const Grouping& grouping, std::size_t at) {
  Lines lines;
  const auto& tiles = q.parameters().tiles;
  const std::size_t count = grouping.for_each ? (is_left ? q.rows() : q.cols()) : 1;
  for (std::size_t line = 0; line < count; ++line) {
    const auto& params = tiles.size() == 1 ? tiles[0]
                         : is_left         ? tiles[q.tiles().of(line, at)]
                                           : tiles[q.tiles().of(at, line)];
    lines.scales.push_back(params.scale);
    lines.zero_points.push_back(params.zero_point);
  }
  return lines;
}

Scales scales_of(const Lines& lines, const Grouping& grouping) {
  return grouping.for_each ? Scales(lines.scales) : Scales(lines.scales[0]);
}
ZeroPoints zero_points_of(const Lines& lines, const Grouping& grouping) {
  return grouping.for_each ? ZeroPoints(lines.zero_points) : ZeroPoints(lines.zero_points[0]);
}

// `product` is qgemm(), or an accumulator of its face.
template <class CodeA, class CodeB, class Product>
Matrix<float> multiply_codes(const QTensor& a, const QTensor& b, const Matrix<CodeA>& codes_a,
                             const Matrix<CodeB>& codes_b, Grouping of_a, Grouping of_b,
                             const Product& product) {
  const std::size_t m = a.rows(), k = a.cols(), n = b.cols();
  const std::size_t group = std::max<std::size_t>(std::min(of_a.along, of_b.along), 1);
  Matrix<float> y(m, n);
  Matrix<float> part(k > group ? m : 0, n);
  for (std::size_t at = 0; at == 0 || at < k; at += group) {
    const std::size_t depth = std::min(group, k - at);
    const Lines lines_a = lines_of(a, true, of_a, at);
    const Lines lines_b = lines_of(b, false, of_b, at);
    const MatrixView<const CodeA> view_a{codes_a.data() + at, m, depth,
                                         static_cast<std::ptrdiff_t>(k), 1};
    const MatrixView<const CodeB> view_b{codes_b.data() + at * n, depth, n,
                                         static_cast<std::ptrdiff_t>(n), 1};
    product(Operand(view_a, zero_points_of(lines_a, of_a)),
            Operand(view_b, zero_points_of(lines_b, of_b)),
            Dequantization{scales_of(lines_a, of_a), scales_of(lines_b, of_b)},
            at == 0 ? y.view() : part.view());
    if (at == 0) continue;
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] += part.data()[i];
  }
  return y;
}

// Whether no transform keeps codes from being multiplied as they are: there is none, or that of
// both was the same, along the index that is summed over.
bool cancel(const QTensor& a, const QTensor& b) {
  if (a.scheme().transforms.empty() && b.scheme().transforms.empty()) return true;
  return a.scheme().transforms == b.scheme().transforms &&
         a.parameters().smoothing == b.parameters().smoothing && a.role() != Role::right &&
         a.line() == a.cols() && b.role() == Role::right;
}

// What both stand for, as it is in the codes where transforms cancel.
struct Reals {
  Matrix<float> a, b;
};
Reals reals(const QTensor& a, const QTensor& b) {
  if (cancel(a, b)) return {a.decoded(), b.decoded()};
  return {a.dequantized(), b.dequantized()};
}

struct Groupings {
  Grouping a, b;
};

// How codes are multiplied as integers; nothing if they are not. Throws InputError if the shapes do
// not fit.
std::optional<Groupings> groupings(const QTensor& a, const QTensor& b) {
  if (a.cols() != b.rows()) {
    throw InputError(fmt::format("multiply: expected B with {} rows, found {}x{} times {}x{}",
                                 a.cols(), a.rows(), a.cols(), b.rows(), b.cols()));
  }
  if (!cancel(a, b)) return std::nullopt;
  const auto of_a = grouping(a, true);
  const auto of_b = grouping(b, false);
  const std::size_t k = a.cols();
  const bool fits =
      of_a && of_b && (of_a->along == of_b->along || of_a->along >= k || of_b->along >= k);
  if (!fits || k == 0) return std::nullopt;
  return Groupings{*of_a, *of_b};
}

template <class Product>
Matrix<float> multiply_codes(const QTensor& a, const QTensor& b, const Groupings& by,
                             const Product& product) {
  return a.visit_codes([&](const auto& codes_a) {
    return b.visit_codes([&](const auto& codes_b) {
      return multiply_codes(a, b, codes_a, codes_b, by.a, by.b, product);
    });
  });
}

float scale_at(const Scales& scales, std::size_t i) {
  return scales.each.empty() ? scales.value : scales.each[i];
}

}  // namespace

Matrix<float> multiply(const QTensor& a, const QTensor& b) {
  const auto by = groupings(a, b);
  if (!by) {
    const auto [left, right] = reals(a, b);
    return float_product(left, right);
  }
  return multiply_codes(
      a, b, *by, [](const auto& left, const auto& right, const auto& how, MatrixView<float> y) {
        qgemm(left, right, how, y);
      });
}

Matrix<float> multiply(const QTensor& a, const QTensor& b, const Accumulator& accumulator) {
  const auto by = groupings(a, b);
  Matrix<double> sums(a.rows(), b.cols());
  if (!format_of(accumulator.kind).is_integer) {
    const auto [left, right] = reals(a, b);
    accumulate(left.view(), right.view(), accumulator, sums.view());
    Matrix<float> y(a.rows(), b.cols());
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] = static_cast<float>(sums.data()[i]);
    return y;
  }
  if (!by) {
    throw InputError(fmt::format(
        "multiply: expected integer codes with scales for a tensor, a row of A, a column of B or "
        "groups along k for the accumulator {}, found {} and {} (one in floating point adds any)",
        to_string(accumulator), short_form(a.scheme()), short_form(b.scheme())));
  }
  return multiply_codes(
      a, b, *by, [&](const auto& left, const auto& right, const auto& how, MatrixView<float> y) {
        accumulate(left, right, accumulator, sums.view());
        for (std::size_t i = 0; i < y.rows; ++i) {  // in qgemm's steps
          for (std::size_t j = 0; j < y.cols; ++j) {
            y(i, j) = scale_at(how.a, i) * scale_at(how.b, j) * static_cast<float>(sums(i, j));
          }
        }
      });
}

}  // namespace zeropoint
