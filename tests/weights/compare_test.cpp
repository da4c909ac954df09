#include "zeropoint/weights/compare.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/parallel.hpp"

#include "support/quantized_files.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Compare : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  FileComparison compare(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b,
                         const std::string& only = {}) {
    write_tensors(path("a"), a);
    write_tensors(path("b"), b);
    return compare_paths("a", "b", only);
  }
  FileComparison compare_paths(const std::string& a, const std::string& b,
                               const std::string& only = {}) {
    a_.emplace(open_weights(path(a)));
    b_.emplace(open_weights(path(b)));
    return compare_files(*a_, *b_, only);
  }
  static std::vector<std::string> names(const std::vector<const Weight*>& weights) {
    std::vector<std::string> result;
    for (const Weight* weight : weights) result.push_back(weight->name);
    return result;
  }

 private:
  TemporaryFolder folder_;
  std::optional<WeightFile> a_, b_;
};

TEST_F(Compare, FiguresAreThoseOfTheDefinition) {
  auto a = named_tensor("w", {70, 1001}, 1), b = named_tensor("w", {70, 1001}, 2);
  a.values[100] = b.values[100] = 3;
  b.values[70000] = 9;
  const auto result = compare({a}, {b});
  ASSERT_EQ(result.pairs.size(), 1U);
  const auto& row = result.pairs[0];
  double error = 0, x = 0, y = 0, product = 0;
  std::size_t differ = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const double p = a.values[i], q = b.values[i];
    error += (p - q) * (p - q);
    x += p * p;
    y += q * q;
    product += p * q;
    differ += p != q ? 1 : 0;
  }
  EXPECT_NEAR(*row.relative_error(), std::sqrt(error / x), 1e-12);
  EXPECT_NEAR(*row.sqnr_db(), -10 * std::log10(error / x), 1e-9);
  EXPECT_NEAR(*row.cosine(), product / std::sqrt(x * y), 1e-12);
  EXPECT_EQ(row.values, a.values.size());
  EXPECT_EQ(row.values_differ, differ);
  EXPECT_EQ(row.largest, std::abs(double{a.values[70000]} - 9));
  EXPECT_THAT(row.largest_at, ElementsAre(70000 / 1001, 70000 % 1001));
  EXPECT_EQ(row.largest_a, a.values[70000]);
  EXPECT_EQ(row.largest_b, 9);
  EXPECT_FALSE(row.identical);
  EXPECT_FALSE(row.codes_differ);
  EXPECT_EQ(*result.relative_error(), *row.relative_error());
}

// Every position of a difference, across blocks, lanes and pieces.
TEST_F(Compare, TheLargestDifferenceIsTheFirstOfItsSize) {
  const std::size_t n = 3 * 65536 + 519;
  for (const std::size_t at : {std::size_t{0}, std::size_t{3}, std::size_t{511}, std::size_t{512},
                               std::size_t{65535}, std::size_t{65536}, n - 520, n - 3, n - 1}) {
    NamedTensor a{"w", {n}, std::vector<float>(n, 1)};
    NamedTensor b = a;
    b.values[at] = 2;
    b.values[n - 1] = 2;
    const auto result = compare({a}, {b});
    EXPECT_THAT(result.pairs[0].largest_at, ElementsAre(at));
    EXPECT_EQ(result.pairs[0].values_differ, at == n - 1 ? 1U : 2U);
  }
}

TEST_F(Compare, TheSameAtAnyNumberOfThreads) {
  const auto a = named_tensor("w", {500, 1001}, 1), b = named_tensor("w", {500, 1001}, 2);
  set_threads(1);
  const auto one = compare({a}, {b});
  for (const int count : {2, 5, 0}) {
    set_threads(count);
    const auto many = compare({a}, {b});
    EXPECT_EQ(many.pairs[0].error, one.pairs[0].error) << count;
    EXPECT_EQ(many.pairs[0].energy_a, one.pairs[0].energy_a) << count;
    EXPECT_EQ(many.pairs[0].product, one.pairs[0].product) << count;
    EXPECT_EQ(many.pairs[0].largest_at, one.pairs[0].largest_at) << count;
  }
  set_threads(0);
}

