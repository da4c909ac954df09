#include <algorithm>
#include <limits>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zeropoint/report/report.hpp"
#include "zeropoint/study/claims.hpp"
#include "zeropoint/study/study.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

StudyRow row(const std::string& distribution, std::size_t size, double cover,
             std::uint64_t seed = 0) {
  StudyRow r;
  r.distribution = distribution;
  r.m = r.k = r.n = size;
  r.cover = cover;
  r.convention = "report-code";
  r.seed = seed;
  r.generator = "report";
  const double error = (1.05 - cover) * (1 + 0.01 * static_cast<double>(seed));
  r.error_float64 = {error, error / 2, error / 3};
  r.error = {error + 1e-6, error / 2 + 1e-6, error / 3 + 1e-6};
  r.predicted_ground_truth = error * 1.01;
  r.predicted_expected = error / 2 * 1.01;
  r.a = {0.0031F, 11};
  r.b = {0.0028F, -37};
  r.y = {0.004F * static_cast<float>(size), -13};
  r.seconds = 0.25;
  return r;
}

Run run_of(std::vector<StudyRow> rows) {
  Run run;
  run.id = 7;
  run.started = "2024-05-01T12:00:00Z";
  run.finished = "2024-05-01T12:00:09Z";
  run.version = "9.8.7";
  run.cpu = "A Processor";
  run.threads = 2;
  run.spec.sizes = {10, 100};
  run.spec.covers = {0.9, 1};
  for (std::size_t i = 0; i < rows.size(); ++i) run.rows[i] = rows[i];
  run.total = rows.size();
  return run;
}

Run small_run() {
  std::vector<StudyRow> rows;
  for (const char* distribution : {"uniform", "normal"}) {
    for (const std::size_t size : {10, 100}) {
      for (const double cover : {0.9, 1.0}) rows.push_back(row(distribution, size, cover));
    }
  }
  return run_of(rows);
}

std::vector<std::string> matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    found.push_back((*it)[1]);
  }
  return found;
}

/// The page without what stands inside script and style elements.
std::string markup(const std::string& page) {
  std::string out;
  std::size_t at = 0;
  while (at < page.size()) {
    const std::size_t open = std::min(page.find("<script", at), page.find("<style", at));
    if (open == page.npos) break;
    const std::size_t inside = page.find('>', open) + 1;
    const std::string_view end = page[open + 2] == 'c' ? "</script" : "</style";
    out += page.substr(at, inside - at);
    at = page.find(end, inside);
  }
  return out + page.substr(std::min(at, page.size()));
}

