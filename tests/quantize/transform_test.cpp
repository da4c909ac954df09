// Schemes with transforms: what is quantized, what comes back, and the product.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/difference.hpp"
#include "zeropoint/quantize/quantize.hpp"
#include "zeropoint/transforms/hadamard.hpp"
#include "zeropoint/transforms/smoothing.hpp"

#include "support/matrices.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Matrix<float> random_matrix(std::size_t rows, std::size_t cols, unsigned seed = 1) {
  return testing::normal_matrix(rows, cols, seed, 0.1);
}

Matrix<float> copy_of(MatrixView<const float> x) {
  Matrix<float> copy(x.rows, x.cols);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < x.cols; ++j) copy(i, j) = x(i, j);
  }
  return copy;
}

// ‖x − y‖ / ‖x‖.
double off(const Matrix<float>& x, const Matrix<float>& y) {
  double error = 0, whole = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x.data()[i]} - y.data()[i], 2);
    whole += std::pow(double{x.data()[i]}, 2);
  }
  return std::sqrt(error / whole);
}

Matrix<float> product(const Matrix<float>& a, const Matrix<float>& b) {
  Matrix<float> y(a.rows(), b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i) {
    for (std::size_t j = 0; j < b.cols(); ++j) {
      double sum = 0;
      for (std::size_t l = 0; l < a.cols(); ++l) sum += double{a(i, l)} * b(l, j);
      y(i, j) = static_cast<float>(sum);
    }
  }
  return y;
}

TEST(Transforms, CodesAreThoseOfTheRotatedMatrix) {
  for (const std::size_t k : {1, 7, 12, 32, 40, 96}) {
    for (const auto* text : {"int8", "int4:sym:channel", "int5:group=8", "e4m3", "nf4:group=16",
                             "lloyd4", "mxfp4", "bf16", "tf32", "int8:block=3x4"}) {
      for (const auto role : {Role::stored, Role::left, Role::right}) {
        const bool is_right = role == Role::right;
        const auto x = is_right ? random_matrix(k, 5) : random_matrix(5, k);
        const auto along = is_right ? Along::columns : Along::rows;
        auto turned = copy_of(x.view());
        const Rotation rotation(k, 11);
        rotation.apply(turned.view(), along);
        const auto q = quantize(x.view(), parse_scheme(std::string("hadamard=11+") + text), role);
        const auto plain = quantize(turned.view(), parse_scheme(text), role);
        ASSERT_TRUE(std::ranges::equal(q.bytes(), plain.bytes())) << text << " " << k;
        ASSERT_EQ(q.parameters(), plain.parameters());
        ASSERT_EQ(q.effective_bits(), plain.effective_bits());
        auto back = plain.dequantized();
        ASSERT_EQ(off(back, q.decoded()), 0);
        rotation.invert(back.view(), along);
        ASSERT_EQ(off(back, q.dequantized()), 0) << text << " " << k;
        ASSERT_EQ(off(back, fake_quantize(x.view(),
                                          parse_scheme(std::string("hadamard=11+") + text), role)),
                  0);
      }
    }
  }
}

