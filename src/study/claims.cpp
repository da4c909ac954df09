#include "zeropoint/study/claims.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "zeropoint/study/study.hpp"

// Each claim is judged by a rule written beside its thresholds; what is said of the data is put
// together from the rows that decide it. Errors are those summed in double.

namespace zeropoint {
namespace {

constexpr std::size_t kLargeSize = 100;  // below it, the report itself expects scatter
constexpr double kDrift = 0.10;          // claim 1: change of the error over sizes
constexpr double kRise = 0.01;           // claims 2 and 3: a rise that counts
constexpr double kSlope = 0.02;          // claim 4: distance of the growth's exponent from 1/2
constexpr double kKurtosis = 0.25;       // claim 5: a normal distribution has 0
constexpr double kTimable = 1e-3;        // claim 6: seconds of a product that can be compared
constexpr double kClose = 0.10;          // claims 5 and 7: an error that is close

// A number of seeds of one cell: their rows, and the means of what is judged.
struct Point {
  std::vector<std::size_t> rows;
  double error = 0;
  double scale = 0;
  double predicted = 0;  ///< the error that was predicted; not a number if it was not
};

// One curve: the points of rows alike in everything but the variable on its axis.
struct Curve {
  std::string name;
  std::string distribution;
  std::map<double, Point> points;
};

// Names rows by what tells them apart: widths and conventions only where there are several.
class Naming {
 public:
  explicit Naming(std::span<const StudyRow> rows) {
    for (const auto& row : rows) {
      bits_ |= row.bits != rows.front().bits;
      conventions_ |= row.convention != rows.front().convention;
    }
  }

  std::string operator()(const StudyRow& row, bool with_size, bool with_cover) const {
    std::string name = row.distribution == "file" ? "the given matrices" : row.distribution;
    if (with_size && row.distribution != "file") name += ", size " + size(row);
    if (with_cover) name += fmt::format(", cover {}", row.cover);
    if (bits_) name += fmt::format(", {} bits", row.bits);
    if (conventions_) name += ", " + row.convention;
    return name;
  }
  static std::string size(const StudyRow& row) {
    return row.square() ? fmt::format("{}", row.n) : fmt::format("{}x{}x{}", row.m, row.k, row.n);
  }

 private:
  bool bits_ = false;
  bool conventions_ = false;
};

// Splits rows into curves over `axis`; rows that `use` refuses are left out.
std::vector<Curve> curves(std::span<const StudyRow> rows, bool over_size,
                          const std::function<bool(const StudyRow&)>& use) {
  using Key =
      std::tuple<std::string, std::size_t, std::size_t, std::size_t, double, int, std::string>;
  const Naming name(rows);
  std::map<Key, std::size_t> index_of;
  std::vector<Curve> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (!use(row)) continue;
    const Key key = over_size
                        ? Key{row.distribution, 0, 0, 0, row.cover, row.bits, row.convention}
                        : Key{row.distribution, row.m, row.k, row.n, 0, row.bits, row.convention};
    const auto [at, is_new] = index_of.try_emplace(key, all.size());
    if (is_new) all.push_back({name(row, !over_size, over_size), row.distribution, {}});
    auto& point = all[at->second].points[over_size ? static_cast<double>(row.n) : row.cover];
    point.rows.push_back(i);
    point.error += row.error_float64.ground_truth;
    point.scale += row.y.scale;
    point.predicted += row.predicted_ground_truth.value_or(std::nan(""));
  }
  for (auto& curve : all) {
    for (auto& [x, point] : curve.points) {
      point.error /= static_cast<double>(point.rows.size());
      point.scale /= static_cast<double>(point.rows.size());
      point.predicted /= static_cast<double>(point.rows.size());
    }
  }
  return all;
}

// "+16 %, predicted +7 %": how much larger b's error is than a's.
std::string change_words(const Point& a, const Point& b) {
  std::string words = fmt::format("{:+.0f} %", (b.error / a.error - 1) * 100);
  const double predicted = b.predicted / a.predicted - 1;
  if (std::isfinite(predicted)) words += fmt::format(", predicted {:+.0f} %", predicted * 100);
  return words;
}

bool is_large_square(const StudyRow& row) { return row.square() && row.n >= kLargeSize; }

Verdict verdict_of(std::size_t holding, std::size_t failing) {
  if (holding + failing == 0) return Verdict::not_tested;
  if (failing == 0) return Verdict::holds;
  return holding == 0 ? Verdict::does_not_hold : Verdict::in_part;
}

// Counts what holds and what does not, and keeps the words for each.
struct Tally {
  std::size_t holding = 0;
  std::size_t failing = 0;
  std::vector<std::string> failures;

