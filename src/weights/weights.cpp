#include "zeropoint/weights/weights.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "io/shallow_json.hpp"
#include "quantize/transformed.hpp"
#include "weights/decoding.hpp"
#include "weights/layout.hpp"

namespace zeropoint {
namespace {

// {"version": 1, "tensors": {"NAME": {"scheme": "…", "shape": […], "from": "F32"}}}
class SchemesReader : public ShallowJson {
 public:
  explicit SchemesReader(const std::string& path) : ShallowJson(path, 4) {}
  struct Entry {
    std::string name, scheme;
    std::vector<std::size_t> shape;
    int seen = 0;  // one bit a key that must be there
  };
  std::vector<Entry> entries;

 private:
  void open(const Path& at, bool is_array) override {
    const bool is_shape = at.size() == 3 && at[0] == "tensors" && at[2] == "shape";
    const bool is_known = at.size() < 3 && (at.empty() || at[0] == "tensors");
    if (is_array ? !is_shape : !is_known) wrong(at, kExpected);
    if (at.size() == 2) entries.push_back({at[1], {}, {}, 0});
    if (is_shape) mark(2);
  }
  void text(const Path& at, std::string& value) override {
    if (at.size() != 3) wrong(at, kExpected);
    if (at[2] == "scheme") {
      mark(1);
      entries.back().scheme = std::move(value);
    } else if (at[2] == "shape") {
      wrong(at, kExpected);
    }
  }
  void number(const Path& at, std::uint64_t value) override {
    if (at.size() == 4) {
      entries.back().shape.push_back(value);
    } else if (at.size() != 1 || at[0] != "version") {
      wrong(at, kExpected);
    } else if (value != 1) {
      wrong(at, "version 1");
    }
  }
  void other(const Path& at) override { wrong(at, kExpected); }
  void mark(int bit) {
    Entry& entry = entries.back();
    if ((entry.seen & bit) != 0) wrong({"tensors", entry.name}, "scheme and shape once");
    entry.seen |= bit;
  }

