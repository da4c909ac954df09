#pragma once
#include <cstddef>
#include <string>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// What is expected of one measurement of a relative error, from the settings alone.
struct ErrorPrediction {
  double expected = 0;       ///< the mean over measurements
  double low = 0, high = 0;  ///< 95 % of measurements lie between, as many below as above
  std::string why_not;       ///< why there is no prediction; else empty

  bool has_value() const { return why_not.empty(); }
};

/// ‖X − Q(X)‖/‖X‖ of a rows×cols matrix of independent entries under a scheme.
ErrorPrediction predict_tensor(const Distribution& distribution, const Scheme& scheme,
                               std::size_t rows, std::size_t cols, Role role = Role::stored);

/// ‖A·B − Q(A)·Q(B)‖/‖A·B‖ for A (m×k) and B (k×n) of independent entries, each under its scheme,
/// the product in full precision. Without a prediction: distributions whose entries are not
/// independent; static schemes, `kl`, fitted codebooks, scale formats; what else why_not names.
ErrorPrediction predict_product(const Distribution& distribution, const SchemePair& schemes,
                                std::size_t m, std::size_t k, std::size_t n);

/// The ground-truth error of a cell of the study: what predict_study() expects, and its interval.
/// None where predict_study() has no say (distributions that are not independent, stochastic
/// rounding), nor for distributions with a mean: rows of Y have a part in common then.
ErrorPrediction predict_study_error(const Distribution& distribution, std::size_t m, std::size_t k,
                                    std::size_t n, double cover, int bits,
                                    const Convention& convention);

/// E[max |X|] of `count` independent draws: what a symmetric range grows to.
double expected_absmax(const Distribution& distribution, double count);

}  // namespace zeropoint
