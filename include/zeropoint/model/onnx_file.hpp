#pragma once
#include <filesystem>
#include <string>

#include "zeropoint/model/graph.hpp"

namespace zeropoint::model {

/// A tensor from a file, with the name that it has there.
struct NamedValue {
  std::string name;
  Value value;
};

/// Reads a model (ONNX's ModelProto). Throws InputError in one line if the file cannot be read or
/// is malformed: shapes that are negative or overflow, data that does not fit the shape, unknown
/// element types, names used twice. What is not supported is refused by its name: strings, complex
/// numbers, segments, sparse initializers, data in external files.
Model read_onnx(const std::filesystem::path& path);

/// Reads a tensor (ONNX's TensorProto), as the node tests have them; throws as read_onnx.
NamedValue read_onnx_tensor(const std::filesystem::path& path);

}  // namespace zeropoint::model
