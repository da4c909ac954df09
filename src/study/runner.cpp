#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/quantize/quantize.hpp"
#include "zeropoint/study/study.hpp"
#include "zeropoint/theory/distribution.hpp"
#include "zeropoint/theory/limits.hpp"
#include "zeropoint/theory/product_error.hpp"
#include "zeropoint/theory/scheme_error.hpp"

#include "study/errors.hpp"

namespace zeropoint {
namespace {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The matrices that the cells of one group share, and what follows from them alone.
struct Operands {
  Matrix<float> drawn_a, drawn_b;
  const Matrix<float>* a = nullptr;
  const Matrix<float>* b = nullptr;
  Matrix<float> y;
  double excess_kurtosis = 0;
  double seconds_float_product = 0;
};

Operands make_operands(const StudyCell& cell, const StudyFiles* files) {
  Operands operands;
  if (cell.generator == "file") {
    operands.a = &files->a;
    operands.b = &files->b;
  } else {
    const auto generator = cell.generator == "report" ? Generator::report : Generator::counter;
    auto pair = draw_operands(distribution(cell.distribution), generator, cell.seed, cell.m, cell.k,
                              cell.n);
    operands.drawn_a = std::move(pair.a);
    operands.drawn_b = std::move(pair.b);
    operands.a = &operands.drawn_a;
    operands.b = &operands.drawn_b;
  }
  const auto timed_product = [&] {
    const Stopwatch watch;
    operands.y = float_product(*operands.a, *operands.b);
    return watch.seconds();
  };
  operands.seconds_float_product = timed_product();
  // The first product of a process also makes oneDNN's code and wakes its threads.
  if (operands.seconds_float_product < 0.1) {
    operands.seconds_float_product = std::min(operands.seconds_float_product, timed_product());
  }
  check_finite(operands.y.values(), "A times B in float32");
  operands.excess_kurtosis = excess_kurtosis(operands.y);
  return operands;
}

// Ranges of A, B and Y at every coverage of a group, each matrix read in one go.
struct Ranges {
  std::vector<Range> a, b, y;
};

Ranges make_ranges(const Operands& operands, const std::vector<double>& covers, Coverage sides) {
  return {coverage_ranges(operands.a->values(), covers, sides, "A"),
          coverage_ranges(operands.b->values(), covers, sides, "B"),
          coverage_ranges(operands.y.values(), covers, sides, "A times B")};
}

Requantization requantization_of(const QTensor& a, const QTensor& b, QuantParams y,
                                 const IntegerGrid& grid, const Convention& convention) {
  return {.multiplier = double{a.params().scale} * double{b.params().scale} / double{y.scale},
          .zero_point = y.zero_point,
          .lo = grid.lo(),
          .hi = grid.hi(),
          .rounding = convention.rounding,
          .zero_point_before_rounding = convention.order == ZeroPointOrder::before_rounding};
}

QTensor quantized_product(const QTensor& a, const QTensor& b, QuantParams y,
                          const IntegerGrid& grid, const Convention& convention) {
  const Requantization how = requantization_of(a, b, y, grid, convention);
  CodeMatrix out = make_codes(grid, a.rows(), b.cols());
  a.visit_codes([&](const auto& codes_a) {
    b.visit_codes([&](const auto& codes_b) {
      const Operand left(codes_a.view(), a.params().zero_point);
      const Operand right(codes_b.view(), b.params().zero_point);
      std::visit([&](auto& codes) { qgemm(left, right, how, codes.view()); }, out);
    });
  });
  return {std::move(out), y, grid};
}

// The same with sums as an accumulator holds them. An integer one's are requantized as exact sums
// are; a floating-point one's are real already, and are quantized as Y itself is.
QTensor accumulated_product(const QTensor& a, const QTensor& b, QuantParams y,
                            const IntegerGrid& grid, const Convention& convention,
                            const Accumulator& accumulator) {
  if (!format_of(accumulator.kind).is_integer) {
    return {multiply(a, b, accumulator), y, grid, convention};
  }
  const Requantization how = requantization_of(a, b, y, grid, convention);
  Matrix<double> sums(a.rows(), b.cols());
  a.visit_codes([&](const auto& codes_a) {
    b.visit_codes([&](const auto& codes_b) {
      accumulate(Operand(codes_a.view(), a.params().zero_point),
                 Operand(codes_b.view(), b.params().zero_point), accumulator, sums.view());
    });
  });
  CodeMatrix out = make_codes(grid, a.rows(), b.cols());
  std::visit(
      [&]<class Code>(Matrix<Code>& codes) {
        for (std::size_t i = 0; i < codes.size(); ++i) {
          codes.data()[i] =
              static_cast<Code>(requantize(static_cast<std::int64_t>(sums.data()[i]), how));
        }
      },
      out);
  return {std::move(out), y, grid};
}

// Whether sums are exact, or refused.
bool never_rounds(const std::string& accumulator) {
  if (accumulator.empty()) return true;
  const auto how = parse_accumulator(accumulator);
  return format_of(how.kind).is_integer ? how.overflow == IntegerOverflow::refuse
                                        : how.kind == AccumulatorKind::float64;
}

// Whether every sum is held exactly, whatever the codes.
bool is_exact(const std::string& accumulator, const QTensor& a, const QTensor& b, std::size_t k) {
  if (never_rounds(accumulator)) return true;
  const auto how = parse_accumulator(accumulator);
  if (!format_of(how.kind).is_integer) return false;
  const auto codes = [](const QTensor& q) {
    return CodeRange{std::int64_t{q.grid().lo()} - q.params().zero_point,
                     std::int64_t{q.grid().hi()} - q.params().zero_point};
  };
  return k <= largest_exact_k(how, codes(a), codes(b));
}

struct Prediction {
  std::optional<double> ground_truth, expected, scale_y, low, high;
};

// Predictions are made from the settings alone; for the user's own matrices, from the moments of
// the operands: their product is not looked at.
Prediction predict(const StudyCell& cell, const Operands& operands, const QTensor& a,
                   const QTensor& b, const Convention& convention) {
  // At random, errors are larger than the edges of cells say, and nothing here knows by how much.
  if (convention.rounding == Rounding::stochastic) return {};
  if (cell.generator != "file") {
    const Distribution& source = distribution(cell.distribution);
    if (!source.is_independent()) return {};  // what predictions take for granted
    const auto study =
        predict_study(source, cell.m, cell.k, cell.n, cell.cover, cell.bits, convention);
    Prediction prediction{study.errors.ground_truth, study.errors.expected, study.y.scale, {}, {}};
    const auto interval =
        predict_study_error(source, cell.m, cell.k, cell.n, cell.cover, cell.bits, convention);
    if (interval.has_value()) {
      prediction.low = interval.low;
      prediction.high = interval.high;
    }
    return prediction;
  }
  const auto product = product_moments(moments(*operands.a, a), moments(*operands.b, b), cell.k);
  const auto count = static_cast<double>(cell.m) * static_cast<double>(cell.n);
  const Range standard =
      expected_range(distribution("normal"), cell.cover, convention.coverage, count);
  const double deviation = std::sqrt(product.var_y);
  const Range range{static_cast<float>(product.mean_y + deviation * standard.min),
                    static_cast<float>(product.mean_y + deviation * standard.max)};
  // Operands without variance, or near the ends of float32, have no prediction.
  if (!(product.var_y > 0) || !std::isfinite(range.min) || !std::isfinite(range.max)) return {};
  const QuantParams y = choose_params(range, a.grid(), convention);
  const auto errors = predict_errors(product, y, a.grid(), convention,
                                     sample_range(cell.cover, convention.coverage, count));
  return {errors.ground_truth, errors.expected, y.scale, {}, {}};
}

// Predictions that do not look at data are the same for every seed.
class Predictions {
 public:
  Prediction of(const StudyCell& cell, const Operands& operands, const QTensor& a, const QTensor& b,
                const Convention& convention) {
    if (cell.generator == "file") return predict(cell, operands, a, b, convention);
    const Key key{cell.distribution, cell.m,          cell.k,   cell.n,
                  cell.cover,        cell.convention, cell.bits};
    const auto known = known_.find(key);
    if (known != known_.end()) return known->second;
    return known_[key] = predict(cell, operands, a, b, convention);
  }

