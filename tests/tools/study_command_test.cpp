// `zeropoint study` and `zeropoint runs`, run as a user runs them.
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/command.hpp"
#include "support/study_output.hpp"

namespace zeropoint::testing {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class Study : public CommandTest {
 protected:
  /// `zeropoint study` with these options, its JSON on standard output.
  json study(const Arguments& options) const {
    return json::parse(printed(Arguments{"study"} + options + Arguments{"--json", "-"}));
  }
  json rows(const Arguments& options) const {
    return timeless_results(printed(Arguments{"study"} + options + Arguments{"--json", "-"}));
  }
  /// The values of a field, in the order of the rows, each once.
  static std::vector<json> each_once(const json& rows, const std::string& field) {
    std::vector<json> values;
    for (const auto& row : rows) {
      if (std::find(values.begin(), values.end(), row[field]) == values.end()) {
        values.push_back(row[field]);
      }
    }
    return values;
  }
};

TEST_F(Study, PrintsTheTableAndLeavesPageAndStore) {
  const auto out = printed({"study", "--sizes", "10,30", "-o", "here/there"});
  EXPECT_THAT(out, HasSubstr("run 1, 28 of 28 rows, convention report-code, 8 bits, seed 0\n"));
  EXPECT_EQ(table_rows(out).size(), 28U);
  for (int claim = 1; claim <= 7; ++claim) {
    EXPECT_THAT(out, HasSubstr(fmt::format("\n{}. ", claim)));
  }
  const auto page = in_folder("here/there/study.html");
  EXPECT_EQ(lines_of(out).back(), "The page with figures: " + page.string());
  EXPECT_TRUE(fs::exists(page));
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(in_folder("here/there"))) {
    files.insert(entry.path().filename());
  }
  EXPECT_THAT(files, ElementsAre("runs.sqlite", "study.html"));
}

TEST_F(Study, PublishedFiguresStandBesideTheirRows) {
  const auto all = study({"--sizes", "10", "--distributions", "uniform"})["results"];
  int published = 0;
  for (const auto& row : all) {
    if (row["published"].is_null()) continue;
    ++published;
    for (const char* error : {"ground_truth_error", "expected_error", "simulated_error"}) {
      const auto there = row["published"][error].get<double>();
      EXPECT_NEAR(row[error].get<double>(), there, 5e-5 * there) << row["cover"] << error;
    }
  }
  EXPECT_EQ(published, 4);
}

TEST_F(Study, JsonNamesAreStable) {
  const auto text = printed({"study", "--sizes", "6", "--cover", "0.9", "--json", "-"});
  const auto all = ordered_json::parse(text);
  std::vector<std::string> parts, fields;
  for (const auto& [name, value] : all.items()) parts.push_back(name);
  EXPECT_THAT(parts, ElementsAre("meta", "results", "summary", "claims"));
  ASSERT_EQ(all["results"].size(), 2U);
  for (const auto& [name, value] : all["results"][0].items()) fields.push_back(name);
  EXPECT_THAT(fields, ::testing::ElementsAreArray({"distribution",
                                                   "size",
                                                   "m",
                                                   "k",
                                                   "n",
                                                   "cover",
                                                   "bits",
                                                   "convention",
                                                   "seed",
                                                   "generator",
                                                   "ground_truth_error",
                                                   "expected_error",
                                                   "simulated_error",
                                                   "predicted_ground_truth_error",
                                                   "predicted_expected_error",
                                                   "predicted_scale_y",
                                                   "predicted_low",
                                                   "predicted_high",
                                                   "outside_interval",
                                                   "ground_truth_error_float64",
                                                   "expected_error_float64",
                                                   "simulated_error_float64",
                                                   "scale_a",
                                                   "zero_point_a",
                                                   "scale_b",
                                                   "zero_point_b",
                                                   "scale_y",
                                                   "zero_point_y",
                                                   "clipped_a",
                                                   "clipped_b",
                                                   "clipped_y",
                                                   "excess_kurtosis_y",
                                                   "seconds",
                                                   "seconds_float_product",
                                                   "seconds_quantized_product",
                                                   "published"}));
  const auto& row = all["results"][0];
  EXPECT_EQ(row["distribution"], "uniform");
  EXPECT_EQ(row["size"], 6);
  EXPECT_EQ(row["cover"], 0.9);
  EXPECT_EQ(row["convention"], "report-code");
  for (const char* number :
       {"ground_truth_error", "predicted_ground_truth_error", "scale_a", "clipped_y", "seconds"}) {
    EXPECT_TRUE(row[number].is_number()) << number;
  }
  const auto& meta = all["meta"];
  EXPECT_EQ(meta["program"], "zeropoint");
  EXPECT_EQ(meta["rows_expected"], 2);
  EXPECT_EQ(meta["settings"]["covers"], ordered_json({0.9}));
  EXPECT_THAT(meta["conventions"]["report-code"].get<std::string>(), HasSubstr("rounding="));
  EXPECT_TRUE(meta["finished"].is_string());
  EXPECT_EQ(all["claims"].size(), 7U);
}

