#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/gemm/qgemm.hpp"

#include "gemm/accumulate_row.hpp"

namespace zeropoint {
namespace {

// Doubles of B that are kept at once, and rows that one piece of work takes.
constexpr std::size_t kPanelDoubles = (std::size_t{64} << 20U) / sizeof(double);
constexpr std::size_t kPieceRows = 32;

/// Writes elements (row, col) … (row, col + count − 1) of an operand as doubles.
using Read = std::function<void(std::size_t row, std::size_t col, std::size_t count, double* out)>;

struct Shape {
  std::size_t m, k, n;
};

void check(const Accumulator& accumulator, const Shape& shape, std::size_t rows_b,
           const MatrixView<double>& sums) {
  if (shape.k != rows_b) {
    throw InputError(
        fmt::format("accumulate: expected as many columns in A as rows in B, found {}x{} and {}x{}",
                    shape.m, shape.k, rows_b, shape.n));
  }
  if (sums.rows != shape.m || sums.cols != shape.n) {
    throw InputError(fmt::format("accumulate: expected an output of {}x{}, found {}x{}", shape.m,
                                 shape.n, sums.rows, sums.cols));
  }
  if (accumulator.order == SummationOrder::blocked && accumulator.block == 0) {
    throw InputError("accumulate: expected a block of 1 or more terms, found 0");
  }
}

void accumulate_doubles(const Shape& shape, const Read& read_a, const Read& read_b,
                        const Accumulator& accumulator, const MatrixView<double>& sums) {
  const std::size_t m = shape.m;
  const std::size_t k = shape.k;
  const std::size_t n = shape.n;
  const double work = static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  const std::size_t panels = (n + kPanelCols - 1) / kPanelCols;
  const std::size_t pieces = (m + kPieceRows - 1) / kPieceRows;
  const std::size_t panel_size = k * kPanelCols;
  const std::size_t at_once = std::clamp<std::size_t>(
      kPanelDoubles / std::max<std::size_t>(panel_size, 1), 1, std::max<std::size_t>(panels, 1));
  std::vector<double> doubles_b(at_once * panel_size);  // padding stays 0
  for (std::size_t first = 0; first < panels; first += at_once) {
    const std::size_t count = std::min(at_once, panels - first);
    const auto cols_of = [&](std::size_t panel) {
      return std::min(kPanelCols, n - (first + panel) * kPanelCols);
    };
    parallel_for(
        count, 1,
        [&](std::size_t begin, std::size_t end) {
          for (std::size_t panel = begin; panel < end; ++panel) {
            double* out = doubles_b.data() + panel * panel_size;
            for (std::size_t l = 0; l < k; ++l) {
              read_b(l, (first + panel) * kPanelCols, cols_of(panel), out + l * kPanelCols);
            }
          }
        },
        work);
    parallel_for(
        count * pieces, 1,
        [&](std::size_t begin, std::size_t end) {
          std::vector<double> a(k);
          std::vector<double> scratch(row_scratch(k));
          double row[kPanelCols];
          for (std::size_t piece = begin; piece < end; ++piece) {
            const std::size_t panel = piece / pieces;
            const std::size_t first_row = piece % pieces * kPieceRows;
            for (std::size_t i = first_row; i < std::min(m, first_row + kPieceRows); ++i) {
              if (k > 0) read_a(i, 0, k, a.data());
              accumulate_row(accumulator, a.data(), doubles_b.data() + panel * panel_size, k,
                             scratch.data(), row);
              for (std::size_t j = 0; j < cols_of(panel); ++j) {
                // Processors differ in the NaN that they make.
                sums(i, (first + panel) * kPanelCols + j) =
                    std::isnan(row[j]) ? std::numeric_limits<double>::quiet_NaN() : row[j];
              }
            }
          }
        },
        work);
  }
}

void check(const ZeroPoints& zero, std::string_view of, std::string_view what, std::size_t count) {
  if (zero.each.empty() || zero.each.size() == count) return;
  throw InputError(
      fmt::format("accumulate: expected one zero point of {} or one for each of its "
                  "{} {}, found {}",
                  of, count, what, zero.each.size()));
}

// The largest |code − z|.
double reach(const Operand& x) {
  const double span = x.codes.bytes == 1 ? 256 : 65536;
  const double lo = x.codes.is_signed ? -span / 2 : 0;
  double least = x.zero_point.value;
  double most = least;
  if (!x.zero_point.each.empty()) {
    const auto [first, last] = std::ranges::minmax(x.zero_point.each);
    least = first;
    most = last;
  }
  return std::max(lo + span - 1 - least, most - lo);
}

template <class Code>
Read reader(const CodesView& codes, const ZeroPoints& zero, bool zero_by_row) {
  return
      [codes, zero, zero_by_row](std::size_t row, std::size_t col, std::size_t count, double* out) {
        const Code* from = static_cast<const Code*>(codes.data) +
                           static_cast<std::ptrdiff_t>(row) * codes.row_stride +
                           static_cast<std::ptrdiff_t>(col) * codes.col_stride;
        const bool one = zero.each.empty() || zero_by_row;
        const double z = zero.each.empty() ? zero.value : zero_by_row ? zero.each[row] : 0;
        for (std::size_t e = 0; e < count; ++e) {
          out[e] = from[static_cast<std::ptrdiff_t>(e) * codes.col_stride] -
                   (one ? z : static_cast<double>(zero.each[col + e]));
        }
      };
}

Read reader(const Operand& x, bool zero_by_row) {
  const auto& [codes, zero] = x;
  if (codes.bytes == 1) {
    return codes.is_signed ? reader<std::int8_t>(codes, zero, zero_by_row)
                           : reader<std::uint8_t>(codes, zero, zero_by_row);
  }
  return codes.is_signed ? reader<std::int16_t>(codes, zero, zero_by_row)
                         : reader<std::uint16_t>(codes, zero, zero_by_row);
}

// The last `bits` bits of a sum, in two's complement.
std::int64_t wrapped(std::int64_t sum, AccumulatorKind kind) {
  switch (kind) {
    case AccumulatorKind::int8:
      return static_cast<std::int8_t>(sum);
    case AccumulatorKind::int16:
      return static_cast<std::int16_t>(sum);
    default:
      return static_cast<std::int32_t>(sum);
  }
}

// Wrapping and refusing depend on the whole sum alone, in whatever order it is made.
void accumulate_modular(const Operand& a, const Operand& b, const Accumulator& accumulator,
                        const MatrixView<double>& sums) {
  Matrix<std::int64_t> exact(sums.rows, sums.cols);
  qgemm(a, b, exact.view());
  for (std::size_t i = 0; i < sums.rows; ++i) {
    for (std::size_t j = 0; j < sums.cols; ++j) {
      const std::int64_t held = wrapped(exact(i, j), accumulator.kind);
      if (held != exact(i, j) && accumulator.overflow == IntegerOverflow::refuse) {
        throw InputError(fmt::format("accumulate: expected sums within {}, found {} at ({}, {})",
                                     format_of(accumulator.kind).name, exact(i, j), i, j));
      }
      sums(i, j) = static_cast<double>(held);
    }
  }
}

}  // namespace

void accumulate(const Operand& a, const Operand& b, const Accumulator& accumulator,
                MatrixView<double> sums) {
  const Shape shape{a.codes.rows, a.codes.cols, b.codes.cols};
  check(accumulator, shape, b.codes.rows, sums);
  check(a.zero_point, "A", "rows", shape.m);
  check(b.zero_point, "B", "columns", shape.n);
  if (format_of(accumulator.kind).is_integer && accumulator.overflow != IntegerOverflow::saturate) {
    return accumulate_modular(a, b, accumulator, sums);
  }
  if (const double most = reach(a) * reach(b); most > 0x1p53) {
    throw InputError(
        fmt::format("accumulate: expected products of codes up to 2^53 in magnitude, found zero "
                    "points that allow {:.3g}",
                    most));
  }
  accumulate_doubles(shape, reader(a, true), reader(b, false), accumulator, sums);
}

void accumulate(MatrixView<const float> a, MatrixView<const float> b,
                const Accumulator& accumulator, MatrixView<double> sums) {
  if (format_of(accumulator.kind).is_integer) {
    throw InputError(
        fmt::format("accumulate: expected a floating-point accumulator for real numbers, found {}",
                    to_string(accumulator)));
  }
  const Shape shape{a.rows, a.cols, b.cols};
  check(accumulator, shape, b.rows, sums);
  const auto reader_of = [](MatrixView<const float> x) -> Read {
    return [x](std::size_t row, std::size_t col, std::size_t count, double* out) {
      for (std::size_t e = 0; e < count; ++e) out[e] = x(row, col + e);
    };
  };
  accumulate_doubles(shape, reader_of(a), reader_of(b), accumulator, sums);
}

}  // namespace zeropoint
