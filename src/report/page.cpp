#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/report/report.hpp"
#include "zeropoint/study/claims.hpp"
#include "zeropoint/study/study.hpp"

#include "report/embedded.hpp"
#include "report/html.hpp"
#include "report/page_accumulators.hpp"
#include "report/page_ledger.hpp"
#include "report/page_limits.hpp"
#include "report/page_schemes.hpp"
#include "report/page_tables.hpp"
#include "report/template.hpp"

namespace zeropoint {
namespace {

using html::escape;
using nlohmann::json;

/// "a", "a and b", "a, b and c".
template <class Items>
std::string listed(const Items& items) {
  std::string out;
  std::size_t left = items.size();
  for (const auto& item : items) {
    out += fmt::format("{}{}", item, left > 2 ? ", " : left == 2 ? " and " : "");
    --left;
  }
  return out;
}

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string file_name(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return std::string(slash == path.npos ? path : path.substr(slash + 1));
}

/// Why a run does not answer the claims; empty if it is one that can.
std::string_view no_claims(const std::vector<StudyRow>& rows) {
  if (page::has_schemes(rows)) {
    return "<p class=\"note\">The report’s claims are about its own experiment, whose product is "
           "quantized once more. This run compares schemes: it answers those that are about "
           "coverage alone, where its schemes differ in it.</p>";
  }
  if (page::has_accumulators(rows)) {
    return "<p class=\"note\">The report’s claims are about exact sums; this run compares "
           "accumulators, and answers none of them.</p>";
  }
  return "";
}

/// "2024-05-01T12:00:00Z" as "2024-05-01 12:00:00 UTC"; anything else as it is.
std::string readable_time(std::string text) {
  if (text.size() < 20 || text[10] != 'T' || text.back() != 'Z') return text;
  text[10] = ' ';
  text.pop_back();
  return text + " UTC";
}

std::string heading(const StudySpec& spec) {
  if (spec.from_files()) {
    return fmt::format("Quantized product of {} and {}", file_name(spec.file_a),
                       file_name(spec.file_b));
  }
  return fmt::format("Quantized products of {} matrices", listed(spec.distributions));
}

std::string lede(const StudySpec& spec) {
  std::string out;
  if (!spec.from_files()) {
    out += fmt::format("{} {}; ", spec.sizes.size() == 1 ? "Size" : "Sizes", listed(spec.sizes));
  }
  if (!spec.schemes.empty()) {
    out += plural(spec.schemes.size(), "pair of schemes", "pairs of schemes");
  } else {
    out += fmt::format("{} {}; {} bits; {} {}", out.empty() ? "Coverage" : "coverage",
                       listed(spec.covers), listed(spec.bits),
                       spec.conventions.size() == 1 ? "convention" : "conventions",
                       listed(spec.conventions));
  }
  if (!spec.accumulators.empty()) out += fmt::format("; sums in {}", listed(spec.accumulators));
  if (spec.from_files()) return out + ".";
  out += spec.repeat > 1 ? fmt::format("; seeds {} to {}.", spec.seed,
                                       spec.seed + static_cast<std::uint64_t>(spec.repeat) - 1)
                         : fmt::format("; seed {}.", spec.seed);
  return out;
}

std::string facts(const Run& run) {
  std::string out;
  const auto fact = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, escape(value));
  };
  fact("Run", run.id ? fmt::format("{}", run.id) : "");
  fact("Started", readable_time(run.started));
  fact("Finished", readable_time(run.finished));
  fact("Rows", run.rows.size() == run.total ? fmt::format("{}", run.total)
                                            : fmt::format("{} of {}", run.rows.size(), run.total));
  fact("Processor", run.cpu);
  fact("Threads", run.threads > 0 ? fmt::format("{}", run.threads) : "");
  fact("zeropoint", run.version);
  return out;
}

std::string banner(const Run& run) {
  if (run.rows.size() >= run.total && !run.rows.empty()) return "";
  return fmt::format(
      "<p class=\"banner\" role=\"note\"><strong>Unfinished.</strong> {} of {} finished; all that "
      "follows is drawn from these alone.</p>",
      run.rows.size(), plural(run.total, "row is", "rows are"));
}

struct Badge {
  std::string_view name;  ///< of the CSS class
  std::string_view icon;  ///< SVG, 16 by 16
};

Badge badge(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return {"holds", "<path d=\"M3 8.5l3.5 3.5L13 4.5\"/>"};
    case Verdict::in_part:
      return {"in-part",
              "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path class=\"fill\" d=\"M8 "
              "2.5a5.5 5.5 0 0 1 0 11z\"/>"};
    case Verdict::does_not_hold:
      return {"fails", "<path d=\"M4 4l8 8M12 4l-8 8\"/>"};
    case Verdict::not_tested:
      break;
  }
  return {"untested", "<path d=\"M3.5 8h9\"/>"};
}

