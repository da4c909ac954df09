#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <zip.h>
#include <zlib.h>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"
#include "io/npy_array.hpp"
#include "io/output_file.hpp"

namespace zeropoint {
namespace {

// What an array may take beyond the archive's own size: zeros compress a thousandfold, and so do
// bombs.
constexpr std::uint64_t kMostGrowth = std::uint64_t{128} << 20;
constexpr std::size_t kMostStart = (1 << 16) + 64;  // of an array's header
constexpr std::string_view kSuffix = ".npy";

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using Entry = std::unique_ptr<zip_file_t, CloseEntry>;

class NpzFile : public TensorFile {
 public:
  explicit NpzFile(const std::string& path) : TensorFile(path, "npz") {
    file_bytes_ = MappedFile(path).bytes().size();  // a file it is
    int code = 0;
    archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!archive_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string why = zip_error_strerror(&error);
      zip_error_fini(&error);
      refuse_file(path, "a zip archive", fmt::format("\"{}\"", why));
    }
    const zip_int64_t entries = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < entries; ++i) open_array(static_cast<zip_uint64_t>(i));
    if (tensors_.empty()) refuse_file(path, "an archive of .npy files", "none in it");
    check_names();
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    const NpyHeader& header = headers_.at(tensor.place);
    const std::lock_guard lock(mutex_);
    const Entry entry = open_entry(tensor.place, tensor.name);
    std::vector<std::uint8_t> bytes(header.data_start);
    read(entry.get(), bytes, tensor.name);
    bytes.resize(tensor.bytes);
    read(entry.get(), bytes, tensor.name);
    // Only at the end does it know whether the sum is right.
    std::uint8_t more = 0;
    if (zip_fread(entry.get(), &more, 1) != 0) damaged(entry.get(), tensor.name);
    if (lies_as_it_should(header)) return TensorBytes(std::move(bytes));
    return TensorBytes(in_order(header, bytes));
  }