  // Of two schemes.
  const ErrorPrediction& of(const StudyCell& cell, const SchemePair& schemes) {
    const SchemeKey key{cell.distribution, cell.m, cell.k, cell.n, cell.scheme};
    const auto known = of_schemes_.find(key);
    if (known != of_schemes_.end()) return known->second;
    return of_schemes_[key] =
               predict_product(distribution(cell.distribution), schemes, cell.m, cell.k, cell.n);
  }

 private:
  using Key =
      std::tuple<std::string, std::size_t, std::size_t, std::size_t, double, std::string, int>;
  using SchemeKey = std::tuple<std::string, std::size_t, std::size_t, std::size_t, std::string>;
  std::map<Key, Prediction> known_;
  std::map<SchemeKey, ErrorPrediction> of_schemes_;
};

// Sums relative to what they are errors of.
TensorLedger relative(TensorLedger ledger) {
  if (!(ledger.energy > 0)) return ledger;
  for (double* part : {&ledger.clipping, &ledger.rounding, &ledger.zero_point, &ledger.stored_scale,
                       &ledger.error}) {
    *part /= ledger.energy;
  }
  ledger.energy = 1;
  return ledger;
}

RowLedger make_ledger(const Operands& operands, const QTensor& a, const QTensor& b,
                      std::optional<Range> range_a, std::optional<Range> range_b,
                      const Matrix<float>& product, const Matrix<float>* output) {
  RowLedger ledger{relative(tensor_ledger(operands.a->view(), a, range_a)),
                   relative(tensor_ledger(operands.b->view(), b, range_b)),
                   product_ledger(*operands.a, *operands.b, operands.y, a, b, product, output)};
  auto& whole = ledger.product;
  if (whole.energy > 0) {
    for (auto& row : whole.inner) {
      for (double& part : row) part /= whole.energy;
    }
    whole.error /= whole.energy;
    whole.energy = 1;
  }
  return ledger;
}

Matrix<float> multiply_for(const StudyCell& cell, const QTensor& a, const QTensor& b) {
  if (cell.accumulator.empty()) return multiply(a, b);
  return multiply(a, b, parse_accumulator(cell.accumulator));
}

// Where a row is, nothing measured yet.
StudyRow row_of(const StudyCell& cell) {
  StudyRow row;
  row.distribution = cell.distribution;
  row.m = cell.m;
  row.k = cell.k;
  row.n = cell.n;
  row.cover = cell.cover;
  row.bits = cell.bits;
  row.convention = cell.convention;
  row.scheme = cell.scheme;
  row.accumulator = cell.accumulator;
  row.seed = cell.seed;
  row.generator = cell.generator;
  return row;
}

StudyRow run_cell(const StudyCell& cell, const Operands& operands, Range range_a, Range range_b,
                  Range range_y, Predictions& predictions) {
  const Stopwatch whole;
  const Convention convention = parse_convention(cell.convention);
  const IntegerGrid grid = convention.grid(cell.bits);
  const QuantParams params_a = choose_params(range_a, grid, convention);
  const QuantParams params_b = choose_params(range_b, grid, convention);
  const QuantParams params_y = choose_params(range_y, grid, convention);

  // Short times are taken twice: the first use of threads, or a busy moment, would be all they
  // show.
  const auto timed_product = [&] {
    const Stopwatch watch;
    QTensor a(*operands.a, params_a, grid, convention);
    QTensor b(*operands.b, params_b, grid, convention);
    QTensor product = cell.accumulator.empty()
                          ? quantized_product(a, b, params_y, grid, convention)
                          : accumulated_product(a, b, params_y, grid, convention,
                                                parse_accumulator(cell.accumulator));
    return std::tuple(watch.seconds(), std::move(a), std::move(b), std::move(product));
  };
  auto [seconds_quantized_product, a, b, product] = timed_product();
  if (seconds_quantized_product < 0.02 && cell.accumulator.empty()) {
    seconds_quantized_product = std::min(seconds_quantized_product, std::get<0>(timed_product()));
  }
  const QTensor y(operands.y, params_y, grid, convention);
  const BothNorms errors = study_errors(operands.y, y, product);

  StudyRow row = row_of(cell);
  row.error = convention.norm == NormSum::float64 ? errors.float64 : errors.float32x8;
  row.error_float64 = errors.float64;
  const auto predicted = is_exact(cell.accumulator, a, b, cell.k)
                             ? predictions.of(cell, operands, a, b, convention)
                             : Prediction{};
  row.predicted_ground_truth = predicted.ground_truth;
  row.predicted_expected = predicted.expected;
  row.predicted_scale_y = predicted.scale_y;
  row.predicted_low = predicted.low;
  row.predicted_high = predicted.high;
  row.a = params_a;
  row.b = params_b;
  row.y = params_y;
  row.clipped_a = a.clipped();
  row.clipped_b = b.clipped();
  row.clipped_y = y.clipped();
  row.excess_kurtosis_y = operands.excess_kurtosis;
  row.seconds_float_product = operands.seconds_float_product;
  row.seconds_quantized_product = seconds_quantized_product;
  if (cell.accumulator.empty()) row.published = published(cell);
  if (cell.ledger) {
    const Matrix<float> real = multiply_for(cell, a, b);
    const Matrix<float> output = product.dequantized();
    row.ledger = make_ledger(operands, a, b, range_a, range_b, real, &output);
  }
  row.seconds = whole.seconds();
  return row;
}

// ρ = ⟨x, q⟩/⟨x, x⟩ and p = ⟨q, q⟩/⟨x, x⟩ of an operand.
struct Correlation {
  double rho, p;
};

Correlation correlation(const Matrix<float>& x, const Matrix<float>& q) {
  double xx = 0, xq = 0, qq = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double real = x.data()[i], quantized = q.data()[i];
    xx += real * real;
    xq += real * quantized;
    qq += quantized * quantized;
  }
  return {xq / xx, qq / xx};
}

// Of operands that are drawn independently, beside the best that their bits allow.
RowGap make_gap(const StudyCell& cell, const StudyRow& row) {
  if (cell.generator == "file" || !row.ledger) return {};
  const Distribution& source = distribution(cell.distribution);
  if (!source.is_independent()) return {};
  RowGap gap;
  const auto of = [&](double bits, const TensorLedger& ledger) -> std::optional<Gap> {
    if (!(rate_distortion_bound(source, bits) > 0) || !(ledger.error > 0)) return std::nullopt;
    return gap_to_bound(source, bits, relative_to_variance(source, ledger.error));
  };
  gap.a = of(row.effective_bits_a, row.ledger->a);
  gap.b = of(row.effective_bits_b, row.ledger->b);
  const double error = row.error_float64.ground_truth;
  if (source.name() == "normal" && error > 0 &&
      std::abs(row.effective_bits_a - row.effective_bits_b) < 0.01) {
    gap.product = gap_to_product_bound((row.effective_bits_a + row.effective_bits_b) / 2, error);
  }
  return gap;
}

// Two schemes, a product in float32: how far it is from the true one, and how far it was expected
// to be: for drawn operands from the settings alone, for the user's own as independent zero-mean
// operands of the same correlations would be (docs/predictions.md).
StudyRow run_schemes(const StudyCell& cell, const Operands& operands, Predictions& predictions) {
  const Stopwatch whole;
  const SchemePair schemes = parse_scheme_pair(cell.scheme);
  const auto [a, b] = quantize_pair(operands.a->view(), operands.b->view(), schemes);
  const Stopwatch product_watch;
  const Matrix<float> product = multiply_for(cell, a, b);

  StudyRow row = row_of(cell);
  row.seconds_quantized_product = product_watch.seconds();
  row.effective_bits_a = a.effective_bits();
  row.effective_bits_b = b.effective_bits();
  row.clipped_a = a.clipped();
  row.clipped_b = b.clipped();
  constexpr double kNone = std::numeric_limits<double>::infinity();
  row.error = {relative_error(operands.y, product), kNone, kNone};
  row.error_float64 = row.error;
  if (!never_rounds(cell.accumulator)) {
    // What sums lose is not known beforehand.
  } else if (cell.generator == "file") {
    const auto of_a = correlation(*operands.a, a.dequantized());
    const auto of_b = correlation(*operands.b, b.dequantized());
    const double squared = 1 - 2 * of_a.rho * of_b.rho + of_a.p * of_b.p;
    if (std::isfinite(squared)) row.predicted_ground_truth = std::sqrt(std::max(squared, 0.0));
  } else {
    if (const auto& predicted = predictions.of(cell, schemes); predicted.has_value()) {
      row.predicted_ground_truth = predicted.expected;
      row.predicted_low = predicted.low;
      row.predicted_high = predicted.high;
    }
  }
  row.excess_kurtosis_y = operands.excess_kurtosis;
  row.seconds_float_product = operands.seconds_float_product;
  row.ledger = make_ledger(operands, a, b, std::nullopt, std::nullopt, product, nullptr);
  row.gap = make_gap(cell, row);
  row.seconds = whole.seconds();
  return row;
}

// A sum that an accumulator refuses names the row that needs it.
template <class Make>
StudyRow in_words(const StudyCell& cell, const Make& make_row) {
  if (cell.accumulator.empty()) return make_row();
  try {
    return make_row();
  } catch (const InputError& error) {
    throw InputError(fmt::format(
        "{}, size {}, {}, sums in {}: {}; int32-wrap, int32-saturate and float64 hold any",
        cell.distribution, cell.n,
        cell.scheme.empty() ? fmt::format("{} bits, coverage {}", cell.bits, cell.cover)
                            : short_form(parse_scheme_pair(cell.scheme)),
        cell.accumulator, error.what()));
  }
}

bool same_operands(const StudyCell& x, const StudyCell& y) {
  return x.distribution == y.distribution && x.m == y.m && x.k == y.k && x.n == y.n &&
         x.seed == y.seed && x.generator == y.generator;
}

}  // namespace

