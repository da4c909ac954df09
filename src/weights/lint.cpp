#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/weights/weights.hpp"

#include "weights/decoding.hpp"

namespace zeropoint {
namespace {

bool is_dead(float scale) {
  return !(std::abs(scale) >= std::numeric_limits<float>::min()) || !std::isfinite(scale);
}

bool all_zero(const float* x, std::size_t count) {
  std::uint32_t any = 0;
  for (std::size_t i = 0; i < count; ++i) any |= std::bit_cast<std::uint32_t>(x[i]) << 1;
  return any == 0;
}

// Which tiles hold something other than 0; any thread may say so of any.
class Used {
 public:
  explicit Used(std::size_t tiles) : flags_(tiles, 0) {}
  void mark(std::size_t tile) {
    const std::atomic_ref<std::uint8_t> flag(flags_[tile]);
    if (flag.load(std::memory_order_relaxed) == 0) flag.store(1, std::memory_order_relaxed);
  }
  std::size_t unused() const {
    return static_cast<std::size_t>(std::ranges::count(flags_, std::uint8_t{0}));
  }

 private:
  std::vector<std::uint8_t> flags_;
};

std::size_t count_non_finite(std::span<const float> x) {
  std::atomic<std::size_t> count = 0;
  parallel_for(x.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    std::size_t here = 0;
    for (std::size_t i = begin; i < end; ++i) {
      here += (std::bit_cast<std::uint32_t>(x[i]) & 0x7f800000U) == 0x7f800000U ? 1 : 0;
    }
    count.fetch_add(here, std::memory_order_relaxed);
  });
  return count;
}

// Blocks with a scale that is stored in them.
struct Blocks {
  std::size_t values, bytes;  // of one
  std::size_t scale_at;       // of the scale that multiplies all codes
  std::size_t scale_bytes;
  std::uint32_t one;  // that scale, were it 1; 0 if no scale is dead that is 0: E8M0 has none, and
                      // trellis codes have no code of 0
  std::function<void(const std::uint8_t* blocks, std::size_t count, float* x)> decode;
};

constexpr std::uint32_t kOneFp16 = 0x3c00, kOneE4m3 = 0x38, kOneFp32 = 0x3f800000;

Blocks ggml_blocks(const TensorType& type) {
  Blocks blocks{type.block, type.bytes, 0, 2, kOneFp16, type.decode};
  // Where ggml's structs have d, if not in front.
  if (type.name == "Q2_K") blocks.scale_at = 80;
  if (type.name == "Q3_K") blocks.scale_at = 108;
  if (type.name == "Q6_K") blocks.scale_at = 208;
  if (type.name == "MXFP4") blocks.one = 0;
  if (type.name == "Q8_K") {
    blocks.scale_bytes = 4;
    blocks.one = kOneFp32;
  }
  return blocks;
}

Blocks own_blocks(const BlockFormat& format, float tensor_scale) {
  Blocks blocks{format.block,
                format.bytes,
                0,
                std::min<std::size_t>(format.scale_bytes, 2),
                0,
                [&format, tensor_scale](const std::uint8_t* from, std::size_t count, float* x) {
                  format.decode(from, count, tensor_scale, x);
                }};
  if (format.scale_bytes != 1) {
    blocks.one = format.is_joint ? 0 : kOneFp16;
  } else if (format.has_tensor_scale) {
    blocks.one = kOneE4m3;
  }
  return blocks;
}

// A scale of 0 is dead only where it takes numbers away: quantizers store 0 for blocks of zeros. A
// block of bytes that are all 0 is one, too, whatever its codes would stand for (Q3_K, Q6_K).
bool loses_codes(const Blocks& how, const std::uint8_t* block, std::span<const float> values) {
  const std::uint8_t* const scale = block + how.scale_at;
  std::array<std::uint8_t, 512> bytes;
  std::array<float, 512> x;
  std::uint32_t bits = 0;
  std::memcpy(&bits, scale, how.scale_bytes);
  const std::uint32_t sign = std::uint32_t{1} << (8 * how.scale_bytes - 1);
  if (how.one == 0 || (bits & ~sign) != 0) return false;
  if (std::all_of(block, block + how.bytes, [](std::uint8_t byte) { return byte == 0; })) {
    return false;
  }
  std::memcpy(bytes.data(), block, how.bytes);
  std::memcpy(bytes.data() + how.scale_at, &how.one, how.scale_bytes);
  how.decode(bytes.data(), how.values, x.data());
  return !std::ranges::equal(values, std::span(x.data(), how.values));
}

WeightLint lint_blocks(const Blocks& how, std::span<const std::uint8_t> bytes) {
  WeightLint lint;
  lint.tiles = bytes.size() / how.bytes;
  std::atomic<std::size_t> dead = 0, zero = 0;
  const std::size_t grain = std::max<std::size_t>(kDecodeGrain / how.values, 1);
  parallel_for(lint.tiles, grain, [&](std::size_t begin, std::size_t end) {
    constexpr std::size_t kAtOnce = 16;
    std::vector<float> x(kAtOnce * how.values);
    std::size_t dead_here = 0, zero_here = 0;
    for (std::size_t first = begin; first < end; first += kAtOnce) {
      const std::size_t now = std::min(kAtOnce, end - first);
      how.decode(bytes.data() + first * how.bytes, now * how.values, x.data());
      for (std::size_t i = 0; i < now; ++i) {
        const std::span values(x.data() + i * how.values, how.values);
        const bool is_finite =
            std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
        const bool is_lost = loses_codes(how, bytes.data() + (first + i) * how.bytes, values);
        dead_here += !is_finite || is_lost ? 1 : 0;
        zero_here += !is_lost && all_zero(values.data(), values.size()) ? 1 : 0;
      }
    }
    dead.fetch_add(dead_here, std::memory_order_relaxed);
    zero.fetch_add(zero_here, std::memory_order_relaxed);
  });
  lint.dead_scales = dead;
  lint.zero_blocks = zero;
  return lint;
}

}  // namespace

