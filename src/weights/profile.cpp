#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <mutex>
#include <numbers>
#include <numeric>

#include "zeropoint/core/parallel.hpp"
#include "zeropoint/weights/analyze.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16;
constexpr std::size_t kPrefixes = std::size_t{1} << 16;  // sign, exponent and 7 bits of fraction
constexpr std::size_t kBins = 128;
constexpr double kOutlier = 6;
constexpr std::size_t kEnough = 1024;

using Counts = std::vector<std::uint64_t>;

// Of one piece; moments about `shift`.
struct Moments {
  double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
};

bool is_finite(float x) { return std::abs(x) <= std::numeric_limits<float>::max(); }

Moments moments_of(std::span<const float> x, float shift) {
  double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
#pragma omp simd reduction(+ : s1, s2, s3, s4)
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i]) <= 3.4028235e38F ? double{x[i]} - shift : 0.0;
    const double d2 = d * d;
    s1 += d;
    s2 += d2;
    s3 += d2 * d;
    s4 += d2 * d2;
  }
  return {s1, s2, s3, s4};
}

// The first number of a prefix, and of the next one away from 0.
double lower_end(std::size_t prefix) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(prefix & 0x7fff) << 16);
}
double width_of(std::size_t prefix) {
  const std::size_t exponent = prefix >> 7 & 0xff;
  return std::ldexp(1.0, static_cast<int>(std::max<std::size_t>(exponent, 1)) - 127 - 7);
}

// In bits, of what has no probability at 0. Prefixes of infinities and NaNs do not count. Steps are
// joined until there are enough numbers for each: the correction is one of the first order. Steps
// beyond half a deviation tell nothing: numbers far from 0 for their spread, and the tiniest.
double entropy_of(const Counts& counts, std::uint64_t count, double sigma) {
  constexpr std::size_t kNumbersAStep = 32;
  constexpr int kMostJoined = 4;  // bits: 8 steps to each power of two are left
  if (count < kEnough) return kNone;
  const auto n = static_cast<double>(count);
  double best = kNone;
  for (int joined = 0; joined <= kMostJoined; ++joined) {
    const std::size_t step = std::size_t{1} << joined;
    double bits = 0, width_squares = 0;
    std::size_t used = 0;
    for (std::size_t prefix = 0; prefix < kPrefixes; prefix += step) {
      if ((prefix & 0x7f80) == 0x7f80) continue;
      const auto first = counts.begin() + static_cast<std::ptrdiff_t>(prefix);
      const auto inside =
          std::accumulate(first, first + static_cast<std::ptrdiff_t>(step), std::uint64_t{0});
      if (inside == 0) continue;
      const double p = static_cast<double>(inside) / n;
      const double width = width_of(prefix) * static_cast<double>(step);
      bits -= p * std::log2(p / width);
      width_squares += p * width * width;
      ++used;
    }
    if (!(std::sqrt(width_squares) <= sigma / 2)) break;
    best = bits + static_cast<double>(used - 1) / (2 * n) * std::numbers::log2e;
    if (used * kNumbersAStep <= count) break;
  }
  return best;
}

// Steps from the most negative on, each number of a step as likely as any other.
void find_percentiles(const Counts& counts, std::uint64_t finite, WeightProfile& profile) {
  std::size_t next = 0;
  double below = 0;
  for (std::size_t i = 0; i < kPrefixes && next < kPercentiles.size(); ++i) {
    const std::size_t prefix = i < kPrefixes / 2 ? kPrefixes - 1 - i : i - kPrefixes / 2;
    if (counts[prefix] == 0 || (prefix & 0x7f80) == 0x7f80) continue;
    const double low =
        prefix >= kPrefixes / 2 ? -lower_end(prefix) - width_of(prefix) : lower_end(prefix);
    const auto inside = static_cast<double>(counts[prefix]);
    for (; next < kPercentiles.size(); ++next) {
      const double part = (kPercentiles[next] * static_cast<double>(finite) - below) / inside;
      if (part > 1) break;
      profile.percentiles[next] =
          std::clamp(low + part * width_of(prefix), profile.min, profile.max);
    }
    below += inside;
  }
}

