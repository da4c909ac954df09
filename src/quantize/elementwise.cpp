// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/random.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/elementwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "zeropoint/quantize/elementwise.hpp"

#include "core/count_if-inl.hpp"
#include "core/prefetch.hpp"
#include "core/round_by-inl.hpp"
#include "core/vector_target.hpp"
#include "quantize/integer_coder.hpp"
#include "quantize/step.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One way to quantize, as the compiler sees it: what a convention says is no branch of the loop.
template <Operation kOperation, ZeroPointOrder kOrder, Rounding kRule>
struct Way {
  // Rounded, not yet clamped codes as floats. `factor` is the scale, or its reciprocal to multiply.
  template <class D, class V>
  static HWY_INLINE V rounded(D d, V x, V factor, V zero_point) {
    const V scaled = kOperation == Operation::divide ? hn::Div(x, factor) : hn::Mul(x, factor);
    // NaN compares unequal to itself, and is as 0 would be.
    const V v = hn::IfThenElseZero(hn::Eq(x, x), scaled);
    if constexpr (kOrder == ZeroPointOrder::before_rounding) {
      return RoundBy<kRule>(d, hn::Add(v, zero_point));
    }
    return hn::Add(RoundBy<kRule>(d, v), zero_point);
  }
  static float factor(float scale) {
    return kOperation == Operation::divide ? scale : 1.0F / scale;
  }
};

// Factor and zero point of the numbers from the i-th on: the same for all, or one for each.
struct SameParams {
  float factor, zero_point;
  HWY_INLINE auto Factor(std::size_t) const { return hn::Set(hn::ScalableTag<float>(), factor); }
  HWY_INLINE auto ZeroPoint(std::size_t) const {
    return hn::Set(hn::ScalableTag<float>(), zero_point);
  }
  static constexpr bool kPerNumber = false;
};
struct EachParams {
  const float* HWY_RESTRICT factors;
  const float* HWY_RESTRICT zero_points;
  HWY_INLINE auto Factor(std::size_t i) const {
    return hn::LoadU(hn::ScalableTag<float>(), factors + i);
  }
  HWY_INLINE auto ZeroPoint(std::size_t i) const {
    return hn::LoadU(hn::ScalableTag<float>(), zero_points + i);
  }
  static constexpr bool kPerNumber = true;
};

template <class Way, class Params, class Code>
HWY_INLINE std::size_t QuantizeBy(const float* HWY_RESTRICT x, std::size_t count,
                                  const Params& params, const Step& step,
                                  Code* HWY_RESTRICT codes) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::int32_t, decltype(d)> di;
  const hn::Rebind<Code, decltype(d)> dc;
  const std::size_t lanes = hn::Lanes(d);
  const auto lo = hn::Set(d, step.lo);
  const auto hi = hn::Set(d, step.hi);
  std::size_t clipped = 0;
  std::size_t i = 0;
  // Stores one vector of codes; the mask tells which of them were clipped.
  const auto one_vector = [&](const float* from, std::size_t at, Code* to) HWY_ATTR {
    const auto v = Way::rounded(d, hn::LoadU(d, from), params.Factor(at), params.ZeroPoint(at));
    const auto kept = hn::Min(hn::Max(v, lo), hi);
    hn::StoreU(hn::DemoteTo(dc, hn::ConvertTo(di, kept)), dc, to);
    return hn::Ne(v, kept);
  };
