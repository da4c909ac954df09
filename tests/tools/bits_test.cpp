// `zeropoint bits`, run as a user runs it.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <pty.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

struct Outcome {
  int status;
  std::string out, err;
};

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Bits : public testing::Test {
 protected:
  Bits() : folder_(fs::path(testing::TempDir()) / fmt::format("zeropoint-bits-{}", getpid())) {
    fs::create_directories(folder_);
  }
  ~Bits() override { fs::remove_all(folder_); }

  /// Runs the command under `zeropoint bits` with arguments as a shell would read them.
  Outcome run(const std::string& arguments) const {
    const std::string line =
        fmt::format("'{}' bits {} >'{}/out' 2>'{}/err' </dev/null", ZEROPOINT_COMMAND, arguments,
                    folder_.string(), folder_.string());
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents(folder_ / "out"),
            contents(folder_ / "err")};
  }
  std::string printed(const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 0) << arguments << "\n" << outcome.err;
    EXPECT_EQ(outcome.err, "") << arguments;
    return outcome.out;
  }
  json parsed(const std::string& arguments) const {
    return json::parse(printed(arguments + " --json -"));
  }
  /// The one line that refuses the arguments.
  std::string refusal(const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  }

  fs::path folder_;
};

TEST_F(Bits, TheReportsExample) {
  EXPECT_EQ(printed("0.375 --format fp32"),
            "0.375\n"
            "\n"
            "fp32, 32 bits: IEEE 754 binary32, single precision\n"
            "  field        sign │ exponent │ fraction\n"
            "  bits         0    │ 01111101 │ 10000000000000000000000\n"
            "  read as      +    │ 125      │ 4194304\n"
            "  exponent     125 - 127 (the bias) = -2\n"
            "  significand  1.1 in binary = 1.5\n"
            "  value        (-1)^0 × 1.5 × 2^-2 = 0.375\n"
            "  class        normal\n"
            "  difference   none: fp32 holds this number exactly\n");
}

TEST_F(Bits, EveryFormatUnlessSomeAreNamed) {
  const std::string all = printed("0.1");
  EXPECT_LT(all.find("\nfp32, "), all.find("\nfp16, "));
  EXPECT_LT(all.find("\nfp16, "), all.find("\nbf16, "));
  EXPECT_THAT(all, HasSubstr("1.10011001100110011001101 in binary = 1.60000002384185791015625\n"));
  EXPECT_THAT(all, HasSubstr("= 0.100000001490116119384765625\n"));
  EXPECT_THAT(all, HasSubstr("+1.49012e-09, 0.2 of the step from one fp32 to the next here"));
  const std::string some = printed("0.1 --format bf16,fp16");
  EXPECT_THAT(some, Not(HasSubstr("\nfp32, ")));
  EXPECT_LT(some.find("\nbf16, "), some.find("\nfp16, "));
}

TEST_F(Bits, NegativeNumbersAreNumbersNotOptions) {
  for (const char* arguments : {"-0", "-- -0", "1 -0", "1 -- -0", "--format fp32 -0"}) {
    const std::string out = printed(arguments);
    EXPECT_THAT(out, HasSubstr("  bits         1    │ 00000000 │ 00000000000000000000000\n"))
        << arguments;
    EXPECT_THAT(out, HasSubstr("negative zero")) << arguments;
  }
  for (const auto& [text, code] : {std::pair{"-1.5", 0xbfc00000U},
                                   {"-inf", 0xff800000U},
                                   {"-Infinity", 0xff800000U},
                                   {"-.5", 0xbf000000U},
                                   {"-0x1.8p-2", 0xbec00000U},
                                   {"-1e-3", 0xba83126fU},
                                   {"+2", 0x40000000U},
                                   {"-nan", 0xffc00000U}}) {
    const json values = parsed(fmt::format("--format fp32 {}", text))["values"];
    EXPECT_EQ(values[0]["formats"][0]["code"], code) << text;
    EXPECT_EQ(printed(fmt::format("-- {}", text)), printed(text));
  }
  const json several = parsed("1 -inf 2 -.5");
  ASSERT_EQ(several["values"].size(), 4U);
  EXPECT_EQ(several["values"][1]["text"], "-inf");
  EXPECT_EQ(several["values"][3]["text"], "-.5");
}

