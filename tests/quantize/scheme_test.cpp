#include "zeropoint/quantize/scheme.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

void expect_full(const std::string& text, const std::string& full) {
  EXPECT_EQ(to_string(parse_scheme(text)), full);
}

TEST(Scheme, PrintsItselfInFull) {
  expect_full("int8", "int8:affine:tensor:minmax:half-even:dynamic@onnx");
  expect_full("int8:affine:tensor:cover=0.99",
              "int8:affine:tensor:cover=0.99:half-even:dynamic@onnx");
  expect_full("int4:sym:group=32:mse", "int4:sym:group=32:mse:half-even:dynamic@onnx");
  expect_full("e4m3:channel", "e4m3:channel:minmax:half-even:dynamic@onnx");
  expect_full("nf4:group=64", "nf4:group=64:minmax:dynamic@onnx");
  expect_full("mxfp4", "mxfp4:scale-rule=floor:half-even");
  expect_full("mxfp6:scale-rule=rceil:half-away", "mxfp6:scale-rule=rceil:half-away");
  expect_full("q4_0", "q4_0");
  expect_full("int8@onnxruntime", "int8:affine:tensor:minmax:half-even:dynamic@onnxruntime");
  expect_full("uint8:stochastic=7:static:channel=1",
              "uint8:affine:channel=1:minmax:stochastic=7:static@onnx");
  expect_full("bf16", "bf16:tensor:unit:half-even:dynamic@onnx");
  expect_full("int8@torch:operation=divide:sym",
              "int8:sym:tensor:minmax:half-even:dynamic@torch:operation=divide");
  expect_full("int8@report-code:cover=two-sided:cover=0.9",
              "int8:affine:tensor:cover=0.9:half-even:dynamic@report-code:cover=two-sided");
  expect_full("int8-narrow@ggml", "int8-narrow:sym:tensor:minmax:half-away:dynamic@ggml");
  expect_full("lloyd4", "lloyd4@onnx");
  expect_full("int8:rounding=stochastic:mapping=symmetric",
              "int8:sym:tensor:minmax:stochastic=0:dynamic@onnx");
  expect_full("int2:shrink:sym", "int2:sym:tensor:minmax:half-even:dynamic:shrink@onnx");
  expect_full("lloyd4:shrink", "lloyd4:shrink@onnx");
  expect_full("smooth+hadamard+int4:sym:channel",
              "smooth=0.5+hadamard+int4:sym:channel:minmax:half-even:dynamic@onnx");
  expect_full("hadamard=18446744073709551615+mxfp4",
              "hadamard=18446744073709551615+mxfp4:scale-rule=floor:half-even");
}

// Every format with every word that it takes, in full and in short, comes back as it was.
TEST(Scheme, RoundTrips) {
  std::vector<std::string> texts;
  const std::vector<std::string> words = {"",
                                          ":sym",
                                          ":affine",
                                          ":channel",
                                          ":channel=-1",
                                          ":group=7",
                                          ":block=4x8",
                                          ":layer",
                                          ":model",
                                          ":mse",
                                          ":kl",
                                          ":sigma=2.5",
                                          ":cover=0.999",
                                          ":ema=0.1",
                                          ":unit",
                                          ":half-away",
                                          ":floor",
                                          ":truncate",
                                          ":ceil",
                                          ":stochastic",
                                          ":static",
                                          ":scale-rule=even",
                                          ":operation=multiply",
                                          ":cover=one-sided",
                                          ":shrink",
                                          ":mapping=symmetric",
                                          ":mapping=affine",
                                          ":rounding=floor",
                                          ":rounding=stochastic",
                                          ":grid=full",
                                          ":grid=narrow",
                                          ":sym:grid=by-mapping",
                                          ":affine:grid=by-mapping",
                                          ":zero-point=floor",
                                          ":small-scale=kept",
                                          "@torch",
                                          "@onnxruntime:sym",
                                          "@report",
                                          "@report:grid=full",
                                          "@ggml",
                                          "@fbgemm:sym",
                                          "@gemmlowp:small-scale=one"};
  // Every format with every word, every transform with the words that print most.
  const std::vector<std::string> transforms = {
      "",        "hadamard+",   "hadamard=0+",          "hadamard=7+smooth=1e-05+",
      "smooth+", "smooth=0.5+", "smooth=0.3+hadamard+", "smooth=1+hadamard=9+"};
  std::vector<std::string> names = {"e3m3", "e5m10fn"};
  for (const auto& row : formats()) {
    names.push_back(row.name);
    if (row.kind == FormatKind::integer) names.push_back(row.name + "-narrow");
  }
  int taken = 0;
  for (const auto& name : names) {
    for (std::size_t i = 0; i < words.size() * transforms.size(); ++i) {
      const std::string text = transforms[i / words.size()] + name + words[i % words.size()];
      Scheme scheme;
      try {
        scheme = parse_scheme(text);
      } catch (const InputError&) {
        continue;  // does not go with the format
      }
      ++taken;
      EXPECT_EQ(parse_scheme(to_string(scheme)), scheme) << text << " as " << to_string(scheme);
      EXPECT_EQ(parse_scheme(short_form(scheme)), scheme) << text << " as " << short_form(scheme);
      EXPECT_EQ(to_string(parse_scheme(to_string(scheme))), to_string(scheme));
      EXPECT_LE(short_form(scheme).size(), to_string(scheme).size());
    }
  }
  EXPECT_GT(taken, 800 * 7);
}

