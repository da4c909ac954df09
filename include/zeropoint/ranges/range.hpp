#pragma once
#include <span>
#include <string_view>
#include <vector>

namespace zeropoint {

/// A closed interval of reals, min ≤ max.
struct Range {
  float min = 0;
  float max = 0;
  bool operator==(const Range&) const = default;
};

/// What a coverage c means: the quantiles 1−c and c (so 0.9 covers 80 %), or the two-sided
/// fraction covered, quantiles (1−c)/2 and (1+c)/2 (so 0.9 covers 90 %).
enum class Coverage { one_sided, two_sided };

/// The two probabilities whose quantiles bound the range.
struct CoverProbabilities {
  double lower;
  double upper;
};
CoverProbabilities cover_probabilities(double cover, Coverage sides);

/// Smallest and largest value. All estimators throw InputError on an empty tensor and on NaN or
/// infinity, naming `what` and the first index.
Range min_max_range(std::span<const float> values, std::string_view what = "tensor");

/// [mean − k·σ, mean + k·σ], population σ, computed in double, kept within float32's range.
Range sigma_range(std::span<const float> values, double k, std::string_view what = "tensor");

/// The range between the quantiles that `cover` names. 0.5 < cover ≤ 1; cover 1 is min–max.
Range coverage_range(std::span<const float> values, double cover, Coverage sides,
                     std::string_view what = "tensor");

/// The same for several coverages together: in the passes of one order_statistics call.
std::vector<Range> coverage_ranges(std::span<const float> values, std::span<const double> covers,
                                   Coverage sides, std::string_view what = "tensor");

/// Throws InputError unless 0.5 < cover ≤ 1.
void check_cover(double cover);

/// Throws InputError if a value is NaN or infinite, naming `what` and the first such index.
void check_finite(std::span<const float> values, std::string_view what = "tensor");

}  // namespace zeropoint
