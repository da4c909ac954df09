#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io/containers.hpp"
#include "io/npy_header.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

std::string array(const std::string& descr, const std::string& shape, const std::string& data,
                  bool fortran = false) {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", descr,
                                   fortran ? "True" : "False", shape);
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

// The bytes of a whole number as NumPy stores it under that type.
std::string element(const std::string& descr, int value) {
  const std::size_t size = static_cast<std::size_t>(descr[2] - '0');
  std::string bytes;
  if (descr.substr(1) == "f2") {
    bytes = testing::bytes_of<std::uint16_t>({static_cast<std::uint16_t>(
        value == 0
            ? 0
            : (15 + std::ilogb(value)) << 10 | ((value << (10 - std::ilogb(value))) & 0x3ff))});
  } else if (descr[1] == 'f') {
    bytes = size == 4 ? testing::bytes_of<float>({static_cast<float>(value)})
                      : testing::bytes_of<double>({static_cast<double>(value)});
  } else {
    bytes = testing::bytes_of<std::int64_t>({value}).substr(0, size);
  }
  if (descr[0] == '>') std::ranges::reverse(bytes);
  return bytes;
}

class NpyTensors : public testing::ContainerTest {
 protected:
  std::unique_ptr<TensorFile> open(const std::string& bytes) const {
    return open_tensor_file(put("some.weights.npy", bytes));
  }
  std::string refusal(const std::string& bytes) const {
    return testing::outcome("npy", put("some.weights.npy", bytes));
  }
};

TEST_F(NpyTensors, EveryTypeByteOrderAndRank) {
  const std::vector<std::vector<std::size_t>> shapes = {
      {}, {1}, {7}, {2, 3}, {1, 5}, {4, 1}, {3, 4, 5}, {2, 1, 3, 2}, {2, 3, 2, 3, 2}, {40, 67}};
  for (const std::string code :
       {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}) {
    for (const char* order : {"<", ">"}) {
      for (const auto& shape : shapes) {
        for (const bool fortran : {false, true}) {
          const std::string descr = order + code;
          SCOPED_TRACE(fmt::format("{} {} {}", descr, shape, fortran));
          std::size_t count = 1;
          for (const std::size_t size : shape) count *= size;
          // Element i in row-major order is i mod 100, which every type has; 0 or 1 of bool.
          const int modulus = code == "b1" ? 2 : 100;
          std::string data;
          for (std::size_t i = 0; i < count; ++i) {
            std::size_t at = i;
            if (fortran) {
              std::vector<std::size_t> index;
              for (std::size_t rest = i; const std::size_t size : shape) {
                index.push_back(rest % size);
                rest /= size;
              }
              at = 0;
              for (std::size_t axis = 0; axis < shape.size(); ++axis) {
                at = at * shape[axis] + index[axis];
              }
            }
            data += element(descr, static_cast<int>(at) % modulus);
          }
          const std::string tuple =
              fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
          const auto file = open(array(descr, tuple, data, fortran));
          ASSERT_EQ(file->tensors().size(), 1U);
          EXPECT_EQ(file->container(), "npy");
          EXPECT_EQ(file->tensors()[0].name, "some.weights");
          EXPECT_EQ(file->tensors()[0].shape, shape);
          const auto values = testing::values_of(*file, "some.weights");
          ASSERT_EQ(values.size(), count);
          for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(values[i], static_cast<float>(static_cast<int>(i) % modulus)) << i;
          }
        }
      }
    }
  }
}

TEST_F(NpyTensors, WhatIsNotFiniteOrEmptyIsATensor) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto values = testing::values_of(
      *open(array("<f4", "(2,)", testing::bytes_of<float>({std::nanf(""), infinity}))),
      "some.weights");
  EXPECT_TRUE(std::isnan(values.at(0)));
  EXPECT_EQ(values.at(1), infinity);
  for (const bool fortran : {false, true}) {
    const auto file = open(array(">f8", "(3, 0, 9223372036854775807)", "", fortran));
    EXPECT_EQ(file->tensors()[0].count, 0U);
    EXPECT_TRUE(testing::values_of(*file, "some.weights").empty());
  }
}

