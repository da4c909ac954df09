// What a page shows of a study of schemes: a table, and each scheme's error against its bits.
#include "report/page_schemes.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/study.hpp"
#include "zeropoint/theory/limits.hpp"

#include "report/figure.hpp"
#include "report/html.hpp"
#include "report/plot.hpp"

namespace zeropoint::page {
namespace {

using html::Value;

double bits_of(const StudyRow& row) { return (row.effective_bits_a + row.effective_bits_b) / 2; }
double decibels(double error) { return -20 * std::log10(error); }

// With the least that the product of any two codes of that rate leaves of normal data.
std::vector<plot::Series> with_bound(const plot::Series& points) {
  plot::Series bound{"no two quantizers are better (normal data, as many bits for A as for B)",
                     plot::Mark::line,
                     7,
                     {}};
  double most = 1;
  for (const auto& point : points.points) most = std::max(most, point.x);
  for (double bits = 0.25; bits <= most; bits += 0.25) {
    bound.points.push_back({bits, decibels(product_bound(bits))});
  }
  return {std::move(bound), points};
}

}  // namespace

bool has_schemes(const std::vector<StudyRow>& rows) {
  return !rows.empty() && !rows.front().scheme.empty();
}

std::string scheme_figures(const std::vector<StudyRow>& rows, int& number) {
  std::map<std::string, plot::Series> plots;
  std::set<std::string> of_normal;
  std::vector<std::string> order;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    const double error = group.error.ground_truth.mean;
    if (!(error > 0) || !std::isfinite(error)) continue;  // no distance to draw
    if (tried_cover(row)) continue;                       // has figures of its own
    const auto title = data_and_size(row);
    if (!plots.contains(title)) {
      order.push_back(title);
      if (row.distribution == "normal") of_normal.insert(title);
      plots[title] = {"", plot::Mark::labelled, 0, {}};
    }
    plots[title].points.push_back({bits_of(row), decibels(error), row_name(row)});
  }
  std::string out;
  for (const auto& title : order) {
    out += figure(number++, "What each scheme keeps of the product: " + title,
                  plot::chart("Signal to noise of the product against bits a value",
                              {"bits a value, scales and zero points included (mean of A and B)"},
                              {"signal to noise of A·B, dB"},
                              of_normal.contains(title) ? with_bound(plots[title])
                                                        : std::vector{plots[title]}));
  }
  return out;
}

std::string scheme_tables(const std::vector<StudyRow>& rows) {
  html::Table table{"table-rows", "", "row-", {}, rows.size()};
  const auto text = [&](std::string head, std::string title, auto get) {
    table.columns.push_back({"", std::move(head), std::move(title), 0, -1,
                             [&rows, get](std::size_t i) { return Value(get(rows[i])); }});
  };
  const auto real = [&](std::string group, std::string head, std::string title, int digits,
                        int decimals, auto get) {
    table.columns.push_back({std::move(group), std::move(head), std::move(title), digits, decimals,
                             [&rows, get](std::size_t i) { return Value(get(rows[i])); }});
  };
  table.columns.push_back({"", "row", "number of the row", 0, -1,
                           [](std::size_t i) { return Value(fmt::format("{}", i + 1)); }});
  text("data", "distribution of the entries", [](const StudyRow& r) { return r.distribution; });
  text("size", "n of n × n matrices, or m × k × n", size_of);
  text("schemes", "scheme of A x scheme of B, in full", [](const StudyRow& r) { return r.scheme; });
  if (std::ranges::any_of(rows, [](const StudyRow& r) { return !r.accumulator.empty(); })) {
    text("accumulator", "what sums of products are held in",
         [](const StudyRow& r) { return r.accumulator; });
  }
  text("seed", "seed of the generator",
       [](const StudyRow& r) { return fmt::format("{}", r.seed); });
  real("bits a value", "A", "with scales and zero points", 0, 3,
       [](const StudyRow& r) { return r.effective_bits_a; });
  real("bits a value", "B", "with scales and zero points", 0, 3,
       [](const StudyRow& r) { return r.effective_bits_b; });
  real("error", "measured", "‖Y − A′B′‖ / ‖Y‖, summed in double", 4, -1,
       [](const StudyRow& r) { return r.error_float64.ground_truth; });
  const auto maybe = [&](std::string group, std::string head, std::string title, auto get) {
    table.columns.push_back(
        {std::move(group), std::move(head), std::move(title), 4, -1, [&rows, get](std::size_t i) {
           const std::optional<double> value = get(rows[i]);
           return value ? Value(*value) : Value();
         }});
  };
  maybe("error", "predicted", "from the settings alone; for given matrices from their moments",
        [](const StudyRow& r) { return r.predicted_ground_truth; });
  maybe("95 % interval", "from", "97.5 % of such measurements lie above",
        [](const StudyRow& r) { return r.predicted_low; });
  maybe("95 % interval", "to", "97.5 % of such measurements lie below",
        [](const StudyRow& r) { return r.predicted_high; });
  text("inside", "whether the measured error is in the interval", inside_word);
  real("", "dB", "signal to noise", 0, 2,
       [](const StudyRow& r) { return decibels(r.error_float64.ground_truth); });
  const auto gap = [&](std::string head, std::string title, std::optional<Gap> RowGap::*of) {
    table.columns.push_back({"above the least error, dB", std::move(head), std::move(title), 0, 2,
                             [&rows, of](std::size_t i) {
                               const auto& found = rows[i].gap.*of;
                               return found ? Value(found->db) : Value();
                             }});
  };
  gap("A", "of any quantizer of as many bits, for such entries", &RowGap::a);
  gap("B", "of any quantizer of as many bits, for such entries", &RowGap::b);
  gap("A·B", "of any two quantizers of as many bits; normal entries", &RowGap::product);
  table.columns.push_back(
      {"bits lost", "A·B", "bits a value that the bound needs less", 0, 2, [&rows](std::size_t i) {
         const auto& found = rows[i].gap.product;
         return found ? Value(found->bits) : Value();
       }});
  real("clipped, %", "A", "beyond the grid's ends", 0, 2,
       [](const StudyRow& r) { return 100 * r.clipped_a; });
  real("clipped, %", "B", "beyond the grid's ends", 0, 2,
       [](const StudyRow& r) { return 100 * r.clipped_b; });
  table.caption = intervals_caption(rows);
  return html::render(table);
}

}  // namespace zeropoint::page
