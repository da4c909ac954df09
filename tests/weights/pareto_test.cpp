// What the choice of schemes comes to, and that `quantize` does it when it is told so.
#include "weights/pareto.hpp"

#include <filesystem>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/weights/analyze.hpp"
#include "zeropoint/weights/quantize_file.hpp"

#include "support/random_values.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensor_files.hpp"

namespace zeropoint {
namespace {

using ::testing::ElementsAre;
using namespace testing;

AnalyzedWeight tensor(std::string name, std::size_t count, std::vector<SchemeTrial> trials) {
  AnalyzedWeight weight;
  weight.name = std::move(name);
  weight.count = count;
  weight.bytes = 4 * count;
  weight.trials = std::move(trials);
  return weight;
}

SchemeTrial trial(std::uint64_t bytes, double error) {
  SchemeTrial one;
  one.bytes = bytes;
  one.relative_error = error;
  return one;
}

TEST(Front, TheBytesGoWhereTheyBuyMost) {
  FileAnalysis analysis;
  analysis.schemes = {"small", "large"};
  // What the second needs, the first hardly does.
  analysis.weights = {tensor("first", 100, {trial(50, 0.02), trial(100, 0.01)}),
                      tensor("second", 100, {trial(50, 0.5), trial(100, 0.01)})};
  analysis.weights.push_back(tensor("bias", 10, {}));
  analysis.weights.back().kept = "one axis";
  find_front(analysis);
  ASSERT_GE(analysis.front.size(), 3U);
  EXPECT_EQ(analysis.front[0].bytes, 40U + 50 + 50);
  EXPECT_EQ(analysis.front[1].bytes, 40U + 50 + 100);
  EXPECT_NEAR(analysis.front[1].error, std::sqrt((0.02 * 0.02 + 0.01 * 0.01) / 2), 1e-12);
  EXPECT_EQ(analysis.front.back().bytes, 40U + 800);  // nothing quantized
  EXPECT_EQ(analysis.front.back().error, 0);
  EXPECT_EQ(analysis.totals[0].bytes, 140U);
  EXPECT_EQ(analysis.totals[1].bytes, 240U);
}

TEST(Front, NoChoiceOfSchemesIsBelowItsHull) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 50; ++round) {
    FileAnalysis analysis;
    analysis.schemes = {"a", "b", "c"};
    for (int t = 0; t < 4; ++t) {
      std::vector<SchemeTrial> trials;
      for (int s = 0; s < 3; ++s) {
        trials.push_back(trial(static_cast<std::uint64_t>(integer_between(random, 10, 300)),
                               between(random, 0.001, 1)));
      }
      if (t == 2) trials[1].problem = "does not fit";
      analysis.weights.push_back(tensor(std::to_string(t), 80, std::move(trials)));
    }
    find_front(analysis);
    // Every choice by trying all: between two neighbours of the front, none is below their chord.
    for (int choice = 0; choice < 256; ++choice) {
      double error = 0, bytes = 0;
      bool fits = true;
      for (int t = 0; t < 4; ++t) {
        const int s = choice >> (2 * t) & 3;
        const auto& weight = analysis.weights[static_cast<std::size_t>(t)];
        if (s == 3) {
          bytes += static_cast<double>(weight.bytes);
          continue;
        }
        const auto& its = weight.trials[static_cast<std::size_t>(s)];
        fits = fits && its.problem.empty();
        bytes += static_cast<double>(its.bytes);
        error += its.relative_error * its.relative_error / 4;
      }
      if (!fits) continue;
      const auto& front = analysis.front;
      for (std::size_t i = 1; i < front.size(); ++i) {
        const auto low = static_cast<double>(front[i - 1].bytes);
        const auto high = static_cast<double>(front[i].bytes);
        if (bytes < low || bytes > high) continue;
        const double above = front[i - 1].error * front[i - 1].error;
        const double below = front[i].error * front[i].error;
        EXPECT_GE(error, above + (below - above) * (bytes - low) / (high - low) - 1e-12);
      }
    }
  }
}

TEST(Front, OptionsNameEveryTensorThatDeparts) {
  FileAnalysis analysis;
  analysis.schemes = {"int4", "int8"};
  analysis.only = "w|x";
  analysis.weights = {tensor("w.1", 100, {trial(50, 0.1), trial(100, 0.01)}),
                      tensor("w(2)", 100, {trial(50, 0.1), trial(100, 0.01)}),
                      tensor("x", 100, {trial(50, 0.1), trial(100, 0.01)})};
  find_front(analysis);
  analysis.totals[0].mixed = {1, 0, 1};
  EXPECT_THAT(quantize_options(analysis, 0),
              ElementsAre("--scheme", "int8", "--only", "w|x", "--override", "^w\\(2\\)$=int4"));
  analysis.weights[2].is_quantized = true;
  analysis.totals[0].mixed = {2, 2, 1};
  analysis.weights.push_back(tensor("none", 0, {}));
  analysis.weights.back().kept = "empty";
  EXPECT_THAT(quantize_options(analysis, 0),
              ElementsAre("--scheme", "keep", "--only", "w|x", "--requantize", "--fallback", "keep",
                          "--override", "^x$=int8"));
}

// The options, read as the command reads them, give files of the size that was said.
TEST(Front, QuantizeMakesTheMixture) {
  const TemporaryFolder folder;
  const std::string path = folder / "model";
  auto wide = named_tensor("a.b[0]", {64, 128}, 5);
  for (std::size_t i = 0; i < wide.values.size(); i += 997) wide.values[i] *= 100;
  write_tensors(path, {wide, named_tensor("a.b", {64, 128}, 1), named_tensor("c", {30, 70}, 2),
                       named_tensor("bias", {30}, 3)});
  const WeightFile file = open_weights(path);
  AnalyzeOptions options;
  options.timing_seconds = 0;
  const FileAnalysis analysis = analyze(file, options);
  for (std::size_t i = 0; i < analysis.totals.size(); ++i) {
    const auto words = quantize_options(analysis, i);
    QuantizeOptions how;
    ASSERT_EQ(words[0], "--scheme");
    how.scheme = words[1];
    for (std::size_t w = 2; w < words.size(); w += 2) {
      ASSERT_EQ(words[w], "--override");
      const auto at = words[w + 1].find("$=");
      how.overrides.emplace_back(words[w + 1].substr(0, at + 1), words[w + 1].substr(at + 2));
    }
    EXPECT_EQ(plan_quantization(file, how).bytes_after, analysis.totals[i].mixed_bytes)
        << analysis.schemes[i];
  }
}

}  // namespace
}  // namespace zeropoint
