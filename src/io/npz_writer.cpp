#include "io/npz_writer.hpp"

#include <algorithm>
#include <set>
#include <vector>
#include <zlib.h>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"
#include "io/npy_header.hpp"
#include "io/output_file.hpp"

// Source: PKWARE's APPNOTE.TXT: a local header and the data of each entry, the central directory,
// its end. libzip keeps all that it writes until the archive is closed; here nothing is kept.

namespace zeropoint {
namespace {

constexpr std::uint64_t kMost32 = 0xffffffff;  // says: the zip64 field has it
constexpr std::uint64_t kMost16 = 0xffff;
constexpr std::size_t kCrcAt = 14;  // in a local header

struct Entry {
  std::string name;
  std::string start;       // of the array, up to its elements
  std::uint64_t size = 0;  // of the array with its start
  std::uint64_t at = 0;    // of its local header
  std::uint32_t crc = 0;

  bool is_zip64() const { return size >= kMost32; }
};

class Record {
 public:
  Record& u16(std::uint64_t value) { return put(value, 2); }
  Record& u32(std::uint64_t value) { return put(value, 4); }
  Record& u64(std::uint64_t value) { return put(value, 8); }
  Record& text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& put(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xff);
    return *this;
  }
  std::string bytes_;
};

// What local headers and the directory have in common, from the version needed to the CRC.
void begin(Record& record, const Entry& entry, bool zip64) {
  constexpr std::uint64_t kUtf8 = 1 << 11;
  constexpr std::uint64_t kFirstOfJanuary1980 = 1 << 5 | 1;
  record.u16(zip64 ? 45 : 20).u16(kUtf8).u16(0).u16(0).u16(kFirstOfJanuary1980).u32(entry.crc);
}

std::string local_header(const Entry& entry) {
  const bool zip64 = entry.is_zip64();
  const std::uint64_t size = zip64 ? kMost32 : entry.size;
  Record record;
  record.text("PK\3\4");
  begin(record, entry, zip64);
  record.u32(size).u32(size).u16(entry.name.size()).u16(zip64 ? 20 : 0).text(entry.name);
  if (zip64) record.u16(1).u16(16).u64(entry.size).u64(entry.size);
  return record.bytes();
}

std::string directory_row(const Entry& entry) {
  Record zip64;
  if (entry.is_zip64()) zip64.u64(entry.size).u64(entry.size);
  if (entry.at >= kMost32) zip64.u64(entry.at);
  const std::size_t more = zip64.bytes().size();
  const std::uint64_t size = entry.is_zip64() ? kMost32 : entry.size;
  Record record;
  record.text("PK\1\2").u16(3 << 8 | 45);  // made on Unix
  begin(record, entry, more != 0);
  record.u32(size).u32(size).u16(entry.name.size()).u16(more != 0 ? more + 4 : 0);
  // No comment, first disk, no internal attributes, a file that its owner may read and write.
  record.u16(0).u16(0).u16(0).u32(std::uint64_t{0100600} << 16);
  record.u32(std::min(entry.at, kMost32)).text(entry.name);
  if (more != 0) record.u16(1).u16(more).text(zip64.bytes());
  return record.bytes();
}

std::string directory_end(std::uint64_t count, std::uint64_t start, std::uint64_t end) {
  Record record;
  if (count >= kMost16 || start >= kMost32 || end - start >= kMost32) {
    record.text("PK\6\6").u64(44).u16(3 << 8 | 45).u16(45).u32(0).u32(0);
    record.u64(count).u64(count).u64(end - start).u64(start);
    record.text("PK\6\7").u32(0).u64(end).u32(1);
  }
  record.text("PK\5\6").u16(0).u16(0).u16(std::min(count, kMost16)).u16(std::min(count, kMost16));
  record.u32(std::min(end - start, kMost32)).u32(std::min(start, kMost32)).u16(0);
  return record.bytes();
}

std::string entry_name(const std::string& tensor) { return tensor + ".npy"; }

std::string wrong_name(const std::string& tensor) {
  const std::string name = entry_name(tensor);
  if (!tensor.empty() && is_safe_entry_name(name) && name.size() <= kMost16) return {};
  return fmt::format("expected a relative name without '..' and of at most {}, found '{}'",
                     byte_count(kMost16 - 4), printable(tensor));
}

std::vector<Entry> entries_of(const TensorFilePlan& plan) {
  if (plan.tensors.empty()) throw InputError("npz: expected a tensor or more, found none");
  std::vector<Entry> entries;
  std::set<std::string_view> names;
  for (const auto& tensor : plan.tensors) {
    if (const std::string wrong = wrong_name(tensor.name); !wrong.empty()) {
      throw InputError(fmt::format("npz: {}", wrong));
    }
    if (!names.insert(tensor.name).second) {
      throw InputError(
          fmt::format("npz: expected each name once, found '{}' twice", printable(tensor.name)));
    }
    Entry entry;
    entry.name = entry_name(tensor.name);
    entry.start = npy_start(npy_type_of("npz", tensor), tensor.shape);
    entry.size = entry.start.size() + tensor.type->stored_bytes(value_count(tensor.shape));
    entries.push_back(std::move(entry));
  }
  return entries;
}

class NpzWriter : public TensorWriter {
 public:
  NpzWriter(const std::string& path, const TensorFilePlan& plan)
      : entries_(entries_of(plan)), file_(path) {
    begin_entry();
    end_entries();
  }

