#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"
#include "io/output_file.hpp"
#include "io/shallow_json.hpp"

// Source: the description of the format by its authors: eight bytes of length, a header in JSON,
// then the tensors without gaps.

namespace zeropoint {
namespace {

constexpr std::uint64_t kMostHeader = 100'000'000;  // the reference implementation's limit, too
constexpr std::size_t kLengthBytes = 8;

std::uint64_t header_length(std::span<const std::uint8_t> head) {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | head[i];
  return length;
}

struct Entry {
  std::string name;
  std::string dtype;
  std::vector<std::size_t> shape;
  std::vector<std::uint64_t> offsets;
  int seen = 0;  // one bit a key
};

// {"NAME": {"dtype": …, "shape": […], "data_offsets": […]}, "__metadata__": {KEY: TEXT}}
class HeaderReader : public ShallowJson {
 public:
  explicit HeaderReader(const std::string& path) : ShallowJson(path, 3) {}

  std::vector<Entry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;

 private:
  void open(const Path& at, bool is_array) override {
    if (at.empty() ? is_array : (at.size() == 1 && is_array)) wrong(at, "an object");
    if (at.size() == 2) {
      const bool is_list = at[0] != "__metadata__" && (at[1] == "shape" || at[1] == "data_offsets");
      if (!is_list || !is_array) wrong(at, expected(at));
      mark(at);
    }
    if (at.size() == 1 && at[0] != "__metadata__") entries.push_back({at[0], {}, {}, {}, 0});
    if (at.size() == 1 && at[0] == "__metadata__" && std::exchange(has_metadata_, true)) {
      wrong(at, "it once");
    }
  }
  void text(const Path& at, std::string& value) override {
    if (at.size() == 2 && at[0] == "__metadata__") {
      metadata.emplace_back(at[1], std::move(value));
    } else if (at.size() == 2 && at[1] == "dtype") {
      mark(at);
      entries.back().dtype = std::move(value);
    } else {
      wrong(at, expected(at));
    }
  }
  void number(const Path& at, std::uint64_t value) override {
    if (at.size() != 3 || at[0] == "__metadata__") wrong(at, expected(at));
    if (at[1] == "shape") entries.back().shape.push_back(value);
    if (at[1] == "data_offsets") entries.back().offsets.push_back(value);
  }
  void other(const Path& at) override { wrong(at, expected(at)); }

  static std::string_view expected(const Path& at) {
    if (at.size() < 2) return "an object";
    if (at[0] == "__metadata__") return "text";
    if (at.size() == 3) return "whole numbers from 0 on";
    if (at[1] == "dtype") return "text";
    if (at[1] == "shape" || at[1] == "data_offsets") return "a list of whole numbers";
    return "only dtype, shape and data_offsets";
  }
  void mark(const Path& at) {
    const int bit = at[1] == "dtype" ? 1 : at[1] == "shape" ? 2 : 4;
    if ((entries.back().seen & bit) != 0) wrong(at, "it once");
    entries.back().seen |= bit;
  }

  bool has_metadata_ = false;
};

class SafetensorsFile : public TensorFile {
 public:
  explicit SafetensorsFile(const std::string& path, bool links = true)
      : TensorFile(path, "safetensors"), file_(path, links) {
    const auto bytes = file_.bytes();
    file_bytes_ = bytes.size();
    if (bytes.size() < kLengthBytes) {
      refuse_file(path, "a safetensors file", byte_count(bytes.size()));
    }
    const std::uint64_t length = header_length(bytes);
    const std::uint64_t most = std::min<std::uint64_t>(kMostHeader, bytes.size() - kLengthBytes);
    if (length > most) {
      refuse_file(path, fmt::format("a header of at most {}", byte_count(most)),
                  fmt::format("one of {}", byte_count(length)));
    }
    data_ = kLengthBytes + static_cast<std::size_t>(length);
    HeaderReader header(path);
    header.read({reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                 static_cast<std::size_t>(length)});
    metadata_ = std::move(header.metadata);
    place(header.entries);
    check_names();
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    const std::size_t at = data_ + static_cast<std::size_t>(tensor.place);
    return {file_.bytes().subspan(at, tensor.bytes),
            [this, at, count = tensor.bytes] { file_.release(at, count); }};
  }

