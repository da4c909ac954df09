#include <sys/stat.h>

#include <fmt/format.h>

#include "io/containers.hpp"

namespace zeropoint {
namespace {

using testing::as_bytes;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

// One row of a header.
std::string row(const std::string& name, const std::string& dtype, const std::string& shape,
                const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

class Safetensors : public testing::ContainerTest {
 protected:
  std::string refusal(const std::string& bytes) const {
    return testing::outcome("safetensors", put("some.safetensors", bytes));
  }
  std::string header_refusal(const std::string& rows, const std::string& data = "") const {
    return refusal(file_of("{" + rows + "}", data));
  }
  std::string index_refusal(const std::string& json) const {
    return testing::outcome("safetensors index", put("model.safetensors.index.json", json));
  }
};

TEST_F(Safetensors, WritesAndReadsEveryType) {
  for (const auto& type : tensor_types()) {
    SCOPED_TRACE(type.name);
    const std::string path = in_folder("some.bin");
    TensorFilePlan plan;
    plan.tensors = {
        {"a", {2, 12}, &type}, {"b\"\n\xc3\xa9", {}, &tensor_type("U8")}, {"none", {0}, &type}};
    plan.metadata = {{"format", "pt"}, {"\"", "\n"}};
    if (type.kind == TensorKind::blocks) {
      EXPECT_THROW(container("safetensors").create(path, plan), InputError);
      EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
      continue;
    }
    std::string data(type.stored_bytes(24), '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i);
    {
      const auto writer = container("safetensors").create(path, plan);
      writer->write(as_bytes(data));
      EXPECT_THROW(writer->finish(), WorkError);
      writer->write(as_bytes("\7"));
      EXPECT_FALSE(exists("some.bin"));
      writer->finish();
    }
    const auto file = open_tensor_file(path);
    EXPECT_EQ(file->container(), "safetensors");
    ASSERT_EQ(file->tensors().size(), 3U);
    EXPECT_EQ(file->tensors()[0].shape, (std::vector<std::size_t>{2, 12}));
    EXPECT_TRUE(std::ranges::equal(file->load(file->tensors()[0]).bytes(), as_bytes(data)));
    EXPECT_EQ(file->metadata(), plan.metadata);
    EXPECT_EQ(testing::values_of(*file, "b\"\n\xc3\xa9"), (std::vector<float>{7}));
    EXPECT_TRUE(testing::values_of(*file, "none").empty());
    EXPECT_EQ(file->find("c"), nullptr);
    std::filesystem::remove(path);
  }
}

TEST_F(Safetensors, WritesOnlyNamesThatItReads) {
  const auto refused = [&](const std::vector<std::string>& names) -> std::string {
    TensorFilePlan plan;
    for (const auto& name : names) plan.tensors.push_back({name, {1}, &tensor_type("U8")});
    try {
      container("safetensors").create(in_folder("some.bin"), plan);
    } catch (const InputError& error) {
      EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused({"a", "a"}), HasSubstr("found 'a'"));
  EXPECT_THAT(refused({"__metadata__"}), HasSubstr("found '__metadata__'"));
  EXPECT_THAT(refused({""}), HasSubstr("expected a name"));
  EXPECT_EQ(refused({"a\xff"}), "safetensors: 'a\\xff': expected text in UTF-8, found 'a\\xff'");
}

TEST_F(Safetensors, Lengths) {
  EXPECT_EQ(refusal(""), "expected a safetensors file, found 0 bytes");
  EXPECT_EQ(refusal("1234567"), "expected a safetensors file, found 7 bytes");
  EXPECT_EQ(refusal(std::string(8, '\0')), "expected JSON, found something else at its byte 1");
  EXPECT_EQ(refusal(std::string(7, '\0') + "\x80{}"),
            "expected a header of at most 2 bytes, found one of 9223372036854775808 bytes");
  EXPECT_EQ(refusal(std::string(8, '\xff') + "{}"),
            "expected a header of at most 2 bytes, found one of 18446744073709551615 bytes");
  EXPECT_EQ(refusal(std::string("\3\0\0\0\0\0\0\0{}", 10)),
            "expected a header of at most 2 bytes, found one of 3 bytes");
  EXPECT_EQ(refusal(std::string("\2\0\0\0\0\0\0\0{}", 10)), "");
}

TEST_F(Safetensors, HeadersThatAreNoJson) {
  for (const char* text : {"", "{", "}", "{]", "{\"a\"", "{\"a\":}", "{} x", "{\"a\":{}", "nul",
                           "{\"a\xff\":{}}", "{'a':{}}", "{\"a\":{},}"}) {
    SCOPED_TRACE(text);
    EXPECT_NE(refusal(file_of(text, "")), "");
  }
  for (const char* text :
       {"[]", "1", "null", "\"x\"", "{\"a\":1}", "{\"a\":[]}", "{\"a\":null}",
        "{\"__metadata__\":[]}", "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":{}}}",
        "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":[]}}", "{\"a\":{\"dtype\":[]}}",
        "{\"a\":{\"shape\":{}}}"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(refusal(file_of(text, "")), HasSubstr("of its JSON, found something else"));
  }
  std::string deep = "{\"a\":{\"shape\":";
  deep += std::string(100'000, '[');
  EXPECT_EQ(refusal(file_of(deep, "")), "expected JSON of at most 3 levels, found more");
  EXPECT_NE(refusal(file_of(std::string(1'000'000, '['), "")), "");
  EXPECT_THAT(header_refusal(R"("__metadata__":{},"__metadata__":{})"), HasSubstr("it once"));
}

TEST_F(Safetensors, NamesAndKeysTwice) {
  EXPECT_EQ(
      header_refusal(row("a", "U8", "[1]", "[0,1]") + "," + row("a", "U8", "[1]", "[1,2]"), "12"),
      "expected each tensor's name once, found 'a' twice");
  EXPECT_EQ(header_refusal(
                row("a", "U8", "[1]", "[0,1]") + "," + row("\\u0061", "U8", "[0]", "[1,1]"), "1"),
            "expected each tensor's name once, found 'a' twice");
  for (const char* keys :
       {R"("dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1])",
        R"("dtype":"U8","shape":[1],"shape":[],"data_offsets":[0,1])",
        R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1])"}) {
    SCOPED_TRACE(keys);
    EXPECT_THAT(header_refusal(fmt::format(R"("a":{{{}}})", keys), "1"), HasSubstr("it once"));
  }
  for (const char* keys : {R"("dtype":"U8","shape":[1])", R"("dtype":"U8","data_offsets":[0,1])",
                           R"("shape":[1],"data_offsets":[0,1])", ""}) {
    SCOPED_TRACE(keys);
    EXPECT_EQ(header_refusal(fmt::format(R"("a":{{{}}})", keys), "1"),
              "expected dtype, shape and two data_offsets of 'a', found one missing");
  }
  EXPECT_EQ(header_refusal(row("", "U8", "[1]", "[0,1]"), "1"),
            "expected a name for each tensor, found a tensor without one");
}

TEST_F(Safetensors, Shapes) {
  for (const char* shape : {"[-1]", "[0.5]", "[1.0]", "[1e30]", "[1e999]", "[18446744073709551616]",
                            "[null]", "[true]", "[\"1\"]", "[[1]]", "[{}]", "1", "{\"a\":1}"}) {
    SCOPED_TRACE(shape);
    EXPECT_NE(header_refusal(row("a", "U8", shape, "[0,1]"), "1"), "");
  }
  for (const char* shape :
       {"[9223372036854775808]", "[18446744073709551615]", "[4294967296,4294967296]",
        "[3,6148914691236517206]", "[4611686018427387904,4]"}) {
    SCOPED_TRACE(shape);
    EXPECT_THAT(header_refusal(row("a", "F64", shape, "[0,1]"), "1"),
                StartsWith("expected a shape of 'a' that a machine can hold, found ["));
  }
  std::string many = "[1";
  for (int i = 0; i < 100'000; ++i) many += ",1";
  EXPECT_EQ(header_refusal(row("a", "U8", many + "]", "[0,1]"), "1"), "");
  EXPECT_THAT(header_refusal(row("a", "U8", many + ",2]", "[0,1]"), "1"),
              HasSubstr("found 1 byte"));
  EXPECT_EQ(header_refusal(row("a", "F64", "[0,18446744073709551615]", "[0,0]")), "");
}

TEST_F(Safetensors, Offsets) {
  const auto two = [](const char* a, const char* b) {
    return row("a", "U8", "[2]", a) + "," + row("b", "U8", "[2]", b);
  };
  EXPECT_EQ(header_refusal(two("[0,2]", "[2,4]"), "1234"), "");
  EXPECT_EQ(header_refusal(two("[2,4]", "[0,2]"), "1234"), "");
  EXPECT_EQ(header_refusal(two("[0,2]", "[1,3]"), "123"),
            "expected 'b' to begin at byte 2 of the data, found 1");
  EXPECT_EQ(header_refusal(two("[0,2]", "[0,2]"), "12"),
            "expected 'b' to begin at byte 2 of the data, found 0");
  EXPECT_EQ(header_refusal(two("[0,2]", "[3,5]"), "12345"),
            "expected 'b' to begin at byte 2 of the data, found 3");
  EXPECT_EQ(header_refusal(two("[1,3]", "[3,5]"), "12345"),
            "expected 'a' to begin at byte 0 of the data, found 1");
  EXPECT_EQ(header_refusal(row("a", "U8", "[2]", "[2,0]"), "12"),
            "expected data_offsets of 'a' in order within 2 bytes, found [2, 0]");
  EXPECT_EQ(header_refusal(row("a", "U8", "[2]", "[0,3]"), "12"),
            "expected data_offsets of 'a' in order within 2 bytes, found [0, 3]");
  EXPECT_THAT(header_refusal(row("a", "U8", "[2]", "[0,18446744073709551615]"), "12"),
              HasSubstr("in order within 2 bytes"));
  EXPECT_EQ(header_refusal(row("a", "U8", "[2]", "[0]"), "12"),
            "expected dtype, shape and two data_offsets of 'a', found 1 offsets");
  EXPECT_EQ(header_refusal(row("a", "U8", "[2]", "[0,2,2]"), "12"),
            "expected dtype, shape and two data_offsets of 'a', found 3 offsets");
  EXPECT_EQ(header_refusal(row("a", "U8", "[2]", "[0,2]"), "123"),
            "expected 2 bytes of data, as the header says, found 3 bytes");
  EXPECT_EQ(refusal(file_of("{}", "1")),
            "expected 0 bytes of data, as the header says, found 1 byte");
}

TEST_F(Safetensors, Types) {
  EXPECT_EQ(header_refusal(row("a", "F32", "[2]", "[0,4]"), "1234"),
            "expected 8 bytes for 'a', F32 [2], found 4 bytes");
  EXPECT_EQ(header_refusal(row("a", "I4", "[3]", "[0,1]"), "1"),
            "expected 2 bytes for 'a', I4 [3], found 1 byte");
  for (const char* dtype : {"", "f32", "F33", "Q8_0", "\\n"}) {
    SCOPED_TRACE(dtype);
    EXPECT_THAT(header_refusal(row("a", dtype, "[2]", "[0,4]"), "1234"),
                StartsWith("expected a type of 'a' that is known, found '"));
  }
}

TEST_F(Safetensors, CutOffAndMutated) {
  const std::string good =
      file_of(R"({"__metadata__":{"k":"v"},)" + row("a", "F32", "[1,2]", "[0,8]") + "," +
                  row("b", "I8", "[]", "[8,9]") + "}",
              "123456789");
  ASSERT_EQ(refusal(good), "");
  const auto attempt = [&](const std::string& bytes) { return refusal(bytes).empty() ? 1 : 0; };
  EXPECT_GT(testing::mutate(good, 10'000, attempt), 100U);
}

class SafetensorsIndex : public Safetensors {
 protected:
  SafetensorsIndex() {
    put("1.safetensors",
        file_of("{" + row("a", "U8", "[2]", "[0,2]") + "," + row("b", "U8", "[1]", "[2,3]") + "}",
                "\1\2\3"));
    put("2.safetensors", file_of("{" + row("c", "U8", "[1]", "[0,1]") + "}", "\4"));
  }
  static constexpr const char* kGood =
      R"({"metadata":{"total_size":4,"x":[{"y":null}]},
          "weight_map":{"c":"2.safetensors","b":"1.safetensors","a":"1.safetensors"}})";
};

TEST_F(SafetensorsIndex, ReadsASetAndItsFolder) {
  put("model.safetensors.index.json", kGood);
  for (const auto& path : {in_folder("model.safetensors.index.json"), folder_.path().string()}) {
    const auto file = open_tensor_file(path);
    ASSERT_EQ(file->tensors().size(), 3U);
    EXPECT_EQ(testing::values_of(*file, "a"), (std::vector<float>{1, 2}));
    EXPECT_EQ(testing::values_of(*file, "b"), (std::vector<float>{3}));
    EXPECT_EQ(testing::values_of(*file, "c"), (std::vector<float>{4}));
  }
}

TEST_F(SafetensorsIndex, SaysWhatAllItsFilesSay) {
  for (const char* name : {"1.safetensors", "2.safetensors"}) {
    put(name, file_of(fmt::format(R"({{"__metadata__":{{"format":"pt","own":"{}"}},{}}})", name,
                                  row(name, "U8", "[1]", "[0,1]")),
                      "\4"));
  }
  put("model.safetensors.index.json",
      R"({"weight_map":{"1.safetensors":"1.safetensors","2.safetensors":"2.safetensors"}})");
  const auto file = open_tensor_file(in_folder("model.safetensors.index.json"));
  EXPECT_EQ(file->metadata(), (std::vector<std::pair<std::string, std::string>>{{"format", "pt"}}));
}

TEST_F(SafetensorsIndex, NamesOfFiles) {
  const auto refused = [&](const std::string& name) {
    return index_refusal(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name));
  };
  EXPECT_EQ(refused("1.safetensors"), "");
  for (const char* name : {"../x", "/etc/passwd", "", ".", "..", "sub/1.safetensors",
                           "./1.safetensors", "1.safetensors\\u0000", "..\\/x"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(refused(name), StartsWith("expected names of files in its own folder, found '"));
  }
  EXPECT_EQ(refused("3.safetensors"),
            "expected a file that can be read, found \"No such file or directory\"");
  EXPECT_EQ(refused("2.safetensors"), "expected 'a' in 2.safetensors, found no such");
  std::filesystem::create_directory(folder_ / "sub");
  EXPECT_EQ(refused("sub"), "expected a file, found a folder");
  ASSERT_EQ(mkfifo(in_folder("pipe").c_str(), 0600), 0);
  EXPECT_EQ(refused("pipe"), "expected a file, found a device, a pipe or a socket");
  put("bad.safetensors", "12345678");
  EXPECT_NE(refused("bad.safetensors"), "");
  EXPECT_NE(refused("model.safetensors.index.json"), "");
}

TEST_F(SafetensorsIndex, LinksLeadOutOnlyOfAFolderOfLinks) {
  namespace fs = std::filesystem;
  const std::string json = R"({"weight_map":{"a":"link"}})";
  fs::create_directory(folder_ / "blobs");
  fs::create_directory(folder_ / "set");
  fs::rename(folder_ / "1.safetensors", folder_ / "blobs" / "1");
  fs::create_symlink("../blobs/1", folder_ / "set" / "link");
  EXPECT_EQ(testing::outcome("safetensors index", put("set/index.json", json)),
            "expected a file that is no link, found a link");
  // As a hub's cache has it: the index is a link, too.
  fs::rename(folder_ / "set" / "index.json", folder_ / "blobs" / "2");
  fs::create_symlink("../blobs/2", folder_ / "set" / "index.json");
  EXPECT_EQ(testing::outcome("safetensors index", in_folder("set/index.json")), "");
}

TEST_F(SafetensorsIndex, Contents) {
  for (const char* json : {"", "{", "[]", "{}", "1", R"({"weight_map":{}})", R"({"weight_map":[]})",
                           R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":null}})",
                           R"({"weight_map":{"a":["1.safetensors"]}})", R"({"weight_map":"a"})",
                           R"({"weight_map":{"a":{"b":"1.safetensors"}}})",
                           R"({"weight_map":{"":"1.safetensors"}})"}) {
    SCOPED_TRACE(json);
    EXPECT_NE(index_refusal(json), "");
  }
  EXPECT_EQ(index_refusal(R"({"weight_map":{"a":"1.safetensors","a":"1.safetensors"}})"),
            "expected each tensor's name once, found 'a' twice");
  EXPECT_THAT(index_refusal("{\"x\":" + std::string(1'000'000, '[')),
              StartsWith("expected JSON of at most 8 levels"));
  std::string huge = R"({"weight_map":{)";
  for (int i = 0; i < 300'000; ++i) huge += fmt::format(R"("{}":"1.safetensors",)", i);
  EXPECT_THAT(index_refusal(huge + R"("a":"1.safetensors"}})"), HasSubstr("found no such"));
}

TEST_F(SafetensorsIndex, CutOffAndMutated) {
  const auto attempt = [&](const std::string& bytes) {
    return index_refusal(bytes).empty() ? 1 : 0;
  };
  EXPECT_GT(testing::mutate(kGood, 10'000, attempt), 100U);
}

}  // namespace
}  // namespace zeropoint
