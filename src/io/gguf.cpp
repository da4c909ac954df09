#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include <fmt/format.h>

#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/gguf_file.hpp"

namespace zeropoint {
namespace gguf {
namespace {

struct Type {
  std::uint32_t number;
  std::string_view name;
};

constexpr Type kTypes[] = {{0, "F32"},   {1, "F16"},   {2, "Q4_0"},  {3, "Q4_1"},  {6, "Q5_0"},
                           {7, "Q5_1"},  {8, "Q8_0"},  {9, "Q8_1"},  {10, "Q2_K"}, {11, "Q3_K"},
                           {12, "Q4_K"}, {13, "Q5_K"}, {14, "Q6_K"}, {15, "Q8_K"}, {24, "I8"},
                           {25, "I16"},  {26, "I32"},  {27, "I64"},  {28, "F64"},  {30, "BF16"},
                           {39, "MXFP4"}};

// Refused, but by name.
constexpr Type kOtherTypes[] = {
    {4, "Q4_2"},   {5, "Q4_3"},        {16, "IQ2_XXS"},    {17, "IQ2_XS"},     {18, "IQ3_XXS"},
    {19, "IQ1_S"}, {20, "IQ4_NL"},     {21, "IQ3_S"},      {22, "IQ2_S"},      {23, "IQ4_XS"},
    {29, "IQ1_M"}, {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},   {34, "TQ1_0"},
    {35, "TQ2_0"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {40, "NVFP4"},
    {41, "Q1_0"}};

const TensorType* type_of(std::uint32_t number) {
  const auto found = std::ranges::find(kTypes, number, &Type::number);
  return found == std::end(kTypes) ? nullptr : find_tensor_type(found->name);
}

std::string shown_type(std::uint32_t number) {
  const auto found = std::ranges::find(kOtherTypes, number, &Type::number);
  return found == std::end(kOtherTypes) ? fmt::format("type {}", number)
                                        : fmt::format("type {} ({})", number, found->name);
}

// 0: a value of a length of its own, or none.
std::size_t value_bytes(std::uint32_t type) {
  switch (type) {
    case kUint8:
    case kInt8:
    case kBool:
      return 1;
    case kUint16:
    case kInt16:
      return 2;
    case kUint32:
    case kInt32:
    case kFloat32:
      return 4;
    case kUint64:
    case kInt64:
    case kFloat64:
      return 8;
    default:
      return 0;
  }
}

constexpr int kDeepest = 4;  // arrays of arrays
constexpr std::uint32_t kMostAxes = 8;
// What an entry and a tensor take at least: lengths, types, counts.
constexpr std::size_t kLeastEntry = 8 + 4 + 1, kLeastTensor = 8 + 4 + 4 + 8;

}  // namespace

std::optional<std::uint32_t> number_of(const TensorType& type) {
  const auto found = std::ranges::find(kTypes, type.name, &Type::name);
  if (found == std::end(kTypes)) return std::nullopt;
  return found->number;
}

}  // namespace gguf

using namespace gguf;

// Goes through the file; nothing is read, let alone allocated, before it is known to be there.
class GgufFile::Cursor {
 public:
  Cursor(const std::string& path, std::span<const std::uint8_t> bytes)
      : path_(path), bytes_(bytes) {}

  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

