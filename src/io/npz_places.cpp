#include "io/npz_places.hpp"

#include <algorithm>
#include <optional>

// Source: PKWARE's APPNOTE.TXT, 4.3 and 4.5.3.

namespace zeropoint {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint64_t kIn64 = 0xffffffff;  // the zip64 field has it

// `count` bytes from `at` on, all of them in the file; 0 elsewhere.
std::uint64_t number(Bytes bytes, std::uint64_t at, std::size_t count) {
  if (at > bytes.size() || count > bytes.size() - at) return 0;
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

constexpr std::uint64_t kEntry = 0x02014b50, kLocal = 0x04034b50, kEnd = 0x06054b50,
                        kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;

// The directory's end: the last signature from which on a comment reaches just to the file's end.
std::optional<std::uint64_t> find_end(Bytes bytes) {
  constexpr std::uint64_t kFixed = 22, kMostComment = 0xffff;
  for (std::uint64_t after = kFixed; after <= kFixed + kMostComment; ++after) {
    if (after > bytes.size()) break;
    const std::uint64_t at = bytes.size() - after;
    if (number(bytes, at, 4) == kEnd && number(bytes, at + 20, 2) == after - kFixed) return at;
  }
  return std::nullopt;
}

// What the zip64 field of an entry has instead of those of its numbers that are kIn64.
void widen(Bytes extra, std::uint64_t& size, std::uint64_t& packed, std::uint64_t& local) {
  while (extra.size() >= 4) {
    const std::uint64_t id = number(extra, 0, 2);
    const auto length = static_cast<std::size_t>(number(extra, 2, 2));
    extra = extra.subspan(4);
    if (length > extra.size()) return;
    if (id == 1) {
      std::uint64_t at = 0;
      for (std::uint64_t* value : {&size, &packed, &local}) {
        if (*value != kIn64 || at + 8 > length) continue;
        *value = number(extra, at, 8);
        at += 8;
      }
      return;
    }
    extra = extra.subspan(length);
  }
}

}  // namespace

std::vector<StoredPlace> stored_places(Bytes bytes) {
  std::vector<StoredPlace> places;
  const auto end = find_end(bytes);
  if (!end) return places;
  std::uint64_t count = number(bytes, *end + 10, 2), at = number(bytes, *end + 16, 4);
  if (*end >= 20 && number(bytes, *end - 20, 4) == kLocator64) {
    const std::uint64_t end64 = number(bytes, *end - 12, 8);
    if (number(bytes, end64, 4) == kEnd64) {
      count = number(bytes, end64 + 32, 8);
      at = number(bytes, end64 + 48, 8);
    }
  }
  // Ends at the file's end at the latest: there, no signature is found.
  while (places.size() < count && number(bytes, at, 4) == kEntry) {
    const std::uint64_t name = number(bytes, at + 28, 2), extra = number(bytes, at + 30, 2),
                        comment = number(bytes, at + 32, 2);
    constexpr std::uint64_t kFixed = 46, kFixedLocal = 30;
    if (bytes.size() - at < kFixed + name + extra + comment) break;
    std::uint64_t size = number(bytes, at + 24, 4), packed = number(bytes, at + 20, 4),
                  local = number(bytes, at + 42, 4);
    widen(bytes.subspan(static_cast<std::size_t>(at + kFixed + name),
                        static_cast<std::size_t>(extra)),
          size, packed, local);
    StoredPlace place;
    place.header = local;
    place.packed = packed;
    if (number(bytes, local, 4) == kLocal) {
      place.data =
          local + kFixedLocal + number(bytes, local + 26, 2) + number(bytes, local + 28, 2);
    }
    if (number(bytes, local, 4) == kLocal && size == packed) {
      place.size = size;
      place.crc = static_cast<std::uint32_t>(number(bytes, at + 16, 4));
      place.method = static_cast<std::uint32_t>(number(bytes, at + 10, 2));
      const bool encrypted = (number(bytes, at + 8, 2) & 1) != 0;
      const bool agrees = number(bytes, local + 8, 2) == place.method;
      if (encrypted || !agrees) place.method = StoredPlace{}.method;
    }
    places.push_back(place);
    at += kFixed + name + extra + comment;
  }
  return places;
}

}  // namespace zeropoint
