// Ledgers: parts that add up to the error, and that are what they are called.
#include "zeropoint/quantize/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "support/matrices.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using testing::normal_matrix;

double squared_error(const Matrix<float>& x, const Matrix<float>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += std::pow(double{x.data()[i]} - y.data()[i], 2);
  }
  return sum;
}

Matrix<float> zeros(const Matrix<float>& x) {
  Matrix<float> zero(x.rows(), x.cols());
  std::ranges::fill(zero.values(), 0.0F);
  return zero;
}

template <class T>
const T& any(const std::vector<T>& list, std::mt19937_64& random) {
  return list[random() % list.size()];
}

// A scheme of any format, with whatever words go with it.
Scheme random_scheme(std::mt19937_64& random) {
  static const std::vector<std::string> mappings = {"", ":sym", ":affine"};
  static const std::vector<std::string> tiles = {"", ":channel", ":group=8", ":group=13",
                                                 ":block=4x6"};
  static const std::vector<std::string> ranges = {"", ":cover=0.9", ":sigma=2", ":mse", ":kl"};
  static const std::vector<std::string> roundings = {"", ":floor", ":half-away", ":stochastic=7"};
  static const std::vector<std::string> conventions = {
      "", "@onnx", "@onnxruntime", "@torch", "@fbgemm", "@gemmlowp", "@report"};
  static const std::vector<std::string> shrinks = {"", "", ":shrink"};
  static const std::vector<std::string> transforms = {"", "", "", "hadamard+", "hadamard=3+"};
  while (true) {
    const auto text = any(transforms, random) + any(formats(), random).name +
                      any(mappings, random) + any(tiles, random) + any(ranges, random) +
                      any(roundings, random) + any(shrinks, random) + any(conventions, random);
    try {
      return parse_scheme(text);
    } catch (const InputError&) {  // words that do not go together
    }
  }
}

TEST(TensorLedger, AddsUpOverRandomSchemes) {
  std::mt19937_64 random(901);
  for (int trial = 0; trial < 400; ++trial) {
    const auto scheme = random_scheme(random);
    SCOPED_TRACE(to_string(scheme));
    const auto role = any(std::vector{Role::stored, Role::left, Role::right}, random);
    auto x = normal_matrix(1 + random() % 40, 1 + random() % 70, random(),
                           trial % 3 == 0 ? testing::between(random, -3, 3) : 0);
    if (trial % 7 == 0) x.data()[0] *= 40;
    const auto q = quantize(x.view(), scheme, role);
    const auto ledger = tensor_ledger(x.view(), q);
    const double error = squared_error(x, q.dequantized());
    // Rotating back rounds in float32.
    const double whole = squared_error(x, zeros(x));
    EXPECT_NEAR(ledger.error, error,
                scheme.transforms.empty() ? 1e-12 * error : 1e-6 * std::sqrt(error * whole));
    EXPECT_NEAR(ledger.sum(), ledger.error, 1e-9 * ledger.error);
    EXPECT_GE(ledger.clipping, 0);
    EXPECT_GE(ledger.rounding, 0);
  }
}

TEST(ProductLedger, AddsUpOverRandomSchemes) {
  std::mt19937_64 random(902);
  for (int trial = 0; trial < 120; ++trial) {
    const auto scheme_a = random_scheme(random);
    const auto scheme_b = random_scheme(random);
    SCOPED_TRACE(to_string(scheme_a) + " x " + to_string(scheme_b));
    const std::size_t k = 1 + random() % 60;
    const auto a = normal_matrix(1 + random() % 30, k, random());
    const auto b = normal_matrix(k, 1 + random() % 30, random());
    const auto y = float_product(a, b);
    const auto qa = quantize(a.view(), scheme_a, Role::left);
    const auto qb = quantize(b.view(), scheme_b, Role::right);
    const auto product = multiply(qa, qb);
    const auto output = fake_quantize(product.view(), parse_scheme("int8"));
    for (const auto* out : {static_cast<const Matrix<float>*>(nullptr), &output}) {
      const auto ledger = product_ledger(a, b, y, qa, qb, product, out);
      const double error = squared_error(y, out == nullptr ? product : *out);
      EXPECT_NEAR(ledger.error, error, 1e-12 * error);
      EXPECT_NEAR(ledger.sum(), error, 1e-9 * error);
      EXPECT_EQ(ledger.part(ProductPart::output) == 0, out == nullptr);
    }
  }
}

TensorLedger ledger_of(const Matrix<float>& x, std::string_view scheme) {
  return tensor_ledger(x.view(), quantize(x.view(), parse_scheme(scheme)));
}

TEST(TensorLedger, ShrinkGainsInTheStoredScaleAlone) {
  const auto x = normal_matrix(60, 80, 6, 0.3);
  for (const std::string text : {"int3", "int2:sym", "int4:cover=0.8:group=8", "e2m1:channel",
                                 "nf4:group=16", "lloyd2-normal", "int3:stochastic"}) {
    const auto plain = ledger_of(x, text), shrunk = ledger_of(x, text + ":shrink");
    EXPECT_EQ(shrunk.clipping, plain.clipping) << text;
    EXPECT_EQ(shrunk.rounding, plain.rounding) << text;
    EXPECT_EQ(shrunk.zero_point, plain.zero_point) << text;
    EXPECT_LT(shrunk.stored_scale, plain.stored_scale) << text;
    EXPECT_LT(shrunk.error, plain.error) << text;
    EXPECT_NEAR(shrunk.sum(), shrunk.error, 1e-9 * shrunk.error) << text;
  }
}

