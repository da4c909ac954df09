#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "zeropoint/quantize/ledger.hpp"
#include "zeropoint/quantize/params.hpp"
#include "zeropoint/theory/limits.hpp"

namespace zeropoint {

/// The report's three errors, each a ratio of Frobenius norms.
struct StudyErrors {
  double ground_truth = 0;  ///< ‖Y − deq(Y'_q)‖ / ‖Y‖
  double expected = 0;      ///< ‖deq(Y_q) − deq(Y'_q)‖ / ‖deq(Y_q)‖
  double simulated = 0;     ///< ‖Y_q − Y'_q‖ / ‖Y_q‖ on integer codes
};

/// What the report's author published for a cell.
struct PublishedRow {
  StudyErrors error;
  QuantParams a, b, y;
};

/// Where a row's squared error comes from. Sums over A are relative to ‖A‖², so that their `energy`
/// is 1; over B and Y likewise, so that the product's parts add up to the error squared.
struct RowLedger {
  TensorLedger a, b;
  ProductLedger product;
};

/// How far a row of schemes is from what no quantizer of its effective bits can do better. Of the
/// operands, if their distribution has a bound; of the product, if they are normal and have as many
/// bits, within a hundredth.
struct RowGap {
  std::optional<Gap> a, b, product;
};

/// One finished cell of a study.
struct StudyRow {
  std::string distribution;  ///< a distribution's name, or "file" for the user's own matrices
  std::size_t m = 0, k = 0, n = 0;
  double cover = 1;
  int bits = 8;
  std::string convention;  ///< as to_string(Convention) gives it
  /// Of a row of --schemes, "A x B" in full, else empty. Such a row's product stays float32: it has
  /// the ground-truth error alone (the others are infinite), and no range, output or published row.
  std::string scheme;
  std::string accumulator;  ///< what sums of products were held in; empty: they were exact
  double effective_bits_a = 0, effective_bits_b = 0;  ///< of a row of --schemes
  std::uint64_t seed = 0;
  std::string generator;  ///< "report", "counter" or "file"

  StudyErrors error;          ///< norms summed as the convention says
  StudyErrors error_float64;  ///< norms summed in double
  std::optional<double> predicted_ground_truth;
  std::optional<double> predicted_expected;
  std::optional<double> predicted_scale_y;
  std::optional<double> predicted_low, predicted_high;  ///< 95 % of ground-truth errors lie between
  QuantParams a, b, y;
  double clipped_a = 0, clipped_b = 0, clipped_y = 0;  ///< fractions, 0 to 1
  double excess_kurtosis_y = 0;      ///< of the true product's entries; 0 for a normal distribution
  double seconds = 0;                ///< the whole cell
  double seconds_float_product = 0;  ///< the float32 product that is the ground truth
  double seconds_quantized_product = 0;  ///< quantizing A and B, and the int8 product
  std::optional<RowLedger> ledger;
  RowGap gap;
  std::optional<PublishedRow> published;

  bool square() const { return m == k && k == n; }
  /// Whether the ground-truth error is one of the 5 % beyond; none if there is no such interval.
  std::optional<bool> outside_interval() const {
    if (!predicted_low || !predicted_high) return std::nullopt;
    const double e = error_float64.ground_truth;
    return !(e >= *predicted_low && e <= *predicted_high);
  }
};

}  // namespace zeropoint
