#include <filesystem>

#include <gtest/gtest.h>

#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint {
namespace {

TEST(Safetensors, WritesAndReads) {
  const auto path = (std::filesystem::temp_directory_path() / "zeropoint_st_test.bin").string();
  TensorFilePlan plan;
  plan.tensors = {{"a", {2, 3}, &tensor_type("F32")}, {"b\"\n", {}, &tensor_type("BF16")}};
  plan.metadata = {{"format", "pt"}};
  const float a[6] = {1, 2, 3, 4, 5, 6};
  const std::uint8_t b[2] = {0x80, 0x3f};
  {
    const auto writer = container("safetensors").create(path, plan);
    writer->write({reinterpret_cast<const std::uint8_t*>(a), sizeof(a)});
    writer->write(b);
    EXPECT_FALSE(std::filesystem::exists(path));
    writer->finish();
  }
  const auto file = open_tensor_file(path);
  EXPECT_EQ(file->container(), "safetensors");
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors()[0].shape, (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(file->metadata().front().second, "pt");
  const StoredTensor* const found = file->find("b\"\n");
  ASSERT_NE(found, nullptr);
  float x = 0;
  found->type->decode(file->load(*found).bytes().data(), 1, &x);
  EXPECT_EQ(x, 1);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace zeropoint