WeightLint WeightFile::lint_own(const Weight& weight) const {
  const Layout layout = layout_of(*weight.scheme, weight.shape);
  TensorParams params = own_params(*file_, weight, layout);
  const Format& format = weight.scheme->format;
  if (format.kind == FormatKind::block) {
    return lint_blocks(own_blocks(*format.block, params.tensor_scale),
                       file_->load(*weight.stored).bytes());
  }
  WeightLint lint;
  const Tiles& cut = layout.tiles;
  lint.tiles = cut.count();
  for (auto& tile : params.tiles) {
    if (lint.tiles == 0) break;
    const bool is_integer = format.kind == FormatKind::integer;
    lint.outside_zero_points +=
        is_integer && (tile.zero_point < format.grid.lo() || tile.zero_point > format.grid.hi());
    // What the codes say is asked for whatever the scale; decoding refuses some scales.
    lint.dead_scales += is_dead(tile.scale);
    tile.scale = 1;
    constexpr std::int32_t kMost = 1 << 24;
    tile.zero_point = std::clamp(tile.zero_point, -kMost, kMost);
  }
  const Matrix<float> x = own_tensor(*file_, weight, layout, std::move(params)).decoded();
  Used used(lint.tiles);
  parallel_for(x.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end;) {
      const std::size_t row = i / cut.cols, col = i % cut.cols;
      const std::size_t stop = std::min(cut.cols, (col / cut.tile_cols + 1) * cut.tile_cols);
      const std::size_t n = std::min(stop - col, end - i);
      if (!all_zero(x.data() + i, n)) used.mark(cut.of(row, col));
      i += n;
    }
  });
  lint.zero_blocks = used.unused();
  return lint;
}

WeightLint WeightFile::lint_onnx(const Weight& weight) const {
  const DequantizedTensor& how = *dequantization(weight);
  const auto whole = [this](const StoredTensor& tensor) {
    const auto bytes = file_->load(tensor);
    Matrix<float> values(1, tensor.count);
    decode_all(tensor, bytes.bytes(), values.values());
    return values;
  };
  const auto scales = whole(*file_->find(how.scale));
  const auto zeros = how.zero_point.empty() ? Matrix<float>() : whole(*file_->find(how.zero_point));
  const auto codes = whole(*weight.stored);
  const DequantizationTiles tiles(how, weight.shape);
  WeightLint lint;
  lint.tiles = tiles.count();
  lint.dead_scales = static_cast<std::size_t>(std::ranges::count_if(scales.values(), is_dead));
  Used used(lint.tiles);
  parallel_for(codes.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    tiles.for_stripes(begin, end,
                      [&](std::size_t at, std::size_t n, std::size_t tile, std::size_t step) {
                        for (std::size_t i = 0; i < n; ++i) {
                          const std::size_t which = tile + i * step;
                          if (codes.data()[at + i] != (zeros.size() == 0 ? 0 : zeros.data()[which]))
                            used.mark(which);
                        }
                      });
  });
  lint.zero_blocks = used.unused();
  return lint;
}

WeightLint WeightFile::lint(const Weight& weight) const {
  if (weight.scheme) {
    try {
      return lint_own(weight);
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: '{}': {}", printable(file_->path()), printable(weight.name),
                                   error.what()));
    }
  }
  if (dequantization(weight) != nullptr) return lint_onnx(weight);
  if (weight.is_quantized) {
    return lint_blocks(ggml_blocks(*weight.stored->type), file_->load(*weight.stored).bytes());
  }
  WeightLint lint;
  if (weight.is_numbers()) lint.non_finite = count_non_finite(load(weight).values());
  return lint;
}

}  // namespace zeropoint
