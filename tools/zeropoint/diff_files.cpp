#include "diff_files.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/words.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kWorst = 10;

std::string place(const std::vector<std::size_t>& at) {
  return fmt::format("[{}]", fmt::join(at, ", "));
}

double bits_of(const Weight& weight) {
  return weight.count == 0
             ? 0
             : 8 * static_cast<double>(weight.bytes) / static_cast<double>(weight.count);
}

// Both if they are two.
std::string both(const std::string& a, const std::string& b) { return a == b ? a : a + " -> " + b; }

std::string decibels(const std::optional<double>& db) {
  return db ? fmt::format("{:.2f}", *db) : "-";
}

double badness(const WeightDifference& row) {
  constexpr double kWorse = std::numeric_limits<double>::infinity();
  if (!row.problem.empty() || row.non_finite_differ > 0) return kWorse;
  return row.relative_error().value_or(std::numeric_limits<double>::max());
}

std::vector<const WeightDifference*> sorted(const FileComparison& comparison, DiffOrder order) {
  std::vector<const WeightDifference*> rows;
  for (const auto& row : comparison.pairs) rows.push_back(&row);
  if (order == DiffOrder::name) {
    std::ranges::stable_sort(
        rows, {}, [](const auto* row) -> const auto& { return row->pair.a->name; });
  } else if (order == DiffOrder::error) {
    std::ranges::stable_sort(rows, std::greater<>(), [](const auto* row) { return badness(*row); });
  }
  return rows;
}

// What does not fit a column.
std::string remarks(const WeightDifference& row) {
  std::string text;
  const auto say = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  if (!row.largest_at.empty() || row.largest > 0) {
    say(fmt::format("{:.3g} at {}: {:.6g} -> {:.6g}", row.largest, place(row.largest_at),
                    row.largest_a, row.largest_b));
  }
  if (row.codes_differ && *row.codes_differ > 0) {
    say(fmt::format("{} of {} codes differ{}", *row.codes_differ, row.pair.a->count,
                    row.largest_step ? fmt::format(", by {} at most", *row.largest_step) : ""));
  }
  if (row.non_finite_differ > 0) {
    say(fmt::format("{} not finite on one side alone, the first at {}", row.non_finite_differ,
                    place(row.non_finite_differ_at)));
  } else if (row.non_finite_a > 0) {
    say(fmt::format("{} not finite on both sides", row.non_finite_a));
  }
  if (row.pair.paired_by != PairedBy::name) {
    say(fmt::format("with '{}' by {}", printable(row.pair.b->name), to_string(row.pair.paired_by)));
  }
  return text;
}

using Row = std::vector<std::string>;

std::string cell_rows(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    // The last column is as long as it is.
    for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += i < left || i + 1 == row.size() ? fmt::format("{:<{}}", row[i], widths[i])
                                              : fmt::format("{:>{}}", row[i], widths[i]);
    }
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  return text;
}

std::string pairs_text(const FileComparison& comparison, DiffOrder order, std::size_t limit) {
  const auto chosen = sorted(comparison, order);
  if (chosen.empty()) return "no tensor is in both\n";
  std::vector<Row> rows = {{"tensor", "shape", "type", "bits", "error", "dB", "cosine", "largest"}};
  for (const auto* row : chosen) {
    if (rows.size() > limit) break;
    const Weight &a = *row->pair.a, &b = *row->pair.b;
    const std::string bits =
        both(fmt::format("{:.4g}", bits_of(a)), fmt::format("{:.4g}", bits_of(b)));
    Row cells = {printable(a.name), both(place(a.shape), place(b.shape)), both(a.type, b.type),
                 bits};
    if (!row->problem.empty()) {
      cells.insert(cells.end(), {"-", "-", "-", row->problem});
    } else if (row->identical) {
      cells.insert(cells.end(), {"0", "-", "-", "identical"});
      if (const auto more = remarks(*row); !more.empty()) cells.back() += "; " + more;
    } else {
      const auto error = row->relative_error();
      const auto cosine = row->cosine();
      cells.insert(cells.end(),
                   {error ? fmt::format("{:.4g}", *error) : "-", decibels(row->sqnr_db()),
                    cosine ? fmt::format("{:.6f}", *cosine) : "-", remarks(*row)});
    }
    rows.push_back(std::move(cells));
  }
  std::string text = cell_rows(rows, 3);
  const std::size_t shown = rows.size() - 1;
  if (shown < chosen.size()) text += fmt::format("… and {} more\n", chosen.size() - shown);
  return text;
}

