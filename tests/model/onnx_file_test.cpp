// ONNX files, above all those that are none: every one is read or refused in one line.
#include "zeropoint/model/onnx_file.hpp"

#include <algorithm>
#include <onnx/onnx_pb.h>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/nodes.hpp"
#include "support/command.hpp"
#include "support/refusal.hpp"

namespace zeropoint::testing {
namespace {

using enum model::ElementType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class OnnxFile : public ::testing::Test {
 protected:
  fs::path write(const std::string& bytes) const {
    const fs::path path = folder_.path() / "file";
    put(path, bytes);
    return path;
  }
  Value read(const onnx::TensorProto& tensor) const {
    return model::read_onnx_tensor(write(tensor.SerializeAsString())).value;
  }
  std::string refused(const onnx::TensorProto& tensor) const {
    return refusal([&] { read(tensor); });
  }
  model::Model read(const onnx::ModelProto& model) const {
    return model::read_onnx(write(model.SerializeAsString()));
  }
  std::string refused(const onnx::ModelProto& model) const {
    return refusal([&] { read(model); });
  }
  fs::path folder() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

onnx::TensorProto tensor_of(ElementType type, const Integers& shape) {
  onnx::TensorProto tensor;
  tensor.set_name("t");
  tensor.set_data_type(static_cast<std::int32_t>(type));
  for (const std::int64_t size : shape) tensor.add_dims(size);
  return tensor;
}

onnx::ModelProto small_model() {
  onnx::ModelProto model;
  model.set_ir_version(10);
  model.add_opset_import()->set_version(21);
  auto* graph = model.mutable_graph();
  graph->add_input()->set_name("x");
  auto* type = graph->mutable_input(0)->mutable_type()->mutable_tensor_type();
  type->set_elem_type(1);
  type->mutable_shape()->add_dim()->set_dim_param("n");
  *graph->add_initializer() = tensor_of(float32, {});
  graph->mutable_initializer(0)->set_name("s");
  graph->mutable_initializer(0)->add_float_data(0.5F);
  auto* node = graph->add_node();
  node->set_op_type("QuantizeLinear");
  node->set_name("q");
  node->add_input("x");
  node->add_input("s");
  node->add_output("y");
  auto* attribute = node->add_attribute();
  attribute->set_name("output_dtype");
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(3);
  graph->add_output()->set_name("y");
  return model;
}

TEST_F(OnnxFile, TypedFieldsAreAsRawData) {
  auto tensor = tensor_of(float16, {2});
  tensor.add_int32_data(0x3C00);
  tensor.add_int32_data(0xFC00);
  EXPECT_THAT(codes(read(tensor)), ElementsAre(0x3C00, 0xFC00));
  tensor = tensor_of(int4, {3});
  tensor.add_int32_data(0xF1);
  tensor.add_int32_data(0xF8);  // the upper half belongs to no element
  EXPECT_THAT(model::to_integers(read(tensor)), ElementsAre(1, -1, -8));
  EXPECT_EQ(read(tensor).bytes()[1], 0x08);
  tensor = tensor_of(int8, {1});
  tensor.add_int32_data(-128);
  EXPECT_THAT(model::to_integers(read(tensor)), ElementsAre(-128));
  tensor = tensor_of(boolean, {2});
  tensor.set_raw_data(std::string("\x00\x02", 2));
  EXPECT_THAT(codes(read(tensor)), ElementsAre(0, 1));
  tensor = tensor_of(uint64, {1});
  tensor.add_uint64_data(~0ULL);
  EXPECT_EQ(model::element_text(read(tensor), 0), "18446744073709551615");
  EXPECT_EQ(read(tensor_of(float8e8m0, {0, 5})).shape(), (Shape{0, 5}));
}

TEST_F(OnnxFile, MalformedTensorsAreRefused) {
  EXPECT_THAT(refused(tensor_of(float32, {-1})), HasSubstr("found shape [-1]"));
  EXPECT_THAT(refused(tensor_of(float32, {1LL << 40, 1LL << 40})), HasSubstr("2^48"));
  // A shape alone takes no memory.
  EXPECT_THAT(refused(tensor_of(float64, {1LL << 44})),
              HasSubstr("expected 17592186044416 double_data"));
  auto tensor = tensor_of(int8, {3});
  tensor.set_raw_data("12");
  EXPECT_THAT(refused(tensor), HasSubstr("expected 3 bytes of raw_data for shape [3], found 2"));
  tensor.set_raw_data("1234");
  EXPECT_THAT(refused(tensor), HasSubstr("found 4"));
  tensor = tensor_of(uint8, {1});
  tensor.add_int32_data(256);
  EXPECT_THAT(refused(tensor), HasSubstr("from 0 to 255, found 256"));
  tensor = tensor_of(uint32, {1});
  tensor.add_uint64_data(1ULL << 32);
  EXPECT_THAT(refused(tensor), HasSubstr("found 4294967296"));
  for (const int number : {0, 8, 14, 27, -1}) {
    tensor.set_data_type(number);
    EXPECT_THAT(refused(tensor), HasSubstr("expected a numeric element type"));
  }
  tensor = tensor_of(uint8, {1});
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  EXPECT_THAT(refused(tensor), HasSubstr("external data, which is not supported"));
  tensor = tensor_of(uint8, {1});
  tensor.mutable_segment();
  EXPECT_THAT(refused(tensor), HasSubstr("a segment, which is not supported"));
}

TEST_F(OnnxFile, ModelsRun) {
  const auto model = read(small_model());
  const auto y = model::run(model, {{"x", floats({2}, {1, -3.3})}});
  ASSERT_EQ(y.size(), 1U);
  EXPECT_THAT(model::to_integers(y[0]), ElementsAre(2, -7));
}

TEST_F(OnnxFile, MalformedModelsAreRefused) {
  const auto changed = [&](const auto& change) {
    auto model = small_model();
    change(model);
    return refusal([&] { model::run(read(model), {{"x", floats({1}, {1})}}); });
  };
  EXPECT_EQ(changed([](auto&) {}), "no refusal");
  EXPECT_THAT(changed([](auto& m) { m.clear_graph(); }), HasSubstr("none with a graph"));
  EXPECT_THAT(changed([](auto& m) { m.clear_opset_import(); }), HasSubstr("operator sets"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_opset_import(0)->set_version(9); }),
              HasSubstr("operator set 10 or later, found 9"));
  EXPECT_THAT(
      changed([](auto& m) { m.mutable_graph()->mutable_node(0)->set_op_type("QuantizeLiner\n"); }),
      HasSubstr("found 'QuantizeLiner\\x0a' of domain ''; the nearest is QuantizeLinear"));
  EXPECT_THAT(
      changed([](auto& m) { m.mutable_graph()->mutable_node(0)->set_domain("com.microsoft"); }),
      HasSubstr("'com.microsoft'"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->mutable_node(0)->add_output("z"); }),
              HasSubstr("at most 1 outputs, found 2"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->mutable_node(0)->set_output(0, "x"); }),
              HasSubstr("found 'x' again"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(1, "t"); }),
              HasSubstr("its input 't' to be made before it"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(1, ""); }),
              HasSubstr("node 'q' (QuantizeLinear): expected input 1, found none"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->mutable_node(0)->clear_input(); }),
              HasSubstr("expected 2 to 3 inputs, found 0"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->add_output()->set_name("w"); }),
              HasSubstr("output 'w'"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->add_input()->set_name("w"); }),
              HasSubstr("input 'w': expected a tensor, found none"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->add_input()->set_name("x"); }),
              HasSubstr("twice"));
  EXPECT_THAT(
      changed([](auto& m) { *m.mutable_graph()->add_initializer() = m.graph().initializer(0); }),
      HasSubstr("found two"));
  EXPECT_THAT(changed([](auto& m) { m.mutable_graph()->add_sparse_initializer(); }),
              HasSubstr("sparse"));
  EXPECT_THAT(changed([](auto& m) {
                m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_name("width");
              }),
              HasSubstr("found 'width'"));
  EXPECT_THAT(changed([](auto& m) {
                *m.mutable_graph()->mutable_node(0)->add_attribute() =
                    m.graph().node(0).attribute(0);
              }),
              HasSubstr("found it twice"));
  EXPECT_THAT(
      changed([](auto& m) {
        m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
            3);
      }),
      HasSubstr("expected elements of type int8, found float"));
  EXPECT_THAT(changed([](auto& m) {
                auto* type =
                    m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
                type->mutable_shape()->mutable_dim(0)->set_dim_value(7);
              }),
              HasSubstr("expected shape [7] (-1: any), found [1]"));
  EXPECT_THAT(refusal([&] {
                model::run(read(small_model()), {{"z", floats({}, {0})}});
              }),
              HasSubstr("'x'"));
}

