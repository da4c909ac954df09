#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "zeropoint/model/executor.hpp"

#include "model/convert.hpp"

namespace zeropoint::testing {

using model::Attribute;
using model::ElementType;
using model::Shape;
using model::Value;

using Attributes = std::map<std::string, Attribute>;
using Integers = std::vector<std::int64_t>;

inline Value integers(ElementType type, Shape shape, const Integers& x) {
  return model::from_integers(type, std::move(shape), x);
}
inline Value floats(ElementType type, Shape shape, const std::vector<double>& x) {
  return model::from_doubles(type, std::move(shape), x);
}
inline Value floats(Shape shape, const std::vector<double>& x) {
  return floats(ElementType::float32, std::move(shape), x);
}
inline std::int64_t number(ElementType type) { return static_cast<std::int64_t>(type); }

/// The bits of each element, as stored.
inline std::vector<std::uint32_t> codes(const Value& value) {
  std::vector<std::uint32_t> result;
  for (std::size_t i = 0; i < value.size(); ++i) result.push_back(model::code_at(value, i));
  return result;
}

/// A model of one node: inputs i0, i1 … (null: left out), outputs o0, o1 ….
inline model::Model model_of(const std::string& op, const std::vector<const Value*>& inputs,
                             const Attributes& attributes, int outputs = 1,
                             std::int64_t opset = 25) {
  model::Model result;
  result.opsets[""] = opset;
  model::Node node{"n", op, "", {}, {}, attributes};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = inputs[i] == nullptr ? "" : "i" + std::to_string(i);
    node.inputs.push_back(name);
    if (inputs[i] != nullptr) result.graph.inputs.push_back({name, {}, {}});
  }
  for (int i = 0; i < outputs; ++i) {
    node.outputs.push_back("o" + std::to_string(i));
    result.graph.outputs.push_back({node.outputs.back(), {}, {}});
  }
  result.graph.nodes.push_back(std::move(node));
  return result;
}

inline std::vector<Value> run_all(const std::string& op, const std::vector<const Value*>& inputs,
                                  const Attributes& attributes = {}, int outputs = 1,
                                  std::int64_t opset = 25) {
  std::map<std::string, Value> given;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] != nullptr) given.emplace("i" + std::to_string(i), *inputs[i]);
  }
  return model::run(model_of(op, inputs, attributes, outputs, opset), given);
}

/// The only output of one node.
inline Value run_one(const std::string& op, const std::vector<Value>& inputs,
                     const Attributes& attributes = {}, std::int64_t opset = 25) {
  std::vector<const Value*> pointers;
  for (const Value& input : inputs) pointers.push_back(&input);
  return run_all(op, pointers, attributes, 1, opset)[0];
}

}  // namespace zeropoint::testing
