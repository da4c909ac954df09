#include "zeropoint/ranges/exact_moments.hpp"

#include <algorithm>
#include <bit>
#include <mutex>

#include "zeropoint/core/parallel.hpp"

#include "ranges/wide_integer.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kGrain = 1 << 18;
constexpr std::size_t kAtOnce = 1 << 16;  // so many squares of 48 bits fit 64
constexpr std::size_t kExponents = 256;

}  // namespace

void ExactMoments::add(std::span<const float> values) {
  if (values.size() <= kGrain) return add_piece(values);
  std::mutex mutex;
  parallel_for(values.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    ExactMoments mine;
    mine.add_piece(values.subspan(begin, end - begin));
    const std::lock_guard lock(mutex);
    merge(mine);
  });
}

// Significands are whole numbers: they and their squares are added up by exponent, then put where
// that exponent stands. Neighbours go to different tables, or each would wait for the one before.
void ExactMoments::add_piece(std::span<const float> values) {
  constexpr std::size_t kTables = 2;
  struct Sums {
    std::int64_t sum;
    std::uint64_t squares;
  };
  for (std::size_t from = 0; from < values.size(); from += kAtOnce) {
    const auto some = values.subspan(from, std::min(kAtOnce, values.size() - from));
    Sums sums[kTables][kExponents] = {};
    const auto add_one = [](Sums* to, float x) {
      const auto bits = std::bit_cast<std::uint32_t>(x);
      const std::uint32_t exponent = bits >> 23 & 0xFF;
      const std::uint64_t significand =
          (bits & 0x7FFFFF) | static_cast<std::uint32_t>(exponent != 0) << 23;
      const auto sign = static_cast<std::int64_t>(static_cast<std::int32_t>(bits) >> 31);
      to[exponent].sum += (static_cast<std::int64_t>(significand) ^ sign) - sign;
      to[exponent].squares += significand * significand;
    };
    std::size_t i = 0;
    for (; i + kTables <= some.size(); i += kTables) {
      for (std::size_t t = 0; t < kTables; ++t) add_one(sums[t], some[i + t]);
    }
    for (; i < some.size(); ++i) add_one(sums[0], some[i]);
    for (std::size_t e = 0; e < kExponents; ++e) {
      const std::int64_t sum = sums[0][e].sum + sums[1][e].sum;
      // Significands of exponent 0 are in units of 2^−149, as those of exponent 1.
      const std::size_t bit = std::max<std::size_t>(e, 1) - 1;
      if (sum != 0) {
        add_shifted(sum_, static_cast<std::uint64_t>(sum < 0 ? -sum : sum), sum < 0, bit);
      }
      for (const auto& table : sums) {
        if (table[e].squares != 0) add_shifted(squares_, table[e].squares, false, 2 * bit);
      }
    }
  }
  count_ += values.size();
}

void ExactMoments::merge(const ExactMoments& other) {
  count_ += other.count_;
  zeropoint::add(sum_, other.sum_);
  zeropoint::add(squares_, other.squares_);
}

double ExactMoments::mean() const { return to_double(sum_, -149) / static_cast<double>(count_); }

double ExactMoments::variance() const {
  const WideInteger<2> count = {static_cast<std::uint32_t>(count_),
                                static_cast<std::uint32_t>(count_ >> 32)};
  const Sum magnitude = is_negative(sum_) ? negated(sum_) : sum_;
  auto numerator = product<23>(squares_, count);
  zeropoint::add(numerator, negated(product<23>(magnitude, magnitude)));
  const auto n = static_cast<double>(count_);
  return std::max(to_double(numerator, -298) / n / n, 0.0);
}

ExactMoments ExactMoments::from(std::uint64_t count, const Sum& sum, const Squares& squares) {
  ExactMoments moments;
  moments.count_ = count;
  moments.sum_ = sum;
  moments.squares_ = squares;
  return moments;
}

}  // namespace zeropoint
