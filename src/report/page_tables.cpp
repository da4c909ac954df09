#include "report/page_tables.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zeropoint/core/error.hpp"

#include "report/figure.hpp"
#include "report/html.hpp"

namespace zeropoint::page {
namespace {

using html::Column;
using html::escape;
using html::Table;
using html::Value;

// Headings that several tables share.
constexpr const char* kGroundTruth = "ground truth";
constexpr const char* kExpected = "expected";
constexpr const char* kSimulated = "simulated";
constexpr const char* kScaleA = "<i>s</i><sub>A</sub>";
constexpr const char* kScaleB = "<i>s</i><sub>B</sub>";
constexpr const char* kScaleY = "<i>s</i><sub>Y</sub>";
constexpr const char* kZeroA = "<i>z</i><sub>A</sub>";
constexpr const char* kZeroB = "<i>z</i><sub>B</sub>";
constexpr const char* kZeroY = "<i>z</i><sub>Y</sub>";

Value optional(const std::optional<double>& value) { return value ? Value(*value) : Value(); }

Value ratio(const std::optional<double>& predicted, double measured) {
  return predicted && measured != 0 ? Value(*predicted / measured) : Value();
}

/// The columns that say which row it is. Coordinates that all rows share go into `shared`
/// (if given) and not into columns.
std::vector<Column> coordinates(const std::vector<StudyRow>& rows,
                                const std::vector<std::size_t>& index, bool seeds,
                                std::vector<std::string>* shared) {
  std::vector<Column> columns;
  columns.push_back({"", "row", "number of the row", 0, -1, [&index](std::size_t i) {
                       const std::string number = fmt::format("{}", index[i] + 1);
                       return Value(number);
                     }});
  const auto text = [&](std::string head, std::string title, auto get) {
    columns.push_back({"", std::move(head), std::move(title), 0, -1,
                       [&rows, &index, get](std::size_t i) { return Value(get(rows[index[i]])); }});
  };
  const auto unless_shared = [&](std::string head, std::string title, auto get) {
    std::set<std::string> values;
    for (const std::size_t i : index) values.insert(get(rows[i]));
    if (shared && values.size() == 1) {
      shared->push_back(head + " " + escape(*values.begin()));
    } else {
      text(std::move(head), std::move(title), get);
    }
  };
  text("data", "distribution of the entries", [](const StudyRow& r) { return r.distribution; });
  const bool square =
      std::all_of(index.begin(), index.end(), [&](std::size_t i) { return rows[i].square(); });
  columns.push_back({"", "size", "n of n × n matrices, or m × k × n", 0, -1,
                     [&rows, &index, square](std::size_t i) {
                       const StudyRow& row = rows[index[i]];
                       return square ? Value(static_cast<double>(row.n)) : Value(size_of(row));
                     }});
  text("cover", "coverage", [](const StudyRow& r) { return fmt::format("{}", r.cover); });
  unless_shared("bits", "bits per code",
                [](const StudyRow& r) { return fmt::format("{}", r.bits); });
  unless_shared("convention", "convention of quantization",
                [](const StudyRow& r) { return r.convention; });
  if (std::ranges::any_of(rows, [](const StudyRow& r) { return !r.accumulator.empty(); })) {
    unless_shared("accumulator", "what sums of products are held in",
                  [](const StudyRow& r) { return r.accumulator; });
  }
  if (seeds) {
    unless_shared("seed", "seed of the generator",
                  [](const StudyRow& r) { return fmt::format("{}", r.seed); });
  }
  unless_shared("generator", "generator of the entries",
                [](const StudyRow& r) { return r.generator; });
  return columns;
}

std::vector<std::size_t> all_of(const std::vector<StudyRow>& rows) {
  std::vector<std::size_t> index(rows.size());
  for (std::size_t i = 0; i < index.size(); ++i) index[i] = i;
  return index;
}

std::string rows_table(const std::vector<StudyRow>& rows) {
  const std::vector<std::size_t> index = all_of(rows);
  std::vector<std::string> shared;
  Table table{"table-rows", "", "row-", coordinates(rows, index, true, &shared), rows.size()};
  const auto add = [&](std::string group, std::string head, std::string title, int digits,
                       int decimals, auto get) {
    table.columns.push_back({std::move(group), std::move(head), std::move(title), digits, decimals,
                             [&rows, get](std::size_t i) { return Value(get(rows[i])); }});
  };
  const auto real = [](float x) { return static_cast<double>(x); };
  const std::string error = "error, norms in double";
  add(error, kGroundTruth, "‖Y − deq(Y′q)‖ / ‖Y‖, summed in double", 4, -1,
      [](const StudyRow& r) { return r.error_float64.ground_truth; });
  add(error, kExpected, "‖deq(Yq) − deq(Y′q)‖ / ‖deq(Yq)‖, summed in double", 4, -1,
      [](const StudyRow& r) { return r.error_float64.expected; });
  add(error, kSimulated, "‖Yq − Y′q‖ / ‖Yq‖ on codes, summed in double", 4, -1,
      [](const StudyRow& r) { return r.error_float64.simulated; });
  add("predicted", kGroundTruth, "predicted ground-truth error", 4, -1,
      [](const StudyRow& r) { return optional(r.predicted_ground_truth); });
  add("predicted", "from", "97.5 % of ground-truth errors lie above", 4, -1,
      [](const StudyRow& r) { return optional(r.predicted_low); });
  add("predicted", "to", "97.5 % of ground-truth errors lie below", 4, -1,
      [](const StudyRow& r) { return optional(r.predicted_high); });
  table.columns.push_back({"predicted", "inside", "whether the ground-truth error is in between", 0,
                           -1, [&rows](std::size_t i) { return Value(inside_word(rows[i])); }});
  add("predicted", kExpected, "predicted expected error", 4, -1,
      [](const StudyRow& r) { return optional(r.predicted_expected); });
  add("predicted / measured", kGroundTruth, "predicted over measured ground-truth error", 4, 4,
      [](const StudyRow& r) {
        return ratio(r.predicted_ground_truth, r.error_float64.ground_truth);
      });
  add("predicted / measured", kExpected, "predicted over measured expected error", 4, 4,
      [](const StudyRow& r) { return ratio(r.predicted_expected, r.error_float64.expected); });
  const std::string norm = "error, the convention’s norms";
  add(norm, kGroundTruth, "ground-truth error, summed as the convention says", 4, -1,
      [](const StudyRow& r) { return r.error.ground_truth; });
  add(norm, kExpected, "expected error, summed as the convention says", 4, -1,
      [](const StudyRow& r) { return r.error.expected; });
  add(norm, kSimulated, "simulated error, summed as the convention says", 4, -1,
      [](const StudyRow& r) { return r.error.simulated; });
  add("scale", kScaleA, "scale of A", 5, -1, [real](const StudyRow& r) { return real(r.a.scale); });
  add("scale", kScaleB, "scale of B", 5, -1, [real](const StudyRow& r) { return real(r.b.scale); });
  add("scale", kScaleY, "scale of Y", 5, -1, [real](const StudyRow& r) { return real(r.y.scale); });
  const auto whole = [](std::int32_t x) { return static_cast<double>(x); };
  add("zero point", kZeroA, "zero point of A", 0, -1,
      [whole](const StudyRow& r) { return whole(r.a.zero_point); });
  add("zero point", kZeroB, "zero point of B", 0, -1,
      [whole](const StudyRow& r) { return whole(r.b.zero_point); });
  add("zero point", kZeroY, "zero point of Y", 0, -1,
      [whole](const StudyRow& r) { return whole(r.y.zero_point); });
  add("clipped, %", "<i>A</i>", "entries of A outside the range, in percent", 2, 3,
      [](const StudyRow& r) { return 100 * r.clipped_a; });
  add("clipped, %", "<i>B</i>", "entries of B outside the range, in percent", 2, 3,
      [](const StudyRow& r) { return 100 * r.clipped_b; });
  add("clipped, %", "<i>Y</i>", "entries of Y outside the range, in percent", 2, 3,
      [](const StudyRow& r) { return 100 * r.clipped_y; });
  add("", "excess kurtosis", "excess kurtosis of the true product’s entries; 0 if normal", 2, 3,
      [](const StudyRow& r) { return r.excess_kurtosis_y; });
  add("seconds", "float32", "seconds for the float32 product", 2, 4,
      [](const StudyRow& r) { return r.seconds_float_product; });
  add("seconds", "quantized", "seconds to quantize A and B and multiply them", 2, 4,
      [](const StudyRow& r) { return r.seconds_quantized_product; });
  add("seconds", "row", "seconds for the whole row", 2, 4,
      [](const StudyRow& r) { return r.seconds; });
  table.caption = "Every row.";
  if (!shared.empty())
    table.caption += fmt::format(" In all of them: {}.", fmt::join(shared, ", "));
  table.caption += " <span class=\"script-only\">A click on a heading sorts.</span>";
  return html::render(table);
}

std::string means_table(const std::vector<StudyRow>& rows) {
  const std::vector<SummaryRow> groups = summarize(rows);
  if (std::all_of(groups.begin(), groups.end(), [](const auto& g) { return g.count < 2; })) {
    return "";
  }
  std::vector<std::size_t> index;
  for (const SummaryRow& group : groups) index.push_back(group.first_row);
  std::vector<std::string> shared;
  Table table{"table-means", "", "", coordinates(rows, index, false, &shared), groups.size()};
  table.columns.front().head = "first row";
  table.columns.front().title = "number of the first of the rows";
  table.columns.push_back({"", "seeds", "number of seeds", 0, -1,
                           [&](std::size_t i) { return Value(1.0 * groups[i].count); }});
  const auto add = [&](std::string group, Statistic (*statistic)(const SummaryRow&)) {
    table.columns.push_back(
        {group, "mean", "mean of " + group, 4, -1,
         [&, statistic](std::size_t i) { return Value(statistic(groups[i]).mean); }});
    table.columns.push_back(
        {group, "± s.e.", "standard error of the mean", 2, -1, [&, statistic](std::size_t i) {
           return groups[i].count > 1 ? Value(statistic(groups[i]).standard_error) : Value();
         }});
  };
  add("ground-truth error", [](const SummaryRow& g) { return g.error_float64.ground_truth; });
  add("expected error", [](const SummaryRow& g) { return g.error_float64.expected; });
  add("simulated error", [](const SummaryRow& g) { return g.error_float64.simulated; });
  add("scale of <i>Y</i>", [](const SummaryRow& g) { return g.scale_y; });
  for (Column& column : table.columns) {
    if (column.title == "mean of scale of <i>Y</i>") column.title = "mean of the scale of Y";
  }
  table.caption = "Means over seeds, with standard errors.";
  return html::render(table);
}

std::string published_table(const std::vector<StudyRow>& rows) {
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].published) index.push_back(i);
  }
  if (index.empty()) return "";
  std::vector<std::string> shared;
  Table table{"table-published", "", "", coordinates(rows, index, true, &shared), index.size()};
  const auto add = [&](std::string group, int digits, auto here, auto there) {
    table.columns.push_back({group, "here", "in this run", digits, -1, [&, here](std::size_t i) {
                               return Value(1.0 * here(rows[index[i]]));
                             }});
    table.columns.push_back(
        {group, "published", "published by the report’s author", digits, -1,
         [&, there](std::size_t i) { return Value(1.0 * there(*rows[index[i]].published)); }});
    table.columns.push_back({group, "difference", "here less published", digits ? 2 : 0, -1,
                             [&, here, there](std::size_t i) {
                               const StudyRow& row = rows[index[i]];
                               return Value(1.0 * here(row) - 1.0 * there(*row.published));
                             }});
  };
  const auto error = [&](std::string group, double StudyErrors::*e) {
    add(
        std::move(group), 5, [e](const StudyRow& r) { return r.error.*e; },
        [e](const PublishedRow& p) { return p.error.*e; });
  };
  error("ground-truth error", &StudyErrors::ground_truth);
  error("expected error", &StudyErrors::expected);
  error("simulated error", &StudyErrors::simulated);
  const auto scale = [&](const char* group, QuantParams StudyRow::*here,
                         QuantParams PublishedRow::*there) {
    add(
        group, 5, [here](const StudyRow& r) { return (r.*here).scale; },
        [there](const PublishedRow& p) { return (p.*there).scale; });
  };
  scale(kScaleA, &StudyRow::a, &PublishedRow::a);
  scale(kScaleB, &StudyRow::b, &PublishedRow::b);
  scale(kScaleY, &StudyRow::y, &PublishedRow::y);
  const auto zero = [&](const char* group, QuantParams StudyRow::*here,
                        QuantParams PublishedRow::*there) {
    add(
        group, 0, [here](const StudyRow& r) { return (r.*here).zero_point; },
        [there](const PublishedRow& p) { return (p.*there).zero_point; });
  };
  zero(kZeroA, &StudyRow::a, &PublishedRow::a);
  zero(kZeroB, &StudyRow::b, &PublishedRow::b);
  zero(kZeroY, &StudyRow::y, &PublishedRow::y);
  table.caption =
      "Beside the published figures: the rows that the report’s author published, with norms "
      "summed as the convention says.";
  return html::render(table);
}

