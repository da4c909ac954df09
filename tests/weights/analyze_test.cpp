#include "zeropoint/weights/analyze.hpp"

#include <cmath>
#include <filesystem>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/random.hpp"
#include "zeropoint/quantize/quantize.hpp"
#include "zeropoint/report/analysis_page.hpp"
#include "zeropoint/theory/distribution.hpp"

#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<float> normal_values(std::size_t count, float sigma) {
  std::vector<float> x(count);
  distribution("normal").fill_counter(CounterStream(7, 0), 0, x);
  for (float& value : x) value *= sigma;
  return x;
}

TEST(Profile, CountsAndMoments) {
  std::vector<float> x = {1, -2, 0, 3, -0.0F, 5, NAN, INFINITY, -INFINITY, 1e-42F};
  const std::vector<std::size_t> shape = {2, 5};
  const WeightProfile profile = profile_of(x, shape);
  EXPECT_EQ(profile.count, 10U);
  EXPECT_EQ(profile.zeros, 2U);
  EXPECT_EQ(profile.nans, 1U);
  EXPECT_EQ(profile.infinities, 2U);
  EXPECT_EQ(profile.min, -2);
  EXPECT_EQ(profile.max, 5);
  EXPECT_NEAR(profile.mean, 1, 1e-7);
  EXPECT_NEAR(profile.sigma, std::sqrt(32.0 / 7), 1e-6);
  EXPECT_EQ(profile.outputs.channels, 2U);
  EXPECT_EQ(profile.inputs.channels, 5U);
  EXPECT_TRUE(std::isnan(profile.entropy));
}

TEST(Profile, OfNormalNumbers) {
  const std::size_t count = 1 << 20;
  const auto x = normal_values(count, 0.03F);
  const WeightProfile profile = profile_of(x, std::vector<std::size_t>{1024, 1024});
  EXPECT_NEAR(profile.sigma, 0.03, 0.0001);
  EXPECT_NEAR(profile.mean, 0, 0.0001);
  EXPECT_NEAR(profile.kurtosis, 0, 0.02);
  const double exact = 0.5 * std::log2(2 * std::numbers::pi * std::numbers::e * 0.03 * 0.03);
  EXPECT_NEAR(profile.entropy, exact, 0.01);
  EXPECT_EQ(profile.outputs.outliers, 0U);
  std::uint64_t drawn = 0;
  for (const auto bin : profile.histogram) drawn += bin;
  EXPECT_NEAR(static_cast<double>(drawn), static_cast<double>(count), 100);
}

TEST(Profile, FarFromZeroMomentsKeepTheirDigits) {
  auto x = normal_values(1 << 16, 1);
  for (float& value : x) value += 4096;
  const WeightProfile profile = profile_of(x, std::vector<std::size_t>{256, 256});
  EXPECT_NEAR(profile.mean, 4096, 0.02);
  EXPECT_NEAR(profile.sigma, 1, 0.01);
  EXPECT_NEAR(profile.kurtosis, 0, 0.1);
}

TEST(Profile, FindsOutlierChannels) {
  auto x = normal_values(64 * 128, 1);
  for (std::size_t i = 0; i < 64; ++i) x[i * 128 + 17] *= 50;
  for (std::size_t j = 0; j < 128; ++j) x[3 * 128 + j] *= 1000;
  const WeightProfile profile = profile_of(x, std::vector<std::size_t>{64, 128});
  EXPECT_EQ(profile.outputs.largest, 3U);
  EXPECT_GE(profile.outputs.outliers, 1U);
  EXPECT_EQ(profile.inputs.largest, 17U);
}

class Analyze : public ::testing::Test {
 protected:
  Analyze() {
    tensors_ = {{"a</script><img src=x>", {300, 400}, normal_values(120000, 0.02F)},
                named_tensor("conv", {32, 16, 3, 3}, 2),
                {"bias", {32}, std::vector<float>(32, 0.5F)},
                {"broken", {4, 40}, std::vector<float>(160, NAN)},
                {"empty", {0, 4}, {}},
                {"zeros", {40, 40}, std::vector<float>(1600, 0)}};
    write_tensors(path_, tensors_);
  }
  FileAnalysis analysis(const AnalyzeOptions& options) const {
    return analyze(open_weights(path_), options);
  }
  TemporaryFolder folder_;
  std::string path_ = folder_ / "model";
  std::vector<NamedTensor> tensors_;
};