#if HWY_TARGET != HWY_SCALAR
  // Four vectors at a time. Adding 1.5·2²³ leaves an integer's lower bits as the lower bits of the
  // sum, so that full vectors of codes are put together by taking every other half, twice.
  const hn::Repartition<std::uint16_t, decltype(d)> dh;
  const hn::Repartition<std::uint8_t, decltype(d)> db;
  const auto to_bits = hn::Set(d, 0x1.8p23F);
  auto clipped_by_lane = hn::Zero(di);
  const auto lower_bits = [&](std::size_t at) HWY_ATTR {
    const auto v = Way::rounded(d, hn::LoadU(d, x + at), params.Factor(at), params.ZeroPoint(at));
    const auto kept = hn::Min(hn::Max(v, lo), hi);
    clipped_by_lane = CountIf(di, hn::RebindMask(di, hn::Ne(v, kept)), clipped_by_lane);
    return hn::BitCast(dh, hn::Add(kept, to_bits));
  };
  const auto two_vectors = [&](std::size_t at) HWY_ATTR {
    const auto first = lower_bits(at);
    return hn::ConcatEven(dh, lower_bits(at + lanes), first);
  };
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count + step.ahead);
    const auto first = two_vectors(i);
    const auto second = two_vectors(i + 2 * lanes);
    if constexpr (sizeof(Code) == 1) {
      const auto both = hn::ConcatEven(db, hn::BitCast(db, second), hn::BitCast(db, first));
      hn::StoreU(both, db, reinterpret_cast<std::uint8_t*>(codes + i));
    } else {
      hn::StoreU(first, dh, reinterpret_cast<std::uint16_t*>(codes + i));
      hn::StoreU(second, dh, reinterpret_cast<std::uint16_t*>(codes + i + 2 * lanes));
    }
  }
  HWY_ALIGN std::int32_t counts[HWY_MAX_BYTES / sizeof(std::int32_t)];
  hn::Store(clipped_by_lane, di, counts);
  for (std::size_t lane = 0; lane < lanes; ++lane)
    clipped += static_cast<std::size_t>(counts[lane]);
#endif
  for (; i + lanes <= count; i += lanes) {
    clipped += hn::CountTrue(d, one_vector(x + i, i, codes + i));
  }
  if (i < count) {  // what is left goes through a padded vector
    HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)] = {};
    HWY_ALIGN Code result[HWY_MAX_BYTES / sizeof(float)];
    const std::size_t left = count - i;
    std::copy_n(x + i, left, rest);
    const auto was_clipped = [&] HWY_ATTR {
      if constexpr (Params::kPerNumber) {
        HWY_ALIGN float factors[HWY_MAX_BYTES / sizeof(float)];
        HWY_ALIGN float zero_points[HWY_MAX_BYTES / sizeof(float)] = {};
        std::fill_n(factors, lanes, 1.0F);
        std::copy_n(params.factors + i, left, factors);
        std::copy_n(params.zero_points + i, left, zero_points);
        const EachParams padded{factors, zero_points};
        const auto v = Way::rounded(d, hn::Load(d, rest), padded.Factor(0), padded.ZeroPoint(0));
        const auto kept = hn::Min(hn::Max(v, lo), hi);
        hn::StoreU(hn::DemoteTo(dc, hn::ConvertTo(di, kept)), dc, result);
        return hn::Ne(v, kept);
      } else {
        return one_vector(rest, 0, result);
      }
    }();
    clipped += hn::CountTrue(d, hn::And(was_clipped, hn::FirstN(d, left)));
    std::copy_n(result, left, codes + i);
  }
  return clipped;
}

template <class Way, class Code>
std::size_t QuantizeIn(const float* x, std::size_t count, const Step& step, Code* codes) {
  const SameParams params{Way::factor(step.scale), step.zero_point};
  return QuantizeBy<Way>(x, count, params, step, codes);
}

template <Operation kOperation, ZeroPointOrder kOrder, class Code>
std::size_t QuantizeWith(const float* x, std::size_t count, const Step& step, Code* codes) {
  switch (step.rounding) {
    case Rounding::half_even:
    case Rounding::stochastic:
      return QuantizeIn<Way<kOperation, kOrder, Rounding::half_even>>(x, count, step, codes);
    case Rounding::half_away:
      return QuantizeIn<Way<kOperation, kOrder, Rounding::half_away>>(x, count, step, codes);
    case Rounding::floor:
      return QuantizeIn<Way<kOperation, kOrder, Rounding::floor>>(x, count, step, codes);
    case Rounding::ceil:
      return QuantizeIn<Way<kOperation, kOrder, Rounding::ceil>>(x, count, step, codes);
    case Rounding::truncate:
      break;
  }
  return QuantizeIn<Way<kOperation, kOrder, Rounding::truncate>>(x, count, step, codes);
}