/// "key=value:key=value" in order.
std::vector<std::pair<std::string, std::string>> split_axes(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> axes;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(':', at), text.size());
    const std::string part = text.substr(at, end - at);
    const std::size_t equals = part.find('=');
    if (equals == part.npos) {
      axes.emplace_back("preset", part);
    } else {
      axes.emplace_back(part.substr(0, equals), part.substr(equals + 1));
    }
    at = end + 1;
  }
  return axes;
}

std::string conventions_table(const std::vector<std::string>& conventions) {
  std::vector<std::string> keys;
  std::vector<std::map<std::string, std::string>> values;
  for (const std::string& convention : conventions) {
    std::string full;
    try {
      full = full_form(parse_convention(convention));
    } catch (const Error&) {
      full = convention;  // of another version, perhaps: shown as it was stored
    }
    std::map<std::string, std::string>& mine = values.emplace_back();
    for (const auto& [key, value] : split_axes(full)) {
      mine[key] = value;
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  Table table{"table-conventions", "Every axis of the convention.", "", {}, keys.size()};
  if (conventions.size() > 1) table.caption = "Every axis of each convention.";
  table.columns.push_back(
      {"", "axis", "axis", 0, -1, [&](std::size_t i) { return Value(keys[i]); }});
  for (std::size_t c = 0; c < conventions.size(); ++c) {
    table.columns.push_back(
        {"", escape(conventions[c]), "convention", 0, -1, [&, c](std::size_t i) {
           const auto found = values[c].find(keys[i]);
           return found == values[c].end() ? Value() : Value(found->second);
         }});
  }
  table.columns.push_back({"", "what it decides", "what it decides", 0, -1, [&](std::size_t i) {
                             for (const ConventionAxis& axis : convention_axes()) {
                               if (axis.key == keys[i]) return Value(std::string(axis.title));
                             }
                             return Value(std::string());
                           }});
  return html::render(table);
}

}  // namespace

std::string describe(const StudyRow& row) {
  return fmt::format("{}, {}, coverage {}", row.distribution, size_of(row), row.cover);
}

std::string tables(const std::vector<StudyRow>& rows) {
  if (rows.empty()) return "<p class=\"note\">No row is finished yet.</p>\n";
  return rows_table(rows) + means_table(rows) + published_table(rows);
}

std::string settings(const StudySpec& spec, const std::vector<StudyRow>& rows) {
  std::string out = "<dl class=\"settings\">\n";
  const auto item = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escape(value));
  };
  const auto joined = [](const auto& values) { return fmt::format("{}", fmt::join(values, ", ")); };
  if (spec.from_files()) {
    item("A", spec.file_a + (spec.digest_a.empty() ? "" : " (digest " + spec.digest_a + ")"));
    item("B", spec.file_b + (spec.digest_b.empty() ? "" : " (digest " + spec.digest_b + ")"));
    std::set<std::string> shapes;
    for (const StudyRow& row : rows) {
      shapes.insert(fmt::format("{} × {} by {} × {}", row.m, row.k, row.k, row.n));
    }
    item("shapes", joined(shapes));
  } else {
    item("distributions", joined(spec.distributions));
    item("sizes", joined(spec.sizes));
  }
  if (spec.schemes.empty()) {
    item("coverage", joined(spec.covers));
    item("bits", joined(spec.bits));
    item("conventions", joined(spec.conventions));
  } else {
    item("schemes", joined(spec.schemes));
  }
  item("accumulators", joined(spec.accumulators));
  if (!spec.from_files()) {
    item("first seed", fmt::format("{}", spec.seed));
    item("seeds", fmt::format("{}", spec.repeat));
    item("generator", spec.generator);
  }
  out += "</dl>\n";
  if (!spec.conventions.empty() && spec.schemes.empty()) out += conventions_table(spec.conventions);
  return out;
}

}  // namespace zeropoint::page
