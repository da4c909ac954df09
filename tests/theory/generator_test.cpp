// The matrices: the report's, to the bit, and the counter generator's.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/theory/distribution.hpp"

#include "support/normal.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
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

// Kolmogorov and Smirnov's distance, which stays below 1.95/√n in 999 of 1000 samples; of fewer
// where there are atoms.
double distance(std::vector<float> values, const Distribution& d) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  double most = 0;
  for (auto at = values.begin(); at != values.end();) {
    const auto after = std::upper_bound(at, values.end(), *at);
    const double below = d.cdf(std::nextafter(*at, -1e30F));
    most = std::max({most, below - static_cast<double>(at - values.begin()) / n,
                     static_cast<double>(after - values.begin()) / n - d.cdf(*at)});
    at = after;
  }
  return most;
}

double correlation(std::span<const float> x, std::span<const float> y) {
  const std::size_t n = std::min(x.size(), y.size());
  testing::Mean mean_x, mean_y;
  for (std::size_t i = 0; i < n; ++i) {
    mean_x.add(x[i]);
    mean_y.add(y[i]);
  }
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double off_x = x[i] - mean_x.value(), off_y = y[i] - mean_y.value();
    xy += off_x * off_y;
    xx += off_x * off_x;
    yy += off_y * off_y;
  }
  return xy / std::sqrt(xx * yy);
}

// One entry after the other, whatever structure its matrices have.
OperandPair draw_entries(const Distribution& d, Generator generator, std::uint64_t seed,
                         std::size_t count) {
  if (generator == Generator::report) return draw_operands(d, generator, seed, 1, count, 1);
  OperandPair pair{Matrix<float>(1, count), Matrix<float>(count, 1)};
  d.fill_counter(CounterStream(seed, 0), 0, pair.a.values());
  d.fill_counter(CounterStream(seed, 1), 0, pair.b.values());
  return pair;
}

TEST(BothGenerators, DrawFromTheirDistributionIndependently) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const auto generator : {Generator::report, Generator::counter}) {
    for (const Distribution& d : distributions()) {
      if (generator == Generator::report && !d.has_report_stream()) continue;
      constexpr std::size_t kCount = 200'000;
      const auto pair = draw_entries(d, generator, 17, kCount);
      const double n = kCount;
      for (const auto values : {pair.a.values(), pair.b.values()}) {
        testing::Mean mean, square;
        for (const float x : values) {
          mean.add(x);
          square.add(double{x} * x);
        }
        EXPECT_NEAR(mean.value(), d.partial_mean(kInfinity), 4 * mean.standard_error()) << d.name();
        EXPECT_NEAR(square.value(), d.partial_square(kInfinity), 4 * square.standard_error())
            << d.name();
        EXPECT_LT(distance({values.begin(), values.end()}, d), 1.95 / std::sqrt(n)) << d.name();
        for (const std::size_t lag : {1, 2, 4, 16}) {
          EXPECT_NEAR(correlation(values, values.subspan(lag)), 0, 4 / std::sqrt(n)) << lag;
        }
      }
      EXPECT_NEAR(correlation(pair.a.values(), pair.b.values()), 0, 4 / std::sqrt(n)) << d.name();
      const auto other = draw_entries(d, generator, 18, kCount);
      EXPECT_NEAR(correlation(pair.a.values(), other.a.values()), 0, 4 / std::sqrt(n)) << d.name();
    }
  }
}

TEST(ReportGenerator, DrawsNoOthers) {
  for (const Distribution& d : distributions()) {
    if (d.has_report_stream()) continue;
    EXPECT_THAT(testing::refusal([&] { draw_operands(d, Generator::report, 1, 2, 2, 2); }),
                AllOf(HasSubstr(d.name()), HasSubstr("expected the counter generator")));
  }
}

