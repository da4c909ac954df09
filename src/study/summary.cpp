#include <cmath>
#include <map>
#include <tuple>

#include "zeropoint/study/study.hpp"

namespace zeropoint {
namespace {

Statistic statistic(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  Statistic s;
  for (const double x : values) s.mean += x / count;
  double squares = 0;
  for (const double x : values) squares += (x - s.mean) * (x - s.mean);
  if (values.size() > 1) s.standard_error = std::sqrt(squares / (count - 1) / count);
  return s;
}

}  // namespace

IntervalCount count_intervals(const std::vector<StudyRow>& rows) {
  IntervalCount count;
  for (const auto& row : rows) {
    const auto outside = row.outside_interval();
    count.rows += outside.has_value() ? 1 : 0;
    count.outside += outside.value_or(false) ? 1 : 0;
  }
  return count;
}

std::vector<SummaryRow> summarize(const std::vector<StudyRow>& rows) {
  using Key = std::tuple<std::string, std::size_t, std::size_t, std::size_t, std::string,
                         std::string, int, double, std::string, std::string>;
  std::map<Key, std::size_t> group_of;
  std::vector<std::vector<std::size_t>> groups;  // in the order of their first rows
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& r = rows[i];
    const Key key{r.distribution, r.m,    r.k,     r.n,      r.generator,
                  r.convention,   r.bits, r.cover, r.scheme, r.accumulator};
    const auto [at, is_new] = group_of.try_emplace(key, groups.size());
    if (is_new) groups.emplace_back();
    groups[at->second].push_back(i);
  }
  std::vector<SummaryRow> summary;
  for (const auto& group : groups) {
    const auto over_seeds = [&](auto&& field) {
      std::vector<double> values;
      for (const auto i : group) values.push_back(field(rows[i]));
      return statistic(values);
    };
    const auto errors = [&](StudyErrors StudyRow::*which) {
      return ErrorStatistics{over_seeds([=](const StudyRow& r) { return (r.*which).ground_truth; }),
                             over_seeds([=](const StudyRow& r) { return (r.*which).expected; }),
                             over_seeds([=](const StudyRow& r) { return (r.*which).simulated; })};
    };
    summary.push_back({group.front(), static_cast<int>(group.size()), errors(&StudyRow::error),
                       errors(&StudyRow::error_float64),
                       over_seeds([](const StudyRow& r) { return double{r.y.scale}; })});
  }
  return summary;
}

}  // namespace zeropoint