TEST(Scheme, UnknownWordsAreRefusedWithTheNearest) {
  struct Row {
    const char* text;
    const char* said;
  };
  for (const Row& row : {Row{"int9x", "did you mean int9?"},
                         Row{"in8", "did you mean int8?"},
                         Row{"", "did you mean"},
                         Row{"int8:affin", "did you mean affine?"},
                         Row{"int8:chanel", "did you mean channel?"},
                         Row{"int8:minmx", "did you mean minmax?"},
                         Row{"int8@onyx", "did you mean onnx?"},
                         Row{"int8:group", "group=N"},
                         Row{"int8:group=0", "positive"},
                         Row{"int8:group=x", "positive"},
                         Row{"int8:block=4", "block=RxC, two positive whole numbers"},
                         Row{"int8:block=4x", "positive"},
                         Row{"int8:cover=nan", "above 0.5"},
                         Row{"int8:cover=both", "cover=C with a number, or cover=one-sided"},
                         Row{"int8+hadamard", "in front of the format"},
                         Row{"int8:sym+hadamard", "in front of the format"},
                         Row{"int8+hadamrd", "in front of the format"},
                         Row{"int8:symmetric", "did you mean sym?"},
                         Row{"int8:asymmetric", "did you mean affine?"},
                         Row{"int1@report", "int1 has two, and the convention report leaves"},
                         Row{"uint1:grid=narrow", "onnx:grid=narrow leaves out one"},
                         Row{"mxfp4:stochastic", "no stochastic with mxfp4"},
                         Row{"mxfp4:rounding=stochastic", "no stochastic with mxfp4"},
                         Row{"q4_0:rounding=floor", "rules of their own"},
                         Row{"mxfp4:operation=divide", "no operation with mxfp4"},
                         Row{"int8-narrow:grid=full", "no grid with int8-narrow, whose name"},
                         Row{"int8-narrow:grid=narrow", "no grid with int8-narrow, whose name"},
                         Row{"int8-narrow:sym:grid=by-mapping", "no grid with int8-narrow"},
                         Row{"e4m3:mapping=affine", "no zero point"},
                         Row{"nf4:rounding=floor", "nearest level"},
                         Row{"nf4:rounding=stochastic", "nearest level"},
                         Row{"nf4:operation=multiply", "divided by their scale"},
                         Row{"lloyd4:cover=two-sided", "fitted"},
                         Row{"e4m3:zero-point=floor", "no zero-point with e4m3"},
                         Row{"e4m3:grid=narrow", "no grid with e4m3"},
                         Row{"e4m3:zero-in-range=forced", "no zero-in-range with e4m3"},
                         Row{"int8:grid=narrow:grid=full", "expected one grid, found another"},
                         Row{"int8:affine:mapping=symmetric", "expected one symmetry"},
                         Row{"int8:floor:rounding=ceil", "expected one rounding"},
                         Row{"int8:floor@report:rounding=ceil", "expected one rounding"},
                         Row{"int8:mapping=sym", "mapping=affine|symmetric"},
                         Row{"int8:cover=0.9x", "above 0.5"},
                         Row{"int8:shrink:shrink", "expected one dequantization"},
                         Row{"int8:shrink=2", "alone"},
                         Row{"int8:shrink:static", "no shrink with static"},
                         Row{"bf16:shrink", "no shrink with unit"},
                         Row{"mxfp4:shrink", "rules of their own"},
                         Row{"int8:tensor=3", "tensor"},
                         Row{"int8:channel=x", "axis"},
                         Row{"int8:cover=0.2", "above 0.5"},
                         Row{"int8:sym:affine", "expected one symmetry"},
                         Row{"int8:mse:kl", "expected one range"},
                         Row{"int8:operation=add", "operation"},
                         Row{"int8:sign=signed", "name says"},
                         Row{"int8:unit", "need a scale"},
                         Row{"int8:scale-rule=ceil", "scale-rule"},
                         Row{"int8:stochastic=x", "SEED"},
                         Row{"int8:sym=1", "alone"},
                         Row{"e4m3:affine", "no zero point"},
                         Row{"e4m3:mse", "even steps"},
                         Row{"mxfp4:group=16", "rules of their own"},
                         Row{"mxfp4:scale-rule=cell", "did you mean ceil?"},
                         Row{"q4_0:half-away", "rules of their own"},
                         Row{"q4_0@ggml", "rules of their own"},
                         Row{"lloyd4:group=16", "fitted"},
                         Row{"nf4:floor", "nearest level"},
                         Row{"e8m0", "did you mean"},
                         Row{"hadamrd+int8", "did you mean hadamard?"},
                         Row{"smoth+int8", "did you mean smooth?"},
                         Row{"+int8", "expected one of hadamard, smooth"},
                         Row{"hadamard+", "did you mean"},
                         Row{"hadamard+in8", "did you mean int8?"},
                         Row{"hadamard", "before a format"},
                         Row{"smooth=0.5:sym", "before a format"},
                         Row{"int8:hadamard", "before a format"},
                         Row{"int8:smooh", "did you mean smooth?"},
                         Row{"hadamard=x+int8", "hadamard=SEED"},
                         Row{"hadamard=-1+int8", "hadamard=SEED"},
                         Row{"hadamard=+int8", "hadamard=SEED"},
                         Row{"hadamard=18446744073709551616+int8", "hadamard=SEED"},
                         Row{"smooth=1.01+int8", "from 0 to 1"},
                         Row{"smooth=nan+int8", "from 0 to 1"},
                         Row{"smooth=+int8", "from 0 to 1"},
                         Row{"hadamard+hadamard=2+int8", "each transform once"},
                         Row{"smooth+int8:static", "at hand"},
                         Row{"int1-narrow", ""}}) {
    const auto said = testing::refusal([&] { parse_scheme(row.text); });
    EXPECT_THAT(said, HasSubstr(row.said)) << row.text;
    EXPECT_NE(said, "no refusal") << row.text;
  }
}

