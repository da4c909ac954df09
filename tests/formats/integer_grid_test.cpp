#include "zeropoint/formats/integer_grid.hpp"

#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {
namespace {

void expect(IntegerGrid grid, std::int32_t lo, std::int32_t hi, const std::string& text) {
  EXPECT_EQ(grid.lo(), lo) << text;
  EXPECT_EQ(grid.hi(), hi) << text;
  EXPECT_EQ(grid.levels(), hi - lo + 1) << text;
  EXPECT_EQ(name(grid), text);
  EXPECT_NO_THROW(check(grid));
}

TEST(IntegerGrid, EndsAndNames) {
  expect({8, true, false}, -128, 127, "int8");
  expect({8, true, true}, -127, 127, "int8-narrow");
  expect({8, false, false}, 0, 255, "uint8");
  expect({8, false, true}, 0, 254, "uint8-narrow");
  expect({2, true, false}, -2, 1, "int2");
  expect({2, true, true}, -1, 1, "int2-narrow");
  expect({4, false, false}, 0, 15, "uint4");
  expect({16, true, false}, -32768, 32767, "int16");
  expect({16, false, false}, 0, 65535, "uint16");
}

TEST(IntegerGrid, BitsOutsideTwoToSixteenAreRefused) {
  for (const int bits : {-1, 0, 1, 17, 32, 64}) {
    EXPECT_THROW(check({bits, true, false}), InputError) << bits;
  }
  for (int bits = 2; bits <= 16; ++bits) EXPECT_NO_THROW(check({bits, false, true})) << bits;
}

}  // namespace
}  // namespace zeropoint
