#include "io/onnx_writer.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/onnx_opset.hpp"
#include "io/onnx_tensors.hpp"
#include "io/output_file.hpp"

namespace zeropoint {
namespace {

constexpr int kNewOpset = 13;  // of new models, where their tensors need no later one
constexpr int kPerAxis = 13, kBlocked = 21, kResultType = 23;  // of DequantizeLinear
constexpr std::int32_t kPowersOfTwo = 24;                      // FLOAT8E8M0
constexpr std::int64_t kLooseInitializers = 4;  // the ir_version since which they need be no inputs
constexpr std::size_t kLeastExternal = 1024;  // smaller ones stay inside, as ONNX's own tools do it
constexpr std::uint64_t kExternalAlignment = 4096;  // pages, so that the data can be mapped

std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

void put_tag(std::string& out, std::uint32_t field, std::uint64_t length) {
  out += static_cast<char>(field << 3 | 2);  // those here are below 16
  for (; length >= 0x80; length >>= 7) out += static_cast<char>(length | 0x80);
  out += static_cast<char>(length);
}

std::uint64_t field_size(std::uint64_t length) { return 1 + varint_size(length) + length; }

// The plan, checked, and the model that holds it but for the numbers.
class Skeleton {
 public:
  Skeleton(const std::string& path, const TensorFilePlan& plan, int opset)
      : path_(path), plan_(plan), source_(dynamic_cast<const OnnxFile*>(plan.source)) {
    read_plan();
    if (source_ != nullptr) {
      model = source_->skeleton();
    } else {
      model.set_producer_name("zeropoint");
      model.mutable_graph()->set_name("tensors");
    }
    opset_ = std::max(opset, source_ == nullptr ? kNewOpset : 0);
    std::vector<OnnxValue> values;
    for (const auto& tensor : tensors) values.push_back(value_of(tensor));
    if (source_ != nullptr) {
      for (const auto& old : source_->initializers()) {
        if (by_name_.contains(old.name)) continue;
        values.push_back({old.name, old.data_type, static_cast<int>(old.dims.size()), {}});
      }
      replace_initializers();
    }
    for (const auto& row : plan.dequantizations) {
      const auto rank = static_cast<int>(find(row.codes)->shape.size());
      values.push_back({row.name, result_type(row), rank, {}});
    }
    OnnxNames names(model, values);
    // Before the new nodes come, which are of the new operator set already.
    raise(values, names);
    add_nodes(names);
    for (const auto& [key, value] : plan.metadata) add_metadata(key, value);
  }

  onnx::ModelProto model;
  std::vector<StoredTensor> tensors;
  std::vector<const OnnxInitializer*> kept;  // text and complex numbers of the source

  const OnnxFile* source() const { return source_; }
  /// The TensorProto of one, but for where its numbers are.
  onnx::TensorProto header(const StoredTensor& tensor) const {
    onnx::TensorProto proto;
    for (const std::size_t size : tensor.shape) proto.add_dims(static_cast<std::int64_t>(size));
    proto.set_data_type(onnx_type(*tensor.type)->number);
    proto.set_name(tensor.name);
    if (const OnnxInitializer* old = old_of(tensor.name)) proto.MergeFromString(old->rest);
    return proto;
  }

 private:
  OnnxValue value_of(const StoredTensor& tensor) const {
    OnnxValue value{
        tensor.name, onnx_type(*tensor.type)->number, static_cast<int>(tensor.shape.size()), {}};
    const StoredTensor* const old = source_ == nullptr ? nullptr : source_->find(tensor.name);
    const bool is_few = old != nullptr && old->type == tensor.type && old->shape == tensor.shape &&
                        value.data_type == onnx::TensorProto::FLOAT && old->count <= kFewNumbers;
    if (is_few) {
      value.few.resize(old->count);
      old->type->decode(source_->load(*old).bytes().data(), old->count, value.few.data());
    }
    return value;
  }
  [[noreturn]] void refuse(const std::string& name, std::string_view why) const {
    throw InputError(fmt::format("{}: '{}': {}", printable(path_), printable(name), why));
  }
  const StoredTensor* find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &tensors[found->second];
  }
  const OnnxInitializer* old_of(const std::string& name) const {
    const auto found = old_.find(name);
    return found == old_.end() ? nullptr : found->second;
  }

