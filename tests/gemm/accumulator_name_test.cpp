// How accumulators are written, and up to which k they are exact.
#include <limits>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/formats/integer_grid.hpp"
#include "zeropoint/gemm/accumulator.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

TEST(AccumulatorName, IsReadAndWrittenTheSame) {
  EXPECT_THAT(
      accumulator_words(),
      ElementsAre("int32", "int32-wrap", "int32-saturate", "int16", "int16-wrap", "int16-saturate",
                  "int8", "int8-wrap", "int8-saturate", "float64", "float32", "fp16", "bf16"));
  EXPECT_THAT(order_words(), ElementsAre("sequential", "pairwise", "blocked=32"));
  for (const auto& word : accumulator_words()) {
    EXPECT_EQ(to_string(parse_accumulator(word)), word);
    EXPECT_EQ(parse_accumulator(word + ":sequential"), parse_accumulator(word));
    for (const std::string order : {":pairwise", ":blocked=1", ":blocked=18446744073709551615"}) {
      EXPECT_EQ(to_string(parse_accumulator(word + order)), word + order);
    }
  }
  EXPECT_EQ(parse_accumulator("int32"), Accumulator());
  const Accumulator expected{.kind = AccumulatorKind::int16,
                             .overflow = IntegerOverflow::saturate,
                             .order = SummationOrder::blocked,
                             .block = 32};
  EXPECT_EQ(parse_accumulator("int16-saturate:blocked=32"), expected);
}

TEST(AccumulatorName, IsRefusedWithTheNearest) {
  const auto said = [](std::string_view text) { return refusal([&] { parse_accumulator(text); }); };
  EXPECT_THAT(said("int16-saturated"),
              AllOf(HasSubstr("'int16-saturated'"), HasSubstr("did you mean int16-saturate?")));
  EXPECT_THAT(said("fp32"), HasSubstr("expected one of int32, int32-wrap"));
  EXPECT_THAT(said("fp16-wrap"), HasSubstr("found 'fp16-wrap'"));
  EXPECT_THAT(said(""), HasSubstr("found ''"));
  EXPECT_THAT(said("INT32"), HasSubstr("found 'INT32'"));
  EXPECT_THAT(said("fp16:pairs"), HasSubstr("did you mean pairwise?"));
  EXPECT_THAT(said("fp16:"), HasSubstr("expected an order"));
  EXPECT_THAT(said("fp16:blocked"), HasSubstr("did you mean blocked=32?"));
  EXPECT_THAT(said("fp16:pairwise:blocked=3"), HasSubstr("found 'pairwise:blocked=3'"));
  for (const char* text : {"fp16:blocked=", "fp16:blocked=0", "fp16:blocked=-1", "fp16:blocked=3x",
                           "fp16:blocked=18446744073709551616"}) {
    EXPECT_THAT(said(text), HasSubstr("a block of 1 or more terms")) << text;
  }
}

TEST(AccumulatorFormats, AreThoseOfTheFormatsLayer) {
  for (const auto& [kind, name] :
       {std::tuple(AccumulatorKind::float32, "fp32"), std::tuple(AccumulatorKind::fp16, "fp16"),
        std::tuple(AccumulatorKind::bf16, "bf16")}) {
    const FloatFormat& format = float_format(name);
    const AccumulatorFormat& held = format_of(kind);
    EXPECT_EQ(held.fraction_bits, format.fraction_bits);
    EXPECT_EQ(held.min_exponent, 1 - format.bias());
    EXPECT_EQ(held.hi, decode(format, format.infinity_code() - 1).value);
    EXPECT_EQ(held.lo, -held.hi);
    EXPECT_EQ(decode(format, encode(format, held.exact)).value, held.exact);
    EXPECT_EQ(decode(format, encode(format, held.exact + 1)).value, held.exact);
  }
}

CodeRange range_of(const IntegerGrid& grid, std::int32_t zero_point = 0) {
  return {grid.lo() - zero_point, grid.hi() - zero_point};
}
constexpr IntegerGrid kInt8{8, true, false};
constexpr IntegerGrid kUint8{8, false, false};

