#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/model/graph.hpp"

namespace zeropoint::model {

/// What an operator is called with.
class Arguments {
 public:
  Arguments(const Node& node, std::int64_t opset, std::vector<const Value*> inputs)
      : node_(node), opset_(opset), inputs_(std::move(inputs)) {}

  /// The version of ONNX's operators that the model is written for.
  std::int64_t opset() const { return opset_; }
  std::size_t inputs() const { return inputs_.size(); }
  /// Input i. Throws InputError if the node leaves it out.
  const Value& input(std::size_t i) const;
  /// Input i, or null.
  const Value* optional_input(std::size_t i) const {
    return i < inputs_.size() ? inputs_[i] : nullptr;
  }

  /// The attribute; null if the node has none of that name. Throws InputError if it is of another
  /// kind.
  template <class T>
  const T* attribute(std::string_view name) const;
  template <class T>
  T attribute(std::string_view name, T otherwise) const {
    const T* found = attribute<T>(name);
    return found != nullptr ? *found : std::move(otherwise);
  }
  bool has(std::string_view name) const { return node_.attributes.contains(std::string(name)); }

 private:
  const Node& node_;
  std::int64_t opset_;
  std::vector<const Value*> inputs_;
};

/// A row of the list of operators.
struct Operator {
  std::string_view name;
  std::vector<Value> (*run)(const Arguments& arguments);
  /// The first and the last version of ONNX's operators whose rules the function knows.
  std::int64_t since;
  std::size_t min_inputs, max_inputs;
  std::vector<std::string_view> attributes;
};

/// Every operator there is: operator_list.cpp.
std::span<const Operator> operators();

/// Null if there is none of that name.
const Operator* find_operator(std::string_view name);

}  // namespace zeropoint::model
