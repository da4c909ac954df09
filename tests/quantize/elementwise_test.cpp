// The vector code against quantize_one, on every instruction set of this machine.
#include "zeropoint/quantize/elementwise.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/conventions.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using testing::refusal;
using testing::WithThreads;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

template <class Code>
class Elementwise : public ::testing::Test {
 protected:
  static constexpr int kBits = 8 * sizeof(Code);
  static constexpr bool kSigned = std::is_signed_v<Code>;

  static std::vector<IntegerGrid> grids() {
    std::vector<IntegerGrid> list;
    for (const int bits : {kBits, kBits - 1, kBits == 8 ? 2 : 9}) {
      list.push_back({bits, kSigned, false});
      list.push_back({bits, kSigned, true});
    }
    return list;
  }
};
using CodeTypes = ::testing::Types<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t>;
TYPED_TEST_SUITE(Elementwise, CodeTypes);

// Numbers of any size, at ties and next to them, at the grid's ends and beyond, and no numbers.
std::vector<float> hostile_values(std::mt19937_64& random, QuantParams params,
                                  const IntegerGrid& grid) {
  auto values = testing::awkward_values();
  for (const float x : {kInfinity, -kInfinity, kNaN, -kNaN, std::bit_cast<float>(0x7F800001U)}) {
    values.push_back(x);
  }
  const auto add_near = [&](double code) {
    const auto x = static_cast<float>((code - params.zero_point) * params.scale);
    for (const float near : {x, std::nextafter(x, kInfinity), std::nextafter(x, -kInfinity)}) {
      values.push_back(near);
    }
  };
  for (const double end : {double(grid.lo()), double(grid.hi())}) {
    for (const double away : {-1.0, -0.5, 0.0, 0.5, 1.0}) add_near(end + away);
  }
  for (int i = 0; i < 200; ++i) {
    const auto code = static_cast<double>(testing::integer_between(random, grid.lo(), grid.hi()));
    add_near(code);
    add_near(code + 0.5);
  }
  for (int i = 0; i < 200; ++i) values.push_back(testing::any_finite(random));
  return values;
}

std::vector<QuantParams> hostile_params(const IntegerGrid& grid) {
  return {{1, 0},
          {0.5F, grid.lo()},
          {0.1F, grid.hi()},
          {0.0123F, (grid.lo() + grid.hi()) / 2},
          {3.7e-5F, -1000},
          {std::numeric_limits<float>::min(), 3},
          {1e38F, -2},
          {0.3F, 1 << 24},
          {0.3F, -(1 << 24)}};
}

template <class Code>
void expect_like_quantize_one(std::span<const float> x, QuantParams params, const IntegerGrid& grid,
                              const Convention& convention) {
  constexpr Code kUntouched = 77;
  std::vector<Code> codes(x.size() + 1, kUntouched);
  const auto clipped =
      quantize<Code>(x, params, grid, convention, std::span(codes).first(x.size()));
  std::size_t expected_clipped = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    bool was_clipped = false;
    const auto expected = quantize_one(x[i], params, grid, convention, &was_clipped);
    expected_clipped += was_clipped ? 1 : 0;
    ASSERT_EQ(codes[i], expected) << to_string(convention) << ", " << name(grid) << ", scale "
                                  << params.scale << ", zero point " << params.zero_point << ": "
                                  << std::hexfloat << x[i] << " at " << i << " of " << x.size();
  }
  ASSERT_EQ(clipped, expected_clipped) << to_string(convention) << ", " << x.size() << " values";
  ASSERT_EQ(codes.back(), kUntouched) << "wrote past the end";
}

TYPED_TEST(Elementwise, EqualsQuantizeOneOnHostileValues) {
  testing::on_every_target([&] {
    std::mt19937_64 random(51);
    for (const auto& grid : this->grids()) {
      for (const auto& params : hostile_params(grid)) {
        const auto values = hostile_values(random, params, grid);
        for (const auto& convention : testing::every_elementwise_convention()) {
          ASSERT_NO_FATAL_FAILURE(
              expect_like_quantize_one<TypeParam>(values, params, grid, convention));
        }
      }
    }
  });
}

TYPED_TEST(Elementwise, EqualsQuantizeOneAtEveryLengthAndAlignment) {
  constexpr std::size_t kMostLanes = HWY_MAX_BYTES / sizeof(float);  // four of these go in a turn
  testing::on_every_target([&] {
    std::mt19937_64 random(52);
    const auto grid = this->grids().front();
    const QuantParams params{0.02F, grid.lo() + 5};
    // Some are clipped; the zeros that pad the last vector would be too if they were counted.
    for (const auto& convention : {parse_convention("report"), parse_convention("report-code")}) {
      for (std::size_t offset = 0; offset < 4; ++offset) {
        for (std::size_t length = 0; length <= 9 * kMostLanes + 1; ++length) {
          const double reach = grid.levels() * 0.02;
          const auto values =
              testing::uniform_values(random, offset + length, -reach / 4, reach * 1.2);
          ASSERT_NO_FATAL_FAILURE(expect_like_quantize_one<TypeParam>(
              std::span(values).subspan(offset), params, grid, convention));
        }
      }
    }
    const QuantParams zero_is_clipped{1, grid.hi() + 10};
    for (std::size_t length = 0; length <= 9 * kMostLanes + 1; ++length) {
      const std::vector<float> values(length, -15.0F);
      std::vector<TypeParam> codes(length);
      ASSERT_EQ(quantize<TypeParam>(values, zero_is_clipped, grid, {}, codes), 0U) << length;
    }
  });
}

