#include "io/onnx_tensors.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/onnx_writer.hpp"

// Source: onnx.proto of ONNX 1.22 and its text on external data. The classes of older packages lack
// the newer numbers of data types, but hold them: the field is an int32.

namespace zeropoint {
namespace {

namespace fs = std::filesystem;
namespace f = onnx_field;

constexpr OnnxType kTypes[] = {
    {1, "F32", f::kFloats, 4, 1, 0, 10},
    {2, "U8", f::kInt32s, 1, 1, 10, 0},
    {3, "I8", f::kInt32s, 1, 1, 10, 0},
    {4, "U16", f::kInt32s, 2, 1, 21, 0},
    {5, "I16", f::kInt32s, 2, 1, 21, 0},
    {6, "I32", f::kInt32s, 4, 1, 10, 0},
    {7, "I64", f::kInt64s, 8, 1, 0, 0},
    {9, "BOOL", f::kInt32s, 1, 1, 0, 0},
    {10, "F16", f::kInt32s, 2, 1, 0, 19},
    {11, "F64", f::kDoubles, 8, 1, 0, 0},
    {12, "U32", f::kUint64s, 4, 1, 0, 0},
    {13, "U64", f::kUint64s, 8, 1, 0, 0},
    {16, "BF16", f::kInt32s, 2, 13, 0, 19},
    {17, "F8_E4M3", f::kInt32s, 1, 19, 19, 0},
    {18, "F8_E4M3FNUZ", f::kInt32s, 1, 19, 19, 0},
    {19, "F8_E5M2", f::kInt32s, 1, 19, 19, 0},
    {20, "F8_E5M2FNUZ", f::kInt32s, 1, 19, 19, 0},
    {21, "U4", f::kInt32s, 1, 21, 21, 0},
    {22, "I4", f::kInt32s, 1, 21, 21, 0},
    {23, "F4", f::kInt32s, 1, 23, 23, 0},
    {24, "F8_E8M0", f::kInt32s, 1, 24, 0, 24},
    {25, "U2", f::kInt32s, 1, 25, 25, 0},
    {26, "I2", f::kInt32s, 1, 25, 25, 0},
};
constexpr std::int32_t kMostType = 26;

std::uint64_t whole_number(const std::string& text, const std::string& path,
                           const std::string& what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    refuse_file(path, fmt::format("{} as a whole number from 0 on", what),
                fmt::format("'{}'", printable(text)));
  }
  return value;
}

// Signed codes come sign-extended, bits of floats as unsigned numbers; either way in full.
bool fits(std::uint64_t number, std::size_t bytes, bool is_int32) {
  if (bytes == 8) return true;
  const auto value = static_cast<std::int64_t>(number);
  const auto bits = static_cast<int>(8 * bytes);
  if (!is_int32) return number >> bits == 0;
  return value >= -(std::int64_t{1} << (bits - 1)) && value < std::int64_t{1} << bits;
}

const onnx::AttributeProto* attribute(const onnx::NodeProto& node, std::string_view name) {
  for (const auto& row : node.attribute()) {
    if (row.name() == name) return &row;
  }
  return nullptr;
}

std::int64_t integer(const onnx::NodeProto& node, std::string_view name, std::int64_t otherwise) {
  const auto* const row = attribute(node, name);
  return row == nullptr ? otherwise : row->i();
}

}  // namespace

const OnnxType* onnx_type(std::int32_t number) {
  const auto found = std::ranges::find(kTypes, number, &OnnxType::number);
  return found == std::end(kTypes) ? nullptr : found;
}

const OnnxType* onnx_type(const TensorType& type) {
  const auto found = std::ranges::find(kTypes, type.name, &OnnxType::name);
  return found == std::end(kTypes) ? nullptr : found;
}

std::string wrong_onnx_tensor(const TensorFilePlan::Tensor& tensor) {
  if (tensor.name.empty()) return "expected a name, found none";
  if (onnx_type(*tensor.type) == nullptr) {
    return fmt::format("expected a type that ONNX has, found {}", tensor.type->name);
  }
  return {};
}

