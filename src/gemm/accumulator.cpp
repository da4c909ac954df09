#include "zeropoint/gemm/accumulator.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

constexpr AccumulatorFormat integer(AccumulatorKind kind, std::string_view name,
                                    std::string_view title, int bits) {
  const double hi = static_cast<double>((std::int64_t{1} << (bits - 1)) - 1);
  return {kind, name, title, true, -hi - 1, hi, hi, 0, 0};
}

constexpr AccumulatorFormat floating(AccumulatorKind kind, std::string_view name,
                                     std::string_view title, int fraction_bits, int min_exponent,
                                     double largest) {
  return {kind,
          name,
          title,
          false,
          -largest,
          largest,
          static_cast<double>(std::int64_t{2} << fraction_bits),
          fraction_bits,
          min_exponent};
}

using enum AccumulatorKind;
// Sources: IEEE 754-2019, table 3.5; for bfloat16, Intel, "BFLOAT16 - Hardware Numerics
// Definition", 2018.
constexpr AccumulatorFormat kFormats[] = {
    integer(int32, "int32", "32-bit integer", 32),
    integer(int16, "int16", "16-bit integer", 16),
    integer(int8, "int8", "8-bit integer", 8),
    floating(float64, "float64", "IEEE 754 binary64", 52, -1022,
             std::numeric_limits<double>::max()),
    floating(float32, "float32", "IEEE 754 binary32", 23, -126, 0x1.fffffep127),
    floating(fp16, "fp16", "IEEE 754 binary16", 10, -14, 65504),
    floating(bf16, "bf16", "bfloat16", 7, -126, 0x1.fep127),
};

struct OverflowWord {
  IntegerOverflow overflow;
  std::string_view word;  // behind the kind's name
};
constexpr OverflowWord kOverflows[] = {{IntegerOverflow::refuse, ""},
                                       {IntegerOverflow::wrap, "-wrap"},
                                       {IntegerOverflow::saturate, "-saturate"}};

struct OrderWord {
  SummationOrder order;
  std::string_view word;
};
constexpr OrderWord kOrders[] = {{SummationOrder::sequential, "sequential"},
                                 {SummationOrder::pairwise, "pairwise"},
                                 {SummationOrder::blocked, "blocked="}};
constexpr std::string_view kExampleBlock = "32";

[[noreturn]] void refuse(std::string_view what, std::string_view found,
                         const std::vector<std::string>& words) {
  const std::vector<std::string_view> known(words.begin(), words.end());
  throw InputError(fmt::format("accumulator: expected {} of {}; found '{}' (did you mean {}?)",
                               what, join_words(known), found, nearest_word(found, known)));
}

std::string word_of(const AccumulatorFormat& format, IntegerOverflow overflow) {
  std::string word(format.name);
  if (!format.is_integer) return word;
  for (const auto& row : kOverflows) {
    if (row.overflow == overflow) word += row.word;
  }
  return word;
}

void read_order(std::string_view text, Accumulator& accumulator) {
  for (const auto& [order, word] : kOrders) {
    accumulator.order = order;
    if (order != SummationOrder::blocked) {
      if (text == word) return;
      continue;
    }
    if (!text.starts_with(word)) continue;
    const char* begin = text.data() + word.size();
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(begin, end, accumulator.block);
    if (read.ec == std::errc() && read.ptr == end && accumulator.block > 0) return;
    throw InputError(fmt::format("accumulator: expected a block of 1 or more terms, found '{}'",
                                 std::string_view(begin, end)));
  }
  refuse("an order", text, order_words());
}

}  // namespace

std::span<const AccumulatorFormat> accumulators() { return kFormats; }

const AccumulatorFormat& format_of(AccumulatorKind kind) {
  return *std::ranges::find(kFormats, kind, &AccumulatorFormat::kind);
}

std::vector<std::string> accumulator_words() {
  std::vector<std::string> words;
  for (const auto& format : kFormats) {
    for (const auto& [overflow, word] : kOverflows) {
      if (format.is_integer || overflow == IntegerOverflow::refuse) {
        words.push_back(word_of(format, overflow));
      }
    }
  }
  return words;
}

std::vector<std::string> order_words() {
  std::vector<std::string> words;
  for (const auto& [order, word] : kOrders) {
    words.emplace_back(word);
    if (order == SummationOrder::blocked) words.back() += kExampleBlock;
  }
  return words;
}

Accumulator parse_accumulator(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  for (const auto& format : kFormats) {
    for (const auto& [overflow, behind] : kOverflows) {
      if (!format.is_integer && overflow != IntegerOverflow::refuse) continue;
      if (word != word_of(format, overflow)) continue;
      Accumulator accumulator{.kind = format.kind, .overflow = overflow};
      if (colon != std::string_view::npos) read_order(text.substr(colon + 1), accumulator);
      return accumulator;
    }
  }
  refuse("one", word, accumulator_words());
}

std::string to_string(const Accumulator& accumulator) {
  std::string text = word_of(format_of(accumulator.kind), accumulator.overflow);
  if (accumulator.order == SummationOrder::sequential) return text;
  for (const auto& [order, word] : kOrders) {
    if (order == accumulator.order) text += fmt::format(":{}", word);
  }
  if (accumulator.order == SummationOrder::blocked) text += fmt::format("{}", accumulator.block);
  return text;
}

std::size_t largest_exact_k(const Accumulator& accumulator, CodeRange a, CodeRange b) {
  // Of a 32-bit zero point and a 16-bit code; products then fit 64 bits.
  constexpr std::int64_t kMost = (std::int64_t{1} << 31) + (std::int64_t{1} << 16);
  for (const CodeRange& range : {a, b}) {
    if (range.lo > range.hi || range.lo < -kMost || range.hi > kMost) {
      throw InputError(
          fmt::format("accumulator: expected a range of codes within ±(2^31 + 2^16), found {} to "
                      "{}",
                      range.lo, range.hi));
    }
  }
  const AccumulatorFormat& format = format_of(accumulator.kind);
  const auto hi = static_cast<std::int64_t>(format.exact);
  const auto lo = static_cast<std::int64_t>(format.is_integer ? format.lo : -format.exact);
  const auto [least, most] = std::minmax({a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi});
  std::size_t k = std::numeric_limits<std::size_t>::max();
  if (most > 0) k = std::min(k, static_cast<std::size_t>(hi / most));
  if (least < 0) k = std::min(k, static_cast<std::size_t>(lo / least));
  return k;
}

}  // namespace zeropoint
