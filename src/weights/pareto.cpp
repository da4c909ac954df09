#include "weights/pareto.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace zeropoint {
namespace {

// What may become of a tensor: a scheme (or none), its bytes, and n·e².
struct Choice {
  std::size_t scheme;
  std::uint64_t bytes;
  double error;
};

// Those on the lower convex hull, by bytes: each further one buys less error a byte.
std::vector<Choice> hull_of(std::vector<Choice> choices) {
  std::ranges::sort(choices, {}, [](const Choice& c) { return std::pair(c.bytes, c.error); });
  const auto slope = [](const Choice& a, const Choice& b) {
    return (a.error - b.error) / static_cast<double>(b.bytes - a.bytes);
  };
  std::vector<Choice> hull;
  for (const Choice& next : choices) {
    if (!hull.empty() && (next.error >= hull.back().error || next.bytes == hull.back().bytes)) {
      continue;
    }
    while (hull.size() >= 2 &&
           slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), next)) {
      hull.pop_back();
    }
    hull.push_back(next);
  }
  return hull;
}

// A step from one choice of a tensor to the next on its hull.
struct Step {
  std::size_t tensor, to;
  double slope;
};

using Hulls = std::vector<std::vector<Choice>>;

// A choice for each tensor.
struct Mixture {
  std::uint64_t bytes;
  double error;
  std::vector<std::size_t> at;  // on its hull

  bool fits(const Step& step, const Hulls& hulls, std::uint64_t most) const {
    const auto& hull = hulls[step.tensor];
    return at[step.tensor] + 1 == step.to &&
           bytes + hull[step.to].bytes - hull[step.to - 1].bytes <= most;
  }
  void take(const Step& step, const Hulls& hulls) {
    const auto& hull = hulls[step.tensor];
    bytes += hull[step.to].bytes - hull[step.to - 1].bytes;
    error += hull[step.to].error - hull[step.to - 1].error;
    at[step.tensor] = step.to;
  }
};

}  // namespace

void find_front(FileAnalysis& analysis) {
  const std::size_t schemes = analysis.schemes.size();
  std::vector<const AnalyzedWeight*> tried;
  std::uint64_t kept = 0;
  double values = 0;
  for (const auto& weight : analysis.weights) {
    if (!weight.kept.empty()) {
      kept += weight.bytes;
      continue;
    }
    tried.push_back(&weight);
    values += static_cast<double>(weight.count);
  }
  analysis.totals.assign(schemes, {});
  for (auto& total : analysis.totals) total.bytes = total.mixed_bytes = kept;
  if (tried.empty()) return;
  const auto error_of = [](const AnalyzedWeight& weight, std::size_t scheme) {
    const double relative = weight.trials[scheme].relative_error;
    return static_cast<double>(weight.count) * relative * relative;
  };
  Hulls hulls;
  std::vector<Step> steps;
  for (const AnalyzedWeight* weight : tried) {
    std::vector<Choice> choices = {{schemes, weight->bytes, 0}};
    for (std::size_t i = 0; i < schemes; ++i) {
      const auto& trial = weight->trials[i];
      if (trial.problem.empty() && std::isfinite(trial.relative_error)) {
        choices.push_back({i, trial.bytes, error_of(*weight, i)});
      }
    }
    auto& hull = hulls.emplace_back(hull_of(std::move(choices)));
    for (std::size_t i = 1; i < hull.size(); ++i) {
      steps.push_back({hulls.size() - 1, i,
                       (hull[i - 1].error - hull[i].error) /
                           static_cast<double>(hull[i].bytes - hull[i - 1].bytes)});
    }
  }
  for (std::size_t i = 0; i < schemes; ++i) {
    SchemeTotal& total = analysis.totals[i];
    total.bytes = kept;
    double error = 0;
    for (const AnalyzedWeight* weight : tried) {
      const auto& trial = weight->trials[i];
      const bool fits = trial.problem.empty() && std::isfinite(trial.relative_error);
      total.bytes += fits ? trial.bytes : weight->bytes;
      total.misfits += !fits;
      if (fits) error += error_of(*weight, i);
    }
    total.error = std::sqrt(error / values);
  }
  // From the smallest of each on, always the step that buys the most.
  std::ranges::stable_sort(steps, std::ranges::greater{}, &Step::slope);
  Mixture smallest{kept, 0, std::vector<std::size_t>(tried.size(), 0)};
  for (const auto& hull : hulls) {
    smallest.bytes += hull[0].bytes;
    smallest.error += hull[0].error;
  }
  Mixture all = smallest;
  const auto relative = [&](double error) { return std::sqrt(std::max(error, 0.0) / values); };
  analysis.front.push_back({all.bytes, relative(all.error)});
  for (const Step& step : steps) {
    all.take(step, hulls);
    analysis.front.push_back({all.bytes, relative(all.error)});
  }
  for (std::size_t i = 0; i < schemes; ++i) {
    SchemeTotal& total = analysis.totals[i];
    // The hulls may pass by what is best here: the best of the schemes of that size is one, too.
    std::size_t best = i;
    for (std::size_t j = 0; j < schemes; ++j) {
      const SchemeTotal& other = analysis.totals[j];
      if (other.bytes <= total.bytes && other.error < analysis.totals[best].error) best = j;
    }
    total.mixed_bytes = analysis.totals[best].bytes;
    total.mixed_error = analysis.totals[best].error;
    for (const AnalyzedWeight* weight : tried) {
      total.mixed.push_back(weight->trials[best].problem.empty() ? best : schemes);
    }
    if (smallest.bytes > total.bytes) continue;
    Mixture mixture = smallest;
    for (const Step& step : steps) {
      if (mixture.fits(step, hulls, total.bytes)) mixture.take(step, hulls);
    }
    if (relative(mixture.error) >= total.mixed_error) continue;
    total.mixed_bytes = mixture.bytes;
    total.mixed_error = relative(mixture.error);
    for (std::size_t t = 0; t < tried.size(); ++t) {
      total.mixed[t] = hulls[t][mixture.at[t]].scheme;
    }
  }
}

}  // namespace zeropoint
