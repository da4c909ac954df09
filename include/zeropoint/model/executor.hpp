#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/model/graph.hpp"

namespace zeropoint::model {

/// Runs the nodes in their order and returns the graph's outputs, in theirs. Initializers serve
/// where no input of that name is given. Throws InputError if an input is missing, is unknown, or
/// is not of the declared type or shape; if a node reads what nothing made before it; if an
/// operator, or its version or an attribute, is not in the list; and for whatever the operators
/// refuse, with the node named.
std::vector<Value> run(const Model& model, const std::map<std::string, Value>& inputs);

/// The operators there are, sorted.
std::vector<std::string_view> operator_names();

}  // namespace zeropoint::model
