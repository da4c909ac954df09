#include "zeropoint/gemm/accumulator.hpp"

#include <bit>
#include <cmath>
#include <functional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/formats/float_format.hpp"

#include "support/products.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using testing::AnyCodes;
using ::testing::HasSubstr;
using testing::LaidOut;
using testing::refusal;
using testing::Shape;
using testing::WithThreads;
using testing::ZeroPointsOf;

// 113 bits of precision: products of floats, and their sums with what is not much smaller.
#ifdef __SIZEOF_FLOAT128__
__extension__ using Wide = __float128;
#else
using Wide = long double;
#endif

// The definitions, one number at a time.

double clamp_or_wrap(std::int64_t x, int bits, IntegerOverflow overflow) {
  const std::int64_t hi = (std::int64_t{1} << (bits - 1)) - 1;
  const std::int64_t lo = -hi - 1;
  if (overflow == IntegerOverflow::saturate)
    return static_cast<double>(x < lo ? lo : x > hi ? hi : x);
  const std::int64_t all = std::int64_t{1} << bits;
  const std::int64_t rest = ((x - lo) % all + all) % all;
  return static_cast<double>(lo + rest);
}

// The number of the format that is nearest to an exact one, found among three by their distances;
// the infinities stand where the next numbers would.
double nearest(const FloatFormat& format, Wide exact) {
  const auto about = static_cast<double>(exact);
  if (!std::isfinite(about) || exact == 0) return about;
  const Wide magnitude = exact < 0 ? -exact : exact;
  const std::uint32_t guess = encode(format, static_cast<double>(magnitude));
  const auto value = [&](std::uint32_t code) -> Wide {
    if (code != format.infinity_code()) return decode(format, code).value;
    return Wide(2) * decode(format, code - (1U << format.fraction_bits)).value;
  };
  const auto distance = [&](std::uint32_t code) -> Wide {
    const Wide d = value(code) - magnitude;
    return d < 0 ? -d : d;
  };
  std::uint32_t best = guess;
  for (const std::uint32_t code : {guess - 1, guess + 1}) {
    if (code > format.infinity_code()) continue;
    if (distance(code) < distance(best)) best = code;
    if (distance(code) == distance(best) && code % 2 == 0) best = code;
  }
  return std::copysign(decode(format, best).value, about);
}

int bits_of(AccumulatorKind kind) {
  return kind == AccumulatorKind::int32 ? 32 : kind == AccumulatorKind::int16 ? 16 : 8;
}

// sum + x; a product is added as it is, or after integer conversion.
double add(const Accumulator& accumulator, double sum, double x) {
  switch (accumulator.kind) {
    case AccumulatorKind::float64:
      return sum + x;
    case AccumulatorKind::float32:
      return nearest(float_format("fp32"), Wide(sum) + Wide(x));
    case AccumulatorKind::fp16:
      return nearest(float_format("fp16"), Wide(sum) + Wide(x));
    case AccumulatorKind::bf16:
      return nearest(float_format("bf16"), Wide(sum) + Wide(x));
    default:
      break;
  }
  const int bits = bits_of(accumulator.kind);
  const double term = clamp_or_wrap(static_cast<std::int64_t>(x), bits, accumulator.overflow);
  return clamp_or_wrap(static_cast<std::int64_t>(sum) + static_cast<std::int64_t>(term), bits,
                       accumulator.overflow);
}

double sum_of(const Accumulator& accumulator, std::span<const double> products) {
  const std::size_t n = products.size();
  double sum = 0;
  switch (accumulator.order) {
    case SummationOrder::sequential:
      for (const double p : products) sum = add(accumulator, sum, p);
      return sum;
    case SummationOrder::pairwise: {
      if (n <= 1) return n == 0 ? 0 : add(accumulator, 0, products[0]);
      const std::size_t half = std::bit_floor(n - 1);
      return add(accumulator, sum_of(accumulator, products.first(half)),
                 sum_of(accumulator, products.subspan(half)));
    }
    case SummationOrder::blocked:
      break;
  }
  Accumulator inside = accumulator;
  inside.order = SummationOrder::sequential;
  for (std::size_t l = 0; l < n; l += accumulator.block) {
    const auto block = products.subspan(l, std::min(accumulator.block, n - l));
    sum = add(accumulator, sum, sum_of(inside, block));
  }
  return sum;
}

