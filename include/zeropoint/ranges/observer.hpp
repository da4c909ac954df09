#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/ranges/range.hpp"
#include "zeropoint/ranges/stream_statistics.hpp"

namespace zeropoint {

/// How a range is found in data.
enum class RangeKind {
  minmax,  ///< smallest and largest
  ema,     ///< moving average of each batch's, torch's MovingAverageMinMaxObserver
  sigma,   ///< mean ± so many standard deviations
  cover,   ///< between quantiles, by either definition of coverage
  mse,     ///< of least mean squared error of an even grid
  kl       ///< of least Kullback–Leibler divergence, as TensorRT's entropy calibrator
};

struct RangeEstimator {
  RangeKind kind = RangeKind::minmax;
  double parameter = 0;
  bool operator==(const RangeEstimator&) const = default;
};

/// A row of the list in range_estimator_list.cpp.
struct RangeEstimatorWord {
  std::string_view word;
  bool takes_parameter;
  double standard;     ///< the parameter, where none is given
  double above, most;  ///< its limits
  std::string_view title;
};
std::span<const RangeEstimatorWord> range_estimators();

/// "minmax", "ema=0.01", "sigma=3", "cover=0.99", "mse", "kl". Throws InputError naming the
/// nearest, or the limits of a parameter.
RangeEstimator parse_range_estimator(std::string_view word);
std::string to_string(const RangeEstimator& estimator);
/// Throws InputError if the parameter is outside of its limits.
void check_range_estimator(const RangeEstimator& estimator);

/// step · {−below, …, levels − 1 − below}
struct EvenGrid {
  double step;
  std::int32_t below;
};

/// The grid that a range is sought for (mse, kl): how many codes, and what is made of a range.
struct GridNeed {
  std::int32_t levels = 256;
  bool symmetric = false;   ///< 0 at its middle, with one code more below if levels are even
  bool over_width = false;  ///< of a symmetric one: its step is twice the reach over all codes, not
                            ///< the reach over the codes above 0
  bool holds_zero = true;   ///< of others: 0 is one of its numbers
  double up_from = 0.5;  ///< the part of a step from which a value goes up: 1 of floor, 0 of ceil
  /// What is made of a range where it is used, down to the last bit; empty: what is said above.
  std::function<EvenGrid(const Range&)> made = nullptr;
};

/// Values between two bounds, taken to lie evenly there or together in the middle, and how many.
using Weighted = StreamStatistics::Bin;

/// The range of least mean squared error for the grid that is made of it: z codes of it below 0.
/// Sought over step and z: from the step of the range with 0 in it down by 1/8 octave (1/64 for up
/// to 1024 values, and for those away from 0 where 0 need not be on the grid, 1/256 of up to 16
/// levels), until what is clipped alone is worse; at each step the z that clips least and its
/// neighbours, all z of up to 16 levels; then ever finer around the best four, and from there to
/// where each code stands for the mean of its values. What is found is judged as `made` makes it,
/// with ends moved by up to half a step where that rounds to another grid. Never worse than the
/// values' own range. Of 2000 values and more, the error is within 0.1 % of brute force's least
/// (range_mse_test.cpp: 2 to 8 bits); of a few for each code it has many least places, and a better
/// one may be missed. A stream's bins add some 2⁻²⁸ of the mean square. The range may end a little
/// beyond the values. Values in ascending order; 2 to 2^16 levels, or InputError.
Range mse_range(std::span<const Weighted> values, const GridNeed& need);

/// The threshold t whose ±t loses least information: |x| in 2048 even bins, of which the first i
/// are kept, with the rest added to the last, against the same merged into levels / 2, for every i
/// from there on. The distribution kept is P, that merged and spread evenly over those of its bins
/// that hold something is Q, and the least KL(P‖Q) names t, the middle of bin i. Where P has
/// something and Q has nothing, Q has a ten-thousandth of a value. Migacz, "8-bit inference with
/// TensorRT", GTC 2017, whose histogram it is too; ONNX Runtime's EntropyCalibrater takes 128 bins
/// of signed values instead, if not told otherwise. It departs from both in this: the bins kept
/// hold nine tenths of the values at least, and of equal divergences the largest t is taken. They
/// count on data dense at 0; where all magnitudes are away from it (a norm's gains), the first bin
/// that holds anything would be alone in P and in Q, which then do not diverge, and nearly all
/// values would be clipped. Ends are kept within those of the values and 0. 2 levels or more, or
/// InputError; where levels / 2 reach 2048, the whole range.
Range kl_range(std::span<const Weighted> values, const GridNeed& need);

/// The range of the values at hand, exactly as Observer finds it in a stream, or better: coverage
/// from exact quantiles. Throws InputError on an empty tensor and on NaN or infinity, naming `what`
/// and the first index.
Range estimate_range(const RangeEstimator& estimator, std::span<const float> values,
                     Coverage coverage = Coverage::two_sided, const GridNeed& need = {},
                     std::string_view what = "tensor");

/// Finds a range in a stream of batches, in bounded memory: what StreamStatistics takes for what
/// the estimator needs, so some 300 bytes for minmax, ema and sigma, which are exact; 17 MiB at
/// most for cover, mse and kl, which know each value to a relative 2⁻¹³ (statistics().quantile()
/// says how far a quantile is known). The same for any cut into batches, any number of threads, and
/// after merging parts in any order, to the last bit; but for ema, which is about batches.
class Observer {
 public:
  /// Throws InputError if the estimator's parameter is outside of its limits.
  explicit Observer(RangeEstimator estimator, Coverage coverage = Coverage::two_sided,
                    NonFinite policy = NonFinite::refuse);

  /// Throws InputError on NaN and infinity unless told otherwise; what was seen before stays.
  void observe(std::span<const float> batch, std::string_view what = "tensor");
  /// Takes over what another has seen. Throws InputError if it looks for another range, and for
  /// ema, which cannot be merged.
  void merge(const Observer& other);
  std::uint64_t count() const { return statistics_.count(); }
  /// Throws InputError if nothing was seen.
  Range range(const GridNeed& need = {}) const;
  const StreamStatistics& statistics() const { return statistics_; }

  std::vector<std::uint8_t> serialize() const;
  static Observer deserialize(std::span<const std::uint8_t> bytes);

 private:
  RangeEstimator estimator_;
  Coverage coverage_;
  NonFinite policy_;
  StreamStatistics statistics_;
  Range average_{};  ///< of ema
};

}  // namespace zeropoint