TEST(TensorLedger, CodebooksOfMeansClipNothing) {
  const auto x = normal_matrix(60, 80, 6);
  EXPECT_EQ(ledger_of(x, "lloyd3-normal").clipping, 0);
  EXPECT_EQ(ledger_of(x, "lloyd3").clipping, 0);
  EXPECT_GT(ledger_of(x, "nf4:cover=0.9").clipping, 0);
}

TEST(TensorLedger, PutsEachErrorWhereItBelongs) {
  const auto x = normal_matrix(200, 300, 5);
  const double n = static_cast<double>(x.size());
  {
    const auto q = quantize(x.view(), parse_scheme("int8:sym"));
    const auto ledger = tensor_ledger(x.view(), q);
    EXPECT_EQ(ledger.zero_point, 0);
    EXPECT_LT(std::abs(ledger.stored_scale), 1e-5 * ledger.error);
    EXPECT_EQ(ledger.clipping, 0);
    EXPECT_NEAR(ledger.rounding / n, std::pow(q.params().scale, 2) / 12, 0.01 * ledger.error / n);
  }
  {
    const auto ledger = ledger_of(x, "int8:cover=0.9");
    EXPECT_GT(ledger.clipping, 0.99 * ledger.error);
    EXPECT_GT(ledger.rounding, 0);
  }
  {
    // Codes for −0.9, 0.1, 1.1 and 2.1; with the zero point cut off to 0 they stand for 0, 1, 2 and
    // 3. Integrals of the squared distance: 1/12 a value, and (0.9³ + 2·0.5³ + 0.5³ + 0.1³) / 3
    // over a width of 3.
    Matrix<float> even(1, 4097);
    for (std::size_t i = 0; i < even.size(); ++i) {
      even.data()[i] = static_cast<float>(i) / 4096.0F * 3 - 0.9F;
    }
    const auto ledger = ledger_of(even, "uint2@report-code:mapping=affine");
    const double moved = (std::pow(0.9, 3) + 4 * std::pow(0.5, 3) + std::pow(0.1, 3)) / 3 / 3;
    EXPECT_NEAR(ledger.rounding / 4097, 1.0 / 12, 1e-3);
    EXPECT_NEAR(ledger.zero_point / 4097, moved - 1.0 / 12, 1e-3);
    EXPECT_EQ(ledger.clipping, 0);
  }
}

// Powers of two for scales cost what a step up to twice as wide costs, less what it clips.
TEST(TensorLedger, TellsWhatStoredScalesCost) {
  const auto x = normal_matrix(200, 320, 6);
  for (const auto* name : {"mxfp4", "mxfp6", "mxfp8", "mxint8"}) {
    const auto ledger = ledger_of(x, name);
    EXPECT_GT(ledger.stored_scale, 0.1 * ledger.error) << name;
    EXPECT_GT(ledger.rounding, 0.3 * ledger.error) << name;
  }
  for (const auto* name : {"q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "nvfp4"}) {
    const auto ledger = ledger_of(x, name);
    EXPECT_LT(std::abs(ledger.stored_scale), 0.05 * ledger.error) << name;
    EXPECT_GT(ledger.rounding, 0.9 * ledger.error) << name;
  }
  // The same scales as real numbers: a group's integers.
  const auto real = ledger_of(x, "int8-narrow:sym:group=32");
  const auto q8_0 = ledger_of(x, "q8_0");
  EXPECT_NEAR(q8_0.rounding, real.error, 0.01 * real.error);
}

TEST(ProductLedger, SharesAsTheyAreMade) {
  const auto a = normal_matrix(60, 200, 7), b = normal_matrix(200, 50, 8);
  const auto y = float_product(a, b);
  const auto fine = parse_scheme("int12:sym"), coarse = parse_scheme("int4:sym");
  const auto qa = quantize(a.view(), coarse, Role::left);
  const auto qb = quantize(b.view(), fine, Role::right);
  const auto ledger = product_ledger(a, b, y, qa, qb, multiply(qa, qb));
  EXPECT_GT(ledger.part(ProductPart::a), 0.99 * ledger.error);
  EXPECT_LT(ledger.part(ProductPart::b), 1e-3 * ledger.error);
  EXPECT_LT(ledger.part(ProductPart::arithmetic), 1e-6 * ledger.error);
  // An accumulator that wraps is all that counts.
  const auto wide = quantize(a.view(), parse_scheme("int8:sym"), Role::left);
  const auto other = quantize(b.view(), parse_scheme("int8:sym"), Role::right);
  const auto wrapped =
      product_ledger(a, b, y, wide, other, multiply(wide, other, parse_accumulator("int8-wrap")));
  EXPECT_GT(wrapped.part(ProductPart::arithmetic), 0.9 * wrapped.error);
}

TEST(Ledgers, RefuseShapesThatDoNotFit) {
  const auto x = normal_matrix(3, 4, 1), other = normal_matrix(4, 4, 1);
  const auto q = quantize(x.view(), parse_scheme("int8"));
  EXPECT_THAT(testing::refusal([&] { tensor_ledger(other.view(), q); }), HasSubstr("3x4"));
  EXPECT_THAT(testing::refusal([&] { product_ledger(x, other, other, q, q, other); }),
              HasSubstr("B's codes"));
}

}  // namespace
}  // namespace zeropoint