// The table of docs/accumulators.md.
TEST(LargestExactK, OfCodesOf8BitsIsAsDocumented) {
  const auto all = [](const IntegerGrid& a, const IntegerGrid& b, std::int32_t zero_point = 0) {
    std::vector<std::size_t> found;
    for (const char* word : {"int32", "float32", "int16"}) {
      found.push_back(largest_exact_k(parse_accumulator(word), range_of(a, zero_point),
                                      range_of(b, zero_point)));
    }
    return found;
  };
  EXPECT_THAT(all(kUint8, kInt8), ElementsAre(65'793, 514, 1));
  EXPECT_THAT(all(kInt8, kInt8), ElementsAre(131'071, 1'024, 1));
  EXPECT_THAT(all(kUint8, kUint8), ElementsAre(33'025, 258, 0));
  EXPECT_THAT(all(kInt8, kInt8, -128), ElementsAre(33'025, 258, 0));  // as far as uint8
}

// All codes at the ends that the bound is about: k of them fit, k + 1 do not.
TEST(LargestExactK, IsReached) {
  struct Ends {
    CodeRange a, b;
    std::int16_t end_a, end_b;
  };
  for (const Ends& ends : {Ends{range_of(kUint8), range_of(kInt8), 255, -128},
                           Ends{range_of(kInt8), range_of(kInt8), -128, -128},
                           Ends{range_of(kUint8), range_of(kUint8), 255, 255},
                           Ends{{-3, 2}, {-1, 1}, -3, 1}, Ends{{0, 0}, {-7, 7}, 0, 7}}) {
    for (const char* word : {"int32", "int16", "int8"}) {
      const Accumulator accumulator = parse_accumulator(word);
      const std::size_t k = largest_exact_k(accumulator, ends.a, ends.b);
      const bool always = ends.a.lo == 0 && ends.a.hi == 0;
      ASSERT_EQ(k == std::numeric_limits<std::size_t>::max(), always);
      if (always) continue;
      const auto said = [&](std::size_t terms) {
        if (terms > 1'000'000) return std::string("not tried");
        const std::vector<std::int16_t> row(terms, ends.end_a);
        const std::vector<std::int16_t> column(terms, ends.end_b);
        return refusal([&] {
          double sum = 0;
          accumulate(MatrixView<const std::int16_t>{row.data(), 1, terms, 0, 1},
                     MatrixView<const std::int16_t>{column.data(), terms, 1, 1, 1}, accumulator,
                     {&sum, 1, 1, 1, 1});
        });
      };
      EXPECT_THAT(said(k), ::testing::AnyOf("no refusal", "not tried")) << word;
      EXPECT_NE(said(k + 1), "no refusal") << word;
    }
  }
}

TEST(LargestExactK, OfFloatsIsTheirPrecision) {
  const auto k_of = [](const char* word, CodeRange a, CodeRange b) {
    return largest_exact_k(parse_accumulator(word), a, b);
  };
  const CodeRange int8 = range_of(kInt8);
  EXPECT_EQ(k_of("float32", int8, int8), std::size_t{1} << (24 - 14));
  EXPECT_EQ(k_of("float64", int8, int8), std::size_t{1} << (53 - 14));
  EXPECT_EQ(k_of("fp16", int8, int8), 0U);
  EXPECT_EQ(k_of("fp16", {-8, 7}, {-8, 7}), 32U);
  EXPECT_EQ(k_of("bf16", {-8, 7}, {-8, 7}), 4U);
  EXPECT_EQ(k_of("bf16", {-1, 1}, {1, 1}), 256U);
}

TEST(LargestExactK, RefusesRangesThatAreNone) {
  const Accumulator int32;
  for (const CodeRange bad : {CodeRange{1, 0}, CodeRange{-(std::int64_t{1} << 32), 0},
                              CodeRange{0, std::int64_t{1} << 32}}) {
    EXPECT_THAT(refusal([&] { largest_exact_k(int32, bad, {0, 1}); }), HasSubstr("range of codes"));
    EXPECT_THAT(refusal([&] { largest_exact_k(int32, {0, 1}, bad); }), HasSubstr("range of codes"));
  }
}

}  // namespace
}  // namespace zeropoint