TEST_F(Analyze, ErrorsAreThoseOfTheTensor) {
  AnalyzeOptions options;
  options.timing_seconds = 0;
  const FileAnalysis result = analysis(options);
  ASSERT_EQ(result.weights.size(), 6U);
  for (const std::size_t t : {0, 1}) {
    const AnalyzedWeight& weight = result.weights[t];
    ASSERT_EQ(weight.trials.size(), result.schemes.size());
    for (std::size_t i = 0; i < result.schemes.size(); ++i) {
      const Scheme scheme = parse_scheme(result.schemes[i]);
      const bool lines = scheme.granularity.kind == GranularityKind::group ||
                         scheme.format.kind == FormatKind::block;
      const std::vector<std::size_t> flat = {32, 144};
      const auto& shape = t == 1 && lines ? flat : tensors_[t].shape;
      const auto q = quantize(tensors_[t].values, shape, scheme).dequantized();
      double error = 0, energy = 0;
      for (std::size_t j = 0; j < q.size(); ++j) {
        const double x = tensors_[t].values[j], d = x - q.data()[j];
        error += d * d;
        energy += x * x;
      }
      EXPECT_NEAR(weight.trials[i].relative_error, std::sqrt(error / energy), 1e-12)
          << result.schemes[i];
      const auto& ledger = weight.trials[i].ledger;
      EXPECT_GT(weight.trials[i].ledger_values, 0U) << result.schemes[i];
      EXPECT_NEAR(ledger.sum(), ledger.error, 1e-9 * ledger.error) << result.schemes[i];
      // No code of independent numbers is below the bound.
      EXPECT_TRUE(t == 1 || weight.trials[i].gap_db > 0) << result.schemes[i];
    }
    EXPECT_FALSE(weight.best.empty());
  }
  EXPECT_EQ(result.weights[2].kept, "one axis");
  EXPECT_THAT(result.weights[3].trials[0].problem, HasSubstr("160 of 160 numbers are NaN"));
  EXPECT_EQ(result.weights[4].kept, "empty");
  EXPECT_EQ(result.weights[5].trials[0].relative_error, 0);
}

TEST_F(Analyze, IsTheSameAtAnyNumberOfThreads) {
  AnalyzeOptions options;
  options.timing_seconds = 0;
  set_threads(1);
  const FileAnalysis one = analysis(options);
  set_threads(3);
  const FileAnalysis three = analysis(options);
  set_threads(0);
  for (std::size_t t = 0; t < one.weights.size(); ++t) {
    const auto& a = one.weights[t];
    const auto& b = three.weights[t];
    EXPECT_EQ(a.profile.histogram, b.profile.histogram);
    if (std::isfinite(a.profile.sigma)) {
      EXPECT_EQ(a.profile.sigma, b.profile.sigma);
      EXPECT_TRUE(a.profile.sigma == 0 || a.profile.kurtosis == b.profile.kurtosis);
    }
    for (std::size_t i = 0; i < a.trials.size(); ++i) {
      if (!a.trials[i].problem.empty()) continue;
      EXPECT_EQ(a.trials[i].relative_error, b.trials[i].relative_error);
      EXPECT_EQ(a.trials[i].ledger.rounding, b.trials[i].ledger.rounding);
    }
  }
}

TEST_F(Analyze, AMixtureIsNoWorseThanAnyScheme) {
  AnalyzeOptions options;
  options.timing_seconds = 0;
  options.only = "conv|a<";
  const FileAnalysis result = analysis(options);
  EXPECT_EQ(result.weights[5].kept, "--only");
  for (std::size_t i = 0; i < result.totals.size(); ++i) {
    const SchemeTotal& total = result.totals[i];
    EXPECT_LE(total.mixed_error, total.error) << result.schemes[i];
    EXPECT_LE(total.mixed_bytes, total.bytes);
    ASSERT_EQ(total.mixed.size(), 2U);
    // What it says of the mixture is what its parts come to.
    double error = 0;
    std::uint64_t bytes = result.tensor_bytes;
    for (const std::size_t t : {0, 1}) {
      const AnalyzedWeight& weight = result.weights[t];
      if (total.mixed[t] == result.schemes.size()) continue;
      const auto& trial = weight.trials[total.mixed[t]];
      error += static_cast<double>(weight.count) * trial.relative_error * trial.relative_error;
      bytes = bytes - weight.bytes + trial.bytes;
    }
    const auto values = static_cast<double>(result.weights[0].count + result.weights[1].count);
    EXPECT_NEAR(total.mixed_error, std::sqrt(error / values), 1e-9 + 1e-9 * total.mixed_error);
    EXPECT_EQ(bytes, total.mixed_bytes);
  }
  for (std::size_t i = 1; i < result.front.size(); ++i) {
    EXPECT_GT(result.front[i].bytes, result.front[i - 1].bytes);
    EXPECT_LT(result.front[i].error, result.front[i - 1].error);
  }
}

TEST_F(Analyze, RefusesWhatIsNone) {
  AnalyzeOptions options;
  options.schemes = {"int99"};
  EXPECT_THAT(refusal([&] { analysis(options); }), HasSubstr("int99"));
  options.schemes = {"int8"};
  options.only = "[";
  EXPECT_THAT(refusal([&] { analysis(options); }), HasSubstr("--only"));
}

TEST_F(Analyze, ThePageEscapesNames) {
  AnalyzeOptions options;
  options.schemes = {"int8", "int4:sym:group=32"};
  options.timing_seconds = 0.1;
  const std::string page = analysis_page({analysis(options)});
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("a&lt;/script&gt;&lt;img src=x&gt;"));
  EXPECT_THAT(page, HasSubstr("a\\u003c/script>\\u003cimg src=x>"));
  EXPECT_THAT(page, HasSubstr("int4:sym:group=32"));
  EXPECT_THAT(page, HasSubstr("kept: one axis"));
  EXPECT_THAT(page, HasSubstr("on this machine"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

}  // namespace
}  // namespace zeropoint