  void add(bool holds, std::string words) {
    ++(holds ? holding : failing);
    if (!holds) failures.push_back(std::move(words));
  }
  std::string failures_text(std::size_t most = 4) const {
    const auto shown = std::min(most, failures.size());
    std::string text = fmt::format(
        "{}",
        fmt::join(failures.begin(), failures.begin() + static_cast<std::ptrdiff_t>(shown), "; "));
    if (shown < failures.size()) text += fmt::format("; and {} more", failures.size() - shown);
    return text;
  }
};

void witness(ClaimVerdict& claim, const Point& point, bool supports, const std::string& why) {
  for (const auto row : point.rows) claim.witnesses.push_back({row, supports, why});
}

ClaimVerdict size_independence(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      1, "The error does not depend on the size of the matrices.",
      fmt::format("Over sizes from {} on, the largest ground-truth error of a curve "
                  "is at most {:.0f} % above its smallest. A curve that varies more is "
                  "not level if its prediction, which knows no chance, varies by a "
                  "third as much or more in the same direction; else it is left "
                  "undecided.",
                  kLargeSize, kDrift * 100)};
  Tally tally;
  std::vector<std::string> undecided;
  double worst_holding = 0;
  for (const auto& curve : curves(rows, true, is_large_square)) {
    if (curve.points.size() < 2) continue;
    const auto by_error = [](const auto& x, const auto& y) {
      return x.second.error < y.second.error;
    };
    const auto [low, high] = std::ranges::minmax_element(curve.points, by_error);
    if (!(low->second.error > 0)) continue;
    const double drift = high->second.error / low->second.error - 1;
    const bool holds = drift <= kDrift;
    const double predicted = high->second.predicted / low->second.predicted - 1;
    const bool by_chance = !holds && predicted < drift / 3;  // false if there is no prediction
    if (holds) worst_holding = std::max(worst_holding, drift);
    const auto words = fmt::format("{}: {:.4g} at size {:.0f}, {:.4g} at size {:.0f} ({})",
                                   curve.name, low->second.error, low->first, high->second.error,
                                   high->first, change_words(low->second, high->second));
    if (by_chance) {
      undecided.push_back(words);
      continue;
    }
    tally.add(holds, words);
    if (!holds) {
      witness(claim, low->second, false, "smallest error of its curve");
      witness(claim, high->second, false, fmt::format("{:.0f} % above the smallest", drift * 100));
    } else {
      witness(claim, high->second, true,
              fmt::format("largest of its curve, {:.1f} % above the smallest", drift * 100));
    }
  }
  claim.verdict = verdict_of(tally.holding, tally.failing);
  if (claim.verdict == Verdict::holds && !undecided.empty()) claim.verdict = Verdict::in_part;
  if (claim.verdict == Verdict::not_tested && undecided.empty()) {
    claim.evidence = fmt::format("Needs at least two sizes from {} on.", kLargeSize);
    return claim;
  }
  claim.evidence = fmt::format("{} of {} curves stay level", tally.holding,
                               tally.holding + tally.failing + undecided.size());
  claim.evidence += tally.holding > 0 ? fmt::format(" (to {:.1f} %).", worst_holding * 100) : ".";
  if (tally.failing > 0) claim.evidence += " Not level: " + tally.failures_text() + ".";
  if (!undecided.empty()) {
    claim.evidence += fmt::format(" Undecided, more seeds (--repeat) would tell: {}.",
                                  fmt::join(undecided, "; "));
  }
  return claim;
}

// Steps of a coverage curve from each coverage to the next.
struct CoverStep {
  const Curve* curve;
  double from, to;
  const Point* before;
  const Point* after;
  double change() const { return after->error / before->error - 1; }
  std::string words() const {
    return fmt::format("{}: {:.4g} at {}, {:.4g} at {} ({})", curve->name, before->error, from,
                       after->error, to, change_words(*before, *after));
  }
};

std::vector<CoverStep> cover_steps(const std::vector<Curve>& all) {
  std::vector<CoverStep> steps;
  for (const auto& curve : all) {
    for (auto next = curve.points.begin(); next != curve.points.end();) {
      const auto here = next++;
      if (next == curve.points.end() || !(here->second.error > 0)) continue;
      steps.push_back({&curve, here->first, next->first, &here->second, &next->second});
    }
  }
  return steps;
}