TEST(Transforms, StoredTensorsTurnTheirLastAxis) {
  const std::vector<std::size_t> shape = {3, 4, 24};
  const auto x = random_matrix(12, 24);
  for (const auto* text : {"int12:channel=0", "int12:channel=1", "int12:channel=2", "int12",
                           "int12:group=8", "int12:channel=-2"}) {
    const auto q = quantize(x.values(), shape, parse_scheme(std::string("hadamard+") + text));
    EXPECT_EQ(q.line(), 24U);
    const auto back = q.dequantized();
    ASSERT_EQ(back.size(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(back.data()[i], x.data()[i], 0.01) << text;
    }
  }
}

TEST(Transforms, ProductsOfWhatWasTurnedAlikeTakeTheCodesAsTheyAre) {
  const auto a = random_matrix(9, 40, 3), b = random_matrix(40, 11, 4);
  const auto y = product(a, b);
  for (const auto* transforms :
       {"hadamard", "hadamard=5", "smooth", "smooth=0.8+hadamard", "hadamard=2+smooth"}) {
    for (const auto* text : {"int8", "int8:sym:channel x int8:channel", "int8:group=8 x int8",
                             "e4m3", "mxfp8", "int8 x q8_0"}) {
      const auto [qa, qb] = quantize_pair(a.view(), b.view(),
                                          parse_scheme_pair(std::string(transforms) + "+" + text));
      const auto exact = product(qa.decoded(), qb.decoded());
      const auto got = multiply(qa, qb);
      EXPECT_LT(off(exact, got), 2e-6) << transforms << "+" << text;
      // The same product by the long way.
      EXPECT_LT(off(product(qa.dequantized(), qb.dequantized()), got), 2e-6)
          << transforms << "+" << text;
      EXPECT_LT(off(y, got), text[0] == 'i' ? 0.02 : 0.06) << transforms << "+" << text;
    }
  }
}

TEST(Transforms, ProductsOfWhatWasTurnedOtherwiseAreDequantized) {
  const auto a = random_matrix(9, 40, 3), b = random_matrix(40, 11, 4);
  const auto left = [&](const char* text) {
    return quantize(a.view(), parse_scheme(text), Role::left);
  };
  const auto right = [&](const char* text, Role role = Role::right) {
    return quantize(b.view(), parse_scheme(text), role);
  };
  const auto expect = [&](const QTensor& qa, const QTensor& qb) {
    EXPECT_LT(off(product(qa.dequantized(), qb.dequantized()), multiply(qa, qb)), 2e-6);
  };
  expect(left("hadamard+int8"), right("int8"));
  expect(left("int8"), right("hadamard+int8"));
  expect(left("hadamard=1+int8"), right("hadamard=2+int8"));
  expect(left("hadamard+int8"), right("hadamard+int8", Role::stored));  // along n
  const auto other = random_matrix(9, 40, 8);
  const SchemePair pair = parse_scheme_pair("smooth+int8");
  const auto first = quantize_pair(a.view(), b.view(), pair);
  const auto second = quantize_pair(other.view(), b.view(), pair);
  ASSERT_NE(first.first.parameters().smoothing, second.first.parameters().smoothing);
  expect(first.first, second.second);
  expect(first.first, right("int8"));
}

TEST(Transforms, SmoothingNeedsBothOperands) {
  const auto a = random_matrix(6, 20, 1), b = random_matrix(20, 5, 2);
  const Scheme scheme = parse_scheme("smooth+int8");
  EXPECT_THAT(testing::refusal([&] { quantize(a.view(), scheme, Role::left, "X"); }),
              AllOf(HasSubstr("X"), HasSubstr("both operands"), HasSubstr("quantize_pair")));
  EXPECT_THAT(testing::refusal([&] { find_params(a.view(), scheme, Role::left); }),
              HasSubstr("both operands"));
  EXPECT_THAT(testing::refusal([&] { Calibrator calibrator(scheme); }), HasSubstr("smooth"));
  EXPECT_THAT(testing::refusal([&] { compare_schemes(a.view(), scheme, scheme); }),
              HasSubstr("both operands"));

  const auto factors = smoothing_factors(a.view(), b.view(), 0.5);
  const auto [qa, qb] = quantize_pair(a.view(), b.view(), {scheme, scheme});
  EXPECT_EQ(qa.parameters().smoothing, factors);
  EXPECT_EQ(qb.parameters().smoothing, factors);
  auto of_a = copy_of(a.view()), of_b = copy_of(b.view());
  divide_along(of_a.view(), Along::rows, factors);
  multiply_along(of_b.view(), Along::columns, factors);
  const auto plain = parse_scheme("int8");
  EXPECT_TRUE(std::ranges::equal(qa.bytes(), quantize(of_a.view(), plain).bytes()));
  EXPECT_TRUE(std::ranges::equal(qb.bytes(), quantize(of_b.view(), plain).bytes()));
  // Counted once, with the left operand.
  EXPECT_DOUBLE_EQ(qa.effective_bits(), 8 + (40 + 32.0 * 20) / 120);
  EXPECT_DOUBLE_EQ(qb.effective_bits(), 8 + 40 / 100.0);
  // The parameters that were found make the same codes again.
  const auto again = quantize(a.view(), scheme, qa.parameters(), Role::left);
  EXPECT_TRUE(std::ranges::equal(again.bytes(), qa.bytes()));

  EXPECT_THAT(testing::refusal([&] {
                quantize_pair(a.view(), b.view(), {parse_scheme("hadamard+int8"), plain});
              }),
              HasSubstr("same transforms"));
  EXPECT_THAT(testing::refusal([&] {
                quantize_pair(a.view(), a.view(), {scheme, scheme});
              }),
              HasSubstr("expected 20 rows"));
}

TEST(Transforms, CalibrationTurnsFirst) {
  const Scheme scheme = parse_scheme("hadamard=3+int8:sym:static:layer");
  const auto x = random_matrix(30, 64, 5);
  Calibrator calibrator(scheme, Role::left);
  calibrator.observe(x.view());
  EXPECT_EQ(calibrator.params(),
            find_params(x.view(), parse_scheme("hadamard=3+int8:sym:layer"), Role::left));
  const auto q = quantize(x.view(), scheme, calibrator.params(), Role::left);
  EXPECT_LT(off(x, q.dequantized()), 0.01);
}

TEST(Transforms, AwkwardMatricesHaveDefinedResultsOrNamedErrors) {
  const float most = std::numeric_limits<float>::max();
  for (const auto* text :
       {"hadamard+int8", "hadamard=4+int2:sym", "hadamard+mxfp4", "hadamard+bf16", "smooth+int8",
        "smooth=1+int4:sym", "smooth+hadamard+int8:channel"}) {
    SCOPED_TRACE(text);
    const SchemePair pair = parse_scheme_pair(text);
    for (const std::size_t k : {1U, 2U, 3U, 40U}) {
      for (const float value : {0.0F, 1e-45F, 1e-38F, 5.5F, 1e30F, most / 1000, most}) {
        Matrix<float> a(2, k), b(k, 3);
        std::ranges::fill(a.values(), value);
        std::ranges::fill(b.values(), 0.0F);
        a(1, 0) = -value;
        b(0, 1) = value;
        const auto said = testing::refusal([&] {
          const auto [qa, qb] = quantize_pair(a.view(), b.view(), pair);
          for (const QTensor* q : {&qa, &qb}) {
            const auto back = q->dequantized();
            for (const float each : back.values()) EXPECT_TRUE(std::isfinite(each)) << value;
          }
        });
        const bool may_refuse = value >= 1e30F && std::string(text).find("hadamard") < 20;
        const double sum = double{value} * std::pow(static_cast<double>(k), 1.5);
        EXPECT_TRUE(said == "no refusal" || (may_refuse && sum > most / 4.01)) << said;
        if (may_refuse && value == most && text[0] == 'h') {
          EXPECT_THAT(said, AllOf(HasSubstr("A: "), HasSubstr("index 0"), HasSubstr("rotated")));
        }
      }
    }
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      Matrix<float> a = random_matrix(4, 40), b = random_matrix(40, 4);
      b(20, 3) = bad;
      EXPECT_THAT(testing::refusal([&] { quantize_pair(a.view(), b.view(), pair, "x", "w"); }),
                  AllOf(HasSubstr("w: "), HasSubstr("83")));
      a(1, 5) = bad;
      EXPECT_THAT(testing::refusal([&] { quantize_pair(a.view(), b.view(), pair, "x", "w"); }),
                  AllOf(HasSubstr("x: "), HasSubstr("45")));
    }
  }
  EXPECT_THAT(testing::refusal([] {
                quantize(Matrix<float>(0, 4).view(), parse_scheme("hadamard+int8"), Role::left,
                         "E");
              }),
              AllOf(HasSubstr("E: "), HasSubstr("at least one")));
  EXPECT_EQ(quantize(Matrix<float>(0, 4).view(), parse_scheme("hadamard+bf16")).rows(), 0U);
}