std::vector<std::string> orders() { return {"sequential", "pairwise", "blocked=1", "blocked=7"}; }

// Every accumulator that wraps, saturates or rounds, in every order.
std::vector<Accumulator> every_accumulator(bool integers) {
  std::vector<Accumulator> all;
  for (const auto& word : accumulator_words()) {
    for (const auto& order : orders()) {
      const auto accumulator = parse_accumulator(word + ":" + order);
      const bool is_integer = format_of(accumulator.kind).is_integer;
      if (is_integer && (!integers || accumulator.overflow == IntegerOverflow::refuse)) continue;
      all.push_back(accumulator);
    }
  }
  return all;
}

using Product = std::function<double(std::size_t i, std::size_t l, std::size_t j)>;

// Bit by bit, the sign of zero too; a NaN is a NaN.
void expect_sums(const testing::Output<double>& out, const Accumulator& accumulator, std::size_t k,
                 const Product& product) {
  std::vector<double> products(k);
  testing::expect_elements(out, [&](std::size_t i, std::size_t j) {
    for (std::size_t l = 0; l < k; ++l) products[l] = product(i, l, j);
    const double sum = sum_of(accumulator, products);
    return std::isnan(sum) ? std::numeric_limits<double>::quiet_NaN() : sum;
  });
}

double code_at(const AnyCodes& codes, std::size_t i, std::size_t j) {
  return codes.with_view([&](const auto& view) -> double { return view(i, j); });
}

constexpr Shape kShapes[] = {{0, 3, 2},   {2, 3, 0},   {2, 0, 3},  {1, 1, 1},
                             {1, 2, 1},   {3, 5, 7},   {1, 64, 1}, {2, 37, 65},
                             {33, 3, 64}, {5, 100, 3}, {1, 257, 2}};

void expect_of_codes(std::mt19937_64& random, const Shape& shape, testing::CodeType type_a,
                     testing::CodeType type_b) {
  const auto layout = [&] { return testing::kLayouts[random() % std::size(testing::kLayouts)]; };
  const AnyCodes a(type_a, shape.m, shape.k, layout(), testing::Values::any, random);
  const AnyCodes b(type_b, shape.k, shape.n, layout(), testing::Values::any, random);
  const ZeroPointsOf zero_a = testing::any_zero_points(random, shape.m);
  const ZeroPointsOf zero_b = testing::any_zero_points(random, shape.n);
  for (const auto& accumulator : every_accumulator(true)) {
    SCOPED_TRACE(to_string(accumulator));
    testing::Output<double> out(shape.m, shape.n, layout());
    accumulate(Operand(a.view(), zero_a.as<ZeroPoints>()),
               Operand(b.view(), zero_b.as<ZeroPoints>()), accumulator, out.view());
    ASSERT_NO_FATAL_FAILURE(expect_sums(out, accumulator, shape.k, [&](auto i, auto l, auto j) {
      return (code_at(a, i, l) - zero_a[i]) * (code_at(b, l, j) - zero_b[j]);
    }));
  }
}

