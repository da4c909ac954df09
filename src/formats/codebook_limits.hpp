#pragma once
#include <cstddef>
#include <cstdint>

namespace zeropoint {

constexpr std::size_t kMostLevels = 256;
constexpr std::size_t kBuckets = 2048;

struct Bucket {
  float limit;          ///< the first limit that is in no lower bucket
  std::uint32_t below;  ///< how many limits are in lower buckets
};

/// The limits between a codebook's levels: a number's code is how many of them it is above.
/// Infinity stands behind them. If they are many, the reals from the first to the last are cut into
/// buckets, x being in that of (x − origin)·factor.
struct Limits {
  std::size_t count = 0;
  float limits[kMostLevels + 1];
  float origin = 0, factor = 0;
  int in_a_bucket = 0;  ///< at most
  Bucket buckets[kBuckets];
};

}  // namespace zeropoint
