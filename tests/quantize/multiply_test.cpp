// Products of quantized tensors, in exact sums and in others.
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

Matrix<float> random_matrix(std::size_t rows, std::size_t cols, unsigned seed) {
  return testing::normal_matrix(rows, cols, seed, 0.1);
}

TEST(Multiply, IsTheProductOfWhatCodesStandFor) {
  const auto a = random_matrix(9, 40, 3), b = random_matrix(40, 11, 4);
  for (const auto* text_a : {"int8", "int8:sym:channel", "uint8:group=16", "int4:group=8", "e4m3",
                             "int8:group=40", "mxfp8", "int3:block=3x5"}) {
    for (const auto* text_b :
         {"int8:sym:channel", "int8", "int4:group=8", "nf4:group=10", "q8_0", "int5:group=16"}) {
      const auto qa = quantize(a.view(), parse_scheme(text_a), Role::left);
      const auto qb = quantize(b.view(), parse_scheme(text_b), Role::right);
      const auto y = multiply(qa, qb);
      const auto da = qa.dequantized(), db = qb.dequantized();
      for (std::size_t i = 0; i < a.rows(); ++i) {
        for (std::size_t j = 0; j < b.cols(); ++j) {
          double sum = 0, most = 0;
          for (std::size_t l = 0; l < a.cols(); ++l) {
            sum += double{da(i, l)} * db(l, j);
            most += std::abs(double{da(i, l)} * db(l, j));
          }
          ASSERT_NEAR(y(i, j), sum, 1e-5 * most) << text_a << " x " << text_b;
        }
      }
    }
  }
  EXPECT_THROW(
      multiply(quantize(a.view(), parse_scheme("int8")), quantize(a.view(), parse_scheme("int8"))),
      InputError);
}

// Exact sums are qgemm's to the bit; narrow ones are those of accumulate(), within each group.
TEST(Multiply, HoldsSumsInAnAccumulator) {
  const auto a = random_matrix(9, 40, 3), b = random_matrix(40, 11, 4);
  for (const auto* text : {"int8", "int8:sym:channel", "uint8:group=16", "int4:group=8"}) {
    const auto qa = quantize(a.view(), parse_scheme(text), Role::left);
    const auto qb = quantize(b.view(), parse_scheme(text), Role::right);
    const auto exact = multiply(qa, qb);
    const auto held = multiply(qa, qb, parse_accumulator("int32"));
    EXPECT_TRUE(std::ranges::equal(held.values(), exact.values())) << text;
  }
  const auto qa = quantize(a.view(), parse_scheme("int8:group=20"), Role::left);
  const auto qb = quantize(b.view(), parse_scheme("int8:group=20"), Role::right);
  const auto wrapped = multiply(qa, qb, parse_accumulator("int16-wrap"));
  qa.visit_codes([&](const auto& codes_a) {
    qb.visit_codes([&](const auto& codes_b) {
      for (std::size_t i = 0; i < a.rows(); ++i) {
        for (std::size_t j = 0; j < b.cols(); ++j) {
          float y = 0;
          for (std::size_t group = 0; group < 2; ++group) {
            const auto& pa = qa.parameters().tiles[qa.tiles().of(i, group * 20)];
            const auto& pb = qb.parameters().tiles[qb.tiles().of(group * 20, j)];
            std::int64_t sum = 0;
            for (std::size_t l = group * 20; l < group * 20 + 20; ++l) {
              sum += (std::int64_t{codes_a(i, l)} - pa.zero_point) *
                     (std::int64_t{codes_b(l, j)} - pb.zero_point);
            }
            y += pa.scale * pb.scale * static_cast<float>(static_cast<std::int16_t>(sum));
          }
          ASSERT_EQ(wrapped(i, j), y) << i << ", " << j;
        }
      }
    });
  });
  // Real values, whatever the format.
  const auto fa = quantize(a.view(), parse_scheme("e4m3"), Role::left);
  const auto fb = quantize(b.view(), parse_scheme("nf4:group=10"), Role::right);
  const auto bf16 = parse_accumulator("bf16:pairwise");
  Matrix<double> sums(a.rows(), b.cols());
  accumulate(fa.dequantized().view(), fb.dequantized().view(), bf16, sums.view());
  const auto y = multiply(fa, fb, bf16);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y.data()[i], sums.data()[i]);
  EXPECT_THAT(testing::refusal([&] { multiply(fa, fb, parse_accumulator("int16-wrap")); }),
              HasSubstr("found e4m3 and nf4:group=10"));
}

}  // namespace
}  // namespace zeropoint
