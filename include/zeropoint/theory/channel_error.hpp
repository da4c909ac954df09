#pragma once
#include <cstddef>
#include <vector>

#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

/// Operands A (m×k) and B (k×n) whose channels differ in scale: independent normal entries with
/// mean 0, those with index j along k with a deviation of their own.
struct ChannelDeviations {
  std::size_t m = 0, n = 0;
  std::vector<double> a;  ///< of A's columns
  std::vector<double> b;  ///< of B's rows; as many
};

/// The relative error ‖A·B − A'·B'‖/‖A·B‖ to be expected (the root of its mean square) where each
/// operand is quantized to a symmetric grid over its largest magnitude, a tensor's or a channel's,
/// after the transforms of the schemes. How, and how far to trust it: docs/predictions.md. Throws
/// InputError for other schemes, and for deviations that are negative or not finite, all 0, or not
/// as many.
double predict_channel_error(const ChannelDeviations& operands, const SchemePair& schemes);

}  // namespace zeropoint
