// What the command refuses: exit status 2, one line on standard error, nothing anywhere else.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/command.hpp"
#include "support/study_output.hpp"

namespace zeropoint::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Case {
  Arguments arguments;
  std::string said;
};

class BadInput : public CommandTest {
 protected:
  /// Refused as said, and without a folder of results.
  void expect_refusals(const std::vector<Case>& cases) const {
    for (const auto& [arguments, said] : cases) {
      EXPECT_THAT(refusal(arguments, "out"), HasSubstr(said)) << shown(arguments);
      EXPECT_FALSE(fs::exists(in_folder("zeropoint-out"))) << shown(arguments);
    }
  }
  /// The same, for the options of a study that would write into "out".
  void expect_study_refuses(const std::vector<Case>& cases) const {
    for (const auto& [options, said] : cases) {
      Arguments arguments = {"study", "-o", "out"};
      arguments.insert(arguments.end(), options.begin(), options.end());
      EXPECT_THAT(refusal(arguments, "out"), HasSubstr(said)) << shown(arguments);
    }
  }
};

TEST_F(BadInput, UnknownWordsComeWithTheNearestKnown) {
  expect_refusals({
      {{"studdy"},
       "expected one of study, limits, bits, formats, schemes, analyze, quantize, diff, bench, "
       "runs, found 'studdy' "
       "(did you "
       "mean study?)"},
      {{"run"}, "did you mean runs?"},
      {{"x"}, "expected one of study"},
      {{"-x"}, "found '-x'"},
      {{"--verion"}, "did you mean --version?"},
      {{"study", "--size", "4"}, "found '--size' (did you mean --sizes?)"},
      {{"study", "--size=4"}, "found '--size' (did you mean --sizes?)"},
      {{"study", "--sizes", "4", "--covr=1"}, "did you mean --cover?"},
      {{"study", "--thread", "4"}, "did you mean --threads?"},
      {{"study", "-x"}, "study: expected an option that it has, found '-x'"},
      {{"study", "4"}, "study: expected nothing more, found '4'"},
      {{"study", "runs"}, "study: expected nothing more, found 'runs'"},
      {{"study", "-"}, "found '-'"},
      {{"study", ""}, "found ''"},
      {{"runs", "lst"}, "runs: expected one of list, show, export, found 'lst' (did you mean list"},
      {{"runs", "show", "1", "--jsn", "-"}, "runs show: expected an option that it has, found '--"},
      {{"runs", "show", "1", "2"}, "runs show: expected nothing more, found '2'"},
      {{"runs", "export", "1", "--pag", "x"}, "did you mean --page?"},
      {{"bits", "1", "--fromat", "fp32"}, "did you mean --format?"},
      {{"--", "study"}, "expected a verb"},
      {{"study", "study"}, "found 'study'"},
  });
}

TEST_F(BadInput, Sizes) {
  expect_study_refuses({
      {{"--sizes", "0"}, "found '0'"},
      {{"--sizes", "-4"}, "found '-4'"},
      {{"--sizes=-4"}, "found '-4'"},
      {{"--sizes", "10,0"}, "found '0'"},
      {{"--sizes", "4.5"}, "--sizes: expected a whole number from 1 to "},
      {{"--sizes", "1e3"}, "found '1e3'"},
      {{"--sizes", "0x10"}, "found '0x10'"},
      {{"--sizes", "+4"}, "found '+4'"},
      {{"--sizes", " 4"}, "found ' 4'"},
      {{"--sizes", "4 "}, "found '4 '"},
      {{"--sizes", "ten"}, "found 'ten'"},
      {{"--sizes", "nan"}, "found 'nan'"},
      {{"--sizes", "99999999999999999999"}, "found '99999999999999999999'"},
      {{"--sizes", "10,10"}, "sizes: expected each value once, found 10 twice"},
      {{"--sizes", "10", "--sizes", "010"}, "found 10 twice"},
      {{"--sizes", "\xff\xfe"}, "found '\xff\xfe'"},
      {{"--sizes", "4\n\x1b[31m5"}, "found '4  [31m5'"},
  });
}

