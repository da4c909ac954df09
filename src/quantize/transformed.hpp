#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/quantize/granularity.hpp"
#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/transforms/hadamard.hpp"

namespace zeropoint {

/// What the transforms of a scheme run along: the index that a product sums over.
inline Along along_of(Role role) { return role == Role::right ? Along::columns : Along::rows; }

/// Whether a scheme has a transform that is found in both operands.
bool needs_both(const Scheme& scheme);

/// x as the scheme's transforms leave it; `smoothing` has the factors of one that needs both
/// operands. Throws InputError on NaN and infinity, naming the first, on magnitudes that a rotation
/// (or the way back of what is quantized) might carry beyond float32, and if factors are missing.
Matrix<float> transformed(MatrixView<const float> x, const Scheme& scheme,
                          std::span<const float> smoothing, Role role, std::string_view what);

/// Both operands, with the factors that were found in them.
struct TransformedPair {
  Matrix<float> a, b;
  std::vector<float> smoothing;
};
TransformedPair transformed_pair(MatrixView<const float> a, MatrixView<const float> b,
                                 const Scheme& scheme, std::string_view what_a,
                                 std::string_view what_b);

/// Back from what transformed() makes, in place.
void transform_back(MatrixView<float> x, const Scheme& scheme, std::span<const float> smoothing,
                    Along along);

}  // namespace zeropoint
