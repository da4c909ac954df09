#include "zeropoint/ranges/order_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <mutex>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kBins = 1 << 16;
constexpr std::size_t kGrain = 1 << 20;
constexpr std::size_t kBinsAtOnce = 32;  // 16 MiB of counters a thread, and as many for their sum

// Maps a float to an unsigned integer of the same order: negative numbers have all bits flipped,
// others the sign bit.
std::uint32_t key_of(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return bits ^ ((bits & 0x80000000U) != 0 ? 0xFFFFFFFFU : 0x80000000U);
}

float value_of(std::uint32_t key) {
  return std::bit_cast<float>(key ^ ((key & 0x80000000U) != 0 ? 0x80000000U : 0xFFFFFFFFU));
}

// Adds up what `count(begin, end, histogram)` counts over all values, one histogram a piece.
template <class Count>
std::vector<std::uint64_t> histogram(std::size_t size, std::size_t bins, const Count& count) {
  std::vector<std::uint64_t> total(bins, 0);
  std::mutex mutex;
  parallel_for(size, std::max(kGrain, size / 64 + 1), [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint64_t> mine(bins, 0);
    count(begin, end, mine);
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < bins; ++i) total[i] += mine[i];
  });
  return total;
}

}  // namespace

void check_finite(std::span<const float> values, std::string_view what) {
  const auto finite = [](float x) {
    return (std::bit_cast<std::uint32_t>(x) & 0x7F800000U) != 0x7F800000U;
  };
  const auto bad = std::find_if_not(values.begin(), values.end(), finite);
  if (bad != values.end()) {
    throw InputError(fmt::format("{}: expected finite numbers, found {} at index {}", what, *bad,
                                 bad - values.begin()));
  }
}

std::vector<float> order_statistics(std::span<const float> values,
                                    std::span<const std::size_t> ranks, std::string_view what) {
  for (const auto rank : ranks) {
    if (rank >= values.size()) {
      throw InputError(fmt::format("{}: expected a rank below the {} elements, found {}", what,
                                   values.size(), rank));
    }
  }
  if (ranks.empty()) return {};

  // First pass: how many values have each upper half of the key.
  const auto upper =
      histogram(values.size(), kBins,
                [&](std::size_t begin, std::size_t end, std::vector<std::uint64_t>& counts) {
                  for (std::size_t i = begin; i < end; ++i) ++counts[key_of(values[i]) >> 16];
                });
  // NaN and infinity have an exponent of ones: the outermost 128 bins on either side.
  for (std::size_t bin = 0; bin < 128; ++bin) {
    if (upper[bin] + upper[kBins - 1 - bin] > 0) check_finite(values, what);
  }

  // Which bin holds each rank, and how many values lie below that bin.
  struct Target {
    std::size_t rank, output;
    std::uint32_t bin = 0;
    std::uint64_t below = 0;
  };
  std::vector<Target> targets;
  for (std::size_t i = 0; i < ranks.size(); ++i) targets.push_back({ranks[i], i});
  std::ranges::sort(targets, {}, &Target::rank);
  std::vector<std::int32_t> slot_of(kBins, -1);
  std::vector<std::uint32_t> wanted;
  std::uint64_t below = 0;
  std::uint32_t bin = 0;
  for (auto& target : targets) {
    while (below + upper[bin] <= target.rank) below += upper[bin++];
    target.bin = bin;
    target.below = below;
    if (slot_of[bin] < 0) {
      slot_of[bin] = static_cast<std::int32_t>(wanted.size());
      wanted.push_back(bin);
    }
  }

  // Then the lower half of the key, for the values in those bins: as many bins in a pass as fit the
  // counters.
  std::vector<float> result(ranks.size());
  auto target = targets.begin();
  for (std::size_t first = 0; first < wanted.size(); first += kBinsAtOnce) {
    const std::size_t count = std::min(kBinsAtOnce, wanted.size() - first);
    const auto lower =
        histogram(values.size(), count * kBins,
                  [&](std::size_t begin, std::size_t end, std::vector<std::uint64_t>& counts) {
                    for (std::size_t i = begin; i < end; ++i) {
                      const auto key = key_of(values[i]);
                      const auto slot = static_cast<std::size_t>(slot_of[key >> 16]) - first;
                      if (slot < count) ++counts[slot * kBins + (key & 0xFFFFU)];
                    }
                  });
    for (; target != targets.end(); ++target) {
      const auto slot = static_cast<std::size_t>(slot_of[target->bin]) - first;
      if (slot >= count) break;
      std::uint64_t seen = target->below;
      std::uint32_t low = 0;
      while (seen + lower[slot * kBins + low] <= target->rank) seen += lower[slot * kBins + low++];
      result[target->output] = value_of((target->bin << 16) | low);
    }
  }
  return result;
}

std::vector<float> quantiles(std::span<const float> values, std::span<const double> probabilities,
                             std::string_view what) {
  if (values.empty()) {
    throw InputError(fmt::format("{}: expected at least one element, found none", what));
  }
  std::vector<std::size_t> ranks;
  std::vector<double> weights;
  for (const double p : probabilities) {
    if (!(p >= 0 && p <= 1)) {
      throw InputError(fmt::format("{}: expected a probability in [0, 1], found {}", what, p));
    }
    const double rank = p * static_cast<double>(values.size() - 1);
    const auto floor = static_cast<std::size_t>(rank);
    ranks.push_back(floor);
    ranks.push_back(std::min(floor + 1, values.size() - 1));
    weights.push_back(rank - static_cast<double>(floor));
  }
  const auto found = order_statistics(values, ranks, what);
  std::vector<float> result;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double below = found[2 * i];
    const double above = found[2 * i + 1];
    result.push_back(static_cast<float>(below + (above - below) * weights[i]));
  }
  return result;
}

}  // namespace zeropoint
