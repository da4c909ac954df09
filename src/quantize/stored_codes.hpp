#pragma once
#include <cstdint>
#include <span>

#include "zeropoint/quantize/qtensor.hpp"

namespace zeropoint {

/// Codes as a QTensor stores them, what was clipped, and whether all numbers were finite: if not,
/// the codes are not all there.
struct StoredCodes {
  CodeMatrix codes;
  std::size_t clipped = 0;
  bool finite = true;
};

/// Encodes a matrix that `tiles` describes: piece after piece, which are checked, scaled, encoded
/// and packed while they are in the cache. Not for block formats and numbers rounded at random.
/// Without `checks`, all numbers are taken for finite.
StoredCodes encode_stored(MatrixView<const float> x, const Scheme& scheme, const Tiles& tiles,
                          const TensorParams& params, bool checks);

/// The opposite; not for block formats.
void decode_stored(const Format& format, const Tiles& tiles, const TensorParams& params,
                   std::span<const std::uint8_t> bytes, Matrix<float>& x);

}  // namespace zeropoint
