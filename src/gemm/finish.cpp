// Vectors whose size the compiler does not know cannot be captured by lambdas, as they are below.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif

// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <cstring>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "gemm/finish.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/round_by-inl.hpp"
#include "core/vector_target.hpp"
#include "gemm/finish.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Int = hn::ScalableTag<std::int32_t>;
using Real = hn::ScalableTag<float>;

// Where the results of one vector go: at once where it is whole and contiguous, else one by one.
template <class T, class D, class V>
HWY_INLINE void Put(D d, V v, const Finish& how, std::size_t i, std::size_t j, std::size_t count) {
  T* const to = static_cast<T*>(how.out) + static_cast<std::ptrdiff_t>(i) * how.row_stride +
                static_cast<std::ptrdiff_t>(j) * how.col_stride;
  if (count == hn::Lanes(d) && how.col_stride == 1) return hn::StoreU(v, d, to);
  T rest[HWY_MAX_BYTES / sizeof(T)];
  hn::StoreU(v, d, rest);
  for (std::size_t c = 0; c < count; ++c)
    to[static_cast<std::ptrdiff_t>(c) * how.col_stride] = rest[c];
}

// `count` elements, and zeros; reads no further.
template <class D>
HWY_INLINE hn::Vec<D> LoadFirst(D d, const hn::TFromD<D>* from, std::size_t count) {
  if (count == hn::Lanes(d)) return hn::LoadU(d, from);
  hn::TFromD<D> some[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)] = {};
  std::copy_n(from, count, some);
  return hn::LoadU(d, some);
}

// One column of vectors after the other, so that what belongs to columns is loaded once; `make`
// gives finish(row, sums) for columns [j, j + count).
template <class MakeColumn>
HWY_INLINE void EachVector(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                           const TilePlace& place, const MakeColumn& make) {
  const Int di;
  const std::size_t lanes = hn::Lanes(di);
  for (std::size_t c = 0; c < place.columns; c += lanes) {
    const std::size_t j = place.j + c;
    const std::size_t count = std::min(lanes, place.columns - c);
    const auto finish = make(j, count);
    const std::int32_t* from = tile + c;
    if (how.row_factor == nullptr) {
      for (std::size_t r = 0; r < place.rows; ++r, from += tile_row) {
        finish(place.i + r, j, count, hn::LoadU(di, from));
      }
      continue;
    }
    const auto column_term = LoadFirst(di, how.column_term + j, count);
    const auto column_factor = LoadFirst(di, how.column_factor + j, count);
    for (std::size_t r = 0; r < place.rows; ++r, from += tile_row) {
      const std::size_t i = place.i + r;
      const auto first = hn::Mul(hn::Set(di, how.row_factor[i]), column_term);
      const auto second = hn::Mul(hn::Set(di, how.row_term[i]), column_factor);
      finish(i, j, count, hn::Sub(hn::Sub(hn::LoadU(di, from), first), second));
    }
  }
}

void FinishInt32(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                 const TilePlace& place) {
  EachVector(how, tile, tile_row, place, [&](std::size_t, std::size_t) HWY_ATTR {
    return [&](std::size_t i, std::size_t j, std::size_t count, hn::Vec<Int> sum)
               HWY_ATTR { Put<std::int32_t>(Int(), sum, how, i, j, count); };
  });
}

void FinishFloat32(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                   const TilePlace& place) {
  const Real d;
  EachVector(how, tile, tile_row, place, [&](std::size_t j0, std::size_t width) HWY_ATTR {
    const auto scale_b =
        how.scales_b == nullptr ? hn::Set(d, how.scale_b) : LoadFirst(d, how.scales_b + j0, width);
    const auto scale = hn::Mul(hn::Set(d, how.scale_a), scale_b);
    // Adding −0 changes nothing.
    const auto bias = how.bias == nullptr ? hn::Set(d, -0.0F) : LoadFirst(d, how.bias + j0, width);
    return [&how, d, scale_b, scale, bias](std::size_t i, std::size_t j, std::size_t count,
                                           hn::Vec<Int> sum) HWY_ATTR {
      const auto of_row =
          how.scales_a == nullptr ? scale : hn::Mul(hn::Set(d, how.scales_a[i]), scale_b);
      Put<float>(d, hn::Add(hn::Mul(of_row, hn::ConvertTo(d, sum)), bias), how, i, j, count);
    };
  });
}

