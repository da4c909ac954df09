// What rotating and smoothing gain where one channel is much larger than the others: predicted from
// the channels' deviations alone, and measured.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/quantize/quantize.hpp"
#include "zeropoint/theory/channel_error.hpp"
#include "zeropoint/theory/distribution.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kRows = 128, kCols = 128;

double squared_difference(const Matrix<float>& y, const Matrix<float>& other) {
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    sum += std::pow(double{y.data()[i]} - double{other.data()[i]}, 2);
  }
  return sum;
}

double db(double squared) { return 10 * std::log10(squared); }

struct Setting {
  const char* name;
  std::size_t k;
  double outlier;
  int draws;
  std::vector<std::string> transforms, schemes;
};

const std::vector<std::string> kAll = {"hadamard+", "hadamard=7+", "smooth+", "smooth=0.7+",
                                       "smooth+hadamard+"};
const std::vector<std::string> kUsual = {"int8:sym", "int8:sym:channel", "int4:sym",
                                         "int4:sym:channel"};

class TransformGain : public ::testing::TestWithParam<Setting> {};

TEST_P(TransformGain, IsAsPredicted) {
  const Setting& setting = GetParam();
  const std::size_t k = setting.k, channel = k / 3;
  std::vector<std::string> all;  // each scheme as it is, then by each transform
  for (const auto& scheme : setting.schemes) {
    all.push_back(scheme);
    for (const auto& transform : setting.transforms) all.push_back(transform + scheme);
  }
  std::vector<double> measured(all.size());
  double whole = 0;
  for (int draw = 0; draw < setting.draws; ++draw) {
    auto [a, b] = draw_operands(distribution("normal"), Generator::counter,
                                static_cast<std::uint64_t>(draw), kRows, k, kCols);
    for (std::size_t i = 0; i < kRows; ++i) a(i, channel) *= static_cast<float>(setting.outlier);
    const auto y = float_product(a, b);
    for (const float each : y.values()) whole += double{each} * double{each};
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto [qa, qb] = quantize_pair(a.view(), b.view(), parse_scheme_pair(all[i]));
      measured[i] += squared_difference(y, multiply(qa, qb));
    }
  }
  for (double& each : measured) each /= whole;
  ChannelDeviations operands{kRows, kCols, std::vector<double>(k, 1), std::vector<double>(k, 1)};
  operands.a[channel] = setting.outlier;
  const std::size_t group = 1 + setting.transforms.size();
  std::vector<double> predicted;
  for (const auto& each : all) {
    predicted.push_back(std::pow(predict_channel_error(operands, parse_scheme_pair(each)), 2));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t plain = i / group * group;
    const double gain = db(measured[plain] / measured[i]);
    const double expected = db(predicted[plain] / predicted[i]);
    EXPECT_NEAR(gain, expected, 0.3) << all[i];
    EXPECT_NEAR(db(measured[i]), db(predicted[i]), 0.3) << all[i];
    if (std::getenv("ZEROPOINT_SHOW") != nullptr) {
      std::printf("k %zu, one channel x%g, %s: error %.2f dB (predicted %.2f), gain %.2f (%.2f)\n",
                  k, setting.outlier, all[i].c_str(), db(measured[i]), db(predicted[i]), gain,
                  expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    OneChannelLarger, TransformGain,
    ::testing::Values(
        Setting{"Depth512", 512, 50, 40, kAll, kUsual},
        Setting{"Depth1024", 1024, 50, 40, {"hadamard+", "smooth+", "smooth+hadamard+"}, kUsual},
        // Two matrices, each shorter than the line.
        Setting{"Depth1000", 1000, 50, 16, kAll, {"int8:sym:channel"}},
        Setting{"Little", 512, 8, 24, kAll, {"int6:sym"}},
        Setting{"Mixed", 512, 50, 16, kAll, {"int8:sym x int4:sym:channel"}},
        // Nothing to gain, and nothing to lose.
        Setting{"Not", 512, 1, 16, {"hadamard+"}, {"int4:sym:channel"}}),
    [](const auto& setting) { return setting.param.name; });

TEST(ChannelError, IsThatOfOneDeviationWhereAllAreAlike) {
  // Rounding alone, at a step that is small: Δ²/12 of each operand.
  const ChannelDeviations operands{1000, 1000, std::vector<double>(64, 3),
                                   std::vector<double>(64, 0.1)};
  const double error = predict_channel_error(operands, parse_scheme_pair("int12:sym"));
  // The largest of 64000 standard normal magnitudes is 4.5 in the mean.
  const double noise = std::pow(4.5 / 2047, 2) / 12;
  EXPECT_NEAR(error, std::sqrt(2 * noise), 0.03 * error);
  // Units do not matter.
  const ChannelDeviations other{1000, 1000, std::vector<double>(64, 3e-10),
                                std::vector<double>(64, 1e12)};
  EXPECT_NEAR(predict_channel_error(other, parse_scheme_pair("int12:sym")), error, 1e-6 * error);
}

TEST(ChannelError, ChannelsOfZerosAndSingleOnesHaveErrors) {
  ChannelDeviations operands{64, 64, std::vector<double>(32, 0), std::vector<double>(32, 1)};
  operands.a[5] = 2;
  for (const auto* text : {"int8:sym", "int8:sym:channel", "hadamard+int8:sym:channel",
                           "smooth+int4:sym", "smooth+hadamard+int8:sym"}) {
    const double error = predict_channel_error(operands, parse_scheme_pair(text));
    EXPECT_TRUE(std::isfinite(error) && error > 0 && error < 1) << text << ": " << error;
  }
  const ChannelDeviations one{64, 64, {1}, {1}};
  EXPECT_GT(predict_channel_error(one, parse_scheme_pair("hadamard+int8:sym")), 0);
}

TEST(ChannelError, WhatItCannotPredictIsRefused) {
  const ChannelDeviations operands{8, 8, {1, 2}, {1, 1}};
  for (const auto* text :
       {"int8", "e4m3", "mxfp4", "int8:sym:group=8", "int8:sym:mse", "int8:sym:channel=1"}) {
    EXPECT_THAT(testing::refusal([&] { predict_channel_error(operands, parse_scheme_pair(text)); }),
                HasSubstr("predict: expected integers"))
        << text;
  }
  const SchemePair pair = parse_scheme_pair("int8:sym");
  const auto refused = [&](const ChannelDeviations& each) {
    return testing::refusal([&] { predict_channel_error(each, pair); });
  };
  EXPECT_THAT(refused({8, 8, {1, 2}, {1}}), HasSubstr("2 and 1"));
  EXPECT_THAT(refused({0, 8, {1}, {1}}), HasSubstr("0x8"));
  EXPECT_THAT(refused({8, 8, {-1, 2}, {1, 1}}), HasSubstr("-1"));
  EXPECT_THAT(refused({8, 8, {0, 0}, {1, 1}}), HasSubstr("of A above 0"));
  EXPECT_THAT(refused({8, 8, {1, 0}, {0, 1}}), HasSubstr("neither"));
  EXPECT_THAT(testing::refusal([&] {
                predict_channel_error(
                    operands, {parse_scheme("hadamard+int8:sym"), parse_scheme("int8:sym")});
              }),
              HasSubstr("same transforms"));
}

}  // namespace
}  // namespace zeropoint