  static constexpr std::string_view kExpected = "what zeropoint writes";
};

// Why codes and what they mean do not fit together; empty if they do.
std::string wrong_parts(const DequantizedTensor& how, const StoredTensor& codes,
                        const StoredTensor& scale, const StoredTensor* zero) {
  if (codes.type->kind == TensorKind::blocks) return "codes, found blocks";
  if (scale.type->kind != TensorKind::floating) {
    return fmt::format("a scale of a floating type, found {}", scale.type->name);
  }
  const bool has_axis = how.per_channel || how.block != 0;
  if (has_axis && how.axis >= codes.shape.size()) {
    return fmt::format("an axis below {}, found {}", codes.shape.size(), how.axis);
  }
  const std::size_t expected = DequantizationTiles(how, codes.shape).count();
  if (scale.count != expected) return fmt::format("{} scales, found {}", expected, scale.count);
  if (how.zero_point.empty()) return {};
  if (zero == nullptr) return fmt::format("'{}', found none", printable(how.zero_point));
  if (zero->count != expected || zero->type != codes.type) {
    return fmt::format("zero points {} [{}], found {} [{}]", codes.type->name,
                       fmt::join(scale.shape, ", "), zero->type->name,
                       fmt::join(zero->shape, ", "));
  }
  return {};
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
  index_names();
}

const Weight* WeightFile::find(std::string_view name) const {
  const auto of = [this](std::size_t i) -> std::string_view { return weights_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, of);
  return found != by_name_.end() && of(*found) == name ? &weights_[*found] : nullptr;
}

const DequantizedTensor* WeightFile::dequantization(const Weight& weight) const {
  const bool is_onnx =
      weight.is_quantized && !weight.scheme && weight.stored->type->kind != TensorKind::blocks;
  return is_onnx ? &dequantizations_[weight.dequantization] : nullptr;
}

std::vector<const StoredTensor*> WeightFile::parts(const Weight& weight) const {
  std::vector<const StoredTensor*> parts = {weight.stored};
  if (weight.scheme) {
    for (const auto& part : layout_of(*weight.scheme, weight.shape).others) {
      parts.push_back(file_->find(weight.name + part.suffix));
    }
  } else if (const auto* const how = dequantization(weight)) {
    parts.push_back(file_->find(how->scale));
    if (!how->zero_point.empty()) parts.push_back(file_->find(how->zero_point));
  }
  return parts;
}

void WeightFile::index_names() {
  by_name_.resize(weights_.size());
  std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
  const auto name = [this](std::size_t i) -> std::string_view { return weights_[i].name; };
  std::ranges::sort(by_name_, {}, name);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name);
  if (twice != by_name_.end()) {
    throw InputError(fmt::format("{}: expected each tensor's name once, found '{}' twice",
                                 printable(file_->path()), printable(name(*twice))));
  }
}

void WeightFile::add_own(std::string_view text) {
  SchemesReader reader(file_->path());
  reader.read(text);
  std::set<const StoredTensor*> taken;
  for (auto& entry : reader.entries) {
    const std::string where =
        fmt::format("{}: '{}'", printable(file_->path()), printable(entry.name));
    const auto refuse = [&](std::string_view expected, std::string_view found) {
      throw InputError(fmt::format("{}: expected {}, found {}", where, expected, found));
    };
    if (entry.seen != 3) refuse("its scheme and shape in the metadata", "one missing");
    std::size_t count = 1;
    for (const std::size_t extent : entry.shape) {
      // Codes take a bit at least, and none is missing: no product that wraps around gets by.
      if (extent != 0 && count > (std::size_t{1} << 60) / extent) {
        refuse("a shape that a machine can hold",
               fmt::format("[{}]", fmt::join(entry.shape, ", ")));
      }
      count *= std::max<std::size_t>(extent, 1);
    }
    constexpr std::size_t kLongest = 1000;
    if (entry.scheme.size() > kLongest) refuse("a scheme", "a text of more than 1000 bytes");
    Weight weight;
    weight.name = std::move(entry.name);
    weight.shape = std::move(entry.shape);
    weight.count = std::ranges::find(weight.shape, 0U) == weight.shape.end() ? count : 0;
    weight.is_quantized = true;
    weight.stored = file_->find(weight.name);
    const Layout layout = [&] {
      try {
        weight.scheme = parse_scheme(entry.scheme);
        return layout_of(*weight.scheme, weight.shape);
      } catch (const InputError& error) {
        throw InputError(fmt::format("{}: {}", where, error.what()));
      }
    }();
    if (needs_both(*weight.scheme)) refuse("a scheme of one tensor", "smooth, which is of two");
    weight.type = short_form(*weight.scheme);
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
      if (!taken.insert(stored).second) {
        refuse("tensors of its own",
               fmt::format("'{}' in another's place, too", printable(stored->name)));
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
    if (const std::string wrong = wrong_parts(how, *codes, *scale, zero); !wrong.empty()) {
      throw InputError(fmt::format("{}: '{}': expected {}", printable(file_->path()),
                                   printable(how.name), wrong));
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
  const bool is_plain = !weight.scheme && dequantization(weight) == nullptr;
  if (is_plain && weight.stored->type->name == "F32") {
    TensorBytes bytes = file_->load(*weight.stored);
    const auto* const from = bytes.bytes().data();
    if (reinterpret_cast<std::uintptr_t>(from) % alignof(float) == 0) {
      const std::span view(reinterpret_cast<const float*>(from), weight.count);
      return {std::move(bytes), view};
    }
  }
  if (weight.scheme) {
    try {
      const Layout layout = layout_of(*weight.scheme, weight.shape);
      return WeightValues(
          own_tensor(*file_, weight, layout, own_params(*file_, weight, layout)).dequantized());
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: '{}': {}", printable(file_->path()), printable(weight.name),
                                   error.what()));
    }
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

  const DequantizationTiles tiles(how, weight.shape);
  parallel_for(out.size(), kDecodeGrain, [&](std::size_t begin, std::size_t end) {
    tiles.for_stripes(
        begin, end, [&](std::size_t at, std::size_t n, std::size_t tile, std::size_t step) {
          for (std::size_t i = 0; i < n; ++i) {
            const std::size_t which = tile + i * step;
            const float code = zeros.empty() ? out[at + i] : out[at + i] - zeros[which];
            out[at + i] = code * scales[which];
          }
        });
  });
}

WeightFile open_weights(const std::string& path) { return WeightFile(open_tensor_file(path)); }

}  // namespace zeropoint
