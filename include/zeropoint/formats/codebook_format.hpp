#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "zeropoint/formats/codebook.hpp"

namespace zeropoint {

/// What the levels of a codebook are measured in: the largest magnitude of what shares a scale, or
/// its root mean square; fitted ones are the numbers themselves.
enum class LevelUnit { magnitude, rms, none };

/// A codebook as a scheme names it. A new one is a row in codebook_format_list.cpp.
struct CodebookFormat {
  std::string_view name;
  std::string_view title;
  int bits;
  LevelUnit unit;
  std::string_view density = {};  ///< whose Lloyd–Max quantizer it is, if it is one's

  /// True if the levels are found in each tensor.
  bool is_fitted() const { return unit == LevelUnit::none; }
};

/// nf4; lloyd1 … lloyd8, fitted; lloyd1-normal … lloyd8-uniform, of densities().
std::span<const CodebookFormat> codebook_formats();

/// Throws InputError naming the nearest.
const CodebookFormat& codebook_format(std::string_view name);

/// Its levels, ascending, in its unit; empty if they are fitted.
std::vector<float> levels_of(const CodebookFormat& format);

}  // namespace zeropoint
