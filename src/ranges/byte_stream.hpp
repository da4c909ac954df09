#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint {

/// FNV-1a of 64 bits: of bytes that differ in one place, it always differs.
inline std::uint64_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3U;
  return hash;
}

/// Whole numbers as bytes, least significant first on every machine.
class ByteWriter {
 public:
  template <std::integral T>
  void put(T value) {
    const auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
    }
  }
  /// Seven bits a byte, the eighth says that more follow.
  void put_short(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::uint8_t>(value | 0x80));
    bytes_.push_back(static_cast<std::uint8_t>(value));
  }
  void put(std::span<const std::uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// All of them, and what ByteReader::checked() looks for at their end.
  std::vector<std::uint8_t> take_with_checksum() {
    put(checksum(bytes_));
    return std::move(bytes_);
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// The other way; throws InputError, beginning with `what`, where bytes are missing.
class ByteReader {
 public:
  ByteReader(std::span<const std::uint8_t> bytes, std::string_view what)
      : bytes_(bytes), what_(what) {}
  /// Of what take_with_checksum() returned; without the checksum, which must be right.
  static ByteReader checked(std::span<const std::uint8_t> bytes, std::string_view what) {
    constexpr std::size_t kSum = sizeof(std::uint64_t);
    const std::size_t size = bytes.size() < kSum ? 0 : bytes.size() - kSum;
    if (ByteReader(bytes.subspan(size), what).get<std::uint64_t>() != checksum(bytes.first(size))) {
      throw InputError(
          fmt::format("{}: expected {} bytes with the checksum at their end, found "
                      "another: they are damaged or cut off",
                      what, bytes.size()));
    }
    return {bytes.first(size), what};
  }
  template <std::integral T>
  T get() {
    if (bytes_.size() - at_ < sizeof(T)) {
      throw InputError(fmt::format("{}: expected {} more bytes, found {}", what_, sizeof(T),
                                   bytes_.size() - at_));
    }
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) bits |= std::uint64_t{bytes_[at_++]} << (8 * i);
    return static_cast<T>(bits);
  }
  /// What put_short() wrote; of more than 64 bits, the lowest.
  std::uint64_t get_short() {
    std::uint64_t value = 0;
    for (int shift = 0;; shift = std::min(shift + 7, 64)) {
      const auto byte = get<std::uint8_t>();
      if (shift < 64) value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
  }
  bool at_end() const { return at_ == bytes_.size(); }
  std::span<const std::uint8_t> rest() const { return bytes_.subspan(at_); }

 private:
  std::span<const std::uint8_t> bytes_;
  std::string_view what_;
  std::size_t at_ = 0;
};

}  // namespace zeropoint
