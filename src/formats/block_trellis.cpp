// Trellis-coded quantization of blocks: trellis.hpp says what a state is. Every number on which a
// choice depends is an integer, so that the same path is found everywhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "formats/block_fit.hpp"
#include "formats/block_rows.hpp"
#include "formats/trellis.hpp"

namespace zeropoint {
namespace {

template <int kBits>
int value_of(std::uint32_t state) {
  using Hash = TrellisHash<kBits>;
  const std::uint32_t first = state & Hash::kMask;
  const std::uint32_t middle = state >> kBits & ((1U << Hash::kMiddle) - 1);
  const std::uint32_t last = state >> (kTrellisBits - kBits);
  std::uint32_t angle = middle * Hash::kFactor + Hash::kStart;
  angle = (angle ^ angle >> 15) * Hash::kSecondFactor;
  angle += (last << (32 - kBits)) + first * Hash::kFirst;
  const float u = static_cast<float>(static_cast<std::int32_t>(angle)) * 0x1p-31F;
  const float u2 = u * u;
  const float u4 = u2 * u2;
  const float u8 = std::max(u4 * u4, kLeastPower);
  const float u16 = u8 * u8;
  const float u32 = u16 * u16;
  const float u64 = u32 * u32;
  return static_cast<int>(round_even(u * (kQuantile1 + kQuantile5 * u4 + kQuantile65 * u64)));
}

using Pairs = std::array<TrellisPair, kTrellisStates>;

template <int kBits>
const Pairs& pairs_of() {
  static const Pairs pairs = [] {
    Pairs made;
    for (std::uint32_t state = 0; state < kTrellisStates; ++state) {
      const int value = value_of<kBits>(state);
      made[state] = {static_cast<std::int16_t>(value),
                     static_cast<std::int16_t>((value * value + 256) >> 9)};
    }
    return made;
  }();
  return pairs;
}

// Costs are (x − c)² − x² in units of kTrellisUnit^-2, less that of some way.
// More than any two ways differ by: a step's costs span (4·6·4 + 16)·2^20 at most, as values are
// below 4, and after 7 steps all states lead to the same. That, kNoWay and a step are below 2^31.
constexpr std::int32_t kNoWay = 1 << 30;
constexpr float kLargest = 6;  // of x; beyond it, nothing but the largest values counts

template <int kBits>
void search_plainly(const std::int16_t* factors, std::size_t steps, std::int32_t* costs,
                    std::int32_t* spare, std::uint8_t* choices) {
  constexpr std::uint32_t kWays = 1U << kBits;
  constexpr std::uint32_t kEnds = kTrellisStates >> kBits;
  const TrellisPair* const pairs = pairs_of<kBits>().data();
  for (std::size_t step = steps; step-- > 0;) {
    const std::int32_t factor = factors[step];
    const std::int32_t base = costs[0];
    for (std::uint32_t end = 0; end < kEnds; ++end) {
      std::int32_t best = std::numeric_limits<std::int32_t>::max();
      for (std::uint32_t way = 0; way < kWays; ++way) {
        const std::uint32_t state = end + way * kEnds;
        const std::int32_t cost = pairs[state].value * factor +
                                  pairs[state].square * static_cast<std::int32_t>(kSquareFactor) +
                                  costs[state >> kBits];
        best = std::min(best, cost);
      }
      const auto choice = static_cast<std::int32_t>(best & (kWays - 1));
      choices[step * kEnds + end] = static_cast<std::uint8_t>(choice);
      spare[end] = best - choice - base + static_cast<std::int32_t>(end / (kEnds / kWays));
    }
    std::copy_n(spare, kEnds, costs);
  }
}

void search_plainly(int bits, const std::int16_t* factors, std::size_t steps, std::int32_t* costs,
                    std::int32_t* spare, std::uint8_t* choices) {
  switch (bits) {
    case 2:
      return search_plainly<2>(factors, steps, costs, spare, choices);
    case 3:
      return search_plainly<3>(factors, steps, costs, spare, choices);
    default:
      return search_plainly<4>(factors, steps, costs, spare, choices);
  }
}

// The best ways around the ring.
class Ring {
 public:
  Ring(int bits, TrellisSearch search)
      : bits_(bits),
        search_(search),
        ends_(kTrellisStates >> bits),
        costs_(ends_ + kTrellisPadding),
        spare_(ends_ + kTrellisPadding),
        choices_(std::make_unique_for_overwrite<std::uint8_t[]>(ends_ * kTrellisBlock)) {}

