#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/gguf_file.hpp"
#include "io/output_file.hpp"

namespace zeropoint {

using namespace gguf;

namespace {

constexpr std::size_t kLongestName = 63;  // ggml's GGML_MAX_NAME with the 0 behind it
constexpr std::size_t kMostAxes = 4;      // GGML_MAX_DIMS

// The format demands it of every file. Loaders of models know them by it and refuse this one by
// name; those who read tensors alone do not care. Who knows better says so in the plan.
constexpr std::string_view kArchitectureKey = "general.architecture";
constexpr std::string_view kArchitecture = "zeropoint";

constexpr std::string_view kQuantizationVersionKey = "general.quantization_version";
constexpr std::string_view kQuantizationVersion = "2";  // GGML_QNT_VERSION

// ggml wants these as numbers.
constexpr std::string_view kUint32Keys[] = {kAlignmentKey, kQuantizationVersionKey,
                                            "general.file_type"};

template <class T>
void append(std::string& to, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  to.append(bytes, sizeof(T));
}

void append_text(std::string& to, std::string_view text) {
  append<std::uint64_t>(to, text.size());
  to += text;
}

std::uint32_t parse_uint32(std::string_view key, std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw InputError(
        fmt::format("{}: expected a whole number below 2^32, found '{}'", key, printable(text)));
  }
  return value;
}

// Keys and values, in order.
class Metadata {
 public:
  explicit Metadata(const GgufFile* source) : source_(source) {
    if (source == nullptr) return;
    for (std::size_t i = 0; i < source->entries().size(); ++i) {
      const auto bytes = source->entries()[i];
      places_.emplace(source->metadata()[i].first, entries_.size());
      entries_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }

  bool has(std::string_view key) const { return places_.contains(std::string(key)); }

  void set(const std::string& key, std::string_view text) {
    std::string entry;
    append_text(entry, key);
    if (std::ranges::find(kUint32Keys, key) != std::end(kUint32Keys)) {
      append<std::uint32_t>(entry, kUint32);
      append(entry, parse_uint32(key, text));
    } else {
      append<std::uint32_t>(entry, kString);
      append_text(entry, text);
    }
    const auto [place, is_new] = places_.emplace(key, entries_.size());
    if (is_new) {
      entries_.push_back(std::move(entry));
    } else if (source_ == nullptr || place->second >= source_->entries().size() ||
               source_->metadata()[place->second].second != text) {
      entries_[place->second] = std::move(entry);
    }  // what says the same as the source keeps its type
  }

  const std::vector<std::string>& entries() const { return entries_; }

 private:
  const GgufFile* source_;
  std::vector<std::string> entries_;
  std::unordered_map<std::string, std::size_t> places_;
};

struct Layout {
  std::string header;
  std::vector<std::uint64_t> sizes;  // of the tensors, without what fills them up
  std::uint32_t alignment = kUsualAlignment;
};

// Bytes of a tensor that the format can hold; refused by name otherwise.
std::uint64_t size_of(const TensorFilePlan::Tensor& tensor) {
  if (const std::string wrong = wrong_gguf_tensor(tensor); !wrong.empty()) {
    throw InputError(fmt::format("'{}': {}", printable(tensor.name), wrong));
  }
  return tensor.type->stored_bytes(value_count(tensor.shape));
}

Layout layout_of(const TensorFilePlan& plan) {
  Layout layout;
  const auto* const source = dynamic_cast<const GgufFile*>(plan.source);
  Metadata metadata(source);
  if (source != nullptr) layout.alignment = source->alignment();
  for (const auto& [key, text] : plan.metadata) {
    metadata.set(key, text);
    if (key != kAlignmentKey) continue;
    layout.alignment = parse_uint32(key, text);
    if (!is_alignment(layout.alignment)) {
      throw InputError(fmt::format("{}: expected a power of two, found {}", key, layout.alignment));
    }
  }
  if (!metadata.has(kArchitectureKey)) metadata.set(std::string(kArchitectureKey), kArchitecture);
  const auto is_blocks = [](const TensorFilePlan::Tensor& tensor) {
    return tensor.type->kind == TensorKind::blocks;
  };
  if (std::ranges::any_of(plan.tensors, is_blocks) && !metadata.has(kQuantizationVersionKey)) {
    metadata.set(std::string(kQuantizationVersionKey), kQuantizationVersion);
  }

  std::string& header = layout.header;
  header = kMagic;
  append<std::uint32_t>(header, kVersion);
  append<std::uint64_t>(header, plan.tensors.size());
  append<std::uint64_t>(header, metadata.entries().size());
  for (const auto& entry : metadata.entries()) header += entry;
  std::uint64_t offset = 0;
  std::unordered_set<std::string_view> names;
  for (const auto& tensor : plan.tensors) {
    if (!names.insert(tensor.name).second) {
      throw InputError(fmt::format("gguf: expected each tensor's name once, found '{}' twice",
                                   printable(tensor.name)));
    }
    layout.sizes.push_back(size_of(tensor));
    append_text(header, tensor.name);
    append<std::uint32_t>(header, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      append<std::uint64_t>(header, *size);
    }
    append(header, *number_of(*tensor.type));
    append(header, offset);
    offset += padded(layout.sizes.back(), layout.alignment);
  }
  return layout;
}

class GgufWriter : public TensorWriter {
 public:
  GgufWriter(const std::string& path, const TensorFilePlan& plan)
      : layout_(layout_of(plan)), file_(path) {
    file_.write(layout_.header);
    if (!layout_.sizes.empty()) fill_up();
    left_ = layout_.sizes.empty() ? 0 : layout_.sizes.front();
  }

