// Blocks of nested lattices: nest.hpp says what a code is.
#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/block_fit.hpp"
#include "formats/block_rows.hpp"
#include "formats/nest.hpp"

namespace zeropoint {
namespace {

struct Vector {
  float at[kNestSize];
};

// The nearest point of D8, integers of even sum: rounded, and if the sum is odd, the number that
// was rounded the furthest goes the other way (Conway and Sloane 1982). Returns its squared
// distance.
float nearest_d8(const Vector& x, Vector& point) {
  float sum = 0;
  float furthest = -1;
  std::size_t which = 0;
  for (std::size_t j = 0; j < kNestSize; ++j) {
    point.at[j] = round_even(x.at[j]);
    sum += point.at[j];
    const float off = std::abs(x.at[j] - point.at[j]);
    if (off > furthest) {
      furthest = off;
      which = j;
    }
  }
  if (round_even(sum / 2) != sum / 2)
    point.at[which] += x.at[which] < point.at[which] ? -1.0F : 1.0F;
  float distance = 0;
  for (std::size_t j = 0; j < kNestSize; ++j) {
    const float off = x.at[j] - point.at[j];
    distance += off * off;
  }
  return distance;
}

// E8 is D8 and D8 moved by 1/2 in each coordinate.
Vector nearest_e8(const Vector& x) {
  Vector whole, moved, half;
  for (std::size_t j = 0; j < kNestSize; ++j) moved.at[j] = x.at[j] - 0.5F;
  const float to_whole = nearest_d8(x, whole);
  const float to_half = nearest_d8(moved, half);
  if (to_whole <= to_half) return whole;
  for (float& value : half.at) value += 0.5F;
  return half;
}

// The point of its coset that is nearest to 0.
Vector innermost(const Vector& point, float q) {
  Vector x;
  for (std::size_t j = 0; j < kNestSize; ++j) x.at[j] = point.at[j] / q;
  const Vector outer = nearest_e8(x);
  for (std::size_t j = 0; j < kNestSize; ++j) x.at[j] = point.at[j] - q * outer.at[j];
  return x;
}

// A basis of E8: (2, 0, …), (−1, 1, 0, …), (0, −1, 1, 0, …), …, and 1/2 in all coordinates instead
// of the last of them. The code has the coordinates in it, modulo q, the first lowest.
std::uint32_t code_of(const Vector& point, int bits) {
  const std::uint32_t mask = (1U << bits) - 1;
  const int halves = static_cast<int>(point.at[7] * 2);
  int in_basis[kNestSize];
  in_basis[7] = halves;
  int sum = 0;
  for (std::size_t j = 7; j-- > 0;) {
    sum += (static_cast<int>(point.at[j] * 2) - halves) / 2;
    in_basis[j] = j == 0 ? sum / 2 : sum;
  }
  std::uint32_t code = 0;
  for (std::size_t j = 0; j < kNestSize; ++j) {
    code |= (static_cast<std::uint32_t>(in_basis[j]) & mask) << (static_cast<int>(j) * bits);
  }
  return code;
}

Vector point_of(std::uint32_t code, int bits) {
  const std::uint32_t mask = (1U << bits) - 1;
  float in_basis[kNestSize];
  for (std::size_t j = 0; j < kNestSize; ++j) {
    in_basis[j] = static_cast<float>(code >> (static_cast<int>(j) * bits) & mask);
  }
  Vector point;
  const float half = in_basis[7] * 0.5F;
  point.at[0] = 2 * in_basis[0] - in_basis[1] + half;
  for (std::size_t j = 1; j < 6; ++j) point.at[j] = in_basis[j] - in_basis[j + 1] + half;
  point.at[6] = in_basis[6] + half;
  point.at[7] = half;
  return innermost(point, static_cast<float>(1 << bits));
}

void search_plainly(int bits, NestBlock& block) {
  for (std::size_t i = 0; i < kNestVectors; ++i) {
    float y[kNestSize];
    for (std::size_t j = 0; j < kNestSize; ++j) y[j] = block.y[j * kNestVectors + i];
    NestPoint best;
    for (std::uint32_t beta = 0; beta < kNestBetas; ++beta) {
      const NestPoint point = nest_point(y, bits, kBetas[static_cast<std::size_t>(bits - 2)][beta]);
      if (beta > 0 && !(point.error < best.error)) continue;
      best = point;
      best.beta = beta;
    }
    block.codes[i] = best.code;
    block.betas[i] = best.beta;
    for (std::size_t j = 0; j < kNestSize; ++j) block.values[j * kNestVectors + i] = best.values[j];
  }
}

template <int kBits>
void encode_plainly(const float* x, std::size_t count, const BlockOptions&, float,
                    std::uint8_t* out) {
  encode_nest(kBits, search_plainly, x, count, out);
}

template <int kBits>
void decode_plainly(const std::uint8_t* in, std::size_t count, float, float* x) {
  for (; count > 0; count -= kNestBlock, in += nest_bytes(kBits)) {
    const float scale = get_scale(in);
    for (std::size_t i = 0; i < kNestVectors; ++i) {
      const std::uint32_t beta = in[2 + i / 4] >> (i % 4 * 2) & 3U;
      std::uint32_t code = 0;
      for (std::size_t j = 0; j < kBits; ++j) {
        code |= std::uint32_t{in[2 + kNestVectors / 4 + i * kBits + j]} << (8 * j);
      }
      const Vector point = point_of(code, kBits);
      const float step = kBetas[kBits - 2][beta] * scale;
      for (const float value : point.at) *x++ = value * step;
    }
  }
}

}  // namespace

NestPoint nest_point(const float* y, int bits, float beta) {
  const float inverse = 1 / beta;
  NestPoint best;
  for (std::size_t turn = 0; turn < kShrinks.size(); ++turn) {
    Vector x;
    for (std::size_t j = 0; j < kNestSize; ++j) x.at[j] = y[j] * inverse * kShrinks[turn];
    const Vector nearest = nearest_e8(x);
    // As it will be read: of points as near to 0 as each other, which one depends on the code.
    const std::uint32_t code = code_of(nearest, bits);
    const Vector back = point_of(code, bits);
    float error = 0;
    bool is_same = true;
    for (std::size_t j = 0; j < kNestSize; ++j) {
      const float off = y[j] - back.at[j] * beta;
      error += off * off;
      is_same = is_same && back.at[j] == nearest.at[j];
    }
    if (turn == 0 || error < best.error) {
      best.error = error;
      best.code = code;
      for (std::size_t j = 0; j < kNestSize; ++j) best.values[j] = back.at[j] * beta;
    }
    if (turn == 0) best.is_inside = is_same;
    if (is_same) break;
  }
  return best;
}

void encode_nest(int bits, NestSearch search, const float* x, std::size_t count,
                 std::uint8_t* out) {
  const std::size_t bytes = nest_bytes(bits);
  // How far the coarsest β reaches: q times something from 0.71, half of the shortest vector, to 1,
  // E8's covering radius.
  const float coarsest = std::abs(kBetas[static_cast<std::size_t>(bits - 2)][kNestBetas - 1]);
  const float reach = 0.85F * static_cast<float>(1 << bits) * coarsest;
  NestBlock block;
  float values[kNestBlock];
  for (; count > 0; count -= kNestBlock, x += kNestBlock, out += bytes) {
    std::fill_n(out, bytes, std::uint8_t{0});
    double longest = 0;
    for (std::size_t i = 0; i < kNestBlock; i += kNestSize) {
      longest = std::max(longest, root_mean_square(x + i, kNestSize));
    }
    longest *= std::sqrt(double{kNestSize});
    double least = std::numeric_limits<double>::infinity();
    // A block with numbers far beyond its root mean square may want a larger scale.
    for (double wanted = root_mean_square(x, kNestBlock);; wanted *= 1.5) {
      const std::uint32_t code = scale_code(wanted);
      if (code == 0) break;
      const double inverse = 1 / double{scale_number(code)};
      for (std::size_t i = 0; i < kNestVectors; ++i) {
        for (std::size_t j = 0; j < kNestSize; ++j) {
          block.y[j * kNestVectors + i] =
              static_cast<float>(double{x[i * kNestSize + j]} * inverse);
        }
      }
      search(bits, block);
      for (std::size_t i = 0; i < kNestVectors; ++i) {
        for (std::size_t j = 0; j < kNestSize; ++j) {
          values[i * kNestSize + j] = block.values[j * kNestVectors + i];
        }
      }
      const Fit fit = fitted(x, values, kNestBlock);
      if (fit.error < least) {
        least = fit.error;
        put_scale(fit.scale, out);
        std::fill_n(out + 2, bytes - 2, std::uint8_t{0});
        for (std::size_t i = 0; i < kNestVectors; ++i) {
          out[2 + i / 4] =
              static_cast<std::uint8_t>(out[2 + i / 4] | block.betas[i] << (i % 4 * 2));
          for (int j = 0; j < bits; ++j) {
            out[2 + kNestVectors / 4 + i * static_cast<std::size_t>(bits) +
                static_cast<std::size_t>(j)] = static_cast<std::uint8_t>(block.codes[i] >> (8 * j));
          }
        }
      }
      if (wanted * reach >= longest || wanted > kLargestScale) break;
    }
  }
}

#define ZEROPOINT_ROW(constant, name, title, bits)              \
  constinit const BlockFormat constant = {#name,                \
                                          title,                \
                                          kNestBlock,           \
                                          nest_bytes(bits),     \
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
                                          true};
ZEROPOINT_ROW(kNest2, nest2, "nested E8 lattices, 2 bits a value, scales in bf16 and 2 bits", 2)
ZEROPOINT_ROW(kNest3, nest3, "nested E8 lattices, 3 bits a value, scales in bf16 and 2 bits", 3)
ZEROPOINT_ROW(kNest4, nest4, "nested E8 lattices, 4 bits a value, scales in bf16 and 2 bits", 4)
#undef ZEROPOINT_ROW

}  // namespace zeropoint
