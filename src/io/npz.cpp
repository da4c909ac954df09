#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>
#include <zip.h>
#include <zlib.h>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"
#include "io/npy_header.hpp"
#include "io/npz_places.hpp"
#include "io/npz_writer.hpp"

namespace zeropoint {
namespace {

constexpr std::string_view kSuffix = ".npy";
// Beside the archive's own size: what unpacks to more is taken for an attack on memory.
constexpr std::uint64_t kMostBeyondFile = std::uint64_t{256} << 20;

struct Archive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Unpacked {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ArchivePointer = std::unique_ptr<zip_t, Archive>;

ArchivePointer open_archive(const std::string& path, std::span<const std::uint8_t> bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_t* archive = nullptr;
  zip_source_t* const source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (source != nullptr) {
    archive = zip_open_from_source(source, ZIP_RDONLY, &error);
    if (archive == nullptr) zip_source_free(source);
  }
  if (archive == nullptr) {
    const std::string found = fmt::format("\"{}\"", printable(zip_error_strerror(&error)));
    zip_error_fini(&error);
    refuse_file(path, "a zip archive", found);
  }
  zip_error_fini(&error);
  return ArchivePointer(archive);
}

// An array of the archive.
struct Entry {
  std::string where;  // "FILE: 'NAME'", for refusals
  zip_uint64_t index = 0;
  std::uint64_t size = 0;  // unpacked
  std::uint32_t crc = 0;
  std::optional<std::uint64_t> place;  // of its bytes in the file, if they are stored as they are
  NpyHeader header;
};

class NpzFile : public TensorFile {
 public:
  explicit NpzFile(const std::string& path)
      : TensorFile(path, "npz"), file_(path), archive_(open_archive(path, file_.bytes())) {
    file_bytes_ = file_.bytes().size();
    const auto entries = static_cast<std::uint64_t>(
        std::max<zip_int64_t>(zip_get_num_entries(archive_.get(), 0), 0));
    const auto places = stored_places(file_.bytes());
    check_apart(places);
    for (zip_uint64_t i = 0; i < entries; ++i) {
      const char* const name = zip_get_name(archive_.get(), i, ZIP_FL_ENC_GUESS);
      if (name == nullptr) refuse_file(path, "a name for each entry of the archive", "none");
      if (std::string_view(name).ends_with(kSuffix)) {
        add_entry(i, name, i < places.size() ? places[i] : StoredPlace{});
      }
    }
    if (entries_.empty()) {
      refuse_file(path, "an archive with .npy files in it",
                  fmt::format("one of {} other{}", entries, entries == 1 ? "" : "s"));
    }
    check_names();
    checked_ = std::make_unique<std::atomic<bool>[]>(entries_.size());
  }

  TensorBytes load(const StoredTensor& tensor) const override {
    const auto position = static_cast<std::size_t>(tensor.place);
    const Entry& entry = entries_[position];
    if (!entry.place) {
      std::vector<std::uint8_t> elements = unpack(entry);
      if (is_npy_plain(entry.header)) return TensorBytes(std::move(elements));
      return TensorBytes(npy_row_major(entry.header, elements));
    }
    const auto at = static_cast<std::size_t>(*entry.place);
    const auto start = static_cast<std::size_t>(entry.header.data_start);
    TensorBytes stored(file_.bytes().subspan(at + start, tensor.bytes),
                       [this, at, count = start + tensor.bytes] { file_.release(at, count); });
    if (!checked_[position].load(std::memory_order_relaxed)) {
      const auto whole = file_.bytes().subspan(at, static_cast<std::size_t>(entry.size));
      if (crc32_z(0, whole.data(), whole.size()) != entry.crc) refuse_damaged(entry, "CRC error");
      checked_[position].store(true, std::memory_order_relaxed);
    }
    if (is_npy_plain(entry.header)) return stored;
    return TensorBytes(npy_row_major(entry.header, stored.bytes()));
  }

