#pragma once
#include "zeropoint/theory/limits.hpp"

#include "theory/distortion.hpp"

namespace zeropoint {

/// A row with its error, and what it predicts of a product.
LimitRow make_limit(const Distribution& distribution, LimitKind kind, std::string name, double bits,
                    const Distortion& distortion);

/// Finite numbers of a float format, ascending.
std::vector<double> float_numbers(const FloatFormat& format);

/// Schemes whose groups have scales of their own: block formats and group=N.
LimitRow block_limit(const Distribution& distribution, const Scheme& scheme);
LimitRow group_limit(const Distribution& distribution, const Scheme& scheme, std::size_t size);

/// The unbounded quantizer of even steps, whose step leaves so many bits: x in the cell of code k,
/// around offset + k·step, is read as the cell's mean.
struct EntropyCoded {
  double step;
  double offset;
};
EntropyCoded entropy_coded(const Distribution& distribution, double bits);

}  // namespace zeropoint