  void write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      if (now_ == entries_.size()) {
        throw WorkError(fmt::format("npz: expected no more to be written, found {} more",
                                    byte_count(bytes.size())));
      }
      const auto some = bytes.first(static_cast<std::size_t>(
          std::min<std::uint64_t>(bytes.size(), entry_end_ - file_.written())));
      put(some);
      bytes = bytes.subspan(some.size());
      end_entries();
    }
  }

  void finish() override {
    if (now_ != entries_.size()) {
      throw WorkError(fmt::format("npz: expected {} more of '{}' to be written, found none",
                                  byte_count(entry_end_ - file_.written()),
                                  printable(entries_[now_].name)));
    }
    const std::uint64_t start = file_.written();
    for (const Entry& entry : entries_) file_.write(directory_row(entry));
    file_.write(directory_end(entries_.size(), start, file_.written()));
    file_.finish();
  }

 private:
  void begin_entry() {
    Entry& entry = entries_[now_];
    entry.at = file_.written();
    file_.write(local_header(entry));
    entry_end_ = file_.written() + entry.size;
    put({reinterpret_cast<const std::uint8_t*>(entry.start.data()), entry.start.size()});
  }
  // One that is whole gets its checksum, and the next begins, which is whole at once if it has no
  // elements.
  void end_entries() {
    while (now_ != entries_.size() && file_.written() == entry_end_) {
      const std::uint32_t crc = entries_[now_].crc;
      const std::uint8_t bytes[] = {
          static_cast<std::uint8_t>(crc), static_cast<std::uint8_t>(crc >> 8),
          static_cast<std::uint8_t>(crc >> 16), static_cast<std::uint8_t>(crc >> 24)};
      file_.rewrite(entries_[now_].at + kCrcAt, bytes);
      if (++now_ != entries_.size()) begin_entry();
    }
  }
  void put(std::span<const std::uint8_t> bytes) {
    Entry& entry = entries_[now_];
    entry.crc = static_cast<std::uint32_t>(crc32_z(entry.crc, bytes.data(), bytes.size()));
    file_.write(bytes);
  }

  std::vector<Entry> entries_;  // before file_: a plan that is refused creates nothing
  OutputFile file_;
  std::size_t now_ = 0;
  std::uint64_t entry_end_ = 0;
};

}  // namespace

std::string wrong_npz_tensor(const TensorFilePlan::Tensor& tensor) {
  const std::string wrong = wrong_name(tensor.name);
  return wrong.empty() ? wrong_npy_tensor(tensor) : wrong;
}

std::unique_ptr<TensorWriter> create_npz(const std::string& path, const TensorFilePlan& plan) {
  return std::make_unique<NpzWriter>(path, plan);
}

bool is_safe_entry_name(std::string_view name) {
  // A backslash and a colon lead out of the archive where they are separators.
  if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos)
    return false;
  if (name.front() == '\\' || (name.size() > 1 && name[1] == ':')) return false;
  while (true) {
    const std::size_t end = name.find_first_of("/\\");
    if (name.substr(0, end) == "..") return false;
    if (end == std::string_view::npos) return true;
    name.remove_prefix(end + 1);
  }
}

}  // namespace zeropoint
