// The lattice of nested codes against every point near, and how its β were found.
#include "formats/nest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "support/normal.hpp"

namespace zeropoint {
namespace {

// Of all points of E8 whose coordinates are next to x's.
double distance_to_e8(const float* x) {
  double least = std::numeric_limits<double>::infinity();
  for (const double moved : {0.0, 0.5}) {
    for (unsigned up = 0; up < 256; ++up) {
      double distance = 0;
      double sum = 0;
      for (unsigned j = 0; j < 8; ++j) {
        const double point = std::floor(x[j] - moved) + (up >> j & 1) + moved;
        sum += point;
        distance += std::pow(x[j] - point, 2);
      }
      if (std::fmod(sum, 2) == 0) least = std::min(least, distance);
    }
  }
  return least;
}

TEST(Nest, FindsTheNearestPoint) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 3000; ++round) {
    float y[8];
    for (float& value : y) value = static_cast<float>(testing::between(random, -2.3, 2.3));
    const auto point = nest_point(y, 4, 1);
    ASSERT_TRUE(point.is_inside);
    ASSERT_NEAR(point.error, distance_to_e8(y), 1e-5);
    double sum = 0;
    for (const float value : point.values) {
      sum += value;
      ASSERT_EQ(std::abs(std::fmod(value, 1)), std::abs(std::fmod(point.values[0], 1)));
    }
    ASSERT_EQ(std::fmod(sum, 2), 0);
  }
}

TEST(Nest, HasTheSecondMomentOfE8) {
  std::mt19937_64 random(6);
  testing::Mean squares;
  for (int round = 0; round < 20000; ++round) {
    float y[8];
    // The same in each cell of the lattice: a period of all coordinates.
    for (float& value : y) value = static_cast<float>(testing::between(random, -2, 2));
    squares.add(nest_point(y, 4, 1).error / 8);
  }
  EXPECT_NEAR(squares.value(), 929.0 / 12960, 4 * squares.standard_error());
}

// Errors of normal vectors by candidates for β, of either sign, in steps of 4 %.
class Candidates {
 public:
  Candidates(int bits, std::size_t count) {
    for (double beta = 0.4; beta < 2.4; beta *= 1.04) {
      for (const double sign : {1, -1}) {
        betas_.push_back(static_cast<float>(sign * beta * 4 / (1 << bits)));
      }
    }
    std::mt19937_64 random(8);
    for (std::size_t i = 0; i < count; ++i) {
      float y[8];
      for (std::size_t j = 0; j < 8; j += 2) {
        const auto pair = testing::normal_pair(random);
        y[j] = static_cast<float>(pair.first);
        y[j + 1] = static_cast<float>(pair.second);
      }
      auto& row = errors_.emplace_back();
      for (const float beta : betas_) row.push_back(nest_point(y, bits, beta).error);
      float own = std::numeric_limits<float>::infinity();
      for (const float beta : kBetas[static_cast<std::size_t>(bits - 2)]) {
        own = std::min(own, nest_point(y, bits, beta).error);
      }
      of_own_ += own / static_cast<double>(count);
    }
  }

  double of_own() const { return of_own_; }

  // Of the best four that changes of one at a time lead to.
  double descended() const {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < kNestBetas; ++i) {
      chosen.push_back((i + 1) * betas_.size() / (kNestBetas + 1));
    }
    double least = std::numeric_limits<double>::infinity();
    for (bool is_better = true; is_better;) {
      is_better = false;
      for (std::size_t& one : chosen) {
        const std::size_t before = one;
        std::size_t best = one;
        for (std::size_t other = 0; other < betas_.size(); ++other) {
          one = other;
          const double error = error_of(chosen);
          if (error >= least) continue;
          least = error;
          best = other;
        }
        one = best;
        is_better = is_better || best != before;
      }
    }
    return least;
  }

 private:
  double error_of(const std::vector<std::size_t>& chosen) const {
    double sum = 0;
    for (const auto& row : errors_) {
      float least = row[chosen[0]];
      for (const std::size_t one : chosen) least = std::min(least, row[one]);
      sum += least;
    }
    return sum / static_cast<double>(errors_.size());
  }

  std::vector<float> betas_;
  std::vector<std::vector<float>> errors_;
  double of_own_ = 0;
};

TEST(Nest, NoOtherBetasAreMuchBetter) {
  for (const int bits : {2, 3, 4}) {
    const Candidates candidates(bits, 6000);
    // Those found for this sample fit it a little better than any other.
    EXPECT_LT(candidates.of_own(), 1.015 * candidates.descended()) << bits;
  }
}

}  // namespace
}  // namespace zeropoint
