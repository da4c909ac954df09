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
  expect({1, true, false}, -1, 0, "int1");
  expect({1, false, false}, 0, 1, "uint1");
  expect({2, true, false}, -2, 1, "int2");
  expect({2, true, true}, -1, 1, "int2-narrow");
  expect({4, false, false}, 0, 15, "uint4");
  expect({16, true, false}, -32768, 32767, "int16");
  expect({16, false, false}, 0, 65535, "uint16");
}

TEST(IntegerGrid, BitsOutsideOneToSixteenAreRefused) {
  for (const int bits : {-1, 0, 17, 32, 64}) {
    EXPECT_THROW(check({bits, true, false}), InputError) << bits;
  }
  EXPECT_THROW(check({1, true, true}), InputError);
  EXPECT_THROW(check({1, false, true}), InputError);
  for (int bits = 2; bits <= 16; ++bits) EXPECT_NO_THROW(check({bits, false, true})) << bits;
}

TEST(IntegerGrid, NamesAreRead) {
  for (int bits = 1; bits <= 16; ++bits) {
    for (const bool is_signed : {false, true}) {
      for (const bool narrow : {false, true}) {
        const IntegerGrid grid = {bits, is_signed, narrow};
        if (bits == 1 && narrow) {
          EXPECT_THROW(parse_integer_grid(name(grid)), InputError);
        } else {
          EXPECT_EQ(parse_integer_grid(name(grid)), grid);
        }
      }
    }
  }
  for (const char* text : {"",
                           "int",
                           "u",
                           "uint",
                           "int0",
                           "int17",
                           "uint17",
                           "int08",
                           "int-8",
                           "int+8",
                           "int8-",
                           "int8-narro",
                           "int8-narrower",
                           "Int8",
                           " int8",
                           "int8 ",
                           "iint8",
                           "uuint8",
                           "int99999999999999999999",
                           "int8narrow"}) {
    EXPECT_THROW(parse_integer_grid(text), InputError) << text;
  }
}

}  // namespace
}  // namespace zeropoint
