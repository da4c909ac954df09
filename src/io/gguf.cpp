#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"
#include "io/output_file.hpp"

// Source: the description of GGUF, version 3, by its authors: a header, metadata, tensor infos,
// then the tensors, each at a multiple of the alignment. Little-endian.

namespace zeropoint {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr std::size_t kMostDims = 4;   // as ggml has it
constexpr std::size_t kMostName = 63;  // bytes, a terminating 0 not counted
constexpr int kMostDepth = 4;          // of arrays of arrays

struct GgufType {
  std::uint32_t number;
  std::string_view name;  // ours; empty: known, but not read
  std::string_view theirs = {};
};

constexpr GgufType kTypes[] = {
    {0, "F32"},          {1, "F16"},         {2, "Q4_0"},         {3, "Q4_1"},
    {6, "Q5_0"},         {7, "Q5_1"},        {8, "Q8_0"},         {9, "Q8_1"},
    {10, "Q2_K"},        {11, "Q3_K"},       {12, "Q4_K"},        {13, "Q5_K"},
    {14, "Q6_K"},        {15, "Q8_K"},       {24, "I8"},          {25, "I16"},
    {26, "I32"},         {27, "I64"},        {28, "F64"},         {30, "BF16"},
    {16, "", "IQ2_XXS"}, {17, "", "IQ2_XS"}, {18, "", "IQ3_XXS"}, {19, "", "IQ1_S"},
    {20, "", "IQ4_NL"},  {21, "", "IQ3_S"},  {22, "", "IQ2_S"},   {23, "", "IQ4_XS"},
    {29, "", "IQ1_M"},   {34, "", "TQ1_0"},  {35, "", "TQ2_0"},   {39, "", "MXFP4"},
};

const GgufType* type_of_number(std::uint32_t number) {
  const auto found = std::ranges::find(kTypes, number, &GgufType::number);
  return found == std::end(kTypes) ? nullptr : found;
}

// What a metadata value is; numbered as in the file.
enum Kind : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };
constexpr std::size_t kWidths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

// Reads on through the file's bytes, never beyond their end.
class Reader {
 public:
  explicit Reader(const MappedFile& file) : path_(file.path()), bytes_(file.bytes()) {}