std::string only_text(const std::vector<const Weight*>& only, char letter, std::size_t limit) {
  std::string text;
  for (std::size_t i = 0; i < std::min(limit, only.size()); ++i) {
    text += fmt::format("only in {}  {}  {}  {}\n", letter, printable(only[i]->name),
                        place(only[i]->shape), only[i]->type);
  }
  if (only.size() > limit) {
    text += fmt::format("only in {}  … and {} more\n", letter, only.size() - limit);
  }
  return text;
}

std::string lint_text(const std::vector<LintedWeight>& rows, char letter, std::size_t limit) {
  std::string text;
  std::size_t found = 0;
  for (const auto& [weight, lint, problem] : rows) {
    std::vector<std::string> what;
    const auto count = [&](std::size_t n, std::string_view of, bool of_tiles = true) {
      if (n == 0) return;
      what.push_back(of_tiles ? fmt::format("{} of {} {}", n, lint.tiles, of)
                              : fmt::format("{} {}", n, of));
    };
    count(lint.dead_scales, "scales dead");
    count(lint.outside_zero_points, "zero points out of range");
    count(lint.zero_blocks, "tiles all zero");
    count(lint.non_finite, "values not finite", false);
    if (!problem.empty()) what.push_back(problem);
    if (what.empty() || ++found > limit) continue;
    text += fmt::format("{}  {}  {}: {}\n", letter, printable(weight->name), weight->type,
                        fmt::join(what, ", "));
  }
  if (found > limit) text += fmt::format("{}  … and {} more\n", letter, found - limit);
  return text;
}

std::uint64_t bytes_of(const WeightFile& file) {
  std::uint64_t bytes = 0;
  for (const auto& weight : file.weights()) bytes += weight.bytes;
  return bytes;
}

std::string file_text(const WeightFile& file, char letter) {
  return fmt::format("{}  {}: {}, {} tensors, {}\n", letter, printable(file.file().path()),
                     file.file().container(), file.weights().size(),
                     size_text(static_cast<double>(bytes_of(file))));
}