#if HWY_TARGET != HWY_SCALAR
// float32(double(sum) · multipliers), for one half of the lanes.
template <class DHalf, class Sum, class Factor>
HWY_INLINE auto ScaleHalf(DHalf, Sum sum, const Factor& factor) {
  const hn::Rebind<double, DHalf> dd;
  const hn::Rebind<float, DHalf> df;
  return hn::DemoteTo(df, hn::Mul(hn::PromoteTo(dd, sum), factor));
}
#endif

template <class T>
void Requantize(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                const TilePlace& place) {
  const Real d;
  const Int di;
  const hn::Rebind<T, Real> dt;
  const Requantization& rules = how.requantization;
  const auto z = hn::Set(d, static_cast<float>(rules.zero_point));
  const auto lo = hn::Set(d, static_cast<float>(rules.lo));
  const auto hi = hn::Set(d, static_cast<float>(rules.hi));
  const std::size_t lanes = hn::Lanes(d);

  EachVector(how, tile, tile_row, place, [&](std::size_t j0, std::size_t width) HWY_ATTR {
    double factor[HWY_MAX_BYTES / sizeof(float)];
    float narrow[HWY_MAX_BYTES / sizeof(float)];
    for (std::size_t c = 0; c < lanes; ++c) {
      factor[c] =
          rules.multipliers.empty() || c >= width ? rules.multiplier : rules.multipliers[j0 + c];
      narrow[c] = static_cast<float>(factor[c]);
    }
    const auto factors = hn::LoadU(d, narrow);
#if HWY_TARGET != HWY_SCALAR
    const hn::Half<Int> half;
    const hn::Rebind<double, decltype(half)> dd;
    const auto factors_lower = hn::LoadU(dd, factor);
    const auto factors_upper = hn::LoadU(dd, factor + hn::Lanes(dd));
#else
    const auto one_factor = factor[0];
#endif
    return [=, &how, &rules](std::size_t i, std::size_t j, std::size_t count, hn::Vec<Int> sum)
               HWY_ATTR {
                 auto scaled = hn::Undefined(d);
                 if (rules.scale_in == ScaleIn::float32) {
                   scaled = hn::Mul(factors, hn::ConvertTo(d, sum));
                 } else {
#if HWY_TARGET != HWY_SCALAR
                   scaled = hn::Combine(d, ScaleHalf(half, hn::UpperHalf(half, sum), factors_upper),
                                        ScaleHalf(half, hn::LowerHalf(half, sum), factors_lower));
#else
        scaled = hn::Set(d, static_cast<float>(one_factor * static_cast<double>(hn::GetLane(sum))));
#endif
                 }
                 const auto rounded = rules.zero_point_before_rounding
                                          ? RoundBy(d, hn::Add(scaled, z), rules.rounding)
                                          : hn::Add(RoundBy(d, scaled, rules.rounding), z);
                 const auto kept = hn::Min(hn::Max(rounded, lo), hi);
                 Put<T>(dt, hn::DemoteTo(dt, hn::ConvertTo(di, kept)), how, i, j, count);
               };
  });
}