  void read_plan() {
    for (const auto& row : plan_.tensors) {
      if (const std::string wrong = wrong_onnx_tensor(row); !wrong.empty()) refuse(row.name, wrong);
      StoredTensor tensor;
      tensor.name = row.name;
      tensor.shape = row.shape;
      tensor.type = row.type;
      tensor.count = value_count(row.shape);
      tensor.bytes = row.type->stored_bytes(tensor.count);
      if (!by_name_.emplace(row.name, tensors.size()).second) {
        refuse(row.name, "expected each tensor's name once, found it twice");
      }
      tensors.push_back(std::move(tensor));
    }
    for (const auto& row : plan_.dequantizations) {
      const auto wrong =
          wrong_dequantization(row, find(row.codes), find(row.scale),
                               row.zero_point.empty() ? nullptr : find(row.zero_point));
      if (!wrong.empty()) refuse(row.name, wrong);
      if (row.name.empty() || by_name_.contains(row.name) || !results_.insert(row.name).second) {
        refuse(row.name, "expected a name of its own, found one that is there already");
      }
    }
    if (source_ == nullptr) return;
    for (const auto& old : source_->initializers()) old_.emplace(old.name, &old);
  }

  static bool has_shape(const OnnxInitializer& old, const std::vector<std::size_t>& shape) {
    return std::ranges::equal(shape, old.dims, {}, {},
                              [](std::int64_t size) { return static_cast<std::size_t>(size); });
  }

  void replace_initializers() {
    onnx::GraphProto& graph = *model.mutable_graph();
    std::set<std::string> removed, described;  // gone; of another type or shape than the graph says
    for (const auto& [name, old] : old_) {
      const StoredTensor* const now = find(name);
      if (now == nullptr && onnx_type(old->data_type) == nullptr && !results_.contains(name)) {
        if (old->is_external || !old->external.empty()) {
          refuse(name, "expected numbers to copy, found a type without them in external data");
        }
        kept.push_back(old);
      } else if (now == nullptr) {
        removed.insert(name);
      } else if (onnx_type(*now->type)->number != old->data_type || !has_shape(*old, now->shape)) {
        described.insert(name);
      }
    }
    for (const auto& row : plan_.dequantizations) {
      const OnnxInitializer* const old = old_of(row.name);
      const auto& shape = find(row.codes)->shape;
      if (old == nullptr || has_shape(*old, shape)) continue;
      refuse(row.name, fmt::format("expected codes of shape [{}], found [{}]",
                                   fmt::join(old->dims, ", "), fmt::join(shape, ", ")));
    }
    std::ranges::sort(kept, {}, &OnnxInitializer::begin);
    described.insert(removed.begin(), removed.end());
    described.insert(results_.begin(), results_.end());
    const auto drop = [&](auto& rows) {
      const auto rest = std::remove_if(rows.begin(), rows.end(), [&](const auto& row) {
        return described.contains(row.name());
      });
      rows.erase(rest, rows.end());
    };
    for (const auto& input : graph.input()) {
      const bool is_taken = results_.contains(input.name()) || by_name_.contains(input.name());
      if (is_taken && !old_.contains(input.name())) {
        refuse(input.name(), "expected an initializer to replace, found an input of the model");
      }
    }
    drop(*graph.mutable_input());
    drop(*graph.mutable_value_info());
    for (const auto& [name, old] : old_) result_types_.emplace(name, old->data_type);
    // What an earlier plan put there is put there anew.
    auto& nodes = *graph.mutable_node();
    const auto rest = std::remove_if(nodes.begin(), nodes.end(), [&](const onnx::NodeProto& node) {
      const bool is_replaced = node.op_type() == "DequantizeLinear" && node.input_size() > 1 &&
                               node.output_size() == 1 && results_.contains(node.output(0));
      if (!is_replaced) return false;
      std::int32_t type = 0;
      for (const auto& row : node.attribute()) {
        if (row.name() == "output_dtype") type = static_cast<std::int32_t>(row.i());
      }
      const OnnxInitializer* const scale = old_of(node.input(1));
      if (type == 0 && scale != nullptr) type = scale->data_type;
      if (type != 0) result_types_[node.output(0)] = type;
      return true;
    });
    nodes.erase(rest, nodes.end());
    std::set<std::string> inputs;
    for (const auto& input : graph.input()) inputs.insert(input.name());
    for (const auto& node : nodes) {
      for (const auto& output : node.output()) {
        if (by_name_.contains(output) || results_.contains(output)) {
          refuse(output, "expected a name of its own, found a node's result of that name");
        }
      }
    }
    for (const auto& tensor : tensors) {
      if (inputs.contains(tensor.name)) continue;
      model.set_ir_version(std::max<std::int64_t>(model.ir_version(), kLooseInitializers));
    }
    check_uses(graph, removed);
  }