TEST_F(BadInput, EmptyValues) {
  for (const std::string option :
       {"--sizes", "--cover", "--bits", "--convention", "--distributions"}) {
    expect_study_refuses({{{option, ""}, option + ": expected values with commas between them"},
                          {{option, ","}, "found ','"},
                          {{option, "1,,2"}, "found '1,,2'"},
                          {{option, "1,"}, "found '1,'"},
                          {{option + "="}, "expected a value after " + option + "="},
                          {{option + "=", "4"}, "expected a value after " + option + "="},
                          {{option}, option}});
  }
  for (const std::string option :
       {"--seed", "--repeat", "--threads", "--json", "--csv", "--a", "--b", "--generator"}) {
    expect_study_refuses({{{"--sizes", "4", option, ""}, option.substr(2)},
                          {{"--sizes", "4", option + "="}, "expected a value after " + option},
                          {{"--sizes", "4", option}, option}});
  }
  expect_study_refuses({{{"--a", "", "--b", ""}, "--a: expected a value, found ''"}});
  expect_refusals({{{"study", "--sizes", "4", "-o", ""}, "expected a value, found ''"},
                   {{"study", "--sizes", "4", "-o"}, "--output"},
                   {{"runs", "-o", ""}, "expected a value, found ''"},
                   {{"runs", "show", ""}, "found ''"}});
}

TEST_F(BadInput, Coverage) {
  for (const std::string cover : {"0.5", "0", "-1", "1.0000001", "2", "nan", "inf", "-inf"}) {
    for (const auto& list : {cover, "0.9," + cover, cover + ",0.9"}) {
      expect_study_refuses({{{"--cover", list}, "cover: expected a number above 0.5, at most 1"}});
    }
  }
  expect_study_refuses({{{"--cover", "0.9,0.90"}, "cover: expected each value once, found 0.9"},
                        {{"--cover", "x"}, "--cover: expected a number, found 'x'"},
                        {{"--cover", "0.9x"}, "found '0.9x'"},
                        {{"--cover", "1e400"}, "found '1e400'"},
                        {{"--cover", "90%"}, "found '90%'"}});
}

TEST_F(BadInput, OtherAxes) {
  expect_study_refuses({
      {{"--bits", "0"}, "--bits: expected a whole number from 1 to 16, found '0'"},
      {{"--bits", "17"}, "found '17'"},
      {{"--bits", "-8"}, "found '-8'"},
      {{"--bits", "8.5"}, "found '8.5'"},
      {{"--bits", "3000000000"}, "found '3000000000'"},
      {{"--bits", "8,8"}, "bits: expected each value once, found 8 twice"},
      {{"--distributions", "gauss"}, "found 'gauss' (did you mean"},
      {{"--distributions", "normal,normal"}, "found normal twice"},
      {{"--distributions", "\xff"}, "expected one of uniform, normal"},
      {{"--convention", "onxx"}, "found 'onxx' (did you mean onnx?)"},
      {{"--convention", "onnx:roundin=floor"}, "found 'roundin' (did you mean rounding?)"},
      {{"--convention", "onnx:rounding=flor"}, "found 'flor' (did you mean floor?)"},
      {{"--convention", "onnx:rounding"}, "expected rounding="},
      {{"--convention", "onnx:"}, "found ''"},
      {{"--convention", "report-code,report-code:norm=float32x8"}, "found report-code twice"},
      {{"--generator", "mersenne"}, "expected one of auto, report, counter; found 'mersenne'"},
      {{"--seed", "-1"}, "--seed: expected a whole number from 0 to 18446744073709551615"},
      {{"--seed", "18446744073709551616", "--generator", "counter"},
       "found '18446744073709551616'"},
      {{"--seed", "4294967296"}, "expected seeds below 2^32 for the report's generator"},
      {{"--seed", "4294967295", "--repeat", "2"}, "expected seeds below 2^32"},
      {{"--seed", "1.5"}, "found '1.5'"},
      {{"--repeat", "0"}, "--repeat: expected a whole number from 1 to "},
      {{"--repeat", "-3"}, "found '-3'"},
      {{"--repeat", "1000000000"}, "expected at most 1000000 rows, found 56000000000"},
      {{"--repeat", "99999999999"}, "found '99999999999'"},
      {{"--threads", "0"}, "--threads: expected a whole number from 1 to 4096, found '0'"},
      {{"--threads", "many"}, "found 'many'"},
      {{"--threads", "999999999999"}, "found '999999999999'"},
  });
}