  void write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      if (left_ == 0) wrong(bytes.size());
      const auto now =
          bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_)));
      file_.write(now);
      bytes = bytes.subspan(now.size());
      left_ -= now.size();
      if (left_ != 0) continue;
      // The last tensor, too: ggml reads the data as a whole.
      fill_up();
      if (++at_ < layout_.sizes.size()) left_ = layout_.sizes[at_];
    }
  }

  void finish() override {
    if (at_ < layout_.sizes.size()) wrong(0);
    file_.finish();
  }

 private:
  void fill_up() {
    file_.zeros(
        static_cast<std::size_t>(padded(file_.written(), layout_.alignment) - file_.written()));
  }
  [[noreturn]] void wrong(std::size_t more) const {
    throw WorkError(fmt::format("gguf: expected {} more to be written, found {}", byte_count(left_),
                                byte_count(more)));
  }

  Layout layout_;
  OutputFile file_;
  std::size_t at_ = 0;      // the tensor that is being written
  std::uint64_t left_ = 0;  // its bytes
};

}  // namespace

std::string wrong_gguf_tensor(const TensorFilePlan::Tensor& tensor) {
  const auto wrong = [](std::string_view expected, std::string_view found) {
    return fmt::format("expected {}, found {}", expected, found);
  };
  if (tensor.name.empty() || tensor.name.size() > kLongestName) {
    return wrong(fmt::format("a name of 1 to {} bytes, as GGUF has it", kLongestName),
                 byte_count(tensor.name.size()));
  }
  const TensorType& type = *tensor.type;
  if (!number_of(type)) return wrong("a type that GGUF has", type.name);
  if (tensor.shape.size() > kMostAxes) {
    return wrong(fmt::format("at most {} axes, as GGUF has it", kMostAxes),
                 fmt::format("{}", tensor.shape.size()));
  }
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 16;
  std::uint64_t count = 1;
  for (const std::size_t size : tensor.shape) {
    if (size == 0 || size > kMost / count) {
      return wrong("sizes from 1 on that GGUF can hold",
                   fmt::format("[{}]", fmt::join(tensor.shape, ", ")));
    }
    count *= size;
  }
  const std::size_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (row % type.block != 0) {
    return wrong(
        fmt::format("a multiple of {} values ({}) along the last axis", type.block, type.name),
        fmt::format("{}", row));
  }
  return {};
}

std::unique_ptr<TensorWriter> create_gguf(const std::string& path, const TensorFilePlan& plan) {
  return std::make_unique<GgufWriter>(path, plan);
}

}  // namespace zeropoint