TEST_F(OnnxFile, WhatIsNoFileOrNoOnnxIsRefused) {
  for (const fs::path& path : {folder(), folder() / "none"}) {
    EXPECT_THAT(refusal([&] { model::read_onnx(path); }), HasSubstr("a file that can be read"));
  }
  ::testing::internal::CaptureStderr();
  EXPECT_THAT(refusal([&] { model::read_onnx(write("no model, but text")); }),
              HasSubstr("an ONNX model"));
  EXPECT_NE(refusal([&] { model::read_onnx_tensor(write("\xFF\xFF\xFF")); }), "no refusal");
  EXPECT_NE(refusal([&] { model::read_onnx(write("")); }), "no refusal");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "the library printed";
}

// Bytes changed at random: whatever comes is a result or one line.
TEST_F(OnnxFile, CorruptFilesNeverCrash) {
  auto proto = small_model();
  auto* graph = proto.mutable_graph();
  *graph->add_initializer() = tensor_of(int8, {2, 1, 2});
  graph->mutable_initializer(1)->set_name("w");
  graph->mutable_initializer(1)->set_raw_data("\x01\x02\x03\x04");
  auto* node = graph->add_node();
  node->set_op_type("ConvInteger");
  for (const char* name : {"c", "w"}) node->add_input(name);
  node->add_output("z");
  for (const char* name : {"pads", "strides", "group"}) {
    auto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(std::string(name) == "group" ? onnx::AttributeProto::INT
                                                     : onnx::AttributeProto::INTS);
    attribute->set_i(1);
    for (int i = 0; i < (std::string(name) == "pads" ? 2 : 1); ++i) attribute->add_ints(1);
  }
  auto* reshape = graph->add_node();
  reshape->set_op_type("Reshape");
  reshape->add_input("y");
  reshape->add_input("shape");
  reshape->add_output("c");
  graph->mutable_node()->SwapElements(1, 2);
  *graph->add_initializer() = tensor_of(int64, {3});
  graph->mutable_initializer(2)->set_name("shape");
  for (const int size : {1, 1, -1}) graph->mutable_initializer(2)->add_int64_data(size);
  graph->add_output()->set_name("z");
  const std::string whole = proto.SerializeAsString();
  const std::map<std::string, Value> inputs = {{"x", floats({6}, {1, 2, 3, 4, 5, 6})}};
  ASSERT_EQ(model::run(model::read_onnx(write(whole)), inputs)[1].shape(), (Shape{1, 2, 7}));

  std::mt19937 random(20261124);
  int ran = 0, refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = whole;
    for (int i = 0; i <= round % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 5 == 0) bytes.resize(random() % bytes.size());
    try {
      model::run(model::read_onnx(write(bytes)), inputs);
      ++ran;
    } catch (const Error& error) {
      ++refused;
      EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
    }
  }
  EXPECT_GT(ran, 10);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace zeropoint::testing
