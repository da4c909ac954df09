#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/ranges/observer.hpp"

namespace zeropoint {
namespace {

constexpr double kMost = std::numeric_limits<double>::max();

// In the order of RangeKind.
constexpr std::array kEstimators = {
    RangeEstimatorWord{"minmax", false, 0, 0, 0, "smallest and largest value"},
    RangeEstimatorWord{"ema", true, 0.01, 0, 1,
                       "moving average of the batches' smallest and largest"},
    RangeEstimatorWord{"sigma", true, 3, 0, kMost,
                       "mean plus and minus so many standard deviations"},
    RangeEstimatorWord{"cover", true, 0.9999, 0.5, 1,
                       "between the quantiles that leave the rest out"},
    RangeEstimatorWord{"mse", false, 0, 0, 0, "least mean squared error of an even grid"},
    RangeEstimatorWord{"kl", false, 0, 0, 0,
                       "least Kullback-Leibler divergence, as TensorRT's entropy"},
};

bool is_within(const RangeEstimatorWord& row, double parameter) {
  return parameter > row.above && parameter <= row.most;
}

[[noreturn]] void refuse_parameter(const RangeEstimatorWord& row, std::string_view found) {
  throw InputError(
      fmt::format("range: expected {}=NUMBER above {}{}, found '{}'", row.word, row.above,
                  row.most == kMost ? "" : fmt::format(", at most {}", row.most), found));
}

}  // namespace

std::span<const RangeEstimatorWord> range_estimators() { return kEstimators; }

RangeEstimator parse_range_estimator(std::string_view word) {
  const auto equals = word.find('=');
  const auto key = word.substr(0, equals);
  std::vector<std::string_view> known;
  for (std::size_t i = 0; i < kEstimators.size(); ++i) {
    const auto& row = kEstimators[i];
    known.push_back(row.word);
    if (row.word != key) continue;
    RangeEstimator estimator{static_cast<RangeKind>(i), row.standard};
    if (equals == word.npos) return estimator;
    const auto text = word.substr(equals + 1);
    if (!row.takes_parameter) {
      throw InputError(fmt::format("range: expected '{}' alone, found '{}'", key, word));
    }
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, estimator.parameter);
    if (error != std::errc{} || stopped != end || !is_within(row, estimator.parameter)) {
      refuse_parameter(row, word);
    }
    return estimator;
  }
  throw InputError(fmt::format("range: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), key, nearest_word(key, known)));
}

void check_range_estimator(const RangeEstimator& estimator) {
  const auto& row = kEstimators[static_cast<std::size_t>(estimator.kind)];
  if (row.takes_parameter && !is_within(row, estimator.parameter)) {
    refuse_parameter(row, to_string(estimator));
  }
}

std::string to_string(const RangeEstimator& estimator) {
  const auto& row = kEstimators[static_cast<std::size_t>(estimator.kind)];
  return row.takes_parameter ? fmt::format("{}={}", row.word, estimator.parameter)
                             : std::string(row.word);
}

}  // namespace zeropoint
