#include "weights/encoding.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/formats/packed_codes.hpp"

#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

[[noreturn]] void cannot(std::string_view container, std::string_view holds, const Scheme& scheme) {
  throw InputError(fmt::format("expected a scheme that {} can hold ({}), found {}", container,
                               holds, short_form(scheme)));
}

// zeropoint's own, in safetensors: any scheme at all.
Encoding own_encoding(const Weight& weight, const Scheme& scheme) {
  Encoding encoding;
  encoding.layout = layout_of(scheme, weight.shape);
  encoding.seen = tiled_shape(scheme, weight.shape);
  const auto add = [&](const Layout::Part& part) {
    encoding.tensors.push_back({weight.name + part.suffix, part.shape, part.type});
  };
  add(encoding.layout.codes);
  for (const auto& part : encoding.layout.others) add(part);
  encoding.rest = [](const Encoding& of, const TensorParams& params) {
    std::vector<std::vector<std::uint8_t>> bytes;
    for (const auto& part : of.layout.others) bytes.push_back(part_bytes(part, params));
    return bytes;
  };
  return encoding;
}

constexpr std::string_view kGgufHolds = "q8_0, q5_1, q5_0, q4_1, q4_0, or fp16:unit, bf16:unit";

// ggml's blocks, which carry all that they mean.
Encoding gguf_encoding(const Weight& weight, const Scheme& scheme) {
  const auto& format = scheme.format;
  std::string name = format.name;
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const bool is_half = scheme.unit_scale && (format.name == "fp16" || format.name == "bf16");
  if (is_half) name = format.name == "fp16" ? "F16" : "BF16";
  const TensorType* const type = find_tensor_type(name);
  const bool is_block = format.kind == FormatKind::block && type != nullptr &&
                        type->kind == TensorKind::blocks && type->block == format.block->block &&
                        format.name.starts_with('q');
  if ((!is_half && !is_block) || !scheme.transforms.empty()) cannot("GGUF", kGgufHolds, scheme);
  if (is_block && (weight.shape.empty() || weight.shape.back() % type->block != 0)) {
    throw InputError(fmt::format("expected a last axis of a multiple of {} for {}, found {}",
                                 type->block, format.name,
                                 weight.shape.empty() ? 1 : weight.shape.back()));
  }
  Encoding encoding;
  encoding.tensors = {{weight.name, weight.shape, type}};
  encoding.seen = weight.shape;
  encoding.rest = [](const Encoding&, const TensorParams&) {
    return std::vector<std::vector<std::uint8_t>>();
  };
  return encoding;
}

constexpr std::string_view kOnnxHolds =
    "int2, int4, int8, int16 and their unsigned forms, e4m3, e5m2 and e2m1, with scales by tensor, "
    "channel or group";

std::string_view onnx_type(const Format& format) {
  if (format.kind == FormatKind::floating) {
    if (format.name == "e4m3") return "F8_E4M3";
    if (format.name == "e5m2") return "F8_E5M2";
    if (format.name == "e2m1") return "F4";
    return "";
  }
  if (format.kind != FormatKind::integer) return "";
  const bool is_signed = format.grid.is_signed;
  switch (format.bits) {
    case 2:
      return is_signed ? "I2" : "U2";
    case 4:
      return is_signed ? "I4" : "U4";
    case 8:
      return is_signed ? "I8" : "U8";
    case 16:
      return is_signed ? "I16" : "U16";
    default:
      return "";
  }
}

