// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <bit>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ranges/scan.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/count_if-inl.hpp"
#include "core/prefetch.hpp"
#include "core/vector_target.hpp"
#include "ranges/scan.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Four of each, so that no step waits for the one before.
Extremes ScanExtremes(const float* x, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto first = hn::Set(d, count == 0 ? 0.0F : x[0]);
  auto low0 = first, low1 = first, low2 = first, low3 = first;
  auto high0 = first, high1 = first, high2 = first, high3 = first;
  auto poison0 = hn::Zero(d), poison1 = poison0;
  // A finite number less itself is 0, of others it is NaN, whose bits stay.
  const auto poison_of = [](auto v) HWY_ATTR { return hn::Sub(v, v); };
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);
    const auto v0 = hn::LoadU(d, x + i);
    const auto v1 = hn::LoadU(d, x + i + lanes);
    const auto v2 = hn::LoadU(d, x + i + 2 * lanes);
    const auto v3 = hn::LoadU(d, x + i + 3 * lanes);
    low0 = hn::Min(low0, v0);
    low1 = hn::Min(low1, v1);
    low2 = hn::Min(low2, v2);
    low3 = hn::Min(low3, v3);
    high0 = hn::Max(high0, v0);
    high1 = hn::Max(high1, v1);
    high2 = hn::Max(high2, v2);
    high3 = hn::Max(high3, v3);
    poison0 = hn::Or(poison0, hn::Or(poison_of(v0), poison_of(v1)));
    poison1 = hn::Or(poison1, hn::Or(poison_of(v2), poison_of(v3)));
  }
  for (; i + lanes <= count; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    low0 = hn::Min(low0, v);
    high0 = hn::Max(high0, v);
    poison0 = hn::Or(poison0, poison_of(v));
  }
  HWY_ALIGN float low[HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float high[HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float poison[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(hn::Min(hn::Min(low0, low1), hn::Min(low2, low3)), d, low);
  hn::Store(hn::Max(hn::Max(high0, high1), hn::Max(high2, high3)), d, high);
  hn::Store(hn::Or(poison0, poison1), d, poison);
  Extremes found{low[0], high[0], true};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    found.min = std::min(found.min, low[lane]);
    found.max = std::max(found.max, high[lane]);
    found.finite = found.finite && poison[lane] == 0;
  }
  for (; i < count; ++i) {
    found.min = std::min(found.min, x[i]);
    found.max = std::max(found.max, x[i]);
    found.finite = found.finite && x[i] - x[i] == 0;
  }
  return found;
}

// Counts which keys lie above `low`, and appends the values below `high` of them to `inside`.
// A function that is always inlined: GCC leaves a lambda's accumulators in memory.
template <class D, class DI, class V, class VI>
HWY_INLINE void SortOut(D d, DI di, const float* from, V v, VI key, VI low, VI high, VI& above,
                        float*& inside) {
  const auto is_above = hn::Gt(key, low);
  above = CountIf(di, is_above, above);
  const auto is_inside = hn::RebindMask(d, hn::And(is_above, hn::Gt(high, key)));
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  (void)from;
  hn::StoreU(hn::Compress(v, is_inside), d, inside);
  inside += hn::CountTrue(d, is_inside);
#else
  // Without an instruction for it, Highway 1.0 builds a table for each call; few are inside.
  (void)v;
  if (hn::AllFalse(d, is_inside)) return;
  std::uint8_t bits[sizeof(std::uint64_t)];
  const std::size_t bytes = hn::StoreMaskBits(d, is_inside, bits);
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    for (unsigned left = bits[byte]; left != 0; left &= left - 1) {
      *inside++ = from[8 * byte + static_cast<std::size_t>(std::countr_zero(left))];
    }
  }
#endif
}

bool ScanBrackets(const float* x, std::size_t count, const Bracket* brackets, Found* found) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const std::size_t lanes = hn::Lanes(d);
  const auto low0 = hn::Set(di, brackets[0].lo);
  const auto high0 = hn::Set(di, brackets[0].hi);
  const auto low1 = hn::Set(di, brackets[1].lo);
  const auto high1 = hn::Set(di, brackets[1].hi);
  const auto magnitude = hn::Set(di, 0x7FFFFFFF);
  auto above0 = hn::Zero(di);
  auto above1 = hn::Zero(di);
  auto largest = hn::Zero(di);
  float* inside0 = found[0].inside;
  float* inside1 = found[1].inside;
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    prefetch_ahead(x, i, lanes, count);
    const auto v = hn::LoadU(d, x + i);
    const auto bits = hn::BitCast(di, v);
    // All but the sign is turned around where the sign is set.
    const auto key = hn::Xor(bits, hn::And(hn::ShiftRight<31>(bits), magnitude));
    largest = hn::Max(largest, hn::And(bits, magnitude));
    SortOut(d, di, x + i, v, key, low0, high0, above0, inside0);
    SortOut(d, di, x + i, v, key, low1, high1, above1, inside1);
  }

  HWY_ALIGN std::int32_t lane_values[3][HWY_MAX_BYTES / sizeof(std::int32_t)];
  hn::Store(above0, di, lane_values[0]);
  hn::Store(above1, di, lane_values[1]);
  hn::Store(largest, di, lane_values[2]);
  found[0].at_most_lower = found[1].at_most_lower = i;
  std::int32_t magnitude_seen = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    found[0].at_most_lower -= static_cast<std::size_t>(lane_values[0][lane]);
    found[1].at_most_lower -= static_cast<std::size_t>(lane_values[1][lane]);
    magnitude_seen = std::max(magnitude_seen, lane_values[2][lane]);
  }
  for (; i < count; ++i) {
    const std::int32_t key = order_key(x[i]);
    magnitude_seen = std::max(magnitude_seen, std::bit_cast<std::int32_t>(x[i]) & 0x7FFFFFFF);
    if (key <= brackets[0].lo) ++found[0].at_most_lower;
    if (key > brackets[0].lo && key < brackets[0].hi) *inside0++ = x[i];
    if (key <= brackets[1].lo) ++found[1].at_most_lower;
    if (key > brackets[1].lo && key < brackets[1].hi) *inside1++ = x[i];
  }
  found[0].count = static_cast<std::size_t>(inside0 - found[0].inside);
  found[1].count = static_cast<std::size_t>(inside1 - found[1].inside);
  return magnitude_seen < 0x7F800000;
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(ScanExtremes);
HWY_EXPORT(ScanBrackets);

ExtremesScan extremes_scan() {
  choose_vector_target();
  return HWY_DYNAMIC_DISPATCH(ScanExtremes);
}

BracketScan bracket_scan() {
  choose_vector_target();
  return HWY_DYNAMIC_DISPATCH(ScanBrackets);
}

}  // namespace zeropoint
#endif
