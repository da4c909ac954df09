// `zeropoint diff`, run as a user runs it.
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zeropoint/io/npy.hpp"

#include "support/command.hpp"

namespace zeropoint::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
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

}  // namespace
}  // namespace zeropoint::testing
