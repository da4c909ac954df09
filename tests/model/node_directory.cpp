#include "model/node_directory.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/model/executor.hpp"
#include "zeropoint/model/onnx_file.hpp"

#include "model/convert.hpp"

namespace zeropoint::testing {
namespace {

namespace fs = std::filesystem;
using model::Value;

bool equal(const Value& a, const Value& b, std::size_t i) {
  const auto& row = model::info(a.type());
  if (row.bits <= 8) return model::code_at(a, i) == model::code_at(b, i);
  const auto width = static_cast<std::size_t>(row.bits / 8);
  if (std::ranges::equal(a.bytes().subspan(i * width, width), b.bytes().subspan(i * width, width)))
    return true;
  return row.is_float() && std::isnan(model::double_at(a, i)) && std::isnan(model::double_at(b, i));
}

model::Shape position(const model::Shape& shape, std::size_t index) {
  model::Shape at(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    at[axis] = static_cast<std::int64_t>(index % static_cast<std::size_t>(shape[axis]));
    index /= static_cast<std::size_t>(shape[axis]);
  }
  return at;
}

std::string difference(const std::string& name, const Value& expected, const Value& found) {
  if (expected.type() != found.type()) {
    return fmt::format("output {} has another type: expected {}, found {}", name,
                       model::name(expected.type()), model::name(found.type()));
  }
  if (expected.shape() != found.shape()) {
    return fmt::format("output {} has another shape: expected {}, found {}", name,
                       model::to_string(expected.shape()), model::to_string(found.shape()));
  }
  std::size_t count = 0, first = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (equal(expected, found, i)) continue;
    if (count++ == 0) first = i;
  }
  if (count == 0) return "";
  return fmt::format("output {} differs at {}: expected {}, found {} ({} of {} elements)", name,
                     model::to_string(position(expected.shape(), first)),
                     element_text(expected, first), element_text(found, first), count,
                     expected.size());
}

// input_0.pb, input_1.pb … until one is missing.
std::vector<Value> read_numbered(const fs::path& folder, const std::string& kind) {
  std::vector<Value> values;
  for (;;) {
    const fs::path file = folder / fmt::format("{}_{}.pb", kind, values.size());
    if (!fs::exists(file)) return values;
    values.push_back(model::read_onnx_tensor(file).value);
  }
}

std::string run_set(const model::Model& model, const fs::path& folder) {
  const auto given = read_numbered(folder, "input");
  const auto expected = read_numbered(folder, "output");
  const auto& graph = model.graph;
  if (given.size() > graph.inputs.size() || expected.size() != graph.outputs.size()) {
    return fmt::format("expected files for {} inputs and {} outputs, found {} and {}",
                       graph.inputs.size(), graph.outputs.size(), given.size(), expected.size());
  }
  std::map<std::string, Value> inputs;
  for (std::size_t i = 0; i < given.size(); ++i) inputs.emplace(graph.inputs[i].name, given[i]);
  const auto found = model::run(model, inputs);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::string text = difference(graph.outputs[i].name, expected[i], found[i]);
    if (!text.empty()) return text;
  }
  return "";
}

std::string run_directory(const fs::path& folder) {
  if (!fs::is_directory(folder)) return "expected a folder, found none";
  std::vector<fs::path> sets;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("test_data_set_"))
      sets.push_back(entry.path());
  }
  std::ranges::sort(sets);
  if (sets.empty()) return "expected folders test_data_set_*, found none";
  const auto model = model::read_onnx(folder / "model.onnx");
  for (const auto& set : sets) {
    const std::string text = run_set(model, set);
    if (!text.empty()) {
      return sets.size() == 1 ? text : set.filename().string() + ": " + text;
    }
  }
  return "";
}

}  // namespace

std::string run_node_directory(const fs::path& folder) {
  try {
    return run_directory(folder);
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::string directory_name(const fs::path& folder) {
  const fs::path plain = folder.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}

}  // namespace zeropoint::testing
