#include "zeropoint/transforms/transform.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

constexpr TransformWord kRows[] = {
    {TransformKind::hadamard, "hadamard", "SEED",
     "both operands rotated by a Hadamard matrix, after random signs of that seed"},
    {TransformKind::smooth, "smooth", "ALPHA",
     "A_j divided, B_j multiplied by max|A_j|^ALPHA / max|B_j|^(1-ALPHA); 0.5 if left out"},
};

const TransformWord& row_of(TransformKind kind) {
  return *std::ranges::find(kRows, kind, &TransformWord::kind);
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && stopped == text.data() + text.size();
}

}  // namespace

std::span<const TransformWord> transform_words() { return kRows; }

Transform parse_transform(std::string_view word) {
  const auto equals = word.find('=');
  const auto key = word.substr(0, equals);
  const auto row = std::ranges::find(kRows, key, &TransformWord::word);
  if (row == std::end(kRows)) {
    std::vector<std::string_view> known;
    for (const auto& each : kRows) known.push_back(each.word);
    throw InputError(fmt::format("transform: expected one of {}; found '{}' (did you mean {}?)",
                                 join_words(known), printable(word), nearest_word(key, known)));
  }
  Transform transform{row->kind, std::nullopt};
  if (equals == word.npos) return transform;
  const auto argument = word.substr(equals + 1);
  switch (row->kind) {
    case TransformKind::hadamard: {
      std::uint64_t seed = 0;
      if (!read_number(argument, seed)) {
        throw InputError(fmt::format(
            "transform: expected hadamard=SEED, a whole number; found '{}'", printable(word)));
      }
      transform.seed = seed;
      break;
    }
    case TransformKind::smooth:
      if (!read_number(argument, transform.alpha) ||
          !(transform.alpha >= 0 && transform.alpha <= 1)) {
        throw InputError(fmt::format("transform: expected smooth=ALPHA, from 0 to 1; found '{}'",
                                     printable(word)));
      }
      transform.alpha += 0.0;  // −0 is 0
      break;
  }
  return transform;
}

std::string to_string(const Transform& transform) {
  const std::string word(row_of(transform.kind).word);
  if (transform.kind == TransformKind::smooth) return fmt::format("{}={}", word, transform.alpha);
  return transform.seed ? fmt::format("{}={}", word, *transform.seed) : word;
}

std::string short_form(const Transform& transform) {
  const bool is_plain = transform == Transform{transform.kind, std::nullopt};
  return is_plain ? std::string(row_of(transform.kind).word) : to_string(transform);
}

}  // namespace zeropoint