std::string totals_text(const FileComparison& comparison) {
  std::string text = fmt::format("{} tensors compared, {} identical, {} values",
                                 comparison.compared, comparison.identical, comparison.values);
  const auto error = comparison.relative_error();
  if (comparison.compared > 0 && error && *error > 0) {
    text += fmt::format(", relative error {:.4g} ({:.2f} dB)", *error, -20 * std::log10(*error));
  } else if (comparison.compared > 0 && error) {
    text += ", no finite value differs";
  }
  const std::size_t failed = comparison.pairs.size() - comparison.compared;
  if (failed > 0) text += fmt::format("; {} not compared", failed);
  return text + "\n";
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json json_of(const WeightDifference& row) {
  const Weight &a = *row.pair.a, &b = *row.pair.b;
  Json json = {
      {"a", a.name},          {"b", b.name},          {"paired_by", to_string(row.pair.paired_by)},
      {"shape_a", a.shape},   {"shape_b", b.shape},   {"type_a", a.type},
      {"type_b", b.type},     {"bytes_a", a.bytes},   {"bytes_b", b.bytes},
      {"bits_a", bits_of(a)}, {"bits_b", bits_of(b)}, {"problem", text_or_null(row.problem)}};
  const bool has = row.problem.empty();
  const auto known = [has](Json value) { return has ? std::move(value) : Json(); };
  const bool differs = has && row.largest > 0;
  json["identical"] = known(row.identical);
  json["values"] = known(row.values);
  json["values_differ"] = known(row.values_differ);
  json["relative_error"] = known(or_null(row.relative_error()));
  json["sqnr_db"] = known(or_null(row.sqnr_db()));
  json["cosine"] = known(or_null(row.cosine()));
  json["largest_difference"] = known(row.largest);
  json["largest_at"] = differs ? Json(row.largest_at) : Json();
  json["largest_a"] = differs ? Json(row.largest_a) : Json();
  json["largest_b"] = differs ? Json(row.largest_b) : Json();
  json["non_finite_a"] = known(row.non_finite_a);
  json["non_finite_b"] = known(row.non_finite_b);
  json["non_finite_differ"] = known(row.non_finite_differ);
  json["non_finite_differ_at"] =
      has && row.non_finite_differ > 0 ? Json(row.non_finite_differ_at) : Json();
  json["codes_differ"] = known(or_null(row.codes_differ));
  json["largest_step_of_codes"] = known(or_null(row.largest_step));
  return json;
}

Json json_of(const std::vector<const Weight*>& only) {
  Json rows = Json::array();
  for (const Weight* weight : only) {
    rows.push_back({{"name", weight->name},
                    {"shape", weight->shape},
                    {"type", weight->type},
                    {"bytes", weight->bytes},
                    {"bits", bits_of(*weight)}});
  }
  return rows;
}

Json json_of(const std::vector<LintedWeight>& linted) {
  Json rows = Json::array();
  for (const auto& [weight, lint, problem] : linted) {
    rows.push_back({{"name", weight->name},
                    {"type", weight->type},
                    {"tiles", lint.tiles},
                    {"dead_scales", lint.dead_scales},
                    {"zero_tiles", lint.zero_blocks},
                    {"zero_points_out_of_range", lint.outside_zero_points},
                    {"non_finite", lint.non_finite},
                    {"problem", text_or_null(problem)}});
  }
  return rows;
}

Json json_of(const WeightFile& file) {
  return {{"file", file.file().path()},
          {"container", file.file().container()},
          {"tensors", file.weights().size()},
          {"bytes", bytes_of(file)}};
}

}  // namespace

std::string to_text(const FileComparison& comparison, const WeightFile& a, const WeightFile& b,
                    DiffOrder order, std::size_t limit) {
  std::string text = file_text(a, 'A') + file_text(b, 'B') + "\n";
  text += pairs_text(comparison, order, limit);
  text += only_text(comparison.only_a, 'A', limit) + only_text(comparison.only_b, 'B', limit);
  const std::string lint =
      lint_text(comparison.lint_a, 'A', limit) + lint_text(comparison.lint_b, 'B', limit);
  if (!lint.empty()) text += "\n" + lint;
  return text + "\n" + totals_text(comparison);
}

std::string to_json(const FileComparison& comparison, const WeightFile& a, const WeightFile& b) {
  Json pairs = Json::array(), worst = Json::array();
  for (const auto& row : comparison.pairs) pairs.push_back(json_of(row));
  for (const auto* row : comparison.worst(kWorst)) {
    worst.push_back({{"a", row->pair.a->name},
                     {"b", row->pair.b->name},
                     {"relative_error", or_null(row->relative_error())}});
  }
  const auto error = comparison.relative_error();
  const bool has_error = error && *error > 0;
  const Json json = {{"a", json_of(a)},
                     {"b", json_of(b)},
                     {"tensors", pairs},
                     {"only_a", json_of(comparison.only_a)},
                     {"only_b", json_of(comparison.only_b)},
                     {"lint_a", json_of(comparison.lint_a)},
                     {"lint_b", json_of(comparison.lint_b)},
                     {"totals",
                      {{"compared", comparison.compared},
                       {"identical", comparison.identical},
                       {"values", comparison.values},
                       {"relative_error", or_null(error)},
                       {"sqnr_db", has_error ? Json(-20 * std::log10(*error)) : Json()},
                       {"worst", worst}}}};
  // Names are what a file from elsewhere says.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}
