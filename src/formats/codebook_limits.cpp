// Tables in which a number's code is found: limits between levels, as words, trees and buckets.
#include "formats/codebook_limits.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace zeropoint {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The largest float that is not nearer to `high` than to `low`: a float is nearer exactly if it is
// above.
float limit_between(float low, float high) {
  const double sum = double{low} + high;
  // What rounding the sum took from it (Knuth's TwoSum), where exponents are far apart.
  const double part = sum - low;
  const double error = (low - (sum - part)) + (high - part);
  const double middle = sum / 2;
  auto limit = static_cast<float>(middle);
  if (limit > middle || (limit == middle && error < 0)) {
    limit = std::nextafter(limit, -kInfinity);
  }
  return limit;
}

// Some words are left at either end, so that what is clipped is told apart.
float margin_of(int most) { return static_cast<float>(most / 256); }

WordLine straight_line(const Limits& limits, float reach, int most) {
  WordLine line;
  line.factor = (static_cast<float>(most) - 2 * margin_of(most)) / reach;
  line.offset = margin_of(most) - limits.limits[0] * line.factor;
  return line;
}

// Steeper between the limits that have so many beyond them: each side gets the words that its
// number of limits asks for.
WordLine bent_line(const Limits& limits, std::size_t beyond, int most) {
  const std::size_t last = limits.count - 1;
  const float low = limits.limits[beyond], high = limits.limits[last - beyond];
  const float share = static_cast<float>(last - 2 * beyond) / static_cast<float>(last);
  const float words = static_cast<float>(most) - 2 * margin_of(most);
  const float tails = limits.limits[last] - limits.limits[0] - (high - low);
  WordLine line;
  line.is_bent = true;
  line.factor = share * words / (high - low);
  line.tail_factor = (1 - share) * words / tails;
  line.lower = margin_of(most) - limits.limits[0] * line.tail_factor;
  const float bend = line.factor - line.tail_factor;
  line.offset = line.lower - low * bend;
  line.upper = line.offset + high * bend;
  // Otherwise it would be bent the other way.
  if (!(bend > 0 && line.upper >= line.lower)) line.factor = 0;
  return line;
}

// Limits as words up to `most`, if they are far enough apart for that.
bool place_limits(const Limits& limits, const WordLine& line, int most, std::uint16_t* keys) {
  if (!std::isnormal(line.factor) || !std::isfinite(line.offset)) return false;
  if (line.is_bent && !(std::isnormal(line.tail_factor) && std::isfinite(line.upper))) return false;
  for (std::size_t k = 0; k < limits.count; ++k) {
    const float limit = limits.limits[k];
    float word = std::fma(limit, line.factor, line.offset);
    if (line.is_bent) {
      word = std::min(word, std::fma(limit, line.tail_factor, line.upper));
      word = std::max(word, std::fma(limit, line.tail_factor, line.lower));
    }
    // Rounding may have moved them anywhere, if the limits are far from 0.
    if (!(word >= 1 && word < static_cast<float>(most))) return false;
    keys[k] = static_cast<std::uint16_t>(std::lrint(word));
    constexpr int kApart = 2;
    if (k > 0 && keys[k] < keys[k - 1] + kApart) return false;
  }
  return true;
}

// The most limits whose words are the same but for so many lower bits.
int most_together(const std::uint16_t* keys, std::size_t count, int lower) {
  int most = 0, here = 0;
  for (std::size_t k = 0; k < count; ++k) {
    here = k > 0 && keys[k] >> lower == keys[k - 1] >> lower ? here + 1 : 1;
    most = std::max(most, here);
  }
  return most;
}

// How many of 64 numbers have a limit's word, if each code has as many numbers.
float unsure_of_64(const std::uint16_t* keys, std::size_t count) {
  float sum = 1;
  for (std::size_t k = 1; k < count; ++k) sum += 1 / static_cast<float>(keys[k] - keys[k - 1]);
  return 64 * sum / static_cast<float>(count + 1);
}

