#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

#include "io/onnx_models.hpp"
#include "io/onnx_tensors.hpp"
#include "io/onnx_writer.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

// The nodes of `of` after the model was raised from one operator set to another; or why not.
std::string raised(const TemporaryFolder& folder, onnx::NodeProto of, std::int64_t from, int to,
                   const std::vector<std::int64_t>& x = {}) {
  onnx::ModelProto model = model_of(from);
  auto& graph = *model.mutable_graph();
  describe(*graph.add_input(), "x", x);
  if (x.empty()) graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  *graph.add_node() = std::move(of);
  save(folder / "from.onnx", model.SerializeAsString());
  const OnnxFile source(folder / "from.onnx");
  TensorFilePlan plan;
  plan.source = &source;
  const std::string message = refusal([&] { write(folder / "to.onnx", plan, {}, {.opset = to}); });
  if (message != "no refusal") return message;
  std::string text;
  const onnx::ModelProto result = parsed(folder / "to.onnx");
  for (const auto& row : result.graph().node()) {
    text +=
        fmt::format("{}{}({}", text.empty() ? "" : " ", row.op_type(), fmt::join(row.input(), ","));
    for (const auto& attribute : row.attribute()) {
      const auto& t = attribute.t();
      text += fmt::format("; {}={}{}{}{}{}", attribute.name(),
                          attribute.has_i() ? fmt::format("{}", attribute.i()) : "", attribute.s(),
                          fmt::join(attribute.ints(), ","), fmt::join(t.int64_data(), ","),
                          fmt::join(t.float_data(), ","));
    }
    text += ")";
  }
  return text;
}