TEST_F(BadInput, SizesThatDoNotFitInMemorySayHowMuchIsNeeded) {
  for (const char* size : {"10000000", "9223372036854775807"}) {
    EXPECT_THAT(refusal({"study", "--sizes", size, "-o", "out"}, "out"),
                ::testing::MatchesRegex(
                    ".*matrices of [0-9]+x.* need [0-9.]+ GiB of memory, found [0-9.]+ GiB "
                    "available\n"));
  }
}

TEST_F(BadInput, PlacesThatCannotBeWritten) {
  put(in_folder("file"), "text");
  fs::create_directories(in_folder("folder/results.json"));
  const std::string long_name(300, 'n');
  for (const std::string place :
       {"file", "file/below", "/dev/null", "/proc/nowhere", long_name.c_str()}) {
    EXPECT_THAT(refusal({"study", "--sizes", "4", "-o", place}),
                HasSubstr(place + ": expected a folder for results: "));
  }
  for (const std::string option : {"--json", "--csv"}) {
    for (const std::string place : {"none/results.json", "file/results.json", "folder",
                                    "folder/results.json", long_name.c_str()}) {
      EXPECT_THAT(refusal({"study", "--sizes", "4", "-o", "out/below", option, place}, "out"),
                  HasSubstr(place + ": expected a file "));
    }
  }
  EXPECT_EQ(contents(in_folder("file")), "text");
  fs::create_directories(in_folder("taken/runs.sqlite"));
  EXPECT_THAT(refusal({"study", "--sizes", "4", "-o", "taken"}), HasSubstr("found a folder"));
}

TEST_F(BadInput, ContradictoryOptions) {
  put(in_folder("a.npy"), npy(2, 2, {1, 2, 3, 4}));
  const Arguments files = {"--a", "a.npy", "--b", "a.npy"};
  const auto with_files = [&](const Arguments& more) {
    Arguments options = files;
    options.insert(options.end(), more.begin(), more.end());
    return options;
  };
  expect_study_refuses({
      {{"--a", "a.npy"}, "--a requires --b"},
      {{"--b", "a.npy"}, "--b requires --a"},
      {with_files({"--sizes", "4"}), "--sizes"},
      {with_files({"--distributions", "normal"}), "--distributions"},
      {with_files({"--seed", "4"}), "--seed"},
      {with_files({"--repeat", "4"}), "--repeat"},
      {with_files({"--generator", "counter"}), "--generator"},
      {with_files({"--json", "a.npy"}), "expected two files for --json and --a"},
      {with_files({"--csv", "./a.npy"}), "expected two files for --csv and --a"},
      {{"--sizes", "4", "--json", "-", "--csv", "-"}, "expected two files for --csv and --json"},
      {{"--sizes", "4", "--json", "x", "--csv", "./x"}, "expected two files for --csv and --json"},
      {{"--sizes", "4", "--json", "out/runs.sqlite"}, "--json and the store"},
      {{"--sizes", "4", "--csv", "out/study.html"}, "--csv and the page"},
      {{"--sizes", "4", "--seed", "1", "--seed", "2"}, "--seed"},
  });
  EXPECT_EQ(contents(in_folder("a.npy")), npy(2, 2, {1, 2, 3, 4}));
}

