#include "weights/pareto.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>

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

// A pattern that a name matches, and hardly another.
std::string pattern_of(std::string_view name) {
  constexpr std::size_t kMatched = 256;  // characters that patterns are held against
  std::string pattern = "^";
  for (const char c : name.substr(0, kMatched)) {
    if (std::string_view("\\^$.|?*+()[]{}/").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return name.size() > kMatched ? pattern : pattern + "$";
}

}  // namespace

std::vector<std::string> quantize_options(const FileAnalysis& analysis, std::size_t scheme) {
  const auto& mixed = analysis.totals.at(scheme).mixed;
  const auto name_of = [&](std::size_t i) {
    return i < analysis.schemes.size() ? analysis.schemes[i] : std::string("keep");
  };
  std::vector<std::size_t> uses(analysis.schemes.size() + 1, 0);
  for (const std::size_t i : mixed) ++uses[i];
  const auto most = static_cast<std::size_t>(std::ranges::max_element(uses) - uses.begin());
  std::vector<std::string> options = {"--scheme", name_of(most)};
  if (!analysis.only.empty()) options.insert(options.end(), {"--only", analysis.only});
  std::vector<std::string> overrides;
  bool again = false, has_empty = false;
  auto choice = mixed.begin();
  for (const auto& weight : analysis.weights) {
    has_empty = has_empty || weight.count == 0;  // which no scheme fits
    if (!weight.kept.empty() || choice == mixed.end()) continue;
    const std::size_t its = *choice++;
    again = again || (weight.is_quantized && its < analysis.schemes.size());
    if (its == most) continue;
    overrides.insert(overrides.end(), {"--override", pattern_of(weight.name) + "=" + name_of(its)});
  }
  if (again) options.emplace_back("--requantize");
  if (has_empty) options.insert(options.end(), {"--fallback", "keep"});
  options.insert(options.end(), overrides.begin(), overrides.end());
  return options;
}

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
    double error = 0, with_gap = 0, gap_db = 0, gap_bits = 0;
    for (const AnalyzedWeight* weight : tried) {
      const auto& trial = weight->trials[i];
      const bool fits = trial.problem.empty() && std::isfinite(trial.relative_error);
      total.bytes += fits ? trial.bytes : weight->bytes;
      total.misfits += !fits;
      if (fits) error += error_of(*weight, i);
      if (!fits || !std::isfinite(trial.gap_db)) continue;
      const auto count = static_cast<double>(weight->count);
      with_gap += count;
      gap_db += count * trial.gap_db;
      gap_bits += count * trial.gap_bits;
    }
    total.error = std::sqrt(error / values);
    if (with_gap > 0) {
      total.gap_db = gap_db / with_gap;
      total.gap_bits = gap_bits / with_gap;
    }
  }
  // From the smallest of each on, always the step that buys the most.
  std::ranges::stable_sort(steps, std::ranges::greater{}, &Step::slope);
  Mixture smallest{kept, 0, std::vector<std::size_t>(tried.size(), 0)};
  for (const auto& hull : hulls) {
    smallest.bytes += hull[0].bytes;
    smallest.error += hull[0].error;
  }
  const auto relative = [&](double error) { return std::sqrt(std::max(error, 0.0) / values); };
  // Sizes from the first step on, errors from the last one back, so that nothing cancels.
  analysis.front.resize(steps.size() + 1);
  std::uint64_t bytes = smallest.bytes;
  for (std::size_t i = 0; i <= steps.size(); ++i) {
    analysis.front[i].bytes = bytes;
    if (i == steps.size()) break;
    const auto& hull = hulls[steps[i].tensor];
    bytes += hull[steps[i].to].bytes - hull[steps[i].to - 1].bytes;
  }
  double error = 0;
  for (const auto& hull : hulls) error += hull.back().error;
  for (std::size_t i = steps.size() + 1; i-- > 0;) {
    analysis.front[i].error = relative(error);
    if (i == 0) break;
    const auto& hull = hulls[steps[i - 1].tensor];
    error += hull[steps[i - 1].to - 1].error - hull[steps[i - 1].to].error;
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
    mixture.error = 0;  // anew, without the steps' cancellation
    for (std::size_t t = 0; t < hulls.size(); ++t) mixture.error += hulls[t][mixture.at[t]].error;
    if (relative(mixture.error) >= total.mixed_error) continue;
    total.mixed_bytes = mixture.bytes;
    total.mixed_error = relative(mixture.error);
    for (std::size_t t = 0; t < tried.size(); ++t) {
      total.mixed[t] = hulls[t][mixture.at[t]].scheme;
    }
  }
}

}  // namespace zeropoint
