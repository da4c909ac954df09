#include "zeropoint/ranges/observer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/ranges/order_statistics.hpp"

#include "ranges/draws.hpp"
#include "support/properties.hpp"
#include "support/random_values.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using testing::draw;
using ::testing::HasSubstr;
using testing::kDraws;
using testing::refusal;

TEST(RangeEstimators, WordsAreReadBack) {
  for (const auto* word : {"minmax", "ema=0.25", "sigma=2.5", "cover=0.99", "mse", "kl"}) {
    EXPECT_EQ(to_string(parse_range_estimator(word)), word);
  }
  for (const auto* word : {"minmaxx", "cover=0.5", "cover=2", "cover=x", "mse=1", "ema=0",
                           "sigma=-1", "sigma=nan", ""}) {
    EXPECT_THROW(parse_range_estimator(word), InputError) << word;
  }
  EXPECT_THAT(refusal([] { parse_range_estimator("minimax"); }), HasSubstr("minmax?"));
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

Range kl_of(const std::vector<float>& x, int levels) {
  return estimate_range({RangeKind::kl, 0}, x, Coverage::two_sided, {levels, true});
}

// By the words of kl_range's description, with nothing saved up.
float threshold_by_definition(const std::vector<float>& x, std::size_t half) {
  constexpr std::size_t kBins = 2048;
  double reach = 0;
  for (const float v : x) reach = std::max(reach, std::abs(double{v}));
  std::vector<double> bins(kBins);
  for (const float v : x) {
    ++bins[std::min(static_cast<std::size_t>(std::abs(double{v}) / reach * kBins), kBins - 1)];
  }
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = kBins;
  for (std::size_t i = kBins; i >= half; --i) {
    const auto from = bins.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::accumulate(bins.begin(), from, 0.0) < 0.9 * static_cast<double>(x.size())) break;
    std::vector<double> p(bins.begin(), bins.begin() + static_cast<std::ptrdiff_t>(i));
    const std::vector<double> kept = p;
    for (std::size_t j = i; j < kBins; ++j) p.back() += bins[j];
    std::vector<double> q(i);
    for (std::size_t merged = 0; merged < half; ++merged) {
      const std::size_t first = merged * i / half;
      const std::size_t last = (merged + 1) * i / half;
      double sum = 0, filled = 0;
      for (std::size_t j = first; j < last; ++j) {
        sum += kept[j];
        filled += kept[j] > 0;
      }
      for (std::size_t j = first; j < last; ++j) q[j] = kept[j] > 0 ? sum / filled : 0;
    }
    double sum_p = 0, sum_q = 0, divergence = 0;
    for (const double v : p) sum_p += v;
    for (const double v : q) sum_q += v;
    for (std::size_t j = 0; j < i; ++j) {
      if (p[j] == 0) continue;
      const double here = q[j] > 0 ? q[j] : 1e-4;
      divergence += p[j] / sum_p * std::log((p[j] / sum_p) / (here / sum_q));
    }
    if (divergence < least - 1e-12) {
      least = divergence;
      best = i;
    }
  }
  return static_cast<float>(best == kBins ? reach
                                          : (static_cast<double>(best) + 0.5) * reach / kBins);
}

TEST(KlRange, IsOfLeastDivergenceByItsDefinition) {
  for (const auto kind : kDraws) {
    for (const int levels : {16, 256}) {
      const auto x = draw(kind, 4000, 11);  // few enough to be taken as they are
      const Range range = kl_of(x, levels);
      EXPECT_FLOAT_EQ(std::max(-range.min, range.max),
                      threshold_by_definition(x, static_cast<std::size_t>(levels / 2)))
          << kind << levels;
    }
  }
}