 private:
  void open_array(zip_uint64_t index) {
    zip_stat_t about;
    zip_stat_init(&about);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE;
    if (zip_stat_index(archive_.get(), index, ZIP_FL_ENC_RAW, &about) != 0 ||
        (about.valid & kNeeded) != kNeeded) {
      refuse_file(path(), "an entry with a name and a size", fmt::format("entry {}", index));
    }
    std::string name = about.name;
    if (!name.ends_with(kSuffix)) return;  // of no concern to NumPy either
    name.resize(name.size() - kSuffix.size());
    const std::string shown = printable(name);
    const std::string slashed = "/" + name + "/";
    if (name.starts_with('/') || slashed.find("/../") != std::string::npos) {
      refuse_file(path(), "names that stay within the archive", fmt::format("'{}'", shown));
    }
    if ((about.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && about.encryption_method != ZIP_EM_NONE) {
      refuse_file(path(), "entries that are not encrypted", fmt::format("'{}'", shown));
    }
    if (about.size > file_bytes_ + kMostGrowth) {
      refuse_file(
          path(),
          fmt::format("an array '{}' of at most {}", shown, byte_count(file_bytes_ + kMostGrowth)),
          fmt::format("{}, too many for an archive of {}", byte_count(about.size),
                      byte_count(file_bytes_)));
    }
    std::vector<std::uint8_t> start(
        static_cast<std::size_t>(std::min<std::uint64_t>(kMostStart, about.size)));
    const Entry entry = open_entry(index, name);
    read(entry.get(), start, name);
    NpyHeader header =
        read_npy_header(fmt::format("{}: '{}'", printable(path()), shown), start, true);
    StoredTensor& tensor = add(std::move(name), shape_of(header), tensor_type(header.type.stored));
    if (about.size - header.data_start != tensor.bytes) {
      refuse_file(path(),
                  fmt::format("{} of data for '{}', {} {}", byte_count(tensor.bytes), shown,
                              header.type.name, header.shape_text),
                  byte_count(about.size - header.data_start));
    }
    tensor.place = index;
    headers_.emplace(index, std::move(header));
  }

  Entry open_entry(zip_uint64_t index, std::string_view name) const {
    Entry entry(zip_fopen_index(archive_.get(), index, 0));
    if (!entry) {
      refuse_file(path(), fmt::format("an entry '{}' that can be read", printable(name)),
                  fmt::format("\"{}\"", zip_strerror(archive_.get())));
    }
    return entry;
  }
  void read(zip_file_t* entry, std::span<std::uint8_t> bytes, std::string_view name) const {
    while (!bytes.empty()) {
      const zip_int64_t got = zip_fread(entry, bytes.data(), bytes.size());
      if (got <= 0) damaged(entry, name);
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
  }
  [[noreturn]] void damaged(zip_file_t* entry, std::string_view name) const {
    const std::string why = zip_error_strerror(zip_file_get_error(entry));
    refuse_file(path(),
                fmt::format("an entry '{}' as long as it says and undamaged", printable(name)),
                fmt::format("\"{}\"", why));
  }

  std::unique_ptr<zip_t, CloseArchive> archive_;
  std::map<std::uint64_t, NpyHeader> headers_;
  mutable std::mutex mutex_;  // libzip's archives are one thread's at a time
};

template <class T>
void append(std::string& bytes, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

// Entries as they are, not compressed: NumPy's savez does the same. Source: PKWARE's APPNOTE.
class NpzWriter : public TensorWriter {
 public:
  NpzWriter(const std::string& path, const TensorFilePlan& plan)
      : entries_(make_entries(plan)), file_(path) {
    if (!entries_.empty()) begin();
  }

  void write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      if (at_ == entries_.size()) {
        throw WorkError("npz: expected no more bytes than the plan's tensors have, found more");
      }
      ArrayEntry& entry = entries_[at_];
      const auto now = static_cast<std::size_t>(
          std::min<std::uint64_t>(bytes.size(), entry.size - entry.written));
      put(entry, bytes.first(now));
      bytes = bytes.subspan(now);
      end_full();
    }
  }

  void finish() override {
    end_full();
    if (at_ != entries_.size()) {
      throw WorkError(
          fmt::format("npz: expected {} arrays to be written, found {}", entries_.size(), at_));
    }
    const std::uint64_t directory = file_.written();
    for (const auto& entry : entries_) file_.write(central_header(entry));
    const std::uint64_t size = file_.written() - directory;
    std::string end;
    const std::uint64_t here = file_.written();
    const bool is_large = here >= kLarge || entries_.size() >= 0xffff;
    if (is_large) {
      append<std::uint32_t>(end, 0x06064b50);
      append<std::uint64_t>(end, 44);
      append<std::uint16_t>(end, 45);
      append<std::uint16_t>(end, 45);
      append<std::uint32_t>(end, 0);
      append<std::uint32_t>(end, 0);
      append<std::uint64_t>(end, entries_.size());
      append<std::uint64_t>(end, entries_.size());
      append<std::uint64_t>(end, size);
      append<std::uint64_t>(end, directory);
      append<std::uint32_t>(end, 0x07064b50);
      append<std::uint32_t>(end, 0);
      append<std::uint64_t>(end, here);
      append<std::uint32_t>(end, 1);
    }
    const auto count =
        is_large ? std::uint16_t{0xffff} : static_cast<std::uint16_t>(entries_.size());
    append<std::uint32_t>(end, 0x06054b50);
    append<std::uint32_t>(end, 0);
    append(end, count);
    append(end, count);
    append<std::uint32_t>(end, is_large ? 0xffffffffU : static_cast<std::uint32_t>(size));
    append<std::uint32_t>(end, is_large ? 0xffffffffU : static_cast<std::uint32_t>(directory));
    append<std::uint16_t>(end, 0);
    file_.write(end);
    file_.finish();
  }

 private:
  static constexpr std::uint64_t kLarge = 0xffffffffU;
  struct ArrayEntry {
    std::string name, header;
    std::uint64_t size = 0, written = 0, offset = 0;
    std::uint32_t sum = 0;
    bool is_large() const { return size >= kLarge; }
  };

  static std::vector<ArrayEntry> make_entries(const TensorFilePlan& plan) {
    std::vector<ArrayEntry> entries;
    for (const auto& tensor : plan.tensors) {
      ArrayEntry entry;
      entry.name = tensor.name + std::string(kSuffix);
      if (entry.name.size() > 0xffff) {
        throw InputError(
            fmt::format("'{}': expected a name of at most 65531 bytes for a zip archive",
                        printable(tensor.name)));
      }
      entry.header = header_or_throw(tensor);
      std::size_t count = 1;
      for (const std::size_t extent : tensor.shape) count *= extent;
      entry.size = entry.header.size() + tensor.type->stored_bytes(count);
      entries.push_back(std::move(entry));
    }
    return entries;
  }

  // Version, flags (names in UTF-8), no compression, the first moment that the format knows.
  static void append_common(std::string& bytes, const ArrayEntry& entry, bool is_large) {
    append<std::uint16_t>(bytes, is_large ? 45 : 20);
    append<std::uint16_t>(bytes, 1 << 11);
    append<std::uint16_t>(bytes, 0);
    append<std::uint16_t>(bytes, 0);
    append<std::uint16_t>(bytes, 0x21);
    append(bytes, entry.sum);
    for (int i = 0; i < 2; ++i) {
      append<std::uint32_t>(
          bytes, entry.is_large() ? 0xffffffffU : static_cast<std::uint32_t>(entry.size));
    }
    append<std::uint16_t>(bytes, static_cast<std::uint16_t>(entry.name.size()));
  }
  static std::string local_header(const ArrayEntry& entry) {
    std::string bytes;
    append<std::uint32_t>(bytes, 0x04034b50);
    append_common(bytes, entry, entry.is_large());
    append<std::uint16_t>(bytes, entry.is_large() ? 20 : 0);
    bytes += entry.name;
    if (entry.is_large()) {
      append<std::uint16_t>(bytes, 1);
      append<std::uint16_t>(bytes, 16);
      append(bytes, entry.size);
      append(bytes, entry.size);
    }
    return bytes;
  }
  static std::string central_header(const ArrayEntry& entry) {
    const bool is_far = entry.offset >= kLarge;
    std::string extra;
    if (entry.is_large()) {
      append(extra, entry.size);
      append(extra, entry.size);
    }
    if (is_far) append(extra, entry.offset);
    std::string bytes;
    append<std::uint32_t>(bytes, 0x02014b50);
    append<std::uint16_t>(bytes, 45);
    append_common(bytes, entry, entry.is_large() || is_far);
    append<std::uint16_t>(bytes, extra.empty() ? 0 : static_cast<std::uint16_t>(extra.size() + 4));
    append<std::uint16_t>(bytes, 0);
    append<std::uint16_t>(bytes, 0);
    append<std::uint16_t>(bytes, 0);
    append<std::uint32_t>(bytes, 0);
    append<std::uint32_t>(bytes, is_far ? 0xffffffffU : static_cast<std::uint32_t>(entry.offset));
    bytes += entry.name;
    if (!extra.empty()) {
      append<std::uint16_t>(bytes, 1);
      append<std::uint16_t>(bytes, static_cast<std::uint16_t>(extra.size()));
      bytes += extra;
    }
    return bytes;
  }

  void put(ArrayEntry& entry, std::span<const std::uint8_t> bytes) {
    entry.sum = static_cast<std::uint32_t>(crc32_z(entry.sum, bytes.data(), bytes.size()));
    entry.written += bytes.size();
    file_.write(bytes);
  }
  void begin() {
    ArrayEntry& entry = entries_[at_];
    entry.offset = file_.written();
    file_.write(local_header(entry));
    put(entry, {reinterpret_cast<const std::uint8_t*>(entry.header.data()), entry.header.size()});
  }
  // Its sum is known now, and goes into its header.
  void end_full() {
    while (at_ < entries_.size() && entries_[at_].written == entries_[at_].size) {
      constexpr std::uint64_t kSumAt = 14;
      std::string sum;
      append(sum, entries_[at_].sum);
      file_.overwrite(entries_[at_].offset + kSumAt, sum);
      if (++at_ < entries_.size()) begin();
    }
  }

  std::vector<ArrayEntry> entries_;
  std::size_t at_ = 0;
  OutputFile file_;
};

}  // namespace

const Container kNpz = {
    "npz",
    "several arrays of NumPy's, zipped",
    ".npz",
    [](std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
      return head.size() >= 4 && head[0] == 'P' && head[1] == 'K' &&
             ((head[2] == 3 && head[3] == 4) || (head[2] == 5 && head[3] == 6));
    },
    [](const std::string& path) -> std::unique_ptr<TensorFile> {
      return std::make_unique<NpzFile>(path);
    },
    [](const std::string& path, const TensorFilePlan& plan) -> std::unique_ptr<TensorWriter> {
      return std::make_unique<NpzWriter>(path, plan);
    }};

}  // namespace zeropoint