void FinishInt8(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                const TilePlace& place) {
  Requantize<std::int8_t>(how, tile, tile_row, place);
}
void FinishUint8(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                 const TilePlace& place) {
  Requantize<std::uint8_t>(how, tile, tile_row, place);
}
void FinishInt16(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                 const TilePlace& place) {
  Requantize<std::int16_t>(how, tile, tile_row, place);
}
void FinishUint16(const Finish& how, const std::int32_t* tile, std::ptrdiff_t tile_row,
                  const TilePlace& place) {
  Requantize<std::uint16_t>(how, tile, tile_row, place);
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(FinishInt32);
HWY_EXPORT(FinishFloat32);
HWY_EXPORT(FinishInt8);
HWY_EXPORT(FinishUint8);
HWY_EXPORT(FinishInt16);
HWY_EXPORT(FinishUint16);

namespace {

template <class T>
T finish_one(const Finish& how, std::int64_t sum, std::size_t i, std::size_t j) {
  if constexpr (std::is_same_v<T, float>) {
    const float scale_a = how.scales_a == nullptr ? how.scale_a : how.scales_a[i];
    const float scale_b = how.scales_b == nullptr ? how.scale_b : how.scales_b[j];
    const float real = scale_a * scale_b * static_cast<float>(sum);
    return how.bias == nullptr ? real : real + how.bias[j];
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return static_cast<std::int32_t>(sum);
  } else {
    Requantization rules = how.requantization;
    if (!rules.multipliers.empty()) rules.multiplier = rules.multipliers[j];
    return static_cast<T>(requantize(sum, rules));
  }
}

// One by one; also what has no vector code, gemmlowp's arithmetic.
template <class T, class Sum>
void finish_plain(const Finish& how, const Sum* tile, std::ptrdiff_t tile_row,
                  const TilePlace& place) {
  for (std::size_t r = 0; r < place.rows; ++r) {
    for (std::size_t c = 0; c < place.columns; ++c) {
      const std::size_t i = place.i + r;
      const std::size_t j = place.j + c;
      Sum sum = tile[static_cast<std::ptrdiff_t>(r) * tile_row + static_cast<std::ptrdiff_t>(c)];
      if (how.row_factor != nullptr) {
        const auto modular = [](std::int32_t x) { return static_cast<std::uint32_t>(x); };
        sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) -
                                        modular(how.row_factor[i]) * modular(how.column_term[j]) -
                                        modular(how.row_term[i]) * modular(how.column_factor[j]));
      }
      static_cast<T*>(how.out)[static_cast<std::ptrdiff_t>(i) * how.row_stride +
                               static_cast<std::ptrdiff_t>(j) * how.col_stride] =
          finish_one<T>(how, sum, i, j);
    }
  }
}

template <class Sum>
FinishTile<Sum> finish_plain_as(FinishAs as) {
  switch (as) {
    case FinishAs::int32:
      return finish_plain<std::int32_t, Sum>;
    case FinishAs::float32:
      return finish_plain<float, Sum>;
    case FinishAs::int8:
      return finish_plain<std::int8_t, Sum>;
    case FinishAs::uint8:
      return finish_plain<std::uint8_t, Sum>;
    case FinishAs::int16:
      return finish_plain<std::int16_t, Sum>;
    case FinishAs::uint16:
      break;
  }
  return finish_plain<std::uint16_t, Sum>;
}

}  // namespace

FinishTile<std::int64_t> finish_wide(FinishAs as) { return finish_plain_as<std::int64_t>(as); }

FinishTile<std::int32_t> finish_tile(FinishAs as, const Requantization& rules) {
  const bool requantizes = as != FinishAs::int32 && as != FinishAs::float32;
  if (requantizes && rules.scale_in == ScaleIn::fixed_point) {
    return finish_plain_as<std::int32_t>(as);
  }
  choose_vector_target();
  switch (as) {
    case FinishAs::int32:
      return HWY_DYNAMIC_DISPATCH(FinishInt32);
    case FinishAs::float32:
      return HWY_DYNAMIC_DISPATCH(FinishFloat32);
    case FinishAs::int8:
      return HWY_DYNAMIC_DISPATCH(FinishInt8);
    case FinishAs::uint8:
      return HWY_DYNAMIC_DISPATCH(FinishUint8);
    case FinishAs::int16:
      return HWY_DYNAMIC_DISPATCH(FinishInt16);
    case FinishAs::uint16:
      break;
  }
  return HWY_DYNAMIC_DISPATCH(FinishUint16);
}

}  // namespace zeropoint
#endif
