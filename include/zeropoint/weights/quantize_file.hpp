#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "zeropoint/weights/weights.hpp"

namespace zeropoint {

/// How a file is to be quantized. Where a scheme is asked for, "keep" leaves a tensor as it is.
struct QuantizeOptions {
  std::string scheme;
  /// A regular expression and a scheme; of several that a name matches, the last counts. Whatever
  /// matches is quantized, of any number of axes.
  std::vector<std::pair<std::string, std::string>> overrides;
  /// For tensors that the scheme, or an override's, does not fit. Empty: they are problems.
  std::string fallback;
  /// Quantizes the names that match, and no others. Empty: numbers of at least two axes.
  std::string only;
  std::string container = "safetensors";  ///< of the new file
  bool fake = false;        ///< what the codes stand for is written, in the type that it had
  bool requantize = false;  ///< what is quantized already is quantized again
};

/// What becomes of one tensor.
struct PlannedWeight {
  const Weight* weight = nullptr;
  std::optional<Scheme> scheme;  ///< none: it is kept
  std::string reason;            ///< why it is kept: "one axis", "integers", "--only", "keep"
  std::string problem;           ///< why it cannot be written so; empty if it can
  std::string fell_back;         ///< why the fallback serves; empty if it does not
  std::string type;              ///< afterwards: the scheme, in short, or the type
  std::uint64_t bytes = 0;       ///< afterwards
  /// Of a kept one whose own type the new file's container lacks: float32, which holds it exactly.
  const TensorType* kept_as = nullptr;
  /// Once it is written: ‖x − q‖ / ‖x‖ and −20·log10 of it; 0 and infinite if nothing was lost.
  std::optional<double> relative_error;
  double sqnr_db() const;
};

/// What becomes of a file. Lives no longer than its WeightFile.
struct QuantizePlan {
  QuantizeOptions options;
  std::vector<PlannedWeight> weights;
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< of all tensors
  std::size_t problems() const;
  std::size_t quantized() const;
};

/// Called with the bytes that were read so far, and of all.
using BytesProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

/// Reads all of the file once, to find numbers that are not finite, unless `reads` is false. What
/// does not fit is in the plan, by name; throws InputError if a scheme or a pattern is none, or the
/// container holds only plain numbers and `fake` is not said.
QuantizePlan plan_quantization(const WeightFile& file, const QuantizeOptions& options,
                               bool reads = true, const BytesProgress& progress = {});

/// Writes the file that the plan says, and the errors into the plan. The file has its name once all
/// of it is on the disk; its bytes depend on nothing but the input, the plan and the version. Holds
/// one tensor at a time. Throws InputError if the plan has problems, WorkError if the disk fails.
void write_quantized(const WeightFile& file, QuantizePlan& plan, const std::string& path,
                     const BytesProgress& progress = {});

}  // namespace zeropoint
