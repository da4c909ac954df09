#include "zeropoint/ranges/order_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/ranges/range.hpp"

#include "ranges/extremes.hpp"
#include "ranges/sample.hpp"
#include "ranges/scan.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kBins = 1 << 16;
constexpr std::size_t kGrain = 1 << 20;
constexpr std::size_t kBinsAtOnce = 32;  // 8 MiB of counters a thread, and 16 MiB for their sum

constexpr std::size_t kSelected = 4096;  // so few are copied and selected from directly
constexpr std::size_t kScanGrain = 1 << 18;
constexpr std::size_t kScanned = 4096;      // at a time, so that they stay in the nearest cache
constexpr std::size_t kMostBrackets = 8;    // more may take longer than counting
constexpr std::size_t kMostKept = 1 << 22;  // values inside of brackets: 16 MiB

/// A rank that is asked for, and the place of its answer.
struct Target {
  std::size_t rank;
  std::size_t output;
};

// The upper half of a key, from 0.
std::uint32_t bin_of(std::int32_t key) {
  return (static_cast<std::uint32_t>(key) ^ 0x80000000U) >> 16;
}

// Adds up what `count(begin, end, histogram)` counts over all values, one histogram a piece.
template <class Count>
std::vector<std::uint64_t> histogram(std::size_t size, std::size_t bins, const Count& count) {
  std::vector<std::uint64_t> total(bins, 0);
  std::mutex mutex;
  const std::size_t grain = std::min(std::max(kGrain, size / 64 + 1), std::size_t{1} << 31);
  parallel_for(size, grain, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> mine(bins, 0);
    count(begin, end, mine);
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < bins; ++i) total[i] += mine[i];
  });
  return total;
}

// Answers by counting, whatever the data: first the upper half of the keys, then the lower half of
// those that share an upper half with a target.
void count(std::span<const float> values, std::span<const Target> targets,
           std::vector<float>& result, std::string_view what) {
  const auto upper =
      histogram(values.size(), kBins,
                [&](std::size_t begin, std::size_t end, std::vector<std::uint32_t>& counts) {
                  for (std::size_t i = begin; i < end; ++i) ++counts[bin_of(order_key(values[i]))];
                });
  // NaN and infinity have an exponent of ones: the outermost 128 bins on either side.
  for (std::size_t bin = 0; bin < 128; ++bin) {
    if (upper[bin] + upper[kBins - 1 - bin] > 0) check_finite(values, what);
  }

  // Which bin holds each rank, and how many values lie below that bin.
  struct Placed {
    std::uint32_t bin = 0;
    std::uint64_t below = 0;
  };
  std::vector<Placed> placed;
  std::vector<std::int32_t> slot_of(kBins, -1);
  std::vector<std::uint32_t> wanted;
  std::uint64_t below = 0;
  std::uint32_t bin = 0;
  for (const auto& target : targets) {
    while (below + upper[bin] <= target.rank) below += upper[bin++];
    placed.push_back({bin, below});
    if (slot_of[bin] < 0) {
      slot_of[bin] = static_cast<std::int32_t>(wanted.size());
      wanted.push_back(bin);
    }
  }

  // Then the lower half of the key, for the values in those bins: as many bins in a pass as fit the
  // counters.
  std::size_t next = 0;
  for (std::size_t first = 0; first < wanted.size(); first += kBinsAtOnce) {
    const std::size_t slots = std::min(kBinsAtOnce, wanted.size() - first);
    const auto lower =
        histogram(values.size(), slots * kBins,
                  [&](std::size_t begin, std::size_t end, std::vector<std::uint32_t>& counts) {
                    for (std::size_t i = begin; i < end; ++i) {
                      const auto key = order_key(values[i]);
                      const auto slot = static_cast<std::size_t>(slot_of[bin_of(key)]) - first;
                      if (slot < slots) ++counts[slot * kBins + (key & 0xFFFF)];
                    }
                  });
    for (; next < targets.size(); ++next) {
      const auto slot = static_cast<std::size_t>(slot_of[placed[next].bin]) - first;
      if (slot >= slots) break;
      std::uint64_t seen = placed[next].below;
      std::uint32_t low = 0;
      while (seen + lower[slot * kBins + low] <= targets[next].rank) {
        seen += lower[slot * kBins + low++];
      }
      const auto key = ((placed[next].bin << 16) | low) ^ 0x80000000U;
      result[targets[next].output] = value_of(static_cast<std::int32_t>(key));
    }
  }
}

