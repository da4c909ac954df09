#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
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

template <class CodeA, class CodeB>
Matrix<float> multiply_codes(const QTensor& a, const QTensor& b, const Matrix<CodeA>& codes_a,
                             const Matrix<CodeB>& codes_b, Grouping of_a, Grouping of_b) {
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
    qgemm(Operand(view_a, zero_points_of(lines_a, of_a)),
          Operand(view_b, zero_points_of(lines_b, of_b)),
          Dequantization{scales_of(lines_a, of_a), scales_of(lines_b, of_b)},
          at == 0 ? y.view() : part.view());
    if (at == 0) continue;
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] += part.data()[i];
  }
  return y;
}

// Whether the transforms of both were the same, along the index that is summed over.
bool cancel(const QTensor& a, const QTensor& b) {
  return a.scheme().transforms == b.scheme().transforms &&
         a.parameters().smoothing == b.parameters().smoothing && a.role() != Role::right &&
         a.line() == a.cols() && b.role() == Role::right;
}

}  // namespace

Matrix<float> multiply(const QTensor& a, const QTensor& b) {
  if (a.cols() != b.rows()) {
    throw InputError(fmt::format("multiply: expected B with {} rows, found {}x{} times {}x{}",
                                 a.cols(), a.rows(), a.cols(), b.rows(), b.cols()));
  }
  const bool has_none = a.scheme().transforms.empty() && b.scheme().transforms.empty();
  if (!has_none && !cancel(a, b)) return float_product(a.dequantized(), b.dequantized());
  const auto of_a = grouping(a, true);
  const auto of_b = grouping(b, false);
  const std::size_t k = a.cols();
  const bool fits =
      of_a && of_b && (of_a->along == of_b->along || of_a->along >= k || of_b->along >= k);
  if (!fits || k == 0) return float_product(a.decoded(), b.decoded());
  return a.visit_codes([&](const auto& codes_a) {
    return b.visit_codes(
        [&](const auto& codes_b) { return multiply_codes(a, b, codes_a, codes_b, *of_a, *of_b); });
  });
}

}  // namespace zeropoint
