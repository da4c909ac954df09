// Figures of a page: their frame, and what rows are called in them.
#include "report/figure.hpp"

#include <fmt/format.h>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/study.hpp"

#include "report/html.hpp"

namespace zeropoint::page {

std::string figure(int number, std::string_view title, const std::string& drawing) {
  return fmt::format(
      "<figure class=\"static\" id=\"figure-{0}\">\n<figcaption><b>Figure {0}.</b> <span "
      "class=\"figure-title\">{1}.</span></figcaption>\n{2}</figure>\n",
      number, html::escape(title), drawing);
}

std::string size_of(const StudyRow& row) {
  return row.square() ? fmt::format("{}", row.n) : fmt::format("{}×{}×{}", row.m, row.k, row.n);
}

std::string data_and_size(const StudyRow& row) {
  return fmt::format("{}, size {}", row.distribution, size_of(row));
}

std::string inside_word(const StudyRow& row) {
  const auto outside = row.outside_interval();
  if (!outside) return "";
  return *outside ? "no" : "yes";
}

std::string intervals_caption(const std::vector<StudyRow>& rows) {
  const auto count = count_intervals(rows);
  if (count.rows == 0) return "";
  return fmt::format(
      "{} of {} measurements are outside the interval in which 95 % of such are expected.",
      count.outside, count.rows);
}

std::string row_name(const StudyRow& row) {
  auto name = row.scheme.empty()
                  ? fmt::format("coverage {}, {} bits, {}", row.cover, row.bits, row.convention)
                  : short_form(parse_scheme_pair(row.scheme));
  if (!row.accumulator.empty()) name += " in " + row.accumulator;
  return name;
}

}  // namespace zeropoint::page
