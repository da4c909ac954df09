// What a stranger's file may say, and what becomes of it.
#include "zeropoint/weights/weights.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/weights/compare.hpp"

#include "support/memory_file.hpp"
#include "support/quantized_files.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

class Strangers : public ::testing::Test {
 protected:
  std::string path() const { return (folder_.path() / "file").string(); }
  // What opening and reading all of such a file says; "no refusal" if nothing.
  std::string opened(const std::vector<RawTensor>& tensors, const std::string& metadata) const {
    write_raw(path(), tensors, {{"zeropoint", metadata}});
    const std::string said = refusal([&] {
      const WeightFile file = open_weights(path());
      for (const auto& weight : file.weights()) {
        EXPECT_EQ(file.load(weight).values().size(), weight.count);
        file.lint(weight);
      }
      compare_files(file, file);
    });
    EXPECT_THAT(said, Not(HasSubstr("\n")));
    return said;
  }
  std::string opened(const QuantizedFile& file) const {
    return opened(file.tensors, file.metadata());
  }
  static std::string entry(const std::string& name, const std::string& rest) {
    return fmt::format(R"({{"version":1,"tensors":{{"{}":{{{}}}}}}})", name, rest);
  }

 private:
  TemporaryFolder folder_;
};

const std::vector<RawTensor> kEight = {
    {"w", "I8", {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}},
    {"w.scale", "F32", {}, {0, 0, 0x80, 0x3f}},
};

TEST_F(Strangers, AFileAsItShouldBe) {
  EXPECT_EQ(opened(kEight, entry("w", R"("scheme":"int8:sym","shape":[2,4])")), "no refusal");
}

TEST_F(Strangers, MetadataThatAreNone) {
  for (const std::string metadata :
       {"", "{", "[]", "1", "\"w\"", R"({"tensors":[]})", R"({"tensors":{"w":5}})",
        R"({"tensors":{"w":[]}})", R"({"tensors":{"w":"int8"}})", R"({"tensors":"w"})",
        R"({"version":2,"tensors":{}})", R"({"version":"1","tensors":{}})",
        R"({"version":-1,"tensors":{}})", R"({"other":{}})"}) {
    EXPECT_THAT(opened(kEight, metadata), HasSubstr("file")) << metadata;
  }
  for (const std::string rest :
       {R"("scheme":"int8:sym")", R"("shape":[2,4])", "",
        R"("scheme":"int8:sym","scheme":"int8","shape":[2,4])",
        R"("scheme":"int8:sym","shape":[2,4],"shape":[2,4])", R"("scheme":5,"shape":[2,4])",
        R"("scheme":{"a":1},"shape":[2,4])", R"("scheme":"int8:sym","shape":8)",
        R"("scheme":"int8:sym","shape":"2,4")", R"("scheme":"int8:sym","shape":[2,-4])",
        R"("scheme":"int8:sym","shape":[2,4.5])", R"("scheme":"int8:sym","shape":[2,[4]])",
        R"("scheme":"int8:sym","shape":[2,null])", R"("scheme":"int8:sym","shape":[2,4)",
        R"("scheme":"int8:sym","shape":{"a":2})"}) {
    EXPECT_THAT(opened(kEight, entry("w", rest)), HasSubstr("expected")) << rest;
  }
}

TEST_F(Strangers, ShapesThatDoNotFit) {
  for (const std::string shape :
       {"", "8", "4,2", "2,4,1", "2,5", "0", "2,0,4", "18446744073709551615",
        "4294967296,4294967296", "4294967296,4294967296,8", "9223372036854775808,2,4",
        "0,9223372036854775808,9223372036854775808", "18446744073709551616"}) {
    EXPECT_THAT(
        opened(kEight, entry("w", fmt::format(R"("scheme":"int8:sym","shape":[{}])", shape))),
        HasSubstr("expected"))
        << shape;
  }
}

TEST_F(Strangers, SchemesThatDoNotFit) {
  for (const std::string scheme :
       {"", "int9000", "int8:sym:channel=7", "int8:sym:channel=-7", "int8:sym:channel", "int4:sym",
        "int8", "uint8:affine", "e4m3", "mxfp4", "nf4", "smooth+int8:sym", "int8:sym:group=2",
        "int16:sym", "int8:sym:group=0", "int8:sym:unit", "int8:sym:block=1x1"}) {
    const auto said =
        opened(kEight, entry("w", fmt::format(R"("scheme":"{}","shape":[2,4])", scheme)));
    EXPECT_THAT(said, HasSubstr("expected")) << scheme;
    EXPECT_THAT(said, HasSubstr("'w")) << scheme;
  }
  EXPECT_THAT(opened(kEight, entry("w", fmt::format(R"("scheme":"{}","shape":[2,4])",
                                                    std::string(1'000'000, 'x')))),
              HasSubstr("a text of more than 1000 bytes"));
}

