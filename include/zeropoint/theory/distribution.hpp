#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/random.hpp"
#include "zeropoint/quantize/granularity.hpp"

namespace zeropoint {

/// A distribution of matrix entries: how to draw it, and the functions that predictions and limits
/// need. A family with its parameters set; one file and one row in distribution_list.cpp.
class Distribution {
 public:
  Distribution(std::string name, std::string title)
      : name_(std::move(name)), title_(std::move(title)) {}
  virtual ~Distribution() = default;
  Distribution(const Distribution&) = delete;
  Distribution& operator=(const Distribution&) = delete;

  /// As distribution() reads it, with every parameter: "normal".
  const std::string& name() const { return name_; }
  const std::string& title() const { return title_; }

  // One entry.
  /// The density at x; infinite where it is.
  virtual double pdf(double x) const = 0;
  /// P(X ≤ x).
  virtual double cdf(double x) const = 0;
  /// E[X; X ≤ x], the partial first moment.
  virtual double partial_mean(double x) const = 0;
  /// E[X²; X ≤ x], the partial second moment.
  virtual double partial_square(double x) const = 0;
  /// P(X > x), E[X; X > x] and E[X²; X > x], as exact where little lies above x as the others are
  /// where little lies below. Unless a family knows better, what is left of the whole, or by
  /// symmetry.
  virtual double tail(double x) const;
  virtual double tail_mean(double x) const;
  virtual double tail_square(double x) const;
  /// The inverse of cdf; at 0 and 1 the ends of the support.
  virtual double quantile(double p) const = 0;
  /// The x with P(X > x) = p, as exact for a small p as quantile() is.
  virtual double upper_quantile(double p) const {
    return is_symmetric() ? -quantile(p) : quantile(1 - p);
  }
  /// Whether −X is distributed as X.
  virtual bool is_symmetric() const { return true; }
  /// The probability of single numbers, where there is no density.
  virtual double atom_probability() const { return 0; }
  /// −E[ln f(X)] for the density f of what is no atom, in nats. Unless a family knows better, by
  /// quadrature; NaN if all is atoms.
  virtual double entropy() const;
  /// Expected order statistic of rank r (0-based, may be fractional) among n independent draws.
  /// Unless a family knows better, by quadrature: E[quantile(U)] for U ~ Beta(r + 1, n − r).
  virtual double expected_order_statistic(double r, double n) const;
  /// The covariance of those of ranks r ≤ s; with r = s, the variance. Unless a family knows
  /// better, to first order, with the variances of the outermost ranks by quadrature.
  virtual double order_statistic_covariance(double r, double s, double n) const;

  // Draws.
  /// Whether the entries of a matrix are independent, as predictions take them. If not, the
  /// functions above are those of one entry of a left operand.
  virtual bool is_independent() const { return true; }
  /// Whether the report's generator draws it.
  virtual bool has_report_stream() const { return false; }
  /// Fills `out` from the report's stream exactly as its code did (consuming its draws). Throws
  /// InputError if there is no such code.
  virtual void fill_report(ReportStream& stream, std::span<float> out) const;
  /// Elements first … first + out.size() − 1 of a counter stream, each independent of the others;
  /// `first` is a multiple of 4 below 2^62.
  virtual void fill_counter(const CounterStream& stream, std::size_t first,
                            std::span<float> out) const = 0;
  /// A whole operand, row-major. Unless a family has a structure that spans a matrix, its elements
  /// are those of fill_counter(), on all threads.
  virtual void draw(const CounterStream& stream, Role role, Matrix<float>& out) const;

 private:
  std::string name_, title_;
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

/// A family: one row of the list in distribution_list.cpp.
struct DistributionFamily {
  std::string_view word;      ///< "normal"
  std::string_view argument;  ///< "NU", "FRACTIONxFACTOR", or empty
  std::string_view title;
  /// `argument` is what follows "word="; empty if nothing does, for the family's own choice. Throws
  /// InputError saying what was expected.
  std::unique_ptr<const Distribution> (*make)(std::string_view argument);
};
std::span<const DistributionFamily> distribution_families();

/// A distribution of the values that are given, each as probable as the others; its draws are
/// values drawn with replacement. distribution("file=NAME") finds it from then on, and a later one
/// under that name takes its place there. Throws InputError if there are no values, or one is NaN
/// or infinite.
const Distribution& add_distribution_of_values(std::string_view name,
                                               std::span<const float> values);

/// One of each family, with the parameters that it chooses itself.
std::span<const std::reference_wrapper<const Distribution>> distributions();

/// "normal", "word=argument", or "file=NAME" once there are values of that name. Lives as long as
/// the program. Throws InputError naming the nearest family.
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
