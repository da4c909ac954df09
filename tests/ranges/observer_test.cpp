#include "zeropoint/ranges/observer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/order_statistics.hpp"

#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::HasSubstr;

std::vector<float> draw(const char* what, std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(-1, 3);
  std::vector<float> x(count);
  const std::string kind = what;
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = kind == "uniform" ? uniform(random) : normal(random);
    if (kind == "outliers" && i % 1000 == 0) x[i] *= 50;
    if (kind == "laplace")
      x[i] = std::copysign(-std::log(1 - std::abs(uniform(random) - 1) / 2.0001F), x[i]);
    if (kind == "positive") x[i] = std::abs(x[i]);
  }
  return x;
}
constexpr const char* kKinds[] = {"normal", "uniform", "laplace", "outliers", "positive"};

StreamStatistics in_batches(std::span<const float> x, std::size_t batch) {
  StreamStatistics s;
  for (std::size_t i = 0; i < x.size(); i += batch) {
    s.observe(x.subspan(i, std::min(batch, x.size() - i)));
  }
  return s;
}

TEST(StreamStatistics, DependsOnNoBatchAndNoOrderOfMerging) {
  for (const auto* kind : kKinds) {
    const auto x = draw(kind, 20'000);
    const auto whole = in_batches(x, x.size());
    for (const std::size_t batch : {1U, 7U, 1000U}) EXPECT_EQ(in_batches(x, batch), whole);
    std::mt19937 random(2);
    for (int trial = 0; trial < 5; ++trial) {
      std::vector<StreamStatistics> parts;
      for (std::size_t i = 0; i < x.size(); i += 2500) {
        parts.push_back(in_batches(std::span(x).subspan(i, 2500), 1 + random() % 999));
      }
      std::ranges::shuffle(parts, random);
      StreamStatistics merged;
      for (const auto& part : parts) merged.merge(part);
      EXPECT_EQ(merged, whole) << kind;
      EXPECT_EQ(merged.mean(), whole.mean());
      EXPECT_EQ(merged.variance(), whole.variance());
    }
  }
}

TEST(StreamStatistics, QuantilesLieWhereTheySayTheyDo) {
  for (const auto* kind : kKinds) {
    const auto x = draw(kind, 32'769);  // so that ranks are exact probabilities
    auto sorted = x;
    std::ranges::sort(sorted);
    const auto s = in_batches(x, 777);
    for (const std::size_t low : {0U, 3U, 300U, 7500U, 15'000U, 30'000U, 32'765U, 32'768U}) {
      const double p = static_cast<double>(low) / static_cast<double>(x.size() - 1);
      const auto q = s.quantile(p);
      EXPECT_LE(q.at_least, sorted[low]) << kind << p;
      EXPECT_GE(q.at_most, sorted[low]) << kind << p;
      EXPECT_LE(q.first_rank, low);
      EXPECT_GE(q.last_rank, low);
      // All of those ranks, and no others, lie in the interval.
      if (low > 0 && low + 1 < x.size()) {
        const auto below = std::ranges::lower_bound(sorted, q.at_least) - sorted.begin();
        const auto after = std::ranges::upper_bound(sorted, q.at_most) - sorted.begin();
        EXPECT_EQ(q.first_rank, static_cast<std::uint64_t>(below));
        EXPECT_EQ(q.last_rank + 1, static_cast<std::uint64_t>(after));
      }
      EXPECT_LE(q.at_most - q.at_least, std::abs(q.at_most) * 0x1p-12F);
      EXPECT_GE(q.value, q.at_least);
      EXPECT_LE(q.value, q.at_most);
    }
  }
}

TEST(StreamStatistics, MomentsAreExact) {
  const std::vector<float> x = {1e30F, 1, -1e30F, 1e-30F, 3, -1e-30F};
  EXPECT_EQ(in_batches(x, 2).mean(), 4.0 / 6);
  for (const auto* kind : kKinds) {
    const auto values = draw(kind, 10'000);
    const auto s = in_batches(values, 100);
    const double n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0L) / n;
    long double squares = 0;
    for (const float v : values) squares += (v - (long double)mean) * (v - (long double)mean);
    EXPECT_NEAR(s.mean(), mean, 1e-14);
    EXPECT_NEAR(s.variance() / static_cast<double>(squares / n), 1, 1e-12);
  }
}

TEST(StreamStatistics, BytesComeBackAndOthersAreRefused) {
  const auto s = in_batches(draw("outliers", 5000), 100);
  const auto bytes = s.serialize();
  EXPECT_EQ(StreamStatistics::deserialize(bytes), s);
  EXPECT_EQ(StreamStatistics::deserialize(StreamStatistics().serialize()).count(), 0U);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, std::size_t{4000}, bytes.size() - 1, bytes.size() - 12}) {
    EXPECT_THROW(StreamStatistics::deserialize(std::span(bytes).first(size)), InputError) << size;
  }
  std::mt19937 random(4);
  for (int trial = 0; trial < 2000; ++trial) {  // whatever the bytes are, no crash
    auto wrong = bytes;
    wrong[random() % (trial % 2 ? 24 : wrong.size())] ^=
        static_cast<std::uint8_t>(1 + random() % 255);
    try {
      const auto read = StreamStatistics::deserialize(wrong);
      static_cast<void>(read.quantile(0.3));
    } catch (const InputError&) {
    }
  }
}