std::string badge_html(Verdict verdict) {
  const Badge b = badge(verdict);
  return fmt::format(
      "<span class=\"badge {}\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\">{}</svg>{}</span>",
      b.name, b.icon, to_string(verdict));
}

/// On paper, a side's list ends after this many rows.
constexpr std::size_t kPrintedWitnesses = 4;

/// The rows of one side, as a list under the side's name.
std::string side(std::string_view name, std::string_view css,
                 const std::vector<const Witness*>& members, const std::vector<StudyRow>& rows) {
  if (members.empty()) return "";
  std::string items;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::size_t row = members[i]->row;
    items += fmt::format("<li{}><a href=\"#row-{}\">Row {}</a> {}: {}</li>\n",
                         i < kPrintedWitnesses ? "" : " class=\"more\"", row + 1, row + 1,
                         escape(page::describe(rows[row])), escape(members[i]->why));
  }
  if (members.size() > kPrintedWitnesses) {
    items += fmt::format("<li class=\"paper-only\">and {} more</li>\n",
                         members.size() - kPrintedWitnesses);
  }
  return fmt::format("<div class=\"side\"><p class=\"{}\">{}</p>\n<ul>\n{}</ul></div>\n", css, name,
                     items);
}

std::string witnesses(const ClaimVerdict& claim, const std::vector<StudyRow>& rows) {
  std::vector<const Witness*> supporting, against;
  for (const Witness& witness : claim.witnesses) {
    if (witness.row < rows.size()) (witness.supports ? supporting : against).push_back(&witness);
  }
  if (supporting.empty() && against.empty()) return "";
  std::vector<std::string> counts;
  if (!against.empty()) counts.push_back(fmt::format("{} against", against.size()));
  if (!supporting.empty()) counts.push_back(fmt::format("{} for", supporting.size()));
  return fmt::format(
      "<details class=\"witnesses\"><summary>Rows behind this: {}</summary>\n{}{}</details>\n",
      fmt::join(counts, ", "), side("Against", "against", against, rows),
      side("For", "for", supporting, rows));
}

/// The figure that shows what a claim is about: its number, by the claim's.
using FigureOf = std::map<int, int>;

std::string claims_html(const std::vector<ClaimVerdict>& claims, const std::vector<StudyRow>& rows,
                        const FigureOf& figure_of) {
  std::string out = "<ol class=\"claims\">\n";
  for (const ClaimVerdict& claim : claims) {
    out += fmt::format(
        "<li id=\"claim-{0}\" class=\"claim\">\n"
        "<p class=\"verdict\"><span class=\"claim-number\">Claim {0}</span> {1}</p>\n"
        "<div class=\"claim-body\">\n<h3>{2}</h3>\n<p class=\"evidence\">{3}</p>\n"
        "<p class=\"rule\"><b>Rule</b> {4}{6}</p>\n{5}</div>\n</li>\n",
        claim.number, badge_html(claim.verdict), escape(claim.claim), escape(claim.evidence),
        escape(claim.test), witnesses(claim, rows),
        figure_of.contains(claim.number)
            ? fmt::format(" <a href=\"#figure-{0}\">Figure {0}</a>", figure_of.at(claim.number))
            : "");
  }
  return out + "</ol>\n";
}

/// How often each verdict was given, in the order of the enumeration.
std::string tally(const std::vector<ClaimVerdict>& claims) {
  std::map<Verdict, std::size_t> counts;
  for (const ClaimVerdict& claim : claims) ++counts[claim.verdict];
  std::string out =
      "<p class=\"note\">Each verdict follows from the rows below by the rule that stands under "
      "it.</p>\n<p class=\"tally\">";
  for (const auto& [verdict, count] : counts) {
    out += fmt::format("<span class=\"count\">{} × {}</span> ", count, badge_html(verdict));
  }
  return out + "</p>";
}

std::string figure(int number, std::string_view title) {
  return fmt::format(
      "<figure id=\"figure-{0}\">\n<figcaption><b>Figure {0}.</b> <span class=\"figure-title\">{1}"
      "</span> <span class=\"figure-about\"></span></figcaption>\n<div class=\"plots\"></div>\n"
      "<p class=\"figure-note note\" hidden></p>\n</figure>\n",
      number, title);
}

