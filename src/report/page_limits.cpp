// What a page shows of limits: schemes beside the best that any quantizer could do.
#include "report/page_limits.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/study.hpp"
#include "zeropoint/theory/distribution.hpp"
#include "zeropoint/theory/limits.hpp"

#include "report/figure.hpp"
#include "report/plot.hpp"

namespace zeropoint::page {
namespace {

// The scheme of one operand, with the mean over seeds of its squared error, as limits have theirs.
struct Operand {
  Scheme scheme;
  std::string name;
  double bits;
  double mse;
};

// Operands of one distribution and size, each scheme once.
struct Group {
  std::string title;
  std::string distribution;
  std::vector<Operand> operands;
};

// Nothing of the values of a file, which are there only while the study runs, nor of entries that
// depend on one another, which no limit is about.
const Distribution* limited(const std::string& name) {
  try {
    const Distribution& found = distribution(name);
    return found.is_independent() ? &found : nullptr;
  } catch (const InputError&) {
    return nullptr;
  }
}

std::vector<Group> groups_of(const std::vector<StudyRow>& rows) {
  std::vector<Group> groups;
  std::map<std::pair<std::string, std::string>, std::vector<double>> errors;
  for (const auto& row : rows) {
    if (!row.ledger || row.scheme.empty() || row.generator == "file" || tried_cover(row)) continue;
    if (limited(row.distribution) == nullptr) continue;
    const auto title = data_and_size(row);
    auto group = std::ranges::find(groups, title, &Group::title);
    if (group == groups.end()) group = groups.insert(group, {title, row.distribution, {}});
    const auto pair = parse_scheme_pair(row.scheme);
    const auto add = [&](const Scheme& scheme, double bits, const TensorLedger& ledger) {
      const auto name = short_form(scheme);
      auto& mine = errors[{title, name}];
      if (mine.empty()) group->operands.push_back({scheme, name, bits, 0});
      mine.push_back(ledger.error);
    };
    add(pair.a, row.effective_bits_a, row.ledger->a);
    if (!(pair.a == pair.b)) add(pair.b, row.effective_bits_b, row.ledger->b);
  }
  for (auto& group : groups) {
    for (auto& operand : group.operands) {
      const auto& of = errors[{group.title, operand.name}];
      for (const double error : of) operand.mse += error / static_cast<double>(of.size());
      operand.mse = relative_to_variance(distribution(group.distribution), operand.mse);
    }
  }
  return groups;
}

// A kind of format, its color and its name in the legend.
struct Kind {
  int color;
  std::string_view name;
};
constexpr std::array<Kind, 5> kKinds = {{{0, "integers"},
                                         {1, "floating point"},
                                         {2, "codebooks"},
                                         {3, "blocks that carry their scale"},
                                         {4, "lattices and trellises"}}};

std::size_t kind_of(const Scheme& scheme) {
  switch (scheme.format.kind) {
    case FormatKind::integer:
      return 0;
    case FormatKind::floating:
      return 1;
    case FormatKind::codebook:
      return 2;
    case FormatKind::block:
      break;
  }
  return scheme.format.block->is_joint ? 4 : 3;
}

// The limits as curves; `y` makes a height of bits and error.
template <class Height>
std::vector<plot::Series> curves(const Distribution& source, double most_bits,
                                 const Height& height) {
  std::vector<plot::Series> all;
  plot::Series bound{"no quantizer is better", plot::Mark::line, 7, {}};
  for (double bits = 0.5; bits <= most_bits; bits += 0.25) {
    const double mse = rate_distortion_bound(source, bits);
    if (mse > 0 && mse < 1) bound.points.push_back({bits, height(bits, mse)});
  }
  if (!bound.points.empty()) all.push_back(std::move(bound));
  plot::Series entropy{"even steps, entropy coded", plot::Mark::dashed, 6, {}};
  plot::Series lloyd{"Lloyd–Max", plot::Mark::dashed, 2, {}};
  plot::Series uniform{"best even steps", plot::Mark::dashed, 0, {}};
  for (int bits = 1; bits <= std::min(8.0, most_bits); ++bits) {
    const auto add = [&](plot::Series& to, const LimitRow& row) {
      to.points.push_back({row.bits, height(row.bits, row.mse)});
    };
    if (const auto row = entropy_coded_limit(source, bits)) add(entropy, *row);
    add(lloyd, lloyd_max_limit(source, bits));
    add(uniform, uniform_limit(source, bits));
  }
  for (auto& each : {&entropy, &lloyd, &uniform}) all.push_back(std::move(*each));
  return all;
}

template <class Height>
std::vector<plot::Series> points(const Group& group, plot::Mark mark, const Height& height) {
  std::vector<plot::Series> all;
  for (const auto& kind : kKinds) all.push_back({std::string(kind.name), mark, kind.color, {}});
  auto operands = group.operands;
  // Those nearest to the bound have their labels first.
  std::ranges::sort(operands, {},
                    [](const Operand& o) { return 10 * std::log10(o.mse) + 6.0206 * o.bits; });
  for (const auto& operand : operands) {
    if (!(operand.mse > 0)) continue;
    all[kind_of(operand.scheme)].points.push_back(
        {operand.bits, height(operand.bits, operand.mse), operand.name});
  }
  std::erase_if(all, [](const plot::Series& series) { return series.points.empty(); });
  std::ranges::reverse(all);  // integers, which are the most, have their labels last
  return all;
}

std::string of_group(const Group& group, int& number) {
  const Distribution& source = distribution(group.distribution);
  double most_bits = 1;
  for (const auto& operand : group.operands) most_bits = std::max(most_bits, operand.bits);
  const auto decibels = [](double, double mse) { return sqnr_db(mse); };
  auto series = curves(source, most_bits, decibels);
  std::ranges::move(points(group, plot::Mark::points, decibels), std::back_inserter(series));
  std::string out = figure(number++, "Rate and distortion: " + group.title,
                           plot::chart("Signal to noise against bits a value, beside limits",
                                       {"bits a value, scales and zero points included"},
                                       {"signal to noise, dB"}, series));
  if (!(rate_distortion_bound(source, 1) > 0)) return out;
  constexpr double kShown = 9;  // bits; beyond, formats lie far apart
  Group near = group;
  std::erase_if(near.operands, [](const Operand& o) { return o.bits > kShown; });
  const auto distance = [&](double bits, double mse) { return gap_to_bound(source, bits, mse).db; };
  auto gaps = curves(source, std::min(most_bits, kShown), distance);
  std::ranges::move(points(near, plot::Mark::labelled, distance), std::back_inserter(gaps));
  return out + figure(number++, "Distance from the bound: " + group.title,
                      plot::chart("Decibels above the least error against bits a value",
                                  {"bits a value, scales and zero points included"},
                                  {"dB above the least error at that rate"}, gaps));
}

struct CoverageCurve {
  std::string distribution, title;
  int bits;
  std::vector<std::pair<double, double>> measured, predicted;  ///< coverage and error
};

std::vector<CoverageCurve> coverage_curves(const std::vector<StudyRow>& rows) {
  std::vector<CoverageCurve> curves;
  for (const auto& group : summarize(rows)) {
    const auto& row = rows[group.first_row];
    const auto tried = tried_cover(row);
    if (!tried) continue;
    const auto title = data_and_size(row);
    auto found = std::ranges::find_if(curves, [&](const CoverageCurve& curve) {
      return curve.title == title && curve.bits == row.bits;
    });
    if (found == curves.end()) {
      found = curves.insert(found, {row.distribution, title, row.bits, {}, {}});
    }
    found->measured.emplace_back(*tried, group.error_float64.ground_truth.mean);
    if (row.predicted_ground_truth) {
      found->predicted.emplace_back(*tried, *row.predicted_ground_truth);
    }
  }
  for (auto& curve : curves) {
    std::ranges::sort(curve.measured);
    std::ranges::sort(curve.predicted);
  }
  std::erase_if(curves, [](const CoverageCurve& curve) { return curve.measured.size() < 3; });
  return curves;
}

// What the grid of least mean squared error leaves outside of it.
std::optional<double> best_clipped(const Distribution& source, int bits) {
  const auto row = narrow_limit(source, bits);
  const double clipped = source.cdf(row.levels.front()) + 1 - source.cdf(row.levels.back());
  return clipped > 0 ? std::optional(clipped) : std::nullopt;
}

}  // namespace

std::string limit_figures(const std::vector<StudyRow>& rows, int& number) {
  std::string out;
  for (const auto& group : groups_of(rows)) out += of_group(group, number);
  return out;
}

std::string coverage_figures(const std::vector<StudyRow>& rows, int& number) {
  const auto curves = coverage_curves(rows);
  if (curves.empty()) return "";
  std::set<double> covers;
  std::vector<std::string> titles;
  for (const auto& curve : curves) {
    for (const auto& [cover, error] : curve.measured) covers.insert(cover);
    if (std::ranges::find(titles, curve.title) == titles.end()) titles.push_back(curve.title);
  }
  plot::Axis axis{"coverage"};
  for (const double cover : covers) axis.categories.push_back(fmt::format("{}", cover));
  const auto at = [&](double cover) {
    return static_cast<double>(std::distance(covers.begin(), covers.find(cover)));
  };
  std::string out;
  for (const auto& title : titles) {
    std::vector<plot::Series> series;
    for (const auto& curve : curves) {
      if (curve.title != title) continue;
      const int color = static_cast<int>(series.size() / 2 % 8);
      plot::Series measured{fmt::format("{} bits", curve.bits), plot::Mark::points, color, {}};
      plot::Series predicted{"", plot::Mark::line, color, {}};
      for (const auto& [cover, error] : curve.measured) {
        measured.points.push_back({at(cover), error, fmt::format("{}: {:.4g}", cover, error)});
      }
      for (const auto& [cover, error] : curve.predicted) {
        predicted.points.push_back({at(cover), error});
      }
      series.push_back(std::move(measured));
      series.push_back(std::move(predicted));
    }
    out += figure(number++, "Error against coverage; points measured, lines predicted: " + title,
                  plot::chart("Error of the product against coverage", axis,
                              {"error of the product", true}, series));
  }
  // The best of those tried, between its neighbours, beside the optimum of endless data.
  std::vector<plot::Series> best;
  std::vector<std::string> sources;
  for (const auto& curve : curves) {
    if (std::ranges::find(sources, curve.distribution) == sources.end()) {
      sources.push_back(curve.distribution);
    }
  }
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const int color = static_cast<int>(s % 8);
    plot::Series measured{sources[s] + ", measured", plot::Mark::points, color, {}};
    plot::Series computed{sources[s] + ", computed", plot::Mark::line, color, {}};
    for (const auto& curve : curves) {
      if (curve.distribution != sources[s]) continue;
      const auto least = std::ranges::min_element(curve.measured, {},
                                                  [](const auto& point) { return point.second; });
      const double clipped = 1 - least->first;
      if (clipped > 0) {
        plot::Point point{static_cast<double>(curve.bits), clipped,
                          fmt::format("{} bits: {}", curve.bits, least->first)};
        if (least != curve.measured.begin() && std::next(least) != curve.measured.end() &&
            std::next(least)->first < 1) {
          point.lo = 1 - std::next(least)->first;
          point.hi = 1 - std::prev(least)->first;
        }
        measured.points.push_back(std::move(point));
      }
      const Distribution* source = limited(curve.distribution);
      if (source != nullptr && curve.bits >= 2 && curve.bits <= 12) {
        if (const auto computed_at = best_clipped(*source, curve.bits)) {
          computed.points.push_back({static_cast<double>(curve.bits), *computed_at});
        }
      }
    }
    std::ranges::sort(computed.points, {}, &plot::Point::x);
    best.push_back(std::move(measured));
    best.push_back(std::move(computed));
  }
  return out +
         figure(number++,
                "The best coverage, by bits: what it leaves out. Points: the best one tried, "
                "between its neighbours; lines: the grid of least squared error. Where "
                "coverage 1 was best, there is no point",
                plot::chart("Share of values beyond the best range, against bits",
                            {"bits of a code"}, {"share of values beyond the range", true}, best));
}

}  // namespace zeropoint::page
