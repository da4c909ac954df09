#include <algorithm>
#include <cctype>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/report/report.hpp"
#include "zeropoint/study/claims.hpp"

namespace zeropoint {
namespace {

// A column as it is asked for: what is dropped first where the terminal is too narrow has the
// largest rank; 0 is always shown.
struct Column {
  std::string name;
  int rank;
  bool words = false;  ///< to the left; numbers go to the right
};

// Columns as wide as their widest cell.
class TextTable {
 public:
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {
    std::vector<std::string> names;
    for (const auto& column : columns_) names.push_back(column.name);
    add(std::move(names));
  }

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void gap() { rows_.emplace_back(); }

  // Drops columns, the largest rank first, until the table is at most `width` wide; says how many.
  std::size_t fit(std::size_t width) {
    std::size_t dropped = 0;
    while (total_width() > width) {
      const int rank = std::ranges::max(columns_, {}, &Column::rank).rank;
      if (rank == 0) break;
      for (std::size_t i = columns_.size(); i-- > 0;) {
        if (columns_[i].rank != rank) continue;
        const auto at = static_cast<std::ptrdiff_t>(i);
        columns_.erase(columns_.begin() + at);
        for (auto& row : rows_) {
          if (!row.empty()) row.erase(row.begin() + at);
        }
        ++dropped;
      }
    }
    return dropped;
  }

  bool has(std::string_view name) const {
    return std::ranges::find(columns_, name, &Column::name) != columns_.end();
  }