// Answers from a copy of the keys: for few of them.
void select_directly(std::span<const float> values, std::span<const Target> targets,
                     std::vector<float>& result) {
  std::vector<std::int32_t> keys(values.size());
  std::ranges::transform(values, keys.begin(), order_key);
  if (targets.size() > 8) std::ranges::sort(keys);
  auto from = keys.begin();
  for (const auto& target : targets) {
    const auto at = keys.begin() + static_cast<std::ptrdiff_t>(target.rank);
    if (targets.size() <= 8 && at >= from) {
      std::nth_element(from, at, keys.end());
      from = at + 1;
    }
    result[target.output] = value_of(*at);
  }
}

/// A bracket that holds the answers of some targets, if the sample did not mislead.
struct Guess {
  Bracket bracket;
  std::span<const Target> targets;
  std::size_t expected;  // how many values it holds
};

// Brackets in which the targets lie, by a sample of the values; none where counting is as fast.
// Nothing but the time depends on the sample's luck: where the values lie is counted.
std::vector<Guess> guess_brackets(std::span<const float> values, std::span<const Target> targets) {
  const auto n = static_cast<double>(values.size());
  const std::size_t size = sample_size(values.size(), targets.size());
  // Four standard deviations of the rank in the sample, and some for the tails, where it is no
  // normal variable: one rank in 10^4 is missed.
  struct Places {
    std::ptrdiff_t lo, hi;
    std::size_t first, last;
  };
  std::vector<Places> all;
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const double p = (static_cast<double>(targets[t].rank) + 0.5) / n;
    const double center = p * static_cast<double>(size);
    const double reach = 4 * std::sqrt(center * (1 - p)) + 8;
    const auto lo = static_cast<std::ptrdiff_t>(std::floor(center - reach));
    const auto hi = static_cast<std::ptrdiff_t>(std::ceil(center + reach));
    if (!all.empty() && lo <= all.back().hi) {
      all.back().hi = hi;
      all.back().last = t + 1;
    } else {
      all.push_back({lo, hi, t, t + 1});
    }
  }
  std::ptrdiff_t expected = 0;
  for (const auto& places : all) expected += places.hi - places.lo;
  const double kept = static_cast<double>(expected) / static_cast<double>(size) * n;
  if (all.size() > kMostBrackets || kept > std::min<double>(kMostKept, n / 5)) return {};

  std::vector<std::int32_t> sample(size);
  for (std::size_t i = 0; i < size; ++i) {
    sample[i] = order_key(values[sample_place(i, size, values.size())]);
  }

  std::vector<Guess> guesses;
  std::ptrdiff_t done = 0;  // the sample is in order up to here
  const auto sorted = [&](std::ptrdiff_t place) {
    if (place >= done) {
      std::nth_element(sample.begin() + done, sample.begin() + place, sample.end());
      done = place + 1;
    }
    return sample[static_cast<std::size_t>(place)];
  };
  for (const auto& [lo, hi, first, last] : all) {
    Guess guess{
        {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()},
        targets.subspan(first, last - first),
        0};
    if (lo >= 0) guess.bracket.lo = sorted(lo);
    if (hi < static_cast<std::ptrdiff_t>(size)) guess.bracket.hi = sorted(hi);
    guess.expected =
        static_cast<std::size_t>(static_cast<double>(hi - lo) / static_cast<double>(size) * n);
    guesses.push_back(guess);
  }
  return guesses;
}

/// What one pass found for a bracket.
struct Held {
  std::vector<float> inside;
  std::size_t at_most_lower = 0;
};

