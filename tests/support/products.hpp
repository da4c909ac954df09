#pragma once
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/qgemm.hpp"

#include "support/codes.hpp"
#include "support/outputs.hpp"
#include "support/refusal.hpp"

namespace zeropoint::testing {

struct Shape {
  std::size_t m, k, n;
};

/// One for all, or one for each; small enough that a thousand products are summed in 32 bits.
inline ZeroPointsOf small_zero_points(std::mt19937_64& random, std::size_t count) {
  const auto one = [&] { return static_cast<std::int32_t>(integer_between(random, -128, 255)); };
  ZeroPointsOf zero_points{one()};
  if (random() % 2 == 0) zero_points.each.resize(count);
  for (auto& z : zero_points.each) z = one();
  return zero_points;
}

/// Zero, one for all, or one for each; on the grids of 8 bits and far off any.
inline ZeroPointsOf any_zero_points(std::mt19937_64& random, std::size_t count) {
  const auto near = [&] { return static_cast<std::int32_t>(integer_between(random, -128, 255)); };
  const auto far = [&] {
    return static_cast<std::int32_t>(integer_between(random, -70'000, 70'000));
  };
  ZeroPointsOf zero_points;
  switch (random() % 6) {
    case 0:
      break;
    case 1:
    case 2:
      zero_points.all = near();
      break;
    case 3:
      zero_points.all = far();
      break;
    case 4:
      for (std::size_t i = 0; i < count; ++i) zero_points.each.push_back(near());
      break;
    case 5:
      for (std::size_t i = 0; i < count; ++i) {
        zero_points.each.push_back(random() % 4 == 0 ? far() : near());
      }
      break;
  }
  return zero_points;
}

/// Operands in layouts of their own and what the product of them is.
class TestProduct {
 public:
  TestProduct(std::mt19937_64& random, const Shape& shape, CodeType type_a, CodeType type_b,
              Values values_a = Values::any, Values values_b = Values::any)
      : TestProduct(AnyCodes(type_a, shape.m, shape.k, kLayouts[random() % std::size(kLayouts)],
                             values_a, random),
                    any_zero_points(random, shape.m),
                    AnyCodes(type_b, shape.k, shape.n, kLayouts[random() % std::size(kLayouts)],
                             values_b, random),
                    any_zero_points(random, shape.n)) {}

  TestProduct(AnyCodes a, ZeroPointsOf zero_a, AnyCodes b, ZeroPointsOf zero_b)
      : a_(std::move(a)),
        b_(std::move(b)),
        zero_a_(std::move(zero_a)),
        zero_b_(std::move(zero_b)),
        sums_(sums_by_definition(a_, zero_a_, b_, zero_b_)) {}

  Operand a() const { return {a_.view(), zero_a_.as<ZeroPoints>()}; }
  Operand b() const { return {b_.view(), zero_b_.as<ZeroPoints>()}; }
  bool can_be_packed() const { return b_.view().bytes == 1; }
  const Matrix<std::int64_t>& sums() const { return sums_; }
  std::size_t rows() const { return sums_.rows(); }
  std::size_t cols() const { return sums_.cols(); }
  std::int64_t largest_sum() const {
    std::int64_t largest = 0;
    for (const auto sum : sums_.values()) largest = std::max(largest, std::abs(sum));
    return largest;
  }

