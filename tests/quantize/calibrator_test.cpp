// Parameters found in one tensor after another.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "support/matrices.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using testing::relative_error;

Matrix<float> random_matrix(std::size_t rows, std::size_t cols, unsigned seed = 1) {
  return testing::normal_matrix(rows, cols, seed, 0.1);
}

TEST(Calibrator, FindsSharedParametersInAnyOrder) {
  const Scheme scheme = parse_scheme("int8:static:layer");
  const auto first = random_matrix(5, 8, 1), second = random_matrix(30, 4, 2);
  EXPECT_THAT(testing::refusal([&] { quantize(first.view(), scheme); }), HasSubstr("calibrated"));
  Calibrator one(scheme), other(scheme), both(scheme);
  EXPECT_THAT(testing::refusal([&] { one.params(); }), HasSubstr("none"));
  one.observe(first.view());
  other.observe(second.view());
  both.observe(second.view());
  both.observe(first.view());
  one.merge(other);
  EXPECT_EQ(one.params(), both.params());
  const auto q = quantize(first.view(), scheme, one.params());
  EXPECT_EQ(q.params(), one.params().tiles[0]);
  EXPECT_LT(relative_error(first, q.dequantized()), 0.02);

  Calibrator channels(parse_scheme("int8:static:channel"));
  channels.observe(first.view());
  EXPECT_EQ(channels.params().tiles.size(), 5U);
  EXPECT_THAT(testing::refusal([&] { channels.observe(second.view()); }), HasSubstr("5x8"));
  EXPECT_THROW(Calibrator(parse_scheme("mxfp4")), InputError);
}

TEST(Calibrator, KeepsNothingOfWhatItRefuses) {
  const auto filled = [](std::size_t rows, std::size_t cols, float value) {
    Matrix<float> x(rows, cols);
    std::ranges::fill(x.values(), value);
    return x;
  };
  const auto ones = filled(4, 8, 1);
  auto bad = filled(4, 8, 100);
  bad(3, 0) = NAN;
  for (const char* const text : {"int8:channel:static", "int8:channel:ema:static",
                                 "int8:group=2:mse:static", "e4m3:channel:static"}) {
    SCOPED_TRACE(text);
    Calibrator calibrator(parse_scheme(text));
    calibrator.observe(Matrix<float>(0, 3).view());  // nothing, so neither is its shape
    EXPECT_THAT(testing::refusal([&] { calibrator.observe(bad.view(), "W"); }), HasSubstr("24"));
    EXPECT_THAT(testing::refusal([&] { calibrator.params(); }), HasSubstr("none"));
    calibrator.observe(ones.view());
    const TensorParams before = calibrator.params();
    EXPECT_THAT(testing::refusal([&] { calibrator.observe(bad.view(), "W"); }),
                ::testing::AllOf(HasSubstr("W"), HasSubstr("24")));
    EXPECT_EQ(calibrator.params(), before);
    calibrator.observe(Matrix<float>(0, 8).view());
    EXPECT_EQ(calibrator.params(), before);
  }
  // By its place in the matrix as it is seen, not as it lies.
  Calibrator channels(parse_scheme("int8:channel:static"));
  const MatrixView<const float> turned{bad.data(), 8, 4, 1, 8};
  EXPECT_THAT(testing::refusal([&] { channels.observe(turned); }), HasSubstr("index 3"));
}

TEST(Calibrator, MergesTilesOfOneShapeAlone) {
  const Scheme scheme = parse_scheme("int8:group=2:static");
  Calibrator wide(scheme), high(scheme);
  wide.observe(random_matrix(4, 8).view());
  high.observe(random_matrix(8, 4).view());  // of as many tiles
  const TensorParams before = wide.params();
  EXPECT_THAT(testing::refusal([&] { wide.merge(high); }),
              ::testing::AllOf(HasSubstr("4x8"), HasSubstr("8x4")));
  EXPECT_EQ(wide.params(), before);
}

}  // namespace
}  // namespace zeropoint
