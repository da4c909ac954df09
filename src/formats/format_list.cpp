#include <array>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {
namespace {

// Everything that iterates over formats (the command, its help, the round-trip tests) reads this
// list: a new IEEE-like format is one row. Sources: IEEE 754-2019, table 3.5; for bfloat16, Intel,
// "BFLOAT16 - Hardware Numerics Definition", 2018.
constexpr std::array kFormats = {
    FloatFormat{"fp32", "IEEE 754 binary32, single precision", 8, 23},
    FloatFormat{"fp16", "IEEE 754 binary16, half precision", 5, 10},
    FloatFormat{"bf16", "bfloat16, the upper half of an fp32", 8, 7},
};

constexpr bool sound() {
  for (const FloatFormat& f : kFormats) {
    // Codes are 32-bit words, and values must be doubles with bits to spare.
    if (f.exponent_bits < 2 || f.exponent_bits > 10 || f.fraction_bits < 1 ||
        1 + f.exponent_bits + f.fraction_bits > 32) {
      return false;
    }
  }
  return true;
}
static_assert(sound(), "encode() and decode() cannot serve a format in this list");

}  // namespace

std::span<const FloatFormat> float_formats() { return kFormats; }

const FloatFormat& float_format(std::string_view name) {
  std::vector<std::string_view> known;
  for (const FloatFormat& format : kFormats) {
    if (format.name == name) return format;
    known.push_back(format.name);
  }
  throw InputError(fmt::format("format: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

}  // namespace zeropoint