template <class Code>
std::size_t QuantizeAll(const float* x, std::size_t count, const Step& step, Code* codes) {
  using enum Operation;
  using enum ZeroPointOrder;
  const bool before = step.order == before_rounding;
  if (step.operation == divide) {
    return before ? QuantizeWith<divide, before_rounding>(x, count, step, codes)
                  : QuantizeWith<divide, after_rounding>(x, count, step, codes);
  }
  return before ? QuantizeWith<multiply, before_rounding>(x, count, step, codes)
                : QuantizeWith<multiply, after_rounding>(x, count, step, codes);
}

template <class Code>
std::size_t QuantizeEachIn(const float* x, std::size_t count, const float* factors,
                           const float* zero_points, const Step& step, Code* codes) {
  using enum Operation;
  using enum ZeroPointOrder;
  constexpr auto kRule = Rounding::half_even;
  const EachParams params{factors, zero_points};
  const bool before = step.order == before_rounding;
  if (step.operation == divide) {
    return before ? QuantizeBy<Way<divide, before_rounding, kRule>>(x, count, params, step, codes)
                  : QuantizeBy<Way<divide, after_rounding, kRule>>(x, count, params, step, codes);
  }
  return before ? QuantizeBy<Way<multiply, before_rounding, kRule>>(x, count, params, step, codes)
                : QuantizeBy<Way<multiply, after_rounding, kRule>>(x, count, params, step, codes);
}

template <class Code>
void DequantizeAll(const Code* HWY_RESTRICT codes, std::size_t count, float scale,
                   std::int32_t zero_point, float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::int32_t, decltype(d)> di;
  const hn::Rebind<Code, decltype(d)> dc;
  const auto z = hn::Set(di, zero_point);
  const auto s = hn::Set(d, scale);
  const auto largest = hn::Set(d, std::numeric_limits<float>::max());
  const auto smallest = hn::Neg(largest);
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  const auto one_vector = [&](const Code* from, float* to) HWY_ATTR {
    const auto shifted = hn::Sub(hn::PromoteTo(di, hn::LoadU(dc, from)), z);
    const auto real = hn::Mul(s, hn::ConvertTo(d, shifted));
    hn::StoreU(hn::Min(hn::Max(real, smallest), largest), d, to);
  };
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    prefetch_ahead(x, i, 4 * lanes, count);  // what is written is most of the bytes
    for (std::size_t part = 0; part < 4; ++part) {
      one_vector(codes + i + part * lanes, x + i + part * lanes);
    }
  }
  for (; i + lanes <= count; i += lanes) one_vector(codes + i, x + i);
  for (; i < count; ++i) x[i] = dequantize(codes[i], {scale, zero_point});
}

// The difference of two floats that are integers up to 2^24 is rounded once, as the integer is.
template <class Code>
void DequantizeEachIn(const Code* HWY_RESTRICT codes, std::size_t count,
                      const float* HWY_RESTRICT scales, const float* HWY_RESTRICT zero_points,
                      float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::int32_t, decltype(d)> di;
  const hn::Rebind<Code, decltype(d)> dc;
  const auto largest = hn::Set(d, std::numeric_limits<float>::max());
  const auto smallest = hn::Neg(largest);
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto code = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(dc, codes + i)));
    const auto real =
        hn::Mul(hn::LoadU(d, scales + i), hn::Sub(code, hn::LoadU(d, zero_points + i)));
    hn::StoreU(hn::Min(hn::Max(real, smallest), largest), d, x + i);
  }
  for (; i < count; ++i) {
    x[i] = dequantize(codes[i], {scales[i], static_cast<std::int32_t>(zero_points[i])});
  }
}

