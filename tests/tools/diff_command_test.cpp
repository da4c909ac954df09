// `zeropoint diff`, run as a user runs it.
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zeropoint/io/npy.hpp"

#include "support/command.hpp"
#include "support/quantized_files.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class Diff : public CommandTest {
 protected:
  Diff() {
    Matrix<float> x(8, 8);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x.data()[i] = 0.37F * static_cast<float>(i * 29 % 64) - 9.1F;
    }
    write_npy(in_folder("x.npy").string(), x.view());
  }
  std::string diff(const std::string& schemes) const {
    return printed({"diff", "--schemes", schemes, "x.npy"});
  }
};

TEST_F(Diff, TakesItsFileInFrontAndBehind) {
  const auto before = printed({"diff", "x.npy", "--schemes", "int8,int4", "--json", "-"});
  EXPECT_EQ(printed({"diff", "--schemes", "int8,int4", "x.npy", "--json", "-"}), before);
  EXPECT_EQ(printed({"diff", "--schemes", "int8", "--schemes", "int4", "x.npy", "--json", "-"}),
            before);
  EXPECT_EQ(printed({"diff", "--schemes", "int8, int4", "x.npy", "--json", "-"}), before);
  EXPECT_THAT(refusal({"diff", "--schemes", "int8,int4"}), HasSubstr("FILE"));
  EXPECT_THAT(refusal({"diff", "--schemes", "int8", "x.npy"}), HasSubstr("expected two"));
}

TEST_F(Diff, SaysTheSameOnlyOfTheSame) {
  const std::string same = "The two say the same.";
  EXPECT_THAT(diff("int8,int8@onnx"), HasSubstr(same));
  const auto seeds = diff("int4:stochastic=1,int4:stochastic=2");
  EXPECT_THAT(seeds, Not(HasSubstr(same)));
  EXPECT_THAT(seeds, HasSubstr("\n  seed  "));
  EXPECT_THAT(diff("mxfp4,mxfp4:scale-rule=ceil"), HasSubstr("\n  scale-rule  "));
  EXPECT_THAT(diff("e4m3,e4m3:unit"), HasSubstr("minmax -> unit"));
  EXPECT_THAT(diff("e4m3,e4m3@gemmlowp:rounding=half-even"),
              HasSubstr("The two differ in nothing that decides a value."));
  EXPECT_EQ(
      json::parse(printed({"diff", "--schemes", "int8,int8", "x.npy", "--json", "-"}))["same"],
      true);
}

TEST_F(Diff, TilesMayBeLargerThanAnything) {
  EXPECT_THAT(diff("int8:group=18446744073709551615,int8:channel"),
              HasSubstr("values that differ  0 of 64"));
  EXPECT_THAT(diff("int8:block=18446744073709551615x18446744073709551615,int8"),
              HasSubstr("values that differ  0 of 64"));
}

TEST_F(Diff, NumbersThatAreNoneAreNotPrinted) {
  Matrix<float> x(2, 8);
  std::memset(x.data(), 0, x.size() * sizeof(float));
  write_npy(in_folder("x.npy").string(), x.view());
  const auto zeros = diff("int8,lloyd3-normal");
  EXPECT_THAT(zeros, HasSubstr("relative error – as all is 0, and so is what came back"));
  EXPECT_THAT(zeros, Not(HasSubstr("but not what came back")));
  EXPECT_THAT(zeros, Not(HasSubstr("inf")));
  const auto out =
      json::parse(printed({"diff", "--schemes", "int8,lloyd3-normal", "x.npy", "--json", "-"}));
  EXPECT_TRUE(out["b"]["relative_error"].is_null());
  EXPECT_TRUE(out["b"]["sqnr_db"].is_null());
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = 1;
  write_npy(in_folder("x.npy").string(), x.view());
  EXPECT_THAT(diff("bf16,int8"), HasSubstr("relative error 0: every value came back as it was"));
}

TEST_F(Diff, SaysWhyNothingCanBeQuantizedAgain) {
  Matrix<float> x(1, 4);
  std::memset(x.data(), 0, x.size() * sizeof(float));
  x(0, 0) = 1e37F;
  x(0, 1) = 0.3e37F;
  write_npy(in_folder("x.npy").string(), x.view());
  EXPECT_THAT(diff("hadamard+int2:sym,int8"), HasSubstr("cannot be quantized again: tensor: expe"));
  const auto out =
      json::parse(printed({"diff", "--schemes", "hadamard+int2:sym,int8", "x.npy", "--json", "-"}));
  EXPECT_TRUE(out["a"]["changed_by_requantizing"].is_null());
  EXPECT_TRUE(out["a"]["not_requantized"].is_string());
  EXPECT_TRUE(out["b"]["not_requantized"].is_null());
}

