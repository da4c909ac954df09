#include "io/container_rows.hpp"

namespace zeropoint {

const Container kGguf = {
    "gguf",
    "llama.cpp's file of a model, version 3",
    ".gguf",
    [](std::span<const std::uint8_t> /*head*/, std::uint64_t /*file_bytes*/) { return false; },
    nullptr,
    nullptr};

}  // namespace zeropoint
