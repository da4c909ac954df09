#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/random.hpp"

#include "bench/contestants.hpp"

namespace zeropoint {
namespace {

constexpr ContestantRow kRows[] = {
    {{"int8_float32", "int8, to float32", "float32", false, false}, make_int8_float32},
    {{"int8_float32_packed", "int8, to float32, B packed before", "float32", true, false},
     make_int8_float32_packed},
    {{"int8_int8", "int8, to int8", "int8", false, false}, make_int8_int8},
    {{"int8_int8_packed", "int8, to int8, B packed before", "int8", true, false},
     make_int8_int8_packed},
    {{"int8_int32", "int8, to int32", "int32", false, false}, make_int8_int32},
    {{"dynamic", "float32, quantized on the way", "float32", false, false, true}, make_dynamic},
    {{"dynamic_packed", "float32, B quantized before", "float32", true, false, true},
     make_dynamic_packed},
    {{"onednn_fp32", "oneDNN, float32", "float32", false, true, true}, make_onednn_fp32},
    {{"onednn_int8", "oneDNN, int8, to float32", "float32", false, true}, make_onednn_int8},
    {{"onednn_int8_packed", "oneDNN, int8, B packed before", "float32", true, true},
     make_onednn_int8_packed},
#if defined(ZEROPOINT_BENCH_GEMMLOWP)
    {{"gemmlowp", "gemmlowp, uint8, to uint8", "uint8", false, true}, make_gemmlowp},
#endif
};

// Above this, rows are sampled: an exact product by plain loops takes long.
constexpr double kWholeUpTo = 256.0 * 256.0 * 256.0;

template <class T>
void fill(Matrix<T>& codes, std::uint32_t stream) {
  const CounterStream words(1, stream);
  for (std::size_t i = 0; i < codes.size(); i += 16) {
    const auto four = words.words(i / 16);
    for (std::size_t j = i; j < std::min(i + 16, codes.size()); ++j) {
      codes.data()[j] = static_cast<T>(four[(j - i) / 4] >> (8 * ((j - i) % 4)));
    }
  }
}

}  // namespace

std::span<const ContestantRow> contestant_rows() { return kRows; }

std::span<const ContestantInfo> contestants() {
  static const auto list = [] {
    std::vector<ContestantInfo> infos;
    for (const auto& row : kRows) infos.push_back(row.info);
    return infos;
  }();
  return list;
}

BenchOperands::BenchOperands(const BenchShape& of, std::size_t checked_rows)
    : shape(of),
      a(of.m, of.k),
      b(of.k, of.n),
      a_unsigned(of.m, of.k),
      b_unsigned(of.k, of.n),
      float_a(of.m, of.k),
      float_b(of.k, of.n) {
  fill(a, 0);
  fill(b, 1);
  const auto shifted = [](std::int8_t x) { return static_cast<std::uint8_t>(x + 128); };
  std::ranges::transform(a.values(), a_unsigned.data(), shifted);
  std::ranges::transform(b.values(), b_unsigned.data(), shifted);
  const auto real = [](std::int8_t x) { return static_cast<float>(x) / 128; };
  std::ranges::transform(a.values(), float_a.data(), real);
  std::ranges::transform(b.values(), float_b.data(), real);
  const double work =
      static_cast<double>(shape.m) * static_cast<double>(shape.k) * static_cast<double>(shape.n);
  const std::size_t count = work <= kWholeUpTo ? shape.m : std::min(shape.m, checked_rows);
  for (std::size_t r = 0; r < count; ++r) {
    rows.push_back(count < 2 ? 0 : r * (shape.m - 1) / (count - 1));
  }
  exact = exact_rows(a, kBenchZeroA, b, kBenchZeroB, rows);
}

Matrix<std::int64_t> exact_rows(const Matrix<std::int8_t>& a, std::int32_t zero_a,
                                const Matrix<std::int8_t>& b, std::int32_t zero_b,
                                const std::vector<std::size_t>& rows) {
  Matrix<std::int64_t> exact(rows.size(), b.cols());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<std::int64_t> sums(b.cols(), 0);
    for (std::size_t l = 0; l < b.rows(); ++l) {
      const std::int64_t x = a(rows[r], l) - zero_a;
      const std::int8_t* row = b.data() + l * b.cols();
      for (std::size_t j = 0; j < b.cols(); ++j) sums[j] += x * (row[j] - zero_b);
    }
    std::ranges::copy(sums, &exact(r, 0));
  }
  return exact;
}

void check_result(const BenchOperands& operands, std::string_view contestant,
                  const std::function<double(std::size_t i, std::size_t j)>& found,
                  const std::function<double(std::int64_t sum)>& expected, Tolerance tolerance,
                  const Matrix<std::int64_t>* sums) {
  const Matrix<std::int64_t>& exact = sums != nullptr ? *sums : operands.exact;
  for (std::size_t r = 0; r < operands.rows.size(); ++r) {
    for (std::size_t j = 0; j < operands.shape.n; ++j) {
      const std::size_t i = operands.rows[r];
      const double is = found(i, j);
      const double should_be = expected(exact(r, j));
      const double most = tolerance.absolute + tolerance.relative * std::abs(should_be);
      if (std::abs(is - should_be) <= most) continue;
      throw WorkError(fmt::format("bench: {} at {}, element ({}, {}): expected {}, found {}",
                                  contestant, to_string(operands.shape), i, j, should_be, is));
    }
  }
}

}  // namespace zeropoint