TEST_F(Bits, Classes) {
  const auto kind = [&](const std::string& text, int format) {
    return parsed(text)["values"][0]["formats"][format]["class"].get<std::string>();
  };
  EXPECT_EQ(kind("0", 0), "zero");
  EXPECT_EQ(kind("1e-40", 0), "subnormal");
  EXPECT_EQ(kind("1e-40", 1), "zero");
  EXPECT_EQ(kind("1e-40", 2), "subnormal");
  EXPECT_EQ(kind("1", 0), "normal");
  EXPECT_EQ(kind("65519", 1), "normal");
  EXPECT_EQ(kind("65520", 1), "infinity");
  EXPECT_EQ(kind("NaN", 2), "NaN");
  EXPECT_THAT(printed("65520 --format fp16"), HasSubstr("infinite: fp16 ends at 65504\n"));
  EXPECT_THAT(printed("1e-40 --format fp16"),
              HasSubstr("-1e-40, all of it: the smallest positive fp16 is 5.96046e-08\n"));
  EXPECT_THAT(printed("1e-45 --format fp32"), HasSubstr("0 counts as 1 here: 1 - 127"));
}

// A decimal that no double holds must not be rounded twice.
TEST_F(Bits, DecimalsAreRoundedOnce) {
  const auto code = [&](const std::string& text) {
    return parsed(text + " --format fp32")["values"][0]["formats"][0]["code"].get<std::uint32_t>();
  };
  EXPECT_EQ(code("1.000000059604644775390625"), 0x3f800000U);  // a tie: even
  EXPECT_EQ(code("1.00000005960464477539062500000000000001"), 0x3f800001U);
  EXPECT_EQ(code("1.00000017881393432617187499999999999999"), 0x3f800001U);
  EXPECT_EQ(code("1.000000178813934326171875"), 0x3f800002U);  // a tie: even
  EXPECT_THAT(printed("0.50000000000000000000000001 --format fp32"),
              HasSubstr("not none, but less than double precision can tell"));
  EXPECT_THAT(printed("1e-400 --format fp32"), HasSubstr("not none"));
}

TEST_F(Bits, QuantizedByScaleAndZeroPoint) {
  const std::string out = printed("0.3 --format bf16 --scale 0.0078125 --zero-point 3");
  EXPECT_THAT(out, HasSubstr("int8, codes -128 to 127, by convention onnx\n"
                             "  scale        0.0078125\n"
                             "  zero point   3\n"
                             "  reach        values from -1.0234375 to 0.96875\n"
                             "  x            0.3, the number as fp32\n"
                             "  computed     x / scale = 0.3 / 0.0078125 = 38.4\n"
                             "               to the nearest integer, ties to even: 38\n"
                             "               plus the zero point: 38 + 3 = 41\n"
                             "  code         41\n"
                             "  bits         00101001\n"
                             "  value        scale × (code - zero point) = 0.0078125 × (41 - 3) = "
                             "0.296875\n"
                             "  clipped      no\n"
                             "  difference   -0.003125, 0.4 of a step (a step is the scale)\n"));
  const json q = parsed("-5 --scale 0.5 --zero-point -3 --bits 4")["values"][0]["quantized"];
  EXPECT_EQ(q["grid"], "int4");
  EXPECT_EQ(q["code"], -8);
  EXPECT_EQ(q["code_bits"], "1000");
  EXPECT_EQ(q["clipped"], true);
  EXPECT_EQ(q["value"], -2.5);
  EXPECT_EQ(q["error"], 2.5);
  EXPECT_EQ(q["error_in_steps"], 5);
  EXPECT_TRUE(q["range"].is_null());
}

