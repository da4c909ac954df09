#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

namespace zeropoint {

/// A float's bits as a signed integer of the same order: −0 stands just below +0, and what is no
/// finite number at either end.
inline std::int32_t order_key(float x) {
  const auto bits = std::bit_cast<std::int32_t>(x);
  return bits ^ ((bits >> 31) & 0x7FFFFFFF);  // all but the sign, where the sign is set
}

/// The float of that key.
inline float value_of(std::int32_t key) {
  return std::bit_cast<float>(key ^ ((key >> 31) & 0x7FFFFFFF));
}

/// What one scan of data finds. Without NaN and infinity; with them, min and max mean nothing.
struct Extremes {
  float min;
  float max;
  bool finite;
};
using ExtremesScan = Extremes (*)(const float* x, std::size_t count);

/// An interval of keys without its ends.
struct Bracket {
  std::int32_t lo;
  std::int32_t hi;
};

/// Where the values of one bracket go, and how many stand before it.
struct Found {
  float* inside;              ///< room for all that are scanned and kScanSlack more
  std::size_t count;          ///< how many are inside
  std::size_t at_most_lower;  ///< how many have a key of at most `lo`
};
constexpr std::size_t kScanSlack = 64;  // a vector of 256 bytes, the largest that Highway knows

/// Sorts out `count` values by two brackets at once; false if one of the values is not finite.
using BracketScan = bool (*)(const float* x, std::size_t count, const Bracket brackets[2],
                             Found found[2]);

/// The scans for this machine's instruction set. Pointers to be kept for a whole call.
ExtremesScan extremes_scan();
BracketScan bracket_scan();

}  // namespace zeropoint