  void check_uses(onnx::GraphProto& graph, const std::set<std::string>& removed) const {
    const auto check = [&](const std::string& name, std::string_view by) {
      if (!removed.contains(name) || results_.contains(name)) return;
      refuse(name, fmt::format("expected it among the tensors, as '{}' reads it, found none",
                               printable(by)));
    };
    for_each_graph(graph, [&](onnx::GraphProto& inner) {
      for (const auto& node : inner.node()) {
        for (const auto& input : node.input()) check(input, node.name());
      }
      for (const auto& output : inner.output()) check(output.name(), inner.name());
    });
  }

  std::int32_t scale_type(const DequantizedTensor& row) const {
    return onnx_type(*find(row.scale)->type)->number;
  }
  // What those that read it expect; else the scale's, unless it is of powers of two alone.
  std::int32_t result_type(const DequantizedTensor& row) const {
    const auto found = result_types_.find(row.name);
    std::int32_t type = found == result_types_.end() ? scale_type(row) : found->second;
    if (type == kPowersOfTwo) type = onnx::TensorProto::FLOAT;
    if (type != onnx::TensorProto::FLOAT && type != onnx::TensorProto::FLOAT16 &&
        type != onnx::TensorProto::BFLOAT16) {
      const OnnxType* const kind = onnx_type(type);
      refuse(row.name,
             fmt::format("expected F32, F16 or BF16, which DequantizeLinear gives, found {}",
                         kind == nullptr ? "text or complex numbers" : kind->name));
    }
    return type;
  }

  void raise(const std::vector<OnnxValue>& values, OnnxNames& names) {
    int types = 0;
    for (const auto& tensor : tensors) {
      types = std::max(types, onnx_type(*tensor.type)->opset);
    }
    for (const auto& row : plan_.dequantizations) {
      opset_ = std::max({opset_, onnx_type(*find(row.codes)->type)->dequantize,
                         onnx_type(*find(row.scale)->type)->scale, row.per_channel ? kPerAxis : 0,
                         row.block != 0 ? kBlocked : 0,
                         result_type(row) != scale_type(row) ? kResultType : 0});
    }
    if (source_ == nullptr) opset_ = std::max(opset_, types);
    if (opset_ != 0) raise_opset(model, opset_, values, names, path_);
    model.set_ir_version(
        std::max({model.ir_version(), ir_version_of_opset(types), ir_version_of_opset(opset_)}));
  }

