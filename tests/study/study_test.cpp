#include "zeropoint/study/study.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/format.hpp"
#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/preset.hpp"
#include "zeropoint/theory/distribution.hpp"
#include "zeropoint/theory/limits.hpp"

#include "study/serialize.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<StudyRow> run(StudySpec spec, const std::map<std::size_t, StudyRow>& done = {}) {
  resolve(spec);
  std::map<std::size_t, StudyRow> rows = done;
  run_study(cells(spec), done, nullptr, [&](std::size_t index, const StudyRow& row) {
    rows[index] = row;
    return true;
  });
  std::vector<StudyRow> table;
  for (const auto& [index, row] : rows) table.push_back(row);
  return table;
}

// Everything about a row but how long it took.
std::string without_seconds(const StudyRow& row) {
  auto json = to_json(row);
  for (const char* field : {"seconds", "seconds_float_product", "seconds_quantized_product"}) {
    json.erase(field);
  }
  return json.dump();
}

std::string refusal(StudySpec spec) {
  try {
    resolve(spec);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

// Half a unit in the d-th significant digit, at most, relative to the value.
double digits(int d) { return 0.5 * std::pow(10.0, 1 - d); }

double relative(double x, double y) { return std::abs(x / y - 1); }

// The published figures up to size 1000; `zeropoint study` shows size 3000 as well.
TEST(Study, ReproducesThePublishedFigures) {
  StudySpec spec;
  spec.distributions = {"uniform"};
  spec.sizes = {10, 100, 1000};
  spec.covers = {0.7, 0.9, 0.95, 0.99};
  const auto rows = run(spec);
  ASSERT_EQ(rows.size(), 12U);
  for (const auto& row : rows) {
    SCOPED_TRACE(fmt::format("size {}, cover {}", row.n, row.cover));
    ASSERT_TRUE(row.published);
    const auto& there = *row.published;
    EXPECT_LT(relative(row.error.ground_truth, there.error.ground_truth), digits(5));
    EXPECT_LT(relative(row.error.expected, there.error.expected), digits(5));
    EXPECT_LT(relative(row.error.simulated, there.error.simulated), digits(5));
    EXPECT_LT(relative(row.a.scale, there.a.scale), digits(6));
    EXPECT_LT(relative(row.b.scale, there.b.scale), digits(6));
    EXPECT_LT(relative(row.y.scale, there.y.scale), digits(6));
    EXPECT_EQ(row.a.zero_point, there.a.zero_point);
    EXPECT_EQ(row.b.zero_point, there.b.zero_point);
    EXPECT_EQ(row.y.zero_point, there.y.zero_point);
  }
}

TEST(Study, PublishedFiguresStandBesideTheirOwnSettingsOnly) {
  StudyCell cell{"uniform", 10, 10, 10, 0, "report", "report-code", 8, 0.9};
  ASSERT_TRUE(published(cell));
  EXPECT_EQ(published(cell)->a.zero_point, -2);
  for (const auto& change : std::vector<std::function<void(StudyCell&)>>{
           [](StudyCell& c) { c.distribution = "normal"; }, [](StudyCell& c) { c.m = 11; },
           [](StudyCell& c) { c.seed = 1; }, [](StudyCell& c) { c.generator = "counter"; },
           [](StudyCell& c) { c.convention = "report"; }, [](StudyCell& c) { c.bits = 7; },
           [](StudyCell& c) { c.cover = 0.999; }}) {
    StudyCell other = cell;
    change(other);
    EXPECT_FALSE(published(other));
  }
}

TEST(Study, PredictionsMeetMeasurements) {
  StudySpec spec;
  spec.sizes = {1000};
  const auto rows = run(spec);
  ASSERT_EQ(rows.size(), 14U);
  for (const auto& row : rows) {
    SCOPED_TRACE(fmt::format("{}, cover {}", row.distribution, row.cover));
    const double tolerance = row.cover <= 0.99 ? 0.01 : 0.05;
    EXPECT_LT(relative(*row.predicted_ground_truth, row.error_float64.ground_truth), tolerance);
    EXPECT_LT(relative(*row.predicted_expected, row.error_float64.expected), tolerance);
    EXPECT_LT(relative(*row.predicted_scale_y, row.y.scale), tolerance);
  }
}

// In the mean over seeds, predictions of every convention and width are right within four standard
// errors and 2 %: what the normal approximation of Y leaves at size 200.
TEST(Study, PredictionsHoldForEveryConventionAndWidth) {
  StudySpec spec;
  spec.sizes = {200};
  spec.covers = {0.9, 0.99, 1};
  spec.bits = {4, 8, 12};
  spec.conventions = {"report-code",
                      "report",
                      "onnx",
                      "onnx:mapping=symmetric:grid=narrow",
                      "report-code:rounding=truncate",
                      "onnx:sign=unsigned"};
  spec.repeat = 6;
  const auto rows = run(spec);
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    SCOPED_TRACE(fmt::format("{} {} bits cover {} {}", row.distribution, row.bits, row.cover,
                             row.convention));
    const auto& truth = group.error_float64.ground_truth;
    const auto& expected = group.error_float64.expected;
    EXPECT_NEAR(truth.mean, *row.predicted_ground_truth,
                4 * truth.standard_error + 0.02 * truth.mean);
    EXPECT_NEAR(expected.mean, *row.predicted_expected,
                4 * expected.standard_error + 0.02 * expected.mean);
  }
}

TEST(Study, ResultsDoNotDependOnThreads) {
  StudySpec spec;
  spec.sizes = {7, 100, 600};
  spec.covers = {0.9, 1};
  spec.bits = {8, 11};
  set_threads(1);
  const auto one = run(spec);
  for (const int count : {2, 3, 8}) {
    set_threads(count);
    const auto many = run(spec);
    ASSERT_EQ(one.size(), many.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(without_seconds(one[i]), without_seconds(many[i])) << count << " threads";
    }
  }
  set_threads(0);
}

TEST(Study, ResultsDoNotDependOnWhatIsDoneAlready) {
  StudySpec spec;
  spec.sizes = {10, 50};
  spec.conventions = {"report-code", "report"};
  const auto whole = run(spec);
  for (std::size_t step = 2; step <= 5; ++step) {
    std::map<std::size_t, StudyRow> done;
    for (std::size_t i = 0; i < whole.size(); i += step) done[i] = whole[i];
    const auto rest = run(spec, done);
    ASSERT_EQ(rest.size(), whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(without_seconds(rest[i]), without_seconds(whole[i]));
    }
  }
}

TEST(Study, StopsWhenAskedTo) {
  StudySpec spec;
  spec.sizes = {10};
  resolve(spec);
  int rows = 0;
  run_study(cells(spec), {}, nullptr, [&](std::size_t, const StudyRow&) { return ++rows < 3; });
  EXPECT_EQ(rows, 3);
}

TEST(Study, DistributionsAreReallyBoth) {
  StudySpec spec;
  spec.sizes = {100};
  spec.covers = {1};
  const auto rows = run(spec);
  ASSERT_EQ(rows.size(), 2U);
  // Uniform entries span 2 / 255; ten thousand normal ones more than 6 / 255.
  EXPECT_NEAR(rows[0].a.scale * 255, 2, 0.01);
  EXPECT_GT(rows[1].a.scale * 255, 6);
}

// Exact accumulators give the plain rows; too narrow ones an error near 1 that no coverage cures.
TEST(Study, ComparesAccumulators) {
  StudySpec spec;
  spec.distributions = {"uniform"};
  spec.sizes = {300};
  spec.covers = {0.9, 1};
  const auto plain = run(spec);
  spec.accumulators = {"int32", "float64", "int16-wrap", "int8-saturate"};
  const auto rows = run(spec);
  ASSERT_EQ(rows.size(), 8U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    const auto& exact = plain[i / 4];
    EXPECT_EQ(row.cover, exact.cover);
    EXPECT_EQ(row.accumulator, spec.accumulators[i % 4]);
    EXPECT_FALSE(row.published);
    if (i % 4 == 0) {
      EXPECT_EQ(row.error.ground_truth, exact.error.ground_truth);
      EXPECT_EQ(row.predicted_ground_truth, exact.predicted_ground_truth);
    } else if (i % 4 == 1) {
      // Real values and sums of codes round to the same codes but for ties.
      EXPECT_NEAR(row.error.ground_truth, exact.error.ground_truth, 1e-5);
      EXPECT_TRUE(row.predicted_ground_truth);
    } else {
      EXPECT_NEAR(row.error_float64.ground_truth, 1, 0.05);
      EXPECT_FALSE(row.predicted_ground_truth);
    }
    EXPECT_EQ(without_seconds(row_from_json(to_json(row))), without_seconds(row));
  }
}

// A ledger's parts are the row's own error squared, of the report's rows and of schemes.
TEST(Study, LedgersAddUpToTheRowsErrors) {
  StudySpec spec;
  spec.sizes = {60};
  spec.covers = {0.9, 1};
  spec.ledger = true;
  auto rows = run(spec);
  spec.schemes = {"int4:sym:group=8 x mxfp4", "nf4:group=10", "int8"};
  for (const auto& row : run(spec)) rows.push_back(row);
  ASSERT_EQ(rows.size(), 10U);
  for (const auto& row : rows) {
    ASSERT_TRUE(row.ledger);
    const auto& product = row.ledger->product;
    const double squared = std::pow(row.error_float64.ground_truth, 2);
    // Differences of float32 numbers that were taken in float32 here, in double there.
    EXPECT_NEAR(product.sum(), squared, 1e-6 * squared);
    EXPECT_NEAR(product.sum(), product.error, 1e-9 * product.error);
    EXPECT_NEAR(row.ledger->a.sum(), row.ledger->a.error, 1e-9 * row.ledger->a.error);
    EXPECT_EQ(product.part(ProductPart::output) == 0, !row.scheme.empty());
    EXPECT_EQ(without_seconds(row_from_json(to_json(row))), without_seconds(row));
  }
  spec.schemes.clear();
  spec.ledger = false;
  EXPECT_FALSE(run(spec).front().ledger);
}

TEST(Study, NamesTheRowWhoseSumsDoNotFit) {
  StudySpec spec;
  spec.distributions = {"normal"};
  spec.sizes = {32};
  spec.covers = {0.9};
  spec.bits = {16};
  spec.accumulators = {"int32"};
  EXPECT_THAT(testing::refusal([&] { run(spec); }),
              AllOf(HasSubstr("normal, size 32, 16 bits, coverage 0.9, sums in int32: "),
                    HasSubstr("int32-wrap")));
}

// The rates of all limits, and what a row's own error leaves above them.
TEST(Study, RowsOfSchemesKnowTheirGap) {
  StudySpec spec;
  spec.distributions = {"normal", "sparse"};
  spec.sizes = {128};
  spec.schemes = {"lloyd4-normal", "int8 x int4:sym"};
  const auto rows = run(spec);
  ASSERT_EQ(rows.size(), 4U);
  // Max 1960: the best 16 levels leave 0.009497 of normal data, 4^-4 is 0.003906.
  ASSERT_TRUE(rows[0].gap.a && rows[0].gap.product);
  EXPECT_NEAR(rows[0].gap.a->db, 10 * std::log10(0.009497 / std::pow(4.0, -4)), 0.15);
  EXPECT_NEAR(rows[0].gap.a->bits, rows[0].gap.a->db / 6.0206, 0.01);
  EXPECT_NEAR(rows[0].gap.product->db, rows[0].gap.a->db, 0.2);
  EXPECT_FALSE(rows[1].gap.product);  // other bits for A than for B
  EXPECT_FALSE(rows[2].gap.a);        // zeros have no density
  for (const auto& row : rows) {
    EXPECT_EQ(without_seconds(row_from_json(to_json(row))), without_seconds(row));
  }
  // All have the same fields, as columns of CSV must, whatever a row lacks.
  for (const auto& row : rows) {
    EXPECT_EQ(to_json(row).size(), to_json(rows[0]).size());
    EXPECT_EQ(to_json(row).at("gap").size(), 3U);
  }
}

// The ledger's errors are relative to the mean square, of which a mean is the larger part; bounds
// are to the variance.
TEST(Study, GapsOfEntriesWithAMeanAreAsLimitsHaveThem) {
  StudySpec spec;
  spec.distributions = {"lognormal=0.5"};
  spec.sizes = {256};
  spec.schemes = {"int4:affine:group=32", "lloyd4"};
  const auto& d = distribution("lognormal=0.5");
  for (const auto& row : run(spec)) {
    const auto limit = scheme_limit(d, parse_scheme_pair(row.scheme).a);
    ASSERT_TRUE(row.gap.a);
    EXPECT_NEAR(row.gap.a->db, gap_to_bound(d, row.effective_bits_a, limit.mse).db, 0.3);
  }
}

TEST(Study, PresetsAreStudies) {
  for (const auto& preset : study_presets()) {
    auto spec = preset.make();
    EXPECT_NO_THROW(resolve(spec)) << preset.name;
    EXPECT_FALSE(cells(spec).empty());
  }
  EXPECT_THAT(testing::refusal([] { study_preset("limit"); }), HasSubstr("did you mean limits"));
  // Every format that there is.
  const auto schemes = study_preset("limits").schemes;
  for (const auto& format : formats()) {
    EXPECT_TRUE(std::ranges::any_of(schemes, [&](const std::string& scheme) {
      return parse_scheme_pair(scheme).a.format.name == format.name;
    })) << format.name;
  }
}

TEST(Study, RefusesIntegerSumsOfOtherFormats) {
  EXPECT_EQ(refusal({.schemes = {"int8 x int4:group=32"}, .accumulators = {"int16-wrap"}}),
            "accepted");
  EXPECT_EQ(refusal({.schemes = {"e4m3"}, .accumulators = {"fp16"}}), "accepted");
  EXPECT_THAT(refusal({.schemes = {"int8 x e4m3"}, .accumulators = {"int16-wrap"}}),
              HasSubstr("integer formats beside int16-wrap, found e4m3"));
  EXPECT_THAT(refusal({.accumulators = {"int17"}}), HasSubstr("did you mean int16"));
  EXPECT_THAT(refusal({.accumulators = {"fp16", "fp16:sequential"}}), HasSubstr("twice"));
}

TEST(Study, TakesTheUsersOwnMatrices) {
  auto pair = draw_operands(distribution("uniform"), Generator::counter, 5, 50, 80, 30);
  const StudyFiles files{std::move(pair.a), std::move(pair.b)};
  StudySpec spec;
  spec.file_a = "a.npy";
  spec.file_b = "b.npy";
  spec.covers = {1};
  spec.conventions = {"onnx"};
  resolve(spec);
  std::vector<StudyRow> rows;
  run_study(cells(spec, {50, 80, 30}), {}, &files, [&](std::size_t, const StudyRow& row) {
    rows.push_back(row);
    return true;
  });
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].distribution, "file");
  EXPECT_FALSE(rows[0].square());
  // 8 bits of a sine: some thousandths, as predicted from the operands' own moments.
  EXPECT_GT(rows[0].error.ground_truth, 1e-3);
  EXPECT_LT(rows[0].error.ground_truth, 3e-2);
  EXPECT_LT(relative(*rows[0].predicted_ground_truth, rows[0].error.ground_truth), 0.1);
}

