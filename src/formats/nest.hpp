#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace zeropoint {

// Nested lattices, as in NestQuant (arXiv 2502.09720): eight values are a point of E8 times β and
// the block's scale, and their code is the point's coset of q·E8, q^8 in all: the number read back
// is the coset's point nearest to 0. A point too far from 0 comes back as another; of the four β
// the one that leaves the least error is taken.
constexpr std::size_t kNestBlock = 512;
constexpr std::size_t kNestSize = 8;
constexpr std::size_t kNestVectors = kNestBlock / kNestSize;
constexpr std::size_t kNestBetas = 4;

/// In units of the block's scale, for q = 4, 8, 16: the best for normal values of variance 1, found
/// by descent along each in turn; tests/formats/nest_test.cpp does so again. The signs: of points
/// as near to 0 as each other a coset has one, of which a β below 0 makes the opposite.
constexpr std::array<std::array<float, kNestBetas>, 3> kBetas = {{
    {0.72F, -0.9F, 1.1F, -1.4F},
    {0.38F, 0.48F, -0.57F, 0.72F},
    {0.195F, 0.245F, -0.295F, 0.38F},
}};

/// If the nearest point comes back as another, the points nearest to the values times these are
/// tried in turn, until one does not; the least error counts.
constexpr std::array<float, 6> kShrinks = {1, 0.95F, 0.9F, 0.85F, 0.8F, 0.75F};

/// What eight values y, in units of the scale, become.
struct NestPoint {
  float error = 0;         ///< squared
  std::uint32_t code = 0;  ///< `bits` a coordinate
  std::uint32_t beta = 0;
  float values[kNestSize] = {};  ///< read back, in units of the scale
  bool is_inside = false;        ///< the nearest point by this β was no other coset's
};

/// By one β; the definition.
NestPoint nest_point(const float* y, int bits, float beta);

/// All of a block. `y` and `values`: coordinate j of vector i is at [j · kNestVectors + i].
struct NestBlock {
  float y[kNestBlock];
  float values[kNestBlock];
  std::uint32_t codes[kNestVectors];
  std::uint32_t betas[kNestVectors];
};
using NestSearch = void (*)(int bits, NestBlock& block);

/// Whole blocks of finite values.
void encode_nest(int bits, NestSearch search, const float* x, std::size_t count, std::uint8_t* out);

constexpr std::size_t nest_bytes(int bits) {
  return 2 + kNestVectors / 4 + kNestVectors * static_cast<std::size_t>(bits);
}

}  // namespace zeropoint
