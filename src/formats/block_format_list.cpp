#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "formats/block_rows.hpp"

namespace zeropoint {
namespace {

const std::array kFormats = {kMxfp8, kMxfp8E5m2, kMxfp6, kMxfp6E2m3, kMxfp4,    kMxint8,
                             kNvfp4, kQ8_0,      kQ4_0,  kQ4_1,      kQ5_0,     kQ5_1,
                             kNest2, kNest3,     kNest4, kTrellis2,  kTrellis3, kTrellis4};

constexpr std::array<std::string_view, 4> kScaleRules = {"floor", "ceil", "even", "rceil"};

// Values that one task takes: whole blocks of every format.
constexpr std::size_t kGrain = 1 << 14;

std::size_t blocks_of_row(const BlockFormat& format, std::size_t cols) {
  return cols / format.block + (cols % format.block != 0 ? 1 : 0);
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
  const std::size_t piece = kGrain / format.block;  // blocks
  const std::size_t pieces = (row_blocks + piece - 1) / piece;
  const std::size_t rows_at_once =
      pieces > 1 ? 1 : std::max<std::size_t>(1, piece / std::max<std::size_t>(row_blocks, 1));
  parallel_for(rows * pieces, rows_at_once, [&](std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end; ++at) {
      const std::size_t row = at / pieces;
      const std::size_t block = at % pieces * piece;
      const std::size_t first = block * format.block;
      body(row, first, std::min(piece * format.block, cols - first),
           (row * row_blocks + block) * format.bytes);
    }
  });
}

// No block is longer.
constexpr std::size_t kLongest = 512;

void check_tensor_scale(const BlockFormat& format, float scale) {
  constexpr float kMost = std::numeric_limits<float>::max() / 448;  // times any e4m3, a number
  if (format.has_tensor_scale && !(scale > 0 && scale <= kMost)) {
    throw InputError(fmt::format("{}: expected a tensor scale above 0 and at most {:.3g}, found {}",
                                 format.name, kMost, scale));
  }
}

// By the definition, block by block. `row` and `first` say where x is, for errors.
void encode_plainly(const BlockFormat& format, const BlockOptions& options, float tensor_scale,
                    std::size_t row, std::size_t first, const float* x, std::size_t count,
                    std::uint8_t* out) {
  for (std::size_t at = 0; at < count; at += format.block, out += format.bytes) {
    const float* const end = x + at + format.block;
    const float* const odd = std::find_if(x + at, end, [](float v) { return !std::isfinite(v); });
    if (odd != end && options.non_finite == BlockNonFinite::refuse) {
      throw InputError(fmt::format("{}: expected finite values, found {} in row {}, column {}",
                                   format.name, *odd, row, first + (odd - x)));
    }
    if (odd != end) {
      std::fill_n(out, format.bytes, std::uint8_t{0});
      for (std::size_t byte = 0; byte < format.scale_bytes; ++byte) {
        out[byte] = static_cast<std::uint8_t>(format.nan_scale >> (8 * byte));
      }
      continue;
    }
    try {
      format.encode(x + at, format.block, options, tensor_scale, out);
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {} for the block at row {}, column {}", format.name,
                                   error.what(), row, first + at));
    }
  }
}

void encode_run(const BlockFormat& format, const BlockOptions& options, float tensor_scale,
                std::size_t row, std::size_t first, const float* x, std::size_t count,
                std::uint8_t* out) {
  if (format.fast_encode(x, count, options, tensor_scale, out)) return;
  encode_plainly(format, options, tensor_scale, row, first, x, count, out);
}

void decode_run(const BlockFormat& format, float tensor_scale, const std::uint8_t* in,
                std::size_t count, float* x) {
  if (format.fast_decode(in, count, tensor_scale, x)) return;
  format.decode(in, count, tensor_scale, x);
}