TEST_F(Compare, WhatIsNotFiniteIsCountedAndLeftOut) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::nanf("");
  const auto result = compare({{"w", {2, 4}, {1, nan, kInf, 2, nan, kInf, 3, -kInf}}},
                              {{"w", {2, 4}, {1, nan, kInf, 2, kInf, -kInf, nan, 5}}});
  const auto& row = result.pairs[0];
  EXPECT_EQ(row.non_finite_a, 5U);
  EXPECT_EQ(row.non_finite_b, 5U);
  EXPECT_EQ(row.non_finite_differ, 4U);
  EXPECT_THAT(row.non_finite_differ_at, ElementsAre(1, 0));
  EXPECT_EQ(row.values, 2U);
  EXPECT_EQ(row.values_differ, 4U);
  EXPECT_EQ(row.relative_error(), 0);
  EXPECT_FALSE(row.sqnr_db());
  EXPECT_EQ(result.lint_a[0].lint.non_finite, 5U);
  EXPECT_FALSE(row.identical);
}

TEST_F(Compare, LargestNumbersDoNotOverflow) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const auto result = compare({{"w", {2}, {kMost, 1e-45F}}}, {{"w", {2}, {-kMost, 0}}});
  EXPECT_EQ(result.pairs[0].largest, 2 * double{kMost});
  EXPECT_EQ(*result.pairs[0].relative_error(), 2);
  EXPECT_EQ(*result.pairs[0].cosine(), -1);
}

TEST_F(Compare, ZerosAndNothing) {
  const auto result = compare({{"none", {0, 3}, {}}, {"w", {2}, {0, 0}}, {"z", {2}, {0, -0.0F}}},
                              {{"none", {0, 3}, {}}, {"w", {2}, {0, 1}}, {"z", {2}, {0, 0}}});
  EXPECT_TRUE(result.pairs[0].identical);
  EXPECT_EQ(result.pairs[0].relative_error(), 0);
  EXPECT_FALSE(result.pairs[0].cosine());
  EXPECT_FALSE(result.pairs[1].relative_error());
  EXPECT_FALSE(result.pairs[1].sqnr_db());
  EXPECT_EQ(result.pairs[2].relative_error(), 0);
  EXPECT_FALSE(result.pairs[2].identical) << "-0 is not 0 bit for bit";
  EXPECT_EQ(result.worst(10).size(), 1U);
  EXPECT_EQ(result.identical, 1U);
}

TEST_F(Compare, NamesComeFirstThenOrderThenShape) {
  const auto t = [](std::string name, std::vector<std::size_t> shape) {
    return named_tensor(std::move(name), std::move(shape), 1);
  };
  const auto by_order = compare({t("x", {2, 3}), t("a.q", {4, 4}), t("a.k", {4, 4})},
                                {t("b.q", {4, 4}), t("b.k", {1, 4, 4}), t("x", {2, 3})});
  ASSERT_EQ(by_order.pairs.size(), 3U);
  EXPECT_EQ(by_order.pairs[0].pair.paired_by, PairedBy::name);
  EXPECT_EQ(by_order.pairs[1].pair.paired_by, PairedBy::order);
  EXPECT_EQ(by_order.pairs[1].pair.b->name, "b.q");
  EXPECT_EQ(by_order.pairs[2].pair.b->name, "b.k");
  EXPECT_EQ(by_order.identical, 2U) << "of another rank, it is not the same bit for bit";
  EXPECT_EQ(by_order.compared, 3U);

  const auto by_shape = compare({t("a.q", {4, 4}), t("a.k", {4, 4}), t("a.o", {4, 5})},
                                {t("b.o", {4, 5}), t("b.q", {4, 4}), t("b.x", {7})});
  ASSERT_EQ(by_shape.pairs.size(), 1U);
  EXPECT_EQ(by_shape.pairs[0].pair.a->name, "a.o");
  EXPECT_EQ(by_shape.pairs[0].pair.paired_by, PairedBy::shape);
  EXPECT_THAT(names(by_shape.only_a), ElementsAre("a.q", "a.k"));
  EXPECT_THAT(names(by_shape.only_b), ElementsAre("b.q", "b.x"));
}

TEST_F(Compare, OtherShapesUnderOneNameAreNotCompared) {
  const auto result = compare({named_tensor("w", {2, 6}, 1)}, {named_tensor("w", {3, 4}, 1)});
  EXPECT_EQ(result.pairs[0].problem, "shapes differ");
  EXPECT_EQ(result.compared, 0U);
  EXPECT_TRUE(result.worst(10).empty());
}

TEST_F(Compare, OnlyHoldsForEitherName) {
  const auto result = compare({named_tensor("a.q", {4}, 1), named_tensor("a.k", {5}, 1)},
                              {named_tensor("b.x", {4}, 2), named_tensor("b.y", {5}, 2)}, "^a.q|y");
  ASSERT_EQ(result.pairs.size(), 2U);
  EXPECT_EQ(compare({named_tensor("a", {4}, 1)}, {named_tensor("a", {4}, 1)}, "b").pairs.size(),
            0U);
  EXPECT_THAT(refusal([&] { compare({}, {}, "("); }), HasSubstr("--only"));
}

