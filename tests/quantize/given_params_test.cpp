// Scales and levels that are given, or found where there is next to nothing.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>

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

TEST(GivenParams, AreChecked) {
  const auto x = random_matrix(4, 8);
  for (const char* const text :
       {"e4m3:channel:static", "e4m3:channel:static:stochastic", "e2m1:static",
        "nf4:channel:static", "nf4:group=2:static", "int4:channel:static"}) {
    SCOPED_TRACE(text);
    const Scheme scheme = parse_scheme(text);
    Calibrator calibrator(scheme);
    calibrator.observe(x.view());
    const TensorParams good = calibrator.params();
    EXPECT_NO_THROW(quantize(x.view(), scheme, good));
    for (const float bad : {0.0F, -1.0F, NAN, INFINITY, -INFINITY}) {
      TensorParams params = good;
      params.tiles.back().scale = bad;
      EXPECT_THAT(testing::refusal([&] { quantize(x.view(), scheme, params); }), HasSubstr("scale"))
          << bad;
    }
  }
  const Scheme wide = parse_scheme("lloyd8-normal");
  TensorParams few = find_params(x.view(), wide);
  few.levels = find_params(x.view(), parse_scheme("nf4")).levels;
  EXPECT_THAT(testing::refusal([&] { quantize(x.view(), wide, few); }),
              ::testing::AllOf(HasSubstr("256"), HasSubstr("16")));
  for (const float bad : {-1.0F, NAN, INFINITY}) {
    TensorParams params = find_params(x.view(), wide);
    params.tiles[0].scale = bad;
    EXPECT_THAT(testing::refusal([&] { quantize(x.view(), wide, params); }), HasSubstr("scale"));
  }
}

// Levels in the root mean square need not hold 0.
TEST(GivenParams, CodebooksKeepZerosAndWhatIsTiny) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  for (const char* const density : {"normal", "laplace", "uniform"}) {
    for (const char* const granularity : {"", ":group=4", ":channel"}) {
      for (int bits = 1; bits <= 8; ++bits) {
        const std::string text = "lloyd" + std::to_string(bits) + "-" + density + granularity;
        SCOPED_TRACE(text);
        const Scheme scheme = parse_scheme(text);
        Matrix<float> x(8, 300);
        std::ranges::fill(x.values(), 0.0F);
        const QTensor zeros = quantize(x.view(), scheme);
        EXPECT_EQ(zeros.clipped(), 0);
        const auto back = zeros.dequantized();
        EXPECT_TRUE(std::ranges::all_of(back.values(), [](float y) { return y == 0; }));
        for (const float size : {1e-38F, 1e-41F, 3e-44F}) {
          for (auto& v : x.values()) v = size * normal(random);
          // Of one bit, the best is 0.6 (normal); a scale of 20 steps is 2.5 % off.
          EXPECT_LT(relative_error(x, fake_quantize(x.view(), scheme)), 0.75) << size;
        }
      }
    }
  }
}

}  // namespace
}  // namespace zeropoint
