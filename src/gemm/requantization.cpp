#include "zeropoint/gemm/requantization.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "gemm/fixed_point.hpp"

namespace zeropoint {
namespace {

// Read in the sources of those projects; see docs/conventions.md.
const RequantizationPreset kPresets[] = {
    {"report-code",
     "float64 scaling, zero point added before rounding half to even",
     {.zero_point_before_rounding = true}},
    {"onnxruntime",
     "float32 scaling, rounding half to even, then the zero point",
     {.scale_in = ScaleIn::float32}},
    {"gemmlowp",
     "a 31-bit fixed-point multiplier and a rounding shift",
     {.rounding = Rounding::half_away, .scale_in = ScaleIn::fixed_point}},
};

}  // namespace

std::span<const RequantizationPreset> requantization_presets() { return kPresets; }

const Requantization& requantization(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& preset : kPresets) {
    if (preset.name == name) return preset.rules;
    known.push_back(preset.name);
  }
  throw InputError(fmt::format("requantization: expected one of {}; found '{}', the nearest is {}",
                               join_words(known), name, nearest_word(name, known)));
}

std::int32_t requantize(std::int64_t sum, const Requantization& how) {
  if (how.scale_in == ScaleIn::fixed_point) {
    const std::int64_t code = fixed_point(how.multiplier).scale(sum) + how.zero_point;
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(code, how.lo, how.hi));
  }
  const float scaled = how.scale_in == ScaleIn::float64
                           ? static_cast<float>(how.multiplier * static_cast<double>(sum))
                           : static_cast<float>(how.multiplier) * static_cast<float>(sum);
  const auto z = static_cast<float>(how.zero_point);
  const float rounded = how.zero_point_before_rounding ? round_to_integer(scaled + z, how.rounding)
                                                       : round_to_integer(scaled, how.rounding) + z;
  return static_cast<std::int32_t>(
      std::clamp(rounded, static_cast<float>(how.lo), static_cast<float>(how.hi)));
}

}  // namespace zeropoint