// Sorts all values out by the brackets; empty if more lie inside than may be kept. Throws if a
// value is not finite.
std::vector<Held> scan_brackets(std::span<const float> values, std::span<const Guess> guesses,
                                std::string_view what) {
  const auto scan = bracket_scan();
  std::vector<Held> held(guesses.size());
  std::size_t expected = 0;
  for (std::size_t g = 0; g < guesses.size(); ++g) {
    expected += guesses[g].expected;
    held[g].inside.reserve(guesses[g].expected + guesses[g].expected / 4);
  }
  const std::size_t most = std::min({kMostKept, 2 * expected + kScanned, values.size() / 4 * 3});
  std::size_t kept = 0;
  bool finite = true;
  std::mutex mutex;
  parallel_for(values.size(), kScanGrain, [&](std::size_t begin, std::size_t end) {
    std::vector<Held> mine(guesses.size());
    std::vector<float> found_inside(2 * (kScanned + kScanSlack));
    std::size_t mine_kept = 0;
    bool all_finite = true;
    for (std::size_t from = begin; from < end && mine_kept <= most; from += kScanned) {
      const std::size_t length = std::min(kScanned, end - from);
      for (std::size_t g = 0; g < guesses.size(); g += 2) {
        const bool two = g + 1 < guesses.size();
        const Bracket brackets[2] = {guesses[g].bracket, guesses[two ? g + 1 : g].bracket};
        Found found[2] = {{found_inside.data(), 0, 0},
                          {found_inside.data() + kScanned + kScanSlack, 0, 0}};
        all_finite = scan(values.data() + from, length, brackets, found) && all_finite;
        for (std::size_t b = 0; b < (two ? 2U : 1U); ++b) {
          auto& [inside, at_most_lower] = mine[g + b];
          inside.insert(inside.end(), found[b].inside, found[b].inside + found[b].count);
          at_most_lower += found[b].at_most_lower;
          mine_kept += found[b].count;
        }
      }
    }
    const std::lock_guard lock(mutex);
    finite = finite && all_finite;
    kept += mine_kept;
    if (kept > most) return;
    for (std::size_t g = 0; g < guesses.size(); ++g) {
      held[g].at_most_lower += mine[g].at_most_lower;
      held[g].inside.insert(held[g].inside.end(), mine[g].inside.begin(), mine[g].inside.end());
    }
  });
  if (!finite) check_finite(values, what);
  if (kept > most) held.clear();
  return held;
}

// Answers the targets, which are sorted by rank.
void select(std::span<const float> values, std::span<const Target> targets,
            std::vector<float>& result, std::string_view what) {
  if (values.size() <= kSelected) {
    check_finite(values, what);
    return select_directly(values, targets, result);
  }
  const auto guesses = guess_brackets(values, targets);
  if (guesses.empty()) return count(values, targets, result, what);
  const auto held = scan_brackets(values, guesses, what);
  if (held.empty()) return count(values, targets, result, what);

  // What lies inside of a bracket is selected from there.
  std::vector<Target> outside;
  std::vector<Guess> ends;
  for (std::size_t g = 0; g < guesses.size(); ++g) {
    const auto& [bracket, of_bracket, unused] = guesses[g];
    const std::size_t begin = held[g].at_most_lower;
    const std::size_t end = begin + held[g].inside.size();
    const auto first = std::ranges::lower_bound(of_bracket, begin, {}, &Target::rank);
    const auto last = std::ranges::lower_bound(of_bracket, end, {}, &Target::rank);
    if (first != last) {
      std::vector<Target> inside(first, last);
      for (auto& target : inside) target.rank -= begin;
      select(held[g].inside, inside, result, what);
    }
    // No key lies between those below, so that these scans only count.
    if (first != of_bracket.begin()) {
      ends.push_back({{bracket.lo - 1, bracket.lo}, {of_bracket.begin(), first}, 0});
    }
    if (last != of_bracket.end()) {
      ends.push_back({{bracket.hi, bracket.hi}, {last, of_bracket.end()}, 0});
    }
  }
  if (ends.empty()) return;

  // What does not has the key of one of its ends, which may stand for many values: the end's own
  // ranks are counted. Or else the sample misled.
  const auto counted = scan_brackets(values, ends, what);
  for (std::size_t e = 0; e < ends.size(); ++e) {
    const auto& [bracket, of_end, unused] = ends[e];
    const bool is_lower = bracket.lo != bracket.hi;
    for (const auto& target : of_end) {
      if ((target.rank >= counted[e].at_most_lower) == is_lower) {
        result[target.output] = value_of(bracket.hi);
      } else {
        outside.push_back(target);
      }
    }
  }
  if (!outside.empty()) count(values, outside, result, what);
}

}  // namespace

void check_finite(std::span<const float> values, std::string_view what) {
  if (values.empty() || find_extremes(values).finite) return;
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

  std::vector<Target> targets;
  for (std::size_t i = 0; i < ranks.size(); ++i) targets.push_back({ranks[i], i});
  std::ranges::sort(targets, {}, &Target::rank);
  std::vector<float> result(ranks.size());
  select(values, targets, result, what);
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