TEST_F(Study, JsonAndCsvSayTheSame) {
  const auto out =
      printed({"study", "--sizes", "6,9", "--convention", "report-code,onnx:sign=unsigned",
               "--json", "results.json", "--csv", "results.csv"});
  EXPECT_EQ(table_rows(out).size(), 56U);
  const auto all = ordered_json::parse(contents(in_folder("results.json")))["results"];
  const auto csv = contents(in_folder("results.csv"));
  ASSERT_TRUE(csv.ends_with("\r\n"));
  auto lines = lines_of(csv);
  for (auto& line : lines) {
    ASSERT_TRUE(line.ends_with('\r'));
    line.pop_back();
  }
  ASSERT_EQ(lines.size(), all.size() + 1);
  const auto names = csv_fields(lines[0]);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto fields = csv_fields(lines[i + 1]);
    ASSERT_EQ(fields.size(), names.size());
    for (std::size_t j = 0; j < names.size(); ++j) {
      if (names[j].starts_with("published_")) continue;
      const auto& value = all[i].at(names[j]);
      EXPECT_EQ(fields[j], value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());

  const auto alone = printed({"study", "--sizes", "6", "--cover", "1", "--csv", "-"});
  EXPECT_EQ(lines_of(alone).size(), 3U);
  EXPECT_TRUE(alone.starts_with("distribution,size,"));
}

TEST_F(Study, FilesMayStandInTheFolderThatTheStudyMakes) {
  printed({"study", "--sizes", "4", "-o", "new/folder", "--json", "new/folder/r.json", "--csv",
           "new/folder/r.csv"});
  EXPECT_EQ(timeless_results(contents(in_folder("new/folder/r.json"))).size(), 14U);
}

TEST_F(Study, EveryAxis) {
  const auto grid =
      rows({"--distributions", "normal", "--sizes", "5,9", "--cover", "0.8,0.99", "--bits", "4,16",
            "--convention", "onnx,report:rounding=half-even:sign=unsigned", "--seed", "7"});
  ASSERT_EQ(grid.size(), 16U);
  EXPECT_THAT(each_once(grid, "distribution"), ElementsAre("normal"));
  EXPECT_THAT(each_once(grid, "size"), ElementsAre(5, 9));
  EXPECT_THAT(each_once(grid, "cover"), ElementsAre(0.8, 0.99));
  EXPECT_THAT(each_once(grid, "bits"), ElementsAre(4, 16));
  EXPECT_THAT(each_once(grid, "convention"),
              ElementsAre("onnx", "report:sign=unsigned:rounding=half-even"));
  EXPECT_THAT(each_once(grid, "seed"), ElementsAre(7));
  EXPECT_THAT(each_once(grid, "generator"), ElementsAre("report"));
  // Values may also be separate arguments, or the option be repeated.
  EXPECT_EQ(grid, rows({"--distributions=normal", "--sizes", "5", "9", "--cover", "0.8", "--cover",
                        "0.99", "--bits=4,16", "--convention", "onnx",
                        "report:rounding=half-even:sign=unsigned", "--seed=7"}));
  const auto both = rows({"--sizes", "5", "--cover", "1"});
  EXPECT_THAT(each_once(both, "distribution"), ElementsAre("uniform", "normal"));
  EXPECT_EQ(rows({"--sizes", "010", "--cover", "1"})[0]["size"], 10);
}

TEST_F(Study, SeedsAndGenerators) {
  const Arguments base = {"--sizes", "8", "--cover", "0.9,1"};
  const auto first = rows(base + Arguments{"--seed", "3"});
  EXPECT_EQ(first, rows(base + Arguments{"--seed", "3"}));
  EXPECT_NE(first[0]["scale_a"], rows(base + Arguments{"--seed", "4"})[0]["scale_a"]);
  const auto counter = rows(base + Arguments{"--seed", "3", "--generator", "counter"});
  EXPECT_THAT(each_once(counter, "generator"), ElementsAre("counter"));
  EXPECT_NE(counter[0]["scale_a"], first[0]["scale_a"]);
  const auto largest =
      rows(base + Arguments{"--seed", "18446744073709551615", "--generator", "counter"});
  EXPECT_EQ(largest[0]["seed"], 18446744073709551615U);
}

TEST_F(Study, ThreadsChangeNothing) {
  const Arguments base = {"--sizes", "9,300", "--cover", "0.9,1", "--bits", "8,12"};
  const auto one = rows(base + Arguments{"--threads", "1"});
  EXPECT_EQ(one.size(), 16U);
  EXPECT_EQ(one, rows(base + Arguments{"--threads", "2"}));
  EXPECT_EQ(one, rows(base + Arguments{"--threads", "5"}));
}

TEST_F(Study, RepeatGivesMeanAndStandardError) {
  const auto all = study({"--sizes", "6", "--cover", "0.9,1", "--repeat", "5", "--seed", "2"});
  EXPECT_EQ(all["results"].size(), 20U);
  ASSERT_EQ(all["summary"].size(), 4U);
  for (const auto& group : all["summary"]) {
    EXPECT_EQ(group["seeds"], 5);
    for (const char* name : {"ground_truth_error", "expected_error_float64", "scale_y"}) {
      std::vector<double> values;
      std::set<int> seeds;
      for (const auto& row : all["results"]) {
        if (row["distribution"] != group["distribution"] || row["cover"] != group["cover"])
          continue;
        values.push_back(row[name]);
        seeds.insert(row["seed"].get<int>());
      }
      EXPECT_THAT(seeds, ElementsAre(2, 3, 4, 5, 6));
      double mean = 0, squares = 0;
      for (const double x : values) mean += x / 5;
      for (const double x : values) squares += (x - mean) * (x - mean);
      EXPECT_NEAR(group[name]["mean"].get<double>(), mean, 1e-12 * mean);
      EXPECT_NEAR(group[name]["standard_error"].get<double>(), std::sqrt(squares / 4 / 5),
                  1e-9 * mean);
    }
  }
  const auto out = printed({"study", "--sizes", "6", "--cover", "0.9,1", "--repeat", "5"});
  EXPECT_EQ(table_rows(out).size(), 4U);
  EXPECT_THAT(out, HasSubstr("±"));
}

TEST_F(Study, ThePageFetchesNothing) {
  printed({"study", "--sizes", "4,6", "-o", "out"});
  const auto page = contents(in_folder("out/study.html"));
  EXPECT_TRUE(page.starts_with("<!"));
  EXPECT_GT(page.size(), 100'000U);  // with the library of figures
  std::string lower = page;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const char* way :
       {"src=\"http", "src='http", "src=http", "src=\"//", "href=\"http", "href='http", "href=http",
        "href=\"//", "url(http", "url(\"http", "url('http", "url(//", "@import", "fetch(\"",
        "xmlhttprequest", "<iframe"}) {
    EXPECT_EQ(lower.find(way), std::string::npos) << way;
  }
}

TEST_F(Study, OnATerminalProgressAndWithoutOneSilence) {
  const Arguments arguments = {"study", "--sizes", "10,40", "--cover", "0.9,1"};
  for (const auto columns : {std::uint16_t{200}, std::uint16_t{60}}) {
    Launch terminal;
    terminal.columns = columns;
    const auto outcome = run(arguments, terminal);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.err, HasSubstr("%, 1/8 rows, "));
    EXPECT_THAT(outcome.err, HasSubstr("%, 8/8 rows, "));
    EXPECT_THAT(outcome.err, HasSubstr("rows/s, 0:00 left"));
    EXPECT_THAT(outcome.err, HasSubstr("#"));
    EXPECT_TRUE(outcome.err.ends_with("\r\x1b[K")) << "the line is taken away at the end";
    // A line that wraps would leave remnants.
    std::size_t begin = 0;
    for (std::size_t end; (end = outcome.err.find("\r\x1b[K", begin)) != std::string::npos;) {
      EXPECT_LT(end - begin, columns) << outcome.err.substr(begin, end - begin);
      begin = end + 4;
    }
    EXPECT_EQ(timeless_text(outcome.out).find('\x1b'), std::string::npos);
  }
}