// Calls attempt(line) for lines that are worth it.
template <class Attempt>
void try_lines(const Limits& limits, float reach, int most, bool bends, const Attempt& attempt) {
  attempt(straight_line(limits, reach, most));
  for (std::size_t part = 1; bends && part <= 6; ++part) {
    const std::size_t beyond = limits.count * part / 16;
    if (beyond > 0) attempt(bent_line(limits, beyond, most));
  }
}

// Of the widths of an upper byte, and of lines, what takes the fewest steps: how many.
float fill_bytes(const Limits& limits, float reach, const SearchSteps& steps, ByteKeys& bytes) {
  std::uint16_t best[kMostLevels], keys[kMostLevels];
  float least = std::numeric_limits<float>::max();
  for (int bits = ByteKeys::kLeastPartBits; bits <= ByteKeys::kMostPartBits; ++bits) {
    const SearchSteps::Width& width = steps.widths[bits - ByteKeys::kLeastPartBits];
    if (width.most_in_a_part == 0) continue;
    const int most = (1 << (8 + bits)) - 2;
    try_lines(limits, reach, most, bits == 8, [&](const WordLine& line) {
      if (!place_limits(limits, line, most, keys)) return;
      const int together = most_together(keys, limits.count, 8);
      if (together > width.most_in_a_part) return;
      const auto compared = static_cast<float>(together);
      const float taken = (compared + 1) * width.lookup + steps.compare * compared +
                          steps.again * unsure_of_64(keys, limits.count) +
                          (line.is_bent ? steps.bend : 0);
      if (taken >= least) return;
      least = taken;
      bytes.part_bits = bits;
      bytes.in_a_part = together;
      bytes.line = line;
      bytes.most = most;
      std::copy_n(keys, limits.count, best);
    });
  }
  if (bytes.part_bits == 0) return least;
  for (auto& own : bytes.own) std::ranges::fill(own, std::uint8_t{255});
  std::size_t next = 0;
  for (std::size_t part = 0; part < std::size(bytes.below); ++part) {
    bytes.below[part] = static_cast<std::uint8_t>(next);
    for (int k = 0; next < limits.count && std::size_t{best[next]} >> 8 == part; ++k) {
      bytes.own[k][part] = static_cast<std::uint8_t>(best[next++] & 255);
    }
    bytes.words[0][part] =
        static_cast<std::uint16_t>(~(256 * bytes.below[part] + 255 - bytes.own[0][part]));
    for (int k = 1; k < ByteKeys::kMostInAPart; ++k) bytes.words[k][part] = bytes.own[k][part];
  }
  return least;
}

// Alike, if that takes fewer than `least`.
void fill_table(const Limits& limits, float reach, const SearchSteps& steps, float least,
                TableKeys& table) {
  if (steps.table == 0) return;
  std::uint16_t best[kMostLevels], keys[kMostLevels];
  for (int bits = TableKeys::kLeastPartBits; bits <= TableKeys::kMostPartBits; ++bits) {
    try_lines(limits, reach, TableKeys::kMost, true, [&](const WordLine& line) {
      if (!place_limits(limits, line, TableKeys::kMost, keys)) return;
      if (most_together(keys, limits.count, 16 - bits) > 1) return;
      // A larger one leaves less of the first cache.
      const auto larger = static_cast<float>(bits - TableKeys::kLeastPartBits);
      const float taken = steps.table + larger + steps.again * unsure_of_64(keys, limits.count) +
                          (line.is_bent ? steps.bend : 0);
      if (taken >= least) return;
      least = taken;
      table.part_bits = bits;
      table.line = line;
      std::copy_n(keys, limits.count, best);
    });
  }
  if (table.part_bits == 0) return;
  const int lower = 16 - table.part_bits;
  const unsigned all = (1U << lower) - 1;
  table.entries[0] = 0;
  std::size_t next = 0;
  for (std::size_t part = 0; part >> table.part_bits == 0; ++part) {
    std::uint64_t& entry = table.entries[1 + part];
    entry = std::uint64_t{next} << (lower + 1);
    if (next < limits.count && std::size_t{best[next]} >> lower == part) {
      entry += 2 * (all - (best[next++] & all)) + 1;
    }
  }
}

