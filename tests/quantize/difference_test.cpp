#include "zeropoint/quantize/difference.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/quantize.hpp"

namespace zeropoint {
namespace {

Matrix<float> uniform(std::size_t rows, std::size_t cols) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> draw(-0.3F, 2);
  Matrix<float> x(rows, cols);
  for (auto& value : x.values()) value = draw(random);
  return x;
}

TEST(CompareSchemes, OneSchemeDiffersInNothing) {
  const auto x = uniform(20, 30);
  const auto scheme = parse_scheme("int8");
  const auto same = compare_schemes(x.view(), scheme, scheme);
  EXPECT_EQ(same.codes_differ, 0U);
  EXPECT_EQ(same.values_differ, 0U);
  EXPECT_TRUE(same.axes.empty());
  EXPECT_TRUE(same.same);
  EXPECT_EQ(same.a.changed_again, 0U);
}

TEST(CompareSchemes, NamesTheAxisThatMakesTheDifference) {
  const auto x = uniform(100, 100);
  const auto difference =
      compare_schemes(x.view(), parse_scheme("int8"), parse_scheme("int8@onnx:rounding=floor"));
  ASSERT_EQ(difference.axes.size(), 1U);
  EXPECT_EQ(difference.axes[0].axis, "rounding");
  EXPECT_EQ(difference.axes[0].changed, difference.values_differ);
  EXPECT_TRUE(difference.has_codes);
  EXPECT_EQ(difference.largest_step, 1);
  // Half of all numbers lie nearer to the code above.
  EXPECT_NEAR(static_cast<double>(difference.codes_differ), 5000, 300);
  // By the definition.
  const auto a = quantize(x.view(), parse_scheme("int8"));
  const auto b = quantize(x.view(), parse_scheme("int8:floor"));
  std::size_t differ = 0;
  for (std::size_t i = 0; i < x.size(); ++i) differ += a.bytes()[i] != b.bytes()[i] ? 1 : 0;
  EXPECT_EQ(difference.codes_differ, differ);
}

TEST(CompareSchemes, EveryFieldIsCompared) {
  const auto x = uniform(64, 64);
  struct Row {
    const char* a;
    const char* b;
    std::vector<const char*> axes;
  };
  for (const Row& row :
       {Row{"mxfp4", "mxfp4:scale-rule=ceil", {"scale-rule"}},
        Row{"mxfp4:half-away", "mxfp4:scale-rule=ceil", {"scale-rule", "rounding"}},
        Row{"int8:stochastic=1", "int8:stochastic=2", {"seed"}},
        Row{"int8", "int8:stochastic=2", {"rounding"}}, Row{"e4m3", "e4m3:unit", {"range"}},
        Row{"int2:sym", "int2:sym:shrink", {"dequantization"}},
        Row{"int8:sym:channel", "int8", {"granularity", "mapping"}},
        Row{"hadamard+int8", "int8", {"transforms"}},
        // What A could not say is left out.
        Row{"e4m3", "int8:mse", {"format"}},
        Row{"int8:mse", "e4m3", {"format", "range", "mapping"}},
        Row{"int8", "bf16", {"format", "mapping"}},
        Row{"nf4", "e4m3:floor:operation=multiply", {"format"}},
        Row{"int8:floor:channel", "mxfp4:scale-rule=ceil", {"format"}},
        Row{"mxfp4", "nvfp4", {"format"}},
        Row{"nvfp4", "mxfp4:half-away:scale-rule=ceil", {"format"}},
        Row{"lloyd4", "nf4:channel:cover=0.9", {"format"}},
        // The same codes by another name.
        Row{"e4m3", "e4m3@gemmlowp:rounding=half-even", {}}}) {
    SCOPED_TRACE(std::string(row.a) + " " + row.b);
    const auto difference = compare_schemes(x.view(), parse_scheme(row.a), parse_scheme(row.b));
    EXPECT_FALSE(difference.same);
    std::vector<std::string> found;
    for (const auto& axis : difference.axes) found.push_back(axis.axis);
    EXPECT_EQ(found, std::vector<std::string>(row.axes.begin(), row.axes.end()));
    // One thing alone makes all of the difference.
    EXPECT_TRUE(found.size() > 1 ||
                difference.values_differ == (found.empty() ? 0 : difference.axes[0].changed));
  }
}

TEST(CompareSchemes, SaysWhyNothingCanBeQuantizedAgain) {
  // Rotated 0.65, 0.35, 0.65 and 0.35 times 1e37, to which int2 has 0.65 four times: rotated back
  // 1.3e37, more than hadamard takes of four numbers, 1.06e37.
  Matrix<float> x(1, 4);
  std::ranges::fill(x.values(), 0.0F);
  x(0, 0) = 1e37F;
  x(0, 1) = 0.3e37F;
  const auto difference =
      compare_schemes(x.view(), parse_scheme("hadamard+int2:sym"), parse_scheme("int2:sym"));
  EXPECT_EQ(difference.a.changed_again, std::nullopt);
  EXPECT_EQ(difference.a.changed_anew, std::nullopt);
  EXPECT_THAT(difference.a.not_again, ::testing::HasSubstr("can be rotated; found 1.3"));
  EXPECT_EQ(difference.b.changed_again, 0U);
  EXPECT_EQ(difference.b.not_again, "");
}

TEST(CompareSchemes, NothingButZerosHasNoRelativeError) {
  Matrix<float> x(4, 8);
  std::ranges::fill(x.values(), 0.0F);
  const auto difference =
      compare_schemes(x.view(), parse_scheme("int8"), parse_scheme("lloyd3-normal"));
  EXPECT_TRUE(difference.a.is_zero);
  EXPECT_TRUE(difference.b.is_zero);
  EXPECT_EQ(difference.a.relative_error, 0);
  x.data()[3] = 1;
  EXPECT_FALSE(compare_schemes(x.view(), parse_scheme("int8"), parse_scheme("e4m3")).a.is_zero);
}

TEST(CompareSchemes, OtherFormatsAreComparedByTheirValues) {
  const auto x = uniform(16, 64);
  const auto difference =
      compare_schemes(x.view(), parse_scheme("int8:channel"), parse_scheme("mxfp4"));
  EXPECT_FALSE(difference.has_codes);
  EXPECT_GT(difference.values_differ, 900U);
  EXPECT_GT(difference.a.sqnr_db, 40);
  EXPECT_LT(difference.b.sqnr_db, 25);
  EXPECT_EQ(difference.axes.front().axis, "format");
}

TEST(CompareSchemes, SaysWhetherQuantizingAgainChangesAnything) {
  const auto x = uniform(20, 30);
  const auto difference =
      compare_schemes(x.view(), parse_scheme("int8:cover=0.8"), parse_scheme("int8:floor@report"));
  EXPECT_EQ(difference.a.changed_again, 0U);
  EXPECT_GT(difference.a.changed_anew, 0U);  // the coverage cuts again
}

}  // namespace
}  // namespace zeropoint