// By TensorRT's rule as it stands, from the first candidate on: data dense at 0 keep what it says.
TEST(KlRange, OfDataDenseAtZeroIsTensorRTs) {
  struct Row {
    std::string_view kind;
    int levels;
    std::size_t bins;  // of 2048
  };
  for (const auto& [kind, levels, bins] :
       {Row{"normal", 16, 1912}, Row{"normal", 256, 1983}, Row{"uniform", 16, 2047},
        Row{"uniform", 256, 2046}, Row{"laplace", 16, 1622}, Row{"laplace", 256, 1570},
        Row{"outliers", 16, 94}, Row{"outliers", 256, 281}, Row{"positive", 16, 1912},
        Row{"positive", 256, 1983}}) {
    const auto x = draw(kind, 4000, 11);
    float reach = 0;
    for (const float v : x) reach = std::max(reach, std::abs(v));
    const Range range = kl_of(x, levels);
    EXPECT_FLOAT_EQ(std::max(-range.min, range.max),
                    static_cast<float>((static_cast<double>(bins) + 0.5) * reach / 2048))
        << kind << levels;
  }
}

TEST(KlRange, OfDataAwayFromZeroClipsLittle) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(5, 6);
  const auto filled = [](std::size_t count, const auto& one) {
    std::vector<float> x(count);
    std::ranges::generate(x, one);
    return x;
  };
  for (const std::size_t count : {100U, 4000U, 20'000U}) {
    const std::vector<std::vector<float>> all = {
        filled(count, [&] { return uniform(random); }),
        filled(count, [&] { return -uniform(random); }),
        filled(count, [&] { return 1 + 0.05F * normal(random); }),
        filled(count, [&, i = 0]() mutable { return i++ % 20 == 0 ? 3.0F : 1.0F; }),
        filled(count, [] { return 3.0F; })};
    for (std::size_t k = 0; k < all.size(); ++k) {
      for (const int levels : {4, 16, 256, 1024}) {
        const Range range = kl_of(all[k], levels);
        const auto clipped =
            std::ranges::count_if(all[k], [&](float v) { return v < range.min || v > range.max; });
        EXPECT_LE(static_cast<double>(clipped), (k == 2 ? 0.05 : 0.0) * static_cast<double>(count))
            << k << ' ' << levels << ' ' << count;
      }
    }
  }
}

// Bins of a stream are spread over those of the histogram: not far from the values themselves.
TEST(KlRange, OfAStreamIsNearThatOfItsValues) {
  for (const auto kind : kDraws) {
    auto x = draw(kind, 4000, 12);
    Observer observer({RangeKind::kl, 0});
    observer.observe(x);
    const Range streamed = observer.range({256, true});
    const Range whole = kl_of(x, 256);
    EXPECT_NEAR(streamed.max, whole.max, 0.05F * whole.max) << kind;
  }
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

// torch.ao's MovingAverageMinMaxObserver, in float32: average + c·(seen − average), from the first
// batch's.
TEST(Observer, MovingAverageIsTorchs) {
  for (const char* word : {"ema=0.01", "ema=0.1", "ema=1"}) {
    const auto estimator = parse_range_estimator(word);
    const auto c = static_cast<float>(estimator.parameter);
    Observer ema(estimator);
    float low = 0, high = 0;
    for (unsigned i = 0; i < 50; ++i) {
      const auto batch = draw("normal", 100, i);
      const auto [least, most] = std::ranges::minmax(batch);
      low = i == 0 ? least : low + c * (least - low);
      high = i == 0 ? most : high + c * (most - high);
      ema.observe(batch);
      ASSERT_EQ(ema.range(), (Range{low, high})) << word << i;
    }
    const auto back = Observer::deserialize(ema.serialize());
    EXPECT_EQ(back.range(), ema.range());
    EXPECT_EQ(back.count(), 5000U);
    Observer other = ema;
    EXPECT_THAT(refusal([&] { ema.merge(other); }), HasSubstr("ema"));
  }
  // Overflow of a difference is none of the average.
  const float most = std::numeric_limits<float>::max();
  Observer ema(parse_range_estimator("ema=0.5"));
  ema.observe(std::vector<float>{-most, -most});
  ema.observe(std::vector<float>{most, most});
  EXPECT_EQ(ema.range(), (Range{0, 0}));
}

RC_GTEST_PROP(Observer, RangesAreTheSameHoweverCutAndMerged, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  auto x = draw(kDraws[random() % 5], 1 + random() % 3000, static_cast<unsigned>(seed));
  for (const auto* word : {"minmax", "sigma=2", "cover=0.98", "mse", "kl"}) {
    const auto estimator = parse_range_estimator(word);
    Observer whole(estimator);
    whole.observe(x);
    std::vector<Observer> parts(1 + random() % 4, Observer(estimator));
    for (std::size_t i = 0; i < x.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 700, x.size() - i);
      parts[random() % parts.size()].observe(std::span(x).subspan(i, size));
      i += size;
    }
    Observer merged(estimator);
    std::ranges::shuffle(parts, random);
    for (const auto& part : parts) merged.merge(Observer::deserialize(part.serialize()));
    for (const GridNeed& need : {GridNeed{16, true}, GridNeed{256, false}}) {
      RC_ASSERT(merged.range(need) == whole.range(need));
    }
  }
}