TEST_F(BadInput, Matrices) {
  const auto good = npy(2, 3, {1, 2, 3, 4, 5, 6});
  put(in_folder("good.npy"), good);
  put(in_folder("tall.npy"), npy(3, 2, {1, 2, 3, 4, 5, 6}));
  put(in_folder("square.npy"), npy(2, 2, {1, 2, 3, 4}));
  put(in_folder("truncated.npy"), good.substr(0, good.size() - 1));
  put(in_folder("longer.npy"), good + "x");
  put(in_folder("header.npy"), good.substr(0, 40));
  put(in_folder("empty.npy"), "");
  put(in_folder("text.npy"), "1 2 3\n4 5 6\n");
  put(in_folder("zero.npy"), npy(0, 3, {}));
  put(in_folder("nan.npy"), npy(2, 3, {1, 2, 3, 4, std::nanf(""), 6}));
  put(in_folder("inf.npy"), npy(2, 3, {1, 2, 3, 4, -INFINITY, 6}));
  put(in_folder("largest.npy"), npy(3, 3, std::vector<float>(9, 3e38F)));
  auto other = good;
  other.replace(other.find("<f4"), 3, "<i4");
  put(in_folder("int32.npy"), other);
  other = good;
  other.replace(other.find("(2, 3)"), 6, "(6,)  ");
  put(in_folder("vector.npy"), other);
  other = good;
  other.replace(other.find("(2, 3), "), 8, "(9999999,9999999)");
  put(in_folder("claims.npy"), other);
  fs::create_directory(in_folder("folder.npy"));
  put(in_folder("bytes\xff.npy"), npy(2, 2, {1, 2, 3, 4}));
  for (const auto& [name, said] :
       std::vector<std::pair<std::string, std::string>>{{"truncated", "truncated"},
                                                        {"longer", "24 bytes of data"},
                                                        {"header", "header"},
                                                        {"empty", "0 bytes"},
                                                        {"text", "an .npy file"},
                                                        {"zero", "(0, 3)"},
                                                        {"nan", "NaN at [1, 1]"},
                                                        {"inf", "-infinity at [1, 1]"},
                                                        {"int32", "int32"},
                                                        {"vector", "two-dimensional"},
                                                        {"claims", "claims.npy: expected"},
                                                        {"folder", "directory"},
                                                        {"missing", "No such file"}}) {
    const auto file = name + ".npy";
    expect_study_refuses(
        {{{"--a", file, "--b", "tall.npy"}, said}, {{"--a", "square.npy", "--b", file}, said}});
  }
  expect_study_refuses({
      {{"--a", "good.npy", "--b", "square.npy"},
       "expected as many columns in --a as rows in --b, found 2x3 in good.npy and 2x2 in square"},
      {{"--a", "/dev/zero", "--b", "good.npy"}, "a device"},
      {{"--a", "bytes\xff.npy", "--b", "good.npy"}, "UTF-8"},
  });
  // Only the product shows that these are too large.
  EXPECT_THAT(refusal({"study", "--a", "largest.npy", "--b", "largest.npy"}),
              HasSubstr("A times B"));
}