// What is asked of each channel, of numbers that are finite.
struct Channels {
  std::vector<float> largest;
  std::vector<double> squares;
  explicit Channels(std::size_t count = 0) : largest(count, 0), squares(count, 0) {}
};

// The largest against the median, and what is beyond kOutlier times that.
template <class T>
double factor_of(const std::vector<T>& values, double& limit) {
  std::vector<T> sorted = values;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  if (!(*middle > 0)) return kNone;
  limit = kOutlier * double{*middle};
  return double{*std::ranges::max_element(values)} / double{*middle};
}

ChannelOutliers outliers_of(const Channels& channels) {
  constexpr std::size_t kWorst = 8;
  ChannelOutliers result;
  const auto& largest = channels.largest;
  result.channels = largest.size();
  if (largest.size() < 2) return result;
  result.largest = static_cast<std::size_t>(std::ranges::max_element(largest) - largest.begin());
  std::vector<double> rms = channels.squares;  // but for a factor that all of them share
  for (double& each : rms) each = std::sqrt(each);
  double most = std::numeric_limits<double>::infinity(), most_rms = most;
  result.factor = factor_of(largest, most);
  result.rms_factor = factor_of(rms, most_rms);
  for (std::size_t i = 0; i < largest.size(); ++i) {
    if (largest[i] > most || rms[i] > most_rms) result.worst.push_back(i);
  }
  result.outliers = result.worst.size();
  std::ranges::stable_sort(result.worst, std::ranges::greater{},
                           [&](std::size_t i) { return largest[i]; });
  result.worst.resize(std::min(result.worst.size(), kWorst));
  return result;
}

// The bits of a finite number's magnitude, which order as magnitudes do; 0 of others.
std::int32_t magnitude_bits(float x) {
  const auto bits = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffU);
  return bits < 0x7f800000 ? bits : 0;
}

void look_at_line(const float* x, std::size_t count, float& most, double& squares) {
  std::int32_t largest = 0;
  double sum = 0;
#pragma omp simd reduction(max : largest) reduction(+ : sum)
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t bits = magnitude_bits(x[i]);
    largest = bits > largest ? bits : largest;
    const double value = std::bit_cast<float>(bits);
    sum += value * value;
  }
  most = std::max(most, std::bit_cast<float>(largest));
  squares += sum;
}

// One number of each channel.
void look_across(const float* x, Channels& channels) {
  float* const largest = channels.largest.data();
  double* const squares = channels.squares.data();
  const std::size_t count = channels.largest.size();
#pragma omp simd
  for (std::size_t j = 0; j < count; ++j) {
    const float magnitude = std::bit_cast<float>(magnitude_bits(x[j]));
    largest[j] = magnitude > largest[j] ? magnitude : largest[j];
    squares[j] += double{magnitude} * magnitude;
  }
}

