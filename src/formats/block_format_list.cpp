#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "formats/block_rows.hpp"

namespace zeropoint {
namespace {

const std::array kFormats = {kMxfp8, kMxfp8E5m2, kMxfp6, kMxfp6E2m3, kMxfp4, kMxint8,
                             kNvfp4, kQ8_0,      kQ4_0,  kQ4_1,      kQ5_0,  kQ5_1};

constexpr std::array<std::string_view, 4> kScaleRules = {"floor", "ceil", "even", "rceil"};

// Values that one task takes: whole blocks of every format.
constexpr std::size_t kGrain = 1 << 14;

std::size_t blocks_of_row(const BlockFormat& format, std::size_t cols) {
  return (cols + format.block - 1) / format.block;
}

void check_bytes(const BlockFormat& format, std::size_t rows, std::size_t cols, std::size_t bytes) {
  if (bytes != block_bytes(format, rows, cols)) {
    throw InputError(fmt::format("{}: expected {} bytes for {}x{} values, found {}", format.name,
                                 block_bytes(format, rows, cols), rows, cols, bytes));
  }
}

// Calls body(row, first column, values, bytes' offset) for pieces of rows, each of whole blocks but
// for a row's last.
template <class Body>
void for_pieces(const BlockFormat& format, std::size_t rows, std::size_t cols, const Body& body) {
  const std::size_t row_blocks = blocks_of_row(format, cols);
  const std::size_t piece = kGrain / format.block;
  const std::size_t pieces = (row_blocks + piece - 1) / piece;
  const std::size_t rows_at_once =
      pieces > 1 ? 1 : std::max<std::size_t>(1, piece / std::max<std::size_t>(row_blocks, 1));
  parallel_for(rows * pieces, rows_at_once, [&](std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end; ++at) {
      const std::size_t row = at / pieces;
      const std::size_t block = at % pieces * piece;
      const std::size_t first = block * format.block;
      body(row, first, std::min(kGrain / format.block * format.block, cols - first),
           (row * row_blocks + block) * format.bytes);
    }
  });
}

std::size_t filled_up(const BlockFormat& format, std::size_t count) {
  return blocks_of_row(format, count) * format.block;
}

}  // namespace

ScaleRule parse_scale_rule(std::string_view word) {
  const auto found = std::ranges::find(kScaleRules, word);
  if (found != kScaleRules.end()) return static_cast<ScaleRule>(found - kScaleRules.begin());
  const std::vector<std::string_view> known(kScaleRules.begin(), kScaleRules.end());
  throw InputError(fmt::format("scale-rule: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), word, nearest_word(word, known)));
}

std::string_view to_string(ScaleRule rule) { return kScaleRules[static_cast<std::size_t>(rule)]; }

std::span<const BlockFormat> block_formats() { return kFormats; }

const BlockFormat& block_format(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& format : kFormats) {
    if (format.name == name) return format;
    known.push_back(format.name);
  }
  throw InputError(fmt::format("format: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

std::size_t block_bytes(const BlockFormat& format, std::size_t rows, std::size_t cols) {
  return rows * blocks_of_row(format, cols) * format.bytes;
}

float tensor_scale(const BlockFormat& format, MatrixView<const float> x) {
  if (!format.has_tensor_scale) return 1;
  constexpr float kElement = 6;
  constexpr float kScale = 448;
  float most = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < x.cols; ++j) most = std::max(most, std::abs(x(i, j)));
  }
  const float scale = most / (kElement * kScale);
  return std::isnormal(scale) ? scale : 1;
}

void encode_blocks(const BlockFormat& format, const BlockOptions& options,
                   MatrixView<const float> x, float tensor_scale, std::span<std::uint8_t> blocks) {
  check_bytes(format, x.rows, x.cols, blocks.size());
  for_pieces(format, x.rows, x.cols,
             [&](std::size_t row, std::size_t first, std::size_t count, std::size_t offset) {
               if (x.col_stride == 1 && count % format.block == 0) {
                 return format.encode(&x(row, first), count, options, tensor_scale,
                                      blocks.data() + offset);
               }
               std::vector<float> filled(filled_up(format, count));
               for (std::size_t j = 0; j < count; ++j) filled[j] = x(row, first + j);
               format.encode(filled.data(), filled.size(), options, tensor_scale,
                             blocks.data() + offset);
             });
}

void decode_blocks(const BlockFormat& format, std::span<const std::uint8_t> blocks,
                   float tensor_scale, MatrixView<float> x) {
  check_bytes(format, x.rows, x.cols, blocks.size());
  for_pieces(format, x.rows, x.cols,
             [&](std::size_t row, std::size_t first, std::size_t count, std::size_t offset) {
               if (x.col_stride == 1 && count % format.block == 0) {
                 return format.decode(blocks.data() + offset, count, tensor_scale, &x(row, first));
               }
               std::vector<float> filled(filled_up(format, count));
               format.decode(blocks.data() + offset, filled.size(), tensor_scale, filled.data());
               for (std::size_t j = 0; j < count; ++j) x(row, first + j) = filled[j];
             });
}

}  // namespace zeropoint