TEST(Observer, NamesTheFirstThatIsNoNumberAndForgetsTheBatch) {
  for (const auto& row : range_estimators()) {
    const auto estimator = parse_range_estimator(row.word);
    Observer observer(estimator);
    observer.observe(std::vector<float>{-1, 2});
    const auto before = observer.serialize();
    const std::vector<float> bad = {5, 6, NAN, INFINITY};
    EXPECT_THAT(refusal([&] { observer.observe(bad, "act"); }),
                ::testing::AllOf(HasSubstr("act"), HasSubstr("index 2")));
    EXPECT_EQ(observer.serialize(), before);
    observer.observe({}, "empty");
    EXPECT_EQ(observer.serialize(), before);
    Observer lenient(estimator, Coverage::two_sided, NonFinite::ignore);
    lenient.observe(std::vector<float>{NAN, INFINITY});
    EXPECT_THAT(refusal([&] { lenient.range(); }), HasSubstr("at least one value"));
    lenient.observe(bad);
    EXPECT_EQ(lenient.count(), 2U);
    Observer saturating(estimator, Coverage::two_sided, NonFinite::saturate);
    saturating.observe(bad);
    EXPECT_EQ(saturating.count(), 3U);
    EXPECT_EQ(saturating.statistics().min_max().max, std::numeric_limits<float>::max());
  }
}

TEST(Observer, TakesAsMuchMemoryAsItsRangeNeeds) {
  const auto x = draw("normal", 100'000);
  for (const auto& row : range_estimators()) {
    Observer observer(parse_range_estimator(row.word));
    observer.observe(x);
    const bool has_bins = row.word == "cover" || row.word == "mse" || row.word == "kl";
    EXPECT_LE(observer.statistics().bytes(), has_bins ? std::size_t{2} << 20 : std::size_t{400});
  }
}

TEST(Observer, RefusesBytesOfOthersAndParametersBeyondTheirLimits) {
  Observer observer(parse_range_estimator("cover=0.9"));
  observer.observe(std::vector<float>{1, 2, 3});
  const auto bytes = observer.serialize();
  EXPECT_EQ(Observer::deserialize(bytes).range(), observer.range());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto wrong = bytes;
    wrong[i] ^= 0x10;
    EXPECT_THROW(Observer::deserialize(wrong), InputError) << i;
    EXPECT_THROW(Observer::deserialize(std::span(bytes).first(i)), InputError) << i;
  }
  EXPECT_THROW(Observer::deserialize(observer.statistics().serialize()), InputError);
  EXPECT_THROW(Observer({RangeKind::cover, 0.5}), InputError);
  EXPECT_THROW(Observer({RangeKind::sigma, -1}), InputError);
  EXPECT_THROW(Observer({RangeKind::ema, std::nan("")}), InputError);
  EXPECT_THAT(refusal([&] { observer.merge(Observer(parse_range_estimator("cover=0.8"))); }),
              HasSubstr("cover=0.9"));
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
    EXPECT_THAT(refusal([&] {
                  observer.observe(std::vector<float>{1, NAN}, "act");
                }),
                HasSubstr("act"));
  }
  EXPECT_THROW(Observer(parse_range_estimator("mse")).merge(Observer(parse_range_estimator("kl"))),
               InputError);
}

}  // namespace
}  // namespace zeropoint
