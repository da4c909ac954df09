#include "fuzz/tensor_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zeropoint::fuzz::read_tensors("onnx", {data, size});
  return 0;
}
