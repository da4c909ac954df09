// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/codebook.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "zeropoint/formats/codebook.hpp"

#include "core/count_if-inl.hpp"
#include "core/prefetch.hpp"
#include "core/vector_target.hpp"
#include "formats/codebook_limits.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors at a time: a whole vector of bytes.
constexpr std::size_t kVectors = 4;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using F = hn::Vec<D>;
using I = hn::Vec<DI>;

// Each of these counts the limits that are below numbers.
// Up to 15: by comparing with all of them, or, where a vector holds the limits of any step, by
// halving them four times.
struct FewLimits {
  explicit FewLimits(const Limits& all) : limits(all) {
    const std::size_t lanes = hn::Lanes(D());
    for (std::size_t step = 0; step < 3; ++step) {
      // Of 2^(step + 1) parts, the limits that lie in the middle of each.
      const std::size_t stride = std::size_t{8} >> step;
      for (std::size_t k = 0; k < lanes && k < std::size_t{2} << step; ++k) {
        tables[step][k] = limits.limits[stride * k + stride / 2 - 1];
      }
    }
  }
  HWY_INLINE I operator()(F x) const {
    const D d;
    const DI di;
    if (hn::Lanes(d) < 8) {
      I code = hn::Zero(di);
      for (std::size_t k = 0; k < limits.count; ++k) {
        const auto is_above = hn::Gt(x, hn::Set(d, limits.limits[k]));
        code = CountIf(di, hn::RebindMask(di, is_above), code);
      }
      return code;
    }
    const auto is_above = hn::Gt(x, hn::Set(d, limits.limits[7]));
    I code = CountIf(di, hn::RebindMask(di, is_above), hn::Zero(di));
    code = Halve(x, tables[0], code);
    code = Halve(x, tables[1], code);
    return Halve(x, tables[2], code);
  }
  static HWY_INLINE I Halve(F x, const float* table, I code) {
    const D d;
    const DI di;
    const F limit = hn::TableLookupLanes(hn::Load(d, table), hn::IndicesFromVec(d, code));
    return CountIf(di, hn::RebindMask(di, hn::Gt(x, limit)), hn::Add(code, code));
  }
  const Limits& limits;
  HWY_ALIGN float tables[3][HWY_MAX_BYTES / sizeof(float)] = {};
};

void EncodeFew(const float* HWY_RESTRICT x, std::size_t count, const Limits& limits,
               std::uint8_t* HWY_RESTRICT codes) {
  const FewLimits search(limits);
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t group = kVectors * lanes;
  const auto code_of = [&](const float* from) HWY_ATTR {
    const F x_or_nan = hn::LoadU(d, from);
    return search(hn::IfThenElseZero(hn::Eq(x_or_nan, x_or_nan), x_or_nan));
  };
  const auto one_group = [&](const float* from, std::uint8_t* to) HWY_ATTR {
    const I c0 = code_of(from), c1 = code_of(from + lanes), c2 = code_of(from + 2 * lanes),
            c3 = code_of(from + 3 * lanes);
#if HWY_TARGET == HWY_SCALAR
    const hn::Rebind<std::uint8_t, hn::ScalableTag<float>> dc;
    hn::StoreU(hn::DemoteTo(dc, c0), dc, to);
    hn::StoreU(hn::DemoteTo(dc, c1), dc, to + lanes);
    hn::StoreU(hn::DemoteTo(dc, c2), dc, to + 2 * lanes);
    hn::StoreU(hn::DemoteTo(dc, c3), dc, to + 3 * lanes);
#else
    const hn::Repartition<std::uint16_t, hn::ScalableTag<float>> dh;
    const hn::Repartition<std::uint8_t, hn::ScalableTag<float>> db;
    const auto first = hn::ConcatEven(dh, hn::BitCast(dh, c1), hn::BitCast(dh, c0));
    const auto second = hn::ConcatEven(dh, hn::BitCast(dh, c3), hn::BitCast(dh, c2));
    hn::StoreU(hn::ConcatEven(db, hn::BitCast(db, second), hn::BitCast(db, first)), db, to);
#endif
  };
  std::size_t i = 0;
  for (; i + group <= count; i += group) {
    prefetch_ahead(x, i, group, count);
    one_group(x + i, codes + i);
  }
  if (i < count) {  // what is left goes through padded vectors
    HWY_ALIGN float rest[kVectors * HWY_MAX_BYTES / sizeof(float)] = {};
    HWY_ALIGN std::uint8_t result[kVectors * HWY_MAX_BYTES / sizeof(float)];
    std::copy_n(x + i, count - i, rest);
    one_group(rest, result);
    std::copy_n(result, count - i, codes + i);
  }
}

