#include "io/container_rows.hpp"

namespace zeropoint {

const Container kNpy = {
    "npy",
    "NumPy's file of one array",
    ".npy",
    [](std::span<const std::uint8_t> /*head*/, std::uint64_t /*file_bytes*/) { return false; },
    nullptr,
    nullptr};

}  // namespace zeropoint
