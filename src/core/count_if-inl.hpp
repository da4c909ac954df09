// For vector code, within what is compiled for each instruction set: no include guard but
// Highway's.
#if defined(ZEROPOINT_CORE_COUNT_IF_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ZEROPOINT_CORE_COUNT_IF_INL_HPP
#undef ZEROPOINT_CORE_COUNT_IF_INL_HPP
#else
#define ZEROPOINT_CORE_COUNT_IF_INL_HPP
#endif
#include <hwy/highway.h>
HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {

/// `counts`, one more in each lane where `mask` is true.
template <class DI, class Mask, class V>
HWY_INLINE V CountIf(DI di, Mask mask, V counts) {
  namespace hn = hwy::HWY_NAMESPACE;
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return hn::IfThenElse(mask, hn::Add(counts, hn::Set(di, 1)), counts);  // one masked addition
#else
  return hn::Sub(counts, hn::VecFromMask(di, mask));  // a true lane is −1
#endif
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
