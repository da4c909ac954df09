// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "gemm/accumulate_row.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "gemm/accumulate_row.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<double, kPanelCols>;
using V = hn::Vec<D>;

// What each kind does, on numbers that doubles hold exactly: term() makes a product ready to be
// added, add() adds to a sum, hold() makes a sum of one product: add(0, term(p)), for less.

struct Double {
  explicit Double(const AccumulatorFormat&) {}
  HWY_INLINE V term(V product) const { return product; }
  HWY_INLINE V add(V sum, V x) const { return hn::Add(sum, x); }
  HWY_INLINE V hold(V product) const { return add(hn::Zero(D()), product); }  // not −0
};

struct Saturating {
  explicit Saturating(const AccumulatorFormat& format) : lo(format.lo), hi(format.hi) {}
  HWY_INLINE V term(V product) const {
    return hn::Min(hn::Max(product, hn::Set(D(), lo)), hn::Set(D(), hi));
  }
  // Two numbers of 32 bits, so that the double is exact.
  HWY_INLINE V add(V sum, V x) const { return term(hn::Add(sum, x)); }
  HWY_INLINE V hold(V product) const { return add(hn::Zero(D()), term(product)); }

  double lo, hi;
};

// A format of at most 24 bits of precision. Rounding to double first and then to the format could
// go the wrong way at a tie; rounding to odd first cannot, as the double has two bits more than the
// format at least (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved
// algorithms using rounding to odd", IEEE Trans. Computers 57(4), 2008).
struct Rounded {
  explicit Rounded(const AccumulatorFormat& format)
      : largest(format.hi),
        smallest_normal(std::ldexp(1.0, format.min_exponent)),
        shift(std::ldexp(1.5, 52 - format.fraction_bits)) {}
  HWY_INLINE V term(V product) const { return product; }
  HWY_INLINE V add(V sum, V x) const { return round(add_to_odd(sum, x)); }
  HWY_INLINE V hold(V product) const { return round(hn::Add(hn::Zero(D()), product)); }

  // sum + x is t + error exactly (Knuth's TwoSum). If it is not t, it is between t and a neighbour;
  // of these two, the one whose last bit is 1.
  static HWY_INLINE V add_to_odd(V sum, V x) {
    const hn::RebindToUnsigned<D> du;
    const V t = hn::Add(sum, x);
    const V of_x = hn::Sub(t, sum);
    const V error = hn::Add(hn::Sub(sum, hn::Sub(t, of_x)), hn::Sub(x, of_x));
    const auto bits = hn::BitCast(du, t);
    const auto towards_zero = hn::ShiftRight<63>(hn::Xor(bits, hn::BitCast(du, error)));
    const auto odd = hn::Or(hn::Sub(bits, towards_zero), hn::Set(du, 1));
    // Not for the NaN that an infinite t leaves in `error`.
    const auto inexact = hn::Gt(hn::Abs(error), hn::Zero(D()));
    return hn::IfThenElse(inexact, hn::BitCast(D(), odd), t);
  }