 private:
  AnyCodes a_, b_;
  ZeroPointsOf zero_a_, zero_b_;
  Matrix<std::int64_t> sums_;
};

/// What `out` holds against `expected(i, j)`, bit by bit, and that nothing else was written.
template <class T, class Expected>
void expect_elements(const Output<T>& out, const Expected& expected) {
  const auto view = out.view();
  for (std::size_t i = 0; i < view.rows; ++i) {
    for (std::size_t j = 0; j < view.cols; ++j) {
      const T found = view(i, j);
      const T wanted = expected(i, j);
      if (std::memcmp(&found, &wanted, sizeof(T)) != 0) {
        FAIL() << fmt::format("found {} at ({}, {}), expected {}", found, i, j, wanted);
      }
    }
  }
  ASSERT_EQ(out.spoiled(), 0U) << "elements outside the output have changed";
}

inline void expect_int64(const TestProduct& p, const RightOperand& b, Layout layout) {
  Output<std::int64_t> out(p.rows(), p.cols(), layout);
  qgemm(p.a(), b, out.view());
  expect_elements(out, [&](std::size_t i, std::size_t j) { return p.sums()(i, j); });
}

/// The sums, or the refusal that names the first that does not fit.
inline void expect_int32(const TestProduct& p, const RightOperand& b, Layout layout) {
  Output<std::int32_t> out(p.rows(), p.cols(), layout);
  const std::string said = refusal([&] { qgemm(p.a(), b, out.view()); });
  const auto& sums = p.sums();
  for (std::size_t e = 0; e < sums.size(); ++e) {
    const std::int64_t sum = sums.values()[e];
    if (sum == static_cast<std::int32_t>(sum)) continue;
    ASSERT_THAT(said, ::testing::HasSubstr(fmt::format("int32, found {} at ({}, {})", sum,
                                                       e / p.cols(), e % p.cols())));
    ASSERT_EQ(out.spoiled(), 0U);
    return;
  }
  ASSERT_EQ(said, "no refusal");
  expect_elements(
      out, [&](std::size_t i, std::size_t j) { return static_cast<std::int32_t>(sums(i, j)); });
}

/// Scales and biases of a product's real output.
struct RealOutput {
  AllOrEach<float> scale_a{1}, scale_b{1};
  std::vector<float> bias;

  RealOutput(std::mt19937_64& random, std::size_t m, std::size_t n) {
    const auto scale = [&] { return static_cast<float>(between(random, 1e-4, 0.1)); };
    scale_a.all = scale();
    scale_b.all = random() % 8 == 0 ? 0x1p-140F : scale();
    if (random() % 3 == 0) scale_a.each = some(m, scale);
    if (random() % 2 == 0) scale_b.each = some(n, scale);
    if (random() % 2 == 0) {
      bias = some(n, [&] { return static_cast<float>(between(random, -1000, 1000)); });
    }
  }
  Dequantization how() const { return {scale_a.as<Scales>(), scale_b.as<Scales>(), bias}; }
  /// The four steps, each rounded to float32.
  float real(std::int64_t sum, std::size_t i, std::size_t j) const {
    const float scale = scale_a[i] * scale_b[j];
    const auto number = static_cast<float>(sum);
    const float product = scale * number;
    return bias.empty() ? product : product + bias[j];
  }

 private:
  template <class Make>
  static std::vector<float> some(std::size_t count, const Make& make) {
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(make());
    return values;
  }
};

inline void expect_float32(const TestProduct& p, const RightOperand& b, Layout layout,
                           const RealOutput& real) {
  Output<float> out(p.rows(), p.cols(), layout);
  qgemm(p.a(), b, real.how(), out.view());
  expect_elements(out,
                  [&](std::size_t i, std::size_t j) { return real.real(p.sums()(i, j), i, j); });
}

inline constexpr ScaleIn kScaleIns[] = {ScaleIn::float64, ScaleIn::float32, ScaleIn::fixed_point};
inline constexpr Rounding kRoundings[] = {Rounding::half_even, Rounding::half_away, Rounding::floor,
                                          Rounding::truncate};

/// Onto codes of type Y.
template <class Y>
void expect_codes(const TestProduct& p, const RightOperand& b, Layout layout,
                  const Requantization& how) {
  Output<Y> out(p.rows(), p.cols(), layout);
  qgemm(p.a(), b, how, out.view());
  expect_elements(out, [&](std::size_t i, std::size_t j) {
    Requantization of_column = how;
    of_column.multipliers = {};
    if (!how.multipliers.empty()) of_column.multiplier = how.multipliers[j];
    return static_cast<Y>(requantize(p.sums()(i, j), of_column));
  });
}

/// Rules by which most sums stay on the grid of Y and some do not; often with ties.
template <class Y>
struct CodeOutput {
  Requantization how;
  std::vector<double> multipliers;