TYPED_TEST(Elementwise, CountsClippedOverAllPiecesAtAnyThreadCount) {
  std::mt19937_64 random(53);
  const auto grid = this->grids().front();
  const QuantParams params{0.01F, 3};
  const auto values = testing::uniform_values(random, 200'001, -1.5F * 0.01F * grid.levels(),
                                              1.5F * 0.01F * grid.levels());
  for (const int count : {1, 2, 7}) {
    const WithThreads with(count);
    ASSERT_NO_FATAL_FAILURE(expect_like_quantize_one<TypeParam>(values, params, grid, {}));
  }
}

// What must hold: to the nearest, a code's own number is nearest to it. Rounding down or towards
// zero can lose a code to x/s falling just short of it, but not where s is a power of two.
TYPED_TEST(Elementwise, EveryCodeSurvivesARoundTrip) {
  for (int bits = this->kBits == 8 ? 2 : 9; bits <= this->kBits; ++bits) {
    for (const bool narrow : {false, true}) {
      const IntegerGrid grid{bits, this->kSigned, narrow};
      std::vector<TypeParam> codes;
      for (int code = grid.lo(); code <= grid.hi(); ++code) {
        codes.push_back(static_cast<TypeParam>(code));
      }
      std::vector<float> reals(codes.size());
      std::vector<TypeParam> back(codes.size());
      for (const float scale : {1.0F, 0x1p-100F, 0x1p100F, 0.1F, 1.0F / 3, 1e-30F, 7.77e20F}) {
        for (const int z : {0, grid.lo(), grid.hi(), 5, -99'999, 99'999}) {
          dequantize<TypeParam>(codes, {scale, z}, reals);
          for (const auto& convention : testing::every_elementwise_convention()) {
            int exponent = 0;
            const bool power_of_two = std::frexp(scale, &exponent) == 0.5F;
            if (!power_of_two && !testing::rounds_to_nearest(convention.rounding)) continue;
            ASSERT_EQ(quantize<TypeParam>(reals, {scale, z}, grid, convention, back), 0U);
            ASSERT_EQ(back, codes)
                << to_string(convention) << ", " << name(grid) << ", " << scale << ", " << z;
          }
        }
      }
    }
  }
}

TYPED_TEST(Elementwise, DequantizesLikeTheDefinition) {
  testing::on_every_target([&] {
    std::mt19937_64 random(54);
    for (const auto& params : hostile_params(this->grids().front())) {
      for (std::size_t length = 0; length <= 9 * HWY_MAX_BYTES / sizeof(float) + 1; ++length) {
        std::vector<TypeParam> codes(length);
        for (auto& code : codes) code = static_cast<TypeParam>(random());
        if (length > 0) codes[length / 2] = std::numeric_limits<TypeParam>::min();
        if (length > 1) codes[length - 1] = std::numeric_limits<TypeParam>::max();
        std::vector<float> reals(length + 1, -7.0F);
        dequantize<TypeParam>(codes, params, std::span(reals).first(length));
        for (std::size_t i = 0; i < length; ++i) {
          const auto steps = static_cast<float>(int{codes[i]} - params.zero_point);
          const float real = params.scale * steps;
          const float expected =
              std::isinf(real) ? std::copysign(std::numeric_limits<float>::max(), real) : real;
          ASSERT_EQ(reals[i], expected) << params.scale << ", " << params.zero_point;
          ASSERT_EQ(dequantize(codes[i], params), expected);
        }
        ASSERT_EQ(reals.back(), -7.0F) << "wrote past the end";
      }
    }
  });
}

TEST(Quantize, RefusesWhatDoesNotFit) {
  const std::vector<float> x(3, 1.0F);
  std::vector<std::int8_t> codes(3);
  std::vector<std::uint8_t> unsigned_codes(3);
  const IntegerGrid int8{8, true, false};
  const Convention convention;
  const auto quantizing = [&](QuantParams params) {
    return refusal([&] { quantize<std::int8_t>(x, params, int8, convention, codes); });
  };
  EXPECT_EQ(quantizing({1, 0}), "no refusal");
  EXPECT_EQ(quantizing({std::numeric_limits<float>::min(), -(1 << 24)}), "no refusal");
  for (const float scale : {0.0F, -1.0F, 1e-39F, kInfinity, kNaN}) {
    EXPECT_THAT(quantizing({scale, 0}), HasSubstr("scale")) << scale;
    EXPECT_THAT(refusal([&] {
                  quantize_one(1, {scale, 0}, int8, convention);
                }),
                HasSubstr("scale"));
  }
  for (const int z : {(1 << 24) + 1, -(1 << 24) - 1, std::numeric_limits<int>::min()}) {
    EXPECT_THAT(quantizing({1, z}), HasSubstr("zero point")) << z;
  }
  std::vector<std::int8_t> short_by_one(2);
  EXPECT_THAT(refusal([&] {
                quantize<std::int8_t>(x, {1, 0}, int8, convention, short_by_one);
              }),
              HasSubstr("as many"));
  std::vector<float> long_by_one(4);
  EXPECT_THAT(refusal([&] {
                dequantize<std::int8_t>(codes, {1, 0}, long_by_one);
              }),
              HasSubstr("as many"));
  EXPECT_THAT(refusal([&] {
                quantize<std::int8_t>(x, {1, 0}, {9, true, false}, convention, codes);
              }),
              HasSubstr("int9"));
  EXPECT_THAT(refusal([&] {
                quantize<std::int8_t>(x, {1, 0}, {8, false, false}, convention, codes);
              }),
              HasSubstr("uint8"));
  EXPECT_THAT(refusal([&] {
                quantize<std::uint8_t>(x, {1, 0}, {2, true, false}, convention, unsigned_codes);
              }),
              HasSubstr("int2"));
}

}  // namespace
}  // namespace zeropoint
