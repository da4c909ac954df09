// Files from strangers: whatever their bytes, a reader gives tensors within the file or one line.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::refusal;

class Hostile : public ::testing::TestWithParam<std::string> {
 protected:
  Hostile() {
    folder_ = fs::path(::testing::TempDir()) /
              ("zeropoint-hostile-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
    fs::create_directories(folder_);
  }
  ~Hostile() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string put(const std::string& name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  static std::string contents(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  // Every type that the container can write; all of them in one file, where it holds several.
  std::string whole(const std::string& to) const {
    TensorFilePlan plan;
    plan.metadata = {{"general.name", "small"}};
    for (const auto& type : tensor_types()) {
      TensorFilePlan one;
      one.tensors = {{"t" + std::string(type.name), {2, type.block}, &type}};
      try {
        container(to).create(path("probe"), one);
      } catch (const InputError&) {
        continue;
      }
      if (to != "npy" || plan.tensors.empty()) plan.tensors.push_back(one.tensors[0]);
    }
    const auto writer = container(to).create(path("whole"), plan);
    for (const auto& tensor : plan.tensors) {
      const std::vector<std::uint8_t> bytes(2 * tensor.type->bytes, 0x3c);
      writer->write(bytes);
    }
    writer->finish();
    return contents(path("whole"));
  }
  // Reads all of it; whether it was accepted.
  static bool read(const std::string& file) {
    try {
      const auto opened = open_tensor_file(file);
      for (const auto& tensor : opened->tensors()) {
        const auto bytes = opened->load(tensor);
        EXPECT_EQ(bytes.bytes().size(), tensor.bytes);
        if (tensor.count > 1'000'000) continue;
        std::vector<float> values(tensor.count);
        tensor.type->decode(bytes.bytes().data(), tensor.count, values.data());
      }
      return true;
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return false;
    }
  }

  fs::path folder_;
};

TEST_P(Hostile, IsReadAsItWasWritten) {
  whole(GetParam());
  const auto file = open_tensor_file(path("whole"));
  EXPECT_EQ(file->container(), GetParam());
  EXPECT_GE(file->tensors().size(), GetParam() == "npy" ? 1U : 9U);
  for (const auto& tensor : file->tensors()) {
    EXPECT_EQ(tensor.shape, (std::vector{std::size_t{2}, tensor.type->block})) << tensor.name;
    const auto bytes = file->load(tensor);
    for (const std::uint8_t byte : bytes.bytes()) ASSERT_EQ(byte, 0x3c) << tensor.name;
    if (GetParam() == "npy") continue;
    EXPECT_EQ("t" + std::string(tensor.type->name), tensor.name);
  }
}

TEST_P(Hostile, CutAnywhere) {
  const std::string bytes = whole(GetParam());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    // A GGUF file may end in padding that nobody needs, an ONNX model with a field that may lack.
    const bool accepted = read(put("cut", std::string_view(bytes).substr(0, length)));
    EXPECT_FALSE(accepted && GetParam() != "gguf" && GetParam() != "onnx") << length;
  }
}

TEST_P(Hostile, AnyBytesChanged) {
  const std::string bytes = whole(GetParam());
  std::uint64_t state = 1;
  const auto random = [&](std::size_t below) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::size_t>((state >> 33) % below);
  };
  constexpr int kTries = 1500;
  for (int i = 0; i < kTries; ++i) {
    std::string changed = bytes;
    for (std::size_t j = random(4) + 1; j-- > 0;) {
      // Headers say the most; small and extreme numbers are the likeliest to slip through.
      const std::size_t at =
          random(random(2) == 0 ? std::min<std::size_t>(changed.size(), 200) : changed.size());
      constexpr char kBytes[] = {0, 1, -1, 127, -128, '{', '"', '9', '.', '/'};
      changed[at] =
          random(2) == 0 ? kBytes[random(std::size(kBytes))] : static_cast<char>(random(256));
    }
    read(put("changed", changed));
  }
}

INSTANTIATE_TEST_SUITE_P(Containers, Hostile, ::testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const auto& row : containers()) {
                             if (row.create != nullptr) names.emplace_back(row.name);
                           }
                           return names;
                         }()),
                         [](const auto& row) { return row.param; });

class Refused : public Hostile {
 protected:
  std::string message(std::string_view bytes) const {
    return refusal([&] { open_tensor_file(put("file", bytes)); });
  }
  static std::string safetensors(std::string_view header, std::size_t data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
    return bytes + std::string(header) + std::string(data, '\0');
  }
};

TEST_F(Refused, WhatIsNoContainer) {
  EXPECT_THAT(message(""), HasSubstr("an empty file"));
  EXPECT_THAT(message("hello world, this is text"), HasSubstr("begins with"));
  EXPECT_THAT(refusal([&] { open_tensor_file(path("none")); }), HasSubstr("No such file"));
  EXPECT_THAT(refusal([&] { open_tensor_file(folder_.string()); }), HasSubstr("a folder without"));
  EXPECT_THAT(refusal([&] { open_tensor_file("/dev/zero"); }), HasSubstr("a device"));
}