  /// The states for x / scale, of a block.
  void find(const float* x, float scale, std::uint32_t* states) {
    const double inverse = 1 / double{scale};
    const float unit = 2 * kTrellisUnit / static_cast<float>(1 << bits_);
    for (std::size_t i = 0; i < kTrellisBlock; ++i) {
      const auto y = static_cast<float>(double{x[i]} * inverse);
      const float kept = std::min(std::max(y, -kLargest), kLargest);
      factors_[i] =
          static_cast<std::int16_t>(static_cast<int>(-round_even(kept * unit)) * (1 << bits_));
    }
    // A ring has no beginning. The state at one place comes from a way through its neighbourhood
    // alone: what is further off hardly matters to it. Then from there once around.
    std::int16_t around[2 * kNear];
    std::copy_n(factors_ + kTrellisBlock - kNear, kNear, around);
    std::copy_n(factors_, kNear, around + kNear);
    std::uint32_t near[2 * kNear];
    start(0, 0);
    search_(bits_, around, 2 * kNear, costs_.data(), spare_.data(), choices_.get());
    const auto best = std::min_element(
        costs_.begin(), costs_.begin() + static_cast<std::ptrdiff_t>(ends_),
        [&](std::int32_t a, std::int32_t b) { return (a >> bits_) < (b >> bits_); });
    const auto end = static_cast<std::uint32_t>(best - costs_.begin());
    follow(state_at(0, end), near, 2 * kNear);
    const std::uint32_t first = near[kNear];
    start(kNoWay, first % ends_);
    search_(bits_, factors_, kTrellisBlock, costs_.data(), spare_.data(), choices_.get());
    follow(first, states, kTrellisBlock);
  }

 private:
  static constexpr std::size_t kNear = 32;

  // Costs behind the last step: none for `end`.
  void start(std::int32_t cost, std::uint32_t end) {
    const std::size_t part = ends_ >> bits_;
    for (std::size_t i = 0; i < ends_; ++i) {
      costs_[i] = (i == end ? 0 : cost) + static_cast<std::int32_t>(i / part);
    }
  }

  std::uint32_t state_at(std::size_t step, std::uint32_t end) const {
    return end + choices_[step * ends_ + end] * static_cast<std::uint32_t>(ends_);
  }

  void follow(std::uint32_t state, std::uint32_t* states, std::size_t steps) const {
    for (std::size_t step = 0; step < steps; ++step) {
      states[step] = state;
      if (step + 1 < steps) state = state_at(step + 1, state >> bits_);
    }
  }

