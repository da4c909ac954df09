#include "io/onnx_tensors.hpp"

#include <filesystem>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

#include "io/onnx_models.hpp"
#include "io/onnx_writer.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

TEST(OnnxTensors, EveryTypeComesBack) {
  const TemporaryFolder folder;
  const std::string path = folder / "every.onnx";
  TensorFilePlan plan;
  plan.metadata = {{"made by", "a test"}};
  std::vector<Bytes> bytes;
  for (const auto& type : tensor_types()) {
    if (onnx_type(type) == nullptr) {
      TensorFilePlan wrong;
      wrong.tensors = {{"of no type", {256}, &type}};
      EXPECT_THAT(refusal([&] { write_onnx(path, wrong, {}); }), HasSubstr("'of no type'"));
      continue;
    }
    plan.tensors.push_back({fmt::format("{}", type.name), {3, 5}, &type});
    bytes.push_back(pattern(type.stored_bytes(15), bytes.size()));
  }
  plan.tensors.push_back({"empty", {0, 4}, &tensor_type("F32")});
  plan.tensors.push_back({"scalar", {}, &tensor_type("I64")});
  bytes.push_back({});
  bytes.push_back(pattern(8, 1));
  ASSERT_EQ(plan.tensors.size(), 25U);
  for (const std::uint64_t most : {std::uint64_t{1} << 30, std::uint64_t{1}}) {
    write(path, plan, bytes, {.most_inline = most});
    const auto file = open_tensor_file(path);
    EXPECT_EQ(file->container(), "onnx");
    ASSERT_EQ(file->tensors().size(), plan.tensors.size());
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
      EXPECT_EQ(file->tensors()[i].name, plan.tensors[i].name);
      EXPECT_EQ(file->tensors()[i].shape, plan.tensors[i].shape);
      EXPECT_EQ(file->tensors()[i].type, plan.tensors[i].type);
      EXPECT_EQ(load(*file, plan.tensors[i].name), bytes[i]) << plan.tensors[i].name;
    }
    EXPECT_EQ(file->metadata().back(), std::pair(std::string("made by"), std::string("a test")));
  }
  const std::string once = contents(path);
  write(path, plan, bytes, {.most_inline = 1});
  EXPECT_EQ(contents(path), once);
  EXPECT_EQ(parsed(path).opset_import(0).version(), 25);
  EXPECT_EQ(parsed(path).ir_version(), 13);
}

