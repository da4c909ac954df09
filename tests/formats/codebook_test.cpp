#include "zeropoint/formats/codebook.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/codebook_coder.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The definition: x is nearer to the upper of two levels if 2x is above their sum, which is taken
// with what rounding leaves of it.
std::uint8_t nearest(const std::vector<float>& levels, float x) {
  if (std::isnan(x)) x = 0;
  std::size_t best = 0;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const double low = levels[i], high = levels[i + 1], sum = low + high;
    const bool low_is_larger = std::abs(low) > std::abs(high);
    const double rest = low_is_larger ? high - (sum - low) : low - (sum - high);
    const double twice = 2 * double{x};
    if (twice > sum || (twice == sum && rest < 0)) best = i + 1;
  }
  return static_cast<std::uint8_t>(best);
}

TEST(Codebook, Nf4IsQuantilesOfTheNormalDistribution) {
  const Codebook& codebook = nf4();
  ASSERT_EQ(codebook.levels.size(), 16U);
  EXPECT_EQ(codebook.bits(), 4);
  EXPECT_EQ(codebook.levels[0], -1);
  EXPECT_EQ(codebook.levels[7], 0);
  EXPECT_EQ(codebook.levels[15], 1);
  // The construction of the paper's code: probabilities evenly from 0.9677083 to 1/2, 9 on the
  // positive side and 8 on the other, of which the last is 0.
  const auto quantile = [](double p) {
    double low = 0, high = 8;
    for (int i = 0; i < 100; ++i) {
      const double middle = (low + high) / 2;
      (std::erfc(-middle / std::sqrt(2.0)) / 2 < p ? low : high) = middle;
    }
    return low;
  };
  constexpr double kOffset = 0.9677083;
  for (int i = 0; i < 8; ++i) {
    const double p = kOffset + (0.5 - kOffset) * i / 8;
    EXPECT_NEAR(codebook.levels[static_cast<std::size_t>(15 - i)], quantile(p) / quantile(kOffset),
                3e-7);
  }
  for (int i = 0; i < 7; ++i) {
    const double p = kOffset + (0.5 - kOffset) * i / 7;
    EXPECT_NEAR(codebook.levels[static_cast<std::size_t>(i)], -quantile(p) / quantile(kOffset),
                3e-7);
  }
}

TEST(LloydMax, PublishedLevels) {
  // Max, "Quantizing for minimum distortion", 1960, table I: normal density.
  const auto expect_upper = [](const Codebook& codebook, const std::vector<double>& upper,
                               double tolerance) {
    ASSERT_EQ(codebook.levels.size(), 2 * upper.size());
    for (std::size_t k = 0; k < upper.size(); ++k) {
      EXPECT_NEAR(codebook.levels[upper.size() + k], upper[k], tolerance) << codebook.name;
      EXPECT_EQ(codebook.levels[upper.size() - 1 - k], -codebook.levels[upper.size() + k]);
    }
  };
  const Density& normal = density("normal");
  expect_upper(lloyd_max(normal, 1), {0.7980}, 2.2e-4);
  expect_upper(lloyd_max(normal, 2), {0.4528, 1.510}, 6e-4);
  expect_upper(lloyd_max(normal, 3), {0.2451, 0.7560, 1.344, 2.152}, 6e-4);
  expect_upper(lloyd_max(normal, 4), {0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733},
               6e-4);
  // Paez and Glisson, 1972, table II: Laplace density.
  expect_upper(lloyd_max(density("laplace"), 1), {0.707}, 5e-4);
  expect_upper(lloyd_max(density("laplace"), 2), {0.420, 1.834}, 1e-3);
  for (int bits = 1; bits <= 8; ++bits) {  // a uniform density's are evenly spaced
    const Codebook uniform = lloyd_max(density("uniform"), bits);
    const double step = 2 * std::sqrt(3.0) / static_cast<double>(uniform.levels.size());
    for (std::size_t k = 0; k < uniform.levels.size(); ++k) {
      EXPECT_NEAR(uniform.levels[k], -std::sqrt(3.0) + step * (static_cast<double>(k) + 0.5), 2e-7);
    }
  }
}

