#pragma once
#include <span>
#include <string>
#include <string_view>

#include "zeropoint/core/rounding.hpp"
#include "zeropoint/formats/integer_grid.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

enum class Arithmetic { float32, float64 };
enum class Mapping { affine, symmetric };
enum class Operation { divide, multiply };
enum class ZeroPointOrder { before_rounding, after_rounding };
enum class NormSum { float64, float32x8 };

/// Every axis on which quantizers disagree, made explicit. real = scale · (code − zero_point).
struct Convention {
  std::string preset = "report-code";
  Mapping mapping = Mapping::affine;          ///< symmetric: zero point at the grid's middle
  bool is_signed = true;                      ///< the grid's sign
  bool narrow = false;                        ///< the grid without its odd code
  Arithmetic scale_in = Arithmetic::float32;  ///< what scale and zero point are computed in
  Rounding zero_point_rounding = Rounding::truncate;
  bool clamp_zero_point = false;              ///< onto the grid
  bool zero_in_range = false;                 ///< widen the range to hold 0
  Operation operation = Operation::multiply;  ///< x·(1/s) or x/s, in float32
  ZeroPointOrder order = ZeroPointOrder::before_rounding;
  Rounding rounding = Rounding::half_even;
  Coverage coverage = Coverage::one_sided;
  NormSum norm = NormSum::float32x8;  ///< how the study's error norms are summed

  IntegerGrid grid(int bits) const { return {bits, is_signed, narrow}; }
  bool operator==(const Convention&) const = default;
};

/// A preset as it stands in convention.cpp's list.
struct ConventionPreset {
  std::string_view name;
  std::string_view title;
};
std::span<const ConventionPreset> convention_presets();

/// One axis: its key, its values, what it decides.
struct ConventionAxis {
  std::string_view key;
  std::span<const std::string_view> values;
  std::string_view title;
};
std::span<const ConventionAxis> convention_axes();

/// Reads "PRESET" or "PRESET:key=value:…". Throws InputError naming the nearest known word.
Convention parse_convention(std::string_view text);

/// The preset, and each axis that departs from it; parse_convention reads it back.
std::string to_string(const Convention& convention);

/// Every axis written out, "mapping=affine:sign=signed:…".
std::string full_form(const Convention& convention);

}  // namespace zeropoint
