#pragma once
#include <cstddef>

#include "zeropoint/theory/moments.hpp"

namespace zeropoint {

/// What theory expects of Y = A·B and Y' = A'·B', entries independent within and between A and B.
struct ProductMoments {
  double mean_y, mean_q;  ///< of an entry of Y and of Y'
  double var_y, var_q;    ///< variances
  double cov;             ///< covariance
};
ProductMoments product_moments(const OperandMoments& a, const OperandMoments& b, std::size_t k);

/// Relative Frobenius errors before and after the output is quantized.
struct PredictedErrors {
  double product = 0;       ///< ‖Y − Y'‖/‖Y‖, the output left in full precision
  double ground_truth = 0;  ///< ‖Y − Q(Y')‖/‖Y‖
  double expected = 0;      ///< ‖Q(Y) − Q(Y')‖/‖Q(Y)‖
};

/// (Y, Y') taken as bivariate normal, the output's quantizer Q integrated cell by cell; of a sample
/// of Y, the tails through their order statistics.
PredictedErrors predict_errors(const ProductMoments& product, QuantParams output,
                               const IntegerGrid& grid, const Convention& convention,
                               const SampleRange& sample = {});

/// The ranks that bound the range of `count` draws under `cover`.
SampleRange sample_range(double cover, Coverage sides, double count);

/// The range that a sample of `count` draws is expected to give under `cover`.
Range expected_range(const Distribution& distribution, double cover, Coverage sides, double count);

/// A whole cell of the study, from its settings alone: no data are looked at.
struct StudyPrediction {
  QuantParams a, b, y;
  PredictedErrors errors;
};
StudyPrediction predict_study(const Distribution& distribution, std::size_t m, std::size_t k,
                              std::size_t n, double cover, int bits, const Convention& convention);

}  // namespace zeropoint
