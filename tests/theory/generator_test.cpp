// The matrices: the report's, to the bit, and the counter generator's.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/theory/distribution.hpp"

#include "support/normal.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using testing::WithThreads;

// u = (next word & 0xFFFFFF)·2⁻²⁴.
std::vector<float> report_uniforms(std::uint32_t seed, std::size_t count) {
  std::mt19937 engine(seed);
  std::vector<float> u(count);
  for (float& x : u) x = static_cast<float>(engine() % (1U << 24)) / static_cast<float>(1U << 24);
  return u;
}

TEST(ReportGenerator, DrawsAThenBUniformOnMinusOneToOne) {
  for (const std::uint32_t seed : {0U, 1U, 123456789U}) {
    const auto pair = draw_operands(distribution("uniform"), Generator::report, seed, 5, 7, 3);
    const auto u = report_uniforms(seed, 35 + 21);
    for (std::size_t i = 0; i < 35; ++i) ASSERT_EQ(pair.a.values()[i], u[i] * 2 - 1) << i;
    for (std::size_t i = 0; i < 21; ++i) ASSERT_EQ(pair.b.values()[i], u[35 + i] * 2 - 1) << i;
  }
  // By hand: the twister seeded with 0 begins 2357136044, 2546248239.
  const auto pair = draw_operands(distribution("uniform"), Generator::report, 0, 1, 1, 1);
  EXPECT_EQ(pair.a(0, 0), 2357136044 % 16777216 / 8388608.0F - 1);
  EXPECT_EQ(pair.b(0, 0), 2546248239 % 16777216 / 8388608.0F - 1);
}

// One block of 16 by the reference's description, each function rounded to float32.
void transform(float* u) {
  for (int j = 0; j < 8; ++j) {
    const float v = 1 - u[j];
    const float w = u[j + 8];
    const auto log_v = static_cast<float>(std::log(double{v}));
    const auto radius = static_cast<float>(std::sqrt(double{-2 * log_v}));
    const auto angle = static_cast<float>(2 * std::numbers::pi * w);
    u[j] = radius * static_cast<float>(std::cos(double{angle}));
    u[j + 8] = radius * static_cast<float>(std::sin(double{angle}));
  }
}

// The next `count` normal numbers out of `u`, from `used` on.
std::vector<float> report_normals(const std::vector<float>& u, std::size_t& used,
                                  std::size_t count) {
  const auto from = [&](std::size_t at) { return u.begin() + static_cast<std::ptrdiff_t>(at); };
  std::vector<float> x(from(used), from(used + count));
  used += count;
  for (std::size_t block = 0; block + 16 <= count; block += 16) transform(&x[block]);
  if (count % 16 != 0) {
    std::copy(from(used), from(used + 16), x.end() - 16);
    used += 16;
    transform(&x[count - 16]);
  }
  return x;
}

void expect_within_one_ulp(std::span<const float> found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_LE(found[i], std::nextafter(expected[i], 10.0F)) << i << " of " << found.size();
    ASSERT_GE(found[i], std::nextafter(expected[i], -10.0F)) << i << " of " << found.size();
  }
}

TEST(ReportGenerator, DrawsNormalsInBlocksOfSixteen) {
  struct Shape {
    std::size_t m, k, n;
  };
  for (const auto& [m, k, n] : {Shape{4, 4, 4}, Shape{4, 8, 6}, Shape{1, 17, 1}, Shape{5, 5, 5},
                                Shape{10, 10, 10}, Shape{31, 1, 33}, Shape{100, 83, 41}}) {
    for (const std::uint32_t seed : {0U, 42U}) {
      const auto u = report_uniforms(seed, m * k + k * n + 32);
      std::size_t used = 0;
      const auto a = report_normals(u, used, m * k);
      const auto b = report_normals(u, used, k * n);
      const auto pair = draw_operands(distribution("normal"), Generator::report, seed, m, k, n);
      ASSERT_NO_FATAL_FAILURE(expect_within_one_ulp(pair.a.values(), a));
      ASSERT_NO_FATAL_FAILURE(expect_within_one_ulp(pair.b.values(), b));
    }
  }
}

// Against Box and Muller's formula itself, in double from end to end.
TEST(ReportGenerator, DrawsNormalsThatAreNormal) {
  const auto pair = draw_operands(distribution("normal"), Generator::report, 7, 40, 40, 1);
  const auto u = report_uniforms(7, 1600);
  for (std::size_t block = 0; block < 1600; block += 16) {
    for (std::size_t j = 0; j < 8; ++j) {
      const double radius = std::sqrt(-2 * std::log1p(-double{u[block + j]}));
      const double angle = 2 * std::numbers::pi * u[block + j + 8];
      // float32's 2π is off by up to 2.4e-7.
      ASSERT_NEAR(pair.a.values()[block + j], radius * std::cos(angle), radius * 5e-7);
      ASSERT_NEAR(pair.a.values()[block + j + 8], radius * std::sin(angle), radius * 5e-7);
    }
  }
}