ClaimVerdict coverage_helps(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      2, "The error falls as the coverage grows.",
      fmt::format("From each coverage to the next larger one, the ground-truth error "
                  "does not rise by more than {:.0f} %.",
                  kRise * 100)};
  Tally tally;
  const auto all = curves(rows, false, [](const StudyRow&) { return true; });
  auto steps = cover_steps(all);
  // The largest rises come first: they say most.
  std::ranges::stable_sort(steps, std::greater(), &CoverStep::change);
  for (const auto& step : steps) {
    const bool holds = step.change() <= kRise;
    tally.add(holds, step.words());
    witness(claim, *step.after, holds,
            fmt::format("{:+.1f} % from cover {}", step.change() * 100, step.from));
  }
  claim.verdict = verdict_of(tally.holding, tally.failing);
  if (claim.verdict == Verdict::not_tested) {
    claim.evidence = "Needs at least two coverages.";
    return claim;
  }
  claim.evidence = fmt::format("{} of {} steps to a larger coverage do not raise the error.",
                               tally.holding, steps.size());
  if (tally.failing > 0) claim.evidence += " It rises for " + tally.failures_text() + ".";
  return claim;
}

ClaimVerdict no_poor_resolution(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      3,
      "Very large coverage could resolve a dense distribution poorly, but this was not observed.",
      fmt::format(
          "At each distribution's largest size, the largest coverage has an error at most {:.0f} % "
          "above the smallest error of all coverages.",
          kRise * 100)};
  std::map<std::string, std::size_t> largest;
  for (const auto& row : rows)
    largest[row.distribution] = std::max(largest[row.distribution], row.n);
  const auto all = curves(rows, false, [&](const StudyRow& row) {
    return row.n == largest[row.distribution] && (row.scheme.empty() || tried_cover(row));
  });
  Tally tally;
  for (const auto& curve : all) {
    if (curve.points.size() < 2) continue;
    const auto best = std::ranges::min_element(
        curve.points, {}, [](const auto& point) { return point.second.error; });
    const auto last = std::prev(curve.points.end());
    const double rise = last->second.error / best->second.error - 1;
    const bool holds = best == last || rise <= kRise;
    tally.add(holds, fmt::format("{}: smallest at cover {} ({:.4g}), at {} it is {:.4g} ({})",
                                 curve.name, best->first, best->second.error, last->first,
                                 last->second.error, change_words(best->second, last->second)));
    witness(claim, last->second, holds,
            holds ? "within 1 % of the smallest error"
                  : fmt::format("{:.0f} % above cover {}", rise * 100, best->first));
  }
  claim.verdict = verdict_of(tally.holding, tally.failing);
  if (claim.verdict == Verdict::not_tested) {
    claim.evidence = "Needs at least two coverages.";
  } else if (tally.failing == 0) {
    claim.evidence =
        "Not observed here either: the largest coverage is within 1 % of the smallest error.";
  } else {
    claim.evidence = "Observed here: " + tally.failures_text() + ".";
  }
  return claim;
}

ClaimVerdict scale_grows(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      4, "The output's scale grows with the matrix size, as its square root.",
      fmt::format("Over sizes from {} on, the exponent fitted to s_y against the size "
                  "is within {} of 0.5.",
                  kLargeSize, kSlope)};
  Tally tally;
  double least = INFINITY;
  double most = -INFINITY;
  for (const auto& curve : curves(rows, true, is_large_square)) {
    if (curve.points.size() < 2) continue;
    // Least squares of log s_y on log n.
    double x_mean = 0;
    double y_mean = 0;
    const auto count = static_cast<double>(curve.points.size());
    for (const auto& [n, point] : curve.points) {
      x_mean += std::log(n) / count;
      y_mean += std::log(point.scale) / count;
    }
    double xy = 0;
    double xx = 0;
    for (const auto& [n, point] : curve.points) {
      xy += (std::log(n) - x_mean) * (std::log(point.scale) - y_mean);
      xx += (std::log(n) - x_mean) * (std::log(n) - x_mean);
    }
    const double slope = xy / xx;
    const bool holds = std::abs(slope - 0.5) <= kSlope;
    if (holds) {
      least = std::min(least, slope);
      most = std::max(most, slope);
    }
    tally.add(holds, fmt::format("{}: n^{:.3f}", curve.name, slope));
    witness(claim, std::prev(curve.points.end())->second, holds,
            fmt::format("s_y grows as n^{:.3f}", slope));
  }
  claim.verdict = verdict_of(tally.holding, tally.failing);
  if (claim.verdict == Verdict::not_tested) {
    claim.evidence = fmt::format("Needs at least two sizes from {} on.", kLargeSize);
    return claim;
  }
  claim.evidence = fmt::format("{} of {} curves grow as the square root", tally.holding,
                               tally.holding + tally.failing);
  claim.evidence += tally.holding > 0 ? fmt::format(" (n^{:.3f} to n^{:.3f}).", least, most) : ".";
  if (tally.failing > 0) claim.evidence += " The others: " + tally.failures_text() + ".";
  return claim;
}

