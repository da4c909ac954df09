// `zeropoint bench` at small shapes: what it prints and writes. Times decide nothing here.
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "zeropoint/formats/format.hpp"

#include "support/command.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class BenchCommand : public testing::CommandTest {
 protected:
  testing::Arguments small(testing::Arguments more) const {
    testing::put(in_folder("shapes.txt"), "# two\n3 5 7\n\n1x64x32  # a row\n3x5x7\n");
    testing::Arguments arguments = {"bench",     "--quick", "--seconds", "0.2",
                                    "--threads", "1,2",     "--shapes",  "shapes.txt"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(BenchCommand, WritesEachShapeAndContestantOnceAThreadCount) {
  const auto json = nlohmann::json::parse(printed(small({"--json", "-"})));
  EXPECT_EQ(json["machine"]["peaks"].size(), 2U);
  std::size_t own = 0;
  for (const auto& row : json["products"]) {
    EXPECT_GT(row["seconds"]["median"], 0);
    EXPECT_GT(row["of_peak"], 0);
    EXPECT_GE(row["seconds"]["count"], 1);
    if (row["contestant"] == "int8_float32") {
      ++own;
      EXPECT_GT(row["times_onednn_int8"], 0);
      EXPECT_GT(row["times_onednn_fp32"], 0);
    }
  }
  EXPECT_EQ(own, 4U);  // two shapes, two thread counts; the third shape stands there twice
  EXPECT_EQ(json["elementwise"].size(), 12U);
  std::set<std::string> measured;
  for (const auto& row : json["formats"]) {
    EXPECT_GT(row["quantize_of_copy"], 0) << row;
    EXPECT_GT(row["dequantize_of_copy"], 0) << row;
    EXPECT_TRUE(row["target"].is_null());  // of few numbers
    if (row["parameters"] == "given") measured.insert(row["scheme"]);
  }
  for (const auto& format : formats()) EXPECT_TRUE(measured.contains(format.name)) << format.name;
  EXPECT_TRUE(json["targets"].is_array());
}

TEST_F(BenchCommand, PrintsATableAndWritesThePageOfFigures) {
  const auto table = printed(small({"--markdown", "performance.md"}));
  EXPECT_THAT(table, AllOf(HasSubstr("3x5x7, 1 thread"), HasSubstr("1x64x32, 2 threads"),
                           HasSubstr("of reading as many bytes"), HasSubstr("targets met")));
  for (const auto& line : testing::lines_of(table)) EXPECT_LE(line.size(), 140U) << line;
  const auto page = testing::contents(in_folder("performance.md"));
  EXPECT_THAT(page, AllOf(HasSubstr("# Performance\n"), HasSubstr("## Where it loses"),
                          HasSubstr("## Formats"), HasSubstr("**3x5x7**, 1 thread")));
}

TEST_F(BenchCommand, RunsTheKernelThatIsAskedFor) {
  const auto json = nlohmann::json::parse(
      printed(small({"--kernel", "s16s16s32_4x16c2_portable", "--json", "-"})));
  EXPECT_EQ(json["machine"]["kernel"], "s16s16s32_4x16c2_portable");
}

TEST_F(BenchCommand, RefusesWhatIsWrongWithItsLine) {
  testing::put(in_folder("bad.txt"), "10x10x10\n10 10\n");
  EXPECT_THAT(refusal({"bench", "--shapes", "bad.txt"}),
              AllOf(HasSubstr("bad.txt:2"), HasSubstr("found '10 10'")));
  testing::put(in_folder("empty.txt"), "# none\n");
  EXPECT_THAT(refusal({"bench", "--shapes", "empty.txt"}), HasSubstr("found none"));
  EXPECT_THAT(refusal({"bench", "--shapes", "absent.txt"}), HasSubstr("absent.txt"));
  EXPECT_THAT(refusal({"bench", "--kernel", "s16s16s32_4x16c2_portabel"}),
              HasSubstr("s16s16s32_4x16c2_portable"));
  EXPECT_THAT(refusal({"bench", "--threads", "0"}), HasSubstr("--threads"));
  EXPECT_THAT(refusal({"bench", "--seconds", "-1"}), HasSubstr("--seconds"));
  EXPECT_THAT(refusal({"bench", "--json", "x", "--markdown", "x"}), Not(HasSubstr("terminate")));
}

}  // namespace
}  // namespace zeropoint
