#include "zeropoint/quantize/scheme.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

constexpr std::string_view kDefaultConvention = "onnx";

// Aspects of a scheme, each of which may be said once.
enum class Aspect {
  symmetry,
  granularity,
  range,
  rounding,
  timing,
  scale_rule,
  dequantization,
  axis
};
constexpr std::array<std::string_view, 8> kAspects = {"symmetry",       "granularity", "range",
                                                      "rounding",       "timing",      "scale-rule",
                                                      "dequantization", "axis"};
std::string_view name(Aspect aspect) { return kAspects[static_cast<std::size_t>(aspect)]; }

std::string_view key_of(std::string_view word) { return word.substr(0, word.find('=')); }
std::string_view argument_of(std::string_view word) {
  const auto equals = word.find('=');
  return equals == word.npos ? std::string_view() : word.substr(equals + 1);
}

template <class List, class Word, class Key>
bool holds(const List& list, const Word& word, Key key) {
  return std::ranges::any_of(list, [&](const auto& row) { return key(row) == word; });
}

bool is_number(std::string_view text) {
  double value = 0;  // what follows one, and nan and inf, are refused where it is read
  return std::from_chars(text.data(), text.data() + text.size(), value).ec !=
         std::errc::invalid_argument;
}

bool is_transform(std::string_view key) {
  return holds(transform_words(), key, [](const auto& row) { return row.word; });
}

[[noreturn]] void refuse_transform(std::string_view word) {
  throw InputError(
      fmt::format("scheme: expected transforms before a format, as in {}+int8; found "
                  "'{}' in its place",
                  key_of(word), printable(word)));
}

[[noreturn]] void refuse_plus(std::string_view word) {
  throw InputError(
      fmt::format("scheme: expected transforms in front of the format, each with a + behind it, as "
                  "in hadamard+int8; found '{}'",
                  printable(word)));
}

bool is_format(std::string_view name) {
  try {
    parse_format(name);
    return true;
  } catch (const InputError&) {
    return false;
  }
}

// The word that somebody means who writes this one in full.
std::string_view abbreviated(std::string_view key) {
  if (key == "symmetric") return "sym";
  if (key == "asymmetric") return "affine";
  return {};
}

// Axes of a convention that decide something for a kind of format. Mapping and rounding are
// aspects, however they are spelled; sign and norm are refused by themselves.
bool has_axis(FormatKind kind, std::string_view key) {
  if (kind == FormatKind::integer) return true;
  return key == "cover" || (key == "operation" && kind == FormatKind::floating);
}

// The aspect that a word speaks of; refuses an unknown one.
Aspect aspect_of(std::string_view word) {
  const auto key = key_of(word);
  if (key == "affine" || key == "sym" || key == "mapping") return Aspect::symmetry;
  if (key == "rounding") return Aspect::rounding;
  if (key == "shrink") return Aspect::dequantization;
  if (holds(granularity_words(), key, [](const auto& row) { return row.word; })) {
    return Aspect::granularity;
  }
  const bool is_axis =
      holds(convention_axes(), key, [](const ConventionAxis& row) { return row.key; });
  const bool is_range =
      key == "unit" || holds(range_estimators(), key, [](const auto& row) { return row.word; });
  // "cover" is an estimator with a number, an axis with a word.
  if (is_axis && is_range && !argument_of(word).empty() && !is_number(argument_of(word))) {
    for (const auto& axis : convention_axes()) {
      if (axis.key != key) continue;
      if (std::ranges::find(axis.values, argument_of(word)) != axis.values.end()) {
        return Aspect::axis;
      }
      throw InputError(fmt::format("scheme: expected {}=C with a number, or {}={}; found '{}'", key,
                                   key, fmt::join(axis.values, "|"), printable(word)));
    }
  }
  if (is_range) return Aspect::range;
  if (std::ranges::find(rounding_words(), key) != rounding_words().end()) return Aspect::rounding;
  if (key == "static" || key == "dynamic") return Aspect::timing;
  if (key == "scale-rule") return Aspect::scale_rule;
  if (is_axis) return Aspect::axis;
  if (is_transform(key)) refuse_transform(word);
  if (word.find('+') != word.npos) refuse_plus(word);
  std::vector<std::string> known;
  for (const auto& row : scheme_words())
    known.emplace_back(row.word.substr(0, row.word.find_first_of("=[")));
  std::vector<std::string_view> views(known.begin(), known.end());
  throw InputError(fmt::format(
      "scheme: expected a word that schemes have, found '{}' (did you mean "
      "{}?); zeropoint schemes lists them",
      printable(word),
      abbreviated(key).empty() ? nearest_word(key, views) : std::string(abbreviated(key))));
}

