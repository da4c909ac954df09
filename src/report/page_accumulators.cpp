// What a page shows of accumulators: their errors against coverage.
#include "report/page_accumulators.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "zeropoint/study/study.hpp"

#include "report/figure.hpp"
#include "report/plot.hpp"

namespace zeropoint::page {

bool has_accumulators(const std::vector<StudyRow>& rows) {
  return !rows.empty() && !rows.front().accumulator.empty();
}

std::string accumulator_figures(const std::vector<StudyRow>& rows, int& number) {
  std::set<double> covers;
  std::vector<std::string> accumulators;
  for (const auto& row : rows) {
    covers.insert(row.cover);
    if (std::ranges::find(accumulators, row.accumulator) == accumulators.end()) {
      accumulators.push_back(row.accumulator);
    }
  }
  plot::Axis x{"coverage"};
  for (const double cover : covers) x.categories.push_back(fmt::format("{}", cover));

  std::vector<std::string> order;
  std::map<std::string, std::vector<plot::Series>> figures;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    const auto title = fmt::format("{}, {}×{} times {}×{}, {} bits, {}", row.distribution, row.m,
                                   row.k, row.k, row.n, row.bits, row.convention);
    auto& series = figures[title];
    if (series.empty()) {
      order.push_back(title);
      for (std::size_t i = 0; i < accumulators.size(); ++i) {
        series.push_back(
            {accumulators[i], plot::Mark::line_and_points, static_cast<int>(i % 8), {}});
      }
    }
    const auto which = std::ranges::find(accumulators, row.accumulator) - accumulators.begin();
    const auto at = std::distance(covers.begin(), covers.find(row.cover));
    const double error = group.error_float64.ground_truth.mean;
    series[static_cast<std::size_t>(which)].points.push_back(
        {static_cast<double>(at), error,
         fmt::format("{}, coverage {}: {:.4g}", row.accumulator, row.cover, error)});
  }
  std::string out =
      "<p class=\"note\">An error near 1 is that of an output that has nothing to do with the true "
      "product, an output of zeros, say: no coverage makes room in a sum that does not fit. Sums "
      "that became infinite are not drawn.</p>\n";
  for (const auto& title : order) {
    auto& series = figures[title];
    for (auto& each : series) std::ranges::sort(each.points, {}, &plot::Point::x);
    out += figure(number++, "Error against coverage, by what sums are held in: " + title,
                  plot::chart("Ground-truth error against coverage, a line for each accumulator", x,
                              {"ground-truth error", true}, series));
  }
  return out;
}

}  // namespace zeropoint::page
