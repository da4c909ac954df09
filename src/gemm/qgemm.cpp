#include "zeropoint/gemm/qgemm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "gemm/narrow.hpp"
#include "gemm/wide.hpp"

namespace zeropoint {
namespace {

// The operands with their shapes, B however it comes.
struct Product {
  const Operand& a;
  const RightOperand& b;
  std::size_t m, k, n;
  std::size_t rows_b;
  bool b_signed;
  std::size_t b_bytes;
  ZeroPoints zero_b;
};

Product product_of(const Operand& a, const RightOperand& b) {
  const PackedMatrix* packed = b.packed;
  if (packed != nullptr) {
    const bool is_signed = PackedAccess::is_signed(*packed);
    return {a,
            b,
            a.codes.rows,
            a.codes.cols,
            packed->cols(),
            packed->rows(),
            is_signed,
            1,
            PackedAccess::zero_points(*packed)};
  }
  const CodesView& codes = b.plain.codes;
  return {a,
          b,
          a.codes.rows,
          a.codes.cols,
          codes.cols,
          codes.rows,
          codes.is_signed,
          codes.bytes,
          b.plain.zero_point};
}

[[noreturn, gnu::cold]] void refuse_count(std::string_view what, std::string_view of,
                                          std::size_t expected, std::size_t found) {
  throw InputError(fmt::format("product: expected one {} or one for each of the {} {}, found {}",
                               what, expected, of, found));
}

[[noreturn, gnu::cold]] void refuse_shapes(const Product& p) {
  throw InputError(
      fmt::format("product: expected as many columns in A as rows in B, found {}x{} and {}x{}", p.m,
                  p.k, p.rows_b, p.n));
}

[[noreturn, gnu::cold]] void refuse_output(const Product& p, std::size_t rows, std::size_t cols) {
  throw InputError(
      fmt::format("product: expected an output of {}x{}, found {}x{}", p.m, p.n, rows, cols));
}

void check(const Product& p, std::size_t rows, std::size_t cols) {
  if (p.k != p.rows_b) refuse_shapes(p);
  if (rows != p.m || cols != p.n) refuse_output(p, rows, cols);
  const std::size_t of_a = p.a.zero_point.each.size();
  if (of_a != 0 && of_a != p.m) refuse_count("zero point of A", "rows", p.m, of_a);
  const std::size_t of_b = p.zero_b.each.size();
  if (of_b != 0 && of_b != p.n) refuse_count("zero point of B", "columns", p.n, of_b);
}

// The largest |code − z|.
double reach(std::size_t bytes, bool is_signed, const ZeroPoints& zero) {
  const double span = bytes == 1 ? 256 : 65536;
  const double lo = is_signed ? -span / 2 : 0;
  const double hi = lo + span - 1;
  double least = zero.value;
  double most = zero.value;
  if (!zero.each.empty()) {
    const auto [first, last] = std::ranges::minmax(zero.each);
    least = first;
    most = last;
  }
  return std::max(hi - least, most - lo);
}

// The largest |S| that such codes can give; exact as far as 64 bits go.
template <class Real = double>
Real bound(const Product& p) {
  return static_cast<Real>(p.k) *
         static_cast<Real>(reach(p.a.codes.bytes, p.a.codes.is_signed, p.a.zero_point)) *
         static_cast<Real>(reach(p.b_bytes, p.b_signed, p.zero_b));
}

[[noreturn, gnu::cold]] void refuse_bound(const Product& p) {
  throw InputError(fmt::format(
      "product: expected sums within 64 bits, found k = {} with zero points that allow {:.3g}", p.k,
      bound(p)));
}

bool is_narrow(const Product& p) {
  return p.a.codes.bytes == 1 && p.b_bytes == 1 &&
         bound(p) <= static_cast<double>(std::numeric_limits<std::int32_t>::max());
}

void multiply_wide(const Product& p, const FinishRows& finish) {
  if (bound<long double>(p) > static_cast<long double>(std::numeric_limits<std::int64_t>::max())) {
    refuse_bound(p);
  }
  multiply(WideProduct{p.a.codes, p.a.zero_point, p.b, p.zero_b, p.n}, finish);
}

void multiply_narrow(FinishAs as, const Product& p, const Finish& finish) {
  const PackedMatrix* packed = p.b.packed;
  multiply(NarrowProduct{.kernel = packed != nullptr ? &PackedAccess::kernel(*packed) : &kernel(),
                         .a = p.a.codes,
                         .zero_a = p.a.zero_point,
                         .packed = packed,
                         .b = p.b.plain.codes,
                         .zero_b = p.zero_b,
                         .n = p.n,
                         .k = p.k,
                         .as = as,
                         .finish = finish});
}

template <class T>
Finish finish_to(MatrixView<T> y) {
  Finish finish;
  finish.out = y.data;
  finish.row_stride = y.row_stride;
  finish.col_stride = y.col_stride;
  return finish;
}

void multiply_as(FinishAs as, const Product& p, const Finish& finish) {
  if (p.m == 0 || p.n == 0) return;
  if (is_narrow(p)) return multiply_narrow(as, p, finish);
  const auto finish_block = finish_wide(as);
  multiply_wide(p, [&](std::size_t i, std::size_t rows, const std::int64_t* sums) {
    finish_block(finish, sums, static_cast<std::ptrdiff_t>(p.n), {i, rows, 0, p.n});
  });
}

template <class T>
void check_requantization(const Requantization& how, std::size_t n) {
  if (how.lo > how.hi || how.lo < std::numeric_limits<T>::min() ||
      how.hi > std::numeric_limits<T>::max()) {
    throw InputError(fmt::format("product: expected output codes within [{}, {}], found [{}, {}]",
                                 std::numeric_limits<T>::min(), std::numeric_limits<T>::max(),
                                 how.lo, how.hi));
  }
  if (!how.multipliers.empty() && how.multipliers.size() != n) {
    refuse_count("multiplier", "columns", n, how.multipliers.size());
  }
  // In float32, one beyond its range is infinite, and 0 times that is no number.
  const auto refuse_unless_finite = [&](double multiplier) {
    if (!std::isfinite(how.scale_in == ScaleIn::float32 ? static_cast<float>(multiplier)
                                                        : multiplier)) {
      throw InputError(fmt::format("product: expected finite multipliers, found {}", multiplier));
    }
  };
  refuse_unless_finite(how.multiplier);
  std::ranges::for_each(how.multipliers, refuse_unless_finite);
}

template <class T>
void requantized(FinishAs as, const Operand& a, const RightOperand& b, const Requantization& how,
                 MatrixView<T> y) {
  const Product p = product_of(a, b);
  check(p, y.rows, y.cols);
  check_requantization<T>(how, p.n);
  Finish finish = finish_to(y);
  finish.requantization = how;
  multiply_as(as, p, finish);
}

}  // namespace

void qgemm(const Operand& a, const RightOperand& b, MatrixView<std::int32_t> y) {
  const Product p = product_of(a, b);
  check(p, y.rows, y.cols);
  if (p.m == 0 || p.n == 0) return;
  const Finish finish = finish_to(y);
  if (is_narrow(p)) return multiply_narrow(FinishAs::int32, p, finish);
  multiply_wide(p, [&](std::size_t i, std::size_t rows, const std::int64_t* sums) {
    for (std::size_t e = 0; e < rows * p.n; ++e) {
      if (sums[e] != static_cast<std::int32_t>(sums[e])) {
        throw InputError(fmt::format("product: expected sums within int32, found {} at ({}, {})",
                                     sums[e], i + e / p.n, e % p.n));
      }
    }
    finish_wide(FinishAs::int32)(finish, sums, static_cast<std::ptrdiff_t>(p.n), {i, rows, 0, p.n});
  });
}

void qgemm(const Operand& a, const RightOperand& b, MatrixView<std::int64_t> y) {
  const Product p = product_of(a, b);
  check(p, y.rows, y.cols);
  if (p.m == 0 || p.n == 0) return;
  multiply_wide(p, [&](std::size_t i, std::size_t rows, const std::int64_t* sums) {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t j = 0; j < p.n; ++j) y(i + r, j) = sums[r * p.n + j];
    }
  });
}

