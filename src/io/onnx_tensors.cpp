#include "io/container_rows.hpp"

namespace zeropoint {

const Container kOnnx = {
    "onnx",
    "an ONNX model's initializers",
    ".onnx",
    [](std::span<const std::uint8_t> /*head*/, std::uint64_t /*file_bytes*/) { return false; },
    nullptr,
    nullptr};

}  // namespace zeropoint