// One exported name for each code type: Highway's dispatch table takes plain functions.
#define ZEROPOINT_FOR_CODE(Name, Code)                                                             \
  std::size_t Quantize##Name(const float* x, std::size_t count, const Step& step, Code* c) {       \
    return QuantizeAll(x, count, step, c);                                                         \
  }                                                                                                \
  std::size_t QuantizeEach##Name(const float* x, std::size_t count, const float* factors,          \
                                 const float* zero_points, const Step& step, Code* c) {            \
    return QuantizeEachIn(x, count, factors, zero_points, step, c);                                \
  }                                                                                                \
  void Dequantize##Name(const Code* c, std::size_t count, float scale, std::int32_t z, float* x) { \
    DequantizeAll(c, count, scale, z, x);                                                          \
  }                                                                                                \
  void DequantizeEach##Name(const Code* c, std::size_t count, const float* scales,                 \
                            const float* zero_points, float* x) {                                  \
    DequantizeEachIn(c, count, scales, zero_points, x);                                            \
  }
ZEROPOINT_FOR_CODE(I8, std::int8_t)
ZEROPOINT_FOR_CODE(U8, std::uint8_t)
ZEROPOINT_FOR_CODE(I16, std::int16_t)
ZEROPOINT_FOR_CODE(U16, std::uint16_t)
#undef ZEROPOINT_FOR_CODE

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(QuantizeI8);
HWY_EXPORT(QuantizeEachI8);
HWY_EXPORT(DequantizeI8);
HWY_EXPORT(DequantizeEachI8);
HWY_EXPORT(QuantizeU8);
HWY_EXPORT(QuantizeEachU8);
HWY_EXPORT(DequantizeU8);
HWY_EXPORT(DequantizeEachU8);
HWY_EXPORT(QuantizeI16);
HWY_EXPORT(QuantizeEachI16);
HWY_EXPORT(DequantizeI16);
HWY_EXPORT(DequantizeEachI16);
HWY_EXPORT(QuantizeU16);
HWY_EXPORT(QuantizeEachU16);
HWY_EXPORT(DequantizeU16);
HWY_EXPORT(DequantizeEachU16);