TEST_F(Diff, CountsBitsAsFormatsDoes) {
  for (const auto& row : json::parse(printed({"formats", "--json", "-"}))) {
    const std::string name = row["format"];
    if (row["kind"] != "integer") continue;
    const auto out = json::parse(
        printed({"diff", "--schemes", name + ":sym," + name + ":sym", "x.npy", "--json", "-"}));
    EXPECT_EQ(out["a"]["effective_bits"].get<double>() - 32.0 / 64,
              row["bits_per_value"].get<double>())
        << name;
  }
}

class DiffFiles : public CommandTest {
 protected:
  DiffFiles() {
    write_tensors(in_folder("a").string(),
                  {named_tensor("embed", {64, 96}, 1), named_tensor("bias", {64}, 2),
                   named_tensor("\x1b[31m\n<b>", {16, 40}, 3), named_tensor("gone", {3}, 4)});
    printed({"quantize", "a", "--scheme", "int4:sym:channel", "-o", "b.safetensors"});
  }
  json diff(Arguments arguments) const {
    arguments.insert(arguments.begin(), "diff");
    arguments.insert(arguments.end(), {"--json", "-"});
    return json::parse(printed(arguments));
  }
};

TEST_F(DiffFiles, ALineATensorTheWorstFirst) {
  const auto text = printed({"diff", "a", "b.safetensors"});
  const auto lines = lines_of(text);
  ASSERT_EQ(lines.size(), 10U) << text;
  EXPECT_EQ(lines[0], "A  a: safetensors, 4 tensors, 27.4 kB");
  EXPECT_THAT(lines[1], HasSubstr("B  b.safetensors: safetensors, 4 tensors, "));
  EXPECT_THAT(lines[3], MatchesRegex("tensor +shape +type +bits +error +dB +cosine +largest"));
  EXPECT_THAT(lines[4],
              MatchesRegex(".*\\[.*\\]  F32 -> int4:sym:channel +32 -> [0-9.]+ +0\\.[0-9]+ "
                           "+[0-9.]+  0\\.99[0-9]+  [0-9.]+ at \\[[0-9]+, [0-9]+\\]: .*"));
  EXPECT_THAT(lines[6], HasSubstr("identical"));
  EXPECT_THAT(lines[9], MatchesRegex("4 tensors compared, 2 identical, 6851 values, relative error "
                                     "0\\.[0-9]+ \\([0-9.]+ dB\\)"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("\\x1b[31m"));
}

TEST_F(DiffFiles, NothingDiffersFromItself) {
  const auto lines = lines_of(printed({"diff", "a", "a"}));
  EXPECT_EQ(lines.back(), "4 tensors compared, 4 identical, 6851 values, no finite value differs");
  EXPECT_EQ(diff({"a", "a"})["totals"]["identical"], 4);
}

TEST_F(DiffFiles, LimitAndSortAndOnly) {
  EXPECT_THAT(printed({"diff", "a", "b.safetensors", "--limit", "1"}),
              HasSubstr("\n… and 3 more\n"));
  EXPECT_THAT(lines_of(printed({"diff", "a", "b.safetensors", "--sort", "order"}))[4],
              HasSubstr("embed"));
  EXPECT_THAT(lines_of(printed({"diff", "a", "b.safetensors", "--sort", "name"}))[5],
              HasSubstr("bias"));
  EXPECT_EQ(diff({"a", "b.safetensors", "--only", "embed|gone"})["tensors"].size(), 2U);
  EXPECT_THAT(printed({"diff", "a", "b.safetensors", "--only", "xyz"}),
              HasSubstr("no tensor is in both"));
}

TEST_F(DiffFiles, JsonHasEverything) {
  const auto out = diff({"a", "b.safetensors", "--limit", "0"});
  EXPECT_EQ(out["tensors"].size(), 4U);
  const auto& row = out["tensors"][0];
  EXPECT_EQ(row["a"], "embed");
  EXPECT_EQ(row["paired_by"], "name");
  EXPECT_EQ(row["shape_a"], json({64, 96}));
  EXPECT_EQ(row["type_b"], "int4:sym:channel");
  EXPECT_EQ(row["bits_a"], 32);
  EXPECT_TRUE(row["codes_differ"].is_null());
  EXPECT_EQ(row["largest_at"].size(), 2U);
  EXPECT_EQ(out["lint_b"][0]["tiles"], 64);
  EXPECT_EQ(out["totals"]["compared"], 4);
  EXPECT_EQ(out["totals"]["worst"].size(), 2U);
}

TEST_F(DiffFiles, OtherNamesAndContainersFindEachOther) {
  write_tensors(
      in_folder("renamed").string(),
      {named_tensor("x", {64, 96}, 1), named_tensor("y", {64}, 2), named_tensor("z", {16, 40}, 5)});
  const auto out = diff({"a", "renamed"});
  ASSERT_EQ(out["tensors"].size(), 3U);
  for (const auto& row : out["tensors"]) EXPECT_EQ(row["paired_by"], "shape");
  EXPECT_EQ(out["only_a"][0]["name"], "gone");
  const auto text = printed({"diff", "a", "renamed"});
  EXPECT_THAT(text, HasSubstr("with 'z' by shape"));
  EXPECT_THAT(text, HasSubstr("only in A  gone  [3]  F32"));
  printed({"quantize", "a", "--scheme", "q8_0", "--fallback", "keep", "-o", "b.gguf"});
  EXPECT_THAT(printed({"diff", "a", "b.gguf"}), HasSubstr("F32 -> Q8_0"));
}

TEST_F(DiffFiles, LintHasItsLines) {
  QuantizedFile file(weight_values(64, 5), {4, 16}, "int8:group=8");
  file.write(in_folder("good").string());
  file.set("w.scale", 1, 1e-40F);
  file.set("w.zero_point", 2, std::int8_t{3});
  file.write(in_folder("odd").string());
  const auto text = printed({"diff", "good", "odd"});
  EXPECT_THAT(text, HasSubstr("\nB  w  int8:group=8: 1 of 8 scales dead\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nA  w")));
  EXPECT_EQ(diff({"good", "odd"})["lint_b"][0]["dead_scales"], 1);
  EXPECT_EQ(diff({"good", "odd"})["tensors"][0]["codes_differ"], 0);
}

