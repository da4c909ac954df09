#include "zeropoint/weights/compare.hpp"

#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/parallel.hpp"

#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Compare : public ::testing::Test {
 protected:
  Compare() {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("zeropoint-compare-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
    std::filesystem::create_directories(folder_);
    tensors_ = {named_tensor("x", {70, 1000}, 1), named_tensor("y", {8, 4}, 2)};
    write_tensors(path("a"), tensors_);
  }
  ~Compare() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  FileDifference compare(const std::string& a, const std::string& b,
                         const std::string& only = "") const {
    return compare_files(open_weights(path(a)), open_weights(path(b)), only);
  }
  std::filesystem::path folder_;
  std::vector<NamedTensor> tensors_;
};

TEST_F(Compare, TheSameIsTheSame) {
  const auto result = compare("a", "a");
  EXPECT_EQ(result.same, 2U);
  EXPECT_EQ(result.relative_error, 0);
  EXPECT_TRUE(result.lint_a.empty());
}

TEST_F(Compare, FindsTheWorstElement) {
  auto changed = tensors_;
  changed[0].values[69 * 1000 + 7] += 3;
  changed[0].values[5] += 0.5F;
  write_tensors(path("b"), changed);
  const auto result = compare("a", "b");
  const WeightDifference& each = result.weights[0];
  EXPECT_EQ(each.values_differ, 2U);
  EXPECT_THAT(each.largest_at, ElementsAre(69, 7));
  EXPECT_NEAR(each.largest, 3, 1e-6);
  EXPECT_EQ(each.largest_a, tensors_[0].values[69007]);
  EXPECT_EQ(each.largest_b, changed[0].values[69007]);
  double error = 0, ea = 0, eb = 0, dot = 0;
  for (std::size_t i = 0; i < 70000; ++i) {
    const double a = tensors_[0].values[i], b = changed[0].values[i];
    error += (a - b) * (a - b);
    ea += a * a;
    eb += b * b;
    dot += a * b;
  }
  EXPECT_NEAR(each.relative_error, std::sqrt(error / ea), 1e-12);
  EXPECT_NEAR(each.cosine, dot / std::sqrt(ea * eb), 1e-12);
  EXPECT_EQ(result.same, 1U);
  set_threads(1);
  EXPECT_EQ(compare("a", "b").weights[0].relative_error, each.relative_error);
  set_threads(0);
}

TEST_F(Compare, ByNameThenByShapeAndOrder) {
  auto renamed = tensors_;
  renamed[0].name = "blk.0.x";
  write_tensors(path("b"), renamed);
  const auto result = compare("a", "b");
  ASSERT_EQ(result.weights.size(), 2U);
  EXPECT_FALSE(result.weights[0].by_shape);
  EXPECT_TRUE(result.weights[1].by_shape);
  EXPECT_EQ(result.weights[1].name_b, "blk.0.x");
  EXPECT_EQ(result.same, 2U);
  auto other = renamed;
  other[0] = named_tensor("z", {1000, 70}, 1);
  write_tensors(path("c"), other);
  const auto apart = compare("a", "c");
  EXPECT_THAT(apart.only_a, ElementsAre("x"));
  EXPECT_THAT(apart.only_b, ElementsAre("z"));
  other[0].name = "x";
  write_tensors(path("d"), other);
  EXPECT_THAT(compare("a", "d").weights[0].problem, HasSubstr("shapes [70, 1000] and [1000, 70]"));
  EXPECT_EQ(compare("a", "d", "y").weights.size(), 1U);
}

TEST_F(Compare, ComparesCodesAndLints) {
  auto odd = tensors_;
  odd[1].values[3] = NAN;
  for (std::size_t j = 0; j < 1000; ++j) odd[0].values[4000 + j] = 0;
  write_tensors(path("odd"), odd);
  const auto result = compare("a", "odd");
  EXPECT_EQ(result.weights[1].not_finite_differ, 1U);
  ASSERT_EQ(result.lint_b.size(), 1U);
  EXPECT_EQ(result.lint_b[0].not_finite, 1U);

  const auto quantized = [&](const std::string& from, const std::string& scheme,
                             const std::string& to) {
    const WeightFile file = open_weights(path(from));
    QuantizeOptions options;
    options.scheme = scheme;
    options.only = "x";
    QuantizePlan plan = plan_quantization(file, options);
    write_quantized(file, plan, path(to));
  };
  quantized("odd", "int8:channel", "q1");
  quantized("odd", "int8:channel:mse", "q2");
  const auto codes = compare("q1", "q2");
  ASSERT_TRUE(codes.weights[0].codes_differ.has_value());
  EXPECT_GT(*codes.weights[0].codes_differ, 0U);
  EXPECT_GT(codes.weights[0].largest_step, 0);
  // A channel of zeros has nothing to say.
  ASSERT_FALSE(codes.lint_a.empty());
  EXPECT_EQ(codes.lint_a[0].name, "x");
  EXPECT_EQ(codes.lint_a[0].lint.zero_blocks, 1U);
  EXPECT_EQ(codes.lint_a[0].lint.tiles, 70U);
}

}  // namespace
}  // namespace zeropoint