TEST(OnnxTensors, NumbersInFieldsOfTheirType) {
  const TemporaryFolder folder;
  const std::string path = folder / "typed.onnx";
  onnx::ModelProto model = model_of(21);
  auto& graph = *model.mutable_graph();
  *graph.add_initializer() = floats("f", {2}, 2);
  auto bytes = initializer("i8", 3, {3});
  for (const int value : {-1, 127, -128}) bytes.add_int32_data(value);
  *graph.add_initializer() = bytes;
  auto halves = initializer("f16", 10, {1});
  halves.add_int32_data(0xbc00);
  *graph.add_initializer() = halves;
  auto nibbles = initializer("i4", 22, {3});
  nibbles.add_int32_data(0x21);
  nibbles.add_int32_data(0x0f);
  *graph.add_initializer() = nibbles;
  auto longs = initializer("i64", 7, {1});
  longs.add_int64_data(-2);
  *graph.add_initializer() = longs;
  auto words = initializer("u32", 12, {1});
  words.add_uint64_data(0xfffffffe);
  *graph.add_initializer() = words;
  auto doubles = initializer("f64", 11, {1});
  doubles.add_double_data(1);
  *graph.add_initializer() = doubles;
  auto text = initializer("text", 8, {1});
  text.add_string_data("abc");
  *graph.add_initializer() = text;
  // As proto2 without [packed] writes them: dims 3, three floats, the name "g", data type 1.
  std::string loose;
  loose += std::string("\x08\x03", 2);
  for (int i = 0; i < 3; ++i) loose += std::string("\x25\x00\x00\x80\x3f", 5);
  loose += "\x42\x01g\x10\x01";
  std::string graph_field = "\x2a";
  graph_field += static_cast<char>(loose.size());
  graph_field += loose;
  std::string all = model.SerializeAsString();
  all += "\x3a";  // another piece of the graph, which merges with the first
  all += static_cast<char>(graph_field.size());
  all += graph_field;
  save(path, all);
  const auto file = open_tensor_file(path);
  EXPECT_EQ(file->tensors().size(), 8U);
  EXPECT_EQ(file->find("text"), nullptr);
  EXPECT_EQ(load(*file, "i8"), (Bytes{0xff, 0x7f, 0x80}));
  EXPECT_EQ(load(*file, "f16"), (Bytes{0x00, 0xbc}));
  EXPECT_EQ(load(*file, "i4"), (Bytes{0x21, 0x0f}));
  EXPECT_EQ(load(*file, "i64"), (Bytes{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
  EXPECT_EQ(load(*file, "u32"), (Bytes{0xfe, 0xff, 0xff, 0xff}));
  EXPECT_EQ(load(*file, "f64"), (Bytes{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}));
  EXPECT_EQ(load(*file, "g"), (Bytes{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f}));

  // Text is copied as it is.
  TensorFilePlan plan;
  plan.source = file.get();
  plan.tensors = {{"f", {1}, &tensor_type("F32")}};
  write(folder / "copy.onnx", plan, {Bytes{1, 2, 3, 4}});
  const auto copy = parsed(folder / "copy.onnx");
  ASSERT_EQ(copy.graph().initializer_size(), 2);
  EXPECT_EQ(copy.graph().initializer(0).string_data(0), "abc");
  EXPECT_EQ(copy.graph().initializer(1).raw_data(), std::string("\1\2\3\4"));
}

std::string refused(const TemporaryFolder& folder, const onnx::ModelProto& model) {
  save(folder / "wrong.onnx", model.SerializeAsString());
  return refusal([&] {
    const auto file = open_tensor_file(folder / "wrong.onnx");
    for (const auto& tensor : file->tensors()) (void)file->load(tensor);
  });
}

TEST(OnnxTensors, RefusesWhatIsWrong) {
  const TemporaryFolder folder;
  const auto one = [&](const onnx::TensorProto& tensor) {
    onnx::ModelProto model = model_of(13);
    *model.mutable_graph()->add_initializer() = tensor;
    return refused(folder, model);
  };
  EXPECT_EQ(one(floats("w", {2}, 2)), "no refusal");
  EXPECT_THAT(one(floats("w", {-2}, 2)), HasSubstr("expected sizes of 'w' from 0 on, found -2"));
  EXPECT_THAT(one(floats("w", {INT64_MAX, INT64_MAX}, 2)), HasSubstr("that a machine can hold"));
  EXPECT_THAT(one(floats("w", {3}, 2)), HasSubstr("expected 3 numbers"));
  EXPECT_THAT(one(floats("w", {1}, 2)), HasSubstr("expected 1 numbers"));
  EXPECT_THAT(one(floats("", {2}, 2)), HasSubstr("without one"));
  auto tensor = floats("w", {2}, 2);
  tensor.set_data_type(99);
  EXPECT_THAT(one(tensor), HasSubstr("a data type of 'w' from 1 to 26, found 99"));
  tensor.set_data_type(0);
  EXPECT_THAT(one(tensor), HasSubstr("found 0"));
  tensor.set_data_type(6);
  EXPECT_THAT(one(tensor), HasSubstr("found 0 there, 2 in all"));
  tensor = floats("w", {2}, 2);
  tensor.set_raw_data("12345678");
  EXPECT_THAT(one(tensor), HasSubstr("in one place"));
  tensor.clear_float_data();
  EXPECT_EQ(one(tensor), "no refusal");
  tensor.set_raw_data("1234567");
  EXPECT_THAT(one(tensor), HasSubstr("expected 8 bytes of raw_data"));
  tensor = initializer("w", 3, {1});
  tensor.add_int32_data(256);
  EXPECT_THAT(one(tensor), HasSubstr("that fit I8, found 256"));
  tensor = floats("w", {2}, 2);
  tensor.mutable_segment()->set_begin(0);
  EXPECT_THAT(one(tensor), HasSubstr("a segment"));
  tensor = floats("w", {}, 1);
  for (int i = 0; i < 300; ++i) tensor.add_dims(1);
  EXPECT_THAT(one(tensor), HasSubstr("at most 255 axes"));

  onnx::ModelProto twice = model_of(13);
  *twice.mutable_graph()->add_initializer() = floats("w", {2}, 2);
  *twice.mutable_graph()->add_initializer() = floats("w", {2}, 2);
  EXPECT_THAT(refused(folder, twice), HasSubstr("'w' twice"));
  onnx::ModelProto none = model_of(13);
  none.clear_graph();
  EXPECT_THAT(refused(folder, none), HasSubstr("an ONNX model with a graph, found none"));

  onnx::ModelProto deep = model_of(13);
  onnx::GraphProto* graph = deep.mutable_graph();
  for (int i = 0; i < 40; ++i) {
    *graph->add_node() = node("If", {"c"}, {"y"});
    auto& row = *graph->mutable_node(0)->add_attribute();
    row.set_name("then_branch");
    graph = row.mutable_g();
  }
  EXPECT_THAT(refused(folder, deep), HasSubstr("nested at most 64 deep"));

  for (const std::string& damage :
       {std::string("\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 12),
        std::string("\x08\x08\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13),
        std::string("\x08\x08\x3a\x05\x2a\xff\xff\xff\x7f", 9),
        std::string("\x08\x08\x3a\x04\x2a\x02\x4b\x4c", 8),
        std::string("\x08\x08\x3a\x02\x2b\x2c", 6)}) {
    save(folder / "wrong.onnx", damage);
    EXPECT_THAT(refusal([&] { OnnxFile(folder / "wrong.onnx"); }), HasSubstr("damage at byte"));
  }
  for (const char* text : {"BEGIN", "2 3 4 5", "(x)", "\"quoted\"", "\x12\xff",
                           "\x7f"
                           "ELF"}) {
    save(folder / "wrong.onnx", text);
    EXPECT_THAT(refusal([&] { open_tensor_file(folder / "wrong.onnx"); }),
                HasSubstr("a file of tensors"));
  }
}

TEST(OnnxTensors, ExternalDataStayWithinTheFolder) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "model" / "sub");
  const Bytes numbers = pattern(64, 3);
  const std::string bytes(numbers.begin(), numbers.end());
  save(folder / "outside", bytes);
  save(folder / "model/data", bytes);
  save(folder / "model/sub/data", bytes);
  fs::create_symlink(folder.path() / "outside", folder.path() / "model" / "link");
  fs::create_directory_symlink(folder.path(), folder.path() / "model" / "way");
  const std::string path = folder / "model/m.onnx";
  const auto result = [&](const std::vector<std::pair<std::string, std::string>>& entries) {
    onnx::ModelProto model = model_of(13);
    auto tensor = initializer("w", 1, {2});
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    *model.mutable_graph()->add_initializer() = tensor;
    tensor.set_name("second");
    *model.mutable_graph()->add_initializer() = tensor;
    save(path, model.SerializeAsString());
    Bytes found;
    const std::string message = refusal([&] { found = load(*open_tensor_file(path), "second"); });
    return message == "no refusal" ? std::string(found.begin(), found.end()) : message;
  };
  EXPECT_EQ(result({{"location", "data"}}), bytes.substr(0, 8));
  EXPECT_EQ(result({{"location", "./sub/data"}, {"offset", "56"}, {"length", "8"}}),
            bytes.substr(56));
  EXPECT_EQ(open_tensor_file(path)->file_bytes(), fs::file_size(path) + 64);
  EXPECT_THAT(result({}), HasSubstr("no name"));
  EXPECT_THAT(result({{"location", "../outside"}}), HasSubstr("leads out of it"));
  EXPECT_THAT(result({{"location", "sub/../data"}}), HasSubstr("leads out of it"));
  EXPECT_THAT(result({{"location", "/etc/passwd"}}), HasSubstr("an absolute path"));
  EXPECT_THAT(result({{"location", "link"}}), HasSubstr("a link"));
  EXPECT_THAT(result({{"location", "way/outside"}}), HasSubstr("a link"));
  EXPECT_THAT(result({{"location", std::string("data\0x", 6)}}), HasSubstr("no name of a file"));
  EXPECT_THAT(result({{"location", "missing"}}), HasSubstr("No such file"));
  EXPECT_THAT(result({{"location", "sub"}}), HasSubstr("a folder"));
  EXPECT_THAT(result({{"location", "."}}), HasSubstr("a folder"));
  EXPECT_THAT(result({{"location", "data"}, {"offset", "57"}}), HasSubstr("offset 57, length 8"));
  EXPECT_THAT(result({{"location", "data"}, {"offset", "18446744073709551612"}}),
              HasSubstr("within the 64 bytes of data"));
  EXPECT_THAT(result({{"location", "data"}, {"offset", "-1"}}), HasSubstr("whole number"));
  EXPECT_THAT(result({{"location", "data"}, {"offset", "99999999999999999999"}}),
              HasSubstr("whole number"));
  EXPECT_THAT(result({{"location", "data"}, {"length", "9"}}), HasSubstr("a length of 8"));
}

// Opens, reads and begins a copy of what is there, which is raised; only InputError may come of it.
void try_all(const std::string& path, const std::string& copy) {
  try {
    const OnnxFile file(path);
    TensorFilePlan plan;
    plan.source = &file;
    std::vector<Bytes> bytes;
    for (const auto& tensor : file.tensors()) {
      plan.tensors.push_back({tensor.name, tensor.shape, tensor.type});
      bytes.push_back(load(file, tensor.name));
    }
    (void)file.dequantizations();
    const auto writer = write_onnx(copy, plan, {.opset = 21});
    for (const auto& one : bytes) writer->write(one);  // not finished: that waits for the disk
  } catch (const InputError& error) {
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
  }
}

TEST(OnnxTensors, DamageIsRefusedOrHarmless) {
  const TemporaryFolder folder;
  onnx::ModelProto model = product(8, 3);
  auto& graph = *model.mutable_graph();
  *graph.add_initializer() = floats("bias", {2}, 2);
  auto squeeze = node("Squeeze", {"y"}, {"z"});
  set(squeeze, "axes", std::vector<std::int64_t>{0});
  *graph.add_node() = squeeze;
  *graph.add_node() = node("Softmax", {"z"}, {"s"});
  auto raw = initializer("raw", 3, {4});
  raw.set_raw_data("abcd");
  *graph.add_initializer() = raw;
  const std::string whole = model.SerializeAsString();
  const std::string path = folder / "damaged.onnx", copy = folder / "copy.onnx";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    save(path, whole.substr(0, size));
    try_all(path, copy);
  }
  std::mt19937 random(7);
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes = whole;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int k = 0; k < flips; ++k) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    save(path, bytes);
    try_all(path, copy);
  }
}

