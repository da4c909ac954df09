#include "zeropoint/quantize/quantized_matmul.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/quantize/elementwise.hpp"

#include "core/scratch.hpp"

namespace zeropoint {
namespace {

const Convention& onnx() {
  static const Convention convention = parse_convention("onnx");
  return convention;
}

// A matrix whose lines are to be quantized: rows of A, columns of B.
struct Lines {
  const float* data;
  std::size_t count, length;
  std::ptrdiff_t stride;   // from line to line
  std::ptrdiff_t element;  // from number to number of a line
};

// Codes of lines: of the same order in memory as the numbers, without gaps.
struct Quantized {
  const void* codes = nullptr;
  std::ptrdiff_t stride = 0, element = 1;
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;  // as many as scales: one, or one a line
};

QuantParams params_of(std::span<const float> x, const IntegerGrid& grid,
                      const Convention& convention, std::string_view what) {
  return choose_params(min_max_range(x, what), grid, convention);
}

// One scale, numbers without gaps, however they are ordered.
template <class Code>
void quantize_whole(const Lines& lines, const IntegerGrid& grid, const DynamicQuantization& how,
                    std::string_view what, Code* codes, Quantized& out) {
  const std::span<const float> x(lines.data, lines.count * lines.length);
  const QuantParams params = params_of(x, grid, how.convention, what);
  quantize<Code>(x, params, grid, how.convention, {codes, x.size()});
  out.scales = {params.scale};
  out.zero_points = {params.zero_point};
}

// A line at a time; what is not contiguous is gathered first.
template <class Code>
void quantize_lines(const Lines& lines, const IntegerGrid& grid, const DynamicQuantization& how,
                    std::string_view what, Code* codes, Quantized& out) {
  const std::size_t length = lines.length;
  const bool each = how.granularity == GranularityKind::channel;
  const auto gather = [&](std::size_t i, std::vector<float>& room) -> std::span<const float> {
    const float* from = lines.data + static_cast<std::ptrdiff_t>(i) * lines.stride;
    if (lines.element == 1) return {from, length};
    room.resize(length);
    for (std::size_t l = 0; l < length; ++l) {
      room[l] = from[static_cast<std::ptrdiff_t>(l) * lines.element];
    }
    return room;
  };
  const auto name = [&](std::size_t i) {
    return fmt::format("{}, {} {}", what, what == "A" ? "row" : "column", i);
  };
  const double work = static_cast<double>(lines.count) * static_cast<double>(length);
  std::vector<QuantParams> params(each ? lines.count : 1);
  if (!each) {
    std::vector<Range> ranges(lines.count);
    parallel_for(
        lines.count, 16,
        [&](std::size_t begin, std::size_t end) {
          std::vector<float> room;
          for (std::size_t i = begin; i < end; ++i) {
            ranges[i] = min_max_range(gather(i, room), name(i));
          }
        },
        work);
    Range all = ranges[0];
    for (const Range& range : ranges) {
      all = {std::min(all.min, range.min), std::max(all.max, range.max)};
    }
    params[0] = choose_params(all, grid, how.convention);
  }
  parallel_for(
      lines.count, 16,
      [&](std::size_t begin, std::size_t end) {
        std::vector<float> room;
        for (std::size_t i = begin; i < end; ++i) {
          const auto x = gather(i, room);
          if (each) params[i] = params_of(x, grid, how.convention, name(i));
          quantize<Code>(x, params[each ? i : 0], grid, how.convention,
                         {codes + i * length, length});
        }
      },
      work);
  for (const QuantParams& of : params) {
    out.scales.push_back(of.scale);
    out.zero_points.push_back(of.zero_point);
  }
}

Quantized quantize_operand(const Lines& lines, const DynamicQuantization& how,
                           std::string_view what, void* codes) {
  const IntegerGrid grid = how.convention.grid(8);
  Quantized out;
  out.codes = codes;
  if (lines.count == 0 || lines.length == 0) {
    out.scales = {1};
    out.zero_points = {0};
    return out;
  }
  const auto length = static_cast<std::ptrdiff_t>(lines.length);
  const auto count = static_cast<std::ptrdiff_t>(lines.count);
  const bool by_line = lines.element == 1 && lines.stride == length;
  const bool across = lines.stride == 1 && lines.element == count;
  const bool whole = how.granularity == GranularityKind::tensor && (by_line || across);
  out.stride = whole && !by_line ? 1 : length;
  out.element = whole && !by_line ? count : 1;
  const auto run = [&]<class Code>(Code* to) {
    if (whole) return quantize_whole(lines, grid, how, what, to, out);
    quantize_lines(lines, grid, how, what, to, out);
  };
  if (grid.is_signed) {
    run(static_cast<std::int8_t*>(codes));
  } else {
    run(static_cast<std::uint8_t*>(codes));
  }
  return out;
}

Lines rows_of(MatrixView<const float> a) {
  return {a.data, a.rows, a.cols, a.row_stride, a.col_stride};
}
Lines columns_of(MatrixView<const float> b) {
  return {b.data, b.cols, b.rows, b.col_stride, b.row_stride};
}

CodesView view(const Quantized& q, bool is_signed, std::size_t rows, std::size_t cols,
               bool lines_are_rows) {
  CodesView codes;
  codes.data = q.codes;
  codes.rows = rows;
  codes.cols = cols;
  codes.row_stride = lines_are_rows ? q.stride : q.element;
  codes.col_stride = lines_are_rows ? q.element : q.stride;
  codes.is_signed = is_signed;
  return codes;
}

ZeroPoints zero_points(const Quantized& q, std::size_t lines) {
  if (q.zero_points.size() == 1 && lines != 1) return q.zero_points[0];
  // What is the same everywhere (0, most often) is cheaper as one.
  if (std::ranges::adjacent_find(q.zero_points, std::not_equal_to()) == q.zero_points.end()) {
    return q.zero_points.empty() ? 0 : q.zero_points[0];
  }
  return q.zero_points;
}

Scales scales(std::span<const float> of) {
  if (of.size() == 1) return of[0];
  return of;
}

void check(MatrixView<const float> a, std::size_t rows_b, std::size_t cols_b) {
  if (a.cols != rows_b) {
    throw InputError(
        fmt::format("product: expected as many columns in A as rows in B, found {}x{} and {}x{}",
                    a.rows, a.cols, rows_b, cols_b));
  }
}

void multiply(MatrixView<const float> a, const DynamicQuantization& of_a, const RightOperand& b,
              std::span<const float> scales_b, std::span<const float> bias, MatrixView<float> y,
              std::byte* room) {
  const Quantized q = quantize_operand(rows_of(a), of_a, "A", room);
  // A product of scales that is infinite would make NaN of a sum of 0.
  const float largest =
      std::ranges::max(q.scales) * (scales_b.empty() ? 1 : std::ranges::max(scales_b));
  if (!std::isfinite(largest)) {
    throw InputError(fmt::format(
        "product: expected scales whose product float32 holds, found {:.3g} of A and {:.3g} of B",
        std::ranges::max(q.scales), std::ranges::max(scales_b)));
  }
  qgemm(Operand(view(q, of_a.convention.is_signed, a.rows, a.cols, true), zero_points(q, a.rows)),
        b, Dequantization{scales(q.scales), scales(scales_b), bias}, y);
}

}  // namespace

DynamicQuantization::DynamicQuantization(GranularityKind of)
    : convention(onnx()), granularity(of) {}

QuantizedWeights::QuantizedWeights(MatrixView<const float> b)
    : QuantizedWeights(
          b, {parse_convention("onnx:mapping=symmetric:grid=narrow"), GranularityKind::channel}) {}

QuantizedWeights::QuantizedWeights(MatrixView<const float> b, const DynamicQuantization& how) {
  const Scratch room(b.rows * b.cols);
  Quantized q = quantize_operand(columns_of(b), how, "B", room.data());
  packed_ = PackedMatrix(
      Operand(view(q, how.convention.is_signed, b.rows, b.cols, false), zero_points(q, b.cols)));
  scales_ = std::move(q.scales);
}

void quantized_matmul(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> y,
                      std::span<const float> bias, const DynamicQuantization& of_a,
                      const DynamicQuantization& of_b) {
  check(a, b.rows, b.cols);
  Carver counter(nullptr);
  counter.take<std::byte>(a.rows * a.cols);
  counter.take<std::byte>(b.rows * b.cols);
  const Scratch scratch(counter.used());
  Carver carver(scratch.data());
  auto* const room_a = carver.take<std::byte>(a.rows * a.cols);
  auto* const room_b = carver.take<std::byte>(b.rows * b.cols);
  const Quantized q = quantize_operand(columns_of(b), of_b, "B", room_b);
  multiply(a, of_a,
           RightOperand(view(q, of_b.convention.is_signed, b.rows, b.cols, false),
                        zero_points(q, b.cols)),
           q.scales, bias, y, room_a);
}

void quantized_matmul(MatrixView<const float> a, const QuantizedWeights& b, MatrixView<float> y,
                      std::span<const float> bias, const DynamicQuantization& of_a) {
  check(a, b.rows(), b.cols());
  const Scratch scratch(a.rows * a.cols);
  multiply(a, of_a, b.packed(), b.scales(), bias, y, scratch.data());
}

}  // namespace zeropoint
