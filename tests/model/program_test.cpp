// The program onnx_node_test, on ONNX's own node tests where they are.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/command.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::lines_of;

using testing::Arguments;
using testing::Outcome;

Outcome run_program(const Arguments& arguments) { return testing::Process(arguments, {}).wait(); }

fs::path node_tests() {
  const char* data = std::getenv("ZEROPOINT_DATA");
  const fs::path root =
      data != nullptr ? fs::path(data) : fs::path(ZEROPOINT_SOURCE_DIR "/../shared/data");
  return root / "onnx_node_tests";
}

TEST(OnnxNodeTest, EveryDirectoryPasses) {
  if (!fs::is_directory(node_tests())) GTEST_SKIP() << "no " << node_tests();
  Arguments folders;
  for (const auto& entry : fs::directory_iterator(node_tests())) folders.push_back(entry.path());
  const Outcome ended = run_program(folders);
  EXPECT_EQ(ended.status, 0) << ended.out;
  const auto lines = lines_of(ended.out);
  ASSERT_EQ(lines.size(), folders.size() + 1);
  EXPECT_EQ(lines.back(), fmt::format("{} passed, 0 failed", folders.size())) << ended.out;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i)
    EXPECT_THAT(lines[i], ::testing::StartsWith("pass test_"));
}

TEST(OnnxNodeTest, SaysWhatDiffers) {
  const fs::path source = node_tests() / "test_matmulinteger";
  if (!fs::is_directory(source)) GTEST_SKIP() << "no " << source;
  const testing::TemporaryFolder folder;
  fs::copy(source, folder.path() / "changed", fs::copy_options::recursive);
  const fs::path output = folder.path() / "changed/test_data_set_0/output_0.pb";
  std::string bytes = testing::contents(output);
  bytes.back() = static_cast<char>(bytes.back() ^ 0x40);  // the last element, int32
  fs::permissions(output, fs::perms::owner_write, fs::perm_options::add);
  testing::put(output, bytes);
  const Outcome ended = run_program({(folder.path() / "changed").string() + "/"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.out, HasSubstr("FAIL changed: output Y differs at [3, 1]: expected "));
  EXPECT_THAT(ended.out, EndsWith("(1 of 8 elements)\n0 passed, 1 failed\n"));
}

TEST(OnnxNodeTest, FoldersThatAreNoTestsFail) {
  const testing::TemporaryFolder folder;
  const Outcome ended = run_program({folder.path(), folder.path() / "none"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.out, HasSubstr("expected folders test_data_set_*, found none"));
  EXPECT_THAT(ended.out, HasSubstr("FAIL none: expected a folder, found none"));
  EXPECT_THAT(ended.out, EndsWith("0 passed, 2 failed\n"));
}

TEST(OnnxNodeTest, WrongUsage) {
  EXPECT_EQ(run_program({}).status, 2);
  EXPECT_EQ(run_program({"--help"}).status, 2);
}

}  // namespace
}  // namespace zeropoint
