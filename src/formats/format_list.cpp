#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {
namespace {

using enum FloatSpecials;

// Everything that iterates over formats (the command, its help, the round-trip tests) reads this
// list: a new format is one row. Sources: IEEE 754-2019, table 3.5; Intel, "BFLOAT16 - Hardware
// Numerics Definition", 2018; NVIDIA, A100 whitepaper, 2020 (tf32); OCP, "8-bit Floating Point
// Specification", 2023 (e5m2, e4m3); Noune et al., arXiv 2206.02915 (fnuz); OCP, "Microscaling
// Formats Specification", 2023 (e3m2, e2m3, e2m1, e8m0). e3m4 and e4m3ieee follow IEEE 754's rules
// at 8 bits.
constexpr std::array kFormats = {
    FloatFormat{"fp32", "IEEE 754 binary32, single precision", 8, 23, ieee},
    FloatFormat{"fp16", "IEEE 754 binary16, half precision", 5, 10, ieee},
    FloatFormat{"bf16", "bfloat16, the upper half of an fp32", 8, 7, ieee},
    FloatFormat{"tf32", "TensorFloat-32, an fp32 with fp16's fraction", 8, 10, ieee},
    FloatFormat{"e5m2", "OCP 8-bit float, wide range", 5, 2, ieee},
    FloatFormat{"e4m3", "OCP 8-bit float, more precision, no infinity", 4, 3, fn},
    FloatFormat{"e5m2fnuz", "8-bit float without infinity and -0, wide range", 5, 2, fnuz},
    FloatFormat{"e4m3fnuz", "8-bit float without infinity and -0", 4, 3, fnuz},
    FloatFormat{"e4m3ieee", "8-bit float by IEEE 754's rules", 4, 3, ieee},
    FloatFormat{"e3m4", "8-bit float by IEEE 754's rules, more precision", 3, 4, ieee},
    FloatFormat{"e3m2", "OCP 6-bit float, numbers only", 3, 2, finite},
    FloatFormat{"e2m3", "OCP 6-bit float, more precision, numbers only", 2, 3, finite},
    FloatFormat{"e2m1", "OCP 4-bit float, numbers only", 2, 1, finite},
    FloatFormat{"e8m0", "OCP 8-bit scale, a power of two", 8, 0, scale},
};

// Codes are 32-bit words, and values must be doubles with bits to spare.
constexpr bool is_sound(const FloatFormat& f) {
  const bool nan_has_room = f.specials != ieee || (f.exponent_bits >= 2 && f.fraction_bits >= 1);
  return f.exponent_bits >= 1 && f.exponent_bits <= 10 && f.fraction_bits >= 0 && f.bits() >= 3 &&
         f.bits() <= 32 && nan_has_room && (f.specials != scale || f.fraction_bits == 0);
}
static_assert(std::ranges::all_of(kFormats, is_sound),
              "encode() and decode() cannot serve a format in this list");

constexpr std::array<std::pair<std::string_view, FloatSpecials>, 4> kSuffixes = {
    {{"ieee", ieee}, {"fn", fn}, {"fnuz", fnuz}, {"finite", finite}}};

constexpr FloatSpecials default_specials(int exponent_bits, int fraction_bits) {
  if (exponent_bits >= 5) return ieee;
  return 1 + exponent_bits + fraction_bits <= 6 ? finite : fn;
}

const FloatFormat* row_of(std::string_view name) {
  const auto row = std::ranges::find(kFormats, name, &FloatFormat::name);
  return row == kFormats.end() ? nullptr : &*row;
}

// Takes a whole number of one or two digits off the front.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || digits > 2 || text[0] == '-') return std::nullopt;
  text.remove_prefix(digits);
  return number;
}

// eXmY with or without a suffix; not yet checked for its size.
std::optional<FloatFormat> parse_fields(std::string_view name) {
  if (!name.starts_with('e')) return std::nullopt;
  name.remove_prefix(1);
  const auto exponent_bits = take_number(name);
  if (!exponent_bits || !name.starts_with('m')) return std::nullopt;
  name.remove_prefix(1);
  const auto fraction_bits = take_number(name);
  if (!fraction_bits) return std::nullopt;
  FloatFormat format{"", "", *exponent_bits, *fraction_bits,
                     default_specials(*exponent_bits, *fraction_bits)};
  if (name.empty()) return format;
  for (const auto& [suffix, specials] : kSuffixes) {
    if (name != suffix) continue;
    format.specials = specials;
    return format;
  }
  return std::nullopt;
}

// The one name of a format that is no row.
std::string canonical_name(const FloatFormat& format) {
  std::string name = fmt::format("e{}m{}", format.exponent_bits, format.fraction_bits);
  const bool by_default =
      format.specials == default_specials(format.exponent_bits, format.fraction_bits);
  if (by_default && row_of(name) == nullptr) return name;
  for (const auto& [suffix, specials] : kSuffixes) {
    if (specials == format.specials) name += suffix;
  }
  return name;
}

// Formats made on demand, each once, kept to the end of the program.
const FloatFormat& kept(FloatFormat format) {
  struct Entry {
    std::string title;
    FloatFormat format;
  };
  static std::mutex mutex;
  static std::map<std::string, Entry> entries;
  const std::lock_guard lock(mutex);
  const auto [at, is_new] = entries.try_emplace(canonical_name(format));
  Entry& entry = at->second;
  if (is_new) {
    static constexpr std::array kRules = {"IEEE 754's rules", "no infinity",
                                          "no infinity and no -0", "numbers only"};
    entry.title = fmt::format("{}-bit float, {}", format.bits(),
                              kRules.at(static_cast<std::size_t>(format.specials)));
    format.name = at->first;
    format.title = entry.title;
    entry.format = format;
  }
  return entry.format;
}

}  // namespace

std::span<const FloatFormat> float_formats() { return kFormats; }

const FloatFormat& float_format(std::string_view name) {
  if (const FloatFormat* row = row_of(name)) return *row;
  if (const auto format = parse_fields(name)) {
    for (const FloatFormat& row : kFormats) {
      if (row.exponent_bits == format->exponent_bits &&
          row.fraction_bits == format->fraction_bits && row.specials == format->specials) {
        return row;
      }
    }
    if (!is_sound(*format) || format->bits() > 16) {
      throw InputError(fmt::format(
          "format: expected eXmY of 3 to 16 bits in all, X from 1 to 10 (with infinities "
          "X >= 2, Y >= 1); found '{}'",
          name));
    }
    return kept(*format);
  }
  std::vector<std::string_view> known;
  for (const FloatFormat& format : kFormats) known.push_back(format.name);
  throw InputError(fmt::format(
      "format: expected one of {}, or eXmY with ieee, fn, fnuz, finite or nothing behind "
      "it; found '{}' (did you mean {}?)",
      join_words(known), name, nearest_word(name, known)));
}

}  // namespace zeropoint