// Codes behind a DequantizeLinear.
Encoding onnx_encoding(const Weight& weight, const Scheme& scheme) {
  const std::string_view name = onnx_type(scheme.format);
  const auto& granularity = scheme.granularity;
  const Tiles tiles = make_tiles(granularity, weight.shape, Role::stored);
  const bool is_one = tiles.count() == 1;
  const bool is_channel = granularity.kind == GranularityKind::channel;
  const bool is_group = granularity.kind == GranularityKind::group;
  if (name.empty() || !scheme.transforms.empty() || (!is_one && !is_channel && !is_group)) {
    cannot("ONNX", kOnnxHolds, scheme);
  }
  Encoding encoding;
  encoding.seen = weight.shape;
  const TensorType& type = tensor_type(name);
  DequantizedTensor how;
  how.name = weight.name;
  how.codes = weight.name + "_quantized";
  how.scale = weight.name + "_scale";
  std::vector<std::size_t> grid;
  if (!is_one) {
    const int rank = static_cast<int>(weight.shape.size());
    const int axis = is_group ? rank - 1 : granularity.axis.value_or(0);
    how.axis = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
    how.per_channel = is_channel;
    if (is_group) {
      how.block = granularity.cols;
      grid = weight.shape;
      grid.back() = tiles.across();
    } else {
      grid = {weight.shape[how.axis]};
    }
  }
  encoding.tensors = {{how.codes, weight.shape, &type}, {how.scale, grid, &tensor_type("F32")}};
  const bool is_integer = scheme.format.kind == FormatKind::integer;
  const bool has_zero_points =
      is_integer && (scheme.convention.mapping == Mapping::affine || !scheme.format.grid.is_signed);
  if (has_zero_points) {
    if (!scheme.convention.clamp_zero_point && !scheme.convention.zero_in_range &&
        scheme.convention.mapping == Mapping::affine && !scheme.unit_scale) {
      throw InputError(fmt::format(
          "expected a convention that keeps zero points on the grid, as ONNX needs it, found {}",
          short_form(scheme)));
    }
    how.zero_point = weight.name + "_zero_point";
    encoding.tensors.push_back({how.zero_point, grid, &type});
  }
  encoding.dequantization = how;
  encoding.rest = [](const Encoding& of, const TensorParams& params) {
    std::vector<std::vector<std::uint8_t>> bytes(of.tensors.size() - 1);
    bytes[0].resize(params.tiles.size() * sizeof(float));
    std::vector<std::uint16_t> zeros;
    for (std::size_t i = 0; i < params.tiles.size(); ++i) {
      std::memcpy(bytes[0].data() + i * sizeof(float), &params.tiles[i].scale, sizeof(float));
      zeros.push_back(static_cast<std::uint16_t>(params.tiles[i].zero_point));
    }
    if (bytes.size() > 1) {
      const TensorType& zero_type = *of.tensors[2].type;
      const int bits = static_cast<int>(zero_type.bits());
      bytes[1].resize(packed_bytes(zeros.size(), bits));
      pack(std::span<const std::uint16_t>(zeros), bits, bytes[1]);
    }
    return bytes;
  };
  return encoding;
}

}  // namespace

std::uint64_t Encoding::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& tensor : tensors) bytes += tensor.type->stored_bytes(value_count(tensor.shape));
  return bytes;
}

const TensorType& writable_type(std::string_view container, const TensorType& type) {
  const bool is_numpy = container == "npy" || container == "npz";
  const bool fits = type.name == "F32" || type.name == "F16" || (type.name == "BF16" && !is_numpy);
  return fits ? type : tensor_type("F32");
}

std::vector<std::uint8_t> as_type(std::span<const float> x, const TensorType& type) {
  std::vector<std::uint8_t> bytes(x.size() * type.bytes);
  if (bytes.empty()) return bytes;
  if (type.name == "F32") {
    std::memcpy(bytes.data(), x.data(), bytes.size());
    return bytes;
  }
  const FloatFormat& format = float_format(type.name == "F16" ? "fp16" : "bf16");
  std::vector<std::uint16_t> codes(x.size());
  encode(format, x, std::span(codes), FloatEncoding{.overflow = Overflow::special});
  std::memcpy(bytes.data(), codes.data(), bytes.size());
  return bytes;
}

Encoding encoding_of(std::string_view container, const Weight& weight, const Scheme& scheme,
                     bool fake) {
  if (scheme.is_static || needs_both(scheme)) {
    throw InputError(fmt::format(
        "expected a scheme that a tensor alone decides, found {}, {}", short_form(scheme),
        scheme.is_static ? "which needs calibration" : "whose smoothing needs the other operand"));
  }
  if (fake) {
    Encoding encoding;
    encoding.seen = tiled_shape(scheme, weight.shape);
    make_tiles(scheme.granularity, encoding.seen, Role::stored);  // throws if there is no such axis
    encoding.is_values = true;
    encoding.tensors = {
        {weight.name, weight.shape, &writable_type(container, *weight.stored->type)}};
    return encoding;
  }
  if (container == "gguf") return gguf_encoding(weight, scheme);
  if (container == "onnx") return onnx_encoding(weight, scheme);
  return own_encoding(weight, scheme);
}

}  // namespace zeropoint
