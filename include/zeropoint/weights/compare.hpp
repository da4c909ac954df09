#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "zeropoint/weights/analyze.hpp"
#include "zeropoint/weights/weights.hpp"

namespace zeropoint {

/// What may be wrong with a tensor of a file.
struct LintFinding {
  std::string name, type;
  std::size_t not_finite = 0;  ///< values
  WeightLint lint;             ///< of a quantized one
  bool is_clean() const {
    return not_finite + lint.dead_scales + lint.zero_blocks + lint.outside_zero_points == 0;
  }
};

/// A tensor of A beside one of B.
struct WeightDifference {
  std::string name_a, name_b;
  bool by_shape = false;  ///< their names differ; shape and order are the same
  std::vector<std::size_t> shape;
  std::string type_a, type_b;
  std::uint64_t bytes_a = 0, bytes_b = 0;
  std::size_t count = 0;
  std::string problem;  ///< why they are not compared: shapes that differ
  // Of values that are finite on both sides.
  double relative_error = 0;  ///< ‖a − b‖ / ‖a‖; 0 if they are the same, infinite if only a is 0
  double sqnr_db = 0;         ///< −20·log10 of it
  double cosine = kNone;  ///< of the angle between them; NaN where either is 0
  std::size_t values_differ = 0;
  double largest = 0;                   ///< |a − b|
  std::vector<std::size_t> largest_at;  ///< the index of the first such value
  float largest_a = 0, largest_b = 0;
  std::size_t not_finite_differ = 0;  ///< places where one is finite and the other is not
  /// Where both hold codes of the same type: how many differ, and by how much at most.
  std::optional<std::size_t> codes_differ;
  double largest_step = 0;
};

struct FileDifference {
  std::string path_a, path_b, container_a, container_b;
  std::vector<WeightDifference> weights;
  std::vector<std::string> only_a, only_b;  ///< names that nothing stands beside
  std::vector<LintFinding> lint_a, lint_b;  ///< what is not clean
  std::uint64_t bytes_a = 0, bytes_b = 0;
  std::size_t values = 0, same = 0;  ///< values compared; tensors that are the same
  double relative_error = 0;         ///< root of Σ‖a − b‖² / Σ‖a‖²
};

/// Tensors with the same name stand beside each other; those that are left, of both files in order,
/// where their shapes follow each other alike. `only` is a regular expression that a name (of A, or
/// of B if A has none such) must match; empty: all. Two tensors at a time are in memory.
FileDifference compare_files(const WeightFile& a, const WeightFile& b, const std::string& only = "",
                             const BytesProgress& progress = {});

}  // namespace zeropoint
