#include "theory/cells.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "zeropoint/quantize/elementwise.hpp"

#include "support/conventions.hpp"
#include "support/random_values.hpp"

namespace zeropoint {
namespace {

std::vector<QuantParams> params_for(const IntegerGrid& grid) {
  return {{1, 0}, {0.1F, grid.lo()}, {0.037F, grid.hi()}, {2.5F, grid.lo() - 9}, {1e-3F, 40}};
}

TEST(Cells, AreAscendingAndCoverTheLine) {
  for (const int bits : {2, 3, 8, 12}) {
    for (const auto& grid : testing::every_grid(bits)) {
      for (const auto& convention : testing::every_elementwise_convention()) {
        const auto cells = make_cells({0.5F, 3}, grid, convention);
        ASSERT_EQ(cells.count(), static_cast<std::size_t>(grid.levels()));
        ASSERT_EQ(cells.edges.size(), cells.count() + 1);
        ASSERT_EQ(cells.edges.front(), -std::numeric_limits<double>::infinity());
        ASSERT_EQ(cells.edges.back(), std::numeric_limits<double>::infinity());
        for (std::size_t i = 0; i + 1 < cells.edges.size(); ++i) {
          ASSERT_LT(cells.edges[i], cells.edges[i + 1]);
        }
      }
    }
  }
}

// The quantizer computes in float32, so that it may err by some 1e-4 of a step; edges are off by
// half a step at least where a rule is taken for another.
TEST(Cells, AreWhatTheQuantizerDoesOnEitherSideOfEveryEdge) {
  constexpr double kTiny = 1e-3;
  for (const int bits : {2, 3, 5, 8}) {
    for (const auto& grid : testing::every_grid(bits)) {
      for (const auto& params : params_for(grid)) {
        for (const auto& convention : testing::every_elementwise_convention()) {
          const auto cells = make_cells(params, grid, convention);
          for (std::size_t i = 0; i < cells.count(); ++i) {
            ASSERT_EQ(cells.values[i], double{params.scale} * (grid.lo() + static_cast<double>(i) -
                                                               params.zero_point));
          }
          for (std::size_t i = 1; i < cells.count(); ++i) {
            for (const double side : {-kTiny, kTiny}) {
              const auto x = static_cast<float>(cells.edges[i] + side * params.scale);
              const auto code = quantize_one(x, params, grid, convention);
              const auto below = side < 0 ? 1 : 0;
              ASSERT_EQ(code, grid.lo() + static_cast<int>(i) - below)
                  << to_string(convention) << ", " << name(grid) << ", scale " << params.scale
                  << ", zero point " << params.zero_point << ", edge " << cells.edges[i];
              ASSERT_EQ(cells.at(x), i - static_cast<std::size_t>(below));
            }
          }
        }
      }
    }
  }
}

TEST(Cells, AreWhatTheQuantizerDoesOnAFineSweep) {
  std::mt19937_64 random(101);
  for (const auto& grid : testing::every_grid(4)) {
    for (const auto& params : params_for(grid)) {
      for (const auto& convention : testing::every_elementwise_convention()) {
        const auto cells = make_cells(params, grid, convention);
        for (double code = grid.lo() - 2.0; code <= grid.hi() + 2.0; code += 0.0103) {
          const auto x = static_cast<float>((code - params.zero_point) * params.scale);
          const auto at = cells.at(x);
          const auto from_edge = [&](double edge) { return std::abs(x - edge) / params.scale; };
          if (from_edge(cells.edges[at]) < 1e-4 || from_edge(cells.edges[at + 1]) < 1e-4) continue;
          ASSERT_EQ(grid.lo() + static_cast<int>(at), quantize_one(x, params, grid, convention))
              << to_string(convention) << ", " << name(grid) << ": " << x;
        }
      }
    }
  }
}

TEST(Cells, HoldTheirLowerEdgeWhereRoundingDown) {
  for (const auto order : {ZeroPointOrder::before_rounding, ZeroPointOrder::after_rounding}) {
    Convention convention;
    convention.order = order;
    convention.rounding = Rounding::floor;
    const IntegerGrid grid{4, true, false};
    const QuantParams params{0.25F, 1};
    const auto cells = make_cells(params, grid, convention);
    for (std::size_t i = 1; i < cells.count(); ++i) {
      const auto x = static_cast<float>(cells.edges[i]);
      ASSERT_EQ(cells.at(x), i);
      ASSERT_EQ(quantize_one(x, params, grid, convention), grid.lo() + static_cast<int>(i));
    }
  }
}

}  // namespace
}  // namespace zeropoint