 private:
  void place(std::vector<Entry>& entries) {
    const std::uint64_t space = file_.bytes().size() - data_;
    for (const auto& entry : entries) {
      if (entry.seen != 7 || entry.offsets.size() != 2) {
        refuse_file(path(),
                    fmt::format("dtype, shape and two data_offsets of '{}'", printable(entry.name)),
                    entry.seen == 7 ? fmt::format("{} offsets", entry.offsets.size())
                                    : std::string("one missing"));
      }
      if (entry.offsets[0] > entry.offsets[1] || entry.offsets[1] > space) {
        refuse_file(path(),
                    fmt::format("data_offsets of '{}' in order within {}", printable(entry.name),
                                byte_count(space)),
                    fmt::format("[{}, {}]", entry.offsets[0], entry.offsets[1]));
      }
    }
    std::ranges::stable_sort(entries, {}, [](const Entry& entry) {
      return std::pair(entry.offsets[0], entry.offsets[1]);
    });
    std::uint64_t at = 0;
    for (auto& entry : entries) {
      const std::string shown = printable(entry.name);
      if (entry.offsets[0] != at) {
        refuse_file(path(), fmt::format("'{}' to begin at byte {} of the data", shown, at),
                    fmt::format("{}", entry.offsets[0]));
      }
      const TensorType* const type = find_tensor_type(entry.dtype);
      if (type == nullptr || type->kind == TensorKind::blocks) {
        refuse_file(path(), fmt::format("a type of '{}' that is known", shown),
                    fmt::format("'{}'", printable(entry.dtype)));
      }
      StoredTensor& tensor = add(std::move(entry.name), std::move(entry.shape), *type);
      tensor.place = at;
      at = entry.offsets[1];
      if (at - tensor.place != tensor.bytes) {
        refuse_file(path(),
                    fmt::format("{} for '{}', {} {}", byte_count(tensor.bytes), shown, type->name,
                                printable(fmt::format("[{}]", fmt::join(tensor.shape, ", ")))),
                    byte_count(at - tensor.place));
      }
    }
    if (at != space) {
      refuse_file(path(), fmt::format("{} of data, as the header says", byte_count(at)),
                  byte_count(space));
    }
  }

  MappedFile file_;
  std::size_t data_ = 0;
};

// {"metadata": {…}, "weight_map": {"NAME": "FILE"}}
class IndexReader : public ShallowJson {
 public:
  explicit IndexReader(const std::string& path) : ShallowJson(path, 8) {}
  std::vector<std::pair<std::string, std::string>> files;

 private:
  void open(const Path& at, bool is_array) override {
    if (at.empty() && is_array) wrong(at, "an object");
    if (is_map(at)) wrong(at, "a file's name");
    if (at.size() == 1 && at[0] == "weight_map" && is_array) wrong(at, "an object");
  }
  void text(const Path& at, std::string& value) override {
    if (is_map(at)) files.emplace_back(at[1], std::move(value));
  }
  void number(const Path& at, std::uint64_t /*value*/) override { other(at); }
  void other(const Path& at) override {
    if (is_map(at)) wrong(at, "a file's name");
  }
  static bool is_map(const Path& at) { return at.size() == 2 && at[0] == "weight_map"; }
};

class SafetensorsSet : public TensorFile {
 public:
  explicit SafetensorsSet(const std::string& path) : TensorFile(path, "safetensors") {
    namespace fs = std::filesystem;
    const MappedFile index(path);
    IndexReader reader(path);
    reader.read({reinterpret_cast<const char*>(index.bytes().data()), index.bytes().size()});
    if (reader.files.empty()) refuse_file(path, "a weight_map with tensors in it", "none");
    file_bytes_ = index.bytes().size();
    // A hub's cache is made of links throughout; elsewhere a link could lead out of the folder.
    const bool links = fs::is_symlink(path);
    std::map<std::string, std::size_t> parts;
    for (const auto& [name, file] : reader.files) {
      const auto [found, is_new] = parts.emplace(file, parts_.size());
      if (is_new) open_part(file, links);
      const StoredTensor* const tensor = parts_[found->second]->find(name);
      if (tensor == nullptr) {
        refuse_file(path, fmt::format("'{}' in {}", printable(name), printable(file)), "no such");
      }
      StoredTensor copy = *tensor;
      copy.part = found->second;
      tensors_.push_back(std::move(copy));
    }
    // As they lie in the files: whoever goes through all of them reads on.
    std::ranges::stable_sort(tensors_, {}, [](const StoredTensor& tensor) {
      return std::pair(tensor.part, tensor.place);
    });
    check_names();
    // What all files say of themselves, the set says.
    for (const auto& entry : parts_.front()->metadata()) {
      const bool is_common = std::ranges::all_of(parts_, [&](const auto& part) {
        return std::ranges::find(part->metadata(), entry) != part->metadata().end();
      });
      if (is_common) metadata_.push_back(entry);
    }
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    return parts_[tensor.part]->load(tensor);
  }
  std::vector<std::string> files() const override {
    std::vector<std::string> all = {path()};
    for (const auto& part : parts_) all.push_back(part->path());
    return all;
  }

