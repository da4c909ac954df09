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

/// Numbers as words of 12 to 16 bits: the upper byte tells how many limits lie below its part of
/// the numbers, the lower one is compared with those in it. Only where a number's word is a
/// limit's, the code is left open.
struct ByteKeys {
  int part_bits = 0;  ///< of the upper byte; 0 where too many limits are in a part
  static constexpr int kLeastPartBits = 4, kMostPartBits = 8;
  int in_a_part = 0;  ///< at most
  WordLine line;      ///< bent if there are 256 parts only
  int most = 0;       ///< word of numbers
  static constexpr int kMostInAPart = 8;
  alignas(64) std::uint8_t below[256];
  /// Lower bytes, ascending; 255 behind them.
  alignas(64) std::uint8_t own[kMostInAPart][256];
  /// The same for words. The first is the complement of 256·below + 255 − own: less the lower byte,
  /// its bytes are the complement of the code and one that is 0 where the code is left open.
  alignas(64) std::uint16_t words[kMostInAPart][256];
};

/// A table to be read in memory: words of 16 bits, whose upper 10 or 11 tell the part, with one
/// limit or none. Its entry and twice the other bits add up to the code, and above what is left
/// nothing: those bits are all set where the code is left open.
struct TableKeys {
  int part_bits = 0;  ///< 0 where some part would have more limits
  WordLine line;
  static constexpr int kMost = 65534;  ///< of numbers
  static constexpr int kLeastPartBits = 10, kMostPartBits = 11;
  /// 16 bits behind others of 0: read some bytes before, an entry lies as many bytes higher.
  alignas(64) std::uint64_t entries[1 + (1 << kMostPartBits)];
};

/// What an instruction set takes, for a vector of codes, in a unit of its own.
struct SearchSteps {
  /// To look up by a byte's part, and how many limits may be in a part.
  struct Width {
    float lookup = 0;
    int most_in_a_part = 0;  ///< 0 where that is not done
  };
  /// Among 16, 32, 64, 128 and 256 parts.
  Width widths[ByteKeys::kMostPartBits - ByteKeys::kLeastPartBits + 1];
  float compare = 0;  ///< with another of the limits in the part
  float bend = 0;     ///< of the line
  float again = 0;    ///< one number's code that was left open
  float table = 0;    ///< that is in memory, in place of all look-ups; 0 where that is not done
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
  /// One of them, if limits are far enough apart.
  ByteKeys bytes;
  TableKeys table;
  Bucket buckets[kBuckets];
};

/// The largest x whose x / scale, rounded, is not above `limit`, which is finite.
float largest_within(float limit, float scale);

/// Of 1 to kMostLevels levels, ascending, for numbers that are divided by a normal `scale`: what is
/// above a limit is what is above the limit between two levels after that.
void fill_limits(const std::vector<float>& levels, float scale, const SearchSteps& steps,
                 Limits& limits);

}  // namespace zeropoint