TEST_F(Strangers, TensorsThatAreMissingOrTakenTwice) {
  const std::string rest = R"("scheme":"int8:sym","shape":[2,4])";
  EXPECT_THAT(opened({kEight[0]}, entry("w", rest)), HasSubstr("'w.scale' of F32 [] "));
  EXPECT_THAT(opened({kEight[1]}, entry("w", rest)), HasSubstr("found none"));
  EXPECT_THAT(opened(kEight, entry("v", rest)), HasSubstr("found none"));
  EXPECT_THAT(opened(kEight, entry("", rest)), HasSubstr("found none"));
  EXPECT_THAT(opened(kEight, fmt::format(R"({{"tensors":{{"w":{{{0}}},"w":{{{0}}}}}}})", rest)),
              HasSubstr("in another's place, too"));
  // The zero point of one is the codes of another.
  EXPECT_THAT(opened({{"w", "I8", {}, {1}},
                      {"w.scale", "F32", {}, {0, 0, 0x80, 0x3f}},
                      {"w.zero_point", "I8", {}, {1}},
                      {"w.zero_point.scale", "F32", {}, {0, 0, 0x80, 0x3f}}},
                     R"({"tensors":{"w":{"scheme":"int8","shape":[]},)"
                     R"("w.zero_point":{"scheme":"int8:sym","shape":[]}}})"),
              HasSubstr("'w.zero_point' in another's place, too"));
}

TEST_F(Strangers, NumbersThatNoQuantizerWrote) {
  const auto x = weight_values(4 * 64, 3);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const std::string scheme : {"int8:sym:channel", "int4:affine:group=8", "e4m3:channel",
                                   "nf4:group=8", "int12:sym", "e5m4:channel", "nvfp4"}) {
    for (const float bad : {0.0F, -1.0F, kInf, -kInf, std::nanf(""), 1e-45F, 3e38F}) {
      QuantizedFile file(x, {4, 64}, scheme);
      file.set(scheme == "nvfp4" ? "w.tensor_scale" : "w.scale", 0, bad);
      opened(file);  // whatever it says, in one line
    }
    // Codes of all bits.
    QuantizedFile file(x, {4, 64}, scheme);
    std::ranges::fill(file.part("w").bytes, std::uint8_t{0xff});
    opened(file);
    std::ranges::fill(file.part("w").bytes, std::uint8_t{0x7f});
    opened(file);
  }
  QuantizedFile wide(x, {4, 64}, "e5m4:channel");
  wide.set("w", 3, std::uint16_t{1 << 10});
  EXPECT_THAT(opened(wide), HasSubstr("'w': expected codes from 0 to 1023, found 1024 at index 3"));
  QuantizedFile levels(x, {4, 64}, "lloyd3");
  levels.set("w.levels", 2, std::nanf(""));
  EXPECT_THAT(opened(levels), HasSubstr("'w': "));
  QuantizedFile order(x, {4, 64}, "lloyd3");
  order.set("w.levels", 0, 100.0F);
  EXPECT_THAT(opened(order), HasSubstr("'w': "));
  QuantizedFile zeros(x, {4, 64}, "int8@torch:affine");
  for (const auto& part : zeros.tensors) {
    if (part.name != "w.zero_point" || part.type != "I32") continue;
    zeros.set("w.zero_point", 0, std::numeric_limits<std::int32_t>::min());
    EXPECT_THAT(opened(zeros), HasSubstr("2^30"));
    break;
  }
}

TEST_F(Strangers, TensorsWithoutNumbers) {
  for (const std::string scheme : {"int8:sym", "int8:sym:channel", "int4:group=8", "e4m3:channel=1",
                                   "mxfp4", "hadamard+int8"}) {
    for (const std::vector<std::size_t>& shape :
         std::vector<std::vector<std::size_t>>{{0}, {0, 4}, {4, 0}, {3, 0, 4}}) {
      if (shape.size() == 1 && scheme.find('=') != std::string::npos) continue;
      const Scheme parsed = parse_scheme(scheme);
      const Layout layout = layout_of(parsed, shape);
      std::vector<RawTensor> tensors;
      const auto add = [&](const Layout::Part& part) {
        tensors.push_back({"w" + part.suffix, part.type->name, part.shape,
                           std::vector<std::uint8_t>(bytes_of(part), 1)});
      };
      add(layout.codes);
      for (const auto& part : layout.others) add(part);
      const auto said = opened(tensors, entry("w", fmt::format(R"("scheme":"{}","shape":[{}])",
                                                               scheme, fmt::join(shape, ","))));
      EXPECT_EQ(said, "no refusal") << scheme << ' ' << fmt::format("{}", fmt::join(shape, "x"));
    }
  }
}

