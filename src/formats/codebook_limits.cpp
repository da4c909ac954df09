// Tables in which a number's code is found: limits between levels, as trees, words and buckets.
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

// Parts words by their upper bits, where that takes fewer steps than a tree.
void fill_parts(const Limits& limits, WordKeys& words) {
  constexpr int kLookup[] = {1, 1, 3, 7};        // steps, among so many parts
  constexpr int kTree[] = {20, 24, 28, 36, 48};  // of 4 to 8 bits
  int least = kTree[limits.bits - 4];
  for (int bits = 5; bits <= WordKeys::kMostPartBits; ++bits) {
    const int together = most_together(words.keys, limits.count, 16 - bits);
    const int steps = (together + 1) * kLookup[bits - 5] + 4 * together;
    if (together > WordKeys::kMostInAPart || steps >= least) continue;
    least = steps;
    words.part_bits = bits;
    words.in_a_part = together;
  }
  if (words.part_bits == 0) return;
  for (auto& own : words.own) {
    std::ranges::fill(own, static_cast<std::uint16_t>(WordKeys::kMost + 1));
  }
  std::size_t next = 0;
  for (std::size_t part = 0; part >> words.part_bits == 0; ++part) {
    words.below[part] = static_cast<std::uint16_t>(next);
    for (int k = 0;
         next < limits.count && std::size_t{words.keys[next]} >> (16 - words.part_bits) == part;
         ++k) {
      words.own[k][part] = words.keys[next++];
    }
  }
}

// Of limits that are all there, as `bits` are.
void fill_words(const Limits& limits, float reach, WordKeys& words) {
  std::ranges::fill(words.keys, static_cast<std::uint16_t>(WordKeys::kMost + 1));
  words.line = straight_line(limits, reach, WordKeys::kMost);
  if (!place_limits(limits, words.line, WordKeys::kMost, words.keys)) return;
  const int first = std::min(limits.bits, 5);
  for (int bit = 0; bit < first; ++bit) {
    const int half = 1 << (first - 1 - bit);
    for (int value = 0; value + half < 1 << first; ++value) {
      words.first[bit][value] = words.keys[((value + half) << (limits.bits - first)) - 1];
    }
  }
  for (std::size_t node = 32; node >> limits.bits == 0; ++node) {
    const int bit = static_cast<int>(std::bit_width(node)) - 1;
    const std::size_t value = node - (std::size_t{1} << bit);
    const std::size_t half = std::size_t{1} << (limits.bits - bit - 1);
    words.rest[node] = words.keys[2 * half * value + half - 1];
  }
  words.usable = true;
  fill_parts(limits, words);
}

// How many of 64 numbers have a limit's word, if each code has as many numbers.
float unsure_of_64(const std::uint16_t* keys, std::size_t count) {
  float sum = 1;
  for (std::size_t k = 1; k < count; ++k) sum += 1 / static_cast<float>(keys[k] - keys[k - 1]);
  return 64 * sum / static_cast<float>(count + 1);
}

// Of the widths of an upper byte, and of lines, what takes the fewest steps.
void fill_bytes(const Limits& limits, float reach, ByteKeys& bytes) {
  std::uint16_t best[kMostLevels], keys[kMostLevels];
  float least = std::numeric_limits<float>::max();
  const auto attempt = [&](int bits, int most, const WordLine& line) {
    if (!place_limits(limits, line, most, keys)) return;
    const int together = most_together(keys, limits.count, 8);
    if (together > ByteKeys::kMostInAPart) return;
    constexpr float kLookup[] = {1, 1, 3}, kBend = 6, kAgain = 12;
    const auto compared = static_cast<float>(together);
    const float steps = (compared + 1) * kLookup[bits - 6] + 3 * compared +
                        kAgain * unsure_of_64(keys, limits.count) + (line.is_bent ? kBend : 0);
    if (steps >= least) return;
    least = steps;
    bytes.part_bits = bits;
    bytes.in_a_part = together;
    bytes.line = line;
    bytes.most = most;
    std::copy_n(keys, limits.count, best);
  };
  for (int bits = 6; bits <= 8; ++bits) {
    const int most = (1 << (8 + bits)) - 2;
    attempt(bits, most, straight_line(limits, reach, most));
    if (bits < 8) continue;
    for (std::size_t part = 1; part <= 6; ++part) {
      const std::size_t beyond = limits.count * part / 16;
      if (beyond > 0) attempt(bits, most, bent_line(limits, beyond, most));
    }
  }
  if (bytes.part_bits == 0) return;
  for (auto& own : bytes.own) std::ranges::fill(own, std::uint8_t{255});
  std::size_t next = 0;
  for (std::size_t part = 0; part < std::size(bytes.below); ++part) {
    bytes.below[part] = static_cast<std::uint8_t>(next);
    for (int k = 0; next < limits.count && std::size_t{best[next]} >> 8 == part; ++k) {
      bytes.own[k][part] = static_cast<std::uint8_t>(best[next++] & 255);
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

void fill_limits(const std::vector<float>& levels, float scale, Limits& limits) {
  limits.count = levels.size() - 1;
  std::ranges::fill(limits.limits, kInfinity);  // nothing is above it
  for (std::size_t k = 0; k < limits.count; ++k) {
    limits.limits[k] = largest_within(limit_between(levels[k], levels[k + 1]), scale);
  }
  limits.bits = std::max(4, static_cast<int>(std::bit_width(limits.count)));
  for (std::size_t node = 1; node >> limits.bits == 0; ++node) {
    const int bit = static_cast<int>(std::bit_width(node)) - 1;
    const std::size_t value = node - (std::size_t{1} << bit);
    const std::size_t half = std::size_t{1} << (limits.bits - bit - 1);
    limits.tree[node] = limits.limits[2 * half * value + half - 1];
  }
  if (limits.count == 0) return;
  const float reach = limits.count == 1 ? levels.back() * scale - levels.front() * scale
                                        : limits.limits[limits.count - 1] - limits.limits[0];
  fill_words(limits, reach, limits.words);
  fill_bytes(limits, reach, limits.bytes);
  if (limits.count <= kFewLimits) return;
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

}  // namespace zeropoint
