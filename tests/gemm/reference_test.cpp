// The references themselves.
#include "zeropoint/gemm/reference.hpp"

#include <gtest/gtest.h>

#include "support/matrices.hpp"

namespace zeropoint {
namespace {

using testing::LaidOut;

// A 2×3 by 3×2 product done by hand.
TEST(TripleLoopProduct, IsTheDefinition) {
  const std::int8_t a[] = {1, -2, 3, 4, 5, -6};
  const std::uint8_t b[] = {7, 0, 255, 2, 1, 9};
  const MatrixView<const std::int8_t> view_a{a, 2, 3, 3, 1};
  const MatrixView<const std::uint8_t> view_b{b, 3, 2, 2, 1};
  Matrix<std::int64_t> s(2, 2);
  triple_loop_product(view_a, view_b, 0, 0, s.view());
  EXPECT_EQ(s(0, 0), 7 - 510 + 3);
  EXPECT_EQ(s(0, 1), 0 - 4 + 27);
  EXPECT_EQ(s(1, 0), 28 + 1275 - 6);
  EXPECT_EQ(s(1, 1), 0 + 10 - 54);
  triple_loop_product(view_a, view_b, 1, 2, s.view());
  EXPECT_EQ(s(0, 0), 0 * 5 + -3 * 253 + 2 * -1);
  EXPECT_EQ(s(1, 1), 3 * -2 + 4 * 0 + -7 * 7);
}

TEST(OuterProductProduct, EqualsThreeLoops) {
  std::mt19937_64 random(81);
  for (const std::size_t m : {0, 1, 5, 31}) {
    for (const std::size_t k : {0, 1, 2, 33}) {
      for (const std::size_t n : {0, 1, 7}) {
        for (const auto layout : testing::kLayouts) {
          const auto code = [&] { return testing::any_code<std::int8_t>(random); };
          const LaidOut<std::int8_t> a(m, k, layout, code);
          const LaidOut<std::int8_t> b(k, n, layout, code);
          const auto z_a = static_cast<std::int32_t>(testing::integer_between(random, -300, 300));
          const auto z_b = static_cast<std::int32_t>(testing::integer_between(random, -300, 300));
          Matrix<std::int64_t> expected(m, n);
          triple_loop_product<std::int8_t, std::int8_t>(a.view(), b.view(), z_a, z_b,
                                                        expected.view());
          LaidOut<std::int32_t> out(m, n, layout, [] { return -1; });
          outer_product_product(a.view(), b.view(), z_a, z_b, out.view());
          for (std::size_t i = 0; i < m; ++i) {
            for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(out.view()(i, j), expected(i, j));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace zeropoint
