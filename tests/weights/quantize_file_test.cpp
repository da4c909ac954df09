#include "zeropoint/weights/quantize_file.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/parallel.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "support/quantized_files.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using namespace testing;
using ::testing::HasSubstr;

class QuantizeFile : public ::testing::Test {
 protected:
  QuantizeFile() {
    tensors_ = {named_tensor("embed.weight", {300, 256}, 1),
                named_tensor("conv.weight", {32, 16, 3, 3}, 2),
                named_tensor("norm.weight", {256}, 3)};
    write_tensors(path("in"), tensors_);
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  static std::string contents(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  QuantizePlan quantize(const QuantizeOptions& options, const std::string& to) const {
    const WeightFile file = open_weights(path("in"));
    QuantizePlan plan = plan_quantization(file, options);
    write_quantized(file, plan, path(to));
    return plan;
  }

  TemporaryFolder folder_;
  std::vector<NamedTensor> tensors_;
};

class Schemes : public QuantizeFile, public ::testing::WithParamInterface<std::string> {};

// What is read back is what quantize() makes of the tensor, to the bit, whichever scheme.
TEST_P(Schemes, AreReadBackAsTheyWereMade) {
  QuantizeOptions options;
  options.scheme = GetParam();
  const QuantizePlan plan = quantize(options, "out");
  EXPECT_EQ(plan.quantized(), 2U);
  const WeightFile out = open_weights(path("out"));
  ASSERT_EQ(out.weights().size(), 3U);
  const Scheme scheme = parse_scheme(GetParam());
  for (std::size_t i = 0; i < 2; ++i) {
    const Weight* const weight = out.find(tensors_[i].name);
    ASSERT_NE(weight, nullptr);
    EXPECT_TRUE(weight->is_quantized);
    EXPECT_EQ(weight->shape, tensors_[i].shape);
    EXPECT_EQ(weight->scheme, scheme);
    EXPECT_EQ(weight->bytes, plan.weights[i].bytes);
    const bool lines = GetParam().find("group") != std::string::npos ||
                       scheme.format.kind == FormatKind::block || !scheme.transforms.empty();
    const std::vector<std::size_t> flat = {32, 144};
    const auto& shape = i == 1 && lines ? flat : tensors_[i].shape;
    const Matrix<float> expected =
        zeropoint::quantize(tensors_[i].values, shape, scheme).dequantized();
    const WeightValues found = out.load(*weight);
    for (std::size_t j = 0; j < expected.size(); ++j) {
      ASSERT_EQ(found.values()[j], expected.data()[j]) << GetParam() << " " << j;
    }
  }
  const Weight* const kept = out.find("norm.weight");
  ASSERT_NE(kept, nullptr);
  EXPECT_FALSE(kept->is_quantized);
  EXPECT_TRUE(std::ranges::equal(out.load(*kept).values(), tensors_[2].values));
}

// And --fake writes the same numbers.
TEST_P(Schemes, FakeIsWhatTheCodesStandFor) {
  QuantizeOptions options;
  options.scheme = GetParam();
  quantize(options, "out");
  options.fake = true;
  quantize(options, "fake");
  const WeightFile out = open_weights(path("out")), fake = open_weights(path("fake"));
  for (const auto& weight : out.weights()) {
    const Weight* const other = fake.find(weight.name);
    ASSERT_NE(other, nullptr);
    EXPECT_FALSE(other->is_quantized);
    EXPECT_TRUE(std::ranges::equal(out.load(weight).values(), fake.load(*other).values()))
        << weight.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Schemes,
                         ::testing::Values("int8", "int8:sym:channel", "int4:sym:group=32", "int3",
                                           "uint5:channel=1", "int12", "uint16:group=16",
                                           "e4m3:channel", "e5m2:unit", "fp16:unit", "bf16:channel",
                                           "e3m2:group=32", "tf32", "nf4:group=64", "lloyd4",
                                           "lloyd2", "lloyd3-normal:channel", "mxfp4", "mxint8",
                                           "nvfp4", "q8_0", "q4_1", "q5_0",
                                           "hadamard+int4:sym:channel", "int4:channel:shrink",
                                           "int8@torch", "int8:stochastic=5", "uint4:sym:channel"));

TEST_F(QuantizeFile, BytesDoNotDependOnThreads) {
  QuantizeOptions options;
  options.scheme = "int4:group=32";
  set_threads(1);
  quantize(options, "one");
  set_threads(3);
  quantize(options, "three");
  set_threads(0);
  EXPECT_EQ(contents(path("one")), contents(path("three")));
}

TEST_F(QuantizeFile, ChoosesByName) {
  QuantizeOptions options;
  options.scheme = "int8";
  options.overrides = {{"weight", "int4"}, {"^conv", "keep"}, {"norm", "e4m3"}};
  const QuantizePlan plan = quantize(options, "out");
  EXPECT_EQ(plan.weights[0].type, "int4");
  EXPECT_FALSE(plan.weights[1].scheme);
  EXPECT_EQ(plan.weights[1].reason, "--override");
  EXPECT_EQ(plan.weights[2].type, "e4m3");
  options.overrides.clear();
  options.only = "norm";
  const QuantizePlan only = quantize(options, "only");
  EXPECT_EQ(only.quantized(), 1U);
  EXPECT_EQ(only.weights[0].reason, "--only");
}

TEST_F(QuantizeFile, WhatDoesNotFitIsNamedBeforeAnythingIsWritten) {
  tensors_[1].values[77] = std::numeric_limits<float>::infinity();
  write_tensors(path("in"), tensors_);
  QuantizeOptions options;
  options.scheme = "int8";
  const WeightFile file = open_weights(path("in"));
  QuantizePlan plan = plan_quantization(file, options);
  EXPECT_EQ(plan.problems(), 1U);
  EXPECT_THAT(plan.weights[1].problem,
              HasSubstr("1 of 4608 numbers are NaN, infinite or beyond float32"));
  EXPECT_THAT(refusal([&] { write_quantized(file, plan, path("out")); }), HasSubstr("found 1"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_FALSE(std::filesystem::exists(path("out.partial")));
  options.fallback = "keep";
  plan = plan_quantization(file, options);
  EXPECT_EQ(plan.problems(), 0U);
  EXPECT_THAT(plan.weights[1].fell_back, HasSubstr("infinite"));
  write_quantized(file, plan, path("out"));
  const WeightFile out = open_weights(path("out"));
  EXPECT_TRUE(std::ranges::equal(out.load(*out.find("conv.weight")).values(), tensors_[1].values));
}

// What a container cannot hold is a problem of the plan, not of the writer once it has begun.
TEST_F(QuantizeFile, LimitsOfTheContainerAreInThePlan) {
  const std::string long_name(64, 'n');
  tensors_.push_back(named_tensor("five", {2, 1, 2, 1, 32}, 4));
  tensors_.push_back(named_tensor(long_name, {32}, 5));
  tensors_.push_back(named_tensor("nothing", {0}, 6));
  write_tensors(path("in"), tensors_);
  const WeightFile file = open_weights(path("in"));
  QuantizeOptions options;
  options.scheme = "q8_0";
  options.container = "gguf";
  options.overrides = {{"conv", "keep"}};
  const QuantizePlan plan = plan_quantization(file, options);
  EXPECT_EQ(plan.problems(), 3U);
  EXPECT_THAT(plan.weights[3].problem, HasSubstr("expected at most 4 axes"));
  EXPECT_THAT(plan.weights[4].problem, HasSubstr("expected a name of 1 to 63 bytes"));
  EXPECT_THAT(plan.weights[5].problem, HasSubstr("expected sizes from 1 on"));
}

TEST_F(QuantizeFile, KeptFloatsThatAContainerLacksBecomeFloat32) {
  TensorFilePlan outline;
  outline.tensors = {{"w", {4, 8}, &tensor_type("BF16")}, {"bias", {3}, &tensor_type("BF16")}};
  const std::vector<std::uint16_t> codes = {0x3f80, 0xc040, 0x0001};  // 1, -3, a subnormal
  {
    const auto writer = container("safetensors").create(path("halves"), outline);
    const std::vector<std::uint8_t> zeros(2 * 32);
    writer->write(zeros);
    writer->write({reinterpret_cast<const std::uint8_t*>(codes.data()), 6});
    writer->finish();
  }
  const WeightFile file = open_weights(path("halves"));
  QuantizeOptions options;
  options.scheme = "int8";
  options.container = "npz";
  options.fake = true;
  QuantizePlan plan = plan_quantization(file, options);
  EXPECT_EQ(plan.weights[1].type, "F32");
  EXPECT_EQ(plan.weights[1].bytes, 12U);
  write_quantized(file, plan, path("out"));
  const WeightFile out = open_weights(path("out"));
  EXPECT_THAT(out.load(*out.find("bias")).values(), ::testing::ElementsAre(1.0F, -3.0F, 0x1p-133F));
}

TEST_F(QuantizeFile, WhatIsQuantizedNeedsASecondWord) {
  QuantizeOptions options;
  options.scheme = "int8:channel";
  quantize(options, "out");
  const WeightFile once = open_weights(path("out"));
  options.scheme = "int4:channel";
  EXPECT_EQ(plan_quantization(once, options).problems(), 2U);
  options.requantize = true;
  QuantizePlan again = plan_quantization(once, options);
  EXPECT_EQ(again.problems(), 0U);
  write_quantized(once, again, path("twice"));
  const WeightFile twice = open_weights(path("twice"));
  EXPECT_EQ(twice.find("embed.weight")->type, "int4:channel");
  // One that is kept goes on as it is, codes and all.
  options.only = "conv";
  QuantizePlan part = plan_quantization(once, options);
  write_quantized(once, part, path("part"));
  const WeightFile mixed = open_weights(path("part"));
  EXPECT_EQ(mixed.find("embed.weight")->type, "int8:channel");
  EXPECT_TRUE(std::ranges::equal(mixed.load(*mixed.find("embed.weight")).values(),
                                 once.load(*once.find("embed.weight")).values()));
}

// A shard, or a file under the name that the new one has until it is whole.
TEST_F(QuantizeFile, NothingThatIsReadIsWrittenOver) {
  write_tensors(path("a.safetensors"), {tensors_[0]});
  write_tensors(path("b.safetensors.partial"), {tensors_[1]});
  std::ofstream(path("set.json")) << R"({"weight_map": {"embed.weight": "a.safetensors",
      "conv.weight": "b.safetensors.partial"}})";
  const std::string before = contents(path("a.safetensors"));
  const std::string partial = contents(path("b.safetensors.partial"));
  const WeightFile set = open_weights(path("set.json"));
  QuantizeOptions options;
  options.scheme = "int8";
  QuantizePlan plan = plan_quantization(set, options);
  for (const char* name : {"a.safetensors", "b.safetensors", "b.safetensors.partial", "set.json"}) {
    EXPECT_THAT(refusal([&] { write_quantized(set, plan, path(name)); }),
                HasSubstr("another file than those that are read"));
  }
  EXPECT_EQ(contents(path("a.safetensors")), before);
  EXPECT_EQ(contents(path("b.safetensors.partial")), partial);
  write_quantized(set, plan, path("c.safetensors"));
  EXPECT_EQ(open_weights(path("c.safetensors")).weights().size(), 2U);
}

// A graph may use one scale for several tensors.
TEST_F(QuantizeFile, PartsThatAreSharedAreKeptOnce) {
  const DequantizedTensor a{"a", "a_codes", "scale", "zero"}, b{"b", "b_codes", "scale", "zero"};
  const std::vector<std::uint8_t> codes = {1, 2, 3, 4};
  write_raw(path("in.onnx"),
            {{"a_codes", "I8", {2, 2}, codes},
             {"b_codes", "I8", {2, 2}, codes},
             {"scale", "F32", {}, bytes_of_values(std::vector<float>{0.5F})},
             {"zero", "I8", {}, {1}},
             {"c", "F32", {1, 2}, bytes_of_values(std::vector<float>{1, 2})}},
            {}, "onnx", {a, b});
  const WeightFile file = open_weights(path("in.onnx"));
  QuantizeOptions options;
  options.scheme = "int8";
  options.overrides = {{"^[ab]$", "keep"}};
  options.container = "onnx";
  QuantizePlan plan = plan_quantization(file, options);
  ASSERT_EQ(plan.problems(), 0U);
  write_quantized(file, plan, path("out.onnx"));
  const WeightFile out = open_weights(path("out.onnx"));
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(std::ranges::equal(out.load(*out.find(name)).values(),
                                   std::vector<float>{0, 0.5F, 1, 1.5F}));
  }
}

// Neither time nor memory may grow with the square of what a stranger's graph has.
TEST_F(QuantizeFile, AGraphOfManyNodesIsPlannedInNoTime) {
  constexpr int kNodes = 20000;
  std::vector<RawTensor> tensors;
  std::vector<DequantizedTensor> nodes;
  for (int i = 0; i < kNodes; ++i) {
    const std::string name = std::to_string(i);
    tensors.push_back({"c" + name, "I8", {1}, {1}});
    tensors.push_back({"s" + name, "F32", {}, bytes_of_values(std::vector<float>{1})});
    nodes.push_back({name, "c" + name, "s" + name, {}});
  }
  write_raw(path("in.onnx"), tensors, {}, "onnx", nodes);
  const WeightFile file = open_weights(path("in.onnx"));
  QuantizeOptions options;
  options.scheme = "keep";
  options.container = "onnx";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(plan_quantization(file, options).problems(), 0U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(QuantizeFile, SaysTheErrorThatIsThere) {
  QuantizeOptions options;
  options.scheme = "int4:channel";
  const QuantizePlan plan = quantize(options, "out");
  const WeightFile out = open_weights(path("out"));
  const WeightValues found = out.load(*out.find("embed.weight"));
  double error = 0, energy = 0;
  for (std::size_t i = 0; i < found.values().size(); ++i) {
    const double x = tensors_[0].values[i], d = x - found.values()[i];
    error += d * d;
    energy += x * x;
  }
  EXPECT_NEAR(*plan.weights[0].relative_error, std::sqrt(error / energy), 1e-12);
}

TEST_F(QuantizeFile, RefusesWhatIsNone) {
  const WeightFile file = open_weights(path("in"));
  const auto refused = [&](auto change) {
    QuantizeOptions options;
    options.scheme = "int8";
    change(options);
    return refusal([&] { plan_quantization(file, options); });
  };
  EXPECT_THAT(refused([](auto& o) { o.scheme = "int99"; }), HasSubstr("--scheme: "));
  EXPECT_THAT(refused([](auto& o) { o.only = "("; }), HasSubstr("--only: expected a regular"));
  EXPECT_THAT(refused([](auto& o) { o.overrides = {{"[", "int4"}}; }), HasSubstr("--override: "));
  EXPECT_THAT(refused([](auto& o) { o.container = "zip"; }), HasSubstr("container: expected"));
  EXPECT_THAT(refused([](auto& o) { o.container = "safetensors index"; }), HasSubstr("read only"));
  QuantizeOptions options;
  options.scheme = "int8:static";
  EXPECT_EQ(plan_quantization(file, options).problems(), 2U);
  options.scheme = "int8:channel=2";
  EXPECT_EQ(plan_quantization(file, options).problems(), 1U);
  options.scheme = "smooth=0.5+int8";
  EXPECT_EQ(plan_quantization(file, options).problems(), 2U);
}

}  // namespace
}  // namespace zeropoint