  std::size_t at() const { return at_; }
  std::span<const std::uint8_t> take(std::uint64_t count, std::string_view what) {
    if (count > bytes_.size() - at_) {
      refuse_file(path_, fmt::format("{} for {}", byte_count(count), what),
                  fmt::format("{} to the file's end", byte_count(bytes_.size() - at_)));
    }
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return taken;
  }
  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  std::string text(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    const auto taken = take(length, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  // A value as text, "[N values]" of an array; skips what it does not show.
  std::string value(std::uint32_t kind, const std::string& key, int depth = 0) {
    switch (kind) {
      case u8:
        return fmt::format("{}", number<std::uint8_t>(key));
      case i8:
        return fmt::format("{}", number<std::int8_t>(key));
      case u16:
        return fmt::format("{}", number<std::uint16_t>(key));
      case i16:
        return fmt::format("{}", number<std::int16_t>(key));
      case u32:
        return fmt::format("{}", number<std::uint32_t>(key));
      case i32:
        return fmt::format("{}", number<std::int32_t>(key));
      case f32:
        return fmt::format("{}", number<float>(key));
      case boolean:
        return number<std::uint8_t>(key) != 0 ? "true" : "false";
      case u64:
        return fmt::format("{}", number<std::uint64_t>(key));
      case i64:
        return fmt::format("{}", number<std::int64_t>(key));
      case f64:
        return fmt::format("{}", number<double>(key));
      case text_kind:
        return text(key);
      case array:
        return skip_array(key, depth);
      default:
        refuse_file(path_, fmt::format("a type of '{}' from 0 to 12", printable(key)),
                    fmt::format("{}", kind));
    }
  }

 private:
  static constexpr std::uint32_t text_kind = Kind::text;

  std::string skip_array(const std::string& key, int depth) {
    if (depth == kMostDepth) {
      refuse_file(path_, fmt::format("arrays of at most {} levels", kMostDepth),
                  fmt::format("more in '{}'", printable(key)));
    }
    const auto kind = number<std::uint32_t>(key);
    const auto count = number<std::uint64_t>(key);
    if (kind >= std::size(kWidths)) {
      refuse_file(path_, fmt::format("a type of '{}' from 0 to 12", printable(key)),
                  fmt::format("{}", kind));
    }
    if (kWidths[kind] != 0) {
      // Divided, as the product may not be counted.
      if (count > bytes_.size() / kWidths[kind]) {
        refuse_file(path_, fmt::format("an array '{}' within the file", printable(key)),
                    fmt::format("{} values", count));
      }
      take(count * kWidths[kind], key);
    } else {
      // Each takes eight bytes at least, so that a wrong count ends soon.
      for (std::uint64_t i = 0; i < count; ++i) {
        if (kind == Kind::text) {
          take(number<std::uint64_t>(key), key);
        } else {
          skip_array(key, depth + 1);
        }
      }
    }
    return fmt::format("[{} values]", count);
  }

  const std::string path_;
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

// A metadata entry as it stands in the file: key, type, value.
struct Entry {
  std::string key;
  std::span<const std::uint8_t> bytes;
};

class GgufFile : public TensorFile {
 public:
  explicit GgufFile(const std::string& path) : TensorFile(path, "gguf"), file_(path) {
    file_bytes_ = file_.bytes().size();
    Reader reader(file_);
    reader.take(kMagic.size(), "the signature");
    const auto version = reader.number<std::uint32_t>("the version");
    if (version != 3 && version != 2) {
      refuse_file(path, "GGUF of version 2 or 3",
                  version > 0xffff ? "big-endian bytes, or none" : fmt::format("{}", version));
    }
    const auto tensors = reader.number<std::uint64_t>("the number of tensors");
    const auto entries = reader.number<std::uint64_t>("the number of metadata");
    for (std::uint64_t i = 0; i < entries; ++i) read_entry(reader);
    check_keys();
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < tensors; ++i) offsets.push_back(read_info(reader));
    data_ = (reader.at() + alignment_ - 1) / alignment_ * alignment_;
    if (tensors == 0) data_ = reader.at();
    check_offsets(offsets);
    check_names();
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    const auto at = static_cast<std::size_t>(tensor.place);
    return {file_.bytes().subspan(at, tensor.bytes),
            [this, at, count = tensor.bytes] { file_.release(at, count); }};
  }

  const std::vector<Entry>& entries() const { return entries_; }
  std::uint64_t alignment() const { return alignment_; }

 private:
  void read_entry(Reader& reader) {
    const std::size_t begin = reader.at();
    const std::string key = reader.text("a metadata key");
    const auto kind = reader.number<std::uint32_t>(key);
    std::string value = reader.value(kind, key);
    if (key == kAlignmentKey) {
      std::uint64_t found = 0;
      if (kind == u32) std::from_chars(value.data(), value.data() + value.size(), found);
      if (found == 0 || (found & (found - 1)) != 0 || found > (1U << 20)) {
        refuse_file(path(), "an alignment that is a power of two up to 2^20", printable(value));
      }
      alignment_ = found;
    }
    entries_.push_back({key, file_.bytes().subspan(begin, reader.at() - begin)});
    metadata_.emplace_back(key, std::move(value));
  }

  void check_keys() {
    std::set<std::string_view> keys;
    for (const auto& entry : entries_) {
      if (!keys.insert(entry.key).second) {
        refuse_file(path(), "each metadata key once",
                    fmt::format("'{}' twice", printable(entry.key)));
      }
    }
  }

  // Adds the tensor; its offset is checked once the data's beginning is known.
  std::uint64_t read_info(Reader& reader) {
    std::string name = reader.text("a tensor's name");
    const std::string shown = printable(name);
    const auto dims = reader.number<std::uint32_t>(shown);
    if (dims > 8) {
      refuse_file(path(), fmt::format("at most 8 axes of '{}'", shown), fmt::format("{}", dims));
    }
    std::vector<std::size_t> shape(dims);
    for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent) {
      *extent = reader.number<std::uint64_t>(shown);  // the innermost axis comes first
    }
    const auto number = reader.number<std::uint32_t>(shown);
    const GgufType* const known = type_of_number(number);
    if (known == nullptr || known->name.empty()) {
      refuse_file(
          path(), fmt::format("a type of '{}' that can be read", shown),
          known == nullptr ? fmt::format("number {}", number) : fmt::format("{}", known->theirs));
    }
    const TensorType& type = tensor_type(known->name);
    const std::size_t row = shape.empty() ? 1 : shape.back();
    if (row % type.block != 0) {
      refuse_file(path(), fmt::format("rows of '{}' of whole blocks of {}", shown, type.block),
                  fmt::format("rows of {}", row));
    }
    add(std::move(name), std::move(shape), type);
    return reader.number<std::uint64_t>(shown);
  }

  void check_offsets(std::span<const std::uint64_t> offsets) {
    const std::uint64_t size = file_.bytes().size();
    const std::uint64_t space = data_ > size ? 0 : size - data_;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      StoredTensor& tensor = tensors_[i];
      if (offsets[i] % alignment_ != 0 || offsets[i] > space || tensor.bytes > space - offsets[i]) {
        refuse_file(
            path(),
            fmt::format("'{}', {}, at a multiple of {} within {} of data", printable(tensor.name),
                        byte_count(tensor.bytes), alignment_, byte_count(space)),
            fmt::format("offset {}", offsets[i]));
      }
      tensor.place = data_ + offsets[i];
    }
    std::vector<std::size_t> order(tensors_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [this](std::size_t i) {
      return std::pair(tensors_[i].place, tensors_[i].bytes);
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      const StoredTensor& before = tensors_[order[i - 1]];
      const StoredTensor& after = tensors_[order[i]];
      if (before.place + before.bytes > after.place) {
        refuse_file(path(), "tensors that do not overlap",
                    fmt::format("'{}' and '{}'", printable(before.name), printable(after.name)));
      }
    }
  }

  MappedFile file_;
  std::vector<Entry> entries_;
  std::uint64_t alignment_ = kDefaultAlignment;
  std::uint64_t data_ = 0;
};

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_text(std::string& bytes, std::string_view text) {
  append<std::uint64_t>(bytes, text.size());
  bytes += text;
}

std::string number_entry(std::string_view key, std::uint32_t value) {
  std::string bytes;
  append_text(bytes, key);
  append<std::uint32_t>(bytes, u32);
  append(bytes, value);
  return bytes;
}

std::string text_entry(std::string_view key, std::string_view value) {
  std::string bytes;
  append_text(bytes, key);
  append<std::uint32_t>(bytes, Kind::text);
  append_text(bytes, value);
  return bytes;
}

constexpr std::string_view kQuantizationKey = "general.quantization_version";
constexpr std::string_view kFileTypeKey = "general.file_type";

class GgufWriter : public TensorWriter {
 public:
  GgufWriter(const std::string& path, const TensorFilePlan& plan)
      : head_(make_head(plan)), file_(path) {
    file_.write(head_);
    pad();
  }