TEST(Study, ZeroAndConstantMatricesGiveNumbers) {
  for (const float value : {0.0F, 3.5F, -1e-30F, 0.3F, 0.7F, 1e17F}) {
    StudyFiles files{Matrix<float>(50, 60), Matrix<float>(60, 30)};
    std::ranges::fill(files.a.values(), value);
    std::ranges::fill(files.b.values(), value);
    StudySpec spec;
    spec.file_a = spec.file_b = "constant.npy";
    spec.conventions = {"report-code", "report", "onnx"};
    resolve(spec);
    run_study(cells(spec, {50, 60, 30}), {}, &files, [&](std::size_t, const StudyRow& row) {
      EXPECT_TRUE(std::isfinite(row.error_float64.ground_truth)) << value << row.convention;
      EXPECT_TRUE(std::isfinite(row.error_float64.expected)) << value << row.convention;
      EXPECT_TRUE(std::isfinite(row.y.scale));
      EXPECT_GT(row.y.scale, 0);
      return true;
    });
  }
}

TEST(Spec, RefusesWhatCannotBeStudied) {
  EXPECT_EQ(refusal({}), "accepted");
  EXPECT_THAT(refusal({.distributions = {"gauss"}}), HasSubstr("did you mean"));
  EXPECT_THAT(refusal({.distributions = {}}), HasSubstr("distributions"));
  EXPECT_THAT(refusal({.sizes = {}}), HasSubstr("sizes"));
  EXPECT_THAT(refusal({.sizes = {0}}), HasSubstr("positive"));
  EXPECT_THAT(refusal({.sizes = {10, 10}}), HasSubstr("twice"));
  for (const double cover : {0.5, 0.0, -1.0, 1.0000001, std::nan(""), HUGE_VAL}) {
    EXPECT_THAT(refusal({.covers = {cover}}), HasSubstr("cover")) << cover;
  }
  EXPECT_THAT(refusal({.bits = {0}}), HasSubstr("1 to 16"));
  EXPECT_THAT(refusal({.bits = {17}}), HasSubstr("1 to 16"));
  EXPECT_THAT(refusal({.conventions = {"reprt"}}), HasSubstr("did you mean report"));
  EXPECT_THAT(refusal({.conventions = {"report", "report:rounding=floor"}}), HasSubstr("twice"));
  EXPECT_THAT(refusal({.seed = 1ULL << 32}), HasSubstr("2^32"));
  EXPECT_THAT(refusal({.seed = (1ULL << 32) - 1, .repeat = 2}), HasSubstr("2^32"));
  EXPECT_EQ(refusal({.seed = 1ULL << 40, .generator = "counter"}), "accepted");
  EXPECT_THAT(refusal({.repeat = 0}), HasSubstr("repeat"));
  EXPECT_THAT(refusal({.repeat = 1'000'000'000}), HasSubstr("rows"));
  EXPECT_THAT(refusal({.generator = "dice"}), HasSubstr("generator"));
  EXPECT_THAT(refusal({.file_a = "a.npy"}), HasSubstr("--b"));
}

TEST(Spec, TheReportsGeneratorServesUpToTheReportsSizes) {
  StudySpec spec;
  spec.sizes = {3000, 3001};
  spec.distributions = {"uniform"};
  const auto all = cells(spec);
  EXPECT_EQ(all.front().generator, "report");
  EXPECT_EQ(all.back().generator, "counter");
}

TEST(Spec, MemoryIsCheckedBeforeItIsTaken) {
  StudySpec spec;
  spec.sizes = {3000};
  EXPECT_NO_THROW(check_memory(cells(spec)));
  // Three float32 matrices and four of codes: at least 16 bytes an element.
  EXPECT_GE(required_memory(cells(spec)), 16.0 * 3000 * 3000);
  EXPECT_LE(required_memory(cells(spec)), 32.0 * 3000 * 3000);
  spec.sizes = {10, 4'000'000'000};
  try {
    check_memory(cells(spec));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("GiB of memory"));
    EXPECT_THAT(error.what(), HasSubstr("available"));
  }
}

TEST(Spec, DigestsTellMatricesApart) {
  Matrix<float> x(2, 3);
  std::ranges::fill(x.values(), 1.0F);
  Matrix<float> turned(3, 2);
  std::ranges::fill(turned.values(), 1.0F);
  const auto before = digest(x);
  EXPECT_NE(before, digest(turned));
  x(1, 2) = std::nextafter(1.0F, 2.0F);
  EXPECT_NE(before, digest(x));
}

TEST(Summary, MeanAndStandardErrorOverSeeds) {
  std::vector<StudyRow> rows(4);
  const double truths[] = {1, 2, 3, 6};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].distribution = "normal";
    rows[i].seed = i;
    rows[i].error.ground_truth = truths[i];
  }
  rows.push_back(rows.front());
  rows.back().cover = 0.9;
  const auto summary = summarize(rows);
  ASSERT_EQ(summary.size(), 2U);
  EXPECT_EQ(summary[0].count, 4);
  EXPECT_DOUBLE_EQ(summary[0].error.ground_truth.mean, 3);
  // Sample variance (4 + 1 + 0 + 9) / 3, over 4.
  EXPECT_DOUBLE_EQ(summary[0].error.ground_truth.standard_error, std::sqrt(14.0 / 3 / 4));
  EXPECT_EQ(summary[1].count, 1);
  EXPECT_EQ(summary[1].error.ground_truth.standard_error, 0);
}

}  // namespace
}  // namespace zeropoint
