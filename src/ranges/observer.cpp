#include "zeropoint/ranges/observer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "ranges/byte_stream.hpp"
#include "ranges/sigma.hpp"

namespace zeropoint {
namespace {

constexpr std::uint32_t kMagic = 0x325A424F;  // "OBZ2"

StreamParts parts_for(RangeKind kind) {
  switch (kind) {
    case RangeKind::minmax:
    case RangeKind::ema:
      break;
    case RangeKind::sigma:
      return StreamParts::moments;
    case RangeKind::cover:
    case RangeKind::mse:
    case RangeKind::kl:
      return StreamParts::bins;
  }
  return StreamParts::extremes;
}

// PyTorch's rule, in float32 as there: average + c·(seen − average). Where that overflows, in
// float64.
float moved(float average, float seen, double c) {
  const float there = average + static_cast<float>(c) * (seen - average);
  if (std::isfinite(there)) return there;
  return static_cast<float>(average + c * (double{seen} - average));
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
    std::vector<float> sorted(values.begin(), values.end());
    std::ranges::sort(sorted);
    weighted.reserve(sorted.size());
    for (const float x : sorted) weighted.push_back({x, x, 1});
  } else {
    StreamStatistics statistics(StreamParts::bins);
    statistics.observe(values, what);
    weighted = statistics.bins();
  }
  return estimator.kind == RangeKind::mse ? mse_range(weighted, need) : kl_range(weighted, need);
}

Observer::Observer(RangeEstimator estimator, Coverage coverage, NonFinite policy)
    : estimator_(estimator),
      coverage_(coverage),
      policy_(policy),
      statistics_(parts_for(estimator.kind)) {
  check_range_estimator(estimator);
}

void Observer::observe(std::span<const float> batch, std::string_view what) {
  if (estimator_.kind != RangeKind::ema) return statistics_.observe(batch, what, policy_);
  StreamStatistics of_batch(StreamParts::extremes);
  of_batch.observe(batch, what, policy_);
  if (of_batch.count() == 0) return;
  const Range seen = of_batch.min_max();
  if (count() == 0) {
    average_ = seen;
  } else {
    average_.min = moved(average_.min, seen.min, estimator_.parameter);
    // Rounding may turn around two ends that are a bit apart.
    average_.max = std::max(moved(average_.max, seen.max, estimator_.parameter), average_.min);
  }
  statistics_.merge(of_batch);
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
      return sigma_range(statistics_.moments(), estimator_.parameter);
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
  return out.take_with_checksum();
}

Observer Observer::deserialize(std::span<const std::uint8_t> bytes) {
  ByteReader in = ByteReader::checked(bytes, "observer");
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
  Observer observer({static_cast<RangeKind>(kind), parameter}, static_cast<Coverage>(coverage),
                    static_cast<NonFinite>(policy));
  observer.average_ = average;
  observer.statistics_ = StreamStatistics::deserialize(in.rest());
  if (observer.statistics_.parts() != parts_for(observer.estimator_.kind)) {
    throw InputError("observer: expected what its range needs, found other parts of a stream");
  }
  return observer;
}

}  // namespace zeropoint
