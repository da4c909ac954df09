// Operators by hand-made cases: what ONNX's text says, where its own tests do not look.
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/nodes.hpp"
#include "support/refusal.hpp"

namespace zeropoint::testing {
namespace {

using enum model::ElementType;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

Value scalar(double x) { return floats({}, {x}); }
Value scalar(ElementType type, std::int64_t x) { return integers(type, {}, {x}); }
std::vector<std::int64_t> whole(const Value& value) { return model::to_integers(value); }

TEST(QuantizeLinear, RoundsHalfToEvenThenAddsTheZeroPointThenSaturates) {
  const Value x = floats({8}, {0.5, 1.5, 2.5, -0.5, 253.5, 254.5, 1e30, -1e30});
  const Value y = run_one("QuantizeLinear", {x, scalar(1), scalar(uint8, 1)});
  EXPECT_THAT(whole(y), ElementsAre(1, 3, 3, 1, 255, 255, 255, 0));
}

TEST(QuantizeLinear, SpecialsAreDefined) {
  const Value x = floats({4}, {kInfinity, -kInfinity, kNan, 0});
  EXPECT_THAT(whole(run_one("QuantizeLinear", {x, scalar(1), scalar(int8, 3)})),
              ElementsAre(127, -128, -128, 3));
  // 0 / 0 is a NaN, 1 / 0 infinity.
  EXPECT_THAT(whole(run_one("QuantizeLinear", {floats({2}, {0, 1}), scalar(0), scalar(int8, 3)})),
              ElementsAre(-128, 127));
}

TEST(QuantizeLinear, EveryIntegerTypeSaturatesAtItsEnds) {
  const Value x = floats({2}, {-1e6, 1e6});
  const std::vector<std::pair<ElementType, Integers>> ends = {
      {int2, {-2, 1}},     {uint2, {0, 3}},          {int4, {-8, 7}},     {uint4, {0, 15}},
      {int8, {-128, 127}}, {int16, {-32768, 32767}}, {uint16, {0, 65535}}};
  for (const auto& [type, of_type] : ends) {
    const Attributes attributes = {{"output_dtype", number(type)}};
    EXPECT_EQ(whole(run_one("QuantizeLinear", {x, scalar(1)}, attributes)), of_type) << name(type);
  }
}

TEST(QuantizeLinear, TheDivisionIsInTheScalesTypeOrInThatOfPrecision) {
  const Value x = floats({1}, {1001.25});
  const auto q = [&](ElementType scale, Attributes attributes) {
    attributes["output_dtype"] = number(int16);
    return whole(run_one("QuantizeLinear", {x, floats(scale, {}, {0.25})}, attributes))[0];
  };
  EXPECT_EQ(q(float32, {}), 4005);
  // float16 rounds x to 1001 (a tie, to even), bfloat16 to 1000.
  EXPECT_EQ(q(float16, {}), 4004);
  EXPECT_EQ(q(bfloat16, {}), 4000);
  EXPECT_EQ(q(float16, {{"precision", number(float32)}}), 4005);
  EXPECT_EQ(q(float32, {{"precision", number(float16)}}), 4004);
  EXPECT_EQ(q(float32, {{"precision", number(bfloat16)}}), 4000);
  EXPECT_EQ(q(float32, {{"precision", number(float64)}}), 4005);
  EXPECT_EQ(q(float8e8m0, {}), 4005);
}

TEST(QuantizeLinear, AxisAndBlocks) {
  const Value x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto q = [&](const Value& scale, const Attributes& attributes) {
    return whole(run_one("QuantizeLinear", {x, scale}, attributes));
  };
  const std::int64_t one = 1, zero = 0, back = -2, two = 2;
  EXPECT_THAT(q(floats({3}, {1, 2, 3}), {}), ElementsAre(1, 1, 1, 4, 2, 2));
  EXPECT_THAT(q(floats({2}, {1, 2}), {{"axis", zero}}), ElementsAre(1, 2, 3, 2, 2, 3));
  EXPECT_THAT(q(floats({2}, {1, 2}), {{"axis", back}}), ElementsAre(1, 2, 3, 2, 2, 3));
  // The last block is shorter.
  EXPECT_THAT(q(floats({2, 2}, {1, 3, 2, 6}), {{"axis", one}, {"block_size", two}}),
              ElementsAre(1, 2, 1, 2, 2, 1));
  EXPECT_THAT(q(floats({1, 3}, {1, 2, 3}), {{"axis", zero}, {"block_size", two}}),
              ElementsAre(1, 1, 1, 4, 2, 2));
}

TEST(QuantizeLinear, Float8SaturatesUnlessToldNot) {
  const Value x = floats({4}, {1000, -1000, 3, kInfinity});
  Attributes attributes = {{"output_dtype", number(float8e4m3fn)}};
  EXPECT_THAT(codes(run_one("QuantizeLinear", {x, scalar(2)}, attributes)),
              ElementsAre(0x7E, 0xFE, 0x3C, 0x7E));
  attributes["saturate"] = std::int64_t{0};
  EXPECT_THAT(codes(run_one("QuantizeLinear", {x, scalar(2)}, attributes)),
              ElementsAre(0x7F, 0xFF, 0x3C, 0x7F));
}

TEST(QuantizeLinear, Refusals) {
  const Value x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto refused = [&](const std::vector<Value>& inputs, const Attributes& attributes) {
    return refusal([&] { run_one("QuantizeLinear", inputs, attributes); });
  };
  const std::int64_t five = 5, two = 2, minus = -1;
  EXPECT_THAT(refused({x, floats({2}, {1, 1})}, {}), HasSubstr("expected one, or 3 along axis 1"));
  EXPECT_THAT(refused({x, floats({2}, {1, 1})}, {{"axis", five}}), HasSubstr("-2 to 1"));
  EXPECT_THAT(refused({x, x}, {{"block_size", two}}), HasSubstr("expected shape [2, 2]"));
  EXPECT_THAT(refused({x, scalar(1)}, {{"block_size", minus}}), HasSubstr("block_size"));
  EXPECT_THAT(refused({x, scalar(1), scalar(int8, 0)}, {{"output_dtype", number(uint8)}}),
              HasSubstr("zero point: expected type uint8"));
  EXPECT_THAT(refused({x, scalar(1)}, {{"output_dtype", number(int64)}}), HasSubstr("int64"));
  EXPECT_THAT(refused({x, scalar(1)}, {{"output_dtype", std::int64_t{77}}}), HasSubstr("77"));
  EXPECT_THAT(refused({x, scalar(1)}, {{"precision", number(int8)}}), HasSubstr("precision"));
  EXPECT_THAT(refused({x, scalar(1)}, {{"saturate", std::string("no")}}), HasSubstr("an integer"));
  EXPECT_THAT(refused({x, scalar(1), integers(uint8, {3}, {1, 2, 3})}, {}),
              HasSubstr("scale's shape"));
  EXPECT_THAT(refused({scalar(int64, 1), scalar(1)}, {}), HasSubstr("int64"));
}

TEST(DequantizeLinear, TheProductIsInFloat32AndRoundedOnce) {
  const Value x = integers(uint16, {3}, {65535, 0, 40000});
  const Value scale = floats(float16, {}, {0.1});
  // 65535 is beyond float16's largest; its product with the scale is not.
  EXPECT_THAT(model::to_floats(run_one("DequantizeLinear", {x, scale})),
              ElementsAre(6552, 0, 4000));
  const Attributes wide = {{"output_dtype", number(float32)}};
  const float s = model::to_floats(scale)[0];
  EXPECT_THAT(
      model::to_floats(run_one("DequantizeLinear", {x, scale, scalar(uint16, 40000)}, wide)),
      ElementsAre(25535 * s, -40000 * s, 0));
}

TEST(DequantizeLinear, AnE8M0ScaleNeedsAnOutputType) {
  const Value x = floats(float4e2m1, {2}, {-6, 0.5});
  const Value scale = floats(float8e8m0, {}, {4});
  EXPECT_THAT(refusal([&] { run_one("DequantizeLinear", {x, scale}); }), HasSubstr("output_dtype"));
  const Attributes half = {{"output_dtype", number(bfloat16)}};
  const Value y = run_one("DequantizeLinear", {x, scale}, half);
  EXPECT_EQ(y.type(), bfloat16);
  EXPECT_THAT(model::to_floats(y), ElementsAre(-24, 2));
}

TEST(DynamicQuantizeLinear, DegenerateInputs) {
  const auto run = [](const std::vector<double>& x) {
    const Value value = floats({static_cast<std::int64_t>(x.size())}, x);
    return run_all("DynamicQuantizeLinear", {&value}, {}, 3, 11);
  };
  for (const auto& x : std::vector<std::vector<double>>{{}, {0, 0}, {-0.0}, {0x1p-149}}) {
    const auto y = run(x);
    EXPECT_THAT(whole(y[0]), Each(0));
    EXPECT_EQ(y[0].size(), x.size());
    EXPECT_EQ(model::to_floats(y[1])[0], 1);
    EXPECT_EQ(whole(y[2])[0], 0);
  }
  EXPECT_THAT(whole(run({2, 2})[0]), Each(255));
  EXPECT_THAT(whole(run({-2})[2]), Each(255));
  EXPECT_THAT(refusal([&] { run({1, kNan}); }), HasSubstr("found nan at [1]"));
  EXPECT_THAT(refusal([&] { run({-kInfinity}); }), HasSubstr("found -inf at [0]"));
  EXPECT_THAT(refusal([&] { run({3e38, -3e38}); }), HasSubstr("range"));
}

TEST(MatMulInteger, ZeroPointsOfRowsAndColumns) {
  const Value a = integers(uint8, {2, 2}, {1, 2, 3, 4}), b = integers(int8, {2, 2}, {1, 0, -1, 2});
  const Value z_a = integers(uint8, {2}, {1, 3}), z_b = integers(int8, {2}, {1, -1});
  // (a - z_a) = [0 1; 0 1], (b - z_b) = [0 1; -2 3].
  EXPECT_THAT(whole(run_one("MatMulInteger", {a, b, z_a, z_b}, {}, 10)), ElementsAre(-2, 3, -2, 3));
  EXPECT_THAT(whole(run_one("MatMulInteger", {a, b, z_a.reshaped({2, 1}), z_b.reshaped({1, 2})})),
              ElementsAre(-2, 3, -2, 3));
  const Value y = run_one("MatMulInteger", {a.reshaped({4}), integers(uint8, {4}, {1, 1, 1, 1})});
  EXPECT_TRUE(y.shape().empty());
  EXPECT_THAT(whole(y), ElementsAre(10));
}

TEST(MatMulInteger, Refusals) {
  const Value a = integers(uint8, {2, 3}, {1, 2, 3, 4, 5, 6});
  const auto refused = [&](const std::vector<Value>& inputs) {
    return refusal([&] { run_one("MatMulInteger", inputs); });
  };
  EXPECT_THAT(refused({a, a}), HasSubstr("found [2, 3] and [2, 3]"));
  EXPECT_THAT(refused({a, scalar(uint8, 1)}), HasSubstr("vectors, matrices"));
  EXPECT_THAT(refused({a, a.reshaped({3, 2}), integers(uint8, {3}, {1, 2, 3})}),
              HasSubstr("one a row"));
  EXPECT_THAT(refused({a, a.reshaped({3, 2}), scalar(int8, 3)}), HasSubstr("expected type uint8"));
  EXPECT_THAT(refused({floats({1, 1}, {1}), a}), HasSubstr("A: expected type int8 or uint8"));
  EXPECT_THAT(refused({a.reshaped({3, 2, 1}), a.reshaped({2, 1, 3})}), HasSubstr("broadcast"));
}

TEST(QLinearMatMul, FollowsOnnxRuntimeAtTies) {
  const Value a = integers(int8, {1, 1}, {1}), b = integers(int8, {1, 3}, {1, 3, 5});
  // Sums 1, 3, 5 times 1/2: 0.5, 1.5, 2.5 → 0, 2, 2, and then the zero point.
  const Value y = run_one("QLinearMatMul", {a, scalar(0.5), scalar(int8, 0), b, scalar(1),
                                            scalar(int8, 0), scalar(1), scalar(uint8, 1)});
  EXPECT_EQ(y.type(), uint8);
  EXPECT_THAT(whole(y), ElementsAre(1, 3, 3));
}

TEST(QLinearMatMul, ScalesOfRowsAndColumns) {
  const Value a = integers(int8, {2, 1}, {10, 10}), b = integers(int8, {1, 2}, {1, 1});
  const Value s_a = floats({2}, {1, 2}), s_b = floats({2}, {1, 3}), z = integers(int8, {2}, {0, 0});
  EXPECT_THAT(whole(run_one("QLinearMatMul", {a, s_a, z, b, s_b, z, scalar(1), scalar(int8, 5)})),
              ElementsAre(15, 35, 25, 65));
  EXPECT_THAT(refusal([&] {
                run_one("QLinearMatMul", {a, s_a, z, b, s_b, z, scalar(0), scalar(int8, 5)});
              }),
              HasSubstr("finite"));
}

TEST(Convolution, TheCornersThatPadsAndGroupsHave) {
  const Value x = integers(uint8, {1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const Value w = integers(int8, {2, 1, 2}, {1, 1, 1, -1});
  const std::int64_t two = 2;
  const Attributes groups = {{"group", two}, {"pads", Integers{1, 0}}};
  // Padding has the value 0, so the code of the zero point.
  EXPECT_THAT(whole(run_one("ConvInteger", {x, w, scalar(uint8, 1)}, groups)),
              ElementsAre(0, 1, 3, -3, -1, -1));
  // A kernel of one element that is not pointwise: x is stepped over.
  const Value one = integers(int8, {1, 2, 1}, {1, 1});
  EXPECT_THAT(whole(run_one("ConvInteger", {x, one}, {{"strides", Integers{2}}})),
              ElementsAre(5, 9));
  EXPECT_THAT(whole(run_one("ConvInteger", {x, one})), ElementsAre(5, 7, 9));
  const Value y = run_one("ConvInteger", {integers(uint8, {1, 2, 1}, {7, 8}), one},
                          {{"strides", Integers{2}}, {"pads", Integers{1, 0}}});
  EXPECT_THAT(whole(y), ElementsAre(0));
  EXPECT_TRUE(run_one("ConvInteger", {integers(uint8, {0, 2, 3}, {}), one}).shape() ==
              (Shape{0, 1, 3}));
}

TEST(Convolution, Refusals) {
  const Value x = integers(uint8, {1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const Value w = integers(int8, {2, 1, 2}, {1, 1, 1, -1});
  const auto refused = [&](const Attributes& attributes) {
    return refusal([&] { run_one("ConvInteger", {x, w}, attributes); });
  };
  const std::int64_t two = 2, zero = 0;
  EXPECT_THAT(refused({}), HasSubstr("attribute group"));
  EXPECT_THAT(refused({{"group", zero}}), HasSubstr("attribute group"));
  EXPECT_THAT(refused({{"group", two}, {"strides", Integers{0}}}),
              HasSubstr("strides: expected 1"));
  EXPECT_THAT(refused({{"group", two}, {"strides", Integers{1, 1}}}), HasSubstr("found [1, 1]"));
  EXPECT_THAT(refused({{"group", two}, {"pads", Integers{-1, 0}}}), HasSubstr("pads"));
  EXPECT_THAT(refused({{"group", two}, {"dilations", Integers{5}}}), HasSubstr("6 or more"));
  EXPECT_THAT(refused({{"group", two}, {"kernel_shape", Integers{3}}}), HasSubstr("kernel_shape"));
  EXPECT_THAT(refused({{"group", two}, {"auto_pad", std::string("SAME")}}), HasSubstr("'SAME'"));
  const Attributes endless = {{"group", two}, {"pads", Integers{1LL << 39, 1LL << 39}}};
  EXPECT_THROW(run_one("ConvInteger", {x, w}, endless), Error);
}

TEST(QLinearConv, TheBiasIsPartOfTheSum) {
  const Value x = integers(uint8, {1, 1, 2}, {10, 20}), w = integers(int8, {2, 1, 1}, {1, 2});
  const Value w_scale = floats({2}, {1, 0.5}), w_zero = integers(int8, {2}, {0, 0});
  const Value bias = integers(int32, {2}, {7, -30});
  const Value y = run_one("QLinearConv", {x, scalar(1), scalar(uint8, 10), w, w_scale, w_zero,
                                          scalar(1), scalar(int8, 1), bias});
  EXPECT_THAT(whole(y), ElementsAre(8, 18, -14, -4));
}

TEST(Cast, FloatsToIntegersLoseTheirFraction) {
  const Value x = floats({4}, {-1.9, 1.9, 127.5, -0.9});
  EXPECT_THAT(whole(run_one("Cast", {x}, {{"to", number(int8)}})), ElementsAre(-1, 1, 127, 0));
  // Undefined by ONNX, but the same everywhere.
  const Value far = floats({4}, {300, kNan, kInfinity, -1});
  EXPECT_THAT(whole(run_one("Cast", {far}, {{"to", number(uint8)}})), ElementsAre(44, 0, 0, 255));
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  EXPECT_THAT(whole(run_one("Cast", {far}, {{"to", number(int64)}})),
              ElementsAre(300, kLowest, kLowest, -1));
  EXPECT_THAT(whole(run_one("Cast", {far}, {{"to", number(boolean)}})), Each(1));
}

TEST(Cast, IntegersAreRoundedOnce) {
  // Halfway between two float16 numbers but for the last bit, which a double does not hold.
  const Value x = integers(int64, {2}, {(1LL << 60) + (1LL << 36) + 1, (1LL << 60) + (1LL << 36)});
  EXPECT_THAT(model::to_doubles(run_one("Cast", {x}, {{"to", number(float32)}})),
              ElementsAre(0x1p60 + 0x1p37, 0x1p60));
  const Value most = integers(uint64, {1}, {-1});
  EXPECT_THAT(model::to_doubles(run_one("Cast", {most}, {{"to", number(bfloat16)}})),
              ElementsAre(0x1p64));
}

TEST(Cast, ScalesByTheOperatorsTables) {
  const Value x = floats({6}, {3, 0, kInfinity, kNan, 0x1p-127, 1.5});
  const auto cast = [&](std::int64_t saturate, const std::string& mode) {
    return codes(run_one(
        "Cast", {x}, {{"to", number(float8e8m0)}, {"saturate", saturate}, {"round_mode", mode}}));
  };
  EXPECT_THAT(cast(1, "up"), ElementsAre(129, 0, 254, 255, 0, 128));
  EXPECT_THAT(cast(1, "down"), ElementsAre(128, 0, 254, 255, 0, 127));
  EXPECT_THAT(cast(0, "nearest"), ElementsAre(129, 255, 255, 255, 0, 128));
  EXPECT_THAT(refusal([&] { cast(1, "sideways"); }), HasSubstr("round_mode"));
}

TEST(Cast, Refusals) {
  const auto refused = [](const Attributes& attributes, std::int64_t opset) {
    return refusal([&] { run_one("Cast", {scalar(1)}, attributes, opset); });
  };
  EXPECT_THAT(refused({}, 25), HasSubstr("attribute to"));
  EXPECT_THAT(refused({{"to", std::int64_t{8}}}, 25), HasSubstr("string"));
  EXPECT_THAT(refused({{"to", std::string("INT8")}}, 25), HasSubstr("an integer"));
  EXPECT_THAT(refused({{"to", std::string("STRING")}}, 1), HasSubstr("'string'"));
  EXPECT_EQ(run_one("Cast", {scalar(3)}, {{"to", std::string("INT8")}}, 1).type(), int8);
}

TEST(Elementwise, BroadcastsAndWraps) {
  const Value a = integers(int8, {2, 1}, {100, -100}), b = integers(int8, {2}, {100, 1});
  EXPECT_THAT(whole(run_one("Add", {a, b})), ElementsAre(-56, 101, 0, -99));
  EXPECT_THAT(
      whole(run_one("Div", {integers(int32, {2}, {-7, 1LL << 31}), integers(int32, {2}, {2, -1})})),
      ElementsAre(-3, -(1LL << 31)));
  EXPECT_THAT(refusal([&] {
                run_one("Div", {b, integers(int8, {}, {0})});
              }),
              HasSubstr("other than 0"));
  EXPECT_THAT(refusal([&] { run_one("Add", {b, scalar(1)}); }), HasSubstr("int8 and float"));
  // 16-bit floats: the exact sum, rounded once.
  const Value h = floats(float16, {1}, {2048});
  EXPECT_THAT(model::to_floats(run_one("Add", {h, floats(float16, {}, {1})})), ElementsAre(2048));
  EXPECT_TRUE(std::isnan(model::to_floats(run_one("Min", {scalar(1), scalar(kNan)}))[0]));
}

TEST(Elementwise, ClipByAttributesAndByInputs) {
  const Value x = floats({3}, {-5, 0, 5});
  EXPECT_THAT(model::to_floats(run_one("Clip", {x}, {{"min", -1.0F}}, 6)), ElementsAre(-1, 0, 5));
  EXPECT_THAT(model::to_floats(run_one("Clip", {x, scalar(1), scalar(-1)})), Each(-1));
  EXPECT_THAT(model::to_floats(run_one("Round", {floats({3}, {0.5, 1.5, -2.5})})),
              ElementsAre(0, 2, -2));
}

TEST(Shapes, ReshapeAndReduce) {
  const Value x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::int64_t zero = 0;
  EXPECT_EQ(run_one("Reshape", {x, integers(int64, {2}, {-1, 2})}).shape(), (Shape{3, 2}));
  EXPECT_EQ(run_one("Reshape", {x, integers(int64, {3}, {0, 3, 1})}).shape(), (Shape{2, 3, 1}));
  for (const Integers& wrong : std::vector<Integers>{{4}, {-1, -1}, {-1, 4}, {-2}, {2, 3, 0}}) {
    const Value shape = integers(int64, {static_cast<std::int64_t>(wrong.size())}, wrong);
    EXPECT_NE(refusal([&] { run_one("Reshape", {x, shape}); }), "no refusal");
  }
  EXPECT_THAT(
      model::to_floats(run_one("ReduceMax", {x}, {{"axes", Integers{-1}}, {"keepdims", zero}}, 13)),
      ElementsAre(3, 6));
  EXPECT_THAT(model::to_floats(run_one("ReduceMin", {x, integers(int64, {1}, {0})})),
              ElementsAre(1, 2, 3));
  EXPECT_THAT(model::to_floats(run_one("ReduceMin", {floats({0}, {})})), ElementsAre(kInfinity));
}

}  // namespace
}  // namespace zeropoint::testing