// ---- the user's own matrices ----

std::vector<float> some_values(std::size_t count, float phase) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = std::sin(static_cast<float>(i) * 0.7F + phase);
  }
  return values;
}

TEST_F(Study, MatricesFromFiles) {
  const auto a = some_values(7 * 30, 0.5F), b = some_values(30 * 12, 2);
  put(in_folder("a.npy"), npy(7, 30, a));
  put(in_folder("b.npy"), npy(30, 12, b));
  const auto expected = rows({"--a", "a.npy", "--b", "b.npy"});
  ASSERT_EQ(expected.size(), 7U);
  const auto& row = expected[0];
  EXPECT_EQ(row["distribution"], "file");
  EXPECT_EQ(row["generator"], "file");
  EXPECT_TRUE(row["size"].is_null());
  EXPECT_EQ(row["m"], 7);
  EXPECT_EQ(row["k"], 30);
  EXPECT_EQ(row["n"], 12);
  EXPECT_GT(row["ground_truth_error"], 0);
  EXPECT_GT(row["predicted_ground_truth_error"], 0);
  for (const bool fortran : {false, true}) {
    for (const bool big : {false, true}) {
      put(in_folder("other a.npy"), npy(7, 30, a, fortran, big));
      put(in_folder("other b.npy"), npy(30, 12, b, !fortran, big));
      EXPECT_EQ(expected, rows({"--a", "other a.npy", "--b", "other b.npy"})) << fortran << big;
    }
  }
  const auto out = printed({"study", "--a", "a.npy", "--b", "b.npy", "--bits", "4,8", "--cover",
                            "0.9", "--convention", "onnx,report"});
  EXPECT_EQ(table_rows(out).size(), 4U);
  EXPECT_THAT(out, HasSubstr("7x30x12"));
}

