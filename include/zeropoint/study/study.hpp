#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/quantize/convention.hpp"
#include "zeropoint/study/row.hpp"

namespace zeropoint {

struct SchemePair;

/// Everything that decides a study's results. Threads, folders and files do not.
struct StudySpec {
  std::vector<std::string> distributions = {"uniform", "normal"};
  std::vector<std::size_t> sizes = {10, 100, 1000, 3000};
  std::vector<double> covers = {0.7, 0.9, 0.95, 0.99, 0.999, 0.9999, 1};
  std::vector<int> bits = {8};
  std::vector<std::string> conventions = {"report-code"};
  /// Pairs of schemes ("int8 x int4:sym:channel"; one serves both operands). If there are any, rows
  /// are one for each, in place of coverages, bits and conventions.
  std::vector<std::string> schemes = {};
  /// What sums of products are held in ("int16-wrap", "fp16:pairwise"): a row for each. Without
  /// any, sums are exact.
  std::vector<std::string> accumulators = {};
  /// Ledgers beside the report's rows, too; schemes always have one. Takes three more products a
  /// row.
  bool ledger = false;
  std::uint64_t seed = 0;
  int repeat = 1;                  ///< seeds seed … seed + repeat − 1
  std::string generator = "auto";  ///< report, counter, or auto: report up to 3000 where it can
  /// The user's own matrices in place of distributions and sizes; digests bind a run to their
  /// contents.
  std::string file_a = {}, file_b = {};
  std::string digest_a = {}, digest_b = {};
  std::map<std::string, std::string> value_digests = {};  ///< of distributions "file=PATH"

  bool from_files() const { return !file_a.empty(); }
  bool operator==(const StudySpec&) const = default;
};

/// The coordinates of one row.
struct StudyCell {
  std::string distribution;
  std::size_t m, k, n;
  std::uint64_t seed;
  std::string generator;
  std::string convention;
  int bits;
  double cover;
  std::string scheme = {};
  std::string accumulator = {};
  bool ledger = false;
};

/// The coverage that a pair of schemes tries: that of both, if they are the same integers with one
/// scale and a range by `cover`, symmetric about 0.
std::optional<double> tried_cover(const SchemePair& schemes);
/// That of a row of schemes with exact sums.
std::optional<double> tried_cover(const StudyRow& row);

/// Checks every axis and brings conventions and schemes into their printed form. Throws InputError.
void resolve(StudySpec& spec);

/// All cells in the order of their rows: distribution, size, seed, convention, bits, cover; or
/// scheme; accumulator.
/// `shape` is {m, k, n} of the files, if the study is of files.
struct Shape {
  std::size_t m = 0, k = 0, n = 0;
};
std::vector<StudyCell> cells(const StudySpec& spec, Shape files = {});

/// Bytes that the largest cell needs at once.
double required_memory(const std::vector<StudyCell>& cells);

/// Throws InputError, with both figures, if more than the machine has available is needed.
void check_memory(const std::vector<StudyCell>& cells);

/// The user's matrices, read by the caller.
struct StudyFiles {
  Matrix<float> a, b;
};

/// A digest of a matrix's shape and bits.
std::string digest(const Matrix<float>& matrix);

/// Runs every cell that `done` lacks. `on_row` is called on the calling thread with each finished
/// row; returning false ends the study early. Results do not depend on threads or on `done`.
using OnRow = std::function<bool(std::size_t index, const StudyRow& row)>;
void run_study(const std::vector<StudyCell>& cells, const std::map<std::size_t, StudyRow>& done,
               const StudyFiles* files, const OnRow& on_row);

/// Relative cost of a cell, for estimates of the time left.
double cost(const StudyCell& cell);

/// How many rows have a 95 % interval, and how many of these are outside of it: by chance, one in
/// twenty.
struct IntervalCount {
  std::size_t rows = 0, outside = 0;
};
IntervalCount count_intervals(const std::vector<StudyRow>& rows);

/// Mean and standard error over seeds of rows alike but for the seed.
struct Statistic {
  double mean = 0;
  double standard_error = 0;  ///< 0 if there is one seed only
};
struct ErrorStatistics {
  Statistic ground_truth, expected, simulated;
};
struct SummaryRow {
  std::size_t first_row;  ///< index of the group's first row, which gives its other coordinates
  int count;
  ErrorStatistics error, error_float64;  ///< as in StudyRow
  Statistic scale_y;
};
std::vector<SummaryRow> summarize(const std::vector<StudyRow>& rows);

/// The figures of the report's author for that cell, if there are any: seed 0, convention
/// report-code, 8 bits, uniform.
std::optional<PublishedRow> published(const StudyCell& cell);

}  // namespace zeropoint