  // Adding 1.5·2^52 units in the format's last place leaves no room for less than one, and the
  // double's own rounding is half to even.
  HWY_INLINE V round(V x) const {
    const auto exponent_mask = hn::Set(hn::RebindToUnsigned<D>(), 0x7FF0'0000'0000'0000U);
    const V power =
        hn::And(x, hn::BitCast(D(), exponent_mask));  // 2^e where |x| is in [2^e, 2^e+1)
    const V large = hn::Mul(hn::Max(power, hn::Set(D(), smallest_normal)), hn::Set(D(), shift));
    const V rounded = hn::CopySign(hn::Sub(hn::Add(x, large), large), x);
    const auto finite = hn::Le(hn::Abs(rounded), hn::Set(D(), largest));
    return hn::IfThenElse(finite, rounded, hn::Mul(x, hn::Inf(D())));  // a NaN stays one
  }

  double largest, smallest_normal, shift;
};

// Calls body(offset) for each vector of a panel's columns.
template <class Body>
HWY_INLINE void ForColumns(const Body& body) {
  for (std::size_t j = 0; j < kPanelCols; j += hn::Lanes(D())) body(j);
}

template <class Kind>
HWY_INLINE void Sequential(const Kind& kind, const double* HWY_RESTRICT a,
                           const double* HWY_RESTRICT panel, std::size_t k,
                           double* HWY_RESTRICT sums) {
  std::fill_n(sums, kPanelCols, 0.0);
  for (std::size_t l = 0; l < k; ++l) {
    const double* row = panel + l * kPanelCols;
    const V factor = hn::Set(D(), a[l]);
    ForColumns([&](std::size_t j) HWY_ATTR {
      const V product = hn::Mul(factor, hn::LoadU(D(), row + j));
      hn::StoreU(kind.add(hn::LoadU(D(), sums + j), kind.term(product)), D(), sums + j);
    });
  }
}

template <class Kind>
void Blocked(const Kind& kind, const double* a, const double* panel, std::size_t k,
             std::size_t block, double* HWY_RESTRICT of_block, double* HWY_RESTRICT sums) {
  std::fill_n(sums, kPanelCols, 0.0);
  for (std::size_t l = 0; l < k;) {
    const std::size_t terms = std::min(block, k - l);
    Sequential(kind, a + l, panel + l * kPanelCols, terms, of_block);
    ForColumns([&](std::size_t j) HWY_ATTR {
      const V sum = kind.add(hn::LoadU(D(), sums + j), hn::LoadU(D(), of_block + j));
      hn::StoreU(sum, D(), sums + j);
    });
    l += terms;
  }
}

// Subtrees of 2^e terms wait at place e for the next of their size. In the end those that wait are
// the bits of k, and the smaller ones are added up first.
template <class Kind>
void Pairwise(const Kind& kind, const double* HWY_RESTRICT a, const double* HWY_RESTRICT panel,
              std::size_t k, double* HWY_RESTRICT waiting, double* HWY_RESTRICT sums) {
  for (std::size_t l = 0; l < k; ++l) {
    const double* row = panel + l * kPanelCols;
    const V factor = hn::Set(D(), a[l]);
    const auto full = static_cast<std::size_t>(std::countr_one(l));
    ForColumns([&](std::size_t j) HWY_ATTR {
      const V product = hn::Mul(factor, hn::LoadU(D(), row + j));
      V sum = kind.hold(product);
      for (std::size_t e = 0; e < full; ++e) {
        sum = kind.add(hn::LoadU(D(), waiting + e * kPanelCols + j), sum);
      }
      hn::StoreU(sum, D(), waiting + full * kPanelCols + j);
    });
  }
  std::fill_n(sums, kPanelCols, 0.0);
  bool first = true;
  for (std::size_t e = 0; k >> e != 0; ++e) {
    if ((k >> e & 1) == 0) continue;
    ForColumns([&](std::size_t j) HWY_ATTR {
      const V subtree = hn::LoadU(D(), waiting + e * kPanelCols + j);
      const V sum = first ? subtree : kind.add(subtree, hn::LoadU(D(), sums + j));
      hn::StoreU(sum, D(), sums + j);
    });
    first = false;
  }
}

template <class Kind>
void RowOf(const Accumulator& accumulator, const double* a, const double* panel, std::size_t k,
           double* scratch, double* sums) {
  const Kind kind(format_of(accumulator.kind));
  switch (accumulator.order) {
    case SummationOrder::sequential:
      return Sequential(kind, a, panel, k, sums);
    case SummationOrder::pairwise:
      return Pairwise(kind, a, panel, k, scratch, sums);
    case SummationOrder::blocked:
      return Blocked(kind, a, panel, k, accumulator.block, scratch, sums);
  }
}

void Row(const Accumulator& accumulator, const double* a, const double* panel, std::size_t k,
         double* scratch, double* sums) {
  if (format_of(accumulator.kind).is_integer) {
    RowOf<Saturating>(accumulator, a, panel, k, scratch, sums);
  } else if (accumulator.kind == AccumulatorKind::float64) {
    RowOf<Double>(accumulator, a, panel, k, scratch, sums);
  } else {
    RowOf<Rounded>(accumulator, a, panel, k, scratch, sums);
  }
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(Row);

void accumulate_row(const Accumulator& accumulator, const double* a, const double* panel,
                    std::size_t k, double* scratch, double* sums) {
  HWY_DYNAMIC_DISPATCH(Row)(accumulator, a, panel, k, scratch, sums);
}

}  // namespace zeropoint
#endif
