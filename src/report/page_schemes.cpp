// What a page shows of a study of schemes: a table, and each scheme's error against its bits.
#include "report/page_schemes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/study.hpp"

#include "report/html.hpp"

namespace zeropoint::page {
namespace {

using html::escape;
using html::Value;

std::string size_of(const StudyRow& row) {
  return row.square() ? fmt::format("{}", row.n) : fmt::format("{}×{}×{}", row.m, row.k, row.n);
}

std::string name_of(const StudyRow& row) { return short_form(parse_scheme_pair(row.scheme)); }

double bits_of(const StudyRow& row) { return (row.effective_bits_a + row.effective_bits_b) / 2; }
double decibels(double error) { return -20 * std::log10(error); }

struct Point {
  double x, y;
  std::string name;
};

// The plot's rectangle within the drawing, in its units.
constexpr double kLeft = 52, kRight = 700, kTop = 14, kBottom = 330;

struct Scale {
  double lo, hi, from, to;
  double operator()(double value) const { return from + (value - lo) / (hi - lo) * (to - from); }
};

// Labels that would lie on others are moved down, one after the other, from the top.
std::vector<double> apart(const std::vector<Point>& points, const Scale& x, const Scale& y) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, [&](auto a, auto b) { return y(points[a].y) < y(points[b].y); });
  std::vector<double> at(points.size());
  std::vector<std::size_t> placed;
  constexpr double kLine = 13, kCharacter = 6.4;
  for (const auto i : order) {
    at[i] = y(points[i].y) + 4;
    for (bool moved = true; moved;) {
      moved = false;
      for (const auto j : placed) {
        const double from_i = x(points[i].x), from_j = x(points[j].x);
        const double to_i = from_i + kCharacter * static_cast<double>(points[i].name.size() + 2);
        const double to_j = from_j + kCharacter * static_cast<double>(points[j].name.size() + 2);
        if (from_i < to_j && from_j < to_i && std::abs(at[i] - at[j]) < kLine) {
          at[i] = at[j] + kLine;
          moved = true;
        }
      }
    }
    placed.push_back(i);
  }
  return at;
}

std::string drawing(const std::vector<Point>& points) {
  double least_x = 1e9, most_x = 0, least_y = 1e9, most_y = -1e9;
  for (const auto& point : points) {
    least_x = std::min(least_x, point.x);
    most_x = std::max(most_x, point.x);
    least_y = std::min(least_y, point.y);
    most_y = std::max(most_y, point.y);
  }
  const Scale x{std::floor(least_x), std::ceil(most_x) + 1.5, kLeft, kRight};
  const Scale y{std::floor(least_y / 5) * 5, std::ceil(most_y / 5 + 0.1) * 5, kBottom, kTop};
  std::string svg = fmt::format(
      "<svg class=\"schemes-plot\" viewBox=\"0 0 720 372\" role=\"img\" aria-label=\"Signal to "
      "noise of the product against bits a value\">\n");
  for (double tick = y.lo; tick <= y.hi; tick += 5) {
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{:g}</text>\n",
        kLeft, y(tick), kRight, kLeft - 8, y(tick) + 4, tick);
  }
  const double step = x.hi - x.lo > 9 ? 2 : 1;
  for (double tick = x.lo; tick <= x.hi; tick += step) {
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} {}V{}\"/><text x=\"{:.1f}\" y=\"{}\" "
        "text-anchor=\"middle\">{:g}</text>\n",
        x(tick), kTop, kBottom, x(tick), kBottom + 17, tick);
  }
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">bits a value, scales and zero "
      "points included (mean of A and B)</text>\n<text transform=\"translate(14 {}) "
      "rotate(-90)\" text-anchor=\"middle\">signal to noise of A·B, dB</text>\n",
      (kLeft + kRight) / 2, kBottom + 36, (kTop + kBottom) / 2);
  const auto labels = apart(points, x, y);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (labels[i] > y(points[i].y) + 6) {  // a label that was moved points back
      svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>",
                         x(points[i].x), y(points[i].y), x(points[i].x) + 7, labels[i] - 4);
    }
    svg += fmt::format(
        "<circle cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"4\"/><text class=\"name\" "
        "x=\"{2:.1f}\" y=\"{3:.1f}\">{4}</text>\n",
        x(points[i].x), y(points[i].y), x(points[i].x) + 8, labels[i], escape(points[i].name));
  }
  return svg + "</svg>\n";
}

}  // namespace

bool has_schemes(const std::vector<StudyRow>& rows) {
  return !rows.empty() && !rows.front().scheme.empty();
}

std::string scheme_figures(const std::vector<StudyRow>& rows) {
  std::map<std::string, std::vector<Point>> plots;
  std::vector<std::string> order;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    const double error = group.error.ground_truth.mean;
    if (!(error > 0) || !std::isfinite(error)) continue;  // no distance to draw
    const auto title = fmt::format("{}, size {}", row.distribution, size_of(row));
    if (!plots.contains(title)) order.push_back(title);
    plots[title].push_back({bits_of(row), decibels(error), name_of(row)});
  }
  std::string out;
  for (std::size_t i = 0; i < order.size(); ++i) {
    out += fmt::format(
        "<figure class=\"static\" id=\"figure-{0}\">\n<figcaption><b>Figure {0}.</b> <span "
        "class=\"figure-title\">What each scheme keeps of the product: {1}.</span>"
        "</figcaption>\n{2}</figure>\n",
        i + 1, escape(order[i]), drawing(plots[order[i]]));
  }
  return out.empty() ? "<p class=\"note\">No scheme has an error to draw.</p>\n" : out;
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
  text("seed", "seed of the generator",
       [](const StudyRow& r) { return fmt::format("{}", r.seed); });
  real("bits a value", "A", "with scales and zero points", 0, 3,
       [](const StudyRow& r) { return r.effective_bits_a; });
  real("bits a value", "B", "with scales and zero points", 0, 3,
       [](const StudyRow& r) { return r.effective_bits_b; });
  real("error", "measured", "‖Y − A′B′‖ / ‖Y‖, summed in double", 4, -1,
       [](const StudyRow& r) { return r.error_float64.ground_truth; });
  table.columns.push_back({"error", "predicted", "for independent operands of the same correlation",
                           4, -1, [&rows](std::size_t i) {
                             return rows[i].predicted_ground_truth
                                        ? Value(*rows[i].predicted_ground_truth)
                                        : Value();
                           }});
  real("", "dB", "signal to noise", 0, 2,
       [](const StudyRow& r) { return decibels(r.error_float64.ground_truth); });
  real("clipped, %", "A", "beyond the grid's ends", 0, 2,
       [](const StudyRow& r) { return 100 * r.clipped_a; });
  real("clipped, %", "B", "beyond the grid's ends", 0, 2,
       [](const StudyRow& r) { return 100 * r.clipped_b; });
  return html::render(table);
}

}  // namespace zeropoint::page
