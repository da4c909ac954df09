#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/random.hpp"

namespace zeropoint {

/// A distribution of matrix entries: how to draw it, and the functions that predictions need.
/// One file and one row in distribution_list.cpp.
struct Distribution {
  std::string_view name;
  std::string_view title;
  /// Fills `out` from the report's stream exactly as its code did (consuming its draws).
  void (*fill_report)(ReportStream& stream, std::span<float> out);
  /// Elements first … first + out.size() − 1 of a counter stream; `first` is a multiple of 4.
  void (*fill_counter)(const CounterStream& stream, std::size_t first, std::span<float> out);
  /// P(X ≤ x).
  double (*cdf)(double x);
  /// E[X; X ≤ x], the partial first moment.
  double (*partial_mean)(double x);
  /// E[X²; X ≤ x], the partial second moment.
  double (*partial_square)(double x);
  /// The inverse of cdf.
  double (*quantile)(double p);
  /// Expected order statistic of rank r (0-based, may be fractional) among n draws.
  double (*expected_order_statistic)(double r, double n);
  /// The covariance of those of ranks r ≤ s; with r = s, the variance.
  double (*order_statistic_covariance)(double r, double s, double n);
};

/// A sample of `count` draws and the ranks (0-based, fractional) whose order statistics bound the
/// range that was taken from it. An infinite sample is the distribution itself.
struct SampleRange {
  double count = std::numeric_limits<double>::infinity();
  double lower_rank = 0;
  double upper_rank = count - 1;

  SampleRange() = default;
  SampleRange(double draws) : count(draws) {}  // NOLINT: a range that spans all draws
  SampleRange(double draws, double lower, double upper)
      : count(draws), lower_rank(lower), upper_rank(upper) {}
};

std::span<const Distribution> distributions();

/// Throws InputError naming the known ones.
const Distribution& distribution(std::string_view name);

/// Which generator fills a matrix.
enum class Generator { report, counter };

/// Draws A (m×k), then B (k×n), as the report does: one stream for both, A first, row-major.
struct OperandPair {
  Matrix<float> a;
  Matrix<float> b;
};
OperandPair draw_operands(const Distribution& distribution, Generator generator, std::uint64_t seed,
                          std::size_t m, std::size_t k, std::size_t n);

}  // namespace zeropoint
