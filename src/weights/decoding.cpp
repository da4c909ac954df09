#include "weights/decoding.hpp"

#include <cstring>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

CodeMatrix stored_codes(const Scheme& scheme, const Tiles& tiles,
                        std::span<const std::uint8_t> bytes) {
  const auto& format = scheme.format;
  const auto fill = [&](auto matrix) -> CodeMatrix {
    if (!bytes.empty()) std::memcpy(matrix.data(), bytes.data(), bytes.size());
    return matrix;
  };
  const bool is_signed = format.kind == FormatKind::integer && format.grid.is_signed;
  if (format.kind == FormatKind::block || format.bits < 8 || format.bits > 16) {
    return fill(Matrix<std::uint8_t>(1, bytes.size()));
  }
  if (format.bits == 8) {
    if (is_signed) return fill(Matrix<std::int8_t>(tiles.rows, tiles.cols));
    return fill(Matrix<std::uint8_t>(tiles.rows, tiles.cols));
  }
  if (is_signed) return fill(Matrix<std::int16_t>(tiles.rows, tiles.cols));
  return fill(Matrix<std::uint16_t>(tiles.rows, tiles.cols));
}

// Tables that codes are looked up in have as many rows as the format has codes.
void check_codes(const CodeMatrix& codes, const Format& format) {
  if (format.kind == FormatKind::block || format.bits <= 8 || format.bits >= 16) return;
  const std::int32_t span = 1 << format.bits;
  const bool is_signed = format.kind == FormatKind::integer && format.grid.is_signed;
  const std::int32_t lo = is_signed ? -span / 2 : 0, hi = lo + span - 1;
  std::visit(
      [&](const auto& matrix) {
        const auto values = matrix.values();
        const auto wide =
            std::ranges::find_if(values, [&](std::int32_t code) { return code < lo || code > hi; });
        if (wide == values.end()) return;
        throw InputError(fmt::format("expected codes from {} to {}, found {} at index {}", lo, hi,
                                     static_cast<std::int32_t>(*wide), wide - values.begin()));
      },
      codes);
}

}  // namespace

void decode_all(const StoredTensor& tensor, std::span<const std::uint8_t> bytes,
                std::span<float> out) {
  const TensorType& type = *tensor.type;
  parallel_for(out.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    type.decode(bytes.data() + begin / type.block * type.bytes, end - begin, out.data() + begin);
  });
}

TensorParams own_params(const TensorFile& file, const Weight& weight, const Layout& layout) {
  TensorParams params;
  params.tiles = {QuantParams{}};
  for (const auto& part : layout.others) {
    const auto bytes = file.load(*file.find(weight.name + part.suffix));
    read_part(part, bytes.bytes(), printable(weight.name), params);
  }
  return params;
}

QTensor own_tensor(const TensorFile& file, const Weight& weight, const Layout& layout,
                   TensorParams params) {
  const Scheme& scheme = *weight.scheme;
  const auto bytes = file.load(*weight.stored);
  CodeMatrix codes = stored_codes(scheme, layout.tiles, bytes.bytes());
  check_codes(codes, scheme.format);
  const auto seen = tiled_shape(scheme, weight.shape);
  return QTensor(scheme, Role::stored, layout.tiles, std::move(codes), std::move(params), 0)
      .with_scheme(scheme, seen.empty() ? 1 : seen.back());
}

DequantizationTiles::DequantizationTiles(const DequantizedTensor& how,
                                         std::span<const std::size_t> shape)
    : is_one_(!how.per_channel && how.block == 0) {
  if (is_one_) return;
  // Nothing lies along an axis of none; the divisors stay 1.
  along_ = std::max<std::size_t>(shape[how.axis], 1);
  inner_ = std::max<std::size_t>(value_count(shape.subspan(how.axis + 1)), 1);
  block_ = how.block;
  if (block_ == 0) {
    count_ = shape[how.axis];
    return;
  }
  blocks_ = shape[how.axis] / block_ + (shape[how.axis] % block_ != 0 ? 1 : 0);
  count_ = value_count(shape.first(how.axis)) * blocks_ * value_count(shape.subspan(how.axis + 1));
}

}  // namespace zeropoint