// Each level is the mean of its cell, by summing over the density, not by its closed forms.
TEST(LloydMax, LevelsAreMeansOfTheirCells) {
  for (const Density& density : densities()) {
    for (int bits = 1; bits <= 8; ++bits) {
      const Codebook codebook = lloyd_max(density, bits);
      EXPECT_EQ(codebook.bits(), bits);
      EXPECT_EQ(codebook.name, "lloyd" + std::to_string(bits) + "-" + std::string(density.name));
      const auto& levels = codebook.levels;
      ASSERT_TRUE(std::ranges::is_sorted(levels));
      for (std::size_t k = levels.size() / 2; k < levels.size(); ++k) {
        const double from = k == levels.size() / 2 ? 0 : (double{levels[k - 1]} + levels[k]) / 2;
        const bool is_last = k + 1 == levels.size();
        const double last = density.name == "uniform" ? std::sqrt(3.0) : from + 20;
        const double to = is_last ? last : (double{levels[k]} + levels[k + 1]) / 2;
        constexpr int kSteps = 40'000;
        double mass = 0, moment = 0;
        for (int i = 0; i < kSteps; ++i) {
          const double x = from + (to - from) * (i + 0.5) / kSteps;
          mass += density.density(x);
          moment += x * density.density(x);
        }
        ASSERT_NEAR(levels[k], moment / mass, 2e-6) << codebook.name << " " << k;
      }
    }
  }
}

double squared_error(const Codebook& codebook, const std::vector<float>& x) {
  std::vector<std::uint8_t> codes(x.size());
  std::vector<float> back(x.size());
  encode(codebook, x, codes);
  decode(codebook, codes, back);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += (double{x[i]} - back[i]) * (double{x[i]} - back[i]);
  }
  return sum / static_cast<double>(x.size());
}

std::vector<float> normal_numbers(std::size_t count) {
  std::mt19937_64 random(21);
  std::vector<float> x(count);
  for (float& value : x) {
    const double radius = std::sqrt(-2 * std::log(testing::between(random, 1e-18, 1)));
    value = static_cast<float>(radius * std::cos(testing::between(random, 0, 6.283185307179586)));
  }
  return x;
}

