#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "zeropoint/quantize/params.hpp"

namespace zeropoint::testing {

inline const std::vector<Rounding>& every_rounding() {
  static const std::vector<Rounding> list = {Rounding::half_even, Rounding::half_away,
                                             Rounding::floor, Rounding::truncate, Rounding::ceil};
  return list;
}

inline bool rounds_to_nearest(Rounding rule) {
  return rule == Rounding::half_even || rule == Rounding::half_away;
}

/// Every combination of the axes that decide how one number becomes a code.
inline std::vector<Convention> every_elementwise_convention() {
  std::vector<Convention> list;
  for (const auto operation : {Operation::divide, Operation::multiply}) {
    for (const auto order : {ZeroPointOrder::before_rounding, ZeroPointOrder::after_rounding}) {
      for (const auto rounding : every_rounding()) {
        Convention convention;
        convention.operation = operation;
        convention.order = order;
        convention.rounding = rounding;
        list.push_back(convention);
      }
    }
  }
  return list;
}

/// Full and narrow, signed and unsigned grids of `bits`.
inline std::vector<IntegerGrid> every_grid(int bits) {
  return {{bits, true, false}, {bits, true, true}, {bits, false, false}, {bits, false, true}};
}

/// The most that x may differ from dequantize(quantize_one(x)) where it is not clipped, in real
/// units. With u = 2⁻²⁴: x·(1/s) is off by 2u of itself, the sum with z by u of itself, s·(code −
/// z) by u of itself; the rule adds half a step, or one.
inline double most_error(float x, QuantParams params, const Convention& convention) {
  constexpr double u = 0x1p-24 * (1 + 0x1p-20);
  const double steps = std::abs(double{x}) / params.scale;
  const double rule = rounds_to_nearest(convention.rounding) ? 0.5 : 1.0;
  const double slack = u * (2 * steps + steps + std::abs(params.zero_point) + steps + rule);
  return params.scale * (rule + slack);
}

}  // namespace zeropoint::testing
