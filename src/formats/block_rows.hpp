#pragma once
#include "zeropoint/formats/block_format.hpp"

namespace zeropoint {

// The rows of block_format_list.cpp, by family.
extern const BlockFormat kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1;                        // ggml
extern const BlockFormat kMxfp8, kMxfp8E5m2, kMxfp6, kMxfp6E2m3, kMxfp4, kMxint8;  // OCP
extern const BlockFormat kNvfp4;

}  // namespace zeropoint
