#include "zeropoint/model/onnx_file.hpp"

#include <fstream>
#include <google/protobuf/stubs/logging.h>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "model/onnx_tensor.hpp"

namespace zeropoint::model {
namespace {

template <class Message>
Message parse(const std::filesystem::path& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  // A folder opens, too, but gives nothing.
  if (!file || !std::filesystem::is_regular_file(path)) {
    throw InputError(
        fmt::format("{}: expected a file that can be read, found none", printable(path.string())));
  }
  Message message;
  const google::protobuf::LogSilencer silence;  // this library does not print
  if (!message.ParseFromIstream(&file)) {
    throw InputError(
        fmt::format("{}: expected {}, found bytes that are none", printable(path.string()), what));
  }
  return message;
}

std::string_view kind_name(const onnx::AttributeProto& attribute) {
  switch (attribute.type()) {
    case onnx::AttributeProto::GRAPH:
    case onnx::AttributeProto::GRAPHS:
      return "graph";
    case onnx::AttributeProto::SPARSE_TENSOR:
    case onnx::AttributeProto::SPARSE_TENSORS:
      return "sparse tensor";
    case onnx::AttributeProto::TENSORS:
      return "list of tensors";
    case onnx::AttributeProto::TYPE_PROTO:
    case onnx::AttributeProto::TYPE_PROTOS:
      return "type";
    default:
      return "unknown kind";
  }
}

Attribute read_attribute(const onnx::AttributeProto& attribute, const std::string& where) {
  if (!attribute.ref_attr_name().empty()) return UnreadAttribute{"reference to a function's"};
  switch (attribute.type()) {
    case onnx::AttributeProto::INT:
      return attribute.i();
    case onnx::AttributeProto::FLOAT:
      return attribute.f();
    case onnx::AttributeProto::STRING:
      return attribute.s();
    case onnx::AttributeProto::INTS:
      return std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end());
    case onnx::AttributeProto::FLOATS:
      return std::vector<float>(attribute.floats().begin(), attribute.floats().end());
    case onnx::AttributeProto::STRINGS:
      return std::vector<std::string>(attribute.strings().begin(), attribute.strings().end());
    case onnx::AttributeProto::TENSOR:
      return read_tensor(attribute.t(), where);
    default:
      return UnreadAttribute{std::string(kind_name(attribute))};
  }
}

Node read_node(const onnx::NodeProto& proto, const std::string& where) {
  Node node;
  node.name = proto.name();
  node.op_type = proto.op_type();
  node.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const auto& attribute : proto.attribute()) {
    const std::string of =
        fmt::format("{}: attribute '{}' of node '{}' ({})", where, printable(attribute.name()),
                    printable(node.name), printable(node.op_type));
    if (!node.attributes.emplace(attribute.name(), read_attribute(attribute, of)).second) {
      throw InputError(fmt::format("{}: expected it once, found it twice", of));
    }
  }
  return node;
}

GraphValue read_graph_value(const onnx::ValueInfoProto& proto, const std::string& where) {
  GraphValue value{proto.name(), {}, {}};
  if (!proto.has_type()) return value;
  const std::string of = fmt::format("{}: '{}'", where, printable(proto.name()));
  if (!proto.type().has_tensor_type()) {
    throw InputError(
        fmt::format("{}: expected a tensor, found another type, which is not supported", of));
  }
  const auto& type = proto.type().tensor_type();
  if (type.elem_type() != onnx::TensorProto::UNDEFINED) {
    value.type = element_type(type.elem_type(), of);
  }
  if (type.has_shape()) {
    value.shape.emplace();
    for (const auto& dim : type.shape().dim()) {
      value.shape->push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : -1);
    }
  }
  return value;
}

Graph read_graph(const onnx::GraphProto& proto, const std::string& where) {
  Graph graph;
  graph.name = proto.name();
  if (proto.sparse_initializer_size() > 0) {
    throw InputError(fmt::format(
        "{}: expected dense initializers, found a sparse one, which is not supported", where));
  }
  for (const auto& tensor : proto.initializer()) {
    const std::string of = fmt::format("{}: initializer '{}'", where, printable(tensor.name()));
    if (!graph.initializers.emplace(tensor.name(), read_tensor(tensor, of)).second) {
      throw InputError(fmt::format("{}: expected one of that name, found two", of));
    }
  }
  for (const auto& input : proto.input()) graph.inputs.push_back(read_graph_value(input, where));
  for (const auto& output : proto.output()) {
    graph.outputs.push_back(read_graph_value(output, where));
  }
  for (const auto& node : proto.node()) graph.nodes.push_back(read_node(node, where));
  return graph;
}

}  // namespace

Model read_onnx(const std::filesystem::path& path) {
  const auto proto = parse<onnx::ModelProto>(path, "an ONNX model");
  const std::string where = printable(path.string());
  Model model;
  model.ir_version = proto.ir_version();
  for (const auto& opset : proto.opset_import()) {
    const std::string domain = opset.domain() == "ai.onnx" ? "" : opset.domain();
    model.opsets.emplace(domain, opset.version());
  }
  if (!proto.has_graph()) {
    throw InputError(fmt::format("{}: expected an ONNX model, found none with a graph", where));
  }
  model.graph = read_graph(proto.graph(), where);
  return model;
}

NamedValue read_onnx_tensor(const std::filesystem::path& path) {
  const auto proto = parse<onnx::TensorProto>(path, "an ONNX tensor");
  return {proto.name(), read_tensor(proto, printable(path.string()))};
}

}  // namespace zeropoint::model