  void write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      if (next_ == sizes_.size()) {
        throw WorkError("GGUF: expected no more bytes than the plan's tensors have, found more");
      }
      const std::size_t now = std::min(bytes.size(), sizes_[next_] - written_);
      file_.write(bytes.first(now));
      bytes = bytes.subspan(now);
      written_ += now;
      end_tensor();
    }
  }
  void finish() override {
    end_tensor();
    if (next_ != sizes_.size()) {
      throw WorkError(
          fmt::format("GGUF: expected {} tensors to be written, found {}", sizes_.size(), next_));
    }
    file_.finish();
  }

 private:
  void pad() { file_.zeros((alignment_ - file_.written() % alignment_) % alignment_); }
  void end_tensor() {
    while (next_ < sizes_.size() && written_ == sizes_[next_]) {
      pad();
      written_ = 0;
      ++next_;
    }
  }

  std::string make_head(const TensorFilePlan& plan) {
    std::string infos;
    std::uint64_t offset = 0;
    bool has_blocks = false;
    const auto* const source = dynamic_cast<const GgufFile*>(plan.source);
    if (source != nullptr) alignment_ = source->alignment();
    for (const auto& tensor : plan.tensors) {
      append_info(infos, tensor, offset);
      has_blocks |= tensor.type->kind == TensorKind::blocks;
      std::size_t count = 1;
      for (const std::size_t extent : tensor.shape) count *= extent;
      sizes_.push_back(tensor.type->stored_bytes(count));
      offset += (sizes_.back() + alignment_ - 1) / alignment_ * alignment_;
    }
    // Entries of the source go on byte for byte, unless the plan says something else.
    std::vector<std::string> entries;
    std::set<std::string, std::less<>> said;
    for (const auto& [key, value] : plan.metadata) {
      said.insert(key);
      std::uint32_t number = 0;
      const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
      const bool is_number = key == kFileTypeKey && end.ec == std::errc{};
      entries.push_back(is_number ? number_entry(key, number) : text_entry(key, value));
    }
    const auto add = [&](std::string_view key, std::string entry) {
      if (said.insert(std::string(key)).second) entries.push_back(std::move(entry));
    };
    if (has_blocks) add(kQuantizationKey, number_entry(kQuantizationKey, 2));
    if (source != nullptr) {
      for (const auto& entry : source->entries()) {
        add(entry.key, {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()});
      }
    } else {
      add("general.architecture", text_entry("general.architecture", "zeropoint"));
    }
    std::string head(kMagic);
    append<std::uint32_t>(head, 3);
    append<std::uint64_t>(head, plan.tensors.size());
    append<std::uint64_t>(head, entries.size());
    for (const auto& entry : entries) head += entry;
    return head + infos;
  }

  static void append_info(std::string& infos, const TensorFilePlan::Tensor& tensor,
                          std::uint64_t offset) {
    const std::string shown = printable(tensor.name);
    const auto type = std::ranges::find(kTypes, tensor.type->name, &GgufType::name);
    if (type == std::end(kTypes)) {
      throw InputError(
          fmt::format("'{}': expected a type that GGUF has, found {}", shown, tensor.type->name));
    }
    if (tensor.name.size() > kMostName) {
      throw InputError(fmt::format("'{}': expected a name of at most {} bytes for GGUF, found {}",
                                   shown, kMostName, tensor.name.size()));
    }
    if (tensor.shape.size() > kMostDims) {
      throw InputError(fmt::format("'{}': expected at most {} axes for GGUF, found {}", shown,
                                   kMostDims, tensor.shape.size()));
    }
    // A single number is a row of one.
    const auto shape = tensor.shape.empty() ? std::vector<std::size_t>{1} : tensor.shape;
    if (shape.back() % tensor.type->block != 0) {
      throw InputError(
          fmt::format("'{}': expected a last axis of a multiple of {} for {}, found {}", shown,
                      tensor.type->block, tensor.type->name, shape.back()));
    }
    append_text(infos, tensor.name);
    append<std::uint32_t>(infos, static_cast<std::uint32_t>(shape.size()));
    for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent) {
      append<std::uint64_t>(infos, *extent);
    }
    append<std::uint32_t>(infos, type->number);
    append(infos, offset);
  }

  std::uint64_t alignment_ = kDefaultAlignment;
  std::vector<std::size_t> sizes_;
  std::size_t next_ = 0, written_ = 0;
  std::string head_;
  OutputFile file_;
};

}  // namespace

const Container kGguf = {
    "gguf",
    "a model of llama.cpp, version 3",
    ".gguf",
    [](std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
      return head.size() >= kMagic.size() &&
             std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
    },
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<GgufFile>(path);
    },
    [](const std::string& path, const TensorFilePlan& plan) -> std::unique_ptr<TensorWriter> {
      return std::make_unique<GgufWriter>(path, plan);
    }};

}  // namespace zeropoint