  void add_nodes(OnnxNames& names) {
    onnx::GraphProto& graph = *model.mutable_graph();
    google::protobuf::RepeatedPtrField<onnx::NodeProto> old;
    old.Swap(graph.mutable_node());
    std::set<std::string> used;
    for (const auto& row : plan_.dequantizations) {
      add_dequantization(graph, row, names);
      used.insert({row.codes, row.scale, row.zero_point});
    }
    for (auto& node : old) graph.add_node()->Swap(&node);
    if (source_ != nullptr) return;
    // An initializer is not everywhere taken as an output.
    for (const auto& tensor : tensors) {
      if (used.contains(tensor.name)) continue;
      onnx::NodeProto& node = *graph.add_node();
      node.set_op_type("Identity");
      node.set_name(names.fresh(tensor.name + "_Identity"));
      node.add_input(tensor.name);
      node.add_output(names.fresh(tensor.name + "_output"));
      add_output(graph, node.output(0), tensor, onnx_type(*tensor.type)->number);
    }
  }

  void add_dequantization(onnx::GraphProto& graph, const DequantizedTensor& row, OnnxNames& names) {
    onnx::NodeProto& node = *graph.add_node();
    node.set_op_type("DequantizeLinear");
    node.set_name(names.fresh(row.name + "_DequantizeLinear"));
    node.add_input(row.codes);
    node.add_input(row.scale);
    if (!row.zero_point.empty()) node.add_input(row.zero_point);
    node.add_output(row.name);
    const auto set = [&](const char* name, std::size_t value) {
      auto& attribute = *node.add_attribute();
      attribute.set_name(name);
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(static_cast<std::int64_t>(value));
    };
    if (row.per_channel || row.block != 0) set("axis", row.axis);
    if (row.block != 0) set("block_size", row.block);
    const std::int32_t type = result_type(row);
    if (type != scale_type(row)) set("output_dtype", static_cast<std::size_t>(type));
    if (source_ == nullptr) add_output(graph, row.name, *find(row.codes), type);
  }

  static void add_output(onnx::GraphProto& graph, const std::string& name,
                         const StoredTensor& shape_of, std::int32_t type) {
    onnx::ValueInfoProto& output = *graph.add_output();
    output.set_name(name);
    auto& tensor = *output.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape();
    for (const std::size_t size : shape_of.shape) {
      tensor.mutable_shape()->add_dim()->set_dim_value(static_cast<std::int64_t>(size));
    }
  }

  void add_metadata(const std::string& key, const std::string& value) {
    if (key.starts_with("onnx.")) return;  // what OnnxFile reads from other fields
    for (auto& row : *model.mutable_metadata_props()) {
      if (row.key() != key) continue;
      row.set_value(value);
      return;
    }
    auto& row = *model.add_metadata_props();
    row.set_key(key);
    row.set_value(value);
  }

  const std::string& path_;
  const TensorFilePlan& plan_;
  const OnnxFile* const source_;
  std::map<std::string, std::size_t> by_name_;
  std::map<std::string, const OnnxInitializer*> old_;
  std::map<std::string, std::int32_t> result_types_;
  std::set<std::string> results_;  // of the plan's DequantizeLinear nodes
  int opset_ = 0;
};

class OnnxWriter : public TensorWriter {
 public:
  OnnxWriter(const std::string& path, const TensorFilePlan& plan, const OnnxWriting& options)
      : path_(path), file_(path) {
    Skeleton skeleton(path, plan, options.opset);
    place(skeleton, false);
    if (total_ > options.most_inline) {
      data_.emplace(path + ".data");
      place(skeleton, true);
      constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
      if (total_ > kMost) {
        throw InputError(fmt::format("{}: expected a graph of at most {} bytes, found {}",
                                     printable(path), kMost, total_));
      }
    }
    std::string graph, model;
    skeleton.model.graph().SerializeToString(&graph);
    skeleton.model.clear_graph();
    skeleton.model.SerializeToString(&model);
    put_tag(model, onnx_field::kGraph, graph_size_);
    file_.write(model);
    file_.write(graph);
    for (const OnnxInitializer* const old : skeleton.kept) {
      std::string tag;
      put_tag(tag, onnx_field::kInitializer, old->size);
      file_.write(tag);
      file_.write(skeleton.source()->proto(*old));
    }
    begin();
  }