TEST(OnnxOpset, OperatorsKeepTheirMeaning) {
  const TemporaryFolder folder;
  const auto with = [](const char* type, const char* name,
                       const std::vector<std::int64_t>& values) {
    auto result = node(type, {"x"}, {"y"});
    result.set_name("n");
    set(result, name, values);
    return result;
  };
  EXPECT_EQ(raised(folder, with("Squeeze", "axes", {0}), 7, 21),
            "Constant(; value=0) Squeeze(x,n_axes)");
  EXPECT_EQ(raised(folder, with("ReduceMean", "axes", {1, 2}), 11, 21),
            "Constant(; value=1,2) ReduceMean(x,n_axes)");
  EXPECT_EQ(raised(folder, with("ReduceMean", "axes", {1, 2}), 11, 13), "ReduceMean(x; axes=1,2)");
  auto softmax = node("Softmax", {"x"}, {"y"});
  softmax.set_name("n");
  EXPECT_EQ(raised(folder, softmax, 9, 21, {2, 3}), "Softmax(x; axis=-1)");
  EXPECT_EQ(raised(folder, softmax, 9, 21, {2, 3, 4}),
            "Shape(x) Flatten(x; axis=1) Softmax(n_flat; axis=-1) Reshape(n_result,n_shape; "
            "allowzero=1)");
  EXPECT_EQ(raised(folder, softmax, 13, 21), "Softmax(x)");
  auto split = node("Split", {"x"}, {"y", "z"});
  EXPECT_EQ(raised(folder, split, 9, 13), "Split(x)");
  EXPECT_EQ(raised(folder, split, 9, 21), "Split(x; num_outputs=2)");
  set(split, "split", std::vector<std::int64_t>{1, 2});
  split.set_name("n");
  EXPECT_EQ(raised(folder, split, 9, 21), "Constant(; value=1,2) Split(x,n_split)");
  auto slice = with("Slice", "starts", {1});
  set(slice, "ends", std::vector<std::int64_t>{2});
  EXPECT_EQ(raised(folder, slice, 9, 10),
            "Constant(; value=1) Constant(; value=2) Slice(x,n_starts,n_ends)");
  auto clip = node("Clip", {"x"}, {"y"});
  clip.set_name("n");
  auto* max = clip.add_attribute();
  max->set_name("max");
  max->set_f(6);
  EXPECT_EQ(raised(folder, clip, 9, 13), "Constant(; value=6) Clip(x,,n_max)");
  auto topk = node("TopK", {"x"}, {"v", "i"});
  topk.set_name("n");
  set(topk, "k", 3);
  EXPECT_EQ(raised(folder, topk, 9, 21), "Constant(; value=3) TopK(x,n_k)");
  EXPECT_EQ(raised(folder, with("Pad", "pads", {0, 1}), 9, 21),
            "Constant(; value=0,1) Pad(x,n_pads)");
  auto upsample = node("Upsample", {"x"}, {"y"});
  upsample.set_name("n");
  auto* scales = upsample.add_attribute();
  scales->set_name("scales");
  for (const float scale : {1.F, 2.F}) scales->add_floats(scale);
  EXPECT_EQ(raised(folder, upsample, 8, 21),
            "Constant(; value=1,2) Resize(x,,n_scales; coordinate_transformation_mode=asymmetric; "
            "nearest_mode=floor)");
  scales->set_floats(0, 0.5);
  EXPECT_THAT(raised(folder, upsample, 8, 21),
              HasSubstr("node 'n' (Resize) of opset 8 cannot be raised to 21: "));
  auto resize = node("Resize", {"x", "", "s"}, {"y"});
  resize.set_name("n");
  auto* mode = resize.add_attribute();
  mode->set_name("coordinate_transformation_mode");
  mode->set_s("tf_half_pixel_for_nn");
  EXPECT_THAT(raised(folder, resize, 11, 21), HasSubstr("no more from opset 13 on"));
  mode->set_s("half_pixel");
  EXPECT_EQ(raised(folder, resize, 11, 21),
            "Resize(x,,s; coordinate_transformation_mode=half_pixel)");
  auto normalization = node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y", "mean"});
  EXPECT_THAT(raised(folder, normalization, 9, 21), HasSubstr("outputs of training"));
  EXPECT_THAT(raised(folder, node("Add", {"x", "x"}, {"y"}), 6, 13),
              HasSubstr("only from opset 7 on"));
  EXPECT_EQ(raised(folder, node("Add", {"x", "x"}, {"y"}), 13, 10), "Add(x,x)");

  // Bodies, too.
  auto condition = node("If", {"x"}, {"y"});
  auto* branch = condition.add_attribute();
  branch->set_name("then_branch");
  branch->set_type(onnx::AttributeProto::GRAPH);
  *branch->mutable_g()->add_node() = with("Unsqueeze", "axes", {0});
  EXPECT_EQ(raised(folder, condition, 9, 13), "If(x; then_branch=)");
  const auto inner = parsed(folder / "to.onnx").graph().node(0).attribute(0).g();
  ASSERT_EQ(inner.node_size(), 2);
  EXPECT_EQ(inner.node(1).input(1), "n_axes");
}

TEST(OnnxOpset, FunctionsHaveTheirOwn) {
  const TemporaryFolder folder;
  onnx::ModelProto model = model_of(12);
  describe(*model.mutable_graph()->add_input(), "x", {2});
  auto& function = *model.add_functions();
  function.set_name("f");
  function.set_domain("own");
  function.add_input("a");
  function.add_output("b");
  function.add_opset_import()->set_version(11);
  auto squeeze = node("Squeeze", {"a"}, {"b"});
  set(squeeze, "axes", std::vector<std::int64_t>{0});
  *function.add_node() = squeeze;
  const auto raise = [&] {
    save(folder / "from.onnx", model.SerializeAsString());
    const OnnxFile source(folder / "from.onnx");
    TensorFilePlan plan;
    plan.source = &source;
    write(folder / "to.onnx", plan, {}, {.opset = 21});
  };
  raise();
  const onnx::ModelProto result = parsed(folder / "to.onnx");
  EXPECT_EQ(result.functions(0).opset_import(0).version(), 21);
  ASSERT_EQ(result.functions(0).node_size(), 2);
  EXPECT_EQ(result.functions(0).node(1).input_size(), 2);
  function.mutable_node(0)->mutable_attribute(0)->set_ref_attr_name("axes");
  EXPECT_THAT(refusal(raise), HasSubstr("an attribute is its function's"));
}

}  // namespace
}  // namespace zeropoint
