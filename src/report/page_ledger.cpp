// What a page shows of ledgers: squared errors, cut into what they come from.
#include "report/page_ledger.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/study.hpp"

#include "report/figure.hpp"
#include "report/plot.hpp"

namespace zeropoint::page {
namespace {

// Rows of one figure: those of the first seed.
struct Group {
  std::string title;
  std::vector<const StudyRow*> rows;
  std::uint64_t seed;
};

std::vector<Group> groups_of(const std::vector<StudyRow>& rows) {
  std::vector<Group> groups;
  for (const auto& row : rows) {
    if (!row.ledger || tried_cover(row)) continue;
    const auto title = data_and_size(row);
    auto found = std::ranges::find(groups, title, &Group::title);
    if (found == groups.end()) found = groups.insert(found, {title, {}, row.seed});
    if (row.seed == found->seed) found->rows.push_back(&row);
  }
  return groups;
}

// Percent of the whole; bars of nothing are left empty.
std::vector<double> shares(std::vector<double> parts, double whole) {
  for (double& part : parts) part = whole > 0 ? 100 * part / whole : 0;
  return parts;
}

// Many bars are there for those who ask.
std::string folded(std::size_t bars, std::string drawing) {
  constexpr std::size_t kAtOnce = 30;
  if (bars <= kAtOnce) return drawing;
  return fmt::format("<details><summary>{} bars</summary>\n{}</details>\n", bars, drawing);
}

std::string product_figure(const Group& group, int number) {
  std::vector<std::string> parts(kProductPartNames.begin(), kProductPartNames.end());
  parts.emplace_back("cross terms");
  std::vector<plot::Bar> bars;
  for (const auto* row : group.rows) {
    const auto& ledger = row->ledger->product;
    std::vector<double> values;
    for (std::size_t i = 0; i < kProductParts; ++i) values.push_back(ledger.inner[i][i]);
    values.push_back(ledger.cross());
    bars.push_back({row_name(*row), shares(std::move(values), ledger.error)});
  }
  return figure(number, "Ledger of the product’s squared error: " + group.title,
                folded(bars.size(), plot::stacked_bars("Shares of the product's squared error",
                                                       "percent of it", parts, bars)));
}

std::string operand_figure(const Group& group, int number) {
  const std::vector<std::string> parts = {"rounding", "clipping", "stored scale",
                                          "integer zero point"};
  std::vector<plot::Bar> bars;
  const auto add = [&](const std::string& name, const TensorLedger& ledger) {
    if (std::ranges::find(bars, name, &plot::Bar::name) != bars.end()) return;
    bars.push_back(
        {name, shares({ledger.rounding, ledger.clipping, ledger.stored_scale, ledger.zero_point},
                      ledger.error)});
  };
  for (const auto* row : group.rows) {
    if (row->scheme.empty()) {
      add("A, " + row_name(*row), row->ledger->a);
      add("B, " + row_name(*row), row->ledger->b);
      continue;
    }
    const auto pair = parse_scheme_pair(row->scheme);
    add("A " + short_form(pair.a), row->ledger->a);
    if (!(pair.a == pair.b)) add("B " + short_form(pair.b), row->ledger->b);
  }
  return figure(number, "Ledger of the operands’ squared errors: " + group.title,
                folded(bars.size(), plot::stacked_bars("Shares of the operands' squared errors",
                                                       "percent of it", parts, bars)));
}

}  // namespace

std::string ledger_figures(const std::vector<StudyRow>& rows, int& number) {
  std::string out;
  for (const auto& group : groups_of(rows)) {
    out += product_figure(group, number++);
    out += operand_figure(group, number++);
  }
  return out;
}

}  // namespace zeropoint::page
