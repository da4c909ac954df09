#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <onnx/onnx_pb.h>
#include <set>
#include <string>
#include <vector>

namespace zeropoint {

/// The first ir_version that knows an operator set of ONNX's own domain.
std::int64_t ir_version_of_opset(int opset);

constexpr std::size_t kFewNumbers = 16;  // as many as a node's parameters have

/// What the skeleton of a model does not say of its initializers.
struct OnnxValue {
  std::string name;
  std::int32_t data_type = 0;
  int rank = 0;
  std::vector<float> few;  ///< its numbers, if they are float32 and few
};

/// Names that no value or node of a model has.
class OnnxNames {
 public:
  OnnxNames(onnx::ModelProto& model, const std::vector<OnnxValue>& initializers);
  std::string fresh(const std::string& wish);

 private:
  void take(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes);

  std::set<std::string> names_;
  std::map<std::string, int> next_;  // what a wish that was taken gets behind it
};

/// Calls of each graph within a graph, itself first.
void for_each_graph(onnx::GraphProto& graph, const std::function<void(onnx::GraphProto&)>& each);

/// The same of each graph that is an attribute of these nodes.
void for_each_body(google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes,
                   const std::function<void(onnx::GraphProto&)>& each);

/// Rewrites the nodes of ONNX's own domain so that they mean in `opset` what they mean now, and the
/// model to import it; one that imports it or a later one is left as it is. Throws InputError
/// naming the node that cannot be rewritten.
void raise_opset(onnx::ModelProto& model, int opset, const std::vector<OnnxValue>& initializers,
                 OnnxNames& names, const std::string& path);

}  // namespace zeropoint
