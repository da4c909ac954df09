#include "weights/layout.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/packed_codes.hpp"
#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint {
namespace {

// The type whose bytes are a format's codes, if safetensors has one.
std::string_view codes_type(const Format& format) {
  if (format.kind == FormatKind::integer) {
    const bool is_signed = format.grid.is_signed;
    if (format.bits == 8) return is_signed ? "I8" : "U8";
    if (format.bits > 8) return is_signed ? "I16" : "U16";
    return "U8";
  }
  for (const auto& [name, type] : {std::pair{"fp16", "F16"},
                                   {"bf16", "BF16"},
                                   {"e4m3", "F8_E4M3"},
                                   {"e5m2", "F8_E5M2"},
                                   {"e8m0", "F8_E8M0"}}) {
    if (format.name == name) return type;
  }
  return format.bits > 8 && format.bits <= 16 ? "U16" : "U8";
}

bool has_zero_points(const Scheme& scheme) {
  return scheme.format.kind == FormatKind::integer && !scheme.unit_scale &&
         (scheme.convention.mapping == Mapping::affine || !scheme.format.grid.is_signed);
}

std::string_view zero_point_type(const Scheme& scheme) {
  const bool is_on_grid = scheme.convention.clamp_zero_point || scheme.convention.zero_in_range;
  const auto& grid = scheme.format.grid;
  if (!is_on_grid) return "I32";
  if (scheme.format.bits > 8) return grid.is_signed ? "I16" : "U16";
  return grid.is_signed ? "I8" : "U8";
}

template <class T>
void append(std::vector<std::uint8_t>& bytes, T value) {
  const auto* const from = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof(value));
}

// Whole numbers of at most 32 bits.
std::int32_t whole(const std::uint8_t* from, std::string_view type) {
  const auto load = [from]<class T>(T value) {
    std::memcpy(&value, from, sizeof(value));
    return static_cast<std::int32_t>(value);
  };
  if (type == "I8") return load(std::int8_t{});
  if (type == "U8") return load(std::uint8_t{});
  if (type == "I16") return load(std::int16_t{});
  if (type == "U16") return load(std::uint16_t{});
  return load(std::int32_t{});
}

}  // namespace

std::vector<std::size_t> tiled_shape(const Scheme& scheme, std::span<const std::size_t> shape) {
  const auto kind = scheme.granularity.kind;
  const bool has_lines = kind == GranularityKind::group || kind == GranularityKind::block ||
                         scheme.format.kind == FormatKind::block || !scheme.transforms.empty();
  const bool names_axis = scheme.granularity.axis.value_or(0) != 0;
  if (shape.size() <= 2 || !has_lines || names_axis) return {shape.begin(), shape.end()};
  return {shape[0], value_count(shape.subspan(1))};
}

Layout layout_of(const Scheme& scheme, std::span<const std::size_t> shape) {
  Layout layout;
  const std::vector<std::size_t> seen = tiled_shape(scheme, shape);
  layout.tiles = make_tiles(scheme.granularity, seen, Role::stored);
  const std::size_t rows = layout.tiles.rows, cols = layout.tiles.cols;
  const std::size_t count = value_count(shape);
  const auto& format = scheme.format;
  const auto& type = tensor_type(format.kind == FormatKind::block ? "U8" : codes_type(format));
  layout.codes = {"", &type, {shape.begin(), shape.end()}};
  if (format.kind == FormatKind::block) {
    layout.codes.shape = {rows, rows == 0 ? 0 : block_bytes(*format.block, rows, cols) / rows};
    if (format.block->has_tensor_scale) {
      layout.others.push_back({std::string(kTensorScaleSuffix), &tensor_type("F32"), {}});
    }
    return layout;
  }
  if (format.bits < 8 || format.bits > 16) {
    const std::size_t last = seen.empty() ? 1 : seen.back();
    const auto bits = static_cast<std::size_t>(format.bits);
    if (!seen.empty() && last * bits % 8 == 0) {
      layout.codes.shape = seen;
      layout.codes.shape.back() = last * bits / 8;
    } else {
      layout.codes.shape = {packed_bytes(count, format.bits)};
    }
  }
  const std::vector<std::size_t> grid =
      layout.tiles.count() == 1 ? std::vector<std::size_t>{}
                                : std::vector{layout.tiles.down(), layout.tiles.across()};
  const bool is_fitted = format.kind == FormatKind::codebook && format.codebook->is_fitted();
  if (!scheme.unit_scale && !is_fitted) {
    layout.others.push_back({std::string(kScaleSuffix), &tensor_type("F32"), grid});
  }
  if (has_zero_points(scheme)) {
    layout.others.push_back(
        {std::string(kZeroPointSuffix), &tensor_type(zero_point_type(scheme)), grid});
  }
  if (format.kind == FormatKind::codebook) {
    layout.others.push_back(
        {std::string(kLevelsSuffix), &tensor_type("F32"), {std::size_t{1} << format.bits}});
  }
  return layout;
}