struct Case {
  const char* type;
  DequantizedTensor row;
  std::vector<std::size_t> scales;
  int opset, ir;
};

TEST(OnnxTensors, DequantizationsTakeTheNameOfTheirTensor) {
  const TemporaryFolder folder;
  save(folder / "old.onnx", product(8, 3).SerializeAsString());
  const OnnxFile source(folder / "old.onnx");
  const auto row = [](std::size_t axis, std::size_t block, bool per_channel) {
    return DequantizedTensor{"w", "w_codes", "w_scale", "w_zero", axis, block, per_channel};
  };
  const Case cases[] = {
      {"I8", row(0, 0, false), {}, 10, 5},      {"U8", row(1, 0, true), {2}, 13, 7},
      {"F8_E4M3", row(0, 0, false), {}, 19, 9}, {"U4", row(0, 2, false), {2, 2}, 21, 10},
      {"I16", row(0, 0, true), {4}, 21, 10},    {"F4", row(0, 0, false), {}, 23, 11},
      {"I2", row(1, 2, false), {4, 1}, 25, 13},
  };
  const std::string path = folder / "new.onnx";
  for (const auto& [type, dequantization, scales, opset, ir] : cases) {
    TensorFilePlan plan;
    plan.source = &source;
    plan.tensors = {{"w_codes", {4, 2}, &tensor_type(type)},
                    {"w_scale", scales, &tensor_type("F32")},
                    {"w_zero", scales, &tensor_type(type)}};
    plan.dequantizations = {dequantization};
    std::size_t count = 1;
    for (const std::size_t size : scales) count *= size;
    const std::vector<Bytes> bytes = {pattern(tensor_type(type).stored_bytes(8), 0),
                                      pattern(4 * count, 1),
                                      Bytes(tensor_type(type).stored_bytes(count))};
    for (const bool has_source : {true, false}) {
      plan.source = has_source ? &source : nullptr;
      write(path, plan, bytes);
      const OnnxFile file(path);
      ASSERT_EQ(file.dequantizations().size(), 1U);
      const DequantizedTensor found = file.dequantizations().front();
      EXPECT_EQ(found.name, "w");
      EXPECT_EQ(found.codes, "w_codes");
      EXPECT_EQ(found.zero_point, "w_zero");
      EXPECT_EQ(found.axis, dequantization.axis);
      EXPECT_EQ(found.block, dequantization.block);
      EXPECT_EQ(found.per_channel, dequantization.per_channel);
      const auto model = parsed(path);
      EXPECT_EQ(model.graph().node(0).op_type(), "DequantizeLinear");
      if (!has_source) {
        ASSERT_EQ(model.graph().output_size(), 1);
        EXPECT_EQ(model.graph().output(0).name(), "w");
        continue;
      }
      EXPECT_EQ(model.opset_import(0).version(), opset) << type;
      EXPECT_EQ(model.ir_version(), ir) << type;
      ASSERT_EQ(model.graph().input_size(), 1);
      EXPECT_EQ(model.graph().input(0).name(), "x");
      EXPECT_EQ(model.graph().node(1).input(1), "w");
    }
    // Once more from what was written: nothing is dequantized twice.
    write(path, plan, bytes);
    const OnnxFile again(path);
    plan.source = &again;
    write(folder / "again.onnx", plan, bytes);
    EXPECT_EQ(contents(folder / "again.onnx"), contents(path));
  }
}