// Any number of limits: those in lower buckets are known, those in the number's are compared with.
// Tables are read one by one, as vectors' gathers are slower on many processors.
template <int kCompare>
void EncodeByBuckets(const float* HWY_RESTRICT x, std::size_t count, const Limits& limits,
                     std::uint8_t* HWY_RESTRICT codes) {
  const D d;
  const DI di;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t kBlock = 256;
  HWY_ALIGN float reals[kBlock] = {};
  HWY_ALIGN std::int32_t buckets[kBlock];
  const F most = hn::Set(d, static_cast<float>(kBuckets - 1));
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t block = std::min(kBlock, count - begin);
    std::copy_n(x + begin, block, reals);
    for (std::size_t i = 0; i < block; i += lanes) {
      const F x_or_nan = hn::Load(d, reals + i);
      const F real = hn::IfThenElseZero(hn::Eq(x_or_nan, x_or_nan), x_or_nan);
      hn::Store(real, d, reals + i);
      const F place = hn::Mul(hn::Sub(real, hn::Set(d, limits.origin)), hn::Set(d, limits.factor));
      hn::Store(hn::ConvertTo(di, hn::Min(hn::Max(place, hn::Zero(d)), most)), di, buckets + i);
    }
    for (std::size_t i = 0; i < block; ++i) {
      if constexpr (kCompare == 1) {
        const Bucket& bucket = limits.buckets[buckets[i]];
        codes[begin + i] =
            static_cast<std::uint8_t>(bucket.below + (reals[i] > bucket.limit ? 1 : 0));
      } else if constexpr (kCompare > 1) {
        std::uint32_t code = limits.buckets[buckets[i]].below;
        for (int k = 0; k < kCompare; ++k) code += reals[i] > limits.limits[code] ? 1 : 0;
        codes[begin + i] = static_cast<std::uint8_t>(code);
      } else {
        std::uint32_t code = 0;
        for (std::uint32_t step = kMostLevels / 2; step > 0; step /= 2) {
          code += reals[i] > limits.limits[code + step - 1] ? step : 0;
        }
        codes[begin + i] = static_cast<std::uint8_t>(code);
      }
    }
  }
}

void EncodeMany(const float* x, std::size_t count, const Limits& limits, std::uint8_t* codes) {
  if (limits.in_a_bucket <= 1) return EncodeByBuckets<1>(x, count, limits, codes);
  if (limits.in_a_bucket <= 4) return EncodeByBuckets<4>(x, count, limits, codes);
  return EncodeByBuckets<0>(x, count, limits, codes);
}

// By 16 levels in vectors' lanes.
void DecodeFew(const std::uint8_t* HWY_RESTRICT codes, std::size_t count,
               const float* HWY_RESTRICT levels, float* HWY_RESTRICT x) {
  const D d;
  const DI di;
  const hn::Rebind<std::uint8_t, D> dc;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  if (lanes >= 8) {
    HWY_ALIGN float table[HWY_MAX_BYTES / sizeof(float) + 8] = {};
    std::copy_n(levels, 16, table);
    const F low = hn::Load(d, table);
    const F high = hn::LoadU(d, table + 8);
    const auto one_vector = [&](std::size_t at) HWY_ATTR {
      const I code = hn::Min(hn::PromoteTo(di, hn::LoadU(dc, codes + at)), hn::Set(di, 15));
      if (lanes >= 16) {
        return hn::StoreU(hn::TableLookupLanes(low, hn::IndicesFromVec(d, code)), d, x + at);
      }
      const auto lane = hn::IndicesFromVec(d, hn::And(code, hn::Set(di, 7)));
      const auto is_high = hn::RebindMask(d, hn::Gt(code, hn::Set(di, 7)));
      hn::StoreU(hn::IfThenElse(is_high, hn::TableLookupLanes(high, lane),
                                hn::TableLookupLanes(low, lane)),
                 d, x + at);
    };
    for (; i + 4 * lanes <= count; i += 4 * lanes) {
      prefetch_ahead(x, i, 4 * lanes, count);
      for (std::size_t part = 0; part < 4; ++part) one_vector(i + part * lanes);
    }
    for (; i + lanes <= count; i += lanes) one_vector(i);
  }
  for (; i < count; ++i) x[i] = levels[codes[i]];
}