// What may be said once: an aspect, or one axis of the convention.
std::string_view name(Aspect aspect, std::string_view word) {
  return aspect == Aspect::axis ? key_of(word) : name(aspect);
}

void no_argument(std::string_view word) {
  if (word.find('=') != word.npos) {
    throw InputError(fmt::format("scheme: expected '{}' alone, found '{}'", key_of(word), word));
  }
}

void set_rounding(Scheme& scheme, std::string_view word) {
  if (key_of(word) == "rounding") return set_axis(scheme.convention, word);
  const auto found = std::ranges::find(rounding_words(), key_of(word));
  scheme.convention.rounding = static_cast<Rounding>(found - rounding_words().begin());
  if (scheme.convention.rounding != Rounding::stochastic || word.find('=') == word.npos) {
    return no_argument(word);
  }
  const auto seed = argument_of(word);
  const auto [stopped, error] =
      std::from_chars(seed.data(), seed.data() + seed.size(), scheme.seed);
  if (error != std::errc{} || stopped != seed.data() + seed.size()) {
    throw InputError(
        fmt::format("scheme: expected stochastic=SEED, a whole number; found '{}'", word));
  }
}

void set_word(Scheme& scheme, Aspect aspect, std::string_view word) {
  switch (aspect) {
    case Aspect::symmetry:
      if (key_of(word) == "mapping") {
        set_axis(scheme.convention, word);
        break;
      }
      no_argument(word);
      scheme.convention.mapping = word == "sym" ? Mapping::symmetric : Mapping::affine;
      break;
    case Aspect::granularity:
      scheme.granularity = parse_granularity(word);
      break;
    case Aspect::range:
      scheme.unit_scale = word == "unit";
      if (!scheme.unit_scale) scheme.range = parse_range_estimator(word);
      break;
    case Aspect::rounding:
      set_rounding(scheme, word);
      break;
    case Aspect::timing:
      no_argument(word);
      scheme.is_static = word == "static";
      break;
    case Aspect::scale_rule:
      scheme.scale_rule = parse_scale_rule(argument_of(word));
      break;
    case Aspect::dequantization:
      no_argument(word);
      scheme.shrinks = true;
      break;
    case Aspect::axis:
      if (key_of(word) == "sign" || key_of(word) == "norm") {
        throw InputError(fmt::format(
            "scheme: expected no '{}', which {}", word,
            key_of(word) == "sign" ? "the format's name says" : "belongs to a study's convention"));
      }
      set_axis(scheme.convention, word);
      break;
  }
}

void check_static(const Scheme& scheme) {
  if (!scheme.is_static || !needs_both(scheme)) return;
  throw InputError(
      "scheme: expected no static with smooth, whose factors are found in the two operands at "
      "hand");
}

// What a scheme's words have said so far.
class Given {
 public:
  // False if it was there.
  bool add(Aspect aspect, std::string_view word) {
    aspects_.insert(aspect);
    return names_.insert(name(aspect, word)).second;
  }
  bool has(Aspect aspect) const { return aspects_.contains(aspect); }
  // Aspects, and axes by their keys.
  const std::set<std::string_view>& names() const { return names_; }

 private:
  std::set<Aspect> aspects_;
  std::set<std::string_view> names_;
};

void check_block_words(const Scheme& scheme, const Given& given) {
  const BlockFormat& format = *scheme.format.block;
  for (const auto what : given.names()) {
    const bool chooses = what == name(Aspect::scale_rule) || what == name(Aspect::rounding);
    if (chooses && format.has_scale_rule) continue;
    throw InputError(
        fmt::format("scheme: expected no {} with {}, whose blocks have rules of their "
                    "own",
                    what, scheme.format.name));
  }
  if (scheme.convention.rounding == Rounding::stochastic) {
    throw InputError(fmt::format(
        "scheme: expected no stochastic with {}, whose blocks are rounded without random numbers",
        scheme.format.name));
  }
}

