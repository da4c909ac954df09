#include "zeropoint/quantize/granularity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

// In the order of GranularityKind.
constexpr std::array kWords = {
    GranularityWord{"tensor", "", false, "one scale for all of a tensor"},
    GranularityWord{"channel", "AXIS", false,
                    "one for each index along an axis: the output channels, unless AXIS is given"},
    GranularityWord{"group", "N", true, "one for N neighbours along the axis that is summed over"},
    GranularityWord{"block", "RxC", true, "one for each rectangle of R rows and C columns"},
    GranularityWord{"layer", "", false, "one for all tensors of a layer, calibrated together"},
    GranularityWord{"model", "", false, "one for all tensors of a model, calibrated together"},
};

template <class Int>
std::optional<Int> whole(std::string_view text) {
  Int value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

std::size_t positive(std::string_view text, std::string_view word) {
  const auto value = whole<std::size_t>(text);
  if (!value || *value == 0) {
    throw InputError(
        fmt::format("scheme: expected a positive whole number in '{}', found '{}'", word, text));
  }
  return *value;
}

std::size_t product(std::span<const std::size_t> extents) {
  std::size_t all = 1;
  for (const auto extent : extents) all *= extent;
  return all;
}

}  // namespace

std::span<const GranularityWord> granularity_words() { return kWords; }

Granularity parse_granularity(std::string_view word) {
  const auto equals = word.find('=');
  const auto key = word.substr(0, equals);
  const bool has_argument = equals != word.npos;
  const auto argument = has_argument ? word.substr(equals + 1) : std::string_view();
  std::vector<std::string_view> known;
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    known.push_back(kWords[i].word);
    if (kWords[i].word != key) continue;
    Granularity granularity;
    granularity.kind = static_cast<GranularityKind>(i);
    if (!has_argument && !kWords[i].needs_argument) return granularity;
    if (has_argument == kWords[i].argument.empty()) {
      throw InputError(fmt::format("scheme: expected {}{}{}, found '{}'", key,
                                   kWords[i].argument.empty() ? "" : "=", kWords[i].argument,
                                   word));
    }
    if (granularity.kind == GranularityKind::channel) {
      granularity.axis = whole<int>(argument);
      if (!granularity.axis) {
        throw InputError(
            fmt::format("scheme: expected an axis in '{}', found '{}'", word, argument));
      }
    } else if (granularity.kind == GranularityKind::group) {
      granularity.cols = positive(argument, word);
    } else {
      const auto by = argument.find('x');
      if (by == argument.npos) {
        throw InputError(fmt::format(
            "scheme: expected {}={}, two positive whole numbers with an x between, found '{}'", key,
            kWords[i].argument, word));
      }
      granularity.rows = positive(argument.substr(0, by), word);
      granularity.cols = positive(argument.substr(by + 1), word);
    }
    return granularity;
  }
  throw InputError(fmt::format("granularity: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), key, nearest_word(key, known)));
}

std::string to_string(const Granularity& granularity) {
  const std::string word(kWords[static_cast<std::size_t>(granularity.kind)].word);
  switch (granularity.kind) {
    case GranularityKind::channel:
      return granularity.axis ? fmt::format("{}={}", word, *granularity.axis) : word;
    case GranularityKind::group:
      return fmt::format("{}={}", word, granularity.cols);
    case GranularityKind::block:
      return fmt::format("{}={}x{}", word, granularity.rows, granularity.cols);
    case GranularityKind::tensor:
    case GranularityKind::layer:
    case GranularityKind::model:
      break;
  }
  return word;
}

Tiles make_tiles(const Granularity& granularity, std::span<const std::size_t> shape, Role role) {
  const std::size_t rank = shape.size();
  const std::size_t last = rank == 0 ? 1 : shape[rank - 1];
  // All but the last axis make the rows.
  Tiles tiles{rank == 0 ? 1 : product(shape.first(rank - 1)), last, 1, 1};
  const auto whole_rows = [&] { tiles.tile_rows = std::max<std::size_t>(tiles.rows, 1); };
  const auto whole_cols = [&] { tiles.tile_cols = std::max<std::size_t>(tiles.cols, 1); };
  // No tile is larger than the matrix, so that what is computed from its size does not wrap around.
  const auto rows_of_tile = [&](std::size_t n) {
    tiles.tile_rows = std::min(n, std::max<std::size_t>(tiles.rows, 1));
  };
  const auto cols_of_tile = [&](std::size_t n) {
    tiles.tile_cols = std::min(n, std::max<std::size_t>(tiles.cols, 1));
  };
  switch (granularity.kind) {
    case GranularityKind::tensor:
    case GranularityKind::layer:
    case GranularityKind::model:
      whole_rows();
      whole_cols();
      break;
    case GranularityKind::channel: {
      const int given = granularity.axis.value_or(role == Role::right ? -1 : 0);
      const auto axis =
          static_cast<std::size_t>(given < 0 ? given + static_cast<int>(rank) : given);
      if (axis >= rank) {
        throw InputError(
            rank == 0
                ? fmt::format("channel={}: expected a tensor with axes, found a number", given)
                : fmt::format("channel={}: expected an axis from 0 to {}, or -{} to -1 from "
                              "the last on, of a tensor of {} dimensions",
                              given, rank - 1, rank, rank));
      }
      if (axis == 0) {
        tiles.rows = shape[0];
        tiles.cols = product(shape.subspan(1));
        whole_cols();
        break;
      }
      // Rows are what comes before the axis; a channel is as wide as what comes after it.
      tiles.rows = product(shape.first(axis));
      const std::size_t inner = product(shape.subspan(axis + 1));
      tiles.cols = shape[axis] * inner;
      whole_rows();
      tiles.tile_cols = std::max<std::size_t>(inner, 1);
      break;
    }
    case GranularityKind::group:
      role == Role::right ? rows_of_tile(granularity.cols) : cols_of_tile(granularity.cols);
      break;
    case GranularityKind::block:
      rows_of_tile(granularity.rows);
      cols_of_tile(granularity.cols);
      break;
  }
  return tiles;
}

}  // namespace zeropoint
