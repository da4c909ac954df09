#include "zeropoint/model/value.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/nodes.hpp"
#include "support/refusal.hpp"

namespace zeropoint::model {
namespace {

using ::testing::ElementsAre;
using testing::floats;
using ::testing::HasSubstr;
using testing::integers;
using testing::refusal;

TEST(Value, SmallElementsArePackedLowBitsFirst) {
  const Value four = integers(ElementType::int4, {3}, {1, -1, -8});
  EXPECT_THAT(four.bytes(), ElementsAre(0xF1, 0x08));
  EXPECT_THAT(to_integers(four), ElementsAre(1, -1, -8));
  const Value two = integers(ElementType::uint2, {5}, {1, 2, 3, 0, 3});
  EXPECT_THAT(two.bytes(), ElementsAre(0b00111001, 0b11));
  EXPECT_THAT(to_integers(two), ElementsAre(1, 2, 3, 0, 3));
}

TEST(Value, EveryTypeHoldsItsNumbers) {
  for (const ElementInfo& row : element_types()) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(element_type(static_cast<std::int64_t>(row.type), "here"), row.type);
    const std::vector<double> x = {0.5, 1, 2, 4};
    const std::vector<std::int64_t> n = {0, 1, 1, 0};
    if (row.is_float()) {
      EXPECT_EQ(to_doubles(from_doubles(row.type, {2, 2}, x)), x);
      EXPECT_EQ(to_floats(from_doubles(row.type, {2, 2}, x)),
                std::vector<float>(x.begin(), x.end()));
    } else if (!(row.type == ElementType::int2)) {
      EXPECT_EQ(to_integers(from_integers(row.type, {4}, n)), n);
    }
    const Value empty(row.type, {0, 3});
    EXPECT_EQ(empty.size(), 0U);
    EXPECT_TRUE(to_doubles(empty).empty());
    EXPECT_EQ(Value(row.type, {}).size(), 1U);
  }
}

TEST(Value, UnsignedIntegersOf64BitsKeepTheirBits) {
  const Value value = integers(ElementType::uint64, {1}, {-1});
  EXPECT_EQ(to_doubles(value)[0], 0x1p64);
  EXPECT_EQ(element_text(value, 0), "18446744073709551615");
}

TEST(Value, ElementsAsText) {
  EXPECT_EQ(element_text(floats({1}, {0.1}), 0), "0.1");
  EXPECT_EQ(element_text(integers(ElementType::int4, {2}, {0, -3}), 1), "-3");
  EXPECT_EQ(element_text(floats(ElementType::float8e4m3fn, {1}, {1.5}), 0), "1.5 (0x3c)");
}

TEST(Value, Refusals) {
  EXPECT_THAT(refusal([] {
                Value(ElementType::uint8, {2, -1});
              }),
              HasSubstr("found shape [2, -1]"));
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  EXPECT_THAT(refusal([] { Value(ElementType::uint8, {kHuge, kHuge}); }), HasSubstr("2^48"));
  EXPECT_THAT(refusal([] { Value(ElementType::uint8, {0, kHuge, kHuge}); }), HasSubstr("2^48"));
  EXPECT_THROW(Value(ElementType::float64, {kHuge, 100}), WorkError);
  EXPECT_THAT(refusal([] { Value(ElementType::uint8, {1}).as<float>(); }), HasSubstr("32 bits"));
  EXPECT_THAT(refusal([] { Value(ElementType::int4, {1}).as<std::int8_t>(); }), HasSubstr("int4"));
  EXPECT_THAT(refusal([] { Value(ElementType::int8, {4}).reshaped({3}); }),
              HasSubstr("4 elements"));
  EXPECT_THAT(refusal([] { element_type(8, "x"); }), HasSubstr("string"));
  EXPECT_THAT(refusal([] { element_type(99, "x"); }), HasSubstr("x: expected"));
}

}  // namespace
}  // namespace zeropoint::model