TEST(Scheme, RefusalsAreOneLineWhateverIsInTheText) {
  EXPECT_EQ(testing::refusal([] { parse_scheme("int8\n:sym"); }),
            "scheme: expected printable ASCII characters, found 'int8\\x0a:sym'");
  EXPECT_EQ(testing::refusal([] { parse_scheme_pair("int8 x \xc3\xa9"); }),
            "scheme: expected printable ASCII characters, found '\\xc3\\xa9'");
}

TEST(Scheme, ConventionsDecideTheGridWhereTheNameDoesNot) {
  EXPECT_EQ(parse_scheme("int8@ggml").format.grid.lo(), -127);
  EXPECT_EQ(parse_scheme("int8@onnxruntime").format.grid.lo(), -128);
  EXPECT_EQ(parse_scheme("int8:sym@onnxruntime").format.grid.lo(), -127);
  EXPECT_EQ(parse_scheme("uint8:sym@onnxruntime").format.grid.hi(), 255);
  EXPECT_EQ(parse_scheme("int8-narrow").format.grid.lo(), -127);
  EXPECT_EQ(parse_scheme("uint4").format.grid.hi(), 15);
}

TEST(Scheme, PairsHaveOneForEachOperand) {
  EXPECT_EQ(to_string(parse_scheme_pair("int8 x int4:sym:channel")),
            "int8:affine:tensor:minmax:half-even:dynamic@onnx x "
            "int4:sym:channel:minmax:half-even:dynamic@onnx");
  EXPECT_EQ(to_string(parse_scheme_pair("mxfp4")), "mxfp4:scale-rule=floor:half-even");
  EXPECT_THROW(parse_scheme_pair("int8 x "), InputError);
}

TEST(Scheme, PairsHaveTheTransformsThatEitherNames) {
  for (const auto* text : {"smooth+hadamard=3+int8 x int4", "int8 x smooth+hadamard=3+int4",
                           "smooth+hadamard=3+int8 x smooth=0.5+hadamard=3+int4"}) {
    const SchemePair pair = parse_scheme_pair(text);
    EXPECT_EQ(pair.a, parse_scheme("smooth+hadamard=3+int8"));
    EXPECT_EQ(pair.b, parse_scheme("smooth+hadamard=3+int4"));
    const SchemePair again = parse_scheme_pair(to_string(pair));
    EXPECT_TRUE(again.a == pair.a && again.b == pair.b);
    const SchemePair shorter = parse_scheme_pair(short_form(pair));
    EXPECT_TRUE(shorter.a == pair.a && shorter.b == pair.b);
  }
  for (const auto* text : {"hadamard+int8 x hadamard=1+int8", "smooth+int8 x hadamard+int8",
                           "smooth+hadamard+int8 x hadamard+smooth+int8"}) {
    EXPECT_THAT(testing::refusal([&] { parse_scheme_pair(text); }), HasSubstr("same transforms"));
  }
  EXPECT_THAT(testing::refusal([] { parse_scheme_pair("smooth+int8 x int8:static"); }),
              HasSubstr("at hand"));
}

TEST(Scheme, EveryExampleAndEveryWordIsOne) {
  for (const auto& example : scheme_examples()) EXPECT_NO_THROW(parse_scheme(example.scheme));
  for (const auto& row : scheme_words()) EXPECT_FALSE(row.title.empty()) << row.word;
}

}  // namespace
}  // namespace zeropoint