TEST(Outliers, AreSomeColumnsOfAAlone) {
  const auto& d = distribution("outliers=0.05x100");
  const auto columns_of = [](const Matrix<float>& x) {
    std::vector<std::size_t> columns;
    for (std::size_t j = 0; j < x.cols(); ++j) {
      double squares = 0;
      for (std::size_t i = 0; i < x.rows(); ++i) squares += double{x(i, j)} * x(i, j);
      if (squares / static_cast<double>(x.rows()) > 1000) columns.push_back(j);
    }
    return columns;
  };
  const auto pair = draw_operands(d, Generator::counter, 3, 200, 110, 130);
  const auto columns = columns_of(pair.a);
  EXPECT_EQ(columns.size(), 6);  // 5.5, rounded
  EXPECT_EQ(columns_of(pair.b).size(), 0);
  // By the seed alone: for any number of rows, and other ones for another seed.
  EXPECT_EQ(columns_of(draw_operands(d, Generator::counter, 3, 300, 110, 1).a), columns);
  EXPECT_NE(columns_of(draw_operands(d, Generator::counter, 4, 200, 110, 1).a), columns);
  // One at least, and nothing else than normal times the factor.
  const auto few = draw_operands(d, Generator::counter, 3, 200, 5, 1);
  EXPECT_EQ(columns_of(few.a).size(), 1);
  const auto normal = draw_operands(distribution("normal"), Generator::counter, 3, 200, 5, 1);
  for (std::size_t i = 0; i < few.a.size(); ++i) {
    const bool is_outlier = i % 5 == columns_of(few.a)[0];
    ASSERT_EQ(few.a.values()[i], normal.a.values()[i] * (is_outlier ? 100 : 1));
  }
  EXPECT_EQ(draw_operands(d, Generator::counter, 3, 4, 0, 4).a.size(), 0);
}

// The trace of A·Aᵀ and of its square tell how many directions there are.
TEST(Lowrank, HasItsRank) {
  for (const std::size_t rank : {1, 4, 40}) {
    const auto& d = distribution("lowrank=" + std::to_string(rank) + "x0");
    const auto pair = draw_operands(d, Generator::counter, 6, 60, 90, 60);
    testing::Mean square;
    for (const float x : pair.a.values()) square.add(double{x} * x);
    EXPECT_NEAR(square.value(), 1, 0.6) << rank;
    // Gauss's elimination with the largest pivots.
    std::vector<double> a(pair.a.values().begin(), pair.a.values().end());
    std::size_t found = 0;
    for (std::size_t step = 0; step < 60; ++step) {
      const auto largest = std::ranges::max_element(a, {}, [](double x) { return std::abs(x); });
      if (std::abs(*largest) < 1e-4) break;
      ++found;
      const auto at = static_cast<std::size_t>(largest - a.begin());
      const std::size_t row = at / 90, col = at % 90;
      const std::vector<double> pivot(a.begin() + static_cast<std::ptrdiff_t>(row * 90),
                                      a.begin() + static_cast<std::ptrdiff_t>(row * 90 + 90));
      for (std::size_t i = 0; i < 60; ++i) {
        const double factor = a[i * 90 + col] / pivot[col];
        for (std::size_t j = 0; j < 90; ++j) a[i * 90 + j] -= factor * pivot[j];
      }
    }
    EXPECT_EQ(found, rank);
  }
}

// One entry of each of many matrices is as its functions say.
TEST(Lowrank, HasEntriesOfItsDistribution) {
  const auto& d = distribution("lowrank=2x0.3");
  std::vector<float> entries;
  Matrix<float> x(3, 5);
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    d.draw(CounterStream(seed, 0), Role::left, x);
    entries.push_back(x(2, 3));
  }
  EXPECT_LT(distance(entries, d), 1.95 / std::sqrt(20'000));
}

TEST(CounterGenerator, TakesSeedsOf64Bits) {
  const auto& d = distribution("uniform");
  const auto low = draw_operands(d, Generator::counter, 1, 2, 2, 2);
  const auto high = draw_operands(d, Generator::counter, (std::uint64_t{1} << 32) + 1, 2, 2, 2);
  EXPECT_FALSE(std::ranges::equal(low.a.values(), high.a.values()));
}

}  // namespace
}  // namespace zeropoint