 private:
  void open_part(const std::string& name, bool links) {
    const bool is_plain = !name.empty() && name != "." && name != ".." &&
                          name.find('/') == std::string::npos &&
                          name.find('\0') == std::string::npos;
    if (!is_plain) {
      refuse_file(path(), "names of files in its own folder", fmt::format("'{}'", printable(name)));
    }
    const auto file = std::filesystem::path(path()).parent_path() / name;
    parts_.push_back(std::make_unique<SafetensorsFile>(file.string(), links));
    file_bytes_ += parts_.back()->file_bytes();
  }

  std::vector<std::unique_ptr<SafetensorsFile>> parts_;
};

// JSON's text is UTF-8.
std::string json_text(std::string_view text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw InputError(fmt::format("expected text in UTF-8, found '{}'", printable(text)));
  }
}

std::string wrong_safetensors_tensor(const TensorFilePlan::Tensor& tensor) {
  if (tensor.name.empty() || tensor.name == "__metadata__") {
    return fmt::format("expected a name that is not '__metadata__', found '{}'", tensor.name);
  }
  if (tensor.type->kind == TensorKind::blocks) {
    return fmt::format("expected a type that safetensors has, found {}; those are GGUF's",
                       tensor.type->name);
  }
  try {
    json_text(tensor.name);
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

// What a file begins with, padded so that the data are aligned to eight bytes. Wider elements
// first, as the reference implementation lays them out, would keep all of them aligned; in the
// plan's order a view may be unaligned, which readers must expect anyway.
std::string header_of(const TensorFilePlan& plan, std::uint64_t& data_bytes) {
  std::vector<std::string> rows;
  if (!plan.metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : plan.metadata) {
      pairs.push_back(fmt::format("{}:{}", json_text(key), json_text(value)));
    }
    rows.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  std::set<std::string_view> names;
  data_bytes = 0;
  for (const auto& tensor : plan.tensors) {
    const std::size_t count = value_count(tensor.shape);
    if (const std::string wrong = wrong_safetensors_tensor(tensor); !wrong.empty()) {
      throw InputError(fmt::format("safetensors: '{}': {}", printable(tensor.name), wrong));
    }
    if (!names.insert(tensor.name).second) {
      throw InputError(fmt::format("safetensors: expected each name once, found '{}' twice",
                                   printable(tensor.name)));
    }
    const std::uint64_t end = data_bytes + tensor.type->stored_bytes(count);
    rows.push_back(fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                               json_text(tensor.name), tensor.type->name,
                               fmt::join(tensor.shape, ","), data_bytes, end));
    data_bytes = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(rows, ","));
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > kMostHeader) {
    throw InputError(fmt::format("safetensors: expected a header of at most {}, found one of {}",
                                 byte_count(kMostHeader), byte_count(header.size())));
  }
  return header;
}

class SafetensorsWriter : public TensorWriter {
 public:
  SafetensorsWriter(const std::string& path, const TensorFilePlan& plan)
      : header_(header_of(plan, total_)), file_(path) {
    std::uint8_t length[kLengthBytes];
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
      length[i] = static_cast<std::uint8_t>(header_.size() >> (8 * i));
    }
    file_.write(std::span<const std::uint8_t>(length));
    file_.write(std::exchange(header_, {}));
    total_ += file_.written();
  }

  void write(std::span<const std::uint8_t> bytes) override { file_.write(bytes); }
  void finish() override {
    if (file_.written() != total_) {
      throw WorkError(fmt::format("safetensors: expected {} to be written, found {}",
                                  byte_count(total_), byte_count(file_.written())));
    }
    file_.finish();
  }

 private:
  std::uint64_t total_ = 0;
  std::string header_;  // before file_: a plan that is refused creates nothing
  OutputFile file_;
};

bool is_safetensors(std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
  if (head.size() <= kLengthBytes || head[kLengthBytes] != '{') return false;
  // JSON in text could begin so, too, but for its eighth byte.
  return header_length(head) < std::uint64_t{1} << 56 || head[7] > 0x7e;
}

bool is_index(std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
  const auto first = std::ranges::find_if(
      head, [](std::uint8_t c) { return c != ' ' && c != '\n' && c != '\r' && c != '\t'; });
  return first != head.end() && *first == '{';
}

}  // namespace

const Container kSafetensors = {
    "safetensors",
    "one file of tensors, as hubs of models hold them",
    ".safetensors",
    is_safetensors,
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<SafetensorsFile>(path);
    },
    [](const std::string& path, const TensorFilePlan& plan) -> std::unique_ptr<TensorWriter> {
      return std::make_unique<SafetensorsWriter>(path, plan);
    },
    wrong_safetensors_tensor};

const Container kSafetensorsIndex = {
    "safetensors index",
    "a set of safetensors files and the index.json that names them",
    "",
    is_index,
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<SafetensorsSet>(path);
    },
    nullptr,
    nullptr};

}  // namespace zeropoint