TEST(Accumulate, OfCodesIsTheDefinitionOnEveryInstructionSet) {
  testing::on_every_target([] {
    std::mt19937_64 random(401);
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(fmt::format("{}x{}x{}", shape.m, shape.k, shape.n));
      for (const auto type_a : testing::kCodeTypes) {
        expect_of_codes(random, shape, type_a, testing::kCodeTypes[random() % 4]);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  });
}

// `draw` makes the numbers.
void expect_of_reals(std::mt19937_64& random, const Shape& shape,
                     const std::function<float()>& draw) {
  const auto layout = [&] { return testing::kLayouts[random() % std::size(testing::kLayouts)]; };
  const LaidOut<float> a(shape.m, shape.k, layout(), draw);
  const LaidOut<float> b(shape.k, shape.n, layout(), draw);
  for (const auto& accumulator : every_accumulator(false)) {
    SCOPED_TRACE(to_string(accumulator));
    testing::Output<double> out(shape.m, shape.n, layout());
    accumulate(a.view(), b.view(), accumulator, out.view());
    ASSERT_NO_FATAL_FAILURE(expect_sums(out, accumulator, shape.k, [&](auto i, auto l, auto j) {
      return double{a.view()(i, l)} * double{b.view()(l, j)};
    }));
  }
}

TEST(Accumulate, OfRealsIsTheDefinitionOnEveryInstructionSet) {
  testing::on_every_target([] {
    std::mt19937_64 random(402);
    const auto uniform = [&] { return static_cast<float>(testing::between(random, -1, 1)); };
    // Few bits, many exponents: ties, subnormals of fp16, and sums just beside ties.
    const auto sparse = [&] {
      const auto bits = static_cast<float>(testing::integer_between(random, -5, 5));
      return std::ldexp(bits, static_cast<int>(testing::integer_between(random, -14, 8)));
    };
    const auto large = [&] { return 300 * uniform(); };
    const auto tiny = [&] { return std::ldexp(uniform(), -66); };
    for (const std::function<float()>& draw :
         {std::function<float()>(uniform), std::function<float()>(sparse),
          std::function<float()>(large), std::function<float()>(tiny)}) {
      for (const Shape& shape : kShapes) {
        SCOPED_TRACE(fmt::format("{}x{}x{}", shape.m, shape.k, shape.n));
        expect_of_reals(random, shape, draw);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  });
}

// The fused multiply-add of the C library, on floats of any bits, NaN and infinities too.
TEST(Accumulate, InFloat32IsAFusedMultiplyAdd) {
  std::mt19937_64 random(403);
  const auto draw = [&] {
    if (random() % 4 == 0) return static_cast<float>(testing::between(random, -2, 2));
    return std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  };
  const LaidOut<float> a(100, 6, testing::Layout::row_major, draw);
  const LaidOut<float> b(6, 130, testing::Layout::row_major, draw);
  Matrix<double> sums(100, 130);
  testing::on_every_target([&] {
    accumulate(a.view(), b.view(), {.kind = AccumulatorKind::float32}, sums.view());
    for (std::size_t i = 0; i < 100; ++i) {
      for (std::size_t j = 0; j < 130; ++j) {
        float sum = 0;
        for (std::size_t l = 0; l < 6; ++l) sum = std::fma(a.view()(i, l), b.view()(l, j), sum);
        if (std::isnan(sum)) {
          ASSERT_EQ(std::bit_cast<std::uint64_t>(sums(i, j)), 0x7FF8'0000'0000'0000U);
        } else {
          ASSERT_EQ(std::bit_cast<std::uint64_t>(sums(i, j)),
                    std::bit_cast<std::uint64_t>(double{sum}))
              << sums(i, j) << " for " << sum;
        }
      }
    }
  });
}

double sum_in(std::string_view accumulator, const std::vector<float>& a,
              const std::vector<float>& b) {
  double sum = -1;
  accumulate(MatrixView<const float>{a.data(), 1, a.size(), 0, 1},
             MatrixView<const float>{b.data(), b.size(), 1, 1, 1}, parse_accumulator(accumulator),
             {&sum, 1, 1, 1, 1});
  return sum;
}

// A product that is a tie of the format, and a held sum of ±2^-126 that only says which side is
// right: a double that holds both is the tie again, and would go to even.
TEST(Accumulate, RoundsOnce) {
  const auto beside = [](std::string_view accumulator, float side, float a, float b) {
    return sum_in(accumulator, {side * 0x1p-63F, a}, {0x1p-63F, b});
  };
  const float a = 1 + 0x1p-12F;
  const float b = 1 + 0x3p-12F;
  EXPECT_EQ(beside("float32", 0, a, a), 1 + 0x1p-11);
  EXPECT_EQ(beside("float32", 1, a, a), 1 + 0x1p-11 + 0x1p-23);
  EXPECT_EQ(beside("float32", -1, a, b), 1 + 0x1p-10 + 0x1p-23);
  EXPECT_EQ(beside("float32", 0, a, b), 1 + 0x1p-10 + 0x1p-22);
  EXPECT_EQ(beside("bf16", 0, 1 + 0x1p-8F, 1), 1);
  EXPECT_EQ(beside("bf16", 1, 1 + 0x1p-8F, 1), 1 + 0x1p-7);
  EXPECT_EQ(beside("bf16", 1, 1 + 0x1p-8F, -1), -1);
  EXPECT_EQ(beside("bf16", -1, 1 + 0x3p-8F, 1), 1 + 0x1p-7);
  EXPECT_EQ(beside("bf16", 0, 1 + 0x3p-8F, 1), 1 + 0x1p-6);
  EXPECT_EQ(sum_in("fp16", {0x1p-24F, 1 + 0x1p-11F}, {-1, 1}), 1);
  EXPECT_EQ(sum_in("fp16", {0x1p-24F, 1 + 0x1p-11F}, {1, 1}), 1 + 0x1p-10);
  EXPECT_EQ(sum_in("fp16", {a}, {a}), 1 + 0x1p-10);  // 1 + 2^-11 + 2^-24
}

TEST(Accumulate, InFp16GoesToInfinityAndStaysThere) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(sum_in("fp16", {65504, 15}, {1, 1}), 65504);
  EXPECT_EQ(sum_in("fp16", {65504, 16}, {1, 1}), kInfinity);  // a tie with 65536, which is even
  EXPECT_EQ(sum_in("fp16", {65504, 16, -100}, {1, 1, 1000}), kInfinity);
  EXPECT_EQ(sum_in("fp16", {300, 300}, {-300, 300}), -kInfinity);
  EXPECT_TRUE(std::isnan(sum_in("fp16:pairwise", {300, 300}, {-300, 300})));
  EXPECT_EQ(sum_in("bf16", {300, 300}, {-300, 300}), -112);  // −90,112, the nearest, and 90,000
  EXPECT_EQ(sum_in("bf16", {3e38F, 3e38F}, {1, 1}), kInfinity);
}

TEST(Accumulate, OfNotANumberIsOne) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const char* accumulator : {"float64", "float32", "fp16", "bf16:pairwise"}) {
    EXPECT_TRUE(std::isnan(sum_in(accumulator, {1, kNaN, 2}, {1, 1, 1}))) << accumulator;
    EXPECT_TRUE(std::isnan(sum_in(accumulator, {kInfinity, 1}, {0, 1}))) << accumulator;
    EXPECT_EQ(sum_in(accumulator, {kInfinity, 1}, {-1, 1}), -kInfinity) << accumulator;
    EXPECT_EQ(sum_in(accumulator, {0x1p-149F}, {0x1p-149F}),
              std::string_view(accumulator) == "float64" ? 0x1p-298 : 0);
  }
}

TEST(Accumulate, RefusesASumThatMustFit) {
  const std::vector<std::int8_t> ones{127, 127, 127};
  const auto product = [&](std::size_t k, std::string_view accumulator) {
    double sum = 0;
    accumulate(MatrixView<const std::int8_t>{ones.data(), 1, k, 0, 1},
               MatrixView<const std::int8_t>{ones.data(), k, 1, 1, 1},
               parse_accumulator(accumulator), {&sum, 1, 1, 1, 1});
    return sum;
  };
  EXPECT_EQ(product(2, "int16"), 32258);
  EXPECT_THAT(refusal([&] { product(3, "int16"); }), HasSubstr("int16, found 48387 at (0, 0)"));
  EXPECT_EQ(product(3, "int16-saturate"), 32767);
  EXPECT_EQ(product(3, "int16-wrap"), 48387 - 65536);
  EXPECT_EQ(product(3, "int8-wrap"), 3);
  EXPECT_EQ(product(3, "int8-saturate"), 127);
  EXPECT_EQ(product(3, "int32"), 48387);
}

TEST(Accumulate, RefusesWhatDoesNotFit) {
  Matrix<double> sums(2, 4);
  const Matrix<float> x(2, 3), y(4, 4), z(3, 5);
  const auto of_reals = [&](const Matrix<float>& b, const Accumulator& accumulator) {
    return refusal([&] { accumulate(x.view(), b.view(), accumulator, sums.view()); });
  };
  EXPECT_THAT(of_reals(y, {.kind = AccumulatorKind::fp16}), HasSubstr("found 2x3 and 4x4"));
  EXPECT_THAT(of_reals(z, {.kind = AccumulatorKind::fp16}), HasSubstr("2x5, found 2x4"));
  EXPECT_THAT(of_reals(y, parse_accumulator("int16-wrap:pairwise")),
              HasSubstr("found int16-wrap:pairwise"));
  Matrix<std::int8_t> a(2, 3), b(3, 4);
  std::ranges::fill(a.values(), std::int8_t{0});
  std::ranges::fill(b.values(), std::int8_t{0});
  const auto of_codes = [&](const ZeroPoints& zero_a, const ZeroPoints& zero_b,
                            const Accumulator& accumulator) {
    return refusal([&] {
      accumulate(Operand(a.view(), zero_a), Operand(b.view(), zero_b), accumulator, sums.view());
    });
  };
  const std::vector<std::int32_t> three{1, 2, 3};
  for (const char* word : {"int16-saturate", "int16-wrap", "float64"}) {
    const auto accumulator = parse_accumulator(word);
    EXPECT_THAT(of_codes(three, 0, accumulator), HasSubstr("of its 2 rows, found 3"));
    EXPECT_THAT(of_codes(0, three, accumulator), HasSubstr("of its 4 columns, found 3"));
  }
  constexpr std::int32_t kFar = std::numeric_limits<std::int32_t>::min();
  EXPECT_THAT(of_codes(kFar, kFar, {.kind = AccumulatorKind::float64}), HasSubstr("2^53"));
  EXPECT_THAT(of_codes(kFar, kFar, {.overflow = IntegerOverflow::wrap}), HasSubstr("64 bits"));
  EXPECT_THAT(of_codes(0, 0, {.order = SummationOrder::blocked}), HasSubstr("1 or more terms"));
}

TEST(Accumulate, HasTheSameBitsOnAnyNumberOfThreads) {
  std::mt19937_64 random(404);
  const auto draw = [&] { return static_cast<float>(testing::between(random, -1, 1)); };
  const LaidOut<float> a(100, 150, testing::Layout::row_major, draw);
  const LaidOut<float> b(150, 200, testing::Layout::row_major, draw);
  const auto product = [&](int threads) {
    const WithThreads with(threads);
    Matrix<double> sums(100, 200);
    accumulate(a.view(), b.view(), {.kind = AccumulatorKind::fp16}, sums.view());
    return sums;
  };
  const auto expected = product(1);
  for (const int threads : {2, 3, 7}) {
    EXPECT_TRUE(std::ranges::equal(product(threads).values(), expected.values())) << threads;
  }
}

// 64 MiB of B at once: more than one piece of it.
TEST(Accumulate, OfLongColumnsGoesPieceByPiece) {
  const std::size_t k = 40'000;
  std::mt19937_64 random(405);
  const auto draw = [&] { return testing::any_code<std::int8_t>(random); };
  const LaidOut<std::int8_t> a(2, k, testing::Layout::row_major, draw);
  const LaidOut<std::int8_t> b(k, 300, testing::Layout::row_major, draw);
  Matrix<double> sums(2, 300);
  Matrix<std::int64_t> exact(2, 300);
  accumulate(a.view(), b.view(), {.kind = AccumulatorKind::float64}, sums.view());
  qgemm(a.view(), Operand(b.view()), exact.view());
  for (std::size_t e = 0; e < sums.size(); ++e) {
    ASSERT_EQ(sums.values()[e], static_cast<double>(exact.values()[e]));
  }
}

}  // namespace
}  // namespace zeropoint
