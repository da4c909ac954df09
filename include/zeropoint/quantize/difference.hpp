#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

/// What a scheme makes of a tensor.
struct SchemeResult {
  std::string scheme;     ///< in full
  double relative_error;  ///< ‖x − q‖ / ‖x‖; 0 if x = q, infinite if x alone is 0
  double sqnr_db;         ///< −20·log10 of it
  bool is_zero = false;   ///< all of x is 0: there is no relative error
  double effective_bits;
  double clipped;
  float scale = 1;  ///< of the first tile, or the only one
  std::int32_t zero_point = 0;
  std::size_t tiles = 0;
  /// Numbers that change if what was quantized is quantized again: with the same parameters (0: the
  /// scheme is idempotent), and with parameters found anew. None where that is refused.
  std::optional<std::size_t> changed_again;
  std::optional<std::size_t> changed_anew;
  std::string not_again;  ///< why, then
};

/// One thing that two schemes do differently, and what it does by itself.
struct AxisDifference {
  std::string axis;  ///< "format", "granularity", "range", …, "seed", or an axis of the convention
  std::string a, b;
  std::size_t changed;  ///< numbers that differ if a's scheme takes over this one thing from b's
};

struct SchemeDifference {
  std::size_t elements = 0;
  SchemeResult a, b;
  bool has_codes = false;  ///< both are integers of one grid: codes can be compared
  std::size_t codes_differ = 0;
  std::int64_t largest_step = 0;  ///< between codes
  std::size_t values_differ = 0;  ///< dequantized
  double largest_difference = 0;  ///< between values
  std::size_t first_at = 0;       ///< index of the first element that differs
  /// Each thing that differs and that a's scheme could say: no range for even steps, say, where a
  /// is a float format.
  std::vector<AxisDifference> axes;
  bool same = false;  ///< a == b; schemes that differ in axes that decide nothing are not
};

/// Quantizes x by both. Throws InputError as quantize() does.
SchemeDifference compare_schemes(MatrixView<const float> x, const Scheme& a, const Scheme& b,
                                 std::string_view what = "tensor");

}  // namespace zeropoint