TEST(OnnxTensors, DequantizationsGiveTheTypeThatWasThere) {
  const TemporaryFolder folder;
  save(folder / "old.onnx", product(13, 7).SerializeAsString());
  const OnnxFile source(folder / "old.onnx");
  TensorFilePlan plan;
  plan.source = &source;
  plan.dequantizations = {{"w", "c", "s", "", 0, 0, false}};
  for (const auto& [scale, opset] : {std::pair("F32", 13), {"F16", 23}, {"F8_E8M0", 24}}) {
    plan.tensors = {{"c", {4, 2}, &tensor_type("I8")}, {"s", {}, &tensor_type(scale)}};
    write(folder / "new.onnx", plan, {Bytes(8), Bytes(tensor_type(scale).stored_bytes(1))});
    const auto model = parsed(folder / "new.onnx");
    EXPECT_EQ(model.opset_import(0).version(), opset);
    const auto& made = model.graph().node(0);
    ASSERT_EQ(made.attribute_size(), opset == 13 ? 0 : 1);
    if (opset != 13) {
      EXPECT_EQ(made.attribute(0).i(), 1);
    }
    // With another scale in its place, it still gives float32.
    const OnnxFile again(folder / "new.onnx");
    TensorFilePlan next = plan;
    next.source = &again;
    next.tensors[1].type = &tensor_type("BF16");
    write(folder / "next.onnx", next, {Bytes(8), Bytes(2)});
    ASSERT_EQ(parsed(folder / "next.onnx").graph().node(0).attribute_size(), 1);
    EXPECT_EQ(parsed(folder / "next.onnx").graph().node(0).attribute(0).i(), 1);
  }
  onnx::ModelProto doubles = product(13, 7);
  auto& weight = *doubles.mutable_graph()->mutable_initializer(0);
  weight.clear_float_data();
  weight.set_data_type(11);
  weight.set_raw_data(std::string(64, 0));
  save(folder / "doubles.onnx", doubles.SerializeAsString());
  const OnnxFile other(folder / "doubles.onnx");
  plan.source = &other;
  EXPECT_THAT(refusal([&] { write_onnx(folder / "new.onnx", plan, {}); }),
              HasSubstr("'w': expected F32, F16 or BF16, which DequantizeLinear gives, found F64"));
}