// A range that is too narrow for its distance from 0 is widened, so that no cell is refused.
TEST_F(BadInput, NarrowRangesAreStudiedToo) {
  const auto outcome = run({"study", "--sizes", "2", "--seed", "1", "--cover", "0.9,0.5000001"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(table_rows(outcome.out).size(), 4U);
}

TEST_F(BadInput, Runs) {
  expect_refusals({{{"runs"}, "zeropoint-out/runs.sqlite: expected a store of runs, found none"},
                   {{"runs", "-o", "nowhere", "show", "1"}, "found none"}});
  printed({"study", "--sizes", "4", "--cover", "1", "-o", "kept"});
  for (const std::string id : {"0", "-1", "x", "1.5", "99999999999999999999", "0x1"}) {
    EXPECT_THAT(refusal({"runs", "-o", "kept", "show", id}), HasSubstr("found '" + id + "'"));
  }
  EXPECT_THAT(refusal({"runs", "-o", "kept", "show", "2"}), HasSubstr("found no run 2"));
  EXPECT_THAT(refusal({"runs", "-o", "kept", "show"}), HasSubstr("ID"));
  EXPECT_THAT(refusal({"runs", "-o", "kept", "export", "1"}), HasSubstr("--json, --csv, --page"));
  EXPECT_THAT(refusal({"runs", "-o", "kept", "export", "1", "--json", "-", "--csv", "-"}),
              HasSubstr("expected two files"));
  for (const char* option : {"--json", "--csv", "--page"}) {
    EXPECT_THAT(refusal({"runs", "-o", "kept", "export", "1", option, "none/x"}),
                HasSubstr("none/x: expected a file that can be written"));
  }
  EXPECT_THAT(refusal({"runs", "-o", "kept", "export", "1", "--page", "kept/runs.sqlite"}),
              HasSubstr("the store"));
  EXPECT_EQ(lines_of(printed({"runs", "-o", "kept"})).size(), 1U);
}

// Many command lines made of what is known and what is odd: never a crash, never a hang,
// and a refusal is one line.
TEST_F(BadInput, RandomArguments) {
  constexpr unsigned kSeed = 20240607;
  constexpr int kCount = 1500;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  std::mt19937 random(kSeed);
  const auto any = [&](const Arguments& from) { return from[random() % from.size()]; };
  put(in_folder("a.npy"), npy(2, 3, {1, 2, 3, 4, 5, 6}));
  put(in_folder("b.npy"), npy(3, 2, {1, -2, 3, -4, 5, -6}));
  const Arguments odd = {"",
                         ",",
                         "-",
                         "--",
                         "=",
                         "0",
                         "-1",
                         "1e999",
                         "nan",
                         "-inf",
                         "0.5",
                         "1.5",
                         "abc",
                         "\xff\xfe",
                         "\xc3",
                         "%s%n{}",
                         "'",
                         "\"",
                         "\n",
                         "\x1b[2J",
                         "--sizes",
                         "study",
                         "2,,3",
                         "18446744073709551616",
                         "1000000000000",
                         std::string(5000, 'x'),
                         std::string(2000, ','),
                         "a.npy/..",
                         "/dev/full"};
  const std::vector<Arguments> options = {
      {"--distributions", "uniform", "normal", "uniform,normal"},
      {"--sizes", "2", "5", "3,4", "100000000"},
      {"--cover", "0.9", "1", "0.6,1", "0.5000001"},
      {"--bits", "2", "8", "16", "4,8"},
      {"--convention", "onnx", "report", "report-code:rounding=floor", "onnx:rounding="},
      {"--seed", "1", "4294967295", "4294967296"},
      {"--repeat", "1", "2", "1000000000"},
      {"--generator", "report", "counter", "auto"},
      {"--a", "a.npy", "b.npy", "none.npy", "."},
      {"--b", "b.npy", "a.npy", "/dev/null"},
      {"--threads", "1", "2", "4096"},
      {"-o", "o1", "o2", "a.npy"},
      {"--output", "o1", "o3/below"},
      {"--json", "-", "r.json", "o1/r.json", "none/r.json"},
      {"--csv", "-", "r.csv", "/dev/full"},
      {"--page", "p.html", "-"},
      {"--scale", "0.5", "1e-30"},
      {"--zero-point", "3"},
      {"--range", "-1,1"},
      {"--format", "fp16"},
      {"--resume"},
      {"--help"},
      {"--version"},
      {"show", "1"},
      {"export", "1"},
      {"list"},
      {"bits", "-1.5"},
      {"runs"}};
  int refused = 0, done = 0;
  for (int i = 0; i < kCount; ++i) {
    Arguments arguments;
    const auto verb = random() % 8;
    // A study always starts with small matrices, in one argument that nothing can take apart: the
    // sizes that it has without are too large for here.
    if (verb < 4) arguments = {"study", "--sizes=" + any({"2", "3", "2,5"}), "--cover", "0.9,1"};
    if (verb == 4) arguments = {"study", "--a=a.npy", "--b=b.npy"};
    if (verb == 5) arguments = {"runs"};
    if (verb == 6) arguments = {"bits", any({"1", "-0.5", "nan"})};
    for (auto count = 1 + random() % 5; count > 0; --count) {
      const auto& option = options[random() % options.size()];
      std::string value = any({option.begin() + (option.size() > 1 ? 1 : 0), option.end()});
      if (random() % 5 < 2) value = any(odd);
      switch (random() % 8) {
        case 0:
          arguments.push_back(option[0] + "=" + value);
          break;
        case 1:
          arguments.push_back(random() % 2 == 0 ? option[0] : value);
          break;
        default:
          arguments.push_back(option[0]);
          if (option.size() > 1) arguments.push_back(value);
      }
    }
    // Without a verb in front, one may come later, with its own sizes.
    if (verb == 7 && std::ranges::find(arguments, "study") != arguments.end()) continue;
    const auto outcome = run(arguments);
    ASSERT_EQ(outcome.signal, 0) << shown(arguments);
    ASSERT_THAT(outcome.status, ::testing::AnyOf(0, 1, 2)) << shown(arguments);
    if (outcome.status == 2 && !arguments.empty()) {
      EXPECT_TRUE(outcome.out.empty()) << shown(arguments);
      const std::string note = ": starting anew\n";
      const auto end = outcome.err.find(note);
      expect_one_line(
          end == std::string::npos ? outcome.err : outcome.err.substr(end + note.size()),
          arguments);
    }
    ++(outcome.status == 0 ? done : refused);
    if (HasFailure()) break;
  }
  EXPECT_GT(refused, kCount / 4);
  EXPECT_GT(done, kCount / 20);
}

}  // namespace
}  // namespace zeropoint::testing
