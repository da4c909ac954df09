#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "zeropoint/ranges/bin_counts.hpp"
#include "zeropoint/ranges/exact_moments.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

/// What is done with NaN and infinity in what is observed: an error; nothing; infinities become the
/// largest float32 of their sign, and NaN is passed over.
enum class NonFinite { refuse, ignore, saturate };

/// What is kept of a stream beside its count, its smallest and its largest value.
enum class StreamParts : std::uint8_t {
  extremes = 0,  ///< nothing
  moments = 1,   ///< mean and variance
  bins = 2,      ///< quantiles
  all = 3
};

/// A quantile of a stream, and how far it is known.
struct StreamQuantile {
  float value;                          ///< interpolated
  float at_least, at_most;              ///< between which the exact quantile lies
  std::uint64_t first_rank, last_rank;  ///< 0-based: those of the values between these two; the
                                        ///< smallest and the largest value have their own alone
};

/// Statistics of a stream of floats in bounded memory: count, smallest and largest, sums of values
/// and of their squares, all exact, and counts by the leading 22 bits of each value, so that a
/// quantile is known to a relative 2⁻¹³. Every part is a sum of whole numbers: the same whatever
/// the batches and the threads, and in whatever order parts are merged. 17 MiB at most and 50 MiB
/// within observe() on several threads; some 2 MiB for normal data, 300 bytes without bins.
class StreamStatistics {
 public:
  explicit StreamStatistics(StreamParts parts = StreamParts::all) : parts_(parts) {}

  /// Throws InputError on NaN and infinity with NonFinite::refuse, naming `what` and the first
  /// index; nothing is counted then. A batch may be empty.
  void observe(std::span<const float> values, std::string_view what = "tensor",
               NonFinite policy = NonFinite::refuse);
  /// Throws InputError if the other keeps other parts.
  void merge(const StreamStatistics& other);

  StreamParts parts() const { return parts_; }
  std::uint64_t count() const { return count_; }
  /// All that follow throw InputError if nothing was seen, or if what they need is not kept.
  Range min_max() const;
  const ExactMoments& moments() const;
  double mean() const { return moments().mean(); }
  /// Population variance, from exact sums.
  double variance() const { return moments().variance(); }
  /// By linear interpolation at rank p·(count − 1), between the order statistics around it; values
  /// are taken to be spread evenly within a bin.
  StreamQuantile quantile(double p) const;
  /// Bins with values in ascending order: between what, within the stream's ends, and how many.
  /// Neighbours of one sign that together are no wider than 2⁻²⁴ of the largest magnitude are one
  /// bin, so that there are some 200,000 at most (3 MiB).
  struct Bin {
    float at_least, at_most;
    std::uint64_t count;
    /// Its middle, for all of them.
    double value() const { return (double{at_least} + double{at_most}) / 2; }
  };
  std::vector<Bin> bins() const;
  /// Of memory.
  std::size_t bytes() const { return sizeof *this + bins_.bytes(); }

  /// For another process: little-endian, versioned, with a checksum. Reading throws InputError if
  /// the bytes are not such, whatever they are.
  std::vector<std::uint8_t> serialize() const;
  static StreamStatistics deserialize(std::span<const std::uint8_t> bytes);

  bool operator==(const StreamStatistics&) const = default;

 private:
  bool keeps(StreamParts part) const {
    return (static_cast<unsigned>(parts_) & static_cast<unsigned>(part)) != 0;
  }
  void check_seen() const;
  void check_keeps(StreamParts part, std::string_view asked_for) const;
  void observe_finite(std::span<const float> values, Range extremes);
  void observe_rest(std::span<const float> values, NonFinite policy);
  StreamQuantile order_statistic(std::uint64_t rank) const;
  Bin bin_within(std::uint32_t bin, std::uint64_t count) const;

  StreamParts parts_;
  std::uint64_t count_ = 0;
  Range extremes_{};
  ExactMoments moments_;
  BinCounts bins_;
};

}  // namespace zeropoint