TEST(ReportGenerator, DrawsFewerThanSixteenNormalsAsTheFirstOfABlock) {
  auto u = report_uniforms(3, 32);
  transform(&u[0]);
  transform(&u[16]);
  const auto pair = draw_operands(distribution("normal"), Generator::report, 3, 3, 3, 3);
  expect_within_one_ulp(pair.a.values(), {u.begin(), u.begin() + 9});
  expect_within_one_ulp(pair.b.values(), {u.begin() + 16, u.begin() + 25});
}

TEST(ReportGenerator, TakesSeedsOf32Bits) {
  const auto draw = [](std::uint64_t seed) {
    return testing::refusal(
        [&] { draw_operands(distribution("uniform"), Generator::report, seed, 1, 1, 1); });
  };
  EXPECT_EQ(draw(0xFFFFFFFF), "no refusal");
  EXPECT_THAT(draw(0x100000000), HasSubstr("4294967296"));
}

TEST(CounterGenerator, DoesNotDependOnThreads) {
  for (const Distribution& d : distributions()) {
    // More than one piece of work, and no whole number of counter blocks.
    const auto expected = [&] {
      const WithThreads with(1);
      return draw_operands(d, Generator::counter, 5, 331, 401, 333);
    }();
    for (const int count : {2, 3, 7}) {
      const WithThreads with(count);
      const auto pair = draw_operands(d, Generator::counter, 5, 331, 401, 333);
      EXPECT_TRUE(std::ranges::equal(pair.a.values(), expected.a.values()));
      EXPECT_TRUE(std::ranges::equal(pair.b.values(), expected.b.values()));
    }
  }
}

TEST(CounterGenerator, GivesAnyPartAlone) {
  for (const Distribution& d : distributions()) {
    const CounterStream stream(99, 0);
    std::vector<float> whole(101);
    d.fill_counter(stream, 0, whole);
    for (const std::size_t first : {0, 4, 52, 96, 100}) {
      for (std::size_t count = 0; first + count <= whole.size() && count < 10; ++count) {
        std::vector<float> part(count);
        d.fill_counter(stream, first, part);
        EXPECT_TRUE(std::equal(part.begin(), part.end(),
                               whole.begin() + static_cast<std::ptrdiff_t>(first)));
      }
    }
  }
}

// Kolmogorov and Smirnov's distance, which stays below 1.95/√n in 999 of 1000 samples.
double distance(std::vector<float> values, const Distribution& d) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  double most = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double p = d.cdf(values[i]);
    const auto rank = static_cast<double>(i);
    most = std::max({most, p - rank / n, (rank + 1) / n - p});
  }
  return most;
}

double correlation(std::span<const float> x, std::span<const float> y) {
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    xy += double{x[i]} * y[i];
    xx += double{x[i]} * x[i];
    yy += double{y[i]} * y[i];
  }
  return xy / std::sqrt(xx * yy);
}

TEST(BothGenerators, DrawFromTheirDistributionIndependently) {
  for (const auto generator : {Generator::report, Generator::counter}) {
    for (const Distribution& d : distributions()) {
      const auto pair = draw_operands(d, generator, 17, 1, 400'000, 1);
      const double n = 400'000;
      const double variance = d.name() == "uniform" ? 1.0 / 3 : 1;
      const double fourth = d.name() == "uniform" ? 1.0 / 5 : 3;
      for (const auto values : {pair.a.values(), pair.b.values()}) {
        testing::Mean mean, square;
        for (const float x : values) {
          mean.add(x);
          square.add(double{x} * x);
        }
        EXPECT_NEAR(mean.value(), 0, 4 * std::sqrt(variance / n)) << d.name();
        EXPECT_NEAR(square.value(), variance, 4 * std::sqrt((fourth - variance * variance) / n));
        EXPECT_LT(distance({values.begin(), values.end()}, d), 1.95 / std::sqrt(n)) << d.name();
        for (const std::size_t lag : {1, 2, 4, 8, 16}) {
          EXPECT_NEAR(correlation(values, values.subspan(lag)), 0, 4 / std::sqrt(n)) << lag;
        }
      }
      EXPECT_NEAR(correlation(pair.a.values(), pair.b.values()), 0, 4 / std::sqrt(n)) << d.name();
      const auto other = draw_operands(d, generator, 18, 1, 400'000, 1);
      EXPECT_NEAR(correlation(pair.a.values(), other.a.values()), 0, 4 / std::sqrt(n)) << d.name();
    }
  }
}

TEST(CounterGenerator, TakesSeedsOf64Bits) {
  const auto& d = distribution("uniform");
  const auto low = draw_operands(d, Generator::counter, 1, 2, 2, 2);
  const auto high = draw_operands(d, Generator::counter, (std::uint64_t{1} << 32) + 1, 2, 2, 2);
  EXPECT_FALSE(std::ranges::equal(low.a.values(), high.a.values()));
}

}  // namespace
}  // namespace zeropoint