TEST(StreamStatistics, WhatIsNotFiniteIsRefusedPassedOverOrSaturated) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {1, -inf, std::nanf(""), 2};
  StreamStatistics s;
  s.observe(std::vector<float>{5});
  EXPECT_THAT(testing::refusal([&] { s.observe(x, "W"); }), HasSubstr("W"));
  EXPECT_EQ(s.count(), 1U);
  s.observe(x, "W", NonFinite::ignore);
  EXPECT_EQ(s.count(), 3U);
  EXPECT_EQ(s.min_max(), (Range{1, 5}));
  s.observe(x, "W", NonFinite::saturate);
  EXPECT_EQ(s.min_max(), (Range{std::numeric_limits<float>::lowest(), 5}));
  EXPECT_THROW(StreamStatistics().min_max(), InputError);
  EXPECT_THROW(StreamStatistics().quantile(0.5), InputError);
}

TEST(RangeEstimators, WordsAreReadBack) {
  for (const auto* word : {"minmax", "ema=0.25", "sigma=2.5", "cover=0.99", "mse", "kl"}) {
    EXPECT_EQ(to_string(parse_range_estimator(word)), word);
  }
  for (const auto* word : {"minmaxx", "cover=0.5", "cover=2", "cover=x", "mse=1", "ema=0",
                           "sigma=-1", "sigma=nan", ""}) {
    EXPECT_THROW(parse_range_estimator(word), InputError) << word;
  }
  EXPECT_THAT(testing::refusal([] { parse_range_estimator("minimax"); }), HasSubstr("minmax?"));
}

double error_of(std::span<const float> x, double lo, double hi, const GridNeed& need) {
  double first = 0, last = need.levels - 1, scale = (hi - lo) / last;
  if (need.symmetric) {
    scale = std::max(-lo, hi) / ((need.levels - 1) / 2);
    first = -(need.levels - 1 - (need.levels - 1) / 2);
    last = first + need.levels - 1;
  } else {
    first = -std::clamp(std::nearbyint(-lo / scale), 0.0, last);
    last += first;
  }
  double error = 0;
  for (const float v : x) {
    error += std::pow(v - scale * std::clamp(std::nearbyint(v / scale), first, last), 2);
  }
  return error;
}

// Against a fine grid of all pairs of ends.
TEST(MseRange, IsNearlyTheBestThereIs) {
  for (const auto* kind : kKinds) {
    const auto x = draw(kind, 4000, 3);
    const auto [least, most] = std::ranges::minmax(x);
    const double lo = std::min(least, 0.0F), hi = std::max(most, 0.0F);
    for (const int levels : {4, 16, 256}) {
      for (const bool symmetric : {false, true}) {
        const GridNeed need{levels, symmetric};
        double best = std::numeric_limits<double>::infinity();
        for (int i = 1; i <= 100; ++i) {
          for (int j = symmetric ? i : 1; j <= (symmetric ? i : 100); j += 3) {
            best = std::min(best, error_of(x, lo * i / 100, hi * j / 100, need));
          }
        }
        for (const bool streamed : {false, true}) {
          Observer observer({RangeKind::mse, 0});
          observer.observe(x);
          const Range found =
              streamed ? observer.range(need)
                       : estimate_range({RangeKind::mse, 0}, x, Coverage::two_sided, need);
          EXPECT_LT(error_of(x, found.min, found.max, need), best * 1.02)
              << kind << levels << symmetric << streamed;
        }
      }
    }
  }
}