  const std::uint8_t* take(std::uint64_t count, std::string_view what) {
    if (count > left()) {
      refuse_file(path_, fmt::format("{} for {} at byte {}", byte_count(count), what, at_),
                  fmt::format("{} up to the file's end", byte_count(left())));
    }
    const std::uint8_t* const first = bytes_.data() + at_;
    at_ += static_cast<std::size_t>(count);
    return first;
  }

  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what), sizeof(T));
    return value;
  }

  std::string_view text(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    return {reinterpret_cast<const char*>(take(length, what)), static_cast<std::size_t>(length)};
  }

  /// That many things, each of which takes at least so many bytes, could lie here.
  void expect(std::uint64_t count, std::size_t least, std::string_view what) const {
    if (count > left() / least) {
      refuse_file(path_, fmt::format("at most {} {} at byte {}", left() / least, what, at_),
                  fmt::format("a count of {}", count));
    }
  }

  /// A value of that type, passed over; its text.
  std::string value(std::uint32_t type, const std::string& what) {
    switch (type) {
      case kUint8:
        return fmt::format("{}", number<std::uint8_t>(what));
      case kInt8:
        return fmt::format("{}", number<std::int8_t>(what));
      case kUint16:
        return fmt::format("{}", number<std::uint16_t>(what));
      case kInt16:
        return fmt::format("{}", number<std::int16_t>(what));
      case kUint32:
        return fmt::format("{}", number<std::uint32_t>(what));
      case kInt32:
        return fmt::format("{}", number<std::int32_t>(what));
      case kUint64:
        return fmt::format("{}", number<std::uint64_t>(what));
      case kInt64:
        return fmt::format("{}", number<std::int64_t>(what));
      case kFloat32:
        return fmt::format("{}", number<float>(what));
      case kFloat64:
        return fmt::format("{}", number<double>(what));
      case kBool:
        return number<std::uint8_t>(what) != 0 ? "true" : "false";
      case kString:
        return std::string(text(what));
      case kArray: {
        const std::uint64_t count = array(what, 1);
        return fmt::format("[{} value{}]", count, count == 1 ? "" : "s");
      }
      default:
        unknown_type(type, what);
    }
  }

 private:
  std::uint64_t array(const std::string& what, int depth) {
    const auto type = number<std::uint32_t>(what);
    const auto count = number<std::uint64_t>(what);
    if (const std::size_t each = value_bytes(type)) {
      expect(count, each, "values of " + what);
      take(count * each, what);
    } else if (type == kString) {
      expect(count, sizeof(std::uint64_t), "values of " + what);
      for (std::uint64_t i = 0; i < count; ++i) text(what);
    } else if (type == kArray) {
      if (depth == kDeepest) {
        refuse_file(path_, fmt::format("arrays at most {} deep in {}", kDeepest, what),
                    "a deeper one");
      }
      expect(count, sizeof(std::uint32_t) + sizeof(std::uint64_t), "values of " + what);
      for (std::uint64_t i = 0; i < count; ++i) array(what, depth + 1);
    } else {
      unknown_type(type, what);
    }
    return count;
  }

  [[noreturn]] void unknown_type(std::uint32_t type, const std::string& what) const {
    refuse_file(path_,
                fmt::format("a type of {} from 0 to {}", what, static_cast<unsigned>(kFloat64)),
                fmt::format("{}", type));
  }

  const std::string& path_;
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

GgufFile::GgufFile(const std::string& path) : TensorFile(path, "gguf"), file_(path) {
  file_bytes_ = file_.bytes().size();
  Cursor cursor(path, file_.bytes());
  if (std::memcmp(cursor.take(kMagic.size(), "the signature"), kMagic.data(), kMagic.size()) != 0) {
    refuse_file(path, "a file that begins with GGUF", "another signature");
  }
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version != kVersion && version != 2) {  // the second differs in no byte
    refuse_file(path, "GGUF version 2 or 3",
                (version & 0xFFFF) == 0 && version != 0
                    ? fmt::format("version {}, its bytes in big-endian order", version >> 24)
                    : fmt::format("version {}", version));
  }
  const auto tensors = cursor.number<std::uint64_t>("the number of tensors");
  const auto entries = cursor.number<std::uint64_t>("the number of keys");
  cursor.expect(tensors, kLeastTensor, "tensors");
  cursor.expect(entries, kLeastEntry, "keys");
  read_entries(cursor, entries);
  read_tensors(cursor, tensors);
  place(cursor.at());
  check_names();
}