// Floats in their order, both zeros as one.
std::int64_t rank_of(float x) {
  const auto bits = std::bit_cast<std::int32_t>(x);
  return bits < 0 ? -std::int64_t{bits & std::numeric_limits<std::int32_t>::max()} : bits;
}
float of_rank(std::int64_t rank) {
  const auto bits = static_cast<std::uint32_t>(std::abs(rank));
  return std::bit_cast<float>(rank < 0 ? bits | 0x80000000U : bits);
}

// By ways of search that any limits allow.
void fill_tree(Limits& limits) {
  limits.bits = std::max(4, static_cast<int>(std::bit_width(limits.count)));
  for (std::size_t node = 1; node >> limits.bits == 0; ++node) {
    const int bit = static_cast<int>(std::bit_width(node)) - 1;
    const std::size_t value = node - (std::size_t{1} << bit);
    const std::size_t half = std::size_t{1} << (limits.bits - bit - 1);
    limits.tree[node] = limits.limits[2 * half * value + half - 1];
  }
}
void fill_buckets(Limits& limits) {
  limits.in_a_bucket = static_cast<int>(limits.count);
  if (!std::isfinite(limits.limits[0])) return;  // finite numbers are all above it
  limits.in_a_bucket = 0;
  limits.origin = limits.limits[0];
  const double all = double{limits.limits[limits.count - 1]} - limits.origin;
  limits.factor = static_cast<float>((kBuckets - 1) / std::max(all, 1e-30));
  // As the loop places numbers: in order, so that limits in other buckets need no comparison.
  std::array<std::uint8_t, kBuckets> inside{};
  for (std::size_t k = 0; k < limits.count; ++k) {
    const float place = (limits.limits[k] - limits.origin) * limits.factor;
    ++inside[static_cast<std::size_t>(std::clamp<float>(place, 0, kBuckets - 1))];
  }
  std::uint32_t below = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    limits.buckets[bucket] = {limits.limits[below], below};
    below += inside[bucket];
    limits.in_a_bucket = std::max<int>(limits.in_a_bucket, inside[bucket]);
  }
}

}  // namespace

float largest_within(float limit, float scale) {
  if (scale == 1) return limit;
  const std::int64_t most = rank_of(kInfinity);  // above any limit, as −infinity is above none
  const auto is_within = [&](std::int64_t rank) { return of_rank(rank) / scale <= limit; };
  // Beginning nearby, steps are doubled, then halved.
  std::int64_t within = std::min(rank_of(limit * scale), most - 1);
  std::int64_t above = within;
  if (is_within(within)) {
    for (std::int64_t step = 1; is_within(above); step *= 2) {
      within = above;
      above = std::min(above + step, most);
    }
  } else {
    for (std::int64_t step = 1; !is_within(within); step *= 2) {
      above = within;
      within = std::max(within - step, -most);
    }
  }
  while (above - within > 1) {
    const std::int64_t middle = (within + above) / 2;
    (is_within(middle) ? within : above) = middle;
  }
  return of_rank(within);
}

void fill_limits(const std::vector<float>& levels, float scale, const SearchSteps& steps,
                 Limits& limits) {
  limits.count = levels.size() - 1;
  std::ranges::fill(limits.limits, kInfinity);  // nothing is above it
  for (std::size_t k = 0; k < limits.count; ++k) {
    limits.limits[k] = largest_within(limit_between(levels[k], levels[k + 1]), scale);
  }
  if (limits.count > 0) {
    const float reach = limits.count == 1 ? levels.back() * scale - levels.front() * scale
                                          : limits.limits[limits.count - 1] - limits.limits[0];
    const float least = fill_bytes(limits, reach, steps, limits.bytes);
    fill_table(limits, reach, steps, least, limits.table);
    if (limits.bytes.part_bits != 0 || limits.table.part_bits != 0) return;
  }
  fill_tree(limits);
  if (limits.count > kFewLimits) fill_buckets(limits);
}

}  // namespace zeropoint
