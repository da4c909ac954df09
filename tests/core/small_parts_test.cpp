// Rounding rules, words, matrices and the machine.
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/rounding.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

struct RoundingRow {
  float x;
  float half_even, half_away, floor, truncate;
};

// Written by hand from the rules' definitions.
constexpr RoundingRow kRows[] = {
    {0.5F, 0, 1, 0, 0},
    {1.5F, 2, 2, 1, 1},
    {2.5F, 2, 3, 2, 2},
    {-0.5F, 0, -1, -1, 0},
    {-1.5F, -2, -2, -2, -1},
    {-2.5F, -2, -3, -3, -2},
    {0.49999997F, 0, 0, 0, 0},  // adding a half to it rounds up to 1
    {-0.49999997F, 0, 0, -1, 0},
    {0.50000006F, 1, 1, 0, 0},
    {-1e-45F, 0, 0, -1, 0},
    {1e-45F, 0, 0, 0, 0},
    {2.9999998F, 3, 3, 2, 2},
    {-2.9999998F, -3, -3, -3, -2},
    {4194304.5F, 4194304, 4194305, 4194304, 4194304},
    {8388607.5F, 8388608, 8388608, 8388607, 8388607},  // the largest float with a half
    {-8388607.5F, -8388608, -8388608, -8388608, -8388607},
    {8388609.0F, 8388609, 8388609, 8388609, 8388609},  // adding a half to it rounds up to …610
    {3e38F, 3e38F, 3e38F, 3e38F, 3e38F},
    {127, 127, 127, 127, 127},
};

TEST(Rounding, FollowsEachRule) {
  for (const auto& row : kRows) {
    EXPECT_EQ(round_to_integer(row.x, Rounding::half_even), row.half_even) << row.x;
    EXPECT_EQ(round_to_integer(row.x, Rounding::half_away), row.half_away) << row.x;
    EXPECT_EQ(round_to_integer(row.x, Rounding::floor), row.floor) << row.x;
    EXPECT_EQ(round_to_integer(row.x, Rounding::truncate), row.truncate) << row.x;
    const double wide = row.x;
    EXPECT_EQ(round_to_integer(wide, Rounding::half_even), row.half_even) << row.x;
    EXPECT_EQ(round_to_integer(wide, Rounding::half_away), row.half_away) << row.x;
    EXPECT_EQ(round_to_integer(wide, Rounding::floor), row.floor) << row.x;
    EXPECT_EQ(round_to_integer(wide, Rounding::truncate), row.truncate) << row.x;
  }
  EXPECT_EQ(round_to_integer(0.49999999999999994, Rounding::half_away), 0);
}

TEST(Rounding, KeepsInfinity) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const auto rule :
       {Rounding::half_even, Rounding::half_away, Rounding::floor, Rounding::truncate}) {
    EXPECT_EQ(round_to_integer(kInfinity, rule), kInfinity);
    EXPECT_EQ(round_to_integer(-kInfinity, rule), -kInfinity);
  }
}

TEST(NearestWord, HasTheFewestEdits) {
  EXPECT_EQ(nearest_word("unifrom", {"normal", "uniform"}), "uniform");
  EXPECT_EQ(nearest_word("norm", {"uniform", "normal"}), "normal");
  EXPECT_EQ(nearest_word("kitten", {"sitting", "kitchen", "mitten"}), "mitten");
  EXPECT_EQ(nearest_word("", {"long", "a"}), "a");
  EXPECT_EQ(nearest_word("same", {"sane", "same"}), "same");
  EXPECT_EQ(nearest_word("anything", {}), "");
  // One insertion is nearer than two substitutions, wherever it stands.
  EXPECT_EQ(nearest_word("bcd", {"xbyd", "abcd"}), "abcd");
  EXPECT_EQ(nearest_word("abcd", {"axyd", "bcd"}), "bcd");
}

TEST(NearestWord, TakesTheFirstOfEquallyNearOnes) { EXPECT_EQ(nearest_word("x", {"b", "a"}), "b"); }

TEST(JoinWords, PutsCommasBetween) {
  EXPECT_EQ(join_words({}), "");
  EXPECT_EQ(join_words({"a"}), "a");
  EXPECT_EQ(join_words({"a", "b", "c"}), "a, b, c");
}

TEST(MatrixView, AddressesByItsStrides) {
  Matrix<int> matrix(3, 4);
  for (std::size_t i = 0; i < matrix.size(); ++i) matrix.values()[i] = static_cast<int>(i);
  EXPECT_EQ(matrix(2, 1), 9);
  EXPECT_EQ(matrix.view()(2, 1), 9);
  const MatrixView<const int> transposed{matrix.data(), 4, 3, 1, 4};
  const MatrixView<const int> reversed{matrix.data() + 11, 3, 4, -4, -1};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_EQ(transposed(j, i), matrix(i, j));
      EXPECT_EQ(reversed(2 - i, 3 - j), matrix(i, j));
    }
  }
}

TEST(Machine, TellsPlausibleThings) {
  EXPECT_GT(available_memory(), 1U << 20);
  EXPECT_LT(available_memory(), std::uint64_t{1} << 50);
  EXPECT_FALSE(cpu_name().empty());
  EXPECT_EQ(std::string(version()).find_first_not_of("0123456789."), std::string::npos);
}

}  // namespace
}  // namespace zeropoint
