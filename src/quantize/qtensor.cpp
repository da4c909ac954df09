#include "zeropoint/quantize/qtensor.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/packed_codes.hpp"
#include "zeropoint/quantize/elementwise.hpp"

#include "quantize/storage.hpp"
#include "quantize/stored_codes.hpp"
#include "quantize/tile_walk.hpp"
#include "quantize/transformed.hpp"

namespace zeropoint {
namespace {

Scheme integer_scheme(const IntegerGrid& grid, const Convention& convention) {
  Scheme scheme;
  scheme.format.kind = FormatKind::integer;
  scheme.format.name = name(grid);
  scheme.format.bits = grid.bits;
  scheme.format.grid = grid;
  scheme.convention = convention;
  return scheme;
}

Tiles one_tile(std::size_t rows, std::size_t cols) {
  return make_tiles({}, std::array{rows, cols}, Role::stored);
}

std::size_t rows_of(const CodeMatrix& codes) {
  return std::visit([](const auto& matrix) { return matrix.rows(); }, codes);
}
std::size_t cols_of(const CodeMatrix& codes) {
  return std::visit([](const auto& matrix) { return matrix.cols(); }, codes);
}

}  // namespace

CodeMatrix make_codes(const IntegerGrid& grid, std::size_t rows, std::size_t cols) {
  check(grid);
  if (grid.bits <= 8) {
    if (grid.is_signed) return Matrix<std::int8_t>(rows, cols);
    return Matrix<std::uint8_t>(rows, cols);
  }
  if (grid.is_signed) return Matrix<std::int16_t>(rows, cols);
  return Matrix<std::uint16_t>(rows, cols);
}

CodeMatrix codes_for(const Format& format, std::size_t rows, std::size_t cols) {
  if (format.kind == FormatKind::integer) return make_codes(format.grid, rows, cols);
  return make_codes({format.bits <= 8 ? 8 : 16, false, false}, rows, cols);
}

CodeMatrix packed_for_storage(CodeMatrix codes, int bits) {
  if (bits >= 8) return codes;
  return std::visit(
      [&]<class Code>(const Matrix<Code>& plain) -> CodeMatrix {
        if constexpr (sizeof(Code) == 1) {
          Matrix<std::uint8_t> packed(1, packed_bytes(plain.size(), bits));
          const std::span<const std::uint8_t> bytes(
              reinterpret_cast<const std::uint8_t*>(plain.data()), plain.size());
          pack(bytes, bits, packed.values());
          return packed;
        } else {
          assert(false && "codes of less than a byte come in bytes");
          return Matrix<std::uint8_t>();
        }
      },
      codes);
}

QTensor::QTensor(const Matrix<float>& x, QuantParams params, const IntegerGrid& grid,
                 const Convention& convention)
    : scheme_(integer_scheme(grid, convention)), tiles_(one_tile(x.rows(), x.cols())) {
  params_.tiles = {params};
  CodeMatrix codes = make_codes(grid, x.rows(), x.cols());
  std::visit(
      [&]<class Code>(Matrix<Code>& each) {
        const auto clipped = quantize<Code>(x.values(), params, grid, convention, each.values());
        clipped_ = x.size() == 0 ? 0 : static_cast<double>(clipped) / static_cast<double>(x.size());
      },
      codes);
  stored_ = packed_for_storage(std::move(codes), grid.bits);
}

QTensor::QTensor(CodeMatrix codes, QuantParams params, const IntegerGrid& grid)
    : scheme_(integer_scheme(grid, {})), tiles_(one_tile(rows_of(codes), cols_of(codes))) {
  params_.tiles = {params};
  stored_ = packed_for_storage(std::move(codes), grid.bits);
}

QTensor::QTensor(Scheme scheme, Role role, Tiles tiles, CodeMatrix stored, TensorParams params,
                 double clipped)
    : scheme_(std::move(scheme)),
      role_(role),
      tiles_(tiles),
      stored_(std::move(stored)),
      params_(std::move(params)),
      clipped_(clipped) {}

QTensor QTensor::with_scheme(Scheme scheme, std::size_t last_axis) && {
  scheme_ = std::move(scheme);
  last_axis_ = last_axis;
  return std::move(*this);
}

TensorParams QTensor::encoding_parameters() const {
  TensorParams params = params_;
  for (std::size_t i = 0; i < encoding_scales_.size(); ++i) {
    params.tiles[i].scale = encoding_scales_[i];
  }
  return params;
}

QTensor QTensor::with_scales(std::span<const float> scales) && {
  encoding_scales_.clear();
  for (std::size_t i = 0; i < params_.tiles.size(); ++i) {
    encoding_scales_.push_back(params_.tiles[i].scale);
    params_.tiles[i].scale = scales[i];
  }
  return std::move(*this);
}

std::span<const std::uint8_t> QTensor::bytes() const {
  return std::visit(
      []<class Code>(const Matrix<Code>& codes) {
        return std::span(reinterpret_cast<const std::uint8_t*>(codes.data()),
                         codes.size() * sizeof(Code));
      },
      stored_);
}

double QTensor::effective_bits() const {
  const auto values = static_cast<double>(rows() * cols());
  if (values == 0) return 0;
  double bits = 8 * static_cast<double>(bytes().size());
  if (role_ == Role::left) bits += 32 * static_cast<double>(params_.smoothing.size());
  const auto& format = scheme_.format;
  if (format.kind == FormatKind::block) {
    return (bits + (format.block->has_tensor_scale ? 32 : 0)) / values;
  }
  if (!scheme_.unit_scale) {
    const bool has_zero_points =
        format.kind == FormatKind::integer && scheme_.convention.mapping == Mapping::affine;
    const bool is_on_grid = scheme_.convention.clamp_zero_point || scheme_.convention.zero_in_range;
    const int zero_point = is_on_grid ? format.bits : 32;
    bits += static_cast<double>(params_.tiles.size()) * (32 + (has_zero_points ? zero_point : 0));
  }
  if (format.kind == FormatKind::codebook && format.codebook->is_fitted()) {
    bits += 32 * static_cast<double>(params_.levels.size());
  }
  return bits / values;
}

CodeMatrix QTensor::unpacked() const {
  if (scheme_.format.bits > 16 || scheme_.format.kind == FormatKind::block) {
    throw InputError(fmt::format("{}: expected codes of up to 16 bits, a value each, found others",
                                 scheme_.format.name));
  }
  const auto& packed = std::get<Matrix<std::uint8_t>>(stored_);
  const int bits = scheme_.format.bits;
  Matrix<std::uint8_t> plain(rows(), cols());
  unpack(packed.values(), bits, plain.values());
  if (scheme_.format.kind != FormatKind::integer || !scheme_.format.grid.is_signed) return plain;
  Matrix<std::int8_t> codes(rows(), cols());
  const auto from = plain.values();
  const auto to = codes.values();
  const int shift = 8 - bits;
  for (std::size_t i = 0; i < from.size(); ++i) {  // the sign stands in the uppermost bit of a code
    to[i] = static_cast<std::int8_t>(static_cast<std::int8_t>(from[i] << shift) >> shift);
  }
  return codes;
}

Operand QTensor::operand() const {
  if (scheme_.format.kind != FormatKind::integer || is_packed() || params_.tiles.size() != 1) {
    throw InputError(
        fmt::format("operand: expected integers of 8 to 16 bits with one scale, found "
                    "{} with {}",
                    scheme_.format.name, params_.tiles.size()));
  }
  return std::visit([&](const auto& codes) { return Operand(codes.view(), params().zero_point); },
                    stored_);
}

Matrix<float> QTensor::dequantized() const {
  Matrix<float> x = decoded();
  if (scheme_.transforms.empty() || x.size() == 0) return x;
  MatrixView<float> lines = x.view();
  if (role_ != Role::right) {  // tiles may have cut the tensor into other rows
    lines = {x.data(), x.size() / line(), line(), static_cast<std::ptrdiff_t>(line()), 1};
  }
  transform_back(lines, scheme_, params_.smoothing, along_of(role_));
  return x;
}

Matrix<float> QTensor::decoded() const {
  Matrix<float> x(rows(), cols());
  const auto& format = scheme_.format;
  if (format.kind == FormatKind::block) {
    MatrixView<float> view = x.view();
    if (role_ == Role::right) view = transposed(view);
    decode_blocks(*format.block, bytes(), params_.tensor_scale, view);
    return x;
  }
  // Where one scale serves all, so does one tile.
  decode_stored(format, params_.tiles.size() == 1 ? one_tile(rows(), cols()) : tiles_, params_,
                bytes(), x);
  return x;
}

}  // namespace zeropoint
