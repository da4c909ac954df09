#include "io/onnx_opset.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

// Source: the schemas of ONNX 1.22, each operator's versions beside the one before: those are
// listed whose attributes or inputs went away, or whose defaults or meaning changed.

namespace zeropoint {
namespace {

constexpr int kOldest = 7;  // before it, broadcasting was an attribute
constexpr int kNewest = 25;

bool is_own(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using Opsets = google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>;

struct Known {
  std::int32_t data_type = 0;
  int rank = -1;
  std::vector<float> few;  // numbers, where they are constant float32
};

// One node on its way to a later operator set.
class Rewrite {
 public:
  Rewrite(onnx::NodeProto& of, int opset, const std::map<std::string, Known>& known,
          bool only_float32, OnnxNames& names)
      : node(of), target(opset), known_(known), only_float32_(only_float32), names_(names) {}

  onnx::NodeProto& node;
  const int target;
  std::vector<onnx::NodeProto> before, after;  // nodes that come with it
  std::string reason;                          // why it cannot be rewritten

  const onnx::AttributeProto* find(std::string_view name) const {
    for (const auto& row : node.attribute()) {
      if (row.name() == name) return &row;
    }
    return nullptr;
  }
  std::optional<onnx::AttributeProto> take(std::string_view name) {
    for (int i = 0; i < node.attribute_size(); ++i) {
      if (node.attribute(i).name() != name) continue;
      onnx::AttributeProto found = node.attribute(i);
      node.mutable_attribute()->DeleteSubrange(i, 1);
      return found;
    }
    return std::nullopt;
  }
  static void set(onnx::NodeProto& node, const char* name, std::int64_t value) {
    auto& row = *node.add_attribute();
    row.set_name(name);
    row.set_type(onnx::AttributeProto::INT);
    row.set_i(value);
  }
  static void set(onnx::NodeProto& node, const char* name, const char* value) {
    auto& row = *node.add_attribute();
    row.set_name(name);
    row.set_type(onnx::AttributeProto::STRING);
    row.set_s(value);
  }
  void set_input(int index, const std::string& name) {
    while (node.input_size() <= index) node.add_input();
    node.set_input(index, name);
  }
  // A constant of its own; by a node, which may stand in a body of Loop or If as well.
  void integers(int index, const char* what, const std::vector<std::int64_t>& values,
                bool is_scalar = false) {
    onnx::TensorProto tensor;
    tensor.set_data_type(onnx::TensorProto::INT64);
    if (!is_scalar) tensor.add_dims(static_cast<std::int64_t>(values.size()));
    for (const std::int64_t value : values) tensor.add_int64_data(value);
    set_input(index, constant(what, tensor));
  }
  void floats(int index, const char* what, const std::vector<float>& values, bool is_scalar) {
    onnx::TensorProto tensor;
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    if (!is_scalar) tensor.add_dims(static_cast<std::int64_t>(values.size()));
    for (const float value : values) tensor.add_float_data(value);
    set_input(index, constant(what, tensor));
  }
  // `what` of a node, as an attribute, becomes input `index`.
  bool integers_from(const char* what, int index) {
    const auto found = take(what);
    if (!found) return false;
    if (found->ints_size() == 0 && std::string_view(what) == "axes")
      return false;  // all, as without
    integers(index, what, {found->ints().begin(), found->ints().end()});
    return true;
  }
  // A bound has the type of the data.
  void bound_from(const char* what, int index) {
    const auto found = take(what);
    if (!found) return;
    if (!is_float32(node.input(0))) {
      reason = fmt::format("'{}' may not be float32", printable(node.input(0)));
      return;
    }
    floats(index, what, {found->f()}, true);
  }
  bool is_float32(const std::string& name) const {
    const auto row = known_.find(name);
    if (row != known_.end() && row->second.data_type != 0) {
      return row->second.data_type == onnx::TensorProto::FLOAT;
    }
    return only_float32_;
  }
  int rank(const std::string& name) const {
    const auto row = known_.find(name);
    return row == known_.end() ? -1 : row->second.rank;
  }
  std::span<const float> numbers(const std::string& name) const {
    for (const auto& made : before) {
      if (made.output(0) != name) continue;
      const auto& values = made.attribute(0).t().float_data();
      return {values.data(), static_cast<std::size_t>(values.size())};
    }
    const auto row = known_.find(name);
    return row == known_.end() ? std::span<const float>() : row->second.few;
  }
  std::string fresh(const char* what) {
    return names_.fresh(
        fmt::format("{}_{}", node.name().empty() ? node.output(0) : node.name(), what));
  }
  static onnx::NodeProto make(const char* type, const std::string& name,
                              const std::vector<std::string>& inputs, const std::string& output) {
    onnx::NodeProto result;
    result.set_op_type(type);
    result.set_name(name);
    for (const auto& input : inputs) result.add_input(input);
    result.add_output(output);
    return result;
  }

 private:
  std::string constant(const char* what, const onnx::TensorProto& tensor) {
    const std::string name = fresh(what);
    onnx::NodeProto made = make("Constant", name, {}, name);
    auto& row = *made.add_attribute();
    row.set_name("value");
    row.set_type(onnx::AttributeProto::TENSOR);
    *row.mutable_t() = tensor;
    before.push_back(std::move(made));
    return name;
  }

  const std::map<std::string, Known>& known_;
  bool only_float32_;
  OnnxNames& names_;
};

void axes_to_input(Rewrite& r) { r.integers_from("axes", 1); }

void refuse_changed(Rewrite& r) { r.reason = "its meaning changed"; }

void batch_normalization_9(Rewrite& r) {
  const auto spatial = r.take("spatial");
  if (spatial && spatial->i() == 0) r.reason = "spatial 0 is gone";
}

void batch_normalization_14(Rewrite& r) {
  while (r.node.output_size() > 1 && r.node.output(r.node.output_size() - 1).empty()) {
    r.node.mutable_output()->RemoveLast();
  }
  if (r.node.output_size() > 1) r.reason = "outputs of training are others";
}

void upsample_9(Rewrite& r) {
  const auto scales = r.take("scales");
  if (!scales) {
    r.reason = "it has no scales";
    return;
  }
  r.floats(1, "scales", {scales->floats().begin(), scales->floats().end()}, false);
}

void upsample_10(Rewrite& r) { r.node.set_op_type("Resize"); }

// Until then a coordinate was divided by the scale and, for the nearest, cut off.
void resize_11(Rewrite& r) {
  const onnx::AttributeProto* const mode = r.find("mode");
  const bool is_nearest = mode == nullptr || mode->s() == "nearest";
  const std::string scales = r.node.input_size() > 1 ? r.node.input(1) : std::string();
  const auto values = r.numbers(scales);
  const bool is_larger =
      !values.empty() && std::ranges::all_of(values, [](float scale) { return scale >= 1; });
  if (is_nearest && !is_larger) {
    r.reason =
        "the nearest of a smaller size was another, and its scales are not known to be 1 or more";
    return;
  }
  r.set_input(1, "");
  r.set_input(2, scales);
  Rewrite::set(r.node, "coordinate_transformation_mode", "asymmetric");
  if (is_nearest) Rewrite::set(r.node, "nearest_mode", "floor");
}

void resize_13(Rewrite& r) {
  const onnx::AttributeProto* const mode = r.find("coordinate_transformation_mode");
  if (mode != nullptr && mode->s() == "tf_half_pixel_for_nn") {
    r.reason = "its coordinates, tf_half_pixel_for_nn, are no more from opset 13 on";
  }
}

void clip_11(Rewrite& r) {
  r.bound_from("min", 1);
  r.bound_from("max", 2);
}

void dropout_10(Rewrite& r) {
  if (r.node.output_size() > 1 && !r.node.output(1).empty()) r.reason = "its mask was another";
}

// Without training nothing is dropped; of what the mask is then, older sets say nothing.
void dropout_12(Rewrite& r) {
  dropout_10(r);
  r.take("ratio");
}

void slice_10(Rewrite& r) {
  const bool whole = r.integers_from("starts", 1) && r.integers_from("ends", 2);
  if (!whole) r.reason = "it has no starts or no ends";
  r.integers_from("axes", 3);
}

void pad_11(Rewrite& r) {
  if (!r.integers_from("pads", 1)) r.reason = "it has no pads";
  const onnx::AttributeProto* const value = r.find("value");
  if (value != nullptr && value->f() == 0) {
    r.take("value");
  } else {
    r.bound_from("value", 2);
  }
}

void topk_10(Rewrite& r) {
  const auto k = r.take("k");
  if (k) {
    r.integers(1, "k", {k->i()});
  } else {
    r.reason = "it has no k";
  }
}

void unsqueeze_13(Rewrite& r) {
  if (!r.integers_from("axes", 1)) r.reason = "it has no axes";
}

void split_13(Rewrite& r) { r.integers_from("split", 1); }

void split_18(Rewrite& r) {
  const bool is_given = r.node.input_size() > 1 && !r.node.input(1).empty();
  if (!is_given) Rewrite::set(r.node, "num_outputs", r.node.output_size());
}

// Softmax and its like took all axes from `axis` on as one; now they take that one alone.
void softmax_13(Rewrite& r) {
  const auto found = r.take("axis");
  std::int64_t axis = found ? found->i() : 1;
  const int rank = r.rank(r.node.input(0));
  if (axis == -1 || (rank >= 0 && axis == rank - 1)) {
    Rewrite::set(r.node, "axis", -1);
    return;
  }
  const std::string input = r.node.input(0), output = r.node.output(0);
  const std::string shape = r.fresh("shape"), flat = r.fresh("flat"), result = r.fresh("result");
  r.before.push_back(Rewrite::make("Shape", shape, {input}, shape));
  r.before.push_back(Rewrite::make("Flatten", flat, {input}, flat));
  Rewrite::set(r.before.back(), "axis", axis);
  r.node.set_input(0, flat);
  r.node.set_output(0, result);
  Rewrite::set(r.node, "axis", -1);
  r.after.push_back(Rewrite::make("Reshape", result, {result, shape}, output));
  if (r.target >= 14) Rewrite::set(r.after.back(), "allowzero", 1);
}

void scatter_11(Rewrite& r) { r.node.set_op_type("ScatterElements"); }

void roi_align_16(Rewrite& r) {
  Rewrite::set(r.node, "coordinate_transformation_mode", "output_half_pixel");
}

void dft_20(Rewrite& r) {
  const auto axis = r.take("axis");
  r.integers(2, "axis", {axis ? axis->i() : 1}, true);
}

void grid_sample_20(Rewrite& r) {
  const auto mode = r.take("mode");
  if (!mode) return;
  const std::string name = mode->s() == "bilinear"  ? "linear"
                           : mode->s() == "bicubic" ? "cubic"
                                                    : mode->s();
  Rewrite::set(r.node, "mode", name.c_str());
}

struct Change {
  std::string_view type;
  int opset;  // the first that changed it
  void (*rewrite)(Rewrite&);
};

// In the order of the operator sets: what one makes, a later one may change.
constexpr Change kChanges[] = {
    {"BatchNormalization", 9, batch_normalization_9},
    {"Scan", 9, refuse_changed},
    {"Upsample", 9, upsample_9},
    {"Dropout", 10, dropout_10},
    {"Slice", 10, slice_10},
    {"TopK", 10, topk_10},
    {"Upsample", 10, upsample_10},
    {"Clip", 11, clip_11},
    {"Pad", 11, pad_11},
    {"Resize", 11, resize_11},
    {"Scatter", 11, scatter_11},
    {"Dropout", 12, dropout_12},
    {"Hardmax", 13, softmax_13},
    {"LogSoftmax", 13, softmax_13},
    {"ReduceSum", 13, axes_to_input},
    {"Resize", 13, resize_13},
    {"Softmax", 13, softmax_13},
    {"Split", 13, split_13},
    {"Squeeze", 13, axes_to_input},
    {"Unsqueeze", 13, unsqueeze_13},
    {"BatchNormalization", 14, batch_normalization_14},
    {"RoiAlign", 16, roi_align_16},
    {"ReduceL1", 18, axes_to_input},
    {"ReduceL2", 18, axes_to_input},
    {"ReduceLogSum", 18, axes_to_input},
    {"ReduceLogSumExp", 18, axes_to_input},
    {"ReduceMax", 18, axes_to_input},
    {"ReduceMean", 18, axes_to_input},
    {"ReduceMin", 18, axes_to_input},
    {"ReduceProd", 18, axes_to_input},
    {"ReduceSumSquare", 18, axes_to_input},
    {"Split", 18, split_18},
    {"DFT", 20, dft_20},
    {"GridSample", 20, grid_sample_20},
    {"GroupNormalization", 21, refuse_changed},
};

// By operator set: which ir_version came with it.
constexpr std::pair<int, int> kIrVersions[] = {{8, 3},   {9, 4},   {10, 5}, {11, 6},
                                               {14, 7},  {18, 8},  {20, 9}, {22, 10},
                                               {23, 11}, {24, 12}, {25, 13}};

// The numbers of a Constant or of a body's initializer.
std::vector<float> few_of(const onnx::TensorProto& tensor) {
  if (tensor.data_type() != onnx::TensorProto::FLOAT) return {};
  const std::string& raw = tensor.raw_data();
  std::vector<float> values(raw.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
  values.insert(values.end(), tensor.float_data().begin(), tensor.float_data().end());
  return values.size() <= kFewNumbers ? values : std::vector<float>();
}

void note(std::map<std::string, Known>& known, const onnx::ValueInfoProto& value) {
  if (!value.type().has_tensor_type()) return;
  const auto& type = value.type().tensor_type();
  Known& row = known[value.name()];  // of an initializer that is an input as well, the rest stays
  row.data_type = type.elem_type();
  if (type.has_shape()) row.rank = type.shape().dim_size();
}

// Whether any tensor of another floating type is mentioned: where types of data are not, they are
// float32 then.
bool mentions_others(onnx::GraphProto& graph, const std::map<std::string, Known>& known) {
  const auto is_other = [](std::int64_t type) {
    return type == onnx::TensorProto::FLOAT16 || type == onnx::TensorProto::DOUBLE ||
           type == onnx::TensorProto::BFLOAT16;
  };
  bool found =
      std::ranges::any_of(known, [&](const auto& row) { return is_other(row.second.data_type); });
  for_each_graph(graph, [&](onnx::GraphProto& inner) {
    for (const auto& node : inner.node()) {
      for (const auto& row : node.attribute()) {
        const bool is_type =
            (node.op_type() == "Cast" && row.name() == "to") || row.name() == "dtype";
        found = found || (is_type && is_other(row.i())) || is_other(row.t().data_type());
      }
    }
  });
  return found;
}

// Of ONNX's own domain; 0 if none is imported.
std::int64_t opset_of(const Opsets& opsets) {
  std::int64_t found = 0;
  for (const auto& row : opsets) {
    if (is_own(row.domain())) found = std::max(found, row.version());
  }
  return found;
}

void set_opset(Opsets& opsets, int opset) {
  bool is_set = false;
  for (auto& row : opsets) {
    if (!is_own(row.domain())) continue;
    row.set_version(opset);
    is_set = true;
  }
  if (is_set) return;
  auto& row = *opsets.Add();
  row.set_domain("");
  row.set_version(opset);
}

struct Raising {
  const std::string& path;
  std::int64_t from;
  int opset;
  const std::map<std::string, Known>& known;
  bool only_float32;
  OnnxNames& names;

  [[noreturn]] void refuse(const onnx::NodeProto& node, std::string_view reason) const {
    const bool is_named = !node.name().empty() || node.output_size() == 0;
    throw InputError(fmt::format("{}: node '{}' ({}) of opset {} cannot be raised to {}: {}",
                                 printable(path),
                                 printable(is_named ? node.name() : node.output(0)),
                                 printable(node.op_type()), from, opset, reason));
  }

  void nodes(Nodes& all) const {
    Nodes old;
    old.Swap(&all);
    for (auto& node : old) {
      std::vector<onnx::NodeProto> before, after;
      // Constants and the like did not change; nodes without results mean nothing.
      if (is_own(node.domain())) {
        if (from < kOldest) refuse(node, fmt::format("only from opset {} on", kOldest));
        if (node.output_size() != 0 && node.input_size() != 0) {
          Rewrite rewrite(node, opset, known, only_float32, names);
          for (const auto& change : kChanges) {
            const bool is_due = change.opset > from && change.opset <= opset;
            if (!is_due || change.type != node.op_type()) continue;
            for (const auto& row : node.attribute()) {
              if (!row.ref_attr_name().empty()) refuse(node, "an attribute is its function's");
            }
            change.rewrite(rewrite);
            if (!rewrite.reason.empty()) refuse(node, rewrite.reason);
          }
          before = std::move(rewrite.before);
          after = std::move(rewrite.after);
        }
      }
      for (auto& row : before) all.Add()->Swap(&row);
      all.Add()->Swap(&node);
      for (auto& row : after) all.Add()->Swap(&row);
    }
  }
};

}  // namespace

std::int64_t ir_version_of_opset(int opset) {
  for (const auto& [last, ir] : kIrVersions) {
    if (opset <= last) return ir;
  }
  return std::end(kIrVersions)[-1].second;
}

OnnxNames::OnnxNames(onnx::ModelProto& model, const std::vector<OnnxValue>& initializers) {
  for (const auto& row : initializers) names_.insert(row.name);
  for_each_graph(*model.mutable_graph(), [this](onnx::GraphProto& inner) {
    for (const auto& row : inner.input()) names_.insert(row.name());
    for (const auto& row : inner.output()) names_.insert(row.name());
    for (const auto& row : inner.initializer()) names_.insert(row.name());
    for (const auto& row : inner.sparse_initializer()) names_.insert(row.values().name());
    take(inner.node());
  });
  for (auto& function : *model.mutable_functions()) {
    names_.insert(function.input().begin(), function.input().end());
    take(function.node());
    for_each_body(*function.mutable_node(),
                  [this](onnx::GraphProto& inner) { take(inner.node()); });
  }
}

void OnnxNames::take(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
  for (const auto& node : nodes) {
    names_.insert(node.name());
    names_.insert(node.input().begin(), node.input().end());
    names_.insert(node.output().begin(), node.output().end());
  }
}

std::string OnnxNames::fresh(const std::string& wish) {
  std::string name = wish;
  if (names_.insert(name).second) return name;
  // A stranger's nodes may all be named alike: each goes on where the one before ended.
  int& next = next_.try_emplace(wish, 2).first->second;
  do {
    name = fmt::format("{}_{}", wish, next++);
  } while (!names_.insert(name).second);
  return name;
}

void for_each_body(Nodes& nodes, const std::function<void(onnx::GraphProto&)>& each) {
  for (auto& node : nodes) {
    for (auto& row : *node.mutable_attribute()) {
      if (row.has_g()) for_each_graph(*row.mutable_g(), each);
      for (auto& inner : *row.mutable_graphs()) for_each_graph(inner, each);
    }
  }
}

void for_each_graph(onnx::GraphProto& graph, const std::function<void(onnx::GraphProto&)>& each) {
  each(graph);
  for_each_body(*graph.mutable_node(), each);
}

void raise_opset(onnx::ModelProto& model, int opset, const std::vector<OnnxValue>& initializers,
                 OnnxNames& names, const std::string& path) {
  if (opset_of(model.opset_import()) >= opset) return;
  if (opset > kNewest) {
    throw InputError(fmt::format("{}: expected an operator set of at most {}, found {}",
                                 printable(path), kNewest, opset));
  }
  if (model.training_info_size() > 0) {
    refuse_file(path, "a model whose operators can be raised", "one with training of its own");
  }
  std::map<std::string, Known> known;
  for (const auto& row : initializers) known[row.name] = {row.data_type, row.rank, row.few};
  for_each_graph(*model.mutable_graph(), [&](onnx::GraphProto& graph) {
    for (const auto& row : graph.input()) note(known, row);
    for (const auto& row : graph.output()) note(known, row);
    for (const auto& row : graph.value_info()) note(known, row);
    for (const auto& row : graph.initializer()) {
      known[row.name()] = {row.data_type(), row.dims_size(), few_of(row)};
    }
    for (const auto& node : graph.node()) {
      if (node.op_type() != "Constant" || node.output_size() != 1) continue;
      for (const auto& row : node.attribute()) {
        if (row.name() == "value") known[node.output(0)].few = few_of(row.t());
      }
    }
  });
  const bool only_float32 = !mentions_others(*model.mutable_graph(), known);
  Raising raising{path, opset_of(model.opset_import()), opset, known, only_float32, names};
  for_each_graph(*model.mutable_graph(),
                 [&](onnx::GraphProto& graph) { raising.nodes(*graph.mutable_node()); });
  set_opset(*model.mutable_opset_import(), opset);
  // A function's values have types with each call.
  const std::map<std::string, Known> nothing;
  for (auto& function : *model.mutable_functions()) {
    const std::int64_t from = opset_of(function.opset_import());
    if (from == 0 || from >= opset) continue;
    Raising inside{path, from, opset, nothing, false, names};
    inside.nodes(*function.mutable_node());
    for_each_body(*function.mutable_node(),
                  [&](onnx::GraphProto& graph) { inside.nodes(*graph.mutable_node()); });
    set_opset(*function.mutable_opset_import(), opset);
  }
}

}  // namespace zeropoint