TEST_F(NpyTensors, Refusals) {
  EXPECT_THAT(refusal(array("|O", "(1,)", "xxxxxxxx")), HasSubstr("found Python objects ('|O')"));
  EXPECT_THAT(refusal(array("<c8", "(1,)", "xxxxxxxx")), HasSubstr("found complex64"));
  EXPECT_THAT(refusal(array("<U4", "()", "")), HasSubstr("found '<U4'"));
  EXPECT_THAT(refusal(array("<f4", "(2,)", "1234567")), HasSubstr("found 7 bytes: truncated"));
  EXPECT_EQ(refusal(array("<f4", "(2,)", "123456789")),
            "expected 8 bytes of data for (2,) elements of float32, found 9 bytes");
  EXPECT_EQ(refusal(array("<f4", "(0,)", "1")),
            "expected 0 bytes of data for (0,) elements of float32, found 1 byte");
  EXPECT_THAT(refusal(array("<f8", "(4611686018427387904, 4611686018427387904)", "")),
              HasSubstr("truncated"));
  EXPECT_THAT(refusal(array("<f8", "(-1,)", "")), HasSubstr("a tuple of numbers from 0"));
  EXPECT_THAT(refusal(array("<f8", "(9223372036854775808,)", "")), HasSubstr("2^63 - 1"));
  EXPECT_THAT(refusal(""), HasSubstr("found 0 bytes"));
}

TEST_F(NpyTensors, CutOffAndMutated) {
  const std::size_t read =
      testing::mutate(array(">i2", "(3, 2, 1)", "abcdefghijkl", true), 4000,
                      [&](const std::string& bytes) { return refusal(bytes).empty() ? 1 : 0; });
  EXPECT_GT(read, 100U);
}

TEST_F(NpyTensors, WritesOneTensor) {
  for (const auto& type : tensor_types()) {
    SCOPED_TRACE(type.name);
    TensorFilePlan plan;
    plan.tensors = {{"w", {2, 32, 4}, &type}};
    const std::string path = in_folder("out.npy");
    std::filesystem::remove(path);
    const bool known = std::ranges::any_of(
        npy_tensor_types().rows, [&](const NpyType& row) { return row.tensor_type == type.name; });
    if (!known) {
      try {
        container("npy").create(path, plan);
        FAIL();
      } catch (const InputError& error) {
        EXPECT_EQ(std::string(error.what()),
                  fmt::format("npy: 'w': expected a type that NumPy has, found {}", type.name));
      }
      EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
      continue;
    }
    std::string data(type.stored_bytes(256), '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i % 2);
    const auto writer = container("npy").create(path, plan);
    writer->write(testing::as_bytes(data));
    writer->finish();
    EXPECT_EQ((contents(path).size() - data.size()) % 64, 0U);
    const auto file = open_tensor_file(path);
    const StoredTensor& tensor = file->tensors().at(0);
    EXPECT_EQ(tensor.name, "out");
    EXPECT_EQ(tensor.shape, (std::vector<std::size_t>{2, 32, 4}));
    EXPECT_EQ(tensor.type, &type);
    EXPECT_TRUE(std::ranges::equal(file->load(tensor).bytes(), testing::as_bytes(data)));
    std::filesystem::remove(path);
  }
}

TEST_F(NpyTensors, WritesNothingElse) {
  TensorFilePlan plan;
  const auto create = [&] { container("npy").create(in_folder("out.npy"), plan); };
  EXPECT_THROW(create(), InputError);
  plan.tensors.resize(2, {"a", {1}, &tensor_type("F32")});
  try {
    create();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "npy: expected one tensor, found 2; .npz holds several");
  }
  plan.tensors = {{"a", std::vector<std::size_t>(65, 1), &tensor_type("F32")}};
  EXPECT_THROW(create(), InputError);
  plan.tensors = {{"a", {2}, &tensor_type("F32")}};
  const auto writer = container("npy").create(in_folder("out.npy"), plan);
  writer->write(testing::as_bytes("1234567"));
  EXPECT_THROW(writer->finish(), WorkError);
}

}  // namespace
}  // namespace zeropoint
