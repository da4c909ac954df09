// Compiled once for each instruction set by Highway; the best is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ranges/grid_errors.cpp"
#include "ranges/grid_errors.hpp"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<double, 8>;

void SumGridErrors(const double* HWY_RESTRICT values, const double* HWY_RESTRICT counts,
                   std::size_t count, const GridBatch& grids, std::size_t used,
                   double* HWY_RESTRICT errors) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const auto round = hn::Set(d, 0x1.8p52);  // adding and taking it away rounds to even
  const auto shift = hn::Set(d, grids.shift);
  for (std::size_t g = 0; g < used; g += 2 * lanes) {
    const std::size_t h = g + lanes < used ? g + lanes : g;
    const auto inverse0 = hn::Load(d, grids.inverse + g), inverse1 = hn::Load(d, grids.inverse + h);
    const auto step0 = hn::Load(d, grids.step + g), step1 = hn::Load(d, grids.step + h);
    const auto first0 = hn::Load(d, grids.first + g), first1 = hn::Load(d, grids.first + h);
    const auto last0 = hn::Load(d, grids.last + g), last1 = hn::Load(d, grids.last + h);
    auto error0 = hn::Zero(d), error1 = error0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto x = hn::Set(d, values[i]), n = hn::Set(d, counts[i]);
      const auto one = [&](auto inverse, auto step, auto first, auto last) HWY_ATTR {
        const auto kept = hn::Min(hn::Max(hn::Sub(hn::Mul(x, inverse), shift), first), last);
        const auto code = hn::Sub(hn::Add(kept, round), round);
        const auto off = hn::Sub(x, hn::Mul(code, step));
        return hn::Mul(hn::Mul(n, off), off);
      };
      error0 = hn::Add(error0, one(inverse0, step0, first0, last0));
      error1 = hn::Add(error1, one(inverse1, step1, first1, last1));
    }
    hn::StoreU(error0, d, errors + g);
    hn::StoreU(error1, d, errors + h);
  }
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(SumGridErrors);

void sum_grid_errors(const double* values, const double* counts, std::size_t count,
                     const GridBatch& grids, std::size_t used, double* errors) {
  HWY_DYNAMIC_DISPATCH(SumGridErrors)(values, counts, count, grids, used, errors);
}

}  // namespace zeropoint
#endif