TEST(OnnxTensors, RefusesPlansThatMakeNoModel) {
  const TemporaryFolder folder;
  save(folder / "old.onnx", product(8, 3).SerializeAsString());
  const OnnxFile source(folder / "old.onnx");
  const auto refused_plan = [&](TensorFilePlan plan) {
    plan.source = &source;
    return refusal([&] { write_onnx(folder / "new.onnx", plan, {}); });
  };
  const TensorType &i8 = tensor_type("I8"), &f32 = tensor_type("F32");
  TensorFilePlan plan;
  EXPECT_THAT(refused_plan(plan),
              HasSubstr("'w': expected it among the tensors, as 'MatMul_of_y'"));
  plan.tensors = {{"w", {4, 2}, &f32}, {"w", {4, 2}, &f32}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("found it twice"));
  plan.tensors = {{"w", {4, 2}, &f32}, {"y", {}, &f32}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("'y': expected a name of its own"));
  plan.tensors = {{"c", {4, 2}, &i8}, {"s", {2}, &f32}, {"z", {}, &i8}};
  plan.dequantizations = {{"w", "c", "s", "", 0, 0, true}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("expected scales of shape [4], found [2]"));
  plan.dequantizations = {{"w", "c", "s", "", 2, 0, true}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("expected an axis below 2, found 2"));
  plan.dequantizations = {{"w", "c", "s", "", 1, 0, false}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("expected one scale, found shape [2]"));
  plan.dequantizations = {{"w", "c", "s", "z", 1, 0, true}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("expected a zero point I8 [2], found I8 []"));
  plan.dequantizations = {{"w", "c", "none", "", 1, 0, true}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("expected its scale 'none' among the tensors"));
  plan.dequantizations = {{"w", "s", "s", "", 0, 0, true}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("that DequantizeLinear takes, found F32"));
  plan.dequantizations = {{"x", "c", "s", "", 1, 0, true}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("found an input of the model"));
  plan.tensors = {{"c", {2, 4}, &i8}, {"s", {}, &f32}};
  plan.dequantizations = {{"w", "c", "s", "", 0, 0, false}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("'w': expected codes of shape [4, 2], found [2, 4]"));
  plan.dequantizations.clear();
  plan.tensors = {{"w", {4, 2}, &f32}, {"x", {1, 4}, &f32}};
  EXPECT_THAT(refused_plan(plan), HasSubstr("'x': expected an initializer to replace"));
  EXPECT_FALSE(fs::exists(folder / "new.onnx"));
  EXPECT_FALSE(fs::exists(folder / "new.onnx.partial"));
}