  void write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      if (now_ == pieces_.size()) {
        throw WorkError(fmt::format("{}: expected no more tensors, found {} bytes",
                                    printable(path_), bytes.size()));
      }
      const auto some = static_cast<std::size_t>(
          std::min<std::uint64_t>(bytes.size(), pieces_[now_].bytes - done_));
      (pieces_[now_].is_external ? *data_ : file_).write(bytes.first(some));
      bytes = bytes.subspan(some);
      done_ += some;
      if (done_ != pieces_[now_].bytes) continue;
      ++now_;
      begin();
    }
  }

  void finish() override {
    if (now_ != pieces_.size() || file_.written() != total_) {
      throw WorkError(fmt::format("{}: expected {} tensors to be written, found {}",
                                  printable(path_), pieces_.size(), now_));
    }
    if (data_) data_->finish();  // a model is never there without its data
    file_.finish();
  }

 private:
  struct Piece {
    std::string head;  // of the model, up to the tensor's numbers
    std::uint64_t bytes = 0, offset = 0;
    bool is_external = false;
  };

  void place(const Skeleton& skeleton, bool external) {
    pieces_.clear();
    graph_size_ = skeleton.model.graph().ByteSizeLong();
    for (const OnnxInitializer* const old : skeleton.kept) graph_size_ += field_size(old->size);
    std::uint64_t at = 0;
    for (const auto& tensor : skeleton.tensors) {
      Piece piece;
      piece.bytes = tensor.bytes;
      onnx::TensorProto proto = skeleton.header(tensor);
      std::string header;
      if (external && tensor.bytes >= kLeastExternal) {
        piece.is_external = true;
        piece.offset = (at + kExternalAlignment - 1) / kExternalAlignment * kExternalAlignment;
        at = piece.offset + tensor.bytes;
        const auto add = [&proto](const char* key, const std::string& value) {
          auto& entry = *proto.add_external_data();
          entry.set_key(key);
          entry.set_value(value);
        };
        add("location", std::filesystem::path(path_ + ".data").filename().string());
        add("offset", fmt::format("{}", piece.offset));
        add("length", fmt::format("{}", tensor.bytes));
        proto.set_data_location(onnx::TensorProto::EXTERNAL);
        proto.SerializeToString(&header);
        put_tag(piece.head, onnx_field::kInitializer, header.size());
        piece.head += header;
        graph_size_ += field_size(header.size());
      } else {
        proto.SerializeToString(&header);
        const std::uint64_t size = header.size() + field_size(tensor.bytes);
        put_tag(piece.head, onnx_field::kInitializer, size);
        piece.head += header;
        put_tag(piece.head, onnx_field::kRaw, tensor.bytes);
        graph_size_ += field_size(size);
      }
      pieces_.push_back(std::move(piece));
    }
    const std::uint64_t whole = skeleton.model.ByteSizeLong();
    total_ = whole - field_size(skeleton.model.graph().ByteSizeLong()) + field_size(graph_size_);
  }

  // The heads up to the next numbers that are to come.
  void begin() {
    done_ = 0;
    for (; now_ < pieces_.size(); ++now_) {
      const Piece& piece = pieces_[now_];
      file_.write(piece.head);
      if (piece.is_external)
        data_->zeros(static_cast<std::size_t>(piece.offset - data_->written()));
      if (piece.bytes != 0) return;
    }
  }

  std::string path_;
  OutputFile file_;
  std::optional<OutputFile> data_;
  std::vector<Piece> pieces_;
  std::uint64_t graph_size_ = 0, total_ = 0;
  std::size_t now_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

std::unique_ptr<TensorWriter> write_onnx(const std::string& path, const TensorFilePlan& plan,
                                         const OnnxWriting& options) {
  return std::make_unique<OnnxWriter>(path, plan, options);
}

}  // namespace zeropoint
