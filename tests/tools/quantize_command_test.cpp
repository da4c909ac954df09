// `zeropoint quantize`, run as a user runs it.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zeropoint/weights/weights.hpp"

#include "support/command.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Quantize : public CommandTest {
 protected:
  Quantize() {
    write_tensors(in_folder("in").string(),
                  {named_tensor("a.weight", {64, 96}, 1), named_tensor("a.bias", {64}, 2),
                   named_tensor("\x1b[31m\n<b>", {16, 40}, 3)});
  }
  bool exists(const std::string& name) const { return fs::exists(in_folder(name)); }
};

TEST_F(Quantize, ALineATensor) {
  const std::string text =
      printed({"quantize", "in", "--scheme", "int8:channel", "-o", "out.safetensors"});
  const auto lines = lines_of(text);
  ASSERT_EQ(lines.size(), 6U) << text;
  EXPECT_THAT(lines[0], HasSubstr("a.weight"));
  EXPECT_THAT(lines[0], HasSubstr("F32 -> int8:channel"));
  EXPECT_THAT(lines[0], HasSubstr(" dB, error "));
  EXPECT_THAT(lines[1], HasSubstr("kept: one axis"));
  EXPECT_THAT(lines[2], HasSubstr("\\x1b[31m"));
  EXPECT_THAT(lines[4], HasSubstr("2 of 3 tensors quantized, "));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_TRUE(exists("out.safetensors"));
  EXPECT_FALSE(exists("out.safetensors.partial"));
}

TEST_F(Quantize, ADryRunWritesNothing) {
  const std::string text =
      printed({"quantize", "in", "--scheme", "int4", "--dry-run", "-o", "out.safetensors"});
  EXPECT_THAT(text, HasSubstr("2 of 3 tensors to be quantized"));
  EXPECT_FALSE(exists("out.safetensors"));
  const auto as_json =
      json::parse(printed({"quantize", "in", "--scheme", "int4", "--dry-run", "--json", "-"}));
  EXPECT_EQ(as_json["tensors"].size(), 3U);
  EXPECT_EQ(as_json["tensors"][1]["kept"], "one axis");
  // The same bytes as are then written.
  const auto done = json::parse(
      printed({"quantize", "in", "--scheme", "int4", "-o", "out.safetensors", "--json", "-"}));
  EXPECT_EQ(done["bytes_after"], as_json["bytes_after"]);
}

TEST_F(Quantize, WhatDoesNotFitIsListed) {
  const Arguments arguments = {"quantize", "in", "--scheme", "q8_0", "-o", "out.gguf"};
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.status, 2);
  expect_one_line(outcome.err, arguments);
  EXPECT_THAT(outcome.err, HasSubstr("--fallback"));
  EXPECT_THAT(outcome.out,
              HasSubstr("expected a last axis of a multiple of 32 for q8_0, found 40"));
  EXPECT_FALSE(exists("out.gguf"));
}

TEST_F(Quantize, RefusesInOneLine) {
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8"}), HasSubstr("--output FILE"));
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8", "-o", "out"}), HasSubstr("--to"));
  EXPECT_THAT(refusal({"quantize", "none", "--scheme", "int8", "-o", "o.gguf"}), HasSubstr("none"));
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8", "-o", "o.npz"}), HasSubstr("--fake"));
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8", "-o", "in", "--to", "safetensors"}),
              HasSubstr("expected two files"));
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8", "-o", "o.gguf", "--override", "x"}),
              HasSubstr("REGEX=SCHEME"));
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8", "-o", "no/such/o.gguf"}),
              HasSubstr("no/such"));
  EXPECT_THAT(refusal({"quantize", "in", "--scheme", "int8", "-o", "o.gguf", "--only", "("}),
              HasSubstr("--only"));
}

TEST_F(Quantize, PatternsMayHoldAnEqualsSign) {
  const auto plan = json::parse(printed({"quantize", "in", "--scheme", "int8", "--dry-run",
                                         "--json", "-", "--override", "a(?=.w)=int4:group=32"}));
  EXPECT_THAT(plan["tensors"][0]["scheme"].get<std::string>(), HasSubstr("int4"));
}

// Killed at any moment, it leaves no output; the next run takes over what was left.
TEST_F(Quantize, KilledItLeavesNoOutput) {
  write_tensors(in_folder("big").string(), {named_tensor("w", {2048, 4096}, 1)});
  const Arguments arguments = {"quantize", "big", "--scheme", "lloyd4", "-o", "out.safetensors"};
  Launch launch;
  launch.folder = folder();
  {
    Process process(arguments, launch);
    ASSERT_TRUE(wait_until(process, [&] { return exists("out.safetensors.partial"); }));
    process.send(SIGKILL);
    EXPECT_EQ(process.wait().signal, SIGKILL);
  }
  EXPECT_FALSE(exists("out.safetensors"));
  EXPECT_TRUE(exists("out.safetensors.partial"));
  printed({"quantize", "big", "--scheme", "int8", "-o", "out.safetensors"});
  EXPECT_FALSE(exists("out.safetensors.partial"));
  EXPECT_EQ(open_weights(in_folder("out.safetensors").string()).weights().size(), 1U);
}

TEST_F(Quantize, AFullDiskLeavesWhatWasThere) {
  put(in_folder("out.safetensors"), "precious");
  Launch launch;
  launch.largest_file = 2000;
  const Outcome outcome =
      run({"quantize", "in", "--scheme", "int8", "-o", "out.safetensors"}, launch);
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_EQ(contents(in_folder("out.safetensors")), "precious");
  EXPECT_FALSE(exists("out.safetensors.partial"));
}

TEST_F(Quantize, ShowsProgressOnATerminal) {
  Launch launch;
  launch.columns = 100;
  const Outcome outcome =
      run({"quantize", "in", "--scheme", "int8", "-o", "out.safetensors"}, launch);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("quantizing "));
}

}  // namespace
}  // namespace zeropoint::testing
