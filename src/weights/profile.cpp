#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <mutex>
#include <numbers>

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

// In bits, of what has no probability at 0. Prefixes of infinities and NaNs do not count.
double entropy_of(const Counts& counts, std::uint64_t count) {
  if (count < kEnough) return kNone;
  const auto n = static_cast<double>(count);
  double bits = 0;
  std::size_t used = 0;
  for (std::size_t prefix = 0; prefix < kPrefixes; ++prefix) {
    if (counts[prefix] == 0 || (prefix & 0x7f80) == 0x7f80) continue;
    const double p = static_cast<double>(counts[prefix]) / n;
    bits -= p * std::log2(p / width_of(prefix));
    ++used;
  }
  return bits + static_cast<double>(used - 1) / (2 * n) * std::numbers::log2e;
}

ChannelOutliers outliers_of(std::vector<float> largest) {
  ChannelOutliers result;
  result.channels = largest.size();
  if (largest.size() < 2) return result;
  result.largest = static_cast<std::size_t>(std::ranges::max_element(largest) - largest.begin());
  const double top = largest[result.largest];
  std::vector<float> sorted = largest;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  const double median = *middle;
  if (!(median > 0)) return result;
  result.factor = top / median;
  result.outliers = static_cast<std::size_t>(
      std::ranges::count_if(largest, [&](float x) { return x > kOutlier * median; }));
  return result;
}

// The bits of a finite number's magnitude, which order as magnitudes do; 0 of others.
std::int32_t magnitude_bits(float x) {
  const auto bits = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffU);
  return bits < 0x7f800000 ? bits : 0;
}

float largest_in(const float* x, std::size_t count) {
  std::int32_t largest = 0;
#pragma omp simd reduction(max : largest)
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t bits = magnitude_bits(x[i]);
    largest = bits > largest ? bits : largest;
  }
  return std::bit_cast<float>(largest);
}

// The largest magnitude for each index along axes 0 and 1; largest numbers, whatever the order.
void find_channels(std::span<const float> x, std::span<const std::size_t> shape,
                   WeightProfile& profile) {
  if (shape.empty() || x.empty()) return;
  const std::size_t rows = shape[0], cols = x.size() / rows;
  const std::size_t channels = shape.size() < 2 ? 0 : shape[1];
  const std::size_t inner = channels == 0 ? 0 : cols / channels;
  std::vector<float> outputs(rows, 0), inputs(channels, 0);
  std::mutex mutex;
  parallel_for(rows, std::max<std::size_t>(kPiece / std::max<std::size_t>(cols, 1), 1),
               [&](std::size_t begin, std::size_t end) {
                 std::vector<float> mine(channels, 0);
                 for (std::size_t i = begin; i < end; ++i) {
                   const float* const row = x.data() + i * cols;
                   outputs[i] = largest_in(row, cols);
                   if (inner == 1) {
                     float* const to = mine.data();
#pragma omp simd
                     for (std::size_t j = 0; j < cols; ++j) {
                       const float magnitude = std::abs(row[j]);
                       to[j] = magnitude <= 3.4028235e38F && magnitude > to[j] ? magnitude : to[j];
                     }
                     continue;
                   }
                   for (std::size_t c = 0; c < channels; ++c) {
                     mine[c] = std::max(mine[c], largest_in(row + c * inner, inner));
                   }
                 }
                 const std::lock_guard lock(mutex);
                 for (std::size_t c = 0; c < channels; ++c)
                   inputs[c] = std::max(inputs[c], mine[c]);
               });
  profile.outputs = outliers_of(std::move(outputs));
  profile.inputs = outliers_of(std::move(inputs));
}

// Bins between the ends: each prefix's count shared evenly among the bins that it spans.
void draw_histogram(const Counts& counts, WeightProfile& profile) {
  const double reach = std::max(std::abs(profile.min), std::abs(profile.max));
  if (!(reach > 0)) return;
  const bool has_sides = profile.min < 0 && profile.max > 0;
  profile.histogram_min = has_sides ? -reach : profile.min;
  profile.histogram_max = has_sides ? reach : profile.max;
  if (profile.histogram_min == profile.histogram_max) profile.histogram_min = 0;
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
    for (const float value : x) {
      profile.zeros += value == 0;
      profile.infinities += std::isinf(value);
    }
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
  profile.entropy = entropy_of(without_zeros, finite - profile.zeros);
  find_channels(x, shape, profile);
  draw_histogram(counts, profile);
  return profile;
}

}  // namespace zeropoint