TEST_F(Refused, SafetensorsHeaders) {
  using namespace std::string_literals;
  EXPECT_THAT(message("\0\0\0\0\0\0\0\x80{"s), HasSubstr("a header of at most"));
  EXPECT_THAT(message("\xff\xff\xff\xff\xff\xff\xff\xff{"s), HasSubstr("a header of at most"));
  const auto header = [&](std::string_view text, std::size_t data = 4) {
    return message(safetensors(text, data));
  };
  EXPECT_THAT(header("{\"a\":"), HasSubstr("JSON"));
  EXPECT_THAT(header("{\"a\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}"), HasSubstr("an object for 'a'"));
  const std::string deep = "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_THAT(header(deep), HasSubstr("object"));
  const auto one = [&](std::string_view shape, std::string_view offsets,
                       std::string_view type = "F32", std::size_t data = 4) {
    return header("{\"a\":{\"dtype\":\"" + std::string(type) + "\",\"shape\":" +
                      std::string(shape) + ",\"data_offsets\":" + std::string(offsets) + "}}",
                  data);
  };
  EXPECT_EQ(one("[1]", "[0,4]"), "no refusal");
  EXPECT_EQ(one("[]", "[0,4]"), "no refusal");
  EXPECT_EQ(one("[0]", "[0,0]", "F32", 0), "no refusal");
  EXPECT_THAT(one("[-1]", "[0,4]"), HasSubstr("whole numbers"));
  EXPECT_THAT(one("[1.5]", "[0,4]"), HasSubstr("whole numbers"));
  EXPECT_THAT(one("[1e30]", "[0,4]"), HasSubstr("whole numbers"));
  EXPECT_THAT(one("[\"1\"]", "[0,4]"), HasSubstr("whole numbers"));
  EXPECT_THAT(one("[9223372036854775808,4]", "[0,4]"), HasSubstr("a machine can hold"));
  EXPECT_THAT(one("[4294967296,4294967296,4294967296]", "[0,4]"), HasSubstr("can hold"));
  EXPECT_THAT(one("[1]", "[4,0]"), HasSubstr("in order"));
  EXPECT_THAT(one("[1]", "[0,8]"), HasSubstr("in order within 4 bytes"));
  EXPECT_THAT(one("[2]", "[0,4]"), HasSubstr("8 bytes for 'a'"));
  EXPECT_THAT(one("[1]", "[0]"), HasSubstr("two data_offsets"));
  EXPECT_THAT(one("[1]", "[0,4]", "F99"), HasSubstr("'F99'"));
  EXPECT_THAT(one("[32]", "[0,34]", "Q8_0", 34), HasSubstr("'Q8_0'"));
  EXPECT_THAT(one("[1]", "[0,4]", "F32", 5), HasSubstr("4 bytes of data"));
  const std::string a = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string b = R"({"dtype":"F32","shape":[1],"data_offsets":[2,6]})";
  EXPECT_THAT(header("{\"a\":" + a + ",\"a\":" + a + "}"), HasSubstr("begin at byte 4"));
  EXPECT_THAT(header("{\"a\":" + a + ",\"b\":" + b + "}", 6), HasSubstr("begin at byte 4"));
  EXPECT_THAT(header("{\"b\":" + b + "}", 6), HasSubstr("begin at byte 0"));
  EXPECT_THAT(header(R"({"a":{"dtype":"F32","dtype":"F32"}})"), HasSubstr("it once"));
  EXPECT_THAT(header(R"({"a":{"shape":[0],"x":1}})"), HasSubstr("only dtype"));
  EXPECT_THAT(header(R"({"__metadata__":{"a":1}})"), HasSubstr("text"));
  const std::string empty = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(header("{\"a\":" + empty + ",\"a\":" + empty + "}", 0), HasSubstr("'a' twice"));
  EXPECT_THAT(header("{\"\":" + empty + "}", 0), HasSubstr("without one"));
}

TEST_F(Refused, SetsOfFiles) {
  const auto index = [&](std::string_view file) {
    put("s.json", "{\"weight_map\":{\"a\":\"" + std::string(file) + "\"}}");
    return refusal([&] { open_tensor_file(path("s.json")); });
  };
  const std::string good =
      safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  put("part", good);
  EXPECT_EQ(index("part"), "no refusal");
  EXPECT_THAT(index("../part"), HasSubstr("its own folder"));
  EXPECT_THAT(index("/etc/passwd"), HasSubstr("its own folder"));
  EXPECT_THAT(index(".."), HasSubstr("its own folder"));
  EXPECT_THAT(index("none"), HasSubstr("No such file"));
  EXPECT_THAT(index("part\\u0000x"), HasSubstr("its own folder"));
  fs::create_symlink(path("part"), path("link"));
  EXPECT_THAT(index("link"), HasSubstr("a link"));
  put("other", safetensors(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  EXPECT_THAT(index("other"), HasSubstr("'a' in other"));
  EXPECT_THAT(message("{\"weight_map\":{\"a\":1}}"), HasSubstr("a file's name"));
  EXPECT_THAT(message("{\"weight_map\":[]}"), HasSubstr("an object"));
  EXPECT_THAT(message("{\"x\":1}"), HasSubstr("a weight_map"));
  EXPECT_THAT(message("{\"x\":" + std::string(1000, '[')), HasSubstr("8 levels"));
  // As hubs' caches are: the index and its shards are links alike.
  fs::create_directories(path("hub"));
  put("blob.json", R"({"weight_map":{"a":"part"}})");
  fs::create_symlink(path("blob.json"), path("hub/model.safetensors.index.json"));
  fs::create_symlink(path("part"), path("hub/part"));
  EXPECT_EQ(open_tensor_file(path("hub"))->tensors().size(), 1U);
}

}  // namespace
}  // namespace zeropoint
