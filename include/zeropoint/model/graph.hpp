#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "zeropoint/model/value.hpp"

namespace zeropoint::model {

/// An attribute of a kind that is not read: a graph, a sparse tensor, a type.
struct UnreadAttribute {
  std::string kind;
};

using Attribute =
    std::variant<UnreadAttribute, std::int64_t, float, std::string, Value,
                 std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>>;

/// One operator at work. An input or output that is left out has an empty name.
struct Node {
  std::string name;
  std::string op_type;
  std::string domain;  ///< "" for ONNX's own operators
  std::vector<std::string> inputs, outputs;
  std::map<std::string, Attribute> attributes;
};

/// What a graph takes or gives. A size that the model leaves open is -1.
struct GraphValue {
  std::string name;
  std::optional<ElementType> type;  ///< none: not declared
  std::optional<Shape> shape;       ///< none: any rank
};

/// Nodes in an order in which each reads what was made before it.
struct Graph {
  std::string name;
  std::vector<GraphValue> inputs, outputs;
  std::map<std::string, Value> initializers;
  std::vector<Node> nodes;
};

struct Model {
  std::int64_t ir_version = 0;
  std::map<std::string, std::int64_t> opsets;  ///< domain ("" is ONNX's own) to version
  Graph graph;
};

}  // namespace zeropoint::model
