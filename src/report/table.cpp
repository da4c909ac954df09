#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/report/report.hpp"
#include "zeropoint/study/claims.hpp"

namespace zeropoint {
namespace {

// Columns as wide as their widest cell; words to the left, numbers to the right.
class TextTable {
 public:
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void rule() { rows_.emplace_back(); }

  std::string str(std::size_t words) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()), 0);
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string padding(widths[i] - width(row[i]), ' ');
        line += (i == 0 ? "" : "  ") + (i < words ? row[i] + padding : padding + row[i]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  // Characters, not bytes: continuation bytes of UTF-8 take no room.
  static std::size_t width(const std::string& s) {
    return static_cast<std::size_t>(std::ranges::count_if(
        s, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }

  std::vector<std::vector<std::string>> rows_;
};

std::string error(double x) { return std::isfinite(x) ? fmt::format("{:#.4g}", x) : "inf"; }

std::string error(const std::optional<double>& x) { return x ? error(*x) : "-"; }

std::string percent(double fraction) {
  return fraction == 0 ? "0" : fmt::format("{:.2f}", fraction * 100);
}

std::string shape(const StudyRow& row) {
  return row.square() ? fmt::format("{}", row.n) : fmt::format("{}x{}x{}", row.m, row.k, row.n);
}

// Columns that say the same in every row are left to the heading.
struct Varying {
  bool bits = false;
  bool convention = false;
  bool seed = false;
  bool published = false;

  explicit Varying(const std::vector<StudyRow>& rows) {
    for (const auto& row : rows) {
      bits |= row.bits != rows.front().bits;
      convention |= row.convention != rows.front().convention;
      seed |= row.seed != rows.front().seed;
      published |= row.published.has_value();
    }
  }
};

void add_coordinates(std::vector<std::string>& cells, const StudyRow& row, const Varying& varying) {
  cells = {row.distribution};
  if (varying.convention) cells.push_back(row.convention);
  cells.push_back(shape(row));
  if (varying.bits) cells.push_back(fmt::format("{}", row.bits));
  cells.push_back(fmt::format("{}", row.cover));
}

std::vector<std::string> coordinate_names(const Varying& varying) {
  std::vector<std::string> names = {"data"};
  if (varying.convention) names.emplace_back("convention");
  names.emplace_back("size");
  if (varying.bits) names.emplace_back("bits");
  names.emplace_back("cover");
  return names;
}

// How far this run's three errors are from the published ones, at most.
std::string worst_difference(const StudyRow& row) {
  if (!row.published) return "";
  const auto relative = [](double here, double there) { return std::abs(here / there - 1); };
  const auto& there = row.published->error;
  const double worst = std::max({relative(row.error.ground_truth, there.ground_truth),
                                 relative(row.error.expected, there.expected),
                                 relative(row.error.simulated, there.simulated)});
  return fmt::format("{:.0e}", worst);
}

std::string plain_table(const std::vector<StudyRow>& rows) {
  const Varying varying(rows);
  TextTable table;
  auto names = coordinate_names(varying);
  if (varying.seed) names.emplace_back("seed");
  for (const char* name : {"truth", "predicted", "expected", "predicted", "simulated", "s_a", "z_a",
                           "s_b", "z_b", "s_y", "z_y", "clip A %", "B %", "Y %"}) {
    names.emplace_back(name);
  }
  if (varying.published) {
    names.insert(names.end(), {"published", "differs"});
  }
  names.emplace_back("seconds");
  table.add(names);
  const StudyRow* previous = nullptr;
  for (const auto& row : rows) {
    const bool new_group = previous != nullptr && (previous->distribution != row.distribution ||
                                                   shape(*previous) != shape(row));
    if (new_group) table.rule();
    previous = &row;
    std::vector<std::string> cells;
    add_coordinates(cells, row, varying);
    if (varying.seed) cells.push_back(fmt::format("{}", row.seed));
    cells.insert(
        cells.end(),
        {error(row.error.ground_truth), error(row.predicted_ground_truth),
         error(row.error.expected), error(row.predicted_expected), error(row.error.simulated),
         fmt::format("{:.5g}", row.a.scale), fmt::format("{}", row.a.zero_point),
         fmt::format("{:.5g}", row.b.scale), fmt::format("{}", row.b.zero_point),
         fmt::format("{:.5g}", row.y.scale), fmt::format("{}", row.y.zero_point),
         percent(row.clipped_a), percent(row.clipped_b), percent(row.clipped_y)});
    if (varying.published) {
      cells.push_back(row.published ? error(row.published->error.ground_truth) : "");
      cells.push_back(worst_difference(row));
    }
    cells.push_back(fmt::format("{:.3f}", row.seconds));
    table.add(cells);
  }
  return table.str(varying.convention ? 2 : 1);
}

std::string repeated_table(const std::vector<StudyRow>& rows) {
  const Varying varying(rows);
  TextTable table;
  auto names = coordinate_names(varying);
  for (const char* name : {"seeds", "truth", "±", "predicted", "expected", "±", "predicted",
                           "simulated", "±", "s_y", "±"}) {
    names.emplace_back(name);
  }
  table.add(names);
  const StudyRow* previous = nullptr;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    const bool new_group = previous != nullptr && (previous->distribution != row.distribution ||
                                                   shape(*previous) != shape(row));
    if (new_group) table.rule();
    previous = &row;
    std::vector<std::string> cells;
    add_coordinates(cells, row, varying);
    const auto spread = [](const Statistic& s) { return fmt::format("{:.1g}", s.standard_error); };
    cells.insert(
        cells.end(),
        {fmt::format("{}", group.count), error(group.ground_truth.mean), spread(group.ground_truth),
         error(row.predicted_ground_truth), error(group.expected.mean), spread(group.expected),
         error(row.predicted_expected), error(group.simulated.mean), spread(group.simulated),
         fmt::format("{:.5g}", group.scale_y.mean), spread(group.scale_y)});
    table.add(cells);
  }
  return table.str(varying.convention ? 2 : 1);
}

std::string wrapped(std::string_view text, std::size_t width, std::string_view indent) {
  std::string result;
  std::string line(indent);
  std::size_t at = 0;
  while (at < text.size()) {
    const auto space = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, space - at);
    if (line.size() > indent.size() && line.size() + 1 + word.size() > width) {
      result += line + "\n";
      line = indent;
    }
    if (line.size() > indent.size()) line += ' ';
    line += word;
    at = space + 1;
  }
  return result + line + "\n";
}

}  // namespace

