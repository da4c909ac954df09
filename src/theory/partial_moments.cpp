#include "theory/partial_moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

namespace zeropoint {

// An error of 1e-10 moves the mean square error of a grid by at most some 1e-10 · 12 · range/step²:
// of 10 bits, a part in ten thousand.
constexpr double kTolerance = 1e-10;
constexpr int kDeepest = 44;               // where a density jumps or has a spike
constexpr std::size_t kMostNodes = 20000;  // of what is all spikes there is no table

PartialMoments::PartialMoments(const Distribution& distribution)
    : distribution_(distribution), name_(distribution.name()) {
  const Values whole = direct(std::numeric_limits<double>::infinity());
  scale_ = {1, std::sqrt(whole[2]), whole[2]};
  // Quantiles even in the logarithm of their odds, from 1e-13 to 1 − 1e-13, and 0.
  std::vector<double> at;
  constexpr int kFirst = 32;
  for (int i = 0; i <= kFirst; ++i) {
    const double x = distribution.quantile(1 / (1 + std::exp(30 * (1 - 2.0 * i / kFirst))));
    if (std::isfinite(x)) at.push_back(x);
  }
  for (const double x : {distribution.quantile(0), 0.0, distribution.quantile(1)}) {
    if (std::isfinite(x)) at.push_back(x);
  }
  std::sort(at.begin(), at.end());
  at.erase(std::unique(at.begin(), at.end()), at.end());
  if (at.empty() || distribution.atom_probability() == 1) return;
  nodes_.push_back(node(at[0]));
  for (std::size_t i = 1; i < at.size(); ++i) {
    // By value: the list grows.
    const Node left = nodes_.back();
    const Node right = node(at[i]);
    refine(left, right, 0);
    nodes_.push_back(right);
  }
  if (nodes_.size() > kMostNodes) nodes_.clear();
}

std::shared_ptr<const PartialMoments> PartialMoments::of(const Distribution& distribution) {
  static std::mutex mutex;
  static std::shared_ptr<const PartialMoments> last;
  {
    const std::scoped_lock lock(mutex);
    if (last && last->is_of(distribution)) return last;
  }
  auto made = std::make_shared<const PartialMoments>(distribution);
  const std::scoped_lock lock(mutex);
  return last = made;
}

// Another distribution may stand where one was that is gone.
bool PartialMoments::is_of(const Distribution& distribution) const {
  if (&distribution_ != &distribution || name_ != distribution.name()) return false;
  constexpr std::size_t kProbes = 8;
  for (std::size_t i = 0; i < kProbes && !nodes_.empty(); ++i) {
    const Node& node = nodes_[i * (nodes_.size() - 1) / (kProbes - 1)];
    if (distribution.cdf(node.x) != node.values[0]) return false;
  }
  return true;
}

PartialMoments::Values PartialMoments::direct(double x) const {
  return {distribution_.cdf(x), distribution_.partial_mean(x), distribution_.partial_square(x)};
}

PartialMoments::Node PartialMoments::node(double x) const {
  const double density = distribution_.pdf(x);
  const double finite = std::isfinite(density) ? density : 0;
  return {x, direct(x), {finite, x * finite, x * x * finite}};
}

PartialMoments::Values PartialMoments::between(const Node& left, const Node& right, double x) {
  const double h = right.x - left.x;
  const double t = (x - left.x) / h;
  const double s = 1 - t;
  Values values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = s * s * ((1 + 2 * t) * left.values[i] + t * h * left.slopes[i]) +
                t * t * ((1 + 2 * s) * right.values[i] - s * h * right.slopes[i]);
  }
  return values;
}

void PartialMoments::refine(const Node& left, const Node& right, int depth) {
  const double x = left.x + (right.x - left.x) / 2;
  if (depth == kDeepest || nodes_.size() > kMostNodes || !(x > left.x && x < right.x)) return;
  const Node middle = node(x);
  const Values guess = between(left, right, x);
  bool is_good = true;
  for (std::size_t i = 0; i < guess.size(); ++i) {
    is_good = is_good && std::abs(guess[i] - middle.values[i]) <= kTolerance * scale_[i];
  }
  if (!is_good) refine(left, middle, depth + 1);
  nodes_.push_back(middle);
  if (!is_good) refine(middle, right, depth + 1);
}

PartialMoments::Values PartialMoments::at(double x, std::size_t& hint) const {
  if (nodes_.size() < 2 || !(x >= nodes_.front().x && x <= nodes_.back().x)) return direct(x);
  // Near the last one, most often.
  for (int i = 0; i < 8 && hint + 1 < nodes_.size() && nodes_[hint + 1].x < x; ++i) ++hint;
  if (hint + 1 >= nodes_.size() || nodes_[hint].x > x || nodes_[hint + 1].x < x) {
    const auto above = std::upper_bound(nodes_.begin() + 1, nodes_.end() - 1, x,
                                        [](double v, const Node& node) { return v < node.x; });
    hint = static_cast<std::size_t>(above - nodes_.begin()) - 1;
  }
  return between(nodes_[hint], nodes_[hint + 1], x);
}

}  // namespace zeropoint
