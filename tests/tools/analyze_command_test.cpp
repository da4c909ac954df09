// `zeropoint analyze`, run as a user runs them.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/command.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Analyzing : public CommandTest {
 protected:
  Analyzing() {
    write_tensors(in_folder("in").string(),
                  {named_tensor("a.weight", {64, 96}, 1), named_tensor("a.bias", {64}, 2),
                   named_tensor("\x1b[31m<em>", {16, 40}, 3)});
  }
};

TEST_F(Analyzing, TellsOfTensorsSchemesAndTimes) {
  const std::string text = printed({"analyze", "in", "--schemes", "int8,int4:sym:group=32"});
  EXPECT_THAT(text, HasSubstr("in: safetensors, 3 tensors"));
  EXPECT_THAT(text, HasSubstr("a.weight"));
  EXPECT_THAT(text, HasSubstr("\\x1b[31m<em>"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("1 tensor is kept"));
  EXPECT_THAT(text, HasSubstr("speed-up"));
  EXPECT_THAT(text, HasSubstr("zeropoint-out/analysis.html"));
  const std::string page = contents(in_folder("zeropoint-out/analysis.html"));
  EXPECT_THAT(page, HasSubstr("a.weight"));
  EXPECT_EQ(page.find("<em>"), std::string::npos);
}

TEST_F(Analyzing, AsJson) {
  const auto result = json::parse(printed({"analyze", "in", "--no-timing", "--json", "-"}));
  const auto& file = result["files"][0];
  EXPECT_EQ(file["tensors"].size(), 3U);
  EXPECT_EQ(file["schemes"].size(), 17U);
  EXPECT_EQ(file["tensors"][1]["kept"], "one axis");
  EXPECT_GT(file["tensors"][0]["schemes"][0]["sqnr_db"], 30);
  EXPECT_EQ(file["schemes"][0]["mixed"]["schemes"].size(), 2U);
}

TEST_F(Analyzing, RefusesInOneLine) {
  EXPECT_THAT(refusal({"analyze"}), HasSubstr("FILE"));
  EXPECT_THAT(refusal({"analyze", "none"}, "zeropoint-out"), HasSubstr("none"));
  EXPECT_THAT(refusal({"analyze", "in", "--schemes", "int99"}, "zeropoint-out"),
              HasSubstr("int99"));
  EXPECT_THAT(refusal({"analyze", "in", "--only", "("}, "zeropoint-out"), HasSubstr("--only"));
  put(in_folder("bad"), "GGUF and more");
  EXPECT_THAT(refusal({"analyze", "bad"}, "zeropoint-out"), HasSubstr("bad"));
}

}  // namespace
}  // namespace zeropoint::testing