// The values of a piece that lie side by side in whole blocks; the others go through a buffer.
std::size_t in_place(const BlockFormat& format, std::ptrdiff_t stride, std::size_t count) {
  return stride == 1 ? count - count % format.block : 0;
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
  std::size_t blocks = 0;
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(rows, blocks_of_row(format, cols), &blocks) ||
      __builtin_mul_overflow(blocks, format.bytes, &bytes)) {
    throw InputError(fmt::format("{}: expected fewer than 2^64 bytes, found {}x{} values",
                                 format.name, rows, cols));
  }
  return bytes;
}

double effective_bits(const BlockFormat& format, std::size_t rows, std::size_t cols) {
  if (rows == 0 || cols == 0) return 0;
  const double bytes = static_cast<double>(block_bytes(format, rows, cols)) +
                       (format.has_tensor_scale ? sizeof(float) : 0);
  return 8 * bytes / (static_cast<double>(rows) * static_cast<double>(cols));
}

float tensor_scale(const BlockFormat& format, MatrixView<const float> x) {
  if (!format.has_tensor_scale) return 1;
  constexpr float kElement = 6;
  constexpr float kScale = 448;
  std::atomic<std::uint32_t> most{0};
  for_pieces(format, x.rows, x.cols,
             [&](std::size_t row, std::size_t first, std::size_t count, std::size_t) {
               constexpr auto kLargest =
                   std::bit_cast<std::uint32_t>(std::numeric_limits<float>::max());
               std::uint32_t own = kLargest + 1;
               if (x.col_stride == 1) own = largest_magnitude_bits(&x(row, first), count);
               if (own > kLargest) {  // not side by side, or not all finite
                 own = 0;
                 for (std::size_t j = first; j < first + count; ++j) {
                   const auto bits = std::bit_cast<std::uint32_t>(x(row, j)) & 0x7FFFFFFF;
                   if (bits <= kLargest) own = std::max(own, bits);
                 }
               }
               std::uint32_t before = most;
               while (before < own && !most.compare_exchange_weak(before, own)) {
               }
             });
  if (most == 0) return 1;
  return std::max(std::bit_cast<float>(most.load()) / (kElement * kScale),
                  std::numeric_limits<float>::min());
}

void encode_blocks(const BlockFormat& format, const BlockOptions& options,
                   MatrixView<const float> x, float tensor_scale, std::span<std::uint8_t> blocks) {
  check_bytes(format, x.rows, x.cols, blocks.size());
  check_tensor_scale(format, tensor_scale);
  for_pieces(format, x.rows, x.cols,
             [&](std::size_t row, std::size_t first, std::size_t count, std::size_t offset) {
               std::uint8_t* const out = blocks.data() + offset;
               std::size_t at = in_place(format, x.col_stride, count);
               if (at > 0) {
                 encode_run(format, options, tensor_scale, row, first, &x(row, first), at, out);
               }
               for (; at < count; at += format.block) {
                 float block[kLongest] = {};
                 const std::size_t values = std::min(format.block, count - at);
                 for (std::size_t j = 0; j < values; ++j) block[j] = x(row, first + at + j);
                 for (std::size_t j = values; format.is_joint && j < format.block; ++j) {
                   block[j] = block[j - values];
                 }
                 encode_run(format, options, tensor_scale, row, first + at, block, format.block,
                            out + at / format.block * format.bytes);
               }
             });
}

void decode_blocks(const BlockFormat& format, std::span<const std::uint8_t> blocks,
                   float tensor_scale, MatrixView<float> x) {
  check_bytes(format, x.rows, x.cols, blocks.size());
  check_tensor_scale(format, tensor_scale);
  for_pieces(format, x.rows, x.cols,
             [&](std::size_t row, std::size_t first, std::size_t count, std::size_t offset) {
               const std::uint8_t* const in = blocks.data() + offset;
               std::size_t at = in_place(format, x.col_stride, count);
               if (at > 0) decode_run(format, tensor_scale, in, at, &x(row, first));
               for (; at < count; at += format.block) {
                 float block[kLongest];
                 decode_run(format, tensor_scale, in + at / format.block * format.bytes,
                            format.block, block);
                 for (std::size_t j = 0; j < std::min(format.block, count - at); ++j) {
                   x(row, first + at + j) = block[j];
                 }
               }
             });
}

}  // namespace zeropoint
