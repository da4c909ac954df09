#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace zeropoint {

constexpr std::size_t kMostLevels = 256;
constexpr std::size_t kFewLimits = 15;
constexpr std::size_t kBuckets = 2048;

struct Bucket {
  float limit;          ///< the first limit that is in no lower bucket
  std::uint32_t below;  ///< how many limits are in lower buckets
};

/// Numbers to words, to nearest, in the same order: x as x·factor + offset, but, where that is
/// bent, not above x·tail_factor + upper and not below x·tail_factor + lower.
struct WordLine {
  float factor = 0, offset = 0;
  bool is_bent = false;
  float tail_factor = 0, upper = 0, lower = 0;
};

/// Numbers as words of 16 bits, so that twice as many are searched at once: the limits' words tell
/// the code, but where a number's is a limit's.
struct WordKeys {
  bool usable = false;                          ///< limits are far enough apart
  WordLine line;                                ///< not bent
  static constexpr int kMost = 65534;           ///< of numbers; one more stands behind the limits
  alignas(64) std::uint16_t keys[kMostLevels];  ///< of limits
  /// The first bits of a code, up to five: its next one is whether a number's word is above
  /// first[bit][value], where the value's lower bits are still 0.
  alignas(64) std::uint16_t first[5][32];
  /// The others as in a tree: after s bits with the value v, rest[2^s + v].
  alignas(64) std::uint16_t rest[kMostLevels];
  /// Where so many upper bits of words part the limits, each part holds few: `own`, ascending,
  /// after `below` others. 0 where there would be too many.
  int part_bits = 0;
  int in_a_part = 0;  ///< at most
  static constexpr int kMostPartBits = 8, kMostInAPart = 3;
  alignas(64) std::uint16_t below[1 << kMostPartBits];
  alignas(64) std::uint16_t own[kMostInAPart][1 << kMostPartBits];
};

/// Alike, words of 14 to 16 bits as two bytes, so that 64 are searched at once: the upper byte
/// tells how many limits lie below its part, the lower one is compared with those in it.
struct ByteKeys {
  int part_bits = 0;  ///< of the upper byte: 6 to 8; 0 where too many limits are in a part
  int in_a_part = 0;  ///< at most
  WordLine line;      ///< bent if there are 256 parts only
  int most = 0;       ///< word of numbers
  static constexpr int kMostInAPart = 8;
  alignas(64) std::uint8_t below[256];
  /// Lower bytes, ascending; 255 behind them.
  alignas(64) std::uint8_t own[kMostInAPart][256];
};

/// What numbers are divided by before, and where they then are counted as clipped.
struct CodebookScaling {
  float scale = 1;
  float lo, hi;
  std::size_t ahead = 0;  ///< numbers that lie behind these and will be asked for next
  bool counts = true;     ///< those beyond the ends
  bool checks = false;    ///< whether they are finite
};

struct CodebookCounts {
  std::size_t outside = 0;  ///< beyond the ends, if that is counted
  bool finite = true;       ///< all, if that is checked
};

/// The limits between a codebook's levels: a number's code is how many of them it is above.
/// Infinity stands behind them. If they are many, the reals from the first to the last are cut into
/// buckets, x being in that of (x − origin)·factor.
struct Limits {
  std::size_t count = 0;
  float limits[kMostLevels + 1];
  float origin = 0, factor = 0;
  int in_a_bucket = 0;  ///< at most
  /// To find a code bit by bit: after s bits with the value v, the next bit is whether a number is
  /// above tree[2^s + v]. Of the 4 bits at least that the codes have.
  int bits = 0;
  float tree[kMostLevels];
  WordKeys words;
  ByteKeys bytes;
  Bucket buckets[kBuckets];
};

/// The largest x whose x / scale, rounded, is not above `limit`, which is finite.
float largest_within(float limit, float scale);

/// Of 1 to kMostLevels levels, ascending, for numbers that are divided by a normal `scale`: what is
/// above a limit is what is above the limit between two levels after that.
void fill_limits(const std::vector<float>& levels, float scale, Limits& limits);

}  // namespace zeropoint
