#include "zeropoint/model/executor.hpp"

#include <algorithm>
#include <new>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "model/operators/operator.hpp"

namespace zeropoint::model {
namespace {

// "node 'conv1' (ConvInteger)"
std::string title(const Node& node) {
  return fmt::format("node '{}' ({})", printable(node.name), printable(node.op_type));
}

void check_input(const GraphValue& declared, const Value& found) {
  if (declared.type && *declared.type != found.type()) {
    throw InputError(fmt::format("input '{}': expected elements of type {}, found {}",
                                 printable(declared.name), name(*declared.type),
                                 name(found.type())));
  }
  if (!declared.shape) return;
  const auto fits = [](std::int64_t size, std::int64_t actual) {
    return size == -1 || size == actual;
  };
  if (!std::ranges::equal(*declared.shape, found.shape(), fits)) {
    throw InputError(fmt::format("input '{}': expected shape {} (-1: any), found {}",
                                 printable(declared.name), to_string(*declared.shape),
                                 to_string(found.shape())));
  }
}

std::int64_t opset_of(const Model& model, const Node& node) {
  const auto found = model.opsets.find(node.domain);
  if (found == model.opsets.end()) {
    throw InputError(fmt::format("{}: expected its domain '{}' among the model's operator sets",
                                 title(node), printable(node.domain)));
  }
  return found->second;
}

const Operator& operator_of(const Node& node, std::int64_t opset) {
  const Operator* row = node.domain.empty() ? find_operator(node.op_type) : nullptr;
  if (row == nullptr) {
    throw InputError(fmt::format(
        "{}: expected a supported operator, found '{}' of domain '{}'; the nearest is {}",
        title(node), printable(node.op_type), printable(node.domain),
        nearest_word(node.op_type, operator_names())));
  }
  if (opset < row->since) {
    throw InputError(fmt::format("{}: expected operator set {} or later, found {}", title(node),
                                 row->since, opset));
  }
  if (node.inputs.size() < row->min_inputs || node.inputs.size() > row->max_inputs) {
    throw InputError(fmt::format("{}: expected {} to {} inputs, found {}", title(node),
                                 row->min_inputs, row->max_inputs, node.inputs.size()));
  }
  for (const auto& [attribute, value] : node.attributes) {
    if (std::ranges::find(row->attributes, attribute) == row->attributes.end()) {
      throw InputError(fmt::format("{}: expected attributes among {}; found '{}'", title(node),
                                   join_words(row->attributes), printable(attribute)));
    }
  }
  return *row;
}

// Tensors by name while the nodes run. What a node made goes when its last reader has run.
class Workspace {
 public:
  Workspace(const Graph& graph, const std::map<std::string, Value>& inputs) {
    for (const auto& [name, value] : graph.initializers) given_[name] = &value;
    std::unordered_set<std::string> declared;
    for (const GraphValue& input : graph.inputs) {
      if (!declared.insert(input.name).second) {
        throw InputError(
            fmt::format("input '{}': expected it once, found it twice", printable(input.name)));
      }
      const auto found = inputs.find(input.name);
      if (found != inputs.end()) {
        check_input(input, found->second);
        given_[input.name] = &found->second;
      } else if (!given_.contains(input.name)) {
        throw InputError(
            fmt::format("input '{}': expected a tensor, found none", printable(input.name)));
      }
    }
    for (const auto& [name, value] : inputs) {
      if (!declared.contains(name)) {
        throw InputError(
            fmt::format("input '{}': expected one of the model's inputs", printable(name)));
      }
    }
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& name : graph.nodes[i].inputs) last_reader_[name] = i;
    }
    for (const GraphValue& output : graph.outputs) last_reader_[output.name] = graph.nodes.size();
  }

  const Value* find(const std::string& name) const {
    if (const auto given = given_.find(name); given != given_.end()) return given->second;
    const auto made = made_.find(name);
    return made == made_.end() ? nullptr : &made->second;
  }

  void put(const Node& node, std::size_t index, std::vector<Value> values) {
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const std::string& name = node.outputs[i];
      if (name.empty()) continue;
      if (i >= values.size()) {
        throw InputError(fmt::format("{}: expected at most {} outputs, found {}", title(node),
                                     values.size(), node.outputs.size()));
      }
      if (given_.contains(name) || !ever_made_.insert(name).second) {
        throw InputError(fmt::format("{}: expected a new name for its output, found '{}' again",
                                     title(node), printable(name)));
      }
      if (last_reader_.contains(name)) made_.emplace(name, std::move(values[i]));
    }
    for (const std::string& name : node.inputs) {
      if (last_reader_[name] == index) made_.erase(name);
    }
  }

 private:
  std::unordered_map<std::string, const Value*> given_;
  std::unordered_map<std::string, Value> made_;
  std::unordered_set<std::string> ever_made_;
  std::unordered_map<std::string, std::size_t> last_reader_;
};

std::vector<Value> run_node(const Model& model, const Node& node, const Workspace& workspace) {
  const std::int64_t opset = opset_of(model, node);
  const Operator& row = operator_of(node, opset);
  std::vector<const Value*> inputs;
  for (const std::string& name : node.inputs) {
    const Value* value = name.empty() ? nullptr : workspace.find(name);
    if (value == nullptr && !name.empty()) {
      throw InputError(fmt::format("{}: expected its input '{}' to be made before it, found none",
                                   title(node), printable(name)));
    }
    inputs.push_back(value);
  }
  try {
    return row.run(Arguments(node, opset, std::move(inputs)));
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", title(node), error.what()));
  } catch (const std::bad_alloc&) {
    throw WorkError(fmt::format("{}: memory does not suffice", title(node)));
  }
}

}  // namespace

std::vector<Value> run(const Model& model, const std::map<std::string, Value>& inputs) {
  const Graph& graph = model.graph;
  Workspace workspace(graph, inputs);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    workspace.put(graph.nodes[i], i, run_node(model, graph.nodes[i], workspace));
  }
  std::vector<Value> outputs;
  for (const GraphValue& output : graph.outputs) {
    const Value* value = workspace.find(output.name);
    if (value == nullptr) {
      throw InputError(fmt::format("output '{}': expected a node that makes it, found none",
                                   printable(output.name)));
    }
    outputs.push_back(*value);
  }
  return outputs;
}

std::vector<std::string_view> operator_names() {
  std::vector<std::string_view> names;
  for (const Operator& row : operators()) names.push_back(row.name);
  std::ranges::sort(names);
  return names;
}

}  // namespace zeropoint::model
