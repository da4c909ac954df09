#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint {

struct OnnxWriting {
  /// Models of more bytes have their tensors in a file beside them: protobuf's limit.
  std::uint64_t most_inline = (std::uint64_t{1} << 31) - 1;
  int opset = 0;  ///< at least this one of ONNX's own domain
};

/// plan.source's graph with other initializers, where it is an ONNX model; else a graph whose
/// outputs are the plan's tensors. Throws InputError naming what cannot be written.
std::unique_ptr<TensorWriter> write_onnx(const std::string& path, const TensorFilePlan& plan,
                                         const OnnxWriting& options);

}  // namespace zeropoint