  std::string str() const {
    const auto widths = column_widths();
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string padding(widths[i] - characters(row[i]), ' ');
        line += (i == 0 ? "" : "  ") + (columns_[i].words ? row[i] + padding : padding + row[i]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  // Continuation bytes of UTF-8 take no room.
  static std::size_t characters(const std::string& s) {
    return static_cast<std::size_t>(std::ranges::count_if(
        s, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }

  std::vector<std::size_t> column_widths() const {
    std::vector<std::size_t> widths(columns_.size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], characters(row[i]));
      }
    }
    return widths;
  }

  std::size_t total_width() const {
    std::size_t total = 0;
    for (const auto width : column_widths()) total += width + 2;
    return total - std::min<std::size_t>(total, 2);
  }

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string error(double x) { return std::isfinite(x) ? fmt::format("{:#.4g}", x) : "inf"; }

std::string error(const std::optional<double>& x) { return x ? error(*x) : "-"; }

// The interval in which 95 % of such measurements lie; a star if this one does not.
std::string interval(const StudyRow& row) {
  const auto outside = row.outside_interval();
  if (!outside) return "-";
  return fmt::format("{}{:.4g} to {:.4g}", *outside ? "* " : "", *row.predicted_low,
                     *row.predicted_high);
}

std::string intervals_note(const std::vector<StudyRow>& rows) {
  const auto count = count_intervals(rows);
  if (count.rows == 0) return "";
  return fmt::format(
      "95 % of such measurements are expected in the interval; of {} rows that have one, {} {} "
      "outside (*).",
      count.rows, count.outside, count.outside == 1 ? "is" : "are");
}

std::string gap(const std::optional<Gap>& gap) {
  return gap ? fmt::format("{:.2f}", gap->db) : "-";
}

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
  bool accumulator = false;
  bool published = false;

  explicit Varying(const std::vector<StudyRow>& rows) {
    for (const auto& row : rows) {
      bits |= row.bits != rows.front().bits;
      convention |= row.convention != rows.front().convention;
      seed |= row.seed != rows.front().seed;
      accumulator |= row.accumulator != rows.front().accumulator;
      published |= row.published.has_value();
    }
  }
};

std::vector<std::string> coordinates(const StudyRow& row, const Varying& varying) {
  std::vector<std::string> cells = {row.distribution};
  if (varying.convention) cells.push_back(row.convention);
  cells.push_back(shape(row));
  if (varying.bits) cells.push_back(fmt::format("{}", row.bits));
  if (varying.accumulator) cells.push_back(row.accumulator);
  cells.push_back(fmt::format("{}", row.cover));
  return cells;
}

std::vector<Column> coordinate_columns(const Varying& varying) {
  std::vector<Column> columns = {{"data", 0, true}};
  if (varying.convention) columns.push_back({"convention", 0, true});
  columns.push_back({"size", 0});
  if (varying.bits) columns.push_back({"bits", 0});
  if (varying.accumulator) columns.push_back({"accumulator", 0, true});
  columns.push_back({"cover", 0});
  return columns;
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

bool starts_group(const StudyRow* previous, const StudyRow& row) {
  return previous != nullptr &&
         (previous->distribution != row.distribution || shape(*previous) != shape(row));
}

TextTable plain_table(const std::vector<StudyRow>& rows) {
  const Varying varying(rows);
  auto columns = coordinate_columns(varying);
  columns.insert(columns.end(), {{"truth", 0},
                                 {"predicted", 0},
                                 {"95 %", 4},
                                 {"expected", 1},
                                 {"predicted", 1},
                                 {"simulated", 2},
                                 {"s_a", 6},
                                 {"z_a", 6},
                                 {"s_b", 6},
                                 {"z_b", 6},
                                 {"s_y", 3},
                                 {"z_y", 3},
                                 {"clip A %", 5},
                                 {"B %", 5},
                                 {"Y %", 5}});
  if (varying.published) columns.insert(columns.end(), {{"published", 2}, {"differs", 2}});
  columns.push_back({"seconds", 4});
  TextTable table(columns);
  const StudyRow* previous = nullptr;
  for (const auto& row : rows) {
    if (starts_group(previous, row)) table.gap();
    previous = &row;
    auto cells = coordinates(row, varying);
    cells.insert(
        cells.end(),
        {error(row.error.ground_truth), error(row.predicted_ground_truth), interval(row),
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
  return table;
}

TextTable repeated_table(const std::vector<StudyRow>& rows) {
  const Varying varying(rows);
  auto columns = coordinate_columns(varying);
  columns.insert(columns.end(), {{"seeds", 0},
                                 {"truth", 0},
                                 {"±", 0},
                                 {"predicted", 0},
                                 {"expected", 1},
                                 {"±", 1},
                                 {"predicted", 1},
                                 {"simulated", 2},
                                 {"±", 2},
                                 {"s_y", 3},
                                 {"±", 3}});
  TextTable table(columns);
  const StudyRow* previous = nullptr;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    if (starts_group(previous, row)) table.gap();
    previous = &row;
    auto cells = coordinates(row, varying);
    const auto spread = [](const Statistic& s) { return fmt::format("{:.1g}", s.standard_error); };
    cells.insert(cells.end(), {fmt::format("{}", group.count), error(group.error.ground_truth.mean),
                               spread(group.error.ground_truth), error(row.predicted_ground_truth),
                               error(group.error.expected.mean), spread(group.error.expected),
                               error(row.predicted_expected), error(group.error.simulated.mean),
                               spread(group.error.simulated),
                               fmt::format("{:.5g}", group.scale_y.mean), spread(group.scale_y)});
    table.add(cells);
  }
  return table;
}

// Rows of schemes: short names, one below the other, sizes as groups.
TextTable scheme_table(const std::vector<StudyRow>& rows) {
  TextTable table({{"data", 0, true},
                   {"size", 0},
                   {"schemes of A x B", 0, true},
                   {"bits A", 1},
                   {"bits B", 1},
                   {"error", 0},
                   {"±", 3},
                   {"predicted", 0},
                   {"95 %", 4},
                   {"dB", 2},
                   {"gap A", 2},
                   {"gap AB", 2},
                   {"clip A %", 4},
                   {"B %", 4},
                   {"seconds", 5}});
  const StudyRow* previous = nullptr;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    if (starts_group(previous, row)) table.gap();
    previous = &row;
    const double mean = group.error.ground_truth.mean;
    table.add(
        {row.distribution, shape(row),
         short_form(parse_scheme_pair(row.scheme)) +
             (row.accumulator.empty() ? "" : " in " + row.accumulator),
         fmt::format("{:.4g}", row.effective_bits_a), fmt::format("{:.4g}", row.effective_bits_b),
         error(mean),
         group.count > 1 ? fmt::format("{:.1g}", group.error.ground_truth.standard_error) : "",
         error(row.predicted_ground_truth), group.count > 1 ? "" : interval(row),
         fmt::format("{:.1f}", -20 * std::log10(mean)), gap(row.gap.a), gap(row.gap.product),
         percent(row.clipped_a), percent(row.clipped_b), fmt::format("{:.3f}", row.seconds)});
  }
  return table;
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

// Running text is at most 100 columns wide, however wide the terminal.
std::size_t text_columns(int width) {
  return static_cast<std::size_t>(width > 0 ? std::min(width, 100) : 100);
}

// What the shown columns mean.
std::string legend(const TextTable& table) {
  std::string text =
      table.has("expected")
          ? "truth and expected are errors, each followed by its prediction"
          : "truth is the error of the quantized product, followed by its prediction";
  if (table.has("simulated")) text += "; simulated is the error on integer codes";
  text += ".";
  if (table.has("published")) {
    text +=
        " published: the report's truth; differs: the largest relative difference of the three "
        "errors from the published ones.";
  }
  return text;
}

}  // namespace

std::string to_table(const Run& run, int width) {
  const auto rows = run.table();
  if (rows.empty()) return "no finished rows\n";
  std::string heading = fmt::format("run {}, {} of {} rows", run.id, rows.size(), run.total);
  const Varying varying(rows);
  if (!varying.convention) heading += fmt::format(", convention {}", rows.front().convention);
  if (!varying.bits) heading += fmt::format(", {} bits", rows.front().bits);
  if (!varying.accumulator && !rows.front().accumulator.empty()) {
    heading += fmt::format(", sums in {}", rows.front().accumulator);
  }
  if (!varying.seed && rows.front().generator != "file") {
    heading += fmt::format(", seed {}", rows.front().seed);
  }
  if (!rows.front().scheme.empty()) {
    TextTable table = scheme_table(rows);
    if (width > 0) table.fit(static_cast<std::size_t>(width));
    return fmt::format("run {}, {} of {} rows\n\n{}\n{}", run.id, rows.size(), run.total,
                       table.str(),
                       wrapped("error: of the product in float32 against the true one; predicted: "
                               "from the settings alone, for given matrices from their moments; "
                               "bits: a value's, with scales and zero points; gap: dB above the "
                               "least error of any quantizer of as many bits, of A and (normal "
                               "data) of A times B. " +
                                   intervals_note(rows),
                               text_columns(width), ""));
  }
  TextTable table = varying.seed ? repeated_table(rows) : plain_table(rows);
  const auto dropped = width > 0 ? table.fit(static_cast<std::size_t>(width)) : 0;
  std::vector<std::string> notes;
  if (dropped > 0) {
    notes.push_back(fmt::format(
        "{} columns are left out for want of width; --csv and the page have all.", dropped));
  }
  notes.push_back(legend(table));
  if (const auto note = intervals_note(rows); !note.empty()) notes.push_back(note);
  const auto one_sided = std::ranges::find_if(rows, [](const StudyRow& row) {
    return row.cover < 1 && parse_convention(row.convention).coverage == Coverage::one_sided;
  });
  if (one_sided != rows.end()) {
    const auto [lower, upper] = cover_probabilities(one_sided->cover, Coverage::one_sided);
    notes.push_back(
        fmt::format("Coverage is one-sided by this convention: {} spans the quantiles {:.4g} to "
                    "{:.4g}, {:.4g} % of the numbers "
                    "({}:cover=two-sided for the middle fraction).",
                    one_sided->cover, lower, upper, (upper - lower) * 100, one_sided->convention));
  }
  // Where the convention sums in float32, say how far that is from the sum in double.
  double most = 0;
  std::string where;
  for (const auto& row : rows) {
    const auto relative = [](double x, double y) { return y > 0 ? std::abs(x / y - 1) : 0; };
    const double here = std::max({relative(row.error.ground_truth, row.error_float64.ground_truth),
                                  relative(row.error.expected, row.error_float64.expected),
                                  relative(row.error.simulated, row.error_float64.simulated)});
    if (here > most) where = row.convention;
    most = std::max(most, here);
  }
  if (most > 1e-5) {
    const std::string by =
        std::isfinite(most)
            ? fmt::format("in double the errors differ by up to {:.2g} %", most * 100)
            : "where a sum overflows, the error says inf";
    notes.push_back(
        fmt::format("Norms are summed in float32, as the report's code did; {} "
                    "({}:norm=float64 sums in double).",
                    by, where));
  }
  std::string text = heading + "\n\n" + table.str();
  for (const auto& note : notes) text += "\n" + wrapped(note, text_columns(width), "");
  return text;
}

std::string claims_text(const Run& run, int width) {
  const auto columns = text_columns(width);
  // They are about the report's own experiment, with exact sums.
  if (!run.spec.schemes.empty() || !run.spec.accumulators.empty()) return "";
  std::string text = "\nThe report's claims, answered by these rows\n";
  for (const auto& claim : judge_claims(run.table())) {
    std::string verdict = to_string(claim.verdict);
    std::ranges::transform(verdict, verdict.begin(),
                           [](unsigned char c) { return std::toupper(c); });
    text += fmt::format("\n{}. {}", claim.number, wrapped(claim.claim, columns, "   ").substr(3));
    text += wrapped(verdict + ". " + claim.evidence, columns, "   ");
  }
  return text;
}

}  // namespace zeropoint
