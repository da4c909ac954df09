#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/formats/block_format.hpp"
#include "zeropoint/formats/codebook_format.hpp"
#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/formats/integer_grid.hpp"

namespace zeropoint {

/// What stands behind a code: an integer, to be scaled and shifted; a floating-point number or the
/// level of a codebook, to be scaled; an element of a block that carries its scale with it.
enum class FormatKind { integer, floating, codebook, block };

/// Any format that a scheme can name. What does not belong to its kind is null.
struct Format {
  FormatKind kind = FormatKind::integer;
  std::string name = "int8";
  int bits = 8;                              ///< of a code; of a block format, of an element
  IntegerGrid grid = {};                     ///< integer
  const FloatFormat* floating = nullptr;     ///< floating
  const CodebookFormat* codebook = nullptr;  ///< codebook
  const BlockFormat* block = nullptr;        ///< block

  bool operator==(const Format& other) const { return name == other.name; }
};

/// A row of `zeropoint formats`.
struct FormatRow {
  std::string name;
  std::string title;
  FormatKind kind;
  double bits;        ///< a value's, with what a block carries along
  std::size_t block;  ///< values that share a scale by themselves; 1 if none do
};

/// Every format there is, out of the lists of its kind: integer grids, float_formats(),
/// codebook_formats(), block_formats().
const std::vector<FormatRow>& formats();

/// "int8", "uint4", "int8-narrow", "e4m3", "nf4", "mxfp4", …: a row of formats(), or any eXmY.
/// Throws InputError naming the nearest.
Format parse_format(std::string_view name);

}  // namespace zeropoint
