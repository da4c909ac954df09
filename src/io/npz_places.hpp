#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace zeropoint {

/// What an archive's directory and the local header of an entry say of it. libzip does not tell
/// where an entry's bytes lie.
struct StoredPlace {
  std::uint64_t header = 0;  ///< of the entry, from the file's start
  std::uint64_t data = 0;    ///< behind it; 0: unknown
  std::uint64_t packed = 0;
  std::uint64_t size = 0;  ///< unpacked
  std::uint32_t crc = 0;
  std::uint32_t method = 0xffffffff;  ///< 0: stored as it is; none: unknown
};

/// In the order of the directory, as far as it can be followed; an entry that cannot is left
/// unknown. Nothing here is to be trusted but that it was read within bounds.
std::vector<StoredPlace> stored_places(std::span<const std::uint8_t> archive);

}  // namespace zeropoint