TEST(OnnxTensors, LargeModelsHaveTheirDataBesideThem) {
  const TemporaryFolder folder;
  const std::string path = folder / "large.onnx";
  TensorFilePlan plan;
  plan.tensors = {{"a", {1000}, &tensor_type("F32")},
                  {"small", {2}, &tensor_type("F32")},
                  {"b", {1024}, &tensor_type("U8")}};
  const std::vector<Bytes> bytes = {pattern(4000, 1), pattern(8, 2), pattern(1024, 3)};
  write(path, plan, bytes, {.most_inline = 2000});
  EXPECT_EQ(fs::file_size(folder / "large.onnx.data"), 4096U + 1024U);
  const auto model = parsed(path);
  EXPECT_EQ(model.graph().initializer(0).external_data(0).value(), "large.onnx.data");
  EXPECT_EQ(model.graph().initializer(1).raw_data().size(), 8U);
  const auto file = open_tensor_file(path);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(load(*file, plan.tensors[i].name), bytes[i]);
  // Over itself, too.
  plan.source = file.get();
  write(path, plan, bytes, {.most_inline = 2000});
  EXPECT_EQ(load(*open_tensor_file(path), "b"), bytes[2]);
}

TEST(OnnxTensors, OnlyDequantizationsThatFitAreListed) {
  const TemporaryFolder folder;
  onnx::ModelProto model = model_of(21, 10);
  auto& graph = *model.mutable_graph();
  auto codes = initializer("codes", 3, {2, 3});
  codes.set_raw_data("abcdef");
  *graph.add_initializer() = codes;
  *graph.add_initializer() = floats("per_row", {2}, 2);
  *graph.add_initializer() = floats("one", {1}, 1);
  auto rows = node("DequantizeLinear", {"codes", "per_row"}, {"a"});
  set(rows, "axis", -2);
  *graph.add_node() = rows;
  *graph.add_node() = node("DequantizeLinear", {"codes", "per_row"}, {"wrong axis"});
  *graph.add_node() = node("DequantizeLinear", {"codes", "one"}, {"b"});
  *graph.add_node() = node("DequantizeLinear", {"x", "one"}, {"not of initializers"});
  save(folder / "m.onnx", model.SerializeAsString());
  const auto found = open_tensor_file(folder / "m.onnx")->dequantizations();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].name, "a");
  EXPECT_EQ(found[0].axis, 0U);
  EXPECT_TRUE(found[0].per_channel);
  EXPECT_EQ(found[1].name, "b");
  EXPECT_FALSE(found[1].per_channel);
}

}  // namespace
}  // namespace zeropoint