// Fitted levels are means of the numbers nearest to them, and no worse than the density's own.
TEST(FitLloydMax, MeansOfTheirCellsAndNoWorseThanTheDensitys) {
  const std::vector<float> x = normal_numbers(200'000);
  for (int bits = 1; bits <= 8; ++bits) {
    const Codebook fitted = fit_lloyd_max(x, bits);
    EXPECT_EQ(fitted.name, "lloyd" + std::to_string(bits));
    ASSERT_EQ(fitted.levels.size(), std::size_t{1} << bits);
    EXPECT_LT(squared_error(fitted, x),
              (bits < 6 ? 1 : 1.003) * squared_error(lloyd_max(density("normal"), bits), x))
        << bits;
    if (bits > 4) continue;  // by then the rounds ended at the fixed point
    std::vector<std::uint8_t> codes(x.size());
    encode(fitted, x, codes);
    std::vector<double> sums(fitted.levels.size()), counts(fitted.levels.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      sums[codes[i]] += x[i];
      ++counts[codes[i]];
    }
    for (std::size_t k = 0; k < sums.size(); ++k) {
      EXPECT_NEAR(fitted.levels[k], sums[k] / counts[k], bits < 4 ? 1e-6 : 1e-3) << bits;
    }
  }
}

TEST(FitLloydMax, FewDistinctNumbersAreTheLevels) {
  const std::vector<float> x = {3, -1, 3, 0.5F, -0.0F, 0.0F, -1};
  EXPECT_EQ(fit_lloyd_max(x, 2).levels, (std::vector<float>{-1, 0, 0.5F, 3}));
  EXPECT_EQ(fit_lloyd_max(x, 8).levels, (std::vector<float>{-1, 0, 0.5F, 3}));
  const std::vector<float> constant(1000, -7.25F);
  const Codebook one = fit_lloyd_max(constant, 4);
  EXPECT_EQ(one.levels, std::vector<float>{-7.25F});
  EXPECT_EQ(one.bits(), 1);
  EXPECT_EQ(squared_error(one, constant), 0);
  EXPECT_EQ(fit_lloyd_max(std::vector<float>(5), 4).levels, std::vector<float>{0});
}

TEST(FitLloydMax, AwkwardNumbers) {
  const std::vector<float> awkward = testing::awkward_values();
  for (int bits = 1; bits <= 8; ++bits) {
    const Codebook codebook = fit_lloyd_max(awkward, bits);
    EXPECT_TRUE(std::ranges::all_of(codebook.levels, [](float x) { return std::isfinite(x); }));
    EXPECT_LE(codebook.levels.size(), std::size_t{1} << bits);
    EXPECT_NO_THROW(squared_error(codebook, awkward));  // ascending
  }
  // Two heaps far apart, subnormal numbers alone, and the largest there are.
  std::vector<float> heaps, tiny, huge;
  for (int i = 0; i < 1000; ++i) {
    heaps.push_back(static_cast<float>(i % 2 == 0 ? 1 + i * 1e-6 : 1e30));
    tiny.push_back(static_cast<float>(i) * std::numeric_limits<float>::denorm_min());
    huge.push_back((i % 2 == 0 ? kMax : -kMax) * (1 - static_cast<float>(i) * 1e-4F));
  }
  EXPECT_EQ(fit_lloyd_max(heaps, 1).levels.back(), 1e30F);
  EXPECT_LT(fit_lloyd_max(heaps, 1).levels.front(), 1.01F);
  EXPECT_EQ(fit_lloyd_max(tiny, 4).levels.size(), 16U);
  EXPECT_EQ(fit_lloyd_max(huge, 4).levels.size(), 16U);
}

TEST(FitLloydMax, SameOnAnyNumberOfThreads) {
  const std::vector<float> x = normal_numbers(100'000);
  std::vector<float> first;
  for (const int count : {1, 2, 3}) {
    const testing::WithThreads threads(count);
    const std::vector<float> levels = fit_lloyd_max(x, 5).levels;
    if (first.empty()) first = levels;
    EXPECT_EQ(levels, first);
  }
}

TEST(Codebook, EncodesToTheNearestLevelOnEveryTarget) {
  std::vector<Codebook> codebooks = {nf4(), {"one", "", {2}}, {"two", "", {-1, 3}}};
  for (int bits = 1; bits <= 8; ++bits) codebooks.push_back(lloyd_max(density("laplace"), bits));
  codebooks.push_back({"far", "", {-kMax, -1, -1e-30F, 0, 1e-30F, 1, 1.0000001F, kMax}});
  Codebook seventeen{"seventeen", "", {}};
  for (int i = 0; i < 17; ++i) seventeen.levels.push_back(static_cast<float>(i * i - 100));
  codebooks.push_back(seventeen);
  // Limits that crowd in few parts of the range, more or less.
  Codebook crowded{"crowded", "", {-1000}}, powers{"powers", "", {}};
  for (int i = 0; i < 30; ++i) {
    crowded.levels.push_back(static_cast<float>(i) * 0.2F);
    powers.levels.push_back(std::ldexp(1.0F, 8 * i - 120));
  }
  crowded.levels.push_back(1000);
  codebooks.push_back(crowded);
  codebooks.push_back(powers);
  for (const Codebook& codebook : codebooks) {
    SCOPED_TRACE(codebook.name);
    std::vector<float> x = testing::awkward_values();
    x.insert(x.end(), {kInfinity, -kInfinity, std::nanf("")});
    for (std::size_t k = 0; k + 1 < codebook.levels.size(); ++k) {
      const auto middle =
          static_cast<float>((double{codebook.levels[k]} + codebook.levels[k + 1]) / 2);
      x.insert(x.end(), {codebook.levels[k], middle, std::nextafter(middle, kInfinity),
                         std::nextafter(middle, -kInfinity)});
    }
    const std::vector<float> numbers = normal_numbers(1000);
    x.insert(x.end(), numbers.begin(), numbers.end());
    testing::on_every_target([&] {
      for (const std::size_t count : {x.size(), x.size() - 1, std::size_t{5}, std::size_t{0}}) {
        std::vector<std::uint8_t> codes(count + 1, 0xee);
        encode(codebook, std::span(x).first(count), std::span(codes).first(count));
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_EQ(codes[i], nearest(codebook.levels, x[i])) << x[i];
        }
        ASSERT_EQ(codes[count], 0xee);
      }
    });
  }
}

// Levels as uneven as chance has it, so that each way to search for them is taken.
TEST(CodebookEncoder, FindsTheNearestOfAnyLevelsOnEveryTarget) {
  std::mt19937_64 random(5);
  for (const std::size_t size : {2, 3, 5, 8, 13, 16, 24, 32, 50, 64, 100, 128, 200, 256}) {
    for (const double uneven : {0.0, 0.5, 0.9, 1.0, 3.0}) {
      SCOPED_TRACE(fmt::format("{} levels, {}", size, uneven));
      std::set<float> of_chance;
      for (std::size_t k = 0; of_chance.size() < size; ++k) {
        // From evenly spaced to independent ones, or denser in the middle.
        const double even = 2 * static_cast<double>(k % size) / static_cast<double>(size) - 1;
        const double any = testing::between(random, -1, 1);
        const double level = uneven > 1 ? std::copysign(std::pow(std::abs(any), uneven), any)
                                        : (1 - uneven) * even + uneven * any;
        of_chance.insert(static_cast<float>(3 * level + 0.1));
      }
      const std::vector<float> levels(of_chance.begin(), of_chance.end());
      std::vector<float> x;
      for (std::size_t k = 0; k + 1 < levels.size(); ++k) {
        float near = levels[k] + (levels[k + 1] - levels[k]) / 2;
        for (int step = 0; step < 3; ++step) near = std::nextafter(near, -kInfinity);
        for (int step = 0; step < 6; ++step) {
          x.push_back(near);
          near = std::nextafter(near, kInfinity);
        }
      }
      while (x.size() < 2501) x.push_back(static_cast<float>(testing::between(random, -4, 4)));
      std::ranges::shuffle(x, random);
      std::vector<std::uint8_t> expected;
      for (const float number : x) expected.push_back(nearest(levels, number));
      testing::on_every_target([&] {
        std::vector<std::uint8_t> codes(x.size());
        CodebookEncoder(levels, 1)(x.data(), x.size(), {}, codes.data());
        EXPECT_EQ(codes, expected);
      });
    }
  }
}

// By scales that the limits take in, by those that are divided by, and by both.
TEST(CodebookEncoder, DividesByItsScaleOnEveryTarget) {
  std::vector<std::vector<float>> books = {{2}, {-1, 3}, {1, 2, 5}, {-kMax, -1, 0, 1, kMax}};
  for (const char* name : {"normal", "laplace"}) {
    for (const int bits : {1, 4, 7, 8}) books.push_back(lloyd_max(density(name), bits).levels);
  }
  constexpr float kTiny = std::numeric_limits<float>::min();
  for (const std::vector<float>& levels : books) {
    SCOPED_TRACE(levels.size());
    for (const float scale : {1.0F, 0.3F, 1e-20F, 7e37F, 2 * kTiny, kTiny / 7, 0.0F}) {
      SCOPED_TRACE(scale);
      std::vector<float> x = testing::awkward_values();
      for (std::size_t k = 0; k + 1 < levels.size(); ++k) {
        const auto middle =
            static_cast<float>((double{levels[k]} + levels[k + 1]) / 2 * double{scale});
        float low = middle, high = middle;
        for (int step = 0; step < 3; ++step) {
          x.insert(x.end(), {low, high});
          low = std::nextafter(low, -kInfinity);
          high = std::nextafter(high, kInfinity);
        }
      }
      for (const float end : {levels.front() * scale, levels.back() * scale}) {
        x.insert(x.end(), {end, std::nextafter(end, kInfinity), std::nextafter(end, -kInfinity)});
      }
      for (const float number : normal_numbers(3000)) x.push_back(number * scale);
      std::erase_if(x, [](float v) { return !std::isfinite(v); });
      testing::on_every_target([&] {
        for (const float bad : {0.0F, kInfinity, -kInfinity, std::nanf("")}) {
          if (bad != 0) x[x.size() / 3] = bad;
          for (const float besides : {1.0F, 0.7F}) {
            const CodebookEncoder encoder(levels, scale);
            std::vector<std::uint8_t> codes(x.size() + 1, 0xee);
            const CodebookCounts counts =
                encoder(x.data(), x.size(), {.scale = besides, .counts = true, .checks = true},
                        codes.data());
            // Both are put into one, where it is a number by which is divided.
            const bool is_normal = std::isnormal(scale);
            const float product = scale * besides;
            std::size_t outside = 0;
            for (std::size_t i = 0; i < x.size(); ++i) {
              const float y = is_normal ? x[i] / besides / scale : x[i] / product;
              ASSERT_EQ(codes[i], nearest(levels, y)) << x[i] << ", " << besides;
              outside += y < levels.front() || y > levels.back() ? 1 : 0;
            }
            EXPECT_EQ(codes.back(), 0xee);
            EXPECT_EQ(counts.outside, outside);
            EXPECT_EQ(counts.finite, bad == 0);
          }
        }
        x[x.size() / 3] = 0;
      });
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Codebook, TiesGoToTheLowerLevel) {
  const Codebook codebook{"integers", "", {-2, -1, 0, 1, 2}};
  const std::vector<float> x = {-1.5F, -0.5F, 0.5F, 1.5F, 1.5000001F};
  std::vector<std::uint8_t> codes(x.size());
  encode(codebook, x, codes);
  EXPECT_EQ(codes, (std::vector<std::uint8_t>{0, 1, 2, 3, 4}));
}

TEST(Codebook, CodesAreTheirLevelsOnEveryTargetAndPastTheEndTheLast) {
  for (const std::size_t size : {1, 2, 3, 15, 16, 17, 32, 33, 64, 65, 127, 128, 129, 255, 256}) {
    Codebook codebook{"squares", "", {}};
    for (std::size_t i = 0; i < size; ++i) codebook.levels.push_back(static_cast<float>(i * i));
    std::vector<std::uint8_t> codes;
    for (int i = 0; i < 1003; ++i) codes.push_back(static_cast<std::uint8_t>(i * 37));
    testing::on_every_target([&] {
      std::vector<float> x(codes.size() + 1, -1);
      decode(codebook, codes, std::span(x).first(codes.size()));
      for (std::size_t i = 0; i < codes.size(); ++i) {
        ASSERT_EQ(x[i], codebook.levels[std::min<std::size_t>(codes[i], size - 1)]) << size;
      }
      ASSERT_EQ(x.back(), -1);
    });
  }
}

TEST(Codebook, Refusals) {
  using testing::refusal;
  std::vector<float> x = {1, 2, 3};
  std::vector<std::uint8_t> codes(3);
  EXPECT_THAT(refusal([&] { fit_lloyd_max(x, 0); }), HasSubstr("1 to 8 bits, found 0"));
  EXPECT_THAT(refusal([&] { fit_lloyd_max(x, 9); }), HasSubstr("found 9"));
  EXPECT_THAT(refusal([] { lloyd_max(density("normal"), 9); }), HasSubstr("found 9"));
  EXPECT_THAT(refusal([] { fit_lloyd_max({}, 4); }), HasSubstr("found none"));
  EXPECT_THAT(refusal([] { density("gauss"); }), HasSubstr("normal, laplace, uniform"));
  for (const float bad : {std::nanf(""), kInfinity, -kInfinity}) {
    x[1] = bad;
    EXPECT_THAT(refusal([&] { fit_lloyd_max(x, 4); }), HasSubstr("at [1]"));
    EXPECT_THAT(refusal([&] { encode({"bad", "", {bad}}, x, codes); }), HasSubstr("at [0]"));
  }
  EXPECT_THAT(refusal([&] { encode({"none", "", {}}, x, codes); }), HasSubstr("1 to 256 levels"));
  EXPECT_THAT(refusal([&] { encode({"equal", "", {1, 1}}, x, codes); }), HasSubstr("ascending"));
  EXPECT_THAT(refusal([&] { encode(nf4(), std::span(x).first(2), codes); }),
              HasSubstr("found 3 and 2"));
}

}  // namespace
}  // namespace zeropoint
