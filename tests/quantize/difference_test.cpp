#include "zeropoint/quantize/difference.hpp"

#include <random>

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