ClaimVerdict normal_and_close(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      5,
      "The operands' products sum to a normal distribution, so the quantized product is close to "
      "the true one where the range covers the majority of the numbers.",
      fmt::format("From inner dimension {} on, the excess kurtosis of Y is within {} of 0; and "
                  "where less than half of A and of B is clipped, the ground-truth error is at "
                  "most {:.0f} %.",
                  kLargeSize, kKurtosis, kClose * 100)};
  Tally normality;
  Tally closeness;
  const Naming name(rows);
  using Product = std::tuple<std::string, std::size_t, std::size_t, std::size_t, std::uint64_t>;
  std::set<Product> products;  // each Y is judged once, however many rows it has
  double widest = 0;
  std::optional<std::size_t> least_covered;  // the close row that clips most of A
  std::optional<std::size_t> worst;          // the majority row with the largest error
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (row.k < kLargeSize) continue;
    if (products.insert({row.distribution, row.m, row.k, row.n, row.seed}).second) {
      widest = std::max(widest, std::abs(row.excess_kurtosis_y));
      normality.add(std::abs(row.excess_kurtosis_y) <= kKurtosis,
                    fmt::format("{}: {:.3f}",
                                row.distribution == "file"
                                    ? "the given matrices"
                                    : fmt::format("{}, size {}", row.distribution, row.n),
                                row.excess_kurtosis_y));
    }
    if (std::max(row.clipped_a, row.clipped_b) >= 0.5) continue;
    const double error = row.error_float64.ground_truth;
    const bool close = error <= kClose;
    closeness.add(close, "");
    if (close && (!least_covered || row.clipped_a > rows[*least_covered].clipped_a)) {
      least_covered = i;
    }
    if (!worst || error > rows[*worst].error_float64.ground_truth) worst = i;
    claim.witnesses.push_back(
        {i, close,
         fmt::format("{:.1f} % of A covered, error {:.3g}", (1 - row.clipped_a) * 100, error)});
  }
  if (normality.holding + normality.failing == 0) {
    claim.evidence = fmt::format("Needs an inner dimension of {} or more.", kLargeSize);
    return claim;
  }
  claim.verdict =
      verdict_of(normality.holding + closeness.holding, normality.failing + closeness.failing);
  claim.evidence =
      normality.failing == 0
          ? fmt::format("Y is normal: its excess kurtosis is within {:.3f} of 0.", widest)
          : "Y is not always normal: excess kurtosis " + normality.failures_text() + ".";
  if (worst) {
    const auto describe = [&](std::size_t i) {
      return fmt::format("{} covers {:.1f} % of A and errs by {:.3g}", name(rows[i], true, true),
                         (1 - rows[i].clipped_a) * 100, rows[i].error_float64.ground_truth);
    };
    claim.evidence += fmt::format(" Close in {} of {} rows that cover a majority.",
                                  closeness.holding, closeness.holding + closeness.failing);
    if (closeness.failing > 0)
      claim.evidence += " A majority is not enough: " + describe(*worst) + ".";
    if (least_covered)
      claim.evidence += " The least that is close: " + describe(*least_covered) + ".";
  }
  return claim;
}