std::string wrong_dequantization(const DequantizedTensor& row, const StoredTensor* codes,
                                 const StoredTensor* scale, const StoredTensor* zero_point) {
  const auto missing = [](std::string_view what, const std::string& name) {
    return fmt::format("expected its {} '{}' among the tensors, found none", what, printable(name));
  };
  if (codes == nullptr) return missing("codes", row.codes);
  if (scale == nullptr) return missing("scale", row.scale);
  if (zero_point == nullptr && !row.zero_point.empty())
    return missing("zero point", row.zero_point);
  const OnnxType* const kind = onnx_type(*codes->type);
  if (kind == nullptr || kind->dequantize == 0) {
    return fmt::format("expected codes that DequantizeLinear takes, found {}", codes->type->name);
  }
  const OnnxType* const kind_of_scale = onnx_type(*scale->type);
  if (kind_of_scale == nullptr || kind_of_scale->scale == 0) {
    return fmt::format("expected a scale that DequantizeLinear takes, found {}", scale->type->name);
  }
  std::vector<std::size_t> shape;
  if (row.per_channel || row.block != 0) {
    if (row.axis >= codes->shape.size()) {
      return fmt::format("expected an axis below {}, found {}", codes->shape.size(), row.axis);
    }
    const std::size_t size = codes->shape[row.axis];
    if (row.block != 0) {
      shape = codes->shape;
      shape[row.axis] = size / row.block + (size % row.block != 0 ? 1 : 0);
    } else {
      shape = {size};
    }
    if (scale->shape != shape) {
      return fmt::format("expected scales of shape [{}], found [{}]", fmt::join(shape, ", "),
                         fmt::join(scale->shape, ", "));
    }
  } else if (scale->count != 1 || scale->shape.size() > 1) {
    return fmt::format("expected one scale, found shape [{}]", fmt::join(scale->shape, ", "));
  }
  if (zero_point != nullptr &&
      (zero_point->shape != scale->shape || zero_point->type != codes->type)) {
    return fmt::format("expected a zero point {} [{}], found {} [{}]", codes->type->name,
                       fmt::join(scale->shape, ", "), zero_point->type->name,
                       fmt::join(zero_point->shape, ", "));
  }
  return {};
}

OnnxFile::OnnxFile(const std::string& path) : TensorFile(path, "onnx"), file_(path) {
  scan_ = scan_onnx(file_.bytes(), path);
  file_bytes_ = file_.bytes().size();
  offsets_.resize(scan_.initializers.size());
  for (std::size_t i = 0; i < scan_.initializers.size(); ++i) add_initializer(i);
  for (const auto& file : externals_) file_bytes_ += file->bytes().size();
  check_names();
  const auto& model = scan_.skeleton;
  metadata_.emplace_back("onnx.ir_version", fmt::format("{}", model.ir_version()));
  const std::string producer = model.producer_name() +
                               (model.producer_version().empty() ? "" : " ") +
                               model.producer_version();
  if (!producer.empty()) metadata_.emplace_back("onnx.producer", producer);
  for (const auto& opset : model.opset_import()) {
    metadata_.emplace_back(
        fmt::format("onnx.opset.{}", opset.domain().empty() ? "ai.onnx" : opset.domain()),
        fmt::format("{}", opset.version()));
  }
  for (const auto& entry : model.metadata_props()) {
    metadata_.emplace_back(entry.key(), entry.value());
  }
}

void OnnxFile::add_initializer(std::size_t index) {
  const OnnxInitializer& initializer = scan_.initializers[index];
  const std::string shown = printable(initializer.name);
  if (initializer.data_type < 1 || initializer.data_type > kMostType) {
    refuse_file(path(), fmt::format("a data type of '{}' from 1 to {}", shown, kMostType),
                fmt::format("{}", initializer.data_type));
  }
  std::vector<std::size_t> shape;
  for (const std::int64_t size : initializer.dims) {
    if (size < 0) {
      refuse_file(path(), fmt::format("sizes of '{}' from 0 on", shown), fmt::format("{}", size));
    }
    shape.push_back(static_cast<std::size_t>(size));
  }
  const OnnxType* const kind = onnx_type(initializer.data_type);
  if (kind == nullptr) return;  // text and complex numbers stay what they are
  if (initializer.has_segment) refuse_file(path(), fmt::format("all of '{}'", shown), "a segment");
  StoredTensor& tensor = add(initializer.name, std::move(shape), tensor_type(kind->name));
  tensor.place = index;
  const std::size_t values =
      std::accumulate(std::begin(initializer.typed), std::end(initializer.typed), std::size_t{0});
  const bool is_external = initializer.is_external || !initializer.external.empty();
  if (int{initializer.has_raw} + int{values != 0} + int{is_external} > 1) {
    refuse_file(path(), fmt::format("numbers of '{}' in one place", shown), "several");
  }
  if (is_external) {
    place_external(initializer, tensor);
  } else if (initializer.has_raw) {
    if (initializer.raw_size != tensor.bytes) {
      refuse_file(path(),
                  fmt::format("{} of raw_data for '{}', {} [{}]", byte_count(tensor.bytes), shown,
                              kind->name, fmt::join(tensor.shape, ", ")),
                  byte_count(initializer.raw_size));
    }
  } else if (values != tensor.bytes / kind->bytes || values != initializer.typed[kind->field]) {
    refuse_file(path(),
                fmt::format("{} numbers in field {} for '{}', {} [{}]", tensor.bytes / kind->bytes,
                            kind->field, shown, kind->name, fmt::join(tensor.shape, ", ")),
                fmt::format("{} there, {} in all", initializer.typed[kind->field], values));
  }
}

