#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace zeropoint {

/// What the levels of a codebook are measured in: the largest magnitude of what shares a scale, or
/// its root mean square; fitted ones are the numbers themselves.
enum class LevelUnit { magnitude, rms, none };

/// A list of up to 256 numbers that codes stand for. A new one is a row in codebook_list.cpp.
struct CodebookFormat {
  std::string_view name;
  std::string_view title;
  int bits;
  LevelUnit unit;
  /// Ascending; null where they are fitted to each tensor.
  std::vector<float> (*levels)();

  bool is_fitted() const { return levels == nullptr; }
};

std::span<const CodebookFormat> codebook_formats();
/// Throws InputError naming the nearest.
const CodebookFormat& codebook_format(std::string_view name);

/// The 2^bits levels of least mean squared error for these values (Lloyd–Max): from quantiles on,
/// each level becomes the mean of the values nearest to it until none moves by more than 2⁻²⁰ of
/// their spread, 1000 times at most. With fewer distinct values than levels, they are the levels,
/// the last repeated. The same at any thread count. Throws InputError on an empty tensor, NaN,
/// infinity, and unless 1 ≤ bits ≤ 8. Lloyd, "Least squares quantization in PCM", 1982; Max,
/// "Quantizing for minimum distortion", 1960.
std::vector<float> fit_lloyd_max(std::span<const float> values, int bits,
                                 std::string_view what = "tensor");

/// codes[i]: the level nearest to x[i] / scale, of two equally near ones the lower. At most 256
/// ascending levels. Returns how many lie beyond the outermost levels.
std::size_t encode_levels(std::span<const float> levels, std::span<const float> x, float scale,
                          std::span<std::uint8_t> codes);
/// x[i] = levels[codes[i]] · scale.
void decode_levels(std::span<const float> levels, std::span<const std::uint8_t> codes, float scale,
                   std::span<float> x);

}  // namespace zeropoint