// Along axes 0 and 1. Sums are added in the order of the rows.
void find_channels(std::span<const float> x, std::span<const std::size_t> shape,
                   WeightProfile& profile) {
  if (shape.empty() || x.empty()) return;
  // What is kept of a channel takes many times a number's memory. More than any model has are no
  // channels but a long line of numbers.
  constexpr std::size_t kMostChannels = std::size_t{1} << 20;
  if (shape[0] > kMostChannels || (shape.size() > 1 && shape[1] > kMostChannels)) return;
  const std::size_t rows = shape[0], cols = x.size() / rows;
  const std::size_t channels = shape.size() < 2 ? 0 : shape[1];
  const std::size_t inner = channels == 0 ? 0 : cols / channels;
  constexpr std::size_t kMostParts = 32, kMostHeld = std::size_t{1} << 22;
  const std::size_t most =
      std::clamp<std::size_t>(kMostHeld / std::max<std::size_t>(channels, 1), 1, kMostParts);
  const std::size_t grain =
      std::max<std::size_t>({kPiece / std::max<std::size_t>(cols, 1), (rows + most - 1) / most, 1});
  Channels outputs(rows), inputs(channels);
  std::vector<Channels> parts((rows + grain - 1) / grain);
  parallel_for(rows, grain, [&](std::size_t begin, std::size_t end) {
    Channels& mine = parts[begin / grain] = Channels(channels);
    for (std::size_t i = begin; i < end; ++i) {
      const float* const row = x.data() + i * cols;
      look_at_line(row, cols, outputs.largest[i], outputs.squares[i]);
      if (inner == 1) {
        look_across(row, mine);
        continue;
      }
      for (std::size_t c = 0; c < channels; ++c) {
        look_at_line(row + c * inner, inner, mine.largest[c], mine.squares[c]);
      }
    }
  });
  for (const Channels& part : parts) {
    for (std::size_t c = 0; c < channels; ++c) {
      inputs.largest[c] = std::max(inputs.largest[c], part.largest[c]);
      inputs.squares[c] += part.squares[c];
    }
  }
  profile.outputs = outliers_of(outputs);
  profile.inputs = outliers_of(inputs);
}

// Bins between the ends: each prefix's count shared evenly among the bins that it spans.
void draw_histogram(const Counts& counts, WeightProfile& profile) {
  const double reach = std::max(std::abs(profile.min), std::abs(profile.max));
  if (!(reach > 0)) return;
  const bool has_sides = profile.min < 0 && profile.max > 0;
  profile.histogram_min = has_sides ? -reach : profile.min;
  profile.histogram_max = has_sides ? reach : profile.max;
  // Of one number, from 0 to it.
  if (profile.min == profile.max)
    (profile.max > 0 ? profile.histogram_min : profile.histogram_max) = 0;
  const double low = profile.histogram_min, step = (profile.histogram_max - low) / kBins;
  std::vector<double> bins(kBins, 0);
  for (std::size_t prefix = 0; prefix < kPrefixes; ++prefix) {
    if (counts[prefix] == 0 || (prefix & 0x7f80) == 0x7f80) continue;
    const bool is_negative = (prefix & 0x8000) != 0;
    double from = lower_end(prefix), to = from + width_of(prefix);
    if (is_negative) {
      std::swap(from, to);
      from = -from;
      to = -to;
    }
    from = std::clamp(from, low, profile.histogram_max);
    to = std::clamp(to, low, profile.histogram_max);
    const auto bin = [&](double x) {
      return std::clamp<std::size_t>(static_cast<std::size_t>((x - low) / step), 0, kBins - 1);
    };
    const std::size_t first = bin(from), last = bin(to);
    const auto count = static_cast<double>(counts[prefix]);
    for (std::size_t i = first; i <= last; ++i) {
      const double part = to > from ? (std::min(to, low + step * static_cast<double>(i + 1)) -
                                       std::max(from, low + step * static_cast<double>(i))) /
                                          (to - from)
                                    : 1.0;
      bins[i] += count * std::max(part, 0.0);
    }
  }
  for (const double each : bins)
    profile.histogram.push_back(static_cast<std::uint64_t>(each + 0.5));
}

}  // namespace

