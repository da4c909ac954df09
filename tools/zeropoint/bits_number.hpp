#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace zeropoint::bits {

/// A number as the user gave it.
struct Number {
  std::string text;
  double value = 0;   ///< the double nearest to it
  bool exact = true;  ///< value is the number itself
  /// Rounded such that rounding this to a format gives what rounding the number itself would.
  double to_odd = 0;
};

/// inf, infinity or nan, in any case, with or without a sign.
std::optional<double> named_number(std::string_view text);

/// A decimal, a hexadecimal (0x1.8p-2) or a named number; spaces around it are skipped. Throws
/// InputError, naming the argument `what`, unless the whole text is one within double's range.
Number read_number(std::string_view text, std::string_view what);

/// All digits of a finite double: every one of them has an end.
std::string exact_decimal(double value);

/// As exact_decimal; also "inf", "-inf", "nan" and "-nan".
std::string spelled(double value);

}  // namespace zeropoint::bits
