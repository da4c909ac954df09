#include <array>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "theory/distribution_rows.hpp"

namespace zeropoint {

// Blom's approximation: G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958.
double Distribution::expected_order_statistic(double r, double n) const {
  return quantile((r + 1 - 0.375) / (n + 1 - 2 * 0.375));
}

// To first order: H. A. David and H. N. Nagaraja, Order Statistics, 2003, section 4.6.
double Distribution::order_statistic_covariance(double r, double s, double n) const {
  const double p = (r + 1) / (n + 1);
  const double q = (s + 1) / (n + 1);
  return p * (1 - q) / ((n + 2) * pdf(quantile(p)) * pdf(quantile(q)));
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
  static const std::array kList = {kUniform, kNormal};
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

const Distribution& distribution(std::string_view name) {
  // Made once each, so that others may hold on to them.
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Distribution>, std::less<>> made;
  const std::scoped_lock lock(mutex);
  if (const auto known = made.find(name); known != made.end()) return *known->second;

  const auto word = name.substr(0, name.find('='));
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
    const auto [row, is_new] = made.try_emplace(distribution->name(), std::move(distribution));
    return *row->second;
  }
  throw InputError(fmt::format("distribution: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(word, known)));
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
