// What holds of every container: each test below runs on each row of the list. What a container
// itself refuses stands in its own test; files that are cut off or changed, in tests/fuzz/, too.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

#include "io/containers.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using testing::ContainerTest;
using ::testing::HasSubstr;
using testing::refusal;

class EachContainer : public ContainerTest, public ::testing::WithParamInterface<std::string> {};

// Every type that the container can write; all of them in one file, where it holds several.
TEST_P(EachContainer, IsReadAsItWasWritten) {
  const Container& row = container(GetParam());
  TensorFilePlan plan;
  for (const auto& type : tensor_types()) {
    TensorFilePlan one;
    one.tensors = {{"t" + std::string(type.name), {2, type.block}, &type}};
    try {
      row.create(in_folder("probe"), one);
    } catch (const InputError&) {
      continue;
    }
    if (GetParam() != "npy" || plan.tensors.empty()) plan.tensors.push_back(one.tensors[0]);
  }
  const auto writer = row.create(in_folder("whole"), plan);
  for (const auto& tensor : plan.tensors) {
    const std::vector<std::uint8_t> bytes(2 * tensor.type->bytes, 0x3c);
    writer->write(bytes);
  }
  writer->finish();
  const auto file = open_tensor_file(in_folder("whole"));
  EXPECT_EQ(file->container(), GetParam());
  ASSERT_EQ(file->tensors().size(), plan.tensors.size());
  EXPECT_GE(file->tensors().size(), GetParam() == "npy" ? 1U : 9U);
  for (const auto& tensor : file->tensors()) {
    EXPECT_EQ(tensor.shape, (std::vector{std::size_t{2}, tensor.type->block})) << tensor.name;
    const auto bytes = file->load(tensor);
    for (const std::uint8_t byte : bytes.bytes()) ASSERT_EQ(byte, 0x3c) << tensor.name;
    if (GetParam() == "npy") continue;
    EXPECT_EQ("t" + std::string(tensor.type->name), tensor.name);
  }
}

INSTANTIATE_TEST_SUITE_P(Containers, EachContainer, ::testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const auto& row : containers()) {
                             if (row.create != nullptr) names.emplace_back(row.name);
                           }
                           return names;
                         }()),
                         [](const auto& row) { return row.param; });

class NoContainer : public ContainerTest {};

TEST_F(NoContainer, IsRefused) {
  const auto message = [&](std::string_view bytes) {
    return refusal([&] { open_tensor_file(put("file", bytes)); });
  };
  EXPECT_THAT(message(""), HasSubstr("an empty file"));
  EXPECT_THAT(message("hello world, this is text"), HasSubstr("begins with"));
  EXPECT_THAT(refusal([&] { open_tensor_file(in_folder("none")); }), HasSubstr("No such file"));
  EXPECT_THAT(refusal([&] { open_tensor_file(folder_.path().string()); }),
              HasSubstr("a folder without"));
  EXPECT_THAT(refusal([&] { open_tensor_file("/dev/zero"); }), HasSubstr("a device"));
}

}  // namespace
}  // namespace zeropoint