TEST_F(Bits, QuantizedByRange) {
  const json q = parsed("1 --range -1,1 --convention report-code")["values"][0]["quantized"];
  EXPECT_EQ(q["scale"].get<float>(), 2.0F / 255);
  EXPECT_EQ(q["zero_point"], 0);
  EXPECT_EQ(q["code"], 127);
  EXPECT_EQ(q["range"], json({-1, 1}));
  const json report = parsed("0.5 --range=-.5,1 --convention report")["values"][0]["quantized"];
  EXPECT_EQ(report["grid"], "int8-narrow");
  EXPECT_EQ(report["convention"], "report");
  const std::string unsigned_grid = printed("255 --range 0,255 --convention onnx:sign=unsigned");
  EXPECT_THAT(unsigned_grid, HasSubstr("uint8, codes 0 to 255"));
  EXPECT_THAT(unsigned_grid, HasSubstr("  bits         11111111\n"));
  EXPECT_THAT(printed("nan --range -1,1"), HasSubstr("NaN has no code of its own"));
  const json infinite = parsed("-inf --range -1,1")["values"][0]["quantized"];
  EXPECT_EQ(infinite["code"], -128);
  EXPECT_EQ(infinite["clipped"], true);
  EXPECT_EQ(infinite["error"], "inf");
}

// What is said of the computation must end in the code, by every convention, and the error be the
// value's distance from the number.
TEST_F(Bits, TheStepsThatAreShownLeadToTheCode) {
  for (const char* convention : {"onnx", "report", "report-code", "onnx:rounding=half-away",
                                 "report:sign=unsigned", "onnx:mapping=symmetric"}) {
    const std::string options =
        fmt::format("0.3 -0.7 1 -1 0 5 2.5 --range -1,1.5 --convention {}", convention);
    const std::string out = printed(options);
    const json values = parsed(options)["values"];
    std::istringstream lines(out);
    std::vector<int> last_steps;
    std::string previous;
    for (std::string line; std::getline(lines, line); previous = line) {
      if (!line.starts_with("  code ")) continue;
      last_steps.push_back(std::stoi(previous.substr(previous.find_last_of(":=") + 1)));
    }
    ASSERT_EQ(last_steps.size(), values.size()) << out;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const json& q = values[i]["quantized"];
      EXPECT_EQ(q["code"], last_steps[i]) << convention << " " << values[i]["text"];
      EXPECT_DOUBLE_EQ(q["error"].get<double>(),
                       q["value"].get<double>() - values[i]["value"].get<double>());
    }
  }
}

TEST_F(Bits, JsonNamesAreStable) {
  const json all = parsed("0.375 --format fp32");
  EXPECT_EQ(all["meta"]["verb"], "bits");
  EXPECT_TRUE(all["meta"]["version"].is_string());
  EXPECT_TRUE(all["values"][0]["quantized"].is_null());
  EXPECT_EQ(all["values"][0]["formats"][0], json::parse(R"({
    "format": "fp32", "class": "normal", "code": 1052770304, "sign_bits": "0",
    "exponent_bits": "01111101", "fraction_bits": "10000000000000000000000", "exponent": 125,
    "fraction": 4194304, "bias": 127, "power": -2, "significand": 1.5, "value": 0.375,
    "exact_decimal": "0.375", "error": 0.0})"));
  const json infinite = parsed("inf --format fp16")["values"][0];
  EXPECT_EQ(infinite["value"], "inf");
  EXPECT_EQ(infinite["formats"][0]["value"], "inf");
  EXPECT_TRUE(infinite["formats"][0]["power"].is_null());

  const std::string file = (folder_ / "bits.json").string();
  EXPECT_THAT(printed("0.375 --json '" + file + "'"), HasSubstr("fp32, 32 bits"));
  EXPECT_EQ(json::parse(contents(file)), parsed("0.375"));
}

TEST_F(Bits, GarbageIsRefusedInOneLine) {
  for (const char* text : {"abc", "1.5x", "''", "' '", "0x", "1e", "+-1", "--1", "'1 2'", "1,5",
                           "'nan(3)'", "infinite", "0b11", "-x"}) {
    EXPECT_THAT(refusal(text), HasSubstr("zeropoint: ")) << text;
  }
  EXPECT_THAT(refusal("abc"), HasSubstr("VALUE: expected a number such as"));
  EXPECT_THAT(refusal("abc"), HasSubstr("found 'abc'"));
  EXPECT_THAT(refusal("1e999"), HasSubstr("that a double can hold, up to 1.8e308, or inf"));
  EXPECT_THAT(refusal(""), HasSubstr("expected at least one number, found none"));
  EXPECT_THAT(refusal("1 --no-such-option"), HasSubstr("--no-such-option"));
}