void run_study(const std::vector<StudyCell>& cells, const std::map<std::size_t, StudyRow>& done,
               const StudyFiles* files, const OnRow& on_row) {
  Predictions predictions;
  for (std::size_t begin = 0; begin < cells.size();) {
    std::size_t end = begin;
    std::vector<std::size_t> pending;
    std::vector<double> covers;
    for (; end < cells.size() && same_operands(cells[begin], cells[end]); ++end) {
      if (done.contains(end)) continue;
      pending.push_back(end);
      covers.push_back(cells[end].cover);
    }
    begin = end;
    if (pending.empty()) continue;

    const Operands operands = make_operands(cells[pending.front()], files);
    std::map<Coverage, Ranges> ranges;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      const auto& cell = cells[pending[i]];
      const auto make_row = [&] {
        if (!cell.scheme.empty()) return run_schemes(cell, operands, predictions);
        const Coverage sides = parse_convention(cell.convention).coverage;
        if (!ranges.contains(sides)) ranges[sides] = make_ranges(operands, covers, sides);
        const auto& of = ranges[sides];
        return run_cell(cell, operands, of.a[i], of.b[i], of.y[i], predictions);
      };
      if (!on_row(pending[i], in_words(cell, make_row))) return;
    }
  }
}

}  // namespace zeropoint