void OnnxFile::place_external(const OnnxInitializer& initializer, StoredTensor& tensor) {
  const std::string shown = printable(initializer.name);
  std::string location;
  std::uint64_t offset = 0, length = tensor.bytes;
  for (const auto& [key, value] : initializer.external) {
    if (key == "location") location = value;
    if (key != "offset" && key != "length") continue;
    (key == "offset" ? offset : length) =
        whole_number(value, path(), fmt::format("{} of '{}'", key, shown));
  }
  tensor.part = external_file(location, shown);
  const std::uint64_t space = externals_[tensor.part - 1]->bytes().size();
  if (length != tensor.bytes) {
    refuse_file(path(),
                fmt::format("a length of {} for '{}', {} [{}]", tensor.bytes, shown,
                            tensor.type->name, fmt::join(tensor.shape, ", ")),
                fmt::format("{}", length));
  }
  if (offset > space || length > space - offset) {
    refuse_file(
        path(),
        fmt::format("'{}' within the {} of {}", shown, byte_count(space), printable(location)),
        fmt::format("offset {}, length {}", offset, length));
  }
  offsets_[static_cast<std::size_t>(tensor.place)] = offset;
}

// A model from anywhere must not make others read what is not beside it.
std::size_t OnnxFile::external_file(const std::string& location, const std::string& shown) {
  const auto refuse = [&](std::string_view found) {
    refuse_file(path(),
                fmt::format("external data of '{}' in a file within the model's folder", shown),
                fmt::format("'{}', {}", printable(location), found));
  };
  if (location.empty()) refuse("no name");
  if (location.find('\0') != std::string::npos) refuse("no name of a file");
  const fs::path relative(location);
  if (relative.is_absolute()) refuse("an absolute path");
  const fs::path folder = fs::path(path()).parent_path();
  fs::path file = folder;
  std::error_code error;
  for (const auto& name : relative) {
    if (name == "." || name.empty()) continue;
    if (name == "..") refuse("a path that leads out of it");
    file /= name;
    if (fs::is_symlink(fs::symlink_status(file, error))) refuse("a link");
  }
  for (std::size_t i = 0; i < externals_.size(); ++i) {
    if (externals_[i]->path() == file.string()) return i + 1;
  }
  const fs::path real = fs::canonical(file, error);
  if (error) refuse(fmt::format("\"{}\"", error.message()));
  const fs::path home = fs::canonical(folder.empty() ? fs::path(".") : folder, error);
  if (error || std::ranges::mismatch(home, real).in1 != home.end()) refuse("which lies elsewhere");
  externals_.push_back(std::make_unique<MappedFile>(file.string(), false));
  return externals_.size();
}

std::vector<std::string> OnnxFile::files() const {
  std::vector<std::string> all = {path()};
  for (const auto& file : externals_) all.push_back(file->path());
  return all;
}

