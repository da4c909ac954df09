#pragma once
// Small models and the files they are in, for tests of ONNX's initializers.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <onnx/onnx_pb.h>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "zeropoint/io/tensor_file.hpp"

#include "io/onnx_writer.hpp"
#include "support/temporary_folder.hpp"

namespace zeropoint::testing {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

inline void save(const std::string& path, const std::string& bytes) {
  fs::remove(path);  // some file systems wait for the disk where a file is emptied and written anew
  std::ofstream(path, std::ios::binary) << bytes;
}
inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline onnx::TensorProto initializer(const std::string& name, std::int32_t type,
                                     const std::vector<std::int64_t>& dims) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const auto size : dims) tensor.add_dims(size);
  return tensor;
}
inline onnx::TensorProto floats(const std::string& name, const std::vector<std::int64_t>& dims,
                                std::size_t count) {
  onnx::TensorProto tensor = initializer(name, 1, dims);
  for (std::size_t i = 0; i < count; ++i) tensor.add_float_data(static_cast<float>(i) - 1.5F);
  return tensor;
}
inline onnx::NodeProto node(const std::string& type, const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs) {
  onnx::NodeProto result;
  result.set_op_type(type);
  result.set_name(type + "_of_" + outputs.at(0));
  for (const auto& name : inputs) result.add_input(name);
  for (const auto& name : outputs) result.add_output(name);
  return result;
}
inline void set(onnx::NodeProto& of, const std::string& name,
                const std::vector<std::int64_t>& values) {
  auto& row = *of.add_attribute();
  row.set_name(name);
  row.set_type(onnx::AttributeProto::INTS);
  for (const auto value : values) row.add_ints(value);
}
inline void set(onnx::NodeProto& of, const std::string& name, std::int64_t value) {
  auto& row = *of.add_attribute();
  row.set_name(name);
  row.set_type(onnx::AttributeProto::INT);
  row.set_i(value);
}
inline void describe(onnx::ValueInfoProto& value, const std::string& name,
                     const std::vector<std::int64_t>& dims) {
  value.set_name(name);
  auto& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(1);
  for (const auto size : dims) type.mutable_shape()->add_dim()->set_dim_value(size);
}
inline onnx::ModelProto model_of(std::int64_t opset, std::int64_t ir = 8) {
  onnx::ModelProto model;
  model.set_ir_version(ir);
  model.set_producer_name("tests");
  model.add_opset_import()->set_version(opset);
  model.mutable_graph()->set_name("g");
  return model;
}
// y = MatMul(x, w) of old style: w is an input, too.
inline onnx::ModelProto product(std::int64_t opset, std::int64_t ir) {
  onnx::ModelProto model = model_of(opset, ir);
  auto& graph = *model.mutable_graph();
  *graph.add_node() = node("MatMul", {"x", "w"}, {"y"});
  describe(*graph.add_input(), "x", {1, 4});
  describe(*graph.add_input(), "w", {4, 2});
  describe(*graph.add_output(), "y", {1, 2});
  *graph.add_initializer() = floats("w", {4, 2}, 8);
  return model;
}

inline Bytes load(const TensorFile& file, const std::string& name) {
  const StoredTensor* const tensor = file.find(name);
  if (tensor == nullptr) return {};
  const TensorBytes bytes = file.load(*tensor);
  return {bytes.bytes().begin(), bytes.bytes().end()};
}

inline Bytes pattern(std::size_t count, std::size_t seed) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + seed);
  return bytes;
}

inline void write(const std::string& path, const TensorFilePlan& plan,
                  const std::vector<Bytes>& bytes, const OnnxWriting& options = {}) {
  const auto writer = write_onnx(path, plan, options);
  // In pieces that end where no tensor does.
  Bytes all;
  for (const auto& one : bytes) all.insert(all.end(), one.begin(), one.end());
  for (std::size_t at = 0; at < all.size(); at += 7) {
    writer->write(std::span(all).subspan(at, std::min<std::size_t>(7, all.size() - at)));
  }
  writer->finish();
}

inline onnx::ModelProto parsed(const std::string& path) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(contents(path)));
  return model;
}

}  // namespace zeropoint::testing