TEST(Onnx, DequantizationsThatDoNotFit) {
  const RawTensor codes{"c", "I8", {2, 3}, {1, 2, 3, 4, 5, 6}};
  const auto f32 = [](std::vector<std::size_t> shape, std::size_t count) {
    return RawTensor{"s", "F32", std::move(shape),
                     bytes_of_values(std::vector<float>(count, 0.5F))};
  };
  const auto said = [](std::vector<RawTensor> tensors, DequantizedTensor how) {
    return refusal([&] {
      how.name = "w";
      how.codes = "c";
      how.scale = "s";
      const WeightFile file(
          std::make_unique<MemoryFile>(std::move(tensors), std::vector<DequantizedTensor>{how}));
      for (const auto& weight : file.weights()) {
        file.load(weight);
        file.lint(weight);
      }
    });
  };
  EXPECT_EQ(said({codes, f32({}, 1)}, {}), "no refusal");
  EXPECT_EQ(said({codes, f32({3}, 3)}, {"", "", "", "", 1, 0, true}), "no refusal");
  EXPECT_EQ(said({codes, f32({2, 2}, 4)}, {"", "", "", "", 1, 2, false}), "no refusal");
  EXPECT_THAT(said({codes, f32({3}, 3)}, {}), HasSubstr("expected 1 scales, found 3"));
  EXPECT_THAT(said({codes, f32({3}, 3)}, {"", "", "", "", 0, 0, true}), HasSubstr("expected 2"));
  EXPECT_THAT(said({codes, f32({3}, 3)}, {"", "", "", "", 2, 0, true}), HasSubstr("axis below 2"));
  EXPECT_THAT(said({codes, f32({3}, 3)}, {"", "", "", "", ~std::size_t{0}, 4, false}),
              HasSubstr("axis below 2"));
  EXPECT_THAT(said({codes, f32({3}, 3)}, {"", "", "", "", 0, ~std::size_t{0}, false}),
              "no refusal");
  EXPECT_THAT(said({codes, {"s", "I32", {}, {1, 0, 0, 0}}}, {}), HasSubstr("floating type"));
  EXPECT_THAT(said({codes, f32({}, 1)}, {"", "", "", "z", 0, 0, false}), HasSubstr("'z'"));
  EXPECT_THAT(said({codes, f32({}, 1), {"z", "U8", {}, {1}}}, {"", "", "", "z", 0, 0, false}),
              HasSubstr("zero points I8"));
  EXPECT_THAT(said({codes, f32({}, 1), {"z", "I8", {2}, {1, 2}}}, {"", "", "", "z", 0, 0, false}),
              HasSubstr("zero points I8"));
  EXPECT_THAT(said({codes, f32({}, 1), {"w", "I8", {}, {1}}}, {}), HasSubstr("'w' twice"));
  const RawTensor none{"c", "I8", {0, 3}, {}};
  EXPECT_EQ(said({none, f32({0}, 0)}, {"", "", "", "", 0, 0, true}), "no refusal");
  EXPECT_EQ(said({none, f32({3}, 3)}, {"", "", "", "", 1, 0, true}), "no refusal");
  EXPECT_EQ(said({none, f32({0, 3}, 0)}, {"", "", "", "", 0, 2, false}), "no refusal");
  const RawTensor number{"c", "I8", {}, {5}};
  EXPECT_EQ(said({number, f32({}, 1)}, {}), "no refusal");
  EXPECT_THAT(said({number, f32({1}, 1)}, {"", "", "", "", 0, 0, true}), HasSubstr("axis below 0"));
}

TEST(Onnx, CodesMayServeTwice) {
  const WeightFile file(std::make_unique<MemoryFile>(
      std::vector<RawTensor>{{"c", "I8", {2}, {1, 2}},
                             {"s", "F32", {}, bytes_of_values(std::vector<float>{0.5F})}},
      std::vector<DequantizedTensor>{{"x", "c", "s", "", 0, 0, false},
                                     {"y", "c", "s", "", 0, 0, false}}));
  ASSERT_EQ(file.weights().size(), 2U);
  ASSERT_NE(file.find("y"), nullptr);
  EXPECT_EQ(file.load(*file.find("y")).values()[1], 1.0F);
  EXPECT_EQ(file.find("c"), nullptr);
}

}  // namespace
}  // namespace zeropoint
