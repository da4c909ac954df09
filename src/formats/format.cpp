#include "zeropoint/formats/format.hpp"

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

std::vector<FormatRow> make_rows() {
  std::vector<FormatRow> rows;
  for (const bool is_signed : {true, false}) {
    for (int bits = 1; bits <= 16; ++bits) {
      const IntegerGrid grid{bits, is_signed, false};
      rows.push_back({name(grid), fmt::format("integers from {} to {}", grid.lo(), grid.hi()),
                      FormatKind::integer, static_cast<double>(bits), 1});
    }
  }
  for (const auto& format : float_formats()) {
    // fp32 is what everything else is measured against; scales are no numbers of their own.
    if (format.bits() > 24 || !format.has_sign()) continue;
    rows.push_back({std::string(format.name), std::string(format.title), FormatKind::floating,
                    static_cast<double>(format.bits()), 1});
  }
  for (const auto& format : codebook_formats()) {
    rows.push_back({std::string(format.name), std::string(format.title), FormatKind::codebook,
                    static_cast<double>(format.bits), 1});
  }
  for (const auto& format : block_formats()) {
    rows.push_back({std::string(format.name), std::string(format.title), FormatKind::block,
                    8 * static_cast<double>(format.bytes) / static_cast<double>(format.block),
                    format.block});
  }
  return rows;
}

// A floating-point format by its shape, "e3m4fn".
bool has_shape_of_float(std::string_view name) {
  return name.size() >= 4 && name[0] == 'e' && name[1] >= '0' && name[1] <= '9' && name[2] == 'm';
}

}  // namespace

const std::vector<FormatRow>& formats() {
  static const auto rows = make_rows();
  return rows;
}

Format parse_format(std::string_view text) {
  Format format;
  format.name = text;
  for (const auto& row : formats()) {
    if (row.name != text) continue;
    format.kind = row.kind;
    switch (row.kind) {
      case FormatKind::integer:
        format.grid = parse_integer_grid(text);
        format.bits = format.grid.bits;
        break;
      case FormatKind::floating:
        format.floating = &float_format(text);
        format.bits = format.floating->bits();
        break;
      case FormatKind::codebook:
        format.codebook = &codebook_format(text);
        format.bits = format.codebook->bits;
        break;
      case FormatKind::block:
        format.block = &block_format(text);
        format.bits = format.block->element_bits;
        break;
    }
    return format;
  }
  if (is_integer_grid(text) && text.ends_with("-narrow")) {
    format.grid = parse_integer_grid(text);
    format.bits = format.grid.bits;
    return format;
  }
  std::vector<std::string_view> known;
  for (const auto& row : formats()) known.push_back(row.name);
  if (has_shape_of_float(text)) {
    try {
      format.floating = &float_format(text);
    } catch (const InputError&) {  // refused below, with all that there is
    }
    if (format.floating != nullptr && format.floating->has_sign()) {
      format.kind = FormatKind::floating;
      format.bits = format.floating->bits();
      return format;
    }
  }
  throw InputError(
      fmt::format("format: expected one that zeropoint formats lists, found '{}' (did "
                  "you mean {}?)",
                  text, nearest_word(text, known)));
}

}  // namespace zeropoint
