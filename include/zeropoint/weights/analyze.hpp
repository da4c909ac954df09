#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/quantize/ledger.hpp"
#include "zeropoint/weights/quantize_file.hpp"
#include "zeropoint/weights/weights.hpp"

namespace zeropoint {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// Channels along an axis whose largest magnitude, or whose root mean square, is more than 6 times
/// the median channel's.
struct ChannelOutliers {
  std::size_t channels = 0;
  std::size_t outliers = 0;
  double factor = kNone;           ///< of the largest magnitude, against the median channel's
  double rms_factor = kNone;       ///< of the largest root mean square, against the median one
  std::size_t largest = 0;         ///< which has the largest magnitude
  std::vector<std::size_t> worst;  ///< outliers by their magnitude, at most 8
};

/// The parts of a tensor's numbers below WeightProfile::percentiles.
constexpr std::array kPercentiles = {0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999};

/// What numbers a tensor has. Moments are of those that are finite; NaN where there are none.
struct WeightProfile {
  std::size_t count = 0, zeros = 0, nans = 0, infinities = 0;
  double min = kNone, max = kNone, mean = kNone, sigma = kNone;
  double kurtosis = kNone;  ///< the excess: 0 of a normal distribution
  /// Differential entropy of those that are not 0, in bits, from a histogram of steps of 1/128 of a
  /// number's power of two (of few numbers 1/64 to 1/8, so that there are 32 a step) with Miller
  /// and Madow's correction; NaN of fewer than 1024, and of those that such steps do not resolve.
  double entropy = kNone;
  /// Of finite numbers, from the steps of 1/128; 0 where there are none.
  std::array<double, kPercentiles.size()> percentiles{};
  ChannelOutliers outputs;  ///< along axis 0
  ChannelOutliers inputs;   ///< along axis 1
  double histogram_min = 0, histogram_max = 0;
  std::vector<std::uint64_t> histogram;  ///< even bins between those, of finite numbers
};

/// On all threads; no result depends on their number. `shape` has values.size() numbers.
WeightProfile profile_of(std::span<const float> values, std::span<const std::size_t> shape);

/// One tensor under one scheme.
struct SchemeTrial {
  std::string problem;  ///< why it does not fit; the rest says nothing then
  std::uint64_t bytes = 0;
  double bits = kNone;  ///< a value, all that is stored counted
  double relative_error = kNone;
  double sqnr_db = kNone;
  /// How far the error is above the least that any code of so many bits can leave of independent
  /// numbers so distributed (Shannon's lower bound, by the profile's entropy), and the bits that
  /// one at the bound needs less.
  double gap_db = kNone, gap_bits = kNone;
  /// The same against normal numbers of that variance: 2^(−2·bits).
  double normal_gap_db = kNone;
  TensorLedger ledger;            ///< of `ledger_values` of the numbers, spread over the tensor
  std::size_t ledger_values = 0;  ///< 0: none
  std::vector<float> grid;        ///< what codes of a scheme with one scale stand for, up to 256
};

struct AnalyzedWeight {
  std::string name, type;
  std::vector<std::size_t> shape;
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  bool is_quantized = false;
  std::string kept;  ///< why no scheme was tried; empty if they were
  WeightProfile profile;
  std::vector<SchemeTrial> trials;  ///< one a scheme
  std::vector<std::size_t> best;    ///< schemes that none beats in both bits and error, by bits
};

/// All tensors by one scheme; those that it does not fit are kept.
struct SchemeTotal {
  std::uint64_t bytes = 0;
  double error = 0;  ///< root of Σ nᵢ·eᵢ² / Σ nᵢ over the tensors tried, eᵢ their relative errors
  std::size_t misfits = 0;
  /// Means of the tensors' gaps, each value counting alike; NaN where none has one.
  double gap_db = kNone, gap_bits = kNone;
  /// At this size or less, a scheme for each tensor (or none) that together leave the least error.
  double mixed_error = 0;
  std::uint64_t mixed_bytes = 0;
  std::vector<std::size_t> mixed;  ///< a scheme for each tensor tried; schemes.size(): kept
};

/// A point of the front: no choice of schemes that was seen has both fewer bytes and less error.
struct FrontPoint {
  std::uint64_t bytes;
  double error;
};

/// How long a product with such a matrix takes here: m rows of activations times its transpose.
struct ShapeTiming {
  std::size_t n = 0, k = 0, tensors = 0;
  struct Seconds {
    std::size_t m;
    double fp32, int8;
    double ratio;  ///< fp32 / int8, the median over turns in which both were timed
  };
  std::vector<Seconds> seconds;
};

struct AnalyzeOptions {
  std::vector<std::string> schemes;  ///< empty: analyze_schemes()
  std::string only;                  ///< as in QuantizeOptions
  double timing_seconds = 5;         ///< for all shapes together; 0: none
};

struct FileAnalysis {
  std::string path, container;
  std::string only;  ///< as in AnalyzeOptions
  std::uint64_t file_bytes = 0, tensor_bytes = 0;
  std::vector<std::string> schemes;  ///< as short as they can be said
  std::vector<AnalyzedWeight> weights;
  std::vector<SchemeTotal> totals;  ///< one a scheme
  std::vector<FrontPoint> front;    ///< by bytes
  std::vector<ShapeTiming> timings;
  std::size_t shapes_not_timed = 0;
  double seconds = 0;  ///< without timings
};

/// What `zeropoint quantize FILE` must be told for the mixture at the size of a scheme: options and
/// their values in turn. The scheme that most tensors get stands in --scheme, those of others in
/// --override, by their whole names (of names beyond 256 characters by the first 256).
std::vector<std::string> quantize_options(const FileAnalysis& analysis, std::size_t scheme);

/// What is tried unless told otherwise.
std::vector<std::string> analyze_schemes();

/// Every tensor under every scheme, one tensor in memory at a time. Throws InputError if a scheme
/// or a pattern is none, or a container turns out to be damaged.
FileAnalysis analyze(const WeightFile& file, const AnalyzeOptions& options,
                     const BytesProgress& progress = {});

}  // namespace zeropoint
