#include "zeropoint/weights/weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/quantize/qtensor.hpp"

#include "io/shallow_json.hpp"
#include "weights/layout.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kDecodeGrain = std::size_t{1} << 16;  // values; a multiple of every block

// {"version": 1, "tensors": {"NAME": {"scheme": "…", "shape": […], "from": "F32"}}}
class SchemesReader : public ShallowJson {
 public:
  explicit SchemesReader(const std::string& path) : ShallowJson(path, 4) {}
  struct Entry {
    std::string name, scheme, from;
    std::vector<std::size_t> shape;
  };
  std::vector<Entry> entries;

 private:
  void open(const Path& at, bool is_array) override {
    if (is_array != (at.size() == 3 && at[2] == "shape")) wrong(at, "what zeropoint writes");
    if (at.size() == 2 && at[0] == "tensors") entries.push_back({at[1], {}, {}, {}});
  }
  void text(const Path& at, std::string& value) override {
    if (at.size() != 3 || at[0] != "tensors") return;
    if (at[2] == "scheme") entries.back().scheme = std::move(value);
    if (at[2] == "from") entries.back().from = std::move(value);
  }
  void number(const Path& at, std::uint64_t value) override {
    if (at.size() == 4 && at[2] == "shape") entries.back().shape.push_back(value);
    if (at.size() == 1 && at[0] == "version" && value != 1) wrong(at, "version 1");
  }
  void other(const Path& at) override { wrong(at, "what zeropoint writes"); }
};

std::size_t count_of(std::span<const std::size_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

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

std::size_t last_axis(const Scheme& scheme, std::span<const std::size_t> shape) {
  const auto seen = tiled_shape(scheme, shape);
  return seen.empty() ? 1 : seen.back();
}

// A tensor of zeropoint's own, read whole.
QTensor read_own(const TensorFile& file, const Weight& weight) {
  const Layout layout = layout_of(*weight.scheme, weight.shape);
  TensorParams params;
  params.tiles = {QuantParams{}};
  for (const auto& part : layout.others) {
    const auto bytes = file.load(*file.find(weight.name + part.suffix));
    read_part(part, bytes.bytes(), printable(weight.name), params);
  }
  const auto codes = file.load(*weight.stored);
  Scheme of_matrix = *weight.scheme;
  return QTensor(of_matrix, Role::stored, layout.tiles,
                 stored_codes(of_matrix, layout.tiles, codes.bytes()), std::move(params), 0)
      .with_scheme(*weight.scheme, last_axis(*weight.scheme, weight.shape));
}

void decode_all(const StoredTensor& tensor, std::span<const std::uint8_t> bytes,
                std::span<float> out) {
  const TensorType& type = *tensor.type;
  parallel_for(out.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    type.decode(bytes.data() + begin / type.block * type.bytes, end - begin, out.data() + begin);
  });
}

}  // namespace

