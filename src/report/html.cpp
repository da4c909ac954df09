#include "report/html.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace zeropoint::html {
namespace {

/// More decimals than this, or more digits before the point, are written with an exponent.
constexpr int kMaxDecimals = 9;
constexpr double kMaxFixed = 1e9;

std::string typeset(std::string text) {
  std::string out;
  for (const char c : text) {
    if (c == '-') {
      out += "−";
    } else {
      out += c;
    }
  }
  return out;
}

/// How the numbers of one column are written.
struct Style {
  int decimals = 0;
  bool exponent = false;
  int digits = 0;
};

Style style(const Column& column, const std::vector<Value>& values) {
  Style s{std::max(0, column.decimals), false, column.digits};
  if (column.digits == 0 || column.decimals >= 0) return s;
  for (const Value& value : values) {
    const double* x = std::get_if<double>(&value);
    if (!x || !std::isfinite(*x) || *x == 0) continue;
    const int exponent = static_cast<int>(std::floor(std::log10(std::abs(*x))));
    s.decimals = std::max(s.decimals, column.digits - 1 - exponent);
    s.exponent = s.exponent || s.decimals > kMaxDecimals || std::abs(*x) >= kMaxFixed;
  }
  return s;
}

std::string format(const Value& value, const Style& s) {
  if (const std::string* text = std::get_if<std::string>(&value)) return escape(*text);
  const double* x = std::get_if<double>(&value);
  if (!x) return "<span class=\"none\">–</span>";
  if (std::isnan(*x)) return "<span class=\"none\">not a number</span>";
  if (std::isinf(*x)) return *x > 0 ? "∞" : "−∞";
  if (*x == 0) return "0";
  if (s.exponent) return typeset(fmt::format("{:.{}e}", *x, std::max(0, s.digits - 1)));
  return typeset(fmt::format("{:.{}f}", *x, s.decimals));
}

void render_head(std::string& out, const std::vector<Column>& columns,
                 const std::vector<bool>& texts) {
  const bool grouped =
      std::any_of(columns.begin(), columns.end(), [](const Column& c) { return !c.group.empty(); });
  std::string second;
  out += "<thead>\n<tr>";
  for (std::size_t i = 0; i < columns.size();) {
    std::size_t end = i + 1;
    const bool in_group = !columns[i].group.empty();
    while (in_group && end < columns.size() && columns[end].group == columns[i].group) ++end;
    if (in_group) {
      out += fmt::format("<th scope=\"colgroup\" colspan=\"{}\" class=\"group\">{}</th>", end - i,
                         columns[i].group);
    }
    for (std::size_t j = i; j < end; ++j) {
      const std::string cell = fmt::format(
          "<th scope=\"col\"{} class=\"{}{}\" title=\"{}\">{}</th>",
          grouped && !in_group ? " rowspan=\"2\"" : "", texts[j] ? "text" : "number",
          j == i && in_group ? " first" : "", escape(columns[j].title), columns[j].head);
      (in_group ? second : out) += cell;
    }
    i = end;
  }
  out += "</tr>\n";
  if (grouped) out += "<tr>" + second + "</tr>\n";
  out += "</thead>\n";
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\0':  // HTML has no way to write it
        out += "\xEF\xBF\xBD";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number(double value, int digits) {
  if (std::isnan(value)) return "not a number";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  return typeset(fmt::format("{:.{}g}", value, digits));
}

std::string render(const Table& table) {
  std::vector<std::vector<Value>> cells;
  std::vector<Style> styles;
  std::vector<bool> texts;
  for (const Column& column : table.columns) {
    std::vector<Value>& values = cells.emplace_back();
    for (std::size_t row = 0; row < table.rows; ++row) values.push_back(column.value(row));
    styles.push_back(style(column, values));
    texts.push_back(!values.empty() && std::holds_alternative<std::string>(values.front()) &&
                    !texts.empty());
  }
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{0}-caption\">\n"
      "<table id=\"{0}\" class=\"data\">\n<caption id=\"{0}-caption\">{1}</caption>\n",
      table.id, table.caption);
  render_head(out, table.columns, texts);
  out += "<tbody>\n";
  for (std::size_t row = 0; row < table.rows; ++row) {
    out += table.row_id.empty() ? "<tr>" : fmt::format("<tr id=\"{}{}\">", table.row_id, row + 1);
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const std::string text = format(cells[i][row], styles[i]);
      const std::string& group = table.columns[i].group;
      const bool first = !group.empty() && (i == 0 || table.columns[i - 1].group != group);
      if (i == 0) {
        out += "<th scope=\"row\">" + text + "</th>";
      } else if (std::holds_alternative<std::string>(cells[i][row])) {
        out += (first ? "<td class=\"text first\">" : "<td class=\"text\">") + text + "</td>";
      } else {
        out += (first ? "<td class=\"first\">" : "<td>") + text + "</td>";
      }
    }
    out += "</tr>\n";
  }
  out += "</tbody>\n</table>\n</div>\n";
  return out;
}

}  // namespace zeropoint::html
