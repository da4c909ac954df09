#pragma once
#include <span>
#include <string_view>

#include "zeropoint/study/study.hpp"

namespace zeropoint {

/// A study that is asked for by name. A new one is a row in preset.cpp.
struct StudyPreset {
  std::string_view name;
  std::string_view title;
  StudySpec (*make)();
};
std::span<const StudyPreset> study_presets();

/// Throws InputError naming the nearest.
StudySpec study_preset(std::string_view name);

}  // namespace zeropoint