std::string size_text(double bytes) {
  if (bytes < 1000) return fmt::format("{:.0f} byte{}", bytes, bytes == 1 ? "" : "s");
  constexpr std::string_view units[] = {"kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (bytes /= 1000; bytes >= 999.5 && unit + 1 < std::size(units); bytes /= 1000) ++unit;
  return fmt::format("{:.{}f} {}", bytes, bytes < 9.995 ? 2 : bytes < 99.95 ? 1 : 0, units[unit]);
}

WeightFile::WeightFile(std::unique_ptr<TensorFile> file) : file_(std::move(file)) {
  for (const auto& [key, value] : file_->metadata()) {
    if (key == kSchemesKey && file_->container() == "safetensors") add_own(value);
  }
  add_onnx();
  add_plain();
}

const Weight* WeightFile::find(std::string_view name) const {
  const auto found = std::ranges::find(weights_, name, &Weight::name);
  return found == weights_.end() ? nullptr : &*found;
}

void WeightFile::add_own(std::string_view text) {
  SchemesReader reader(file_->path());
  reader.read(text);
  for (auto& entry : reader.entries) {
    Weight weight;
    weight.name = std::move(entry.name);
    weight.shape = std::move(entry.shape);
    weight.scheme = parse_scheme(entry.scheme);
    weight.is_quantized = true;
    weight.type = short_form(*weight.scheme);
    weight.stored = file_->find(weight.name);
    const std::string where =
        fmt::format("{}: '{}'", printable(file_->path()), printable(weight.name));
    std::size_t count = 1;
    for (const std::size_t extent : weight.shape) {
      // Codes take a bit at least, and none is missing: no count that wraps around gets by.
      if (extent != 0 && count > (std::size_t{1} << 60) / extent) {
        throw InputError(fmt::format("{}: expected a shape that a machine can hold, found [{}]",
                                     where, fmt::join(weight.shape, ", ")));
      }
      count *= extent;
    }
    weight.count = count;
    const Layout layout = layout_of(*weight.scheme, weight.shape);
    const auto check = [&](const Layout::Part& part) {
      const StoredTensor* const stored = file_->find(weight.name + part.suffix);
      const auto of = [](const TensorType& type, std::span<const std::size_t> shape) {
        return fmt::format("{} [{}]", type.name, fmt::join(shape, ", "));
      };
      if (stored == nullptr || stored->type != part.type || stored->shape != part.shape) {
        throw InputError(fmt::format(
            "{}: expected '{}{}' of {} for {}, found {}", printable(file_->path()),
            printable(weight.name), part.suffix, of(*part.type, part.shape), weight.type,
            stored == nullptr ? "none" : of(*stored->type, stored->shape)));
      }
      weight.bytes += stored->bytes;
    };
    check(layout.codes);
    for (const auto& part : layout.others) check(part);
    weights_.push_back(std::move(weight));
  }
}

void WeightFile::add_onnx() {
  dequantizations_ = file_->dequantizations();
  for (std::size_t i = 0; i < dequantizations_.size(); ++i) {
    const DequantizedTensor& how = dequantizations_[i];
    const StoredTensor* const codes = file_->find(how.codes);
    const StoredTensor* const scale = file_->find(how.scale);
    const StoredTensor* const zero = how.zero_point.empty() ? nullptr : file_->find(how.zero_point);
    if (codes == nullptr || scale == nullptr) continue;
    if ((how.per_channel || how.block != 0) && how.axis >= codes->shape.size()) {
      throw InputError(fmt::format("{}: '{}': expected an axis of {} dimensions, found axis {}",
                                   printable(file_->path()), printable(how.name),
                                   codes->shape.size(), how.axis));
    }
    Weight weight;
    weight.name = how.name;
    weight.shape = codes->shape;
    weight.count = codes->count;
    weight.stored = codes;
    weight.is_quantized = true;
    weight.dequantization = i;
    weight.type = fmt::format("{} dequantized", codes->type->name);
    weight.bytes = codes->bytes + scale->bytes + (zero == nullptr ? 0 : zero->bytes);
    weights_.push_back(std::move(weight));
  }
}

void WeightFile::add_plain() {
  // Those that belong to quantized ones are no weights of their own.
  std::set<std::string, std::less<>> parts;
  for (const auto& weight : weights_) {
    if (!weight.scheme) {
      const auto& how = dequantizations_[weight.dequantization];
      parts.insert({how.codes, how.scale, how.zero_point});
      continue;
    }
    parts.insert(weight.name);
    for (const auto& part : layout_of(*weight.scheme, weight.shape).others) {
      parts.insert(weight.name + part.suffix);
    }
  }
  for (const auto& tensor : file_->tensors()) {
    if (parts.contains(tensor.name)) continue;
    Weight weight;
    weight.name = tensor.name;
    weight.shape = tensor.shape;
    weight.count = tensor.count;
    weight.stored = &tensor;
    weight.bytes = tensor.bytes;
    weight.is_quantized = tensor.type->kind == TensorKind::blocks;
    weight.type = tensor.type->name;
    weights_.push_back(std::move(weight));
  }
  // In the order of the file.
  std::ranges::stable_sort(weights_, {}, [this](const Weight& weight) {
    return weight.stored - file_->tensors().data();
  });
}

WeightValues WeightFile::load(const Weight& weight) const {
  const bool is_plain =
      !weight.scheme && (!weight.is_quantized || weight.stored->type->kind == TensorKind::blocks);
  if (is_plain && weight.stored->type->name == "F32") {
    TensorBytes bytes = file_->load(*weight.stored);
    const auto* const from = bytes.bytes().data();
    if (reinterpret_cast<std::uintptr_t>(from) % alignof(float) == 0) {
      const std::span view(reinterpret_cast<const float*>(from), weight.count);
      return {std::move(bytes), view};
    }
  }
  if (weight.scheme) {
    Matrix<float> values = read_own(*file_, weight).dequantized();
    return WeightValues(std::move(values));
  }
  Matrix<float> values(1, weight.count);
  if (is_plain) {
    const auto bytes = file_->load(*weight.stored);
    decode_all(*weight.stored, bytes.bytes(), values.values());
  } else {
    dequantize_onnx(weight, values.values());
  }
  return WeightValues(std::move(values));
}

void WeightFile::dequantize_onnx(const Weight& weight, std::span<float> out) const {
  const DequantizedTensor& how = dequantizations_[weight.dequantization];
  const auto whole = [this](const StoredTensor& tensor) {
    const auto bytes = file_->load(tensor);
    std::vector<float> values(tensor.count);
    decode_all(tensor, bytes.bytes(), values);
    return values;
  };
  const StoredTensor& stored_scale = *file_->find(how.scale);
  const std::vector<float> scales = whole(stored_scale);
  const std::vector<float> zeros =
      how.zero_point.empty() ? std::vector<float>() : whole(*file_->find(how.zero_point));
  decode_all(*weight.stored, file_->load(*weight.stored).bytes(), out);

  const auto& shape = weight.shape;
  const bool is_one = !how.per_channel && how.block == 0;
  const std::size_t along = is_one ? 1 : shape[how.axis];
  const std::size_t inner = is_one ? 1 : count_of(std::span(shape).subspan(how.axis + 1));
  const std::size_t blocks = how.block == 0 ? along : (along + how.block - 1) / how.block;
  const std::size_t outer =
      is_one || along == 0 ? 1 : out.size() / along / std::max<std::size_t>(inner, 1);
  const std::size_t expected = is_one ? 1 : how.block == 0 ? along : outer * blocks * inner;
  if (scales.size() != expected || (!zeros.empty() && zeros.size() != expected)) {
    throw InputError(fmt::format("{}: '{}': expected {} scales and zero points, found {} and {}",
                                 printable(file_->path()), printable(weight.name), expected,
                                 scales.size(), zeros.size()));
  }
  parallel_for(out.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      std::size_t which = 0;
      if (!is_one) {
        const std::size_t j = i / inner % along;
        which =
            how.block == 0 ? j : ((i / inner / along * blocks + j / how.block) * inner + i % inner);
      }
      const float code = zeros.empty() ? out[i] : out[i] - zeros[which];
      out[i] = code * scales[which];
    }
  });
}