TEST_F(Study, MatricesOfAnyShapeAndOfZeros) {
  for (const auto& [m, k, n] : {std::array<std::size_t, 3>{1, 1, 1}, {1, 50, 1}, {40, 1, 3}}) {
    put(in_folder("a.npy"), npy(m, k, some_values(m * k, 1)));
    put(in_folder("b.npy"), npy(k, n, some_values(k * n, 2)));
    EXPECT_EQ(rows({"--a", "a.npy", "--b", "b.npy", "--cover", "1"}).size(), 1U);
  }
  put(in_folder("zeros.npy"), npy(5, 5, std::vector<float>(25, 0)));
  EXPECT_EQ(rows({"--a", "zeros.npy", "--b", "zeros.npy"}).size(), 7U);
  const auto out = printed({"study", "--a", "zeros.npy", "--b", "zeros.npy"});
  EXPECT_EQ(table_rows(out).size(), 7U);
}

// ---- runs ----

TEST_F(Study, RunsListShowAndExport) {
  const auto first = printed({"study", "--sizes", "5", "-o", "out"});
  const auto json_text = printed(
      {"study", "--sizes", "6,7", "--cover", "1", "--repeat", "2", "-o", "out", "--json", "-"});
  const auto list = printed({"runs", "-o", "out"});
  ASSERT_EQ(lines_of(list).size(), 2U);
  EXPECT_THAT(lines_of(list)[0], HasSubstr("sizes 6,7; cover 1; 8 bits; report-code; seed 0 to 1"));
  EXPECT_THAT(lines_of(list)[1], MatchesRegex(" +1  20.*Z  14 rows .*sizes 5; .*"));
  EXPECT_EQ(list, printed({"runs", "list", "-o", "out"}));

  const auto listed = json::parse(printed({"runs", "-o", "out", "--json", "-"}));
  ASSERT_EQ(listed["runs"].size(), 2U);
  EXPECT_EQ(listed["runs"][0]["run"], 2);
  EXPECT_EQ(listed["runs"][0]["rows"], 8);
  EXPECT_EQ(listed, json::parse(printed({"runs", "list", "-o", "out", "--json", "-"})));
  EXPECT_EQ(list, printed({"runs", "-o", "out", "--json", "list.json"}));
  EXPECT_EQ(listed, json::parse(contents(in_folder("list.json"))));

  const auto show = printed({"runs", "show", "1", "-o", "out"});
  EXPECT_THAT(show, HasSubstr(first.substr(0, first.find("\nThe page with figures"))));
  EXPECT_EQ(printed({"runs", "show", "2", "-o", "out", "--json", "-"}), json_text);
  EXPECT_EQ(printed({"runs", "-o", "out", "show", "1", "--json", "shown.json"}), show);

  EXPECT_EQ(printed({"runs", "export", "2", "-o", "out", "--json", "-"}), json_text);
  EXPECT_EQ(printed({"runs", "export", "2", "-o", "out", "--json", "x.json", "--csv", "x.csv",
                     "--page", "x.html"}),
            "");
  EXPECT_EQ(contents(in_folder("x.json")), json_text);
  EXPECT_EQ(contents(in_folder("x.csv")),
            printed({"runs", "export", "2", "-o", "out", "--csv", "-"}));
  EXPECT_EQ(contents(in_folder("x.html")), contents(in_folder("out/study.html")));
}

TEST_F(Study, HelpAndVersion) {
  EXPECT_THAT(printed({"--version"}), MatchesRegex("zeropoint [0-9.]+\n"));
  for (const Arguments& verb : {Arguments{}, {"study"}, {"runs"}, {"runs", "show"}, {"bits"}}) {
    EXPECT_THAT(printed(verb + Arguments{"--help"}), HasSubstr("Usage:"));
  }
  const auto help = printed({"study", "--help"});
  for (const char* option :
       {"--distributions", "--sizes", "--cover", "--bits", "--convention", "--seed", "--repeat",
        "--generator", "--a ", "--b ", "--threads", "-o,--output", "--json", "--csv", "--resume",
        "report-code", "half-even"}) {
    EXPECT_THAT(help, HasSubstr(option));
  }
  const auto nothing = run({});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_EQ(nothing.out, "");
  EXPECT_THAT(nothing.err, HasSubstr("study"));
}

}  // namespace
}  // namespace zeropoint::testing
