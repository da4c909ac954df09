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

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors at a time: a whole vector of bytes.
constexpr std::size_t kVectors = 4;

// The limits that are below a number, counted: by comparing with all of them if they are few, or by
// halving those that are left, of 2^bits − 1.
template <bool kFew>
struct Codes {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<hn::ScalableTag<float>> di;
  const float* limits;
  std::size_t count;
  using F = hn::Vec<hn::ScalableTag<float>>;
  using I = hn::Vec<hn::RebindToSigned<hn::ScalableTag<float>>>;

  HWY_INLINE void add_above(F x, F limit, I& code) const {
    code = CountIf(di, hn::RebindMask(di, hn::Gt(x, limit)), code);
  }
  HWY_INLINE void step_above(F x, std::int32_t step, I& code) const {
    const auto limit = hn::GatherIndex(d, limits + step - 1, code);
    const auto above = hn::RebindMask(di, hn::Gt(x, limit));
    code = hn::Add(code, hn::IfThenElseZero(above, hn::Set(di, step)));
  }
  HWY_INLINE void find(F x0, F x1, F x2, F x3, I& c0, I& c1, I& c2, I& c3) const {
    c0 = c1 = c2 = c3 = hn::Zero(di);
    if constexpr (kFew) {
      for (std::size_t k = 0; k < count; ++k) {
        const auto limit = hn::Set(d, limits[k]);
        add_above(x0, limit, c0);
        add_above(x1, limit, c1);
        add_above(x2, limit, c2);
        add_above(x3, limit, c3);
      }
    } else {
      for (auto step = static_cast<std::int32_t>(count + 1) / 2; step > 0; step /= 2) {
        step_above(x0, step, c0);
        step_above(x1, step, c1);
        step_above(x2, step, c2);
        step_above(x3, step, c3);
      }
    }
  }
};

template <bool kFew>
void EncodeIn(const float* HWY_RESTRICT x, std::size_t count, const float* HWY_RESTRICT limits,
              std::size_t limit_count, std::uint8_t* HWY_RESTRICT codes) {
  const Codes<kFew> search{{}, {}, limits, limit_count};
  const auto& d = search.d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t group = kVectors * lanes;
  const auto number = [&](const float* from) HWY_ATTR {
    const auto x_or_nan = hn::LoadU(d, from);
    return hn::IfThenElseZero(hn::Eq(x_or_nan, x_or_nan), x_or_nan);
  };
  const auto one_group = [&](const float* from, std::uint8_t* to) HWY_ATTR {
    auto c0 = hn::Zero(search.di), c1 = c0, c2 = c0, c3 = c0;
    search.find(number(from), number(from + lanes), number(from + 2 * lanes),
                number(from + 3 * lanes), c0, c1, c2, c3);
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

void EncodeFew(const float* x, std::size_t count, const float* limits, std::size_t limit_count,
               std::uint8_t* codes) {
  EncodeIn<true>(x, count, limits, limit_count, codes);
}
void EncodeMany(const float* x, std::size_t count, const float* limits, std::size_t limit_count,
                std::uint8_t* codes) {
  EncodeIn<false>(x, count, limits, limit_count, codes);
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(EncodeFew);
HWY_EXPORT(EncodeMany);

namespace {

constexpr std::size_t kGrain = 1 << 16;
constexpr std::size_t kMostLevels = 256;
constexpr std::size_t kFewLimits = 15;

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
    limit = std::nextafter(limit, -std::numeric_limits<float>::infinity());
  }
  return limit;
}

}  // namespace

int Codebook::bits() const {
  return std::max(1, static_cast<int>(std::bit_width(levels.size() - 1)));
}

void encode(const Codebook& codebook, std::span<const float> x, std::span<std::uint8_t> codes) {
  check(codebook, x.size(), codes.size());
  const std::size_t count = codebook.levels.size() - 1;
  std::vector<float> limits;
  for (std::size_t k = 0; k < count; ++k) {
    limits.push_back(limit_between(codebook.levels[k], codebook.levels[k + 1]));
  }
  const bool few = count <= kFewLimits;
  // Nothing is above infinity.
  if (!few) limits.resize(std::bit_ceil(count + 1) - 1, std::numeric_limits<float>::infinity());
  choose_vector_target();
  const auto kernel = few ? HWY_DYNAMIC_DISPATCH(EncodeFew) : HWY_DYNAMIC_DISPATCH(EncodeMany);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    kernel(x.data() + begin, end - begin, limits.data(), limits.size(), codes.data() + begin);
  });
}

void decode(const Codebook& codebook, std::span<const std::uint8_t> codes, std::span<float> x) {
  check(codebook, x.size(), codes.size());
  std::array<float, kMostLevels> levels;
  levels.fill(codebook.levels.back());
  std::ranges::copy(codebook.levels, levels.begin());
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) x[i] = levels[codes[i]];
  });
}

}  // namespace zeropoint
#endif