WeightLint WeightFile::lint(const Weight& weight) const {
  WeightLint lint;
  const auto dead = [](float scale) {
    return !(std::abs(scale) >= std::numeric_limits<float>::min()) || !std::isfinite(scale);
  };
  if (!weight.is_quantized) return lint;
  if (weight.scheme) {
    const QTensor q = read_own(*file_, weight);
    const auto& tiles = q.parameters().tiles;
    lint.tiles = q.tiles().count();
    if (weight.scheme->format.kind != FormatKind::block) {
      for (const auto& tile : tiles) {
        lint.dead_scales += dead(tile.scale);
        const bool integer = weight.scheme->format.kind == FormatKind::integer;
        lint.outside_zero_points +=
            integer && (tile.zero_point < q.grid().lo() || tile.zero_point > q.grid().hi());
      }
    }
    const Matrix<float> x = q.decoded();
    const Tiles& cut = q.tiles();
    std::vector<bool> used(cut.count(), false);
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (std::size_t j = 0; j < x.cols(); ++j) {
        if (x(i, j) != 0) used[cut.of(i, j)] = true;
      }
    }
    lint.zero_blocks = static_cast<std::size_t>(std::ranges::count(used, false));
    return lint;
  }
  if (weight.stored->type->kind == TensorKind::blocks) {
    const WeightValues values = load(weight);
    const std::size_t block = weight.stored->type->block;
    lint.tiles = (weight.count + block - 1) / block;
    for (std::size_t i = 0; i < weight.count; i += block) {
      const auto some = values.values().subspan(i, std::min(block, weight.count - i));
      lint.zero_blocks += std::ranges::all_of(some, [](float x) { return x == 0; });
      lint.dead_scales += !std::ranges::all_of(some, [](float x) { return std::isfinite(x); });
    }
    return lint;
  }
  const DequantizedTensor& how = dequantizations_[weight.dequantization];
  const StoredTensor& scale = *file_->find(how.scale);
  std::vector<float> scales(scale.count);
  decode_all(scale, file_->load(scale).bytes(), scales);
  lint.tiles = scales.size();
  lint.dead_scales = static_cast<std::size_t>(std::ranges::count_if(scales, dead));
  return lint;
}

WeightFile open_weights(const std::string& path) { return WeightFile(open_tensor_file(path)); }

}  // namespace zeropoint
