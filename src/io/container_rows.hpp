#pragma once
#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint {

// One each container, in the file that is named after it; container_list.cpp orders them.
extern const Container kNpy, kNpz, kSafetensors, kSafetensorsIndex, kGguf;
#ifdef ZEROPOINT_ONNX
extern const Container kOnnx;
#endif

}  // namespace zeropoint