  int bits_;
  TrellisSearch search_;
  std::size_t ends_;
  std::vector<std::int32_t> costs_, spare_;
  std::unique_ptr<std::uint8_t[]> choices_;
  std::int16_t factors_[kTrellisBlock];
};

// Of each state the bits that the next has no more.
void put_states(const std::uint32_t* states, int bits, std::uint8_t* out) {
  std::fill_n(out, kTrellisBlock * static_cast<std::size_t>(bits) / 8, std::uint8_t{0});
  for (std::size_t i = 0; i < kTrellisBlock; ++i) {
    const std::uint32_t first = states[i] & ((1U << bits) - 1);
    const std::size_t at = i * static_cast<std::size_t>(bits);
    const std::uint32_t moved = first << (at % 8);
    out[at / 8] = static_cast<std::uint8_t>(out[at / 8] | moved);
    if (moved > 0xFF) out[1 + at / 8] = static_cast<std::uint8_t>(moved >> 8);
  }
}

template <int kBits>
void decode_plainly(const std::uint8_t* in, std::size_t count, float, float* x) {
  const auto& pairs = pairs_of<kBits>();
  constexpr std::size_t kBytes = trellis_bytes(kBits) - 2;
  for (; count > 0; count -= kTrellisBlock, in += 2 + kBytes) {
    const float scale = get_scale(in);
    for (std::size_t i = 0; i < kTrellisBlock; ++i) {
      const std::size_t byte = i * kBits / 8;
      std::uint32_t word = 0;
      for (std::size_t j = 0; j < 3; ++j) {
        word |= std::uint32_t{in[2 + (byte + j) % kBytes]} << (8 * j);
      }
      const auto& pair = pairs[word >> (i * kBits % 8) & (kTrellisStates - 1)];
      *x++ = static_cast<float>(pair.value) * (1 / kTrellisUnit) * scale;
    }
  }
}

template <int kBits>
void encode_plainly(const float* x, std::size_t count, const BlockOptions&, float,
                    std::uint8_t* out) {
  encode_trellis(kBits, search_plainly, x, count, out);
}

}  // namespace

const TrellisPair* trellis_pairs(int bits) {
  return bits == 2 ? pairs_of<2>().data() : bits == 3 ? pairs_of<3>().data() : pairs_of<4>().data();
}

void encode_trellis(int bits, TrellisSearch search, const float* x, std::size_t count,
                    std::uint8_t* out) {
  // The scale to search with, by the root mean square: of 0.97 to 1.1, those of least error for
  // normal values. More bits leave less error, of which what is beyond the largest values is more.
  constexpr double kScales[] = {1.0, 1.05, 1.08};
  const double start = kScales[bits - 2];
  constexpr double kReach = 3.4;  // about the largest value
  Ring ring(bits, search);
  const TrellisPair* const pairs = trellis_pairs(bits);
  const std::size_t bytes = trellis_bytes(bits);
  std::uint32_t states[kTrellisBlock];
  float values[kTrellisBlock];
  for (; count > 0; count -= kTrellisBlock, x += kTrellisBlock, out += bytes) {
    std::fill_n(out, bytes, std::uint8_t{0});
    float largest = 0;
    for (std::size_t i = 0; i < kTrellisBlock; ++i) largest = std::max(largest, std::abs(x[i]));
    double least = std::numeric_limits<double>::infinity();
    // A block with numbers far beyond its root mean square may want a larger scale.
    for (double wanted = root_mean_square(x, kTrellisBlock) * start;; wanted *= 1.4) {
      const std::uint32_t scale = scale_code(wanted);
      if (scale == 0) break;
      ring.find(x, scale_number(scale), states);
      for (std::size_t i = 0; i < kTrellisBlock; ++i) {
        values[i] = static_cast<float>(pairs[states[i]].value) * (1 / kTrellisUnit);
      }
      const Fit fit = fitted(x, values, kTrellisBlock);
      if (!(fit.error < least)) break;
      least = fit.error;
      put_scale(fit.scale, out);
      put_states(states, bits, out + 2);
      if (wanted * kReach >= largest || wanted > kLargestScale) break;
    }
  }
}

#define ZEROPOINT_ROW(constant, name, title, bits)              \
  constinit const BlockFormat constant = {#name,                \
                                          title,                \
                                          kTrellisBlock,        \
                                          trellis_bytes(bits),  \
                                          bits,                 \
                                          false,                \
                                          false,                \
                                          2,                    \
                                          kNanScale,            \
                                          encode_plainly<bits>, \
                                          decode_plainly<bits>, \
                                          fast_encode_##name,   \
                                          fast_decode_##name,   \
                                          0,                    \
                                          false,                \
                                          true,                 \
                                          true};
ZEROPOINT_ROW(kTrellis2, trellis2, "trellis code, 2 bits a value, a scale in bf16", 2)
ZEROPOINT_ROW(kTrellis3, trellis3, "trellis code, 3 bits a value, a scale in bf16", 3)
ZEROPOINT_ROW(kTrellis4, trellis4, "trellis code, 4 bits a value, a scale in bf16", 4)
#undef ZEROPOINT_ROW

}  // namespace zeropoint