TEST(Transforms, SameCodesOnEveryInstructionSetAndThreadCount) {
  const auto a = random_matrix(100, 1000, 6), b = random_matrix(1000, 70, 7);
  const SchemePair pair = parse_scheme_pair("smooth=0.4+hadamard=8+int8:sym:channel");
  const auto expected = quantize_pair(a.view(), b.view(), pair);
  testing::on_every_target([&] {
    for (const int threads : {1, 3}) {
      const testing::WithThreads with(threads);
      const auto got = quantize_pair(a.view(), b.view(), pair);
      EXPECT_TRUE(std::ranges::equal(got.first.bytes(), expected.first.bytes()));
      EXPECT_TRUE(std::ranges::equal(got.second.bytes(), expected.second.bytes()));
      EXPECT_EQ(got.first.parameters(), expected.first.parameters());
      EXPECT_EQ(got.second.parameters(), expected.second.parameters());
    }
  });
}

TEST(Transforms, DifferencesOfSchemesNameThem) {
  const auto x = random_matrix(20, 32);
  const auto difference =
      compare_schemes(x.view(), parse_scheme("int8"), parse_scheme("hadamard=2+int8"));
  ASSERT_EQ(difference.axes.size(), 1U);
  EXPECT_EQ(difference.axes[0].axis, "transforms");
  EXPECT_EQ(difference.axes[0].a, "none");
  EXPECT_EQ(difference.axes[0].b, "hadamard=2");
  EXPECT_EQ(difference.axes[0].changed, difference.values_differ);
  EXPECT_EQ(difference.b.changed_again, 0U);
}

}  // namespace
}  // namespace zeropoint
