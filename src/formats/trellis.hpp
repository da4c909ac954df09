#pragma once
#include <cstddef>
#include <cstdint>

namespace zeropoint {

// Trellis-coded quantization: k bits a value, in a ring. A value's state is the kTrellisBits bits
// of the ring from its own on, so that the next state is this one moved by k; the state is all that
// a value depends on. How to compute the value is in TrellisHash; what the parts of a state are
// for:
//   the last k bits to come in, and the first k to leave, choose one of 2^k slices of equal
//   probability, one of them each: from any state, and into any state, leads a step to each slice;
//   the bits between them turn the slices by a pseudo-random angle.
// The idea of a computed value is QTIP's (arXiv 2406.11235); slices keep its gain at shorter
// states.
constexpr int kTrellisBits = 13;
constexpr std::size_t kTrellisBlock = 512;

/// A state's angle as a whole number of 2^-32 turns is mixed(its middle bits) + the last k bits /
/// 2^k + the first k bits · kFirst; the value has the normal quantile of the angle.
template <int kBits>
struct TrellisHash {
  static constexpr std::uint32_t kMask = (1U << kBits) - 1;
  static constexpr int kMiddle = kTrellisBits - 2 * kBits;
  static constexpr std::uint32_t kFirst = (1U << (32 - kBits)) + (1U << (31 - 2 * kBits));
  // Odd factors with bits all over: of the golden ratio, and of MurmurHash3's end. Others that were
  // tried differ by 0.02 dB at most.
  static constexpr std::uint32_t kFactor = 0x9E3779B1;
  static constexpr std::uint32_t kStart = 0x7F4A7C15;
  static constexpr std::uint32_t kSecondFactor = 0x85EBCA6B;
};

/// The normal quantile of (1 + u) / 2 in units of 1 / kTrellisUnit is near u · (a + b·u^4 +
/// c·u^64): by least squares over 4096 angles, which gives c = 1.09; with 1.3 the largest values
/// are 3.4, as 4 bits a value want it.
constexpr float kTrellisUnit = 1024;
constexpr float kQuantile1 = 1.2761F * kTrellisUnit;
constexpr float kQuantile5 = 0.8576F * kTrellisUnit;
constexpr float kQuantile65 = 1.3F * kTrellisUnit;
/// Of u^8: subnormal powers, slow on many processors, do not arise from it.
constexpr float kLeastPower = 0x1p-12F;

/// A state's value c, in units of 1 / kTrellisUnit, and c² / kSquareFactor.
struct TrellisPair {
  std::int16_t value;
  std::int16_t square;
};

constexpr std::uint32_t kSquareFactor = 512;

constexpr std::size_t kTrellisStates = std::size_t{1} << kTrellisBits;
/// Of each of the states, for `bits` of 2, 3, 4; made once.
const TrellisPair* trellis_pairs(int bits);

/// Finds the best ways, from behind the last step to step 0. An end is a state without its last k
/// bits, 2^(kTrellisBits − k) in all; it has the cost of the best of the 2^k states that it is the
/// end of. Costs are multiples of 2^k; to each is added which of the steps before leads to the
/// end's states, end / 2^(kTrellisBits − 2k), so that the least of several costs says its own way.
/// `costs` has those behind the last step and gets those of step 0; `choices` gets, step by step,
/// each end's last k bits. `factors` are the steps' −2·x, x in units of 1 / kTrellisUnit, multiples
/// of 2^k. `costs` and `spare` are kTrellisPadding numbers longer, which may be read.
using TrellisSearch = void (*)(int bits, const std::int16_t* factors, std::size_t steps,
                               std::int32_t* costs, std::int32_t* spare, std::uint8_t* choices);
constexpr std::size_t kTrellisPadding = 64;

/// Whole blocks of finite values.
void encode_trellis(int bits, TrellisSearch search, const float* x, std::size_t count,
                    std::uint8_t* out);

constexpr std::size_t trellis_bytes(int bits) {
  return 2 + kTrellisBlock * static_cast<std::size_t>(bits) / 8;
}

}  // namespace zeropoint