std::string figures_html(const std::vector<StudyRow>& rows, int& number) {
  if (rows.empty())
    return "<p class=\"note\">No row is finished yet: there is nothing to draw.</p>";
  // In this order: the script knows them by their numbers.
  std::string figures;
  for (const auto* title : {"Error against matrix size.", "Error against coverage.",
                            "Scale of the output against matrix size."}) {
    figures += figure(number++, title);
  }
  return "<p class=\"note no-script\">The figures are drawn by a script in this page, which does "
         "not run here. Every number that they would show stands in the table of rows.</p>\n"
         "<div id=\"controls\" class=\"controls\" hidden></div>\n" +
         figures;
}

json statistic(const Statistic& s) { return {s.mean, s.standard_error}; }

/// What the figures are drawn from. A number that is not finite becomes null.
std::string figure_data(const std::vector<StudyRow>& rows) {
  const auto optional = [](const std::optional<double>& x) { return x ? json(*x) : json(); };
  json out = {{"rows", json::array()}, {"groups", json::array()}};
  for (const StudyRow& row : rows) {
    json r = {
        {"distribution", row.distribution},
        {"shape", {row.m, row.k, row.n}},
        {"cover", row.cover},
        {"bits", row.bits},
        {"convention", row.convention},
        {"seed", row.seed},
        {"error",
         {row.error_float64.ground_truth, row.error_float64.expected, row.error_float64.simulated}},
        {"predicted",
         {optional(row.predicted_ground_truth), optional(row.predicted_expected), json(),
          optional(row.predicted_scale_y)}},
        {"scale_y", row.y.scale},
        {"published", json()}};
    if (row.published) {
      const PublishedRow& p = *row.published;
      r["published"] = {p.error.ground_truth, p.error.expected, p.error.simulated, p.y.scale};
    }
    out["rows"].push_back(std::move(r));
  }
  for (const SummaryRow& group : summarize(rows)) {
    out["groups"].push_back(
        {{"row", group.first_row},
         {"count", group.count},
         {"error",
          {statistic(group.error_float64.ground_truth), statistic(group.error_float64.expected),
           statistic(group.error_float64.simulated)}},
         {"scale_y", statistic(group.scale_y)}});
  }
  // In JSON, "<" stands in strings only; escaped, no string can end the script element.
  const std::string text = out.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string safe;
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string scripts(const std::vector<StudyRow>& rows) {
  if (rows.empty()) return "";
  return "<script type=\"application/json\" id=\"data\">" + figure_data(rows) + "</script>\n" +
         "<script>\n" + page::joined(embedded::chart_js()) + "\n</script>\n" + "<script>\n" +
         page::joined(embedded::page_js()) + "</script>";
}

}  // namespace

std::string to_page(const Run& run) {
  const std::vector<StudyRow> rows = run.table();
  const std::vector<ClaimVerdict> claims = judge_claims(rows);
  const bool of_schemes = page::has_schemes(rows);
  const std::string_view no_claim = no_claims(rows);
  const bool is_plain = no_claim.empty();
  int number = 1;
  std::string figures;
  FigureOf figure_of;
  if (of_schemes) {
    figures = page::scheme_figures(rows, number);
    figures += page::limit_figures(rows, number);
    const int first = number;
    figures += page::coverage_figures(rows, number);
    if (number > first) figure_of[3] = first;
  } else if (page::has_accumulators(rows)) {
    figures = page::accumulator_figures(rows, number);
  } else {
    figures = figures_html(rows, number);
    if (number > 1) figure_of = {{1, 1}, {2, 2}, {3, 2}, {4, 3}};
  }
  figures += page::ledger_figures(rows, number);
  std::vector<ClaimVerdict> answered = claims;
  if (!is_plain) {
    std::erase_if(answered,
                  [](const ClaimVerdict& claim) { return claim.verdict == Verdict::not_tested; });
  }
  return page::fill(page::joined(embedded::page_html()),
                    {{"version", escape(run.version)},
                     {"title", escape(heading(run.spec)) + " – zeropoint"},
                     {"css", page::joined(embedded::page_css())},
                     {"heading", escape(heading(run.spec))},
                     {"lede", escape(lede(run.spec))},
                     {"banner", banner(run)},
                     {"facts", facts(run)},
                     {"tally", is_plain ? tally(claims) : std::string(no_claim)},
                     {"claims", answered.empty() ? "" : claims_html(answered, rows, figure_of)},
                     {"figures", std::move(figures)},
                     {"tables", of_schemes ? page::scheme_tables(rows) : page::tables(rows)},
                     {"settings", page::settings(run.spec, rows)},
                     {"scripts", is_plain ? scripts(rows) : ""}});
}

}  // namespace zeropoint
