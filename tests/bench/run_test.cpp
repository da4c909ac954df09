#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/format.hpp"

#include "bench/contestants.hpp"
#include "bench/formats.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;

// What is not the product is caught, whoever made it: the element is named.
TEST(BenchRun, AWrongElementIsNamed) {
  const BenchOperands operands({4, 9, 6});
  const auto right = [](std::int64_t sum) { return static_cast<double>(sum); };
  const auto found = [&](std::size_t i, std::size_t j) {
    return static_cast<double>(operands.exact(i, j)) + (i == 2 && j == 5 ? 1 : 0);
  };
  try {
    check_result(operands, "someone", found, right, {.absolute = 0.5});
    FAIL() << "a wrong element passed";
  } catch (const WorkError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("4x9x6"), HasSubstr("someone"), HasSubstr("element (2, 5)"),
                      HasSubstr("expected"), HasSubstr("found")));
  }
  check_result(operands, "someone", found, right, {.absolute = 1});
  EXPECT_THROW(check_result(operands, "someone", found, right, {.relative = 1e-9}), WorkError);
}

// Each contestant's result is its definition's at shapes that no tile divides.
TEST(BenchRun, EachContestantPassesItsCheck) {
  for (const BenchShape& shape :
       {BenchShape{1, 1, 1}, {1, 70, 33}, {17, 129, 35}, {2, 3, 500}, {65, 4, 1}}) {
    const BenchOperands operands(shape);
    for (const auto& row : contestant_rows()) {
      const auto entrant = row.make(operands, 1);
      if (!entrant) continue;
      SCOPED_TRACE(std::string(row.info.name) + " at " + to_string(shape));
      entrant->call();
      EXPECT_NO_THROW(entrant->check());
    }
  }
}

TEST(BenchRun, ThreadsAreNamed) {
  BenchSpec spec;
  spec.shapes = {{1, 1, 1}};
  spec.threads.clear();
  EXPECT_THAT(refusal([&] { run_bench(spec, [](auto, auto, const auto&) {}); }),
              HasSubstr("number of threads"));
}

TEST(BenchRun, AShapeThatMemoryCannotHoldIsRefused) {
  BenchSpec spec;
  spec.shapes = {{1'000'000, 1'000'000, 1'000'000}};
  EXPECT_THAT(refusal([&] { run_bench(spec, [](auto, auto, const auto&) {}); }),
              HasSubstr("found 1000000x1000000x1000000"));
}

BenchRow row_of(const BenchShape& shape, const char* contestant, bool packed, double of_peak,
                double to_fp32) {
  BenchRow row;
  row.shape = shape;
  row.contestant = contestant;
  row.output = "float32";
  row.packed = packed;
  row.of_peak = of_peak;
  row.to_fp32 = to_fp32;
  return row;
}

TEST(Targets, AreMetOrMissedByTheirFigure) {
  BenchResult result;
  result.products = {row_of({1000, 1000, 1000}, "int8_float32", false, 0.91, 4),
                     row_of({1000, 1000, 1000}, "int8_float32_packed", true, 0.94, 4),
                     row_of({999, 1000, 1000}, "int8_float32", false, 0.1, 0.9)};
  const auto verdicts = judge_targets(result);
  ASSERT_EQ(verdicts.size(), 2U);  // what was not measured is not judged
  EXPECT_TRUE(verdicts[0].met);
  EXPECT_FALSE(verdicts[1].met);
  EXPECT_EQ(verdicts[1].expected, 0.95);
  EXPECT_EQ(verdicts[1].found, 0.94);
  EXPECT_THAT(not_faster_than_fp32(result), ::testing::ElementsAre("999x1000x1000 on 1 thread"));
}

TEST(Targets, OfFormatsAreThoseOfTheirRows) {
  BenchResult result;
  BenchFormat row;
  row.scheme = "e4m3";
  row.quantize_share = 0.51;
  row.dequantize_share = 0.49;
  result.formats = {row};
  EXPECT_TRUE(judge_targets(result).empty());  // none is asked for
  result.formats[0].target = 0.5;
  const auto verdicts = judge_targets(result);
  ASSERT_EQ(verdicts.size(), 2U);
  EXPECT_TRUE(verdicts[0].met);
  EXPECT_FALSE(verdicts[1].met);
}

// Every format's codes are held against the definition, whatever its row is.
TEST(BenchRun, EachFormatPassesItsCheck) {
  std::vector<BenchFormat> rows;
  EXPECT_NO_THROW(measure_formats(1, 0.01, true, rows));
  EXPECT_GE(rows.size(), formats().size());
  for (const auto& row : rows) EXPECT_FALSE(row.target) << row.scheme;
}

}  // namespace
}  // namespace zeropoint