ClaimVerdict costs_less(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      6, "Quantization reduces memory and computational cost.",
      "At the largest size, codes take fewer bytes than float32, and quantizing A and "
      "B and multiplying them takes less time than the float32 product (medians). A float32 "
      "product of less than a millisecond is too short to judge by."};
  const auto terms = [](const StudyRow& row) {
    return static_cast<double>(row.m) * static_cast<double>(row.k) * static_cast<double>(row.n);
  };
  double largest = 0;
  for (const auto& row : rows) largest = std::max(largest, terms(row));
  std::map<int, std::vector<std::size_t>> by_bits;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (terms(rows[i]) == largest) by_bits[rows[i].bits].push_back(i);
  }
  Tally tally;
  for (const auto& [bits, of_bits] : by_bits) {
    const auto& indices = of_bits;  // a structured binding cannot be captured
    const auto median = [&](double StudyRow::*field) {
      std::vector<double> values;
      for (const auto i : indices) values.push_back(rows[i].*field);
      std::ranges::nth_element(values,
                               values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
      return values[values.size() / 2];
    };
    const double real = median(&StudyRow::seconds_float_product);
    const double quantized = median(&StudyRow::seconds_quantized_product);
    const int bytes = bits <= 8 ? 1 : 2;
    const bool faster = quantized < real;
    if (real < kTimable) continue;
    tally.add(bytes < 4, "");
    tally.add(faster, "");
    claim.evidence += fmt::format(
        "{}{} bits at size {}: {} byte{} a number instead of 4; {:.3g} ms for quantizing and "
        "multiplying, {:.3g} ms in float32: {:.3g} times {} on this machine.",
        claim.evidence.empty() ? "" : " ", bits, Naming::size(rows[indices.front()]), bytes,
        bytes == 1 ? "" : "s", quantized * 1e3, real * 1e3,
        faster ? real / quantized : quantized / real, faster ? "faster" : "slower");
    for (const auto i : indices) {
      claim.witnesses.push_back({i,
                                 rows[i].seconds_quantized_product < rows[i].seconds_float_product,
                                 fmt::format("{:.3g} ms against {:.3g} ms in float32",
                                             rows[i].seconds_quantized_product * 1e3,
                                             rows[i].seconds_float_product * 1e3)});
    }
  }
  claim.verdict = verdict_of(tally.holding, tally.failing);
  if (claim.verdict == Verdict::not_tested) {
    claim.evidence = "Needs matrices whose float32 product takes a millisecond or more.";
  }
  return claim;
}

ClaimVerdict needs_iid(std::span<const StudyRow> rows) {
  ClaimVerdict claim{
      7,
      "Quantized arithmetic works where values are independent and identically "
      "distributed; later in training this may not be the case.",
      fmt::format(
          "Of independent, identically distributed data, the best coverage at the largest size "
          "has an error of at most {:.0f} %: that is the first half, and all that a study of "
          "drawn matrices can decide. Whether given matrices (--a, --b) are such data is not "
          "known; an error far from its prediction says that they are not.",
          kClose * 100)};
  const Naming name(rows);
  std::map<std::string, std::size_t> largest;
  for (const auto& row : rows) {
    largest[row.distribution] = std::max(largest[row.distribution], row.n);
  }
  std::map<std::string, std::size_t> index_of;
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (row.n != largest[row.distribution]) continue;
    const auto [at, is_new] = index_of.try_emplace(name(row, false, false), best.size());
    if (is_new) best.push_back(i);
    auto& so_far = best[at->second];
    if (row.error_float64.ground_truth < rows[so_far].error_float64.ground_truth) so_far = i;
  }
  Tally tally;
  for (const auto i : best) {
    const auto& row = rows[i];
    const double error = row.error_float64.ground_truth;
    const bool close = error <= kClose;
    if (row.distribution != "file") {
      tally.add(close, "");
      claim.witnesses.push_back(
          {i, close, fmt::format("best coverage {}, error {:.3g}", row.cover, error)});
    }
    std::string words = name(row, false, false);
    words.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(words.front())));
    claim.evidence +=
        fmt::format("{}: error {:.3g} at the best coverage, {}", words, error, row.cover);
    if (row.predicted_ground_truth) {
      claim.evidence += fmt::format(", predicted {:.3g}", *row.predicted_ground_truth);
    }
    claim.evidence += ". ";
  }
  claim.verdict = verdict_of(tally.holding, tally.failing);
  if (claim.verdict == Verdict::holds) claim.verdict = Verdict::in_part;  // the first half
  claim.evidence +=
      best.empty() ? "Needs a row."
      : claim.verdict == Verdict::not_tested
          ? "Whether these are independent, identically distributed data is not known."
          : "Only independent, identically distributed data are in this run.";
  return claim;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::in_part:
      return "holds in part";
    case Verdict::does_not_hold:
      return "does not hold";
    case Verdict::not_tested:
      break;
  }
  return "not tested";
}

std::vector<ClaimVerdict> judge_claims(std::span<const StudyRow> rows) {
  // The report's claims are about its own experiment, whose product is quantized again, and whose
  // sums are exact.
  // But what range is best can be asked of schemes, too, if they differ in their coverage.
  const auto of_coverage = rows;
  if (!rows.empty() && !(rows.front().scheme.empty() && rows.front().accumulator.empty())) {
    rows = {};
  }
  return {size_independence(rows), coverage_helps(rows),   no_poor_resolution(of_coverage),
          scale_grows(rows),       normal_and_close(rows), costs_less(rows),
          needs_iid(rows)};
}

}  // namespace zeropoint
