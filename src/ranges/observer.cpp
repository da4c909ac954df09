#include "zeropoint/ranges/observer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "ranges/byte_stream.hpp"

namespace zeropoint {
namespace {

constexpr std::uint32_t kMagic = 0x315A424F;  // "OBZ1"

Range sigma_of(double mean, double deviation, double k) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return {static_cast<float>(std::max(mean - k * deviation, -kLargest)),
          static_cast<float>(std::min(mean + k * deviation, kLargest))};
}

}  // namespace

Range estimate_range(const RangeEstimator& estimator, std::span<const float> values,
                     Coverage coverage, const GridNeed& need, std::string_view what) {
  switch (estimator.kind) {
    case RangeKind::minmax:
    case RangeKind::ema:  // of one batch
      return min_max_range(values, what);
    case RangeKind::sigma:
      return sigma_range(values, estimator.parameter, what);
    case RangeKind::cover:
      return coverage_range(values, estimator.parameter, coverage, what);
    case RangeKind::mse:
    case RangeKind::kl:
      break;
  }
  static_cast<void>(min_max_range(values, what));  // refuses what has no range
  std::vector<Weighted> weighted;
  constexpr std::size_t kFew = 4096;
  if (values.size() <= kFew) {  // themselves, since bins would cost more than they are worth
    for (const float x : values) weighted.push_back({x, 1});
    std::ranges::sort(weighted, {}, &Weighted::value);
  } else {
    StreamStatistics statistics;
    statistics.observe(values, what);
    weighted = statistics.bins();
  }
  return estimator.kind == RangeKind::mse ? mse_range(weighted, need) : kl_range(weighted, need);
}

void Observer::observe(std::span<const float> batch, std::string_view what) {
  if (estimator_.kind == RangeKind::ema) {
    StreamStatistics of_batch;
    of_batch.observe(batch, what, policy_);
    if (of_batch.count() == 0) return;
    const Range seen = of_batch.min_max();
    const auto c = static_cast<float>(estimator_.parameter);
    average_ = count() == 0 ? seen
                            : Range{average_.min + c * (seen.min - average_.min),
                                    average_.max + c * (seen.max - average_.max)};
    statistics_.merge(of_batch);
    return;
  }
  statistics_.observe(batch, what, policy_);
}

void Observer::merge(const Observer& other) {
  if (!(estimator_ == other.estimator_) || coverage_ != other.coverage_) {
    throw InputError(fmt::format("observer: expected another of {}, found one of {}",
                                 to_string(estimator_), to_string(other.estimator_)));
  }
  if (estimator_.kind == RangeKind::ema) {
    throw InputError(
        "observer: expected a range that can be merged, found ema, which depends on "
        "the order of batches");
  }
  statistics_.merge(other.statistics_);
}

Range Observer::range(const GridNeed& need) const {
  const Range all = statistics_.min_max();  // refuses where nothing was seen
  switch (estimator_.kind) {
    case RangeKind::minmax:
      break;
    case RangeKind::ema:
      return average_;
    case RangeKind::sigma:
      return sigma_of(statistics_.mean(), std::sqrt(statistics_.variance()), estimator_.parameter);
    case RangeKind::cover: {
      const auto [lower, upper] = cover_probabilities(estimator_.parameter, coverage_);
      return {statistics_.quantile(lower).value, statistics_.quantile(upper).value};
    }
    case RangeKind::mse:
      return mse_range(statistics_.bins(), need);
    case RangeKind::kl:
      return kl_range(statistics_.bins(), need);
  }
  return all;
}

std::vector<std::uint8_t> Observer::serialize() const {
  ByteWriter out;
  out.put(kMagic);
  out.put(static_cast<std::uint8_t>(estimator_.kind));
  out.put(std::bit_cast<std::uint64_t>(estimator_.parameter));
  out.put(static_cast<std::uint8_t>(coverage_));
  out.put(static_cast<std::uint8_t>(policy_));
  out.put(std::bit_cast<std::uint32_t>(average_.min));
  out.put(std::bit_cast<std::uint32_t>(average_.max));
  out.put(std::span<const std::uint8_t>(statistics_.serialize()));
  return out.take();
}

Observer Observer::deserialize(std::span<const std::uint8_t> bytes) {
  ByteReader in(bytes, "observer");
  const auto magic = in.get<std::uint32_t>();
  const auto kind = in.get<std::uint8_t>();
  const auto parameter = std::bit_cast<double>(in.get<std::uint64_t>());
  const auto coverage = in.get<std::uint8_t>();
  const auto policy = in.get<std::uint8_t>();
  Range average;
  average.min = std::bit_cast<float>(in.get<std::uint32_t>());
  average.max = std::bit_cast<float>(in.get<std::uint32_t>());
  if (magic != kMagic || kind >= range_estimators().size() || coverage > 1 || policy > 2 ||
      !std::isfinite(average.min) || !(average.max >= average.min) || !std::isfinite(average.max)) {
    throw InputError("observer: expected bytes that serialize() wrote, found others");
  }
  const RangeEstimator written{static_cast<RangeKind>(kind), parameter};
  // Reading its own text checks the parameter's limits.
  Observer observer(parse_range_estimator(to_string(written)), static_cast<Coverage>(coverage),
                    static_cast<NonFinite>(policy));
  observer.average_ = average;
  observer.statistics_ = StreamStatistics::deserialize(in.rest());
  return observer;
}

}  // namespace zeropoint