TEST(KlRange, CutsOutliersAndKeepsWhatIsEven) {
  const auto outliers = draw("outliers", 100'000);
  const Range cut = estimate_range({RangeKind::kl, 0}, outliers, Coverage::two_sided, {256, true});
  EXPECT_LT(cut.max, 30);
  EXPECT_GT(cut.max, 3);
  const auto uniform = draw("uniform", 100'000);
  const Range kept = estimate_range({RangeKind::kl, 0}, uniform, Coverage::two_sided, {256, true});
  EXPECT_GT(kept.max, 2.5);
}

TEST(Observer, FindsWhatTheWholeTensorHas) {
  const auto x = draw("outliers", 50'000);
  for (const auto* word : {"minmax", "sigma=3", "cover=0.99", "cover=0.9999", "mse", "kl"}) {
    const auto estimator = parse_range_estimator(word);
    for (const auto sides : {Coverage::one_sided, Coverage::two_sided}) {
      Observer first(estimator, sides), second(estimator, sides);
      first.observe(std::span(x).first(10'000));
      second.observe(std::span(x).subspan(10'000));
      const auto kept = Observer::deserialize(first.serialize());
      second.merge(kept);
      const Range streamed = second.range({16, false});
      const Range whole = estimate_range(estimator, x, sides, {16, false});
      EXPECT_NEAR(streamed.min, whole.min, std::abs(whole.min) * 0x1p-12) << word;
      EXPECT_NEAR(streamed.max, whole.max, std::abs(whole.max) * 0x1p-12) << word;
    }
  }
}

TEST(Observer, MovingAverageIsTorchs) {
  Observer ema(parse_range_estimator("ema=0.1"));
  ema.observe(std::vector<float>{-1, 2});
  ema.observe(std::vector<float>{-3, 1});
  EXPECT_FLOAT_EQ(ema.range().min, -1 + 0.1F * (-3 + 1));
  EXPECT_FLOAT_EQ(ema.range().max, 2 + 0.1F * (1 - 2));
  Observer other = ema;
  EXPECT_THAT(testing::refusal([&] { ema.merge(other); }), HasSubstr("ema"));
}

TEST(Observer, AwkwardStreams) {
  const float most = std::numeric_limits<float>::max();
  for (const auto& row : range_estimators()) {
    const auto estimator = parse_range_estimator(row.word);
    SCOPED_TRACE(std::string(row.word));
    EXPECT_THROW(Observer(estimator).range(), InputError);
    EXPECT_THROW(estimate_range(estimator, {}), InputError);
    for (const auto& x : {std::vector<float>(10, 0.0F), std::vector<float>(10, -7.0F),
                          std::vector<float>{-most, most, most}, std::vector<float>(9, 1e-45F),
                          std::vector<float>{1e-45F, -1e-44F}, std::vector<float>{-0.0F, 0.0F}}) {
      Observer observer(estimator);
      observer.observe(x);
      for (const Range range : {observer.range(), estimate_range(estimator, x)}) {
        EXPECT_TRUE(std::isfinite(range.min) && std::isfinite(range.max));
        EXPECT_LE(range.min, range.max);
      }
    }
    Observer observer(estimator);
    EXPECT_THAT(testing::refusal([&] {
                  observer.observe(std::vector<float>{1, NAN}, "act");
                }),
                HasSubstr("act"));
  }
  EXPECT_THROW(Observer(parse_range_estimator("mse")).merge(Observer(parse_range_estimator("kl"))),
               InputError);
}

}  // namespace
}  // namespace zeropoint