void GgufFile::read_entries(Cursor& cursor, std::uint64_t count) {
  std::unordered_set<std::string_view> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t first = cursor.at();
    const std::string_view key = cursor.text("a key");
    const std::string what = fmt::format("'{}'", printable(key));
    if (!keys.insert(key).second) {
      refuse_file(path(), "each key once", what + " twice");
    }
    const auto type = cursor.number<std::uint32_t>(what);
    if (key == kAlignmentKey && type != kUint32) {
      refuse_file(path(),
                  fmt::format("{} of type {} (uint32)", key, static_cast<unsigned>(kUint32)),
                  fmt::format("type {}", type));
    }
    std::string text = cursor.value(type, what);
    entries_.push_back(file_.bytes().subspan(first, cursor.at() - first));
    if (key == kAlignmentKey) {
      std::memcpy(&alignment_, entries_.back().data() + entries_.back().size() - sizeof(alignment_),
                  sizeof(alignment_));
      if (!is_alignment(alignment_)) {
        refuse_file(path(), fmt::format("{} to be a power of two", key), text);
      }
    }
    metadata_.emplace_back(key, std::move(text));
  }
}

void GgufFile::read_tensors(Cursor& cursor, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string name(cursor.text("a tensor's name"));
    const std::string shown = fmt::format("'{}'", printable(name));
    const auto axes = cursor.number<std::uint32_t>(shown);
    if (axes > kMostAxes) {
      refuse_file(path(), fmt::format("at most {} axes of {}", kMostAxes, shown),
                  fmt::format("{}", axes));
    }
    std::vector<std::size_t> shape(axes);
    for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
      *size = cursor.number<std::uint64_t>(shown);
      if (*size == 0 || *size >> 63 != 0) {
        refuse_file(path(), fmt::format("sizes of {} from 1 on", shown),
                    fmt::format("{}", static_cast<std::int64_t>(*size)));
      }
    }
    const auto number = cursor.number<std::uint32_t>(shown);
    const TensorType* const type = type_of(number);
    if (type == nullptr) {
      refuse_file(path(), fmt::format("a type of {} that is known", shown), shown_type(number));
    }
    const auto offset = cursor.number<std::uint64_t>(shown);
    const std::size_t row = shape.empty() ? 1 : shape.back();
    if (row % type->block != 0) {
      refuse_file(
          path(),
          fmt::format("rows of {} of a multiple of {} values ({})", shown, type->block, type->name),
          fmt::format("{}", row));
    }
    add(std::move(name), std::move(shape), *type).place = offset;
  }
}

void GgufFile::place(std::size_t data) {
  if (tensors_.empty()) return;
  const std::uint64_t size = file_.bytes().size();
  const std::uint64_t first = padded(data, alignment_);
  const std::uint64_t space = first < size ? size - first : 0;
  data_ = static_cast<std::size_t>(std::min(first, size));
  // As they lie in the file: whoever goes through all of them reads on.
  std::ranges::stable_sort(tensors_, {}, &StoredTensor::place);
  std::uint64_t end = 0;
  for (const auto& tensor : tensors_) {
    const std::string shown = fmt::format("'{}'", printable(tensor.name));
    if (tensor.place % alignment_ != 0) {
      refuse_file(path(), fmt::format("{} at a multiple of {} bytes", shown, alignment_),
                  fmt::format("offset {}", tensor.place));
    }
    if (tensor.place > space || tensor.bytes > space - tensor.place) {
      refuse_file(path(),
                  fmt::format("{} for {} from offset {} on within {} of data",
                              byte_count(tensor.bytes), shown, tensor.place, byte_count(space)),
                  tensor.place > space ? "nothing there"
                                       : fmt::format("{}", byte_count(space - tensor.place)));
    }
    if (tensor.place < end) {
      refuse_file(path(),
                  fmt::format("{} behind the tensor before it, which ends at {}", shown, end),
                  fmt::format("offset {}", tensor.place));
    }
    end = tensor.place + tensor.bytes;
  }
}

TensorBytes GgufFile::load(const StoredTensor& tensor) const {
  const std::size_t at = data_ + static_cast<std::size_t>(tensor.place);
  return {file_.bytes().subspan(at, tensor.bytes),
          [this, at, count = tensor.bytes] { file_.release(at, count); }};
}

const Container kGguf = {"gguf",
                         "llama.cpp's file of a model, version 3",
                         ".gguf",
                         [](std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
                           return head.size() >= kMagic.size() &&
                                  std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
                         },
                         [](const std::string& path) -> std::unique_ptr<TensorFile> {
                           return std::make_unique<GgufFile>(path);
                         },
                         create_gguf,
                         wrong_gguf_tensor};

}  // namespace zeropoint