template <class Code>
IntegerCoder<Code> integer_coder() {
  choose_vector_target();
#define ZEROPOINT_CODER(Name)                                                              \
  return {                                                                                 \
    HWY_DYNAMIC_DISPATCH(Quantize##Name), HWY_DYNAMIC_DISPATCH(QuantizeEach##Name),        \
        HWY_DYNAMIC_DISPATCH(Dequantize##Name), HWY_DYNAMIC_DISPATCH(DequantizeEach##Name) \
  }
  if constexpr (std::is_same_v<Code, std::int8_t>) ZEROPOINT_CODER(I8);
  if constexpr (std::is_same_v<Code, std::uint8_t>) ZEROPOINT_CODER(U8);
  if constexpr (std::is_same_v<Code, std::int16_t>) ZEROPOINT_CODER(I16);
  if constexpr (std::is_same_v<Code, std::uint16_t>) ZEROPOINT_CODER(U16);
#undef ZEROPOINT_CODER
}

void check_params(QuantParams params) {
  if (!(params.scale > 0) || !std::isfinite(params.scale)) {
    throw InputError(
        fmt::format("quantize: expected a scale from 1.4e-45 to 3.4e38, found {}", params.scale));
  }
  if (params.zero_point < -(1 << 24) || params.zero_point > 1 << 24) {
    throw InputError(
        fmt::format("quantize: expected a zero point of at most 2^24 in magnitude, found {}",
                    params.zero_point));
  }
}

Step make_step(QuantParams params, const IntegerGrid& grid, const Convention& convention) {
  check(grid);
  check_params(params);
  if (convention.operation == Operation::multiply && !std::isfinite(1 / params.scale)) {
    throw InputError(fmt::format("quantize: expected a scale whose reciprocal is finite, found {}",
                                 params.scale));
  }
  return {params.scale,
          static_cast<float>(params.zero_point),
          static_cast<float>(grid.lo()),
          static_cast<float>(grid.hi()),
          convention.operation,
          convention.order,
          convention.rounding};
}

namespace {

constexpr std::size_t kGrain = 1 << 16;

struct FixedRule {
  Rounding rounding;
  float operator()(float v) const { return round_to_integer(v, rounding); }
};
struct StochasticRule {
  float u;
  float operator()(float v) const { return round_stochastic(v, u); }
};

// The definition of one element's code.
template <class Rule>
std::int32_t one_code(float x, const Step& step, Rule rule, bool& outside) {
  if (std::isnan(x)) x = 0;
  const float scaled =
      step.operation == Operation::divide ? x / step.scale : x * (1.0F / step.scale);
  const float rounded = step.order == ZeroPointOrder::before_rounding
                            ? rule(scaled + step.zero_point)
                            : rule(scaled) + step.zero_point;
  const float kept = std::clamp(rounded, step.lo, step.hi);
  outside = kept != rounded;
  return static_cast<std::int32_t>(kept);
}

template <class Code>
std::size_t quantize_stochastic(std::span<const float> x, const Step& step, Code* codes,
                                Noise noise) {
  UniformFloats uniform(noise.seed);
  std::size_t clipped = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    bool outside = false;
    const StochasticRule rule{uniform.at(noise.first + i)};
    codes[i] = static_cast<Code>(one_code(x[i], step, rule, outside));
    clipped += outside ? 1 : 0;
  }
  return clipped;
}

void check_sizes(std::size_t reals, std::size_t codes) {
  if (reals != codes) {
    throw InputError(
        fmt::format("quantize: expected as many codes as numbers, found {} and {}", codes, reals));
  }
}

}  // namespace

template <class Code>
std::size_t quantize(std::span<const float> x, QuantParams params, const IntegerGrid& grid,
                     const Convention& convention, std::span<Code> codes, Noise noise) {
  check_sizes(x.size(), codes.size());
  const Step step = make_step(params, grid, convention);
  if (grid.lo() < std::numeric_limits<Code>::min() ||
      grid.hi() > std::numeric_limits<Code>::max()) {
    throw InputError(fmt::format("quantize: expected codes of a type that holds {}, found {} bits",
                                 name(grid), 8 * sizeof(Code)));
  }
  std::atomic<std::size_t> clipped{0};
  if (step.rounding == Rounding::stochastic) {
    parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      clipped += quantize_stochastic(x.subspan(begin, end - begin), step, codes.data() + begin,
                                     {noise.seed, noise.first + begin});
    });
    return clipped;
  }
  const auto kernel = integer_coder<Code>().quantize;
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    clipped += kernel(x.data() + begin, end - begin, step, codes.data() + begin);
  });
  return clipped;
}

std::int32_t quantize_one(float x, QuantParams params, const IntegerGrid& grid,
                          const Convention& convention, bool* clipped, Noise noise) {
  const Step step = make_step(params, grid, convention);
  bool outside = false;
  const auto code =
      step.rounding == Rounding::stochastic
          ? one_code(x, step, StochasticRule{UniformFloats(noise.seed).at(noise.first)}, outside)
          : one_code(x, step, FixedRule{step.rounding}, outside);
  if (clipped != nullptr) *clipped = outside;
  return code;
}

template <class Code>
void dequantize(std::span<const Code> codes, QuantParams params, std::span<float> x) {
  check_sizes(x.size(), codes.size());
  check_params(params);
  const auto kernel = integer_coder<Code>().dequantize;
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    kernel(codes.data() + begin, end - begin, params.scale, params.zero_point, x.data() + begin);
  });
}

#define ZEROPOINT_INSTANTIATE(Code)                                                            \
  template IntegerCoder<Code> integer_coder<Code>();                                           \
  template std::size_t quantize<Code>(std::span<const float>, QuantParams, const IntegerGrid&, \
                                      const Convention&, std::span<Code>, Noise);              \
  template void dequantize<Code>(std::span<const Code>, QuantParams, std::span<float>);
ZEROPOINT_INSTANTIATE(std::int8_t)
ZEROPOINT_INSTANTIATE(std::uint8_t)
ZEROPOINT_INSTANTIATE(std::int16_t)
ZEROPOINT_INSTANTIATE(std::uint16_t)
#undef ZEROPOINT_INSTANTIATE

}  // namespace zeropoint
#endif
