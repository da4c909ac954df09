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

// The most limits that are together where words are parted by their upper bits.
int most_together(const Limits& limits, int bits) {
  int most = 0, here = 0;
  for (std::size_t k = 0; k < limits.count; ++k) {
    const int shift = 16 - bits;
    const auto& keys = limits.words.keys;
    here = k > 0 && keys[k] >> shift == keys[k - 1] >> shift ? here + 1 : 1;
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
    const int together = most_together(limits, bits);
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
void fill_words(const Limits& limits, WordKeys& words) {
  if (limits.count == 0) return;
  // Some words are left at either end, so that what is clipped is told apart.
  constexpr float kMargin = 256;
  const float low = limits.limits[0];
  const float high = limits.limits[limits.count - 1];
  const float reach = limits.count == 1 ? 1 : high - low;
  words.factor = (WordKeys::kMost - 2 * kMargin) / reach;
  words.offset = kMargin - low * words.factor;
  if (!std::isnormal(words.factor) || !std::isfinite(words.offset)) return;
  std::ranges::fill(words.keys, static_cast<std::uint16_t>(WordKeys::kMost + 1));
  for (std::size_t k = 0; k < limits.count; ++k) {
    const float word = std::fma(limits.limits[k], words.factor, words.offset);
    // Rounding may have moved them anywhere, if the limits are far from 0.
    if (!(word >= 1 && word < WordKeys::kMost)) return;
    words.keys[k] = static_cast<std::uint16_t>(std::lrint(word));
    constexpr int kApart = 2;
    if (k > 0 && words.keys[k] < words.keys[k - 1] + kApart) return;
  }
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

}  // namespace

void fill_limits(const std::vector<float>& levels, Limits& limits) {
  limits.count = levels.size() - 1;
  std::ranges::fill(limits.limits, kInfinity);  // nothing is above it
  for (std::size_t k = 0; k < limits.count; ++k) {
    limits.limits[k] = limit_between(levels[k], levels[k + 1]);
  }
  limits.bits = std::max(4, static_cast<int>(std::bit_width(limits.count)));
  for (std::size_t node = 1; node >> limits.bits == 0; ++node) {
    const int bit = static_cast<int>(std::bit_width(node)) - 1;
    const std::size_t value = node - (std::size_t{1} << bit);
    const std::size_t half = std::size_t{1} << (limits.bits - bit - 1);
    limits.tree[node] = limits.limits[2 * half * value + half - 1];
  }
  fill_words(limits, limits.words);
  if (limits.count <= kFewLimits) return;
  limits.origin = limits.limits[0];
  const double reach = double{limits.limits[limits.count - 1]} - limits.origin;
  limits.factor = static_cast<float>((kBuckets - 1) / std::max(reach, 1e-30));
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