 private:
  // Entries that share bytes unpack to any amount of work: bombs are made so.
  void check_apart(std::vector<StoredPlace> places) const {
    std::erase_if(places, [](const StoredPlace& place) { return place.data == 0; });
    std::ranges::sort(places, {}, &StoredPlace::header);
    for (std::size_t i = 1; i < places.size(); ++i) {
      const StoredPlace& before = places[i - 1];
      const std::uint64_t next = places[i].header;
      if (next >= before.data && before.packed <= next - before.data) continue;
      refuse_file(path(), "entries that do not overlap", fmt::format("two at byte {}", next));
    }
  }
  void add_entry(zip_uint64_t index, std::string_view file_name, const StoredPlace& place) {
    if (!is_safe_entry_name(file_name)) {
      refuse_file(path(), "entries with relative names without '..'",
                  fmt::format("'{}'", printable(file_name)));
    }
    std::string name(file_name.substr(0, file_name.size() - kSuffix.size()));
    Entry entry;
    entry.where = fmt::format("{}: '{}'", printable(path()), printable(name));
    entry.index = index;
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                                     ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      refuse_npy(entry.where, "an entry with its sizes", "one without");
    }
    if (stat.encryption_method != ZIP_EM_NONE) {
      refuse_npy(entry.where, "an entry that is not encrypted", "one that is");
    }
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      refuse_npy(entry.where, "an entry that is stored or deflated",
                 fmt::format("compression method {}", stat.comp_method));
    }
    if (stat.size > file_bytes_ + kMostBeyondFile) {
      refuse_npy(entry.where,
                 fmt::format("at most {} unpacked", byte_count(file_bytes_ + kMostBeyondFile)),
                 byte_count(stat.size));
    }
    entry.size = stat.size;
    entry.crc = stat.crc;
    const bool is_mapped = stat.comp_method == ZIP_CM_STORE && stat.comp_size == stat.size &&
                           place.method == 0 && place.crc == stat.crc && place.size == stat.size &&
                           place.data <= file_bytes_ && stat.size <= file_bytes_ - place.data;
    if (is_mapped) entry.place = place.data;
    entry.header = read_header(entry);
    check_npy_size(entry.where, entry.header, entry.size - entry.header.data_start);
    add(std::move(name), {entry.header.shape.begin(), entry.header.shape.end()},
        tensor_type(entry.header.type.tensor_type))
        .place = entries_.size();
    entries_.push_back(std::move(entry));
  }

  NpyHeader read_header(const Entry& entry) const {
    if (entry.place) {
      const auto whole = file_.bytes().subspan(static_cast<std::size_t>(*entry.place),
                                               static_cast<std::size_t>(entry.size));
      return parse_npy_header(entry.where, whole, entry.size, npy_tensor_types());
    }
    const auto file = open_entry(entry);
    std::vector<std::uint8_t> start;
    const auto read_to = [&](std::size_t bytes) {
      const std::size_t before = start.size();
      start.resize(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, entry.size)));
      read_exactly(entry, file.get(), std::span(start).subspan(before));
    };
    read_to(kNpyPrefix);
    read_to(std::max(start.size(), npy_start_bytes(start)));
    return parse_npy_header(entry.where, start, entry.size, npy_tensor_types());
  }

  // The elements alone. libzip's archives are for one thread at a time.
  std::vector<std::uint8_t> unpack(const Entry& entry) const {
    const std::lock_guard lock(mutex_);
    const auto file = open_entry(entry);
    std::vector<std::uint8_t> start(static_cast<std::size_t>(entry.header.data_start));
    read_exactly(entry, file.get(), start);
    std::vector<std::uint8_t> elements(
        static_cast<std::size_t>(entry.size - entry.header.data_start));
    read_exactly(entry, file.get(), elements);
    // Only at the end is the checksum compared.
    std::uint8_t more = 0;
    const zip_int64_t got = zip_fread(file.get(), &more, 1);
    if (got > 0) refuse_damaged(entry, "more bytes than it says");
    if (got < 0) refuse_damaged(entry, zip_file_strerror(file.get()));
    return elements;
  }

  std::unique_ptr<zip_file_t, Unpacked> open_entry(const Entry& entry) const {
    std::unique_ptr<zip_file_t, Unpacked> file(zip_fopen_index(archive_.get(), entry.index, 0));
    if (!file) refuse_damaged(entry, zip_strerror(archive_.get()));
    return file;
  }

  static void read_exactly(const Entry& entry, zip_file_t* file, std::span<std::uint8_t> to) {
    while (!to.empty()) {
      const zip_int64_t got = zip_fread(file, to.data(), to.size());
      if (got < 0) refuse_damaged(entry, zip_file_strerror(file));
      if (got == 0) refuse_damaged(entry, "fewer bytes than it says");
      to = to.subspan(static_cast<std::size_t>(got));
    }
  }

  [[noreturn]] static void refuse_damaged(const Entry& entry, std::string_view found) {
    refuse_npy(entry.where, "an entry that can be unpacked",
               fmt::format("\"{}\"", printable(found)));
  }

  MappedFile file_;
  ArchivePointer archive_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  // Those in the file whose checksum was compared.
  std::unique_ptr<std::atomic<bool>[]> checked_;
};

}  // namespace

const Container kNpz = {"npz",
                        "NumPy's archive of arrays",
                        ".npz",
                        [](std::span<const std::uint8_t> head, std::uint64_t /*file_bytes*/) {
                          if (head.size() < 4 || head[0] != 'P' || head[1] != 'K') return false;
                          return (head[2] == 3 && head[3] == 4) || (head[2] == 5 && head[3] == 6);
                        },
                        [](const std::string& path) -> std::unique_ptr<TensorFile> {
                          return std::make_unique<NpzFile>(path);
                        },
                        create_npz,
                        wrong_npz_tensor};

}  // namespace zeropoint
