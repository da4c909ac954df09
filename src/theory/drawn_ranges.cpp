// Ranges that hang on a tile's few most extreme values: these are drawn.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "zeropoint/core/random.hpp"
#include "zeropoint/theory/product_error.hpp"

#include "quantize/tile_params.hpp"
#include "theory/tile_ranges.hpp"

namespace zeropoint {
namespace {

// Uniform and exponential numbers, the same every time. Each of a draw's numbers falls once into
// each of `draws` equal parts of [0, 1], so that what adds up over numbers has next to no chance in
// its mean (Latin hypercubes: McKay, Beckman, Conover, Technometrics 21, 1979).
class Draws {
 public:
  Draws(std::size_t draws, std::size_t numbers) {
    for (std::size_t i = 0; i < numbers; ++i) {
      std::vector<double> parts(draws);
      std::iota(parts.begin(), parts.end(), 0.0);
      for (std::size_t j = draws; j > 1; --j) {
        const auto other = static_cast<std::size_t>(random() * static_cast<double>(j));
        std::swap(parts[j - 1], parts[other]);
      }
      for (double& part : parts) part = (part + random()) / static_cast<double>(draws);
      numbers_.push_back(std::move(parts));
    }
  }
  // Number by number of a draw, then of the next.
  double uniform() {
    const double u = numbers_[number_][draw_];
    if (++number_ == numbers_.size()) {
      number_ = 0;
      ++draw_;
    }
    return u;
  }
  double exponential() { return -std::log(uniform()); }

 private:
  double random() {
    if (next_ % 4 == 0) words_ = stream_.words(next_ / 4);
    return (words_[next_++ % 4] + 0.5) * 0x1p-32;
  }

  CounterStream stream_{20261124, 0x7072};
  std::uint64_t next_ = 0;
  std::array<std::uint32_t, 4> words_{};
  std::vector<std::vector<double>> numbers_;
  std::size_t draw_ = 0, number_ = 0;
};

// The `few` smallest and largest of a sample: by spacings, which are exponential numbers over their
// sum (A. Rényi, Acta Math. Hung. 4, 1953).
struct Tails {
  std::vector<double> lower, upper;  // both ascending
};
std::size_t numbers_of_tails(std::size_t few) { return 2 * few + 1; }
Tails draw_tails(const Distribution& distribution, double count, std::size_t few, Draws& draws) {
  std::vector<double> from_below, from_above;
  double below = 0, above = 0;
  for (std::size_t i = 0; i < few; ++i) {
    from_below.push_back(below += draws.exponential());
    from_above.push_back(above += draws.exponential());
  }
  // The others' spacings together: of a gamma distribution that is all but normal.
  static const Distribution& normal = zeropoint::distribution("normal");
  const double others = count + 1 - 2 * static_cast<double>(few);
  const double z = normal.quantile(draws.uniform());
  const double cube = 1 - 1 / (9 * others) + z / (3 * std::sqrt(others));  // Wilson and Hilferty
  const double whole = below + above + others * cube * cube * cube;
  Tails tails;
  for (std::size_t i = 0; i < few; ++i) {
    tails.lower.push_back(distribution.quantile(from_below[i] / whole));
    tails.upper.push_back(distribution.upper_quantile(from_above[few - 1 - i] / whole));
  }
  return tails;
}

TileRange with_tails(Tails tails, Range range, double weight, double count) {
  TileRange drawn{.weight = weight,
                  .is_usual = true,
                  .range = range,
                  .lo = tails.lower.back(),
                  .hi = tails.upper.front(),
                  .middle = 1 - 2 * static_cast<double>(tails.lower.size()) / count};
  drawn.beyond = std::move(tails.lower);
  drawn.beyond.insert(drawn.beyond.end(), tails.upper.begin(), tails.upper.end());
  return drawn;
}

}  // namespace

std::vector<TileRange> drawn_cover_ranges(const Distribution& distribution, double lower_rank,
                                          double upper_rank, double count) {
  constexpr std::size_t kDraws = 256;
  // From the end of either side.
  const double upper = count - 1 - upper_rank;
  const auto few = static_cast<std::size_t>(std::ceil(std::max(lower_rank, upper))) + 2;
  const auto between = [](const std::vector<double>& values, double rank) {
    const auto i = static_cast<std::size_t>(rank);
    const double part = rank - std::floor(rank);
    return (1 - part) * values[i] + part * values[i + 1];
  };
  Draws draws(kDraws, numbers_of_tails(few));
  std::vector<TileRange> list;
  for (std::size_t i = 0; i < kDraws; ++i) {
    Tails tails = draw_tails(distribution, count, few, draws);
    const Range range = {
        static_cast<float>(between(tails.lower, lower_rank)),
        static_cast<float>(between(tails.upper, static_cast<double>(few) - 1 - upper))};
    list.push_back(with_tails(std::move(tails), range, 1.0 / kDraws, count));
  }
  return list;
}

std::vector<TileRange> drawn_mse_ranges(const Distribution& distribution, const GridNeed& need,
                                        double count) {
  constexpr std::size_t kDraws = 128;
  constexpr std::size_t kFew = 48;
  constexpr std::size_t kBins = 128;
  Draws draws(kDraws, numbers_of_tails(kFew));
  std::vector<TileRange> list;
  const double inside = count - 2 * static_cast<double>(kFew);
  std::vector<double> ends;
  for (std::size_t bin = 1; bin <= kBins; ++bin) {
    ends.push_back(
        distribution.quantile((kFew + inside * static_cast<double>(bin) / kBins) / count));
  }
  for (std::size_t i = 0; i < kDraws; ++i) {
    Tails tails = draw_tails(distribution, count, kFew, draws);
    const double lo = tails.lower.back();
    const double hi = tails.upper.front();
    std::vector<Weighted> sample;
    const auto add = [&](double from, double to, double values) {
      const auto least = static_cast<float>(from);
      sample.push_back({least, std::max(least, static_cast<float>(to)),
                        static_cast<std::uint64_t>(std::llround(values))});
    };
    for (const double x : tails.lower) add(x, x, 1);
    double from = lo;
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      const double to = std::clamp(ends[bin], from, hi);
      add(from, to,
          std::floor(inside * static_cast<double>(bin + 1) / kBins) -
              std::floor(inside * static_cast<double>(bin) / kBins));
      from = to;
    }
    for (const double x : tails.upper) add(x, x, 1);
    const Range range = mse_range(sample, need);
    list.push_back(with_tails(std::move(tails), range, 1.0 / kDraws, count));
  }
  return list;
}

}  // namespace zeropoint