TensorBytes OnnxFile::load(const StoredTensor& tensor) const {
  const auto index = static_cast<std::size_t>(tensor.place);
  const OnnxInitializer& initializer = scan_.initializers[index];
  const bool is_external = tensor.part != 0;
  if (is_external || initializer.has_raw) {
    const MappedFile& file = is_external ? *externals_[tensor.part - 1] : file_;
    const auto at = is_external ? static_cast<std::size_t>(offsets_[index]) : initializer.raw;
    return {file.bytes().subspan(at, tensor.bytes),
            [&file, at, count = tensor.bytes] { file.release(at, count); }};
  }
  const OnnxType& kind = *onnx_type(initializer.data_type);
  std::vector<std::uint8_t> bytes;
  bytes.reserve(tensor.bytes);
  WireFields fields(proto(initializer), path(), initializer.begin);
  while (fields.next()) {
    if (fields.field() != kind.field) continue;
    fields.numbers(f::wire_of(kind.field), [&](std::uint64_t number) {
      if (!fits(number, kind.bytes, kind.field == f::kInt32s)) {
        refuse_file(path(),
                    fmt::format("numbers of '{}' that fit {}", printable(tensor.name), kind.name),
                    fmt::format("{}", static_cast<std::int64_t>(number)));
      }
      for (std::size_t i = 0; i < kind.bytes; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
      }
    });
  }
  return TensorBytes(std::move(bytes));
}

std::vector<DequantizedTensor> OnnxFile::dequantizations() const {
  std::vector<DequantizedTensor> rows;
  for (const auto& node : scan_.skeleton.graph().node()) {
    const bool is_one = node.op_type() == "DequantizeLinear" && node.output_size() == 1 &&
                        (node.domain().empty() || node.domain() == "ai.onnx") &&
                        node.input_size() >= 2;
    if (!is_one) continue;
    DequantizedTensor row{node.output(0),
                          node.input(0),
                          node.input(1),
                          node.input_size() > 2 ? node.input(2) : std::string(),
                          0,
                          0,
                          false};
    const StoredTensor* const codes = find(row.codes);
    const StoredTensor* const scale = find(row.scale);
    const StoredTensor* const zero_point = row.zero_point.empty() ? nullptr : find(row.zero_point);
    if (codes == nullptr || scale == nullptr) continue;
    const auto rank = static_cast<std::int64_t>(codes->shape.size());
    std::int64_t axis = integer(node, "axis", 1);
    if (axis < 0 && axis >= -rank) axis += rank;
    const std::int64_t block = integer(node, "block_size", 0);
    if (block > 0) row.block = static_cast<std::size_t>(block);
    // One scale in a list of its own is taken for that of the whole tensor, whatever the axis.
    const bool has_axis = axis >= 0 && axis < rank;
    row.per_channel =
        block == 0 && scale->shape.size() == 1 &&
        (scale->count != 1 || (has_axis && codes->shape[static_cast<std::size_t>(axis)] == 1));
    if ((row.per_channel || row.block != 0) && !has_axis) continue;
    if (row.per_channel || row.block != 0) row.axis = static_cast<std::size_t>(axis);
    if (block < 0 || !wrong_dequantization(row, codes, scale, zero_point).empty()) continue;
    rows.push_back(std::move(row));
  }
  return rows;
}

namespace {

// ONNX has no signature: fields of ModelProto, as far as the head goes, and no plain text.
bool is_onnx(std::span<const std::uint8_t> head, std::uint64_t file_bytes) {
  const auto is_text = [](std::uint8_t c) {
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t';
  };
  if (std::ranges::all_of(head, is_text)) return false;
  for (std::size_t at = 0; at < head.size();) {
    const auto varint = [&](std::uint64_t& value) {
      for (int shift = 0; shift < 64 && at < head.size(); shift += 7) {
        const std::uint8_t byte = head[at++];
        value |= std::uint64_t{byte & 0x7fU} << shift;
        if (byte < 0x80) return true;
      }
      return at == head.size();  // what the head cuts off may well go on
    };
    std::uint64_t tag = 0, number = 0;
    if (!varint(tag)) return false;
    const std::uint64_t field = tag >> 3, wire = tag & 7;
    const bool is_number = field == 1 || field == 5;
    const bool is_known = is_number || (field >= 1 && field <= 8) || field == 14 || field == 20 ||
                          field == 25 || field == 26;
    if (!is_known || wire != (is_number ? 0U : 2U)) return at == head.size() && head.size() == 64;
    if (!varint(number)) return false;
    if (is_number) continue;
    if (number > file_bytes - at) return false;
    if (number > head.size() - at) return true;
    at += static_cast<std::size_t>(number);
  }
  return true;
}

}  // namespace

const Container kOnnx = {
    "onnx",
    "an ONNX model's initializers",
    ".onnx",
    is_onnx,
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<OnnxFile>(path);
    },
    [](const std::string& path, const TensorFilePlan& plan) { return write_onnx(path, plan, {}); },
    wrong_onnx_tensor};

}  // namespace zeropoint
