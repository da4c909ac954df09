// For vector code, within what is compiled for each instruction set: no include guard but
// Highway's.
#if defined(ZEROPOINT_CORE_ROUND_BY_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_CORE_ROUND_BY_INL_HPP
#undef ZEROPOINT_CORE_ROUND_BY_INL_HPP
#else
#define ZEROPOINT_CORE_ROUND_BY_INL_HPP
#endif
#include <hwy/highway.h>

#include "zeropoint/core/rounding.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {

/// float32 to the nearest integers by a rule, as round_to_integer does.
template <Rounding kRule, class D, class V>
HWY_INLINE V RoundBy(D d, V v) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (kRule == Rounding::half_even) return hn::Round(v);
  if constexpr (kRule == Rounding::floor) return hn::Floor(v);
  if constexpr (kRule == Rounding::ceil) return hn::Ceil(v);
  const V whole = hn::Trunc(v);
  if constexpr (kRule == Rounding::truncate) return whole;
  // Adding 0.5 and truncating would be wrong for 0.49999997, whose sum rounds up to 1.
  const auto up = hn::Ge(hn::Abs(hn::Sub(v, whole)), hn::Set(d, 0.5F));
  return hn::IfThenElse(up, hn::Add(whole, hn::CopySign(hn::Set(d, 1.0F), v)), whole);
}

/// The same by a rule that is known at run time.
template <class D, class V>
HWY_INLINE V RoundBy(D d, V v, Rounding rule) {
  switch (rule) {
    case Rounding::half_even:
    case Rounding::stochastic:  // decided before it comes here
      return RoundBy<Rounding::half_even>(d, v);
    case Rounding::floor:
      return RoundBy<Rounding::floor>(d, v);
    case Rounding::truncate:
      return RoundBy<Rounding::truncate>(d, v);
    case Rounding::ceil:
      return RoundBy<Rounding::ceil>(d, v);
    case Rounding::half_away:
      break;
  }
  return RoundBy<Rounding::half_away>(d, v);
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