// By 256 levels.
void DecodeMany(const std::uint8_t* HWY_RESTRICT codes, std::size_t count,
                const float* HWY_RESTRICT levels, float* HWY_RESTRICT x) {
  constexpr std::size_t kAtOnce = 16;
  std::size_t i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce) {
    prefetch_ahead(x, i, kAtOnce, count);
    for (std::size_t k = 0; k < kAtOnce; ++k) x[i + k] = levels[codes[i + k]];
  }
  for (; i < count; ++i) x[i] = levels[codes[i]];
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(EncodeFew);
HWY_EXPORT(EncodeMany);
HWY_EXPORT(DecodeFew);
HWY_EXPORT(DecodeMany);

namespace {

constexpr std::size_t kGrain = 1 << 16;
constexpr std::size_t kFewLimits = 15;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

void check(const Codebook& codebook, std::size_t reals, std::size_t codes) {
  const std::vector<float>& levels = codebook.levels;
  if (levels.empty() || levels.size() > kMostLevels) {
    throw InputError(fmt::format("codebook {}: expected 1 to {} levels, found {}", codebook.name,
                                 kMostLevels, levels.size()));
  }
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (!std::isfinite(levels[i]) || (i > 0 && levels[i] <= levels[i - 1])) {
      throw InputError(
          fmt::format("codebook {}: expected finite levels in ascending order, found {} at [{}]",
                      codebook.name, levels[i], i));
    }
  }
  if (reals != codes) {
    throw InputError(fmt::format("codebook {}: expected as many codes as numbers, found {} and {}",
                                 codebook.name, codes, reals));
  }
}

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

Limits limits_of(const std::vector<float>& levels) {
  Limits limits;
  limits.count = levels.size() - 1;
  std::ranges::fill(limits.limits, kInfinity);  // nothing is above it
  for (std::size_t k = 0; k < limits.count; ++k) {
    limits.limits[k] = limit_between(levels[k], levels[k + 1]);
  }
  if (limits.count <= kFewLimits) return limits;
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
  return limits;
}

}  // namespace

int Codebook::bits() const {
  return std::max(1, static_cast<int>(std::bit_width(levels.size() - 1)));
}

void encode(const Codebook& codebook, std::span<const float> x, std::span<std::uint8_t> codes) {
  check(codebook, x.size(), codes.size());
  const Limits limits = limits_of(codebook.levels);
  choose_vector_target();
  const auto kernel = limits.count <= kFewLimits ? HWY_DYNAMIC_DISPATCH(EncodeFew)
                                                 : HWY_DYNAMIC_DISPATCH(EncodeMany);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    kernel(x.data() + begin, end - begin, limits, codes.data() + begin);
  });
}

void decode(const Codebook& codebook, std::span<const std::uint8_t> codes, std::span<float> x) {
  check(codebook, x.size(), codes.size());
  std::array<float, kMostLevels> levels;
  levels.fill(codebook.levels.back());
  std::ranges::copy(codebook.levels, levels.begin());
  choose_vector_target();
  const bool few = codebook.levels.size() <= kFewLimits + 1;
  const auto kernel = few ? HWY_DYNAMIC_DISPATCH(DecodeFew) : HWY_DYNAMIC_DISPATCH(DecodeMany);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    kernel(codes.data() + begin, end - begin, levels.data(), x.data() + begin);
  });
}

}  // namespace zeropoint
#endif
