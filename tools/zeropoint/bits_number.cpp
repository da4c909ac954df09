#include "bits_number.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint::bits {
namespace {

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

}  // namespace

std::optional<double> named_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::string word(text);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  double value = 0;
  if (word == "inf" || word == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (word == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    return std::nullopt;
  }
  return std::copysign(value, negative ? -1.0 : 1.0);
}

Number read_number(std::string_view given, std::string_view what) {
  const std::string text = trimmed(given);
  if (const std::optional<double> named = named_number(text)) return {text, *named, true, *named};

  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const char start = sign < text.size() ? text[sign] : '\0';
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  // strtod would also take "nan(7)" and a second sign.
  if ((start != '.' && std::isdigit(static_cast<unsigned char>(start)) == 0) ||
      end != text.c_str() + text.size()) {
    throw InputError(
        fmt::format("{}: expected a number such as 0.375, -1e-3, 0x1.8p-2, inf or nan; found '{}'",
                    what, text));
  }
  if (std::isinf(value)) {
    throw InputError(fmt::format(
        "{}: expected a number that a double can hold, up to 1.8e308, or inf; found '{}'", what,
        text));
  }

  // Towards zero, and odd where something was cut off (Boldo and Melquiond, "Emulation of FMA and
  // correctly rounded sums: proved algorithms using rounding to odd", 2008).
  const int mode = std::fegetround();
  std::fesetround(FE_TOWARDZERO);
  std::feclearexcept(FE_INEXACT);
  double to_odd = std::strtod(text.c_str(), nullptr);
  const bool exact = std::fetestexcept(FE_INEXACT) == 0;
  std::fesetround(mode);
  if (!exact) to_odd = std::bit_cast<double>(std::bit_cast<std::uint64_t>(to_odd) | 1);
  return {text, value, exact, to_odd};
}

std::string exact_decimal(double value) {
  constexpr int kMostDigits = 766;  // after the first, which no double exceeds
  std::array<char, kMostDigits + 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*e", kMostDigits, value);
  std::string digits = buffer.data();
  const std::string sign = digits[0] == '-' ? "-" : "";
  digits.erase(0, sign.size());
  const std::size_t e = digits.find('e');
  const int exponent = std::atoi(digits.c_str() + e + 1);
  digits.erase(e);
  digits.erase(1, 1);  // the point
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.empty()) return sign + "0";

  const int count = static_cast<int>(digits.size());
  if (exponent < -7 || exponent > 20) {
    if (count > 1) digits.insert(1, ".");
    return fmt::format("{}{}e{:+03d}", sign, digits, exponent);
  }
  if (exponent < 0) return sign + "0." + std::string(-exponent - 1, '0') + digits;
  if (count <= exponent + 1) return sign + digits + std::string(exponent + 1 - count, '0');
  return sign + digits.insert(exponent + 1, ".");
}

std::string spelled(double value) {
  if (std::isnan(value)) return std::signbit(value) ? "-nan" : "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return exact_decimal(value);
}

}  // namespace zeropoint::bits