// Why a scheme makes no sense, if it does not.
void check_words(const Scheme& scheme, const Given& given) {
  const auto refuse = [&](std::string_view what, std::string_view why) {
    throw InputError(
        fmt::format("scheme: expected no {} with {}, {}", what, scheme.format.name, why));
  };
  const auto kind = scheme.format.kind;
  if (kind == FormatKind::block) return check_block_words(scheme, given);
  if (given.has(Aspect::scale_rule)) refuse("scale-rule", "which has no power-of-two scales");
  const bool is_fitted = kind == FormatKind::codebook && scheme.format.codebook->is_fitted();
  if (kind != FormatKind::integer) {
    if (given.has(Aspect::symmetry) && scheme.convention.mapping == Mapping::affine) {
      refuse("affine", "which has no zero point");
    }
    if (scheme.range.kind == RangeKind::mse || scheme.range.kind == RangeKind::kl) {
      refuse(to_string(scheme.range), "which is laid out for even steps");
    }
  } else if (scheme.unit_scale) {
    refuse("unit", "whose codes need a scale");
  }
  for (const auto& axis : convention_axes()) {
    if (!given.names().contains(axis.key) || holds(kAspects, axis.key, std::identity())) continue;
    if (!has_axis(kind, axis.key)) {
      refuse(axis.key, axis.key == "operation" ? "whose numbers are divided by their scale"
                                               : "which has no zero point and no grid of integers");
    }
    if (is_fitted) refuse(axis.key, "whose levels are fitted to each tensor");
    if (axis.key == "grid" && scheme.format.name.ends_with("-narrow")) {
      refuse(axis.key, "whose name says it");
    }
  }
  if (kind == FormatKind::codebook) {
    if (given.has(Aspect::rounding)) refuse("rounding", "whose values go to the nearest level");
    if (scheme.unit_scale) refuse("unit", "whose levels need a scale");
    if (is_fitted && (given.has(Aspect::range) || given.has(Aspect::timing) ||
                      scheme.granularity.kind != GranularityKind::tensor)) {
      refuse("granularity, range or timing", "whose levels are fitted to each tensor");
    }
  }
  if (scheme.shrinks && scheme.unit_scale) {
    throw InputError("scheme: expected no shrink with unit, which leaves no scale to choose");
  }
  if (scheme.shrinks && scheme.is_static) {
    throw InputError("scheme: expected no shrink with static, whose scales are fixed beforehand");
  }
}

// What the scheme's convention has beside mapping, rounding and grid, which stand in words of
// their own.
std::string convention_part(const Scheme& scheme) {
  const Convention preset = parse_convention(scheme.convention.preset);
  Convention rest = scheme.convention;
  rest.mapping = preset.mapping;
  rest.rounding = preset.rounding;
  rest.is_signed = preset.is_signed;
  if (scheme.format.grid.narrow && scheme.format.name.ends_with("-narrow")) rest.ends = preset.ends;
  return to_string(rest);
}

// A grid of integers that the convention may have taken a code from.
void check_grid(const Scheme& scheme) {
  if (scheme.format.grid.levels() >= 2) return check(scheme.format.grid);
  throw InputError(
      fmt::format("scheme: expected two codes at least, found one: {} has two, and the convention "
                  "{} leaves out one of them (grid=full keeps it)",
                  scheme.format.name, convention_part(scheme)));
}

Scheme of_format(std::string_view name, std::string_view preset) {
  Scheme scheme;
  scheme.format = parse_format(name);
  scheme.convention = parse_convention(preset);
  switch (scheme.format.kind) {
    case FormatKind::integer:
      scheme.convention.is_signed = scheme.format.grid.is_signed;
      if (scheme.format.grid.narrow) scheme.convention.ends = GridEnds::narrow;
      break;
    case FormatKind::floating:
      scheme.convention.mapping = Mapping::symmetric;
      scheme.unit_scale = scheme.format.bits >= 16;  // they have range enough by themselves
      break;
    case FormatKind::codebook:
    case FormatKind::block:
      scheme.convention.mapping = Mapping::symmetric;
      break;
  }
  return scheme;
}