std::size_t bytes_of(const Layout::Part& part) {
  return part.type->stored_bytes(value_count(part.shape));
}

std::size_t bytes_of(const Layout& layout) {
  std::size_t bytes = bytes_of(layout.codes);
  for (const auto& part : layout.others) bytes += bytes_of(part);
  return bytes;
}

std::vector<std::uint8_t> part_bytes(const Layout::Part& part, const TensorParams& params) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(bytes_of(part));
  if (part.suffix == kScaleSuffix) {
    for (const auto& tile : params.tiles) append(bytes, tile.scale);
  } else if (part.suffix == kZeroPointSuffix) {
    for (const auto& tile : params.tiles) {
      const std::size_t width = part.type->bytes;
      const auto* const from = reinterpret_cast<const std::uint8_t*>(&tile.zero_point);
      bytes.insert(bytes.end(), from, from + width);
    }
  } else if (part.suffix == kLevelsSuffix) {
    for (const float level : params.levels) append(bytes, level);
    // A codebook that found fewer distinct values than it has codes repeats its last level.
    while (bytes.size() < bytes_of(part)) append(bytes, params.levels.back());
  } else {
    append(bytes, params.tensor_scale);
  }
  return bytes;
}

void read_part(const Layout::Part& part, std::span<const std::uint8_t> bytes,
               const std::string& what, TensorParams& params) {
  const auto refuse = [&](std::string_view expected, float found) {
    throw InputError(
        fmt::format("{}{}: expected {}, found {}", what, part.suffix, expected, found));
  };
  const auto number = [&](std::size_t i) {
    float value = 0;
    std::memcpy(&value, bytes.data() + i * sizeof(value), sizeof(value));
    return value;
  };
  if (part.suffix == kScaleSuffix || part.suffix == kZeroPointSuffix) {
    params.tiles.resize(value_count(part.shape));
    for (std::size_t i = 0; i < params.tiles.size(); ++i) {
      if (part.suffix == kZeroPointSuffix) {
        params.tiles[i].zero_point = whole(bytes.data() + i * part.type->bytes, part.type->name);
        constexpr std::int32_t kMost = 1 << 30;  // differences from codes are counted in 32 bits
        if (params.tiles[i].zero_point < -kMost || params.tiles[i].zero_point > kMost) {
          refuse("zero points within 2^30", static_cast<float>(params.tiles[i].zero_point));
        }
      } else {
        params.tiles[i].scale = number(i);
      }
    }
  } else if (part.suffix == kLevelsSuffix) {
    params.levels.resize(value_count(part.shape));
    for (std::size_t i = 0; i < params.levels.size(); ++i) params.levels[i] = number(i);
  } else {
    params.tensor_scale = number(0);
    if (!(params.tensor_scale > 0) || params.tensor_scale > 7.5e35F) {
      refuse("a scale above 0 and at most 7.5e35", params.tensor_scale);
    }
  }
}

}  // namespace zeropoint