/// The first tag that is closed without having been opened last, or that stays open.
std::string first_unbalanced(const std::string& html) {
  static const std::set<std::string> kEmpty = {"meta", "link", "path", "circle"};
  std::vector<std::string> open;
  const std::regex tag("<(/?)([a-zA-Z][a-zA-Z0-9]*)[^>]*>");
  for (std::sregex_iterator it(html.begin(), html.end(), tag), end; it != end; ++it) {
    const std::string name = (*it)[2];
    if (kEmpty.contains(name)) continue;
    if ((*it)[1].length() == 0) {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name) return it->str();
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

nlohmann::json figure_data(const std::string& page) {
  const std::string start = "id=\"data\">";
  const std::size_t from = page.find(start) + start.size();
  const std::string text = page.substr(from, page.find("</script>", from) - from);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  return nlohmann::json::parse(text);
}

TEST(Page, IsCompleteInItself) {
  const std::string page = to_page(small_run());
  const std::string html = markup(page);
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const auto& target : matches(html, "(?:href|src)=\"([^\"]*)\"")) {
    EXPECT_TRUE(target.starts_with("#") || target == "data:,") << target;
  }
  EXPECT_THAT(page, Not(HasSubstr("@import")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  // Chart.js, with its notice.
  EXPECT_THAT(page, HasSubstr("Chart.js v3"));
  EXPECT_THAT(page, HasSubstr("Released under the MIT License"));
}

TEST(Page, IsWellFormed) {
  const std::string html = markup(to_page(small_run()));
  EXPECT_EQ(first_unbalanced(html), "");
  std::set<std::string> ids;
  for (const auto& id : matches(html, "\\sid=\"([^\"]*)\"")) {
    EXPECT_TRUE(ids.insert(id).second) << id << " twice";
  }
  for (const auto& target : matches(html, "href=\"#([^\"]*)\"")) {
    EXPECT_TRUE(ids.contains(target)) << target << " missing";
  }
}

TEST(Page, SaysWhatWasRun) {
  const std::string page = to_page(small_run());
  for (const char* text : {"uniform and normal", "10 and 100", "0.9 and 1", "9.8.7", "A Processor",
                           "2024-05-01 12:00:00 UTC", "report-code"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(page, Not(HasSubstr("Unfinished")));
  const std::string full = full_form(parse_convention("report-code"));
  for (const auto& key : matches(full, "([^:=]+)=")) {
    EXPECT_THAT(page, HasSubstr("<th scope=\"row\">" + key + "</th>"));
  }
}

TEST(Page, AnswersEveryClaimFromTheVerdicts) {
  const auto run = small_run();
  const std::string page = to_page(run);
  const auto claims = judge_claims(run.table());
  ASSERT_EQ(claims.size(), 7U);
  for (const ClaimVerdict& claim : claims) {
    const std::size_t from = page.find("id=\"claim-" + std::to_string(claim.number) + "\"");
    ASSERT_NE(from, page.npos);
    const std::string part = page.substr(from, page.find("</li>\n<li id=\"claim-", from) - from);
    EXPECT_THAT(part, HasSubstr(std::string("</svg>") + to_string(claim.verdict) + "</span>"));
    for (const Witness& witness : claim.witnesses) {
      EXPECT_THAT(part, HasSubstr("href=\"#row-" + std::to_string(witness.row + 1) + "\""));
    }
  }
}

TEST(Page, ShowsEveryRowAndItsNumbers) {
  auto run = small_run();
  run.rows[3].error_float64.ground_truth = 0.123456;
  const std::string page = to_page(run);
  for (std::size_t i = 1; i <= run.rows.size(); ++i) {
    EXPECT_THAT(page, HasSubstr("id=\"row-" + std::to_string(i) + "\""));
  }
  EXPECT_THAT(page, HasSubstr("<td class=\"first\">0.12346</td>"));
  EXPECT_THAT(page, HasSubstr("<td>−37</td>"));
  EXPECT_THAT(page, HasSubstr("bits 8, convention report-code, seed 0"));
  EXPECT_THAT(page, Not(HasSubstr("table-published")));
  EXPECT_THAT(page, Not(HasSubstr("id=\"table-means\"")));

  run.rows[0].published = PublishedRow{{0.15, 0.07, 0.05}, {0.0031F, 11}, {0.0028F, -37}, {0, 0}};
  EXPECT_THAT(to_page(run), HasSubstr("id=\"table-published\""));
}

TEST(Page, DrawsTheErrorsSummedInDouble) {
  const auto run = small_run();
  const auto data = figure_data(to_page(run));
  ASSERT_EQ(data.at("rows").size(), run.rows.size());
  for (const auto& [i, r] : run.rows) {
    const auto& drawn = data.at("rows").at(i);
    EXPECT_EQ(drawn.at("error").at(0), r.error_float64.ground_truth);
    EXPECT_EQ(drawn.at("error").at(2), r.error_float64.simulated);
    EXPECT_EQ(drawn.at("predicted").at(1), *r.predicted_expected);
    EXPECT_EQ(drawn.at("distribution"), r.distribution);
  }
}

TEST(Page, DrawsAccumulatorsWithoutAScript) {
  std::vector<StudyRow> rows;
  for (const double cover : {0.9, 1.0}) {
    for (const char* accumulator : {"int32", "int16-wrap"}) {
      rows.push_back(row("normal", 10, cover));
      rows.back().accumulator = accumulator;
    }
  }
  auto run = run_of(rows);
  run.spec.accumulators = {"int32", "int16-wrap"};
  const std::string page = to_page(run);
  EXPECT_THAT(page, HasSubstr("sums in int32 and int16-wrap"));
  EXPECT_THAT(page, HasSubstr("answers none of them"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  const std::string text = page;
  std::size_t circles = 0;
  for (auto at = text.find("<circle"); at != text.npos; at = text.find("<circle", at + 1)) {
    ++circles;
  }
  EXPECT_EQ(circles, rows.size());
  EXPECT_EQ(first_unbalanced(markup(page)), "");
}

// Schemes of a real run: limits as curves, a point a scheme, coverage with its own figures and
// claim.
TEST(Page, DrawsSchemesBesideTheirLimits) {
  zeropoint::Run run;  // Run alone is the test's own
  run.spec.distributions = {"normal"};
  run.spec.sizes = {64};
  run.spec.schemes = {"int4:sym:group=32", "mxfp4", "trellis2"};
  for (const char* cover : {"0.9", "0.99", "1"}) {
    run.spec.schemes.push_back(std::string("int4-narrow:sym:cover=") + cover);
  }
  resolve(run.spec);
  const auto all = cells(run.spec);
  run.total = all.size();
  run_study(all, {}, nullptr, [&](std::size_t index, const StudyRow& row) {
    run.rows[index] = row;
    return true;
  });
  const std::string page = to_page(run);
  EXPECT_EQ(first_unbalanced(markup(page)), "");
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  for (int figure = 1; figure <= 7; ++figure) {
    EXPECT_THAT(page, HasSubstr("id=\"figure-" + std::to_string(figure) + "\""));
  }
  EXPECT_THAT(page, Not(HasSubstr("id=\"figure-8\"")));
  for (const char* words :
       {"no quantizer is better", "even steps, entropy coded", "Lloyd–Max",
        "Distance from the bound: normal, size 64", "The best coverage, by bits", "Claim 3",
        "above the least error, dB", "outside the interval in which 95 % of such are expected"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  EXPECT_THAT(page, Not(HasSubstr("Claim 2")));
  EXPECT_THAT(page, HasSubstr("<a href=\"#figure-4\">Figure 4</a>"));
}

TEST(Page, GivesMeansOverSeeds) {
  auto run = run_of({row("normal", 10, 1, 0), row("normal", 10, 1, 1), row("normal", 10, 1, 2)});
  run.spec.repeat = 3;
  const std::string page = to_page(run);
  EXPECT_THAT(page, HasSubstr("id=\"table-means\""));
  EXPECT_THAT(page, HasSubstr("seeds 0 to 2"));
  const auto data = figure_data(page);
  ASSERT_EQ(data.at("groups").size(), 1U);
  EXPECT_EQ(data.at("groups").at(0).at("count"), 3);
}

TEST(Page, EscapesWhatTheUserNamed) {
  StudyRow r = row("</script><script>alert(1)</script>", 10, 1);
  r.m = 3;
  auto run = run_of({r});
  run.spec.file_a = "/data/<img src=x onerror=alert(2)>&\"'.npy";
  run.spec.file_b = "b\xff.npy";
  run.cpu = "<b>CPU</b>";
  const std::string page = to_page(run);
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<b>CPU")));
  EXPECT_THAT(page, HasSubstr("&lt;img src=x onerror=alert(2)&gt;&amp;&quot;&#39;.npy"));
  EXPECT_THAT(page, HasSubstr("3×10×10"));
  EXPECT_EQ(first_unbalanced(markup(page)), "");
  EXPECT_EQ(figure_data(page).at("rows").at(0).at("distribution"), r.distribution);
}

TEST(Page, SurvivesNumbersThatAreNotFinite) {
  StudyRow r = row("normal", 10, 1);
  r.error_float64 = {std::numeric_limits<double>::quiet_NaN(),
                     std::numeric_limits<double>::infinity(), 0};
  r.predicted_ground_truth.reset();
  const std::string page = to_page(run_of({r, row("normal", 100, 1)}));
  const auto data = figure_data(page);
  EXPECT_TRUE(data.at("rows").at(0).at("error").at(0).is_null());
  EXPECT_TRUE(data.at("rows").at(0).at("error").at(1).is_null());
  EXPECT_EQ(data.at("rows").at(0).at("error").at(2), 0);
  EXPECT_TRUE(data.at("rows").at(0).at("predicted").at(0).is_null());
  EXPECT_THAT(page, HasSubstr("not a number"));
  EXPECT_THAT(page, HasSubstr("∞"));
}

TEST(Page, SaysThatRowsAreMissing) {
  auto run = small_run();
  run.rows.erase(5);
  run.finished.clear();
  EXPECT_THAT(to_page(run), HasSubstr("7 of 8 rows are finished"));

  run.rows.clear();
  const std::string page = to_page(run);
  EXPECT_THAT(page, HasSubstr("0 of 8 rows are finished"));
  EXPECT_THAT(page, HasSubstr("No row is finished yet"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_EQ(first_unbalanced(markup(page)), "");
}

}  // namespace
}  // namespace zeropoint