std::string to_table(const Run& run) {
  const auto rows = run.table();
  if (rows.empty()) return "no finished rows\n";
  std::string heading = fmt::format("run {}, {} of {} rows", run.id, rows.size(), run.total);
  const Varying varying(rows);
  if (!varying.convention) heading += fmt::format(", convention {}", rows.front().convention);
  if (!varying.bits) heading += fmt::format(", {} bits", rows.front().bits);
  if (!varying.seed && rows.front().generator != "file") {
    heading += fmt::format(", seed {}", rows.front().seed);
  }
  const std::string table = varying.seed ? repeated_table(rows) : plain_table(rows);
  std::string notes;
  if (varying.published) {
    notes +=
        "published: the report's ground-truth error; differs: the largest relative difference of "
        "the three errors\nfrom the published ones.\n";
  }
  // Where the convention sums in float32, say how far that is from the sum in double.
  double most = 0;
  for (const auto& row : rows) {
    const auto relative = [](double x, double y) { return y > 0 ? std::abs(x / y - 1) : 0; };
    most = std::max({most, relative(row.error.ground_truth, row.error_float64.ground_truth),
                     relative(row.error.expected, row.error_float64.expected),
                     relative(row.error.simulated, row.error_float64.simulated)});
  }
  if (most > 0) {
    notes += fmt::format(
        "The convention sums norms in float32, as the report's code did; in double the errors "
        "differ by up to {:.2g} %\n(convention {}:norm=float64 shows those).\n",
        most * 100, rows.front().convention);
  }
  return heading + "\n\n" + table + (notes.empty() ? "" : "\n" + notes);
}

std::string claims_text(const Run& run, int width) {
  std::string text = "The report's claims, answered by these rows\n";
  for (const auto& claim : judge_claims(run.table())) {
    text += fmt::format("\n{}. {}: ", claim.number, to_string(claim.verdict));
    std::string body = wrapped(claim.claim, static_cast<std::size_t>(width), "   ");
    text += "\n" + body;
    text += wrapped(claim.evidence, static_cast<std::size_t>(width), "   ");
  }
  return text;
}

}  // namespace zeropoint