// Takes the transforms off the front of a scheme, where they stand with a + behind each.
std::vector<Transform> take_transforms(std::string_view& text) {
  std::vector<Transform> transforms;
  for (auto plus = text.find('+'); plus < text.find_first_of(":@"); plus = text.find('+')) {
    if (is_format(text.substr(0, plus))) refuse_plus(text);
    const auto transform = parse_transform(text.substr(0, plus));
    if (holds(transforms, transform.kind, [](const Transform& other) { return other.kind; })) {
      throw InputError(fmt::format("scheme: expected each transform once, found another, '{}'",
                                   printable(text.substr(0, plus))));
    }
    transforms.push_back(transform);
    text.remove_prefix(plus + 1);
  }
  return transforms;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string spelled(const Scheme& scheme, bool in_full) {
  const Scheme plain =
      of_format(scheme.format.name, scheme.format.kind == FormatKind::block
                                        ? kDefaultConvention
                                        : std::string_view(scheme.convention.preset));
  std::string text;
  for (const auto& transform : scheme.transforms) {
    text += fmt::format("{}+", in_full ? to_string(transform) : short_form(transform));
  }
  text += scheme.format.name;
  const auto add = [&](bool departs, std::string_view word) {
    if (in_full || departs) text += fmt::format(":{}", word);
  };
  std::string rounding(rounding_words()[static_cast<std::size_t>(scheme.convention.rounding)]);
  if (scheme.convention.rounding == Rounding::stochastic) {
    rounding += fmt::format("={}", scheme.seed);
  }
  const bool other_rounding = scheme.convention.rounding != plain.convention.rounding;
  if (scheme.format.kind == FormatKind::block) {
    if (scheme.format.block->has_scale_rule) {
      add(scheme.scale_rule != plain.scale_rule,
          fmt::format("scale-rule={}", to_string(scheme.scale_rule)));
    }
    if (scheme.format.block->has_scale_rule) add(other_rounding, rounding);
    return text;
  }
  if (scheme.format.kind == FormatKind::integer) {
    add(scheme.convention.mapping != plain.convention.mapping,
        scheme.convention.mapping == Mapping::symmetric ? "sym" : "affine");
  }
  const bool is_fitted =
      scheme.format.kind == FormatKind::codebook && scheme.format.codebook->is_fitted();
  if (!is_fitted) {
    add(!(scheme.granularity == plain.granularity), to_string(scheme.granularity));
    add(scheme.unit_scale != plain.unit_scale || !(scheme.range == plain.range),
        scheme.unit_scale ? "unit" : to_string(scheme.range));
  }
  if (scheme.format.kind != FormatKind::codebook) add(other_rounding, rounding);
  if (!is_fitted) add(scheme.is_static, scheme.is_static ? "static" : "dynamic");
  if (scheme.shrinks) text += ":shrink";
  const auto convention = convention_part(scheme);
  if (in_full || convention != kDefaultConvention) text += fmt::format("@{}", convention);
  return text;
}

}  // namespace

Scheme parse_scheme(std::string_view text) {
  // So that whatever refuses a part of it says so in one line.
  if (!std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })) {
    throw InputError(
        fmt::format("scheme: expected printable ASCII characters, found '{}'", printable(text)));
  }
  auto transforms = take_transforms(text);
  const auto at = text.find('@');
  auto words = split(text.substr(0, at), ':');
  std::string_view preset = kDefaultConvention;
  if (at != text.npos) {
    const auto behind = split(text.substr(at + 1), ':');
    preset = behind.front();
    words.insert(words.end(), behind.begin() + 1, behind.end());
  }
  if (is_transform(key_of(words.front()))) refuse_transform(words.front());
  Scheme scheme = of_format(words.front(), preset);
  scheme.transforms = std::move(transforms);
  if (scheme.format.kind == FormatKind::block && at != text.npos) {
    throw InputError(
        fmt::format("scheme: expected no convention with {}, whose blocks have rules "
                    "of their own; found '{}'",
                    scheme.format.name, text));
  }
  Given given;
  for (const auto word : std::span(words).subspan(1)) {
    const auto aspect = aspect_of(word);
    if (!given.add(aspect, word)) {
      throw InputError(fmt::format("scheme: expected one {}, found another, '{}', in '{}'",
                                   name(aspect, word), word, text));
    }
    set_word(scheme, aspect, word);
  }
  check_words(scheme, given);
  check_static(scheme);
  if (scheme.format.kind == FormatKind::integer) {
    scheme.format.grid = scheme.convention.grid(scheme.format.bits);
    check_grid(scheme);
  }
  return scheme;
}

std::string to_string(const Scheme& scheme) { return spelled(scheme, true); }
std::string short_form(const Scheme& scheme) { return spelled(scheme, false); }

