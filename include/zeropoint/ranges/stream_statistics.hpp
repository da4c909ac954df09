#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

/// What is done with NaN and infinity in what is observed: an error; nothing; infinities become the
/// largest float32 of their sign, and NaN is passed over.
enum class NonFinite { refuse, ignore, saturate };

/// A quantile of a stream, and how far it is known.
struct StreamQuantile {
  float value;                          ///< interpolated
  float at_least, at_most;              ///< between which the exact quantile lies
  std::uint64_t first_rank, last_rank;  ///< 0-based: those of the values between these two
};

/// Statistics of a stream of floats in bounded memory: count, smallest and largest, sums of values
/// and of their squares, all exact, and counts by the leading 22 bits of each value, sign, exponent
/// and 13 of fraction, so that a quantile is known to a relative 2⁻¹³. Every part is a sum of
/// integers: the same whatever the batches, and in whatever order parts are merged. At most 34 MB,
/// in pages that exist where values fall (normal data: some 3 MB). For up to 2^39 values.
class StreamStatistics {
 public:
  /// Throws InputError on NaN and infinity with NonFinite::refuse, naming `what` and the first
  /// index; nothing is counted then.
  void observe(std::span<const float> values, std::string_view what = "tensor",
               NonFinite policy = NonFinite::refuse);
  void merge(const StreamStatistics& other);

  std::uint64_t count() const { return count_; }
  /// All but count() throw InputError if nothing was seen.
  Range min_max() const;
  double mean() const;
  /// Population variance, from exact sums.
  double variance() const;
  /// By linear interpolation at rank p·(count − 1), between the order statistics around it; values
  /// are taken to be spread evenly within a bin.
  StreamQuantile quantile(double p) const;
  /// Bins with values in ascending order: their middle (clamped to min and max), and how many.
  struct Bin {
    float value;
    std::uint64_t count;
  };
  std::vector<Bin> bins() const;
  /// Of memory.
  std::size_t bytes() const;

  /// For another process: little-endian, versioned. Reading throws InputError if the bytes are not
  /// such, whatever they are.
  std::vector<std::uint8_t> serialize() const;
  static StreamStatistics deserialize(std::span<const std::uint8_t> bytes);

  bool operator==(const StreamStatistics& other) const;

 private:
  static constexpr int kBinBits = 22;
  static constexpr int kPageBits = 12;
  static constexpr std::size_t kPages = std::size_t{1} << (kBinBits - kPageBits);
  static constexpr std::size_t kPageBins = std::size_t{1} << kPageBits;
  static constexpr std::size_t kExponents = 256;
  using Page = std::array<std::uint64_t, kPageBins>;
  /// Σ of 48-bit squares, as two words.
  struct Wide {
    std::uint64_t low = 0, high = 0;
    void add(std::uint64_t value) {
      low += value;
      high += low < value ? 1 : 0;
    }
    void add(const Wide& other) {
      add(other.low);
      high += other.high;
    }
    bool operator==(const Wide&) const = default;
  };

  void check_seen() const;
  StreamQuantile order_statistic(std::uint64_t rank) const;

  std::uint64_t count_ = 0;
  std::int32_t min_key_ = 0, max_key_ = 0;
  std::array<std::int64_t, kExponents> sums_{};  ///< of significands, by exponent field
  std::array<Wide, kExponents> squares_{};
  std::array<std::shared_ptr<Page>, kPages> pages_;  ///< shared between copies until one writes
};

}  // namespace zeropoint
