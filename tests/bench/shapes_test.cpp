#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/bench/bench.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

TEST(Shapes, BothWaysOfWritingAndComments) {
  EXPECT_THAT(read_shapes("# all\n1 2 3\n\n\t4x5x6  # one\r\n 7   8\t9 \n1x2x3", "f"),
              ElementsAre(BenchShape{1, 2, 3}, BenchShape{4, 5, 6}, BenchShape{7, 8, 9}));
}

TEST(Shapes, WhatIsNoShapeIsRefusedWithItsLine) {
  for (const std::string_view line :
       {"1 2", "1 2 3 4", "1x2", "1x2x3x4", "1x2 3", "1 2x3", "0 1 1", "-1 1 1", "1.5 1 1", "1 2 x",
        "x", "1x2x", "1 2 1000001", "99999999999999999999 1 1", "a b c", "1,2,3"}) {
    EXPECT_THAT(refusal([&] { read_shapes(fmt::format("1 1 1\n# c\n{}\n", line), "f.txt"); }),
                HasSubstr(fmt::format("f.txt:3: expected three whole numbers from 1 to 1000000, "
                                      "m k n or mxkxn, found '{}'",
                                      line)))
        << line;
  }
  EXPECT_THAT(refusal([] { read_shapes("# nothing\n", "f.txt"); }), HasSubstr("found none"));
}

TEST(Shapes, TheListsThatAreBuiltInCanBeRead) {
  EXPECT_GE(default_shapes(false).size(), 12U);
  EXPECT_GE(default_shapes(true).size(), 2U);
  EXPECT_EQ(to_string(default_shapes(false).front()), "10x10x10");
}

}  // namespace
}  // namespace zeropoint