TEST_F(Compare, CodesOfOneKindAreHeldAgainstEachOther) {
  const auto x = weight_values(6 * 40, 3);
  for (const std::string scheme : {"int8:sym:channel", "uint8:affine", "int4:sym:group=8",
                                   "uint3:affine", "int12:sym", "nf4:group=8", "e4m3:channel"}) {
    QuantizedFile file(x, {6, 40}, scheme);
    file.write(path("a"));
    auto& codes = file.part("w").bytes;
    codes[6] ^= 1;  // the lowest bit of a code, of 3, 4, 8 and 16 bits alike
    file.write(path("b"));
    const auto result = compare_paths("a", "b");
    ASSERT_EQ(result.pairs.size(), 1U);
    ASSERT_TRUE(result.pairs[0].codes_differ) << scheme;
    EXPECT_EQ(*result.pairs[0].codes_differ, 1U) << scheme;
    const bool is_integer = scheme.find("int") != std::string::npos;
    EXPECT_EQ(result.pairs[0].largest_step,
              is_integer ? std::optional<std::uint64_t>(1) : std::nullopt)
        << scheme;
    EXPECT_FALSE(result.pairs[0].identical) << scheme;
    EXPECT_TRUE(compare_paths("a", "a").pairs[0].identical) << scheme;
  }
}

TEST_F(Compare, StepsOfIntegersHoldAnyTwo) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const auto write = [&](const std::string& to, std::vector<std::int64_t> values,
                         std::vector<std::uint64_t> others) {
    write_raw(path(to), {{"s", "I64", {2}, bytes_of_values(values)},
                         {"u", "U64", {1}, bytes_of_values(others)}});
  };
  write("a", {kLeast, 5}, {0});
  write("b", {kMost, 5}, {~std::uint64_t{0}});
  const auto result = compare_paths("a", "b");
  EXPECT_EQ(*result.pairs[0].largest_step, ~std::uint64_t{0});
  EXPECT_EQ(*result.pairs[1].largest_step, ~std::uint64_t{0});
  EXPECT_EQ(*result.pairs[0].codes_differ, 1U);
}

TEST_F(Compare, AFileThatCannotBeReadInOnePlaceIsComparedInTheOthers) {
  const auto x = weight_values(32, 3);
  QuantizedFile file(x, {4, 8}, "int8:sym:channel");
  file.write(path("a"));
  file.set("w.scale", 1, -1.0F);
  file.tensors.push_back({"plain", "F32", {2}, bytes_of_values(std::vector<float>{1, 2})});
  file.write(path("b"));
  const auto result = compare_paths("a", "b");
  ASSERT_EQ(result.pairs.size(), 1U);
  EXPECT_THAT(result.pairs[0].problem, HasSubstr("'w': quantize: expected a scale"));
  EXPECT_THAT(names(result.only_b), ElementsAre("plain"));
}

TEST_F(Compare, ProgressEndsWithAllBytes) {
  write_tensors(path("a"), {named_tensor("w", {8, 8}, 1), named_tensor("v", {3}, 1)});
  const WeightFile a = open_weights(path("a"));
  std::uint64_t last = 0, all = 0;
  compare_files(a, a, {}, [&](std::uint64_t done, std::uint64_t of) {
    EXPECT_GE(done, last);
    last = done;
    all = of;
  });
  EXPECT_EQ(last, all);
  EXPECT_EQ(all, 2U * 4 * (64 + 3));
}

// What quantize writes of a channel of zeros, by two ranges.
TEST_F(Compare, WhatQuantizeWrites) {
  auto x = named_tensor("x", {70, 100}, 1);
  std::fill_n(x.values.begin() + 400, 100, 0.0F);
  write_tensors(path("in"), {x});
  for (const auto& [scheme, to] : {std::pair{"int8:channel", "a"}, {"int8:channel:mse", "b"}}) {
    const WeightFile file = open_weights(path("in"));
    QuantizeOptions options;
    options.scheme = scheme;
    QuantizePlan plan = plan_quantization(file, options);
    write_quantized(file, plan, path(to));
  }
  const auto result = compare_paths("a", "b");
  ASSERT_TRUE(result.pairs[0].codes_differ);
  EXPECT_GT(*result.pairs[0].codes_differ, 0U);
  EXPECT_EQ(result.lint_a[0].lint.zero_blocks, 1U);
  EXPECT_EQ(result.lint_a[0].lint.tiles, 70U);
  EXPECT_TRUE(result.lint_a[0].lint.is_clean());
}

}  // namespace
}  // namespace zeropoint
