#pragma once
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

/// A decimal whole number, all of `text` and within the limits, which the refusal names.
template <std::integral T>
T read_whole(std::string_view text, std::string_view option, T least, T most) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end || value < least || value > most) {
    throw zeropoint::InputError(fmt::format("{}: expected a whole number from {} to {}, found '{}'",
                                            option, least, most, text));
  }
  return value;
}

/// A decimal number, all of `text`; also inf and nan, for the caller to refuse by their range.
double read_real(std::string_view text, std::string_view option);

/// The values of an option that takes a list: each text is split at its commas, behind which there
/// may be spaces.
std::vector<std::string> read_list(const std::vector<std::string>& texts, std::string_view option);

/// Refuses an empty value, which would otherwise read as an option that was not given.
CLI::Validator given();