const std::vector<SchemeWord>& scheme_words() {
  static const auto words = [] {
    std::vector<SchemeWord> list;
    for (const auto& row : transform_words()) {
      list.push_back(
          {"transform", fmt::format("{}[={}]+", row.word, row.argument), std::string(row.title)});
    }
    list.push_back({"symmetry", "affine", "a zero point anywhere on the grid"});
    list.push_back({"symmetry", "sym", "the zero point at the grid's middle"});
    for (const auto& row : granularity_words()) {
      const std::string argument =
          row.argument.empty()
              ? ""
              : fmt::format(fmt::runtime(row.needs_argument ? "={}" : "[={}]"), row.argument);
      list.push_back({"granularity", std::string(row.word) + argument, std::string(row.title)});
    }
    for (const auto& row : range_estimators()) {
      list.push_back({"range", fmt::format("{}{}", row.word, row.takes_parameter ? "=C" : ""),
                      std::string(row.title)});
    }
    list.push_back({"range", "unit", "no range: scale 1, values as the float format holds them"});
    constexpr std::array<std::string_view, 6> kTitles = {"to nearest, ties to even",
                                                         "to nearest, ties away from 0",
                                                         "down",
                                                         "towards 0",
                                                         "up",
                                                         "up or down at random, right on average; "
                                                         "not for block formats"};
    for (std::size_t i = 0; i < rounding_words().size(); ++i) {
      list.push_back({"rounding",
                      fmt::format("{}{}", rounding_words()[i],
                                  rounding_words()[i] == "stochastic" ? "[=SEED]" : ""),
                      std::string(kTitles[i])});
    }
    list.push_back({"timing", "dynamic", "parameters from the tensor at hand"});
    list.push_back({"timing", "static", "parameters from a calibration set"});
    list.push_back({"dequantization", "shrink",
                    "scales that leave the least squared error, the codes being what they are"});
    list.push_back({"scale rule", "scale-rule=floor|ceil|even|rceil",
                    "how MX formats choose a block's power of two"});
    for (const auto& axis : convention_axes()) {
      if (axis.key == "sign" || axis.key == "norm" || axis.key == "mapping" ||
          axis.key == "rounding") {
        continue;
      }
      list.push_back({"convention's axis",
                      fmt::format("{}={}", axis.key, fmt::join(axis.values, "|")),
                      std::string(axis.title)});
    }
    return list;
  }();
  return words;
}

const std::vector<SchemeExample>& scheme_examples() {
  static const std::vector<SchemeExample> examples = {
      {"int8", "one scale and zero point for a tensor, over its smallest and largest number"},
      {"int8:affine:tensor:cover=0.99", "over the middle 99 % of its numbers"},
      {"int8:sym:channel", "weights of convolutions and linear layers, as most runtimes have them"},
      {"int8@onnxruntime", "by the rules of ONNX Runtime's tool"},
      {"int4:sym:group=32:mse", "small groups, each with the range of least squared error"},
      {"e4m3:channel", "8-bit floating point, a scale a channel"},
      {"nf4:group=64", "16 levels for normal data, a scale for 64"},
      {"lloyd4", "the 16 levels that suit the tensor best"},
      {"mxfp4", "OCP microscaling: 32 values share a power of two"},
      {"nvfp4", "16 values share an 8-bit scale"},
      {"hadamard+int4:sym:channel", "both operands rotated, so that no channel stands out"},
      {"smooth+int8", "outliers shared between the two operands"},
      {"q4_0", "a block format of llama.cpp, byte for byte"},
  };
  return examples;
}

SchemePair parse_scheme_pair(std::string_view text) {
  const auto by = text.find(" x ");
  const auto trimmed = [](std::string_view part) {
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    return part;
  };
  Scheme a = parse_scheme(trimmed(text.substr(0, by)));
  if (by == text.npos) return {a, a};
  Scheme b = parse_scheme(trimmed(text.substr(by + 3)));
  if (a.transforms.empty()) a.transforms = b.transforms;
  if (b.transforms.empty()) b.transforms = a.transforms;
  if (a.transforms != b.transforms) {
    throw InputError(
        fmt::format("scheme: expected the same transforms of both operands, found {} x {}",
                    short_form(a), short_form(b)));
  }
  check_static(a);
  check_static(b);
  return {std::move(a), std::move(b)};
}

std::string to_string(const SchemePair& pair) {
  const auto a = to_string(pair.a);
  const auto b = to_string(pair.b);
  return a == b ? a : fmt::format("{} x {}", a, b);
}

std::string short_form(const SchemePair& pair) {
  const auto a = short_form(pair.a);
  const auto b = short_form(pair.b);
  return a == b ? a : fmt::format("{} x {}", a, b);
}

}  // namespace zeropoint
