// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/scaling.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/count_if-inl.hpp"
#include "core/prefetch.hpp"
#include "quantize/scaling.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// A finite number less itself is 0, of others it is NaN, whose bits stay.
bool AllFinite(const float* HWY_RESTRICT x, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  auto poison0 = hn::Zero(d), poison1 = poison0;
  const auto poison_of = [&](std::size_t at) HWY_ATTR {
    const auto v = hn::LoadU(d, x + at);
    return hn::Sub(v, v);
  };
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    poison0 = hn::Or(poison0, hn::Or(poison_of(i), poison_of(i + lanes)));
    poison1 = hn::Or(poison1, hn::Or(poison_of(i + 2 * lanes), poison_of(i + 3 * lanes)));
  }
  for (; i + lanes <= count; i += lanes) poison0 = hn::Or(poison0, poison_of(i));
  bool finite = hn::AllTrue(d, hn::Eq(hn::Or(poison0, poison1), hn::Zero(d)));
  for (; i < count; ++i) finite = finite && x[i] - x[i] == 0;
  return finite;
}

// `x` may be `out`.
template <bool kDivides, class FactorAt>
HWY_INLINE std::size_t Scale(const float* x, std::size_t count, const FactorAt& factor_at,
                             Interval within, float* out) {
  const D d;
  const hn::RebindToSigned<D> di;
  const std::size_t lanes = hn::Lanes(d);
  const auto lo = hn::Set(d, within.lo), hi = hn::Set(d, within.hi);
  auto outside = hn::Zero(di);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    prefetch_ahead(x, i, lanes, count + within.ahead);
    const auto v = hn::LoadU(d, x + i);
    const auto factor = factor_at(i);
    const auto y = kDivides ? hn::Div(v, factor) : hn::Mul(v, factor);
    const auto is_outside = hn::Or(hn::Lt(y, lo), hn::Gt(y, hi));
    outside = CountIf(di, hn::RebindMask(di, is_outside), outside);
    hn::StoreU(y, d, out + i);
  }
  HWY_ALIGN std::int32_t counts[HWY_MAX_BYTES / sizeof(std::int32_t)];
  hn::Store(outside, di, counts);
  std::size_t sum = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) sum += static_cast<std::size_t>(counts[lane]);
  return sum;
}

template <bool kDivides>
HWY_INLINE std::size_t ScaleRest(const float* x, std::size_t begin, std::size_t count,
                                 const float* factors, std::size_t step, Interval within,
                                 float* out) {
  std::size_t sum = 0;
  for (std::size_t i = begin; i < count; ++i) {
    out[i] = kDivides ? x[i] / factors[i * step] : x[i] * factors[i * step];
    sum += out[i] < within.lo || out[i] > within.hi ? 1 : 0;
  }
  return sum;
}

template <bool kDivides>
HWY_INLINE std::size_t ScaleBy(const float* x, std::size_t count, const float* factors,
                               Interval within, float* out) {
  const std::size_t whole = count / hn::Lanes(D()) * hn::Lanes(D());
  const auto each = [&](std::size_t i) HWY_ATTR { return hn::LoadU(D(), factors + i); };
  return Scale<kDivides>(x, whole, each, within, out) +
         ScaleRest<kDivides>(x, whole, count, factors, 1, within, out);
}

std::size_t DivideEach(const float* x, std::size_t count, const float* factors, Interval within,
                       float* out) {
  return ScaleBy<true>(x, count, factors, within, out);
}
std::size_t MultiplyEach(const float* x, std::size_t count, const float* factors, Interval within,
                         float* out) {
  return ScaleBy<false>(x, count, factors, within, out);
}
template <bool kDivides>
HWY_INLINE std::size_t ScaleAll(const float* x, std::size_t count, float factor, Interval within,
                                float* out) {
  const std::size_t whole = count / hn::Lanes(D()) * hn::Lanes(D());
  const auto same = hn::Set(D(), factor);
  const auto one = [&](std::size_t) HWY_ATTR { return same; };
  return Scale<kDivides>(x, whole, one, within, out) +
         ScaleRest<kDivides>(x, whole, count, &factor, 0, within, out);
}
std::size_t DivideAll(const float* x, std::size_t count, float factor, Interval within,
                      float* out) {
  return ScaleAll<true>(x, count, factor, within, out);
}
std::size_t MultiplyAll(const float* x, std::size_t count, float factor, Interval within,
                        float* out) {
  return ScaleAll<false>(x, count, factor, within, out);
}

HWY_INLINE void Fill(float value, std::size_t count, float* HWY_RESTRICT to) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const auto v = hn::Set(d, value);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(v, d, to + i);
  for (; i < count; ++i) to[i] = value;
}

void SpreadParams(const Spread& runs, float* HWY_RESTRICT scales, float* HWY_RESTRICT zeros) {
  const QuantParams* params = runs.params;
  std::size_t length = runs.first;
  for (std::size_t at = 0; at < runs.count; ++params) {
    length = std::min(length, runs.count - at);
    Fill(runs.reciprocal ? 1 / params->scale : params->scale, length, scales + at);
    Fill(static_cast<float>(params->zero_point), length, zeros + at);
    at += length;
    length = runs.run;
  }
}

void ExtendSign(std::int8_t* HWY_RESTRICT codes, std::size_t count, int bits) {
  const hn::ScalableTag<std::int8_t> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto sign = static_cast<std::int8_t>(1 << (bits - 1));
  const auto v = hn::Set(d, sign);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Sub(hn::Xor(hn::LoadU(d, codes + i), v), v), d, codes + i);
  }
  for (; i < count; ++i) codes[i] = static_cast<std::int8_t>((codes[i] ^ sign) - sign);
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(AllFinite);
HWY_EXPORT(DivideEach);
HWY_EXPORT(MultiplyEach);
HWY_EXPORT(DivideAll);
HWY_EXPORT(MultiplyAll);
HWY_EXPORT(SpreadParams);
HWY_EXPORT(ExtendSign);

bool all_finite(const float* x, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(AllFinite)(x, count);
}
std::size_t divide_each(const float* x, std::size_t count, const float* factors, Interval within,
                        float* out) {
  return HWY_DYNAMIC_DISPATCH(DivideEach)(x, count, factors, within, out);
}
std::size_t multiply_each(const float* x, std::size_t count, const float* factors, Interval within,
                          float* out) {
  return HWY_DYNAMIC_DISPATCH(MultiplyEach)(x, count, factors, within, out);
}
std::size_t divide_all(const float* x, std::size_t count, float factor, Interval within,
                       float* out) {
  return HWY_DYNAMIC_DISPATCH(DivideAll)(x, count, factor, within, out);
}

std::size_t multiply_all(const float* x, std::size_t count, float factor, Interval within,
                         float* out) {
  return HWY_DYNAMIC_DISPATCH(MultiplyAll)(x, count, factor, within, out);
}
void spread_params(const Spread& runs, float* scales, float* zero_points) {
  HWY_DYNAMIC_DISPATCH(SpreadParams)(runs, scales, zero_points);
}
void extend_sign(std::int8_t* codes, std::size_t count, int bits) {
  HWY_DYNAMIC_DISPATCH(ExtendSign)(codes, count, bits);
}

}  // namespace zeropoint
#endif
