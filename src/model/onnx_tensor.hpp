#pragma once
#include <onnx/onnx_pb.h>
#include <string>

#include "zeropoint/model/value.hpp"

namespace zeropoint::model {

/// The tensor as a Value; `where` begins the line of a refusal.
Value read_tensor(const onnx::TensorProto& tensor, const std::string& where);

}  // namespace zeropoint::model
