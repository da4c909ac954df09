#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "theory/distribution_rows.hpp"
#include "theory/quadrature.hpp"

namespace zeropoint {

double Distribution::entropy() const {
  if (atom_probability() >= 1) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const auto& node : unit_interval()) {
    const double x = node.p < 0.5 ? quantile(node.p) : upper_quantile(node.rest);
    sum -= node.weight * std::log(pdf(x));
  }
  return sum;
}

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double Distribution::tail(double x) const {
  if (!is_symmetric() || x < 0) return 1 - cdf(x);
  return cdf(-x) - (x == 0 ? atom_probability() : 0);
}

double Distribution::tail_mean(double x) const {
  return is_symmetric() ? -partial_mean(-std::abs(x)) : partial_mean(kInfinity) - partial_mean(x);
}

double Distribution::tail_square(double x) const {
  if (is_symmetric() && x >= 0) return partial_square(-x);
  return partial_square(kInfinity) - partial_square(x);
}

double Distribution::expected_order_statistic(double r, double n) const {
  return order_statistic(*this, r, n).mean;
}

double Distribution::order_statistic_covariance(double r, double s, double n) const {
  // To first order: H. A. David and H. N. Nagaraja, Order Statistics, 2003, section 4.6. Of the
  // outermost ranks that is too little: the variance of the largest of many Laplace draws would be
  // 1 in place of π²/6; of few draws, by a tenth where the density has a cusp. There, correlations
  // are to first order, variances by quadrature.
  const auto deviation = [&](double rank) {
    constexpr double kOutermost = 32;
    constexpr double kFew = 1000;
    const double p = (rank + 1) / (n + 1);
    const double rest = (n - rank) / (n + 1);
    if (std::min(rank, n - 1 - rank) < kOutermost || n <= kFew) {
      return std::sqrt(order_statistic(*this, rank, n).variance);
    }
    const double x = p < 0.5 ? quantile(p) : upper_quantile(rest);
    return std::sqrt(p * rest / (n + 2)) / pdf(x);
  };
  const double of_r = deviation(r);
  if (r == s) return of_r * of_r;
  return of_r * deviation(s) * std::sqrt((r + 1) * (n - s) / ((s + 1) * (n - r)));
}

void Distribution::fill_report(ReportStream& /*stream*/, std::span<float> /*out*/) const {
  throw InputError(fmt::format(
      "distribution {}: expected the counter generator, since the report drew no such entries",
      name()));
}

void Distribution::draw(const CounterStream& stream, Role /*role*/, Matrix<float>& out) const {
  constexpr std::size_t kGrain = 1 << 16;  // a multiple of 4
  const auto values = out.values();
  parallel_for(values.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    fill_counter(stream, begin, values.subspan(begin, end - begin));
  });
}

std::span<const DistributionFamily> distribution_families() {
  static const std::array kList = {kUniform,   kNormal,   kLaplace, kStudent,
                                   kLognormal, kOutliers, kSparse,  kLowrank};
  return kList;
}

std::span<const std::reference_wrapper<const Distribution>> distributions() {
  static const auto kList = [] {
    std::vector<std::reference_wrapper<const Distribution>> list;
    for (const auto& family : distribution_families()) {
      list.emplace_back(distribution(family.word));
    }
    return list;
  }();
  return kList;
}

namespace {

// Made once each, so that others may hold on to them.
struct Made {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<const Distribution>, std::less<>> by_name;
  std::vector<std::unique_ptr<const Distribution>> replaced;  // which somebody may still hold
};

Made& made() {
  static Made one;
  return one;
}

constexpr std::string_view kFile = "file";

}  // namespace

const Distribution& add_distribution_of_values(std::string_view name,
                                               std::span<const float> values) {
  auto distribution = make_distribution_of_values(fmt::format("{}={}", kFile, name), values);
  const std::scoped_lock lock(made().mutex);
  auto& place = made().by_name[distribution->name()];
  if (place) made().replaced.push_back(std::move(place));
  place = std::move(distribution);
  return *place;
}

const Distribution& distribution(std::string_view name) {
  const std::scoped_lock lock(made().mutex);
  if (const auto known = made().by_name.find(name); known != made().by_name.end()) {
    return *known->second;
  }
  const auto word = name.substr(0, name.find('='));
  if (word == kFile) {
    throw InputError(fmt::format(
        "distribution: expected a name that values were given for, found '{}'", printable(name)));
  }
  std::vector<std::string_view> known;
  for (const auto& family : distribution_families()) {
    known.push_back(family.word);
    if (family.word != word) continue;
    if (word.size() + 1 == name.size()) {
      throw InputError(
          fmt::format("distribution {}: expected a parameter after '=', found none", word));
    }
    auto distribution =
        family.make(name.size() > word.size() ? name.substr(word.size() + 1) : std::string_view{});
    // Under the name in full, so that two spellings are one.
    const auto [row, is_new] =
        made().by_name.try_emplace(distribution->name(), std::move(distribution));
    return *row->second;
  }
  throw InputError(fmt::format("distribution: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(word, known)));
}

std::vector<double> read_parameters(const DistributionFamily& family, std::string_view argument,
                                    std::vector<double> own) {
  if (argument.empty()) return own;
  std::vector<double> numbers;
  for (std::string_view rest = argument;;) {
    const auto end = rest.find('x');
    const auto part = rest.substr(0, end);
    double number = 0;
    const auto [stopped, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc{} || stopped != part.data() + part.size() || !std::isfinite(number)) {
      refuse_parameters(family, argument, "numbers");
    }
    numbers.push_back(number);
    if (end == rest.npos) break;
    rest.remove_prefix(end + 1);
  }
  if (numbers.size() != own.size()) {
    refuse_parameters(family, argument, own.size() == 1 ? "one number" : "two numbers");
  }
  return numbers;
}

void refuse_parameters(const DistributionFamily& family, std::string_view argument,
                       std::string_view expected) {
  throw InputError(fmt::format("distribution {0}: expected {0}={1}, {2}; found '{0}={3}'",
                               family.word, family.argument, expected, printable(argument)));
}

OperandPair draw_operands(const Distribution& distribution, Generator generator, std::uint64_t seed,
                          std::size_t m, std::size_t k, std::size_t n) {
  OperandPair pair{Matrix<float>(m, k), Matrix<float>(k, n)};
  if (generator == Generator::report) {
    if (seed > 0xFFFFFFFFU) {
      throw InputError(
          fmt::format("seed: expected at most 4294967295 for the report's generator, "
                      "found {} (the counter generator takes any)",
                      seed));
    }
    ReportStream stream(static_cast<std::uint32_t>(seed));
    distribution.fill_report(stream, pair.a.values());
    distribution.fill_report(stream, pair.b.values());
    return pair;
  }
  distribution.draw(CounterStream(seed, 0), Role::left, pair.a);
  distribution.draw(CounterStream(seed, 1), Role::right, pair.b);
  return pair;
}

}  // namespace zeropoint