  CodeOutput(std::mt19937_64& random, const TestProduct& p) {
    constexpr std::int32_t kLeast = std::numeric_limits<Y>::min();
    constexpr std::int32_t kMost = std::numeric_limits<Y>::max();
    const double whole =
        (kMost - kLeast) / static_cast<double>(std::max<std::int64_t>(1, p.largest_sum()));
    const auto multiplier = [&] {
      const double any = whole * between(random, 0.1, 0.8);
      const double sign = random() % 16 == 0 ? -1 : 1;
      return sign * (random() % 3 == 0 ? std::exp2(std::floor(std::log2(any))) : any);
    };
    how.multiplier = multiplier();
    if (random() % 2 == 0) {
      for (std::size_t j = 0; j < p.cols(); ++j) multipliers.push_back(multiplier());
    }
    how.multipliers = multipliers;
    how.zero_point = static_cast<std::int32_t>(integer_between(random, kLeast, kMost));
    how.lo = random() % 2 == 0 ? kLeast : how.zero_point;  // a ReLU
    how.hi = kMost;
    if (random() % 8 == 0) {
      how.zero_point = static_cast<std::int32_t>(integer_between(random, -(1 << 26), 1 << 26));
    }
    how.scale_in = kScaleIns[random() % 3];
    how.rounding = kRoundings[random() % 4];
    how.zero_point_before_rounding = random() % 2 == 0;
    if (random() % 3 == 0) {  // what kernels finish themselves
      how.scale_in = ScaleIn::float32;
      how.rounding = Rounding::half_even;
      how.zero_point_before_rounding = false;
    }
  }
  CodeOutput(const CodeOutput&) = delete;
  CodeOutput& operator=(const CodeOutput&) = delete;
};

/// Every kind of output, B as it is and packed; int8 or uint8, and now and then 16 bits.
inline void expect_every_output(const TestProduct& p, std::mt19937_64& random) {
  const auto layout = [&] { return kLayouts[random() % std::size(kLayouts)]; };
  std::optional<PackedMatrix> packed;
  if (p.can_be_packed()) packed.emplace(p.b());
  const Operand plain = p.b();
  for (const bool is_packed : {false, true}) {
    if (is_packed && !packed) continue;
    SCOPED_TRACE(is_packed ? "B is packed" : "B is plain");
    const RightOperand b = is_packed ? RightOperand(*packed) : RightOperand(plain);
    ASSERT_NO_FATAL_FAILURE(expect_int64(p, b, layout()));
    ASSERT_NO_FATAL_FAILURE(expect_int32(p, b, layout()));
    ASSERT_NO_FATAL_FAILURE(expect_float32(p, b, layout(), RealOutput(random, p.rows(), p.cols())));
    const CodeType type = kCodeTypes[random() % 2 + (random() % 4 == 0 ? 2 : 0)];
    with_code_of(type, [&]<class Y>(Y) {
      SCOPED_TRACE(name_of(type));
      const CodeOutput<Y> code(random, p);
      expect_codes<Y>(p, b, layout(), code.how);
    });
    if (::testing::Test::HasFatalFailure()) return;
  }
}

/// That, of random operands of the two types; `seed` is said when it fails.
inline void expect_exact(std::uint64_t seed, const Shape& shape, CodeType type_a, CodeType type_b,
                         Values values_a = Values::any, Values values_b = Values::any) {
  SCOPED_TRACE(fmt::format("{} {}x{} by {} {}x{}, seed {}", name_of(type_a), shape.m, shape.k,
                           name_of(type_b), shape.k, shape.n, seed));
  std::mt19937_64 random(seed);
  expect_every_output(TestProduct(random, shape, type_a, type_b, values_a, values_b), random);
}

/// Calls `body(type_a, type_b)` for all 16 pairs, until one fails.
template <class Body>
void on_every_pair(const Body& body) {
  for (const CodeType a : kCodeTypes) {
    for (const CodeType b : kCodeTypes) {
      body(a, b);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace zeropoint::testing