TEST_F(DiffFiles, SchemesOfAnyContainer) {
  const auto one = diff({"--schemes", "int8,int4", "a", "--only", "embed"});
  EXPECT_EQ(one["tensor"], "embed");
  EXPECT_EQ(one["elements"], 64 * 96);
  EXPECT_EQ(diff({"--schemes", "int8,int4", "a"})["tensors"].size(), 4U);
  EXPECT_THAT(refusal({"diff", "--schemes", "int8,int4", "a", "--only", "xyz"}), HasSubstr("none"));
}

TEST_F(DiffFiles, RefusesInOneLine) {
  EXPECT_THAT(refusal({"diff"}), HasSubstr("FILE"));
  EXPECT_THAT(refusal({"diff", "a"}),
              HasSubstr("expected two, or one with --schemes A,B; found 1"));
  EXPECT_THAT(refusal({"diff", "a", "a", "a"}), HasSubstr("found 3"));
  EXPECT_THAT(refusal({"diff", "a", "a", "--schemes", "int8,int4"}), HasSubstr("found 2"));
  EXPECT_THAT(refusal({"diff", "a", "nowhere"}), HasSubstr("nowhere"));
  EXPECT_THAT(refusal({"diff", "a", "a", "--sort", "nam"}), HasSubstr("did you mean name?"));
  EXPECT_THAT(refusal({"diff", "a", "a", "--limit", "-1"}), HasSubstr("--limit"));
  EXPECT_THAT(refusal({"diff", "a", "a", "--only", "("}), HasSubstr("--only"));
  EXPECT_THAT(refusal({"diff", "a", "a", "--json", "a"}), HasSubstr("expected two files"));
  EXPECT_THAT(refusal({"diff", "--schemes", "int8,int4", "a", "--limit", "3"}),
              HasSubstr("--limit"));
}

TEST_F(DiffFiles, ProgressOnATerminalAlone) {
  Launch terminal;
  terminal.columns = 80;
  const auto outcome = run({"diff", "a", "b.safetensors"}, terminal);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("comparing"));
}

}  // namespace
}  // namespace zeropoint::testing
