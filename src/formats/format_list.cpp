#include <array>
#include <deque>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/float_format.hpp"

namespace zeropoint {
namespace {

// Everything that iterates over formats (the command, its help, the round-trip tests) reads this
// list: a new format is one row. Sources: IEEE 754-2019, table 3.5; for bf16, Intel, "BFLOAT16 -
// Hardware Numerics Definition", 2018; for tf32, NVIDIA's A100 whitepaper; for e5m2, e4m3, e3m2,
// e2m3, e2m1, e8m0, "OCP Microscaling Formats (MX) Specification", 1.0, 2023; for fnuz, Noune et
// al., "8-bit Numerical Formats for Deep Neural Networks", arXiv 2206.02915.
constexpr std::array kFormats = {
    FloatFormat{"fp32", "IEEE 754 binary32, single precision", 8, 23},
    FloatFormat{"fp16", "IEEE 754 binary16, half precision", 5, 10},
    FloatFormat{"bf16", "bfloat16, the upper half of an fp32", 8, 7},
    FloatFormat{"tf32", "TensorFloat-32: bf16's range, fp16's precision", 8, 10},
    FloatFormat{"e5m2", "OCP 8-bit floating point, IEEE-like", 5, 2},
    FloatFormat{"e4m3", "OCP 8-bit floating point, no infinities", 4, 3, FloatSpecials::fn},
    FloatFormat{"e5m2fnuz", "8-bit, no infinities, no -0", 5, 2, FloatSpecials::fnuz},
    FloatFormat{"e4m3fnuz", "8-bit, no infinities, no -0", 4, 3, FloatSpecials::fnuz},
    FloatFormat{"e3m4", "8-bit, IEEE-like, for narrow ranges", 3, 4},
    FloatFormat{"e3m2", "OCP 6-bit floating point, finite only", 3, 2, FloatSpecials::finite},
    FloatFormat{"e2m3", "OCP 6-bit floating point, finite only", 2, 3, FloatSpecials::finite},
    FloatFormat{"e2m1", "OCP 4-bit floating point, finite only", 2, 1, FloatSpecials::finite},
    FloatFormat{"e8m0", "OCP scale, a power of two", 8, 0, FloatSpecials::scale},
};

constexpr bool sound() {
  for (const FloatFormat& f : kFormats) {
    // Codes are 32-bit words, and values must be doubles with bits to spare.
    if (f.exponent_bits < 1 || f.exponent_bits > 10 || f.fraction_bits < 0 ||
        1 + f.exponent_bits + f.fraction_bits > 32 ||
        (f.specials == FloatSpecials::ieee && f.fraction_bits == 0)) {
      return false;
    }
  }
  return true;
}
static_assert(sound(), "encode() and decode() cannot serve a format in this list");

// Every other eXmY, by the same rules.
struct Others {
  std::deque<std::string> names;
  std::vector<FloatFormat> formats;

  Others() {
    for (int e = 1; e <= 8; ++e) {
      for (int m = 0; m <= 10 && 1 + e + m <= 16; ++m) {
        add(e, m, "ieee", FloatSpecials::ieee, "with infinities");
        add(e, m, "fn", FloatSpecials::fn, "no infinities");
        add(e, m, "fnuz", FloatSpecials::fnuz, "no infinities, no -0");
        add(e, m, "finite", FloatSpecials::finite, "finite only");
        const bool is_ieee = e >= 5 && m > 0;
        add(e, m, "",
            is_ieee          ? FloatSpecials::ieee
            : 1 + e + m <= 6 ? FloatSpecials::finite
                             : FloatSpecials::fn,
            "");
      }
    }
  }
  void add(int e, int m, std::string_view suffix, FloatSpecials specials, std::string_view title) {
    if (specials == FloatSpecials::ieee && m == 0) return;
    if (specials == FloatSpecials::fn && e == 1 && m == 0) return;  // NaN would leave but 0
    const auto& name = names.emplace_back(fmt::format("e{}m{}{}", e, m, suffix));
    const auto& text = names.emplace_back(
        fmt::format("{}-bit floating point{}{}", 1 + e + m, title.empty() ? "" : ", ", title));
    formats.push_back({name, text, e, m, specials});
  }
};

}  // namespace

std::span<const FloatFormat> float_formats() { return kFormats; }

const FloatFormat& float_format(std::string_view name) {
  std::vector<std::string_view> known;
  for (const FloatFormat& format : kFormats) {
    if (format.name == name) return format;
    known.push_back(format.name);
  }
  static const Others others;
  for (const FloatFormat& format : others.formats) {
    if (format.name == name) return format;
  }
  throw InputError(fmt::format("format: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

}  // namespace zeropoint
