#pragma once
#include <span>
#include <string>
#include <string_view>

#include "zeropoint/core/rounding.hpp"
#include "zeropoint/formats/integer_grid.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

/// What scale and zero point are computed in: float32 throughout; float64 throughout; float64
/// after max − min was taken in float32; the scale in float32 and the zero point in float64; the
/// scale in float64, rounded to float32, and the zero point in float64 by that.
enum class Arithmetic { float32, float64, float32_width, float32_scale, float64_rounded };
enum class Mapping { affine, symmetric };
/// Which codes a signed or unsigned grid of b bits has: all; one fewer, at the end that symmetry
/// removes; one fewer where the mapping is symmetric, of signed grids of 8 bits and more (ONNX
/// Runtime's int8 and int16, not its int4).
enum class GridEnds { full, narrow, by_mapping };
/// Scale of a symmetric mapping: the largest magnitude over the codes above the zero point (127 of
/// int8), or twice that magnitude over the codes in all (255 of int8, 254 of int8-narrow), or each
/// end over the codes on its side (128 and 127), whichever is more (FBGEMM's preserve_sparsity).
enum class SymmetricScale { reach, width, ends };
/// z, with [a, b] the range and [c, d] the grid: (ad − bc)/(a − b); c − a/s; c minus a/s rounded by
/// itself; from whichever end adds the smaller terms.
enum class ZeroPointFrom { both_ends, min, min_apart, nearer_end };
/// What a scale too small to be used becomes: the smallest normal float32; 1, with zero point 0;
/// 2⁻²³ as the least; 0.1 where it is 0 or its reciprocal is infinite; it is kept, down to the
/// smallest subnormal; or 0.1 as before and else 6.1e-5 as the least, about fp16's smallest normal
/// number, for which the range's ends grow in proportion before the zero point is found.
enum class SmallScale { normal, one, epsilon, tenth, kept, cutoff };
enum class Operation { divide, multiply };
enum class ZeroPointOrder { before_rounding, after_rounding };
enum class NormSum { float64, float32x8 };

/// Every axis on which quantizers disagree, made explicit. real = scale · (code − zero_point).
struct Convention {
  std::string preset = "report-code";
  Mapping mapping = Mapping::affine;  ///< symmetric: zero point at the grid's middle
  bool is_signed = true;              ///< the grid's sign
  GridEnds ends = GridEnds::full;
  SymmetricScale symmetric_scale = SymmetricScale::reach;
  Arithmetic scale_in = Arithmetic::float32;  ///< what scale and zero point are computed in
  ZeroPointFrom zero_point_from = ZeroPointFrom::both_ends;
  Rounding zero_point_rounding = Rounding::truncate;
  bool clamp_zero_point = false;  ///< onto the grid
  bool zero_in_range = false;     ///< widen the range to hold 0
  SmallScale small_scale = SmallScale::normal;
  Operation operation = Operation::multiply;  ///< x·(1/s) or x/s, in float32
  ZeroPointOrder order = ZeroPointOrder::before_rounding;
  Rounding rounding = Rounding::half_even;
  Coverage coverage = Coverage::one_sided;
  NormSum norm = NormSum::float32x8;  ///< how the study's error norms are summed

  IntegerGrid grid(int bits) const {
    const bool by_mapping = is_signed && mapping == Mapping::symmetric && bits >= 8;
    return {bits, is_signed,
            ends == GridEnds::narrow || (ends == GridEnds::by_mapping && by_mapping)};
  }
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

/// The words of Rounding, in the order of its enumerators.
std::span<const std::string_view> rounding_words();

/// Reads "PRESET" or "PRESET:key=value:…". Throws InputError naming the nearest known word.
Convention parse_convention(std::string_view text);

/// Sets one axis from "key=value". Throws InputError naming the nearest known word.
void set_axis(Convention& convention, std::string_view setting);

/// The preset, and each axis that departs from it; parse_convention reads it back.
std::string to_string(const Convention& convention);

/// Every axis written out, "mapping=affine:sign=signed:…".
std::string full_form(const Convention& convention);

}  // namespace zeropoint