WeightProfile profile_of(std::span<const float> x, std::span<const std::size_t> shape) {
  WeightProfile profile;
  profile.count = x.size();
  if (x.empty()) return profile;
  double early = 0;
  std::size_t seen = 0;
  for (const float value : x.first(std::min<std::size_t>(x.size(), 4096))) {
    if (!is_finite(value)) continue;
    early += value;
    ++seen;
  }
  const auto shift = static_cast<float>(seen == 0 ? 0 : early / static_cast<double>(seen));

  struct Piece {
    Moments moments;
    float min = std::numeric_limits<float>::infinity(), max = -min;
  };
  std::vector<Piece> pieces((x.size() + kPiece - 1) / kPiece);
  Counts counts(kPrefixes, 0);
  std::mutex mutex;
  // Whole numbers add up to the same in any order; moments are added piece by piece below.
  const std::size_t grain = kPiece * std::max<std::size_t>(pieces.size() / 16, 1);
  parallel_for(x.size(), grain, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> mine(kPrefixes, 0);
    for (std::size_t from = begin; from < end; from += kPiece) {
      const auto some = x.subspan(from, std::min(kPiece, end - from));
      Piece& piece = pieces[from / kPiece];
      piece.moments = moments_of(some, shift);
      float low = piece.min, high = piece.max;
      for (const float value : some) {
        ++mine[std::bit_cast<std::uint32_t>(value) >> 16];
        low = is_finite(value) && value < low ? value : low;
        high = is_finite(value) && value > high ? value : high;
      }
      piece.min = low;
      piece.max = high;
      if (end - begin < (std::size_t{1} << 31)) continue;
      const std::lock_guard lock(mutex);  // before 32 bits are full
      for (std::size_t i = 0; i < kPrefixes; ++i) counts[i] += std::exchange(mine[i], 0);
    }
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < kPrefixes; ++i) counts[i] += mine[i];
  });

  for (std::size_t prefix = 0x7f80; prefix < 0x8000; ++prefix) {
    profile.nans += counts[prefix] + counts[prefix | 0x8000];
  }
  // An infinity shares its prefix with NaNs of few bits, zeros theirs with the tiniest numbers.
  if (profile.nans != 0 || counts[0] + counts[0x8000] != 0) {
    std::atomic<std::size_t> zeros{0}, infinities{0};
    parallel_for(x.size(), grain, [&](std::size_t begin, std::size_t end) {
      std::size_t zero = 0, infinite = 0;
      for (const float value : x.subspan(begin, end - begin)) {
        zero += value == 0;
        infinite += std::isinf(value);
      }
      zeros += zero;
      infinities += infinite;
    });
    profile.zeros = zeros;
    profile.infinities = infinities;
    profile.nans -= profile.infinities;
  }
  const std::size_t finite = x.size() - profile.nans - profile.infinities;
  if (finite == 0) return profile;
  Moments all;
  float low = pieces[0].min, high = pieces[0].max;
  for (const Piece& piece : pieces) {
    all.s1 += piece.moments.s1;
    all.s2 += piece.moments.s2;
    all.s3 += piece.moments.s3;
    all.s4 += piece.moments.s4;
    low = std::min(low, piece.min);
    high = std::max(high, piece.max);
  }
  const auto n = static_cast<double>(finite);
  const double m = all.s1 / n, m2 = all.s2 / n, m3 = all.s3 / n, m4 = all.s4 / n;
  const double variance = std::max(m2 - m * m, 0.0);
  profile.min = low;
  profile.max = high;
  profile.mean = shift + m;
  profile.sigma = std::sqrt(variance);
  if (variance > 0) {
    const double fourth = m4 - 4 * m * m3 + 6 * m * m * m2 - 3 * m * m * m * m;
    profile.kurtosis = fourth / (variance * variance) - 3;
  }
  Counts without_zeros = counts;
  without_zeros[0] -= std::min<std::uint64_t>(without_zeros[0], profile.zeros);
  if (counts[0x8000] != 0 && profile.zeros > counts[0]) {
    without_zeros[0x8000] -= std::min<std::uint64_t>(counts[0x8000], profile.zeros - counts[0]);
  }
  profile.entropy = entropy_of(without_zeros, finite - profile.zeros, profile.sigma);
  find_percentiles(counts, finite, profile);
  find_channels(x, shape, profile);
  draw_histogram(counts, profile);
  return profile;
}

}  // namespace zeropoint