void qgemm(const Operand& a, const RightOperand& b, const Dequantization& how,
           MatrixView<float> y) {
  const Product p = product_of(a, b);
  check(p, y.rows, y.cols);
  if (!how.a.each.empty() && how.a.each.size() != p.m) {
    refuse_count("scale of A", "rows", p.m, how.a.each.size());
  }
  if (!how.b.each.empty() && how.b.each.size() != p.n) {
    refuse_count("scale of B", "columns", p.n, how.b.each.size());
  }
  if (!how.bias.empty() && how.bias.size() != p.n) {
    throw InputError(
        fmt::format("product: expected no bias or one for each of the {} columns, found {}", p.n,
                    how.bias.size()));
  }
  Finish finish = finish_to(y);
  finish.scale_a = how.a.value;
  finish.scale_b = how.b.value;
  finish.scales_a = how.a.each.empty() ? nullptr : how.a.each.data();
  finish.scales_b = how.b.each.empty() ? nullptr : how.b.each.data();
  finish.bias = how.bias.empty() ? nullptr : how.bias.data();
  multiply_as(FinishAs::float32, p, finish);
}

void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::int8_t> y) {
  requantized(FinishAs::int8, a, b, how, y);
}
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::uint8_t> y) {
  requantized(FinishAs::uint8, a, b, how, y);
}
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::int16_t> y) {
  requantized(FinishAs::int16, a, b, how, y);
}
void qgemm(const Operand& a, const RightOperand& b, const Requantization& how,
           MatrixView<std::uint16_t> y) {
  requantized(FinishAs::uint16, a, b, how, y);
}

}  // namespace zeropoint
