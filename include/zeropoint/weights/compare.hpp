#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/weights/quantize_file.hpp"
#include "zeropoint/weights/weights.hpp"

namespace zeropoint {

/// How two files' tensors found each other.
enum class PairedBy {
  name,
  order,  ///< names differ, and what is left in both files has the same shapes in the same order
  shape   ///< names differ, and it is the only one of its shape that is left in either file
};
std::string_view to_string(PairedBy paired_by);

struct WeightPair {
  const Weight* a = nullptr;
  const Weight* b = nullptr;
  PairedBy paired_by = PairedBy::name;
};
struct WeightPairs {
  std::vector<WeightPair> pairs;  ///< in A's order
  std::vector<const Weight*> only_a, only_b;
};
/// Containers and exporters name and shape tensors in their own ways: axes of length 1 do not count
/// when shapes are held against each other.
WeightPairs pair_weights(const WeightFile& a, const WeightFile& b);

/// What a pair has between it. Sums are of the places where both are finite.
struct WeightDifference {
  WeightPair pair;
  std::string problem;     ///< why it was not compared: "shapes differ", a file's error; else empty
  bool identical = false;  ///< of one type, and every byte the same
  std::size_t values = 0;  ///< where both are finite
  std::size_t values_differ = 0;
  double error = 0;                     ///< Σ (a − b)²
  double energy_a = 0, energy_b = 0;    ///< Σ a², Σ b²
  double product = 0;                   ///< Σ a·b
  double largest = 0;                   ///< |a − b|
  std::vector<std::size_t> largest_at;  ///< the first place of that size; an index for each of A's
                                        ///< axes, empty also if nothing differs
  float largest_a = 0, largest_b = 0;   ///< the values there
  std::size_t non_finite_a = 0, non_finite_b = 0;
  std::size_t non_finite_differ = 0;  ///< places finite in one file alone, or NaN against infinite
  std::vector<std::size_t> non_finite_differ_at;  ///< the first of them
  /// Of codes of one kind (the same integers, or zeropoint's codes of one format) and shape.
  std::optional<std::size_t> codes_differ;
  std::optional<std::uint64_t> largest_step;  ///< between two codes, of integers

  /// ‖a − b‖ / ‖a‖; 0 if nothing differs, nothing if only b has numbers other than 0.
  std::optional<double> relative_error() const;
  /// −20·log10 of it; nothing if it is 0.
  std::optional<double> sqnr_db() const;
  /// Nothing if either is 0 throughout.
  std::optional<double> cosine() const;
};

struct LintedWeight {
  const Weight* weight = nullptr;
  WeightLint lint;
  std::string problem;  ///< why it could not be read; else empty
};

/// Two files, tensor by tensor. Lives no longer than they do.
struct FileComparison {
  std::vector<WeightDifference> pairs;  ///< in A's order
  std::vector<const Weight*> only_a, only_b;
  std::vector<LintedWeight> lint_a, lint_b;  ///< of each tensor, in the file's order
  std::size_t compared = 0, identical = 0;   ///< pairs
  std::size_t values = 0;
  double error = 0, energy_a = 0;  ///< of all that were compared

  std::optional<double> relative_error() const;
  /// The pairs with the largest relative errors, at most so many; none that has no error.
  std::vector<const WeightDifference*> worst(std::size_t most) const;
};

/// Compares what the two files say, whatever containers they are: numbers as float32, and codes.
/// `only`: a regular expression that the name in either file matches; empty: all. Holds two tensors
/// at a time, and gives the same at any number of threads. `progress` counts the bytes of both
/// files' tensors. Throws InputError if `only` is no pattern; a tensor that cannot be read is a
/// problem of its own.
FileComparison compare_files(const WeightFile& a, const WeightFile& b, const std::string& only = {},
                             const BytesProgress& progress = {});

/// The tensors of one file that `only` chooses, alike.
std::vector<const Weight*> select_weights(const WeightFile& file, const std::string& only);

}  // namespace zeropoint