TEST_F(Bits, ContradictoryOrUselessOptionsAreRefused) {
  for (const auto& [arguments, text] :
       {std::pair{"--scale 1 --range 0,1", "--scale or --range"},
        {"--zero-point 3", "--scale beside --zero-point, found none"},
        {"--zero-point 3 --range 0,1", "--range, which sets both"},
        {"--bits 4", "--scale or --range beside --bits"},
        {"--convention report", "--scale or --range beside --convention"},
        {"--scale 0", "found '0'"},
        {"--scale -1", "found '-1'"},
        {"--scale nan", "found 'nan'"},
        {"--scale 1e-40", "found '1e-40'"},
        {"--scale 1e40", "found '1e40'"},
        {"--scale x", "--scale: expected a number"},
        {"--scale 1 --zero-point 1.5", "--zero-point"},
        {"--scale 1 --zero-point 16777217", "2^24"},
        {"--range 1", "MIN,MAX"},
        {"--range 1,0", "MIN <= MAX"},
        {"--range 0,inf", "float32's range"},
        {"--range 0,1e39", "float32's range"},
        {"--range 0,1,2", "'1,2'"},
        {"--range 0,1 --bits 0", "1 to 16"},
        {"--range 0,1 --bits 17", "1 to 16"},
        {"--range 0,1 --convention onyx", "did you mean onnx?"},
        {"--format fp64", "fp32, fp16, bf16"},
        {"--format fp32,", "fp32, fp16, bf16"}}) {
    EXPECT_THAT(refusal(fmt::format("1 {}", arguments)), HasSubstr(text)) << arguments;
  }
}

TEST_F(Bits, WhatCannotBeWrittenIsSaid) {
  EXPECT_THAT(refusal("1 --json '" + (folder_ / "none" / "x.json").string() + "'"),
              HasSubstr("No such file or directory"));
  if (fs::exists("/dev/full")) {
    const Outcome outcome = run("1 --json /dev/full");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
  }
}

TEST_F(Bits, LinesFitIn100ColumnsAndCarryNoColourIntoAFile) {
  for (const char* arguments :
       {"0.1 1e-45 1e-40 -1e-40 3.4e38 -65504 1e300 inf -inf nan -0 -1.17549435e-38 1.9999999",
        "-0.123456789 1e30 nan --range -3e38,3e38 --bits 16 --convention report",
        "-0.123456789 1e-40 --scale 1.2345678e-38 --zero-point -12345678",
        "-123456.789 1e30 --range=-1.2345678e-20,1.2345678e-20 --convention report-code",
        "--help"}) {
    std::istringstream out(printed(arguments));
    for (std::string line; std::getline(out, line);) {
      const auto columns = std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      });
      EXPECT_LE(columns, 100) << line;
      EXPECT_THAT(line, Not(HasSubstr("\x1b")));
      EXPECT_FALSE(line.ends_with(' ')) << line;
    }
  }
}

// What a terminal gets.
std::string on_a_terminal(bool no_colour) {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    setenv("TERM", "xterm", 1);
    if (no_colour) {
      setenv("NO_COLOR", "1", 1);
    } else {
      unsetenv("NO_COLOR");
    }
    execl(ZEROPOINT_COMMAND, "zeropoint", "bits", "0.375", static_cast<char*>(nullptr));
    _exit(127);
  }
  std::string out;
  std::array<char, 4096> buffer;
  ssize_t got = 0;
  while ((got = read(terminal, buffer.data(), buffer.size())) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(terminal);
  waitpid(child, nullptr, 0);
  return out;
}

TEST_F(Bits, ColourOnATerminalThatWantsIt) {
  EXPECT_THAT(on_a_terminal(false), HasSubstr("\x1b[32m01111101\x1b[0m"));
  const std::string plain = on_a_terminal(true);
  EXPECT_THAT(plain, HasSubstr("01111101"));
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
}

}  // namespace
