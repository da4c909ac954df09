// Vectors whose size the compiler does not know cannot be put into arrays, as they are below.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif

// Nested lattices by vector code, bit for bit as block_nest.cpp has them: a lane is a vector of
// eight values. Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <cstdint>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "formats/block_nest_vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "formats/block_export.hpp"
#include "formats/block_fit.hpp"
#include "formats/block_rows.hpp"
#include "formats/block_vectors-inl.hpp"
#include "formats/nest.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR

// Eight coordinates of some vectors.
using Points = FloatsV[kNestSize];

HWY_INLINE FloatsV RoundEven(FloatsV x) {
  const auto shift = hn::Set(Floats(), 0x1.8p23F);
  return hn::Sub(hn::Add(x, shift), shift);
}

HWY_INLINE FloatsV NearestD8(const Points& x, Points& point) {
  const Floats d;
  const auto one = hn::Set(d, 1.0F);
  FloatsV sum = hn::Zero(d);
  FloatsV furthest = hn::Set(d, -1.0F);
  for (std::size_t j = 0; j < kNestSize; ++j) {
    point[j] = RoundEven(x[j]);
    sum = hn::Add(sum, point[j]);
    furthest = hn::Max(furthest, hn::Abs(hn::Sub(x[j], point[j])));
  }
  const FloatsV halved = hn::Mul(sum, hn::Set(d, 0.5F));
  // The first of the furthest goes the other way.
  auto is_odd = hn::Ne(RoundEven(halved), halved);
  FloatsV distance = hn::Zero(d);
  for (std::size_t j = 0; j < kNestSize; ++j) {
    const FloatsV off = hn::Sub(x[j], point[j]);
    const auto is_this = hn::And(is_odd, hn::Eq(hn::Abs(off), furthest));
    is_odd = hn::AndNot(is_this, is_odd);
    const auto is_below = hn::Lt(x[j], point[j]);
    const FloatsV way = hn::IfThenElse(is_below, hn::Neg(one), one);
    point[j] = hn::Add(point[j], hn::IfThenElseZero(is_this, way));
    const FloatsV left = hn::Sub(x[j], point[j]);
    distance = hn::Add(distance, hn::Mul(left, left));
  }
  return distance;
}

HWY_INLINE void NearestE8(const Points& x, Points& point) {
  const Floats d;
  const auto half = hn::Set(d, 0.5F);
  Points moved, other;
  for (std::size_t j = 0; j < kNestSize; ++j) moved[j] = hn::Sub(x[j], half);
  const FloatsV to_whole = NearestD8(x, point);
  const FloatsV to_half = NearestD8(moved, other);
  const auto is_whole = hn::Le(to_whole, to_half);
  for (std::size_t j = 0; j < kNestSize; ++j) {
    point[j] = hn::IfThenElse(is_whole, point[j], hn::Add(other[j], half));
  }
}

HWY_INLINE void Innermost(const Points& point, float q, Points& inner) {
  const Floats d;
  const auto inverse = hn::Set(d, 1 / q);  // a power of two
  Points x, outer;
  for (std::size_t j = 0; j < kNestSize; ++j) x[j] = hn::Mul(point[j], inverse);
  NearestE8(x, outer);
  for (std::size_t j = 0; j < kNestSize; ++j) {
    inner[j] = hn::Sub(point[j], hn::Mul(hn::Set(d, q), outer[j]));
  }
}

HWY_INLINE WordsV CodeOf(const Points& point, int bits) {
  const Words d;
  const Ints di;
  const auto two = hn::Set(Floats(), 2.0F);
  const auto mask = hn::Set(di, (1 << bits) - 1);
  const IntsV halves = hn::ConvertTo(di, hn::Mul(point[7], two));
  IntsV code = hn::And(halves, mask);
  IntsV sum = hn::Zero(di);
  for (std::size_t j = 7; j-- > 0;) {
    const IntsV own = hn::ConvertTo(di, hn::Mul(point[j], two));
    sum = hn::Add(sum, hn::ShiftRight<1>(hn::Sub(own, halves)));
    const IntsV in_basis = j == 0 ? hn::ShiftRight<1>(sum) : sum;
    code = hn::Or(hn::ShiftLeftSame(code, bits), hn::And(in_basis, mask));
  }
  return hn::BitCast(d, code);
}

HWY_INLINE void PointOf(WordsV code, int bits, Points& inner) {
  const Floats d;
  const Words du;
  const Ints di;
  const auto mask = hn::Set(du, (1U << bits) - 1);
  FloatsV in_basis[kNestSize];
  for (std::size_t j = 0; j < kNestSize; ++j) {
    in_basis[j] = hn::ConvertTo(d, hn::BitCast(di, hn::And(code, mask)));
    code = hn::ShiftRightSame(code, bits);
  }
  Points point;
  const FloatsV halves = hn::Mul(in_basis[7], hn::Set(d, 0.5F));
  for (std::size_t j = 0; j < 7; ++j) {
    const FloatsV own = j == 0 ? hn::Add(in_basis[0], in_basis[0]) : in_basis[j];
    const FloatsV without = j == 6 ? own : hn::Sub(own, in_basis[j + 1]);
    point[j] = hn::Add(without, halves);
  }
  point[7] = halves;
  Innermost(point, static_cast<float>(1 << bits), inner);
}

void Search(int bits, NestBlock& block) {
  const Floats d;
  const Words du;
  const auto& betas = kBetas[static_cast<std::size_t>(bits - 2)];
  for (std::size_t i = 0; i < kNestVectors; i += hn::Lanes(d)) {
    Points y, values;
    for (std::size_t j = 0; j < kNestSize; ++j) {
      y[j] = hn::LoadU(d, block.y + j * kNestVectors + i);
      values[j] = hn::Zero(d);
    }
    FloatsV least = hn::Set(d, std::numeric_limits<float>::infinity());
    WordsV codes = hn::Zero(du);
    WordsV which = hn::Zero(du);
    for (std::size_t beta = 0; beta < kNestBetas; ++beta) {
      const auto step = hn::Set(d, betas[beta]);
      const auto inverse = hn::Set(d, 1 / betas[beta]);
      auto is_done = hn::FirstN(d, 0);
      for (const float shrink : kShrinks) {
        const auto factor = hn::Set(d, shrink);
        Points x, nearest, back;
        for (std::size_t j = 0; j < kNestSize; ++j) {
          x[j] = hn::Mul(hn::Mul(y[j], inverse), factor);
        }
        NearestE8(x, nearest);
        const WordsV code = CodeOf(nearest, bits);
        PointOf(code, bits, back);
        FloatsV error = hn::Zero(d);
        auto is_same = hn::Eq(error, error);
        for (std::size_t j = 0; j < kNestSize; ++j) {
          const FloatsV off = hn::Sub(y[j], hn::Mul(back[j], step));
          error = hn::Add(error, hn::Mul(off, off));
          is_same = hn::And(is_same, hn::Eq(back[j], nearest[j]));
        }
        const auto is_better = hn::AndNot(is_done, hn::Lt(error, least));
        if (!hn::AllFalse(d, is_better)) {
          const auto is_better_word = hn::RebindMask(du, is_better);
          least = hn::IfThenElse(is_better, error, least);
          codes = hn::IfThenElse(is_better_word, code, codes);
          which =
              hn::IfThenElse(is_better_word, hn::Set(du, static_cast<std::uint32_t>(beta)), which);
          for (std::size_t j = 0; j < kNestSize; ++j) {
            values[j] = hn::IfThenElse(is_better, hn::Mul(back[j], step), values[j]);
          }
        }
        is_done = hn::Or(is_done, is_same);
        if (hn::AllTrue(d, is_done)) break;
      }
    }
    for (std::size_t j = 0; j < kNestSize; ++j) {
      hn::StoreU(values[j], d, block.values + j * kNestVectors + i);
    }
    hn::StoreU(codes, du, block.codes + i);
    hn::StoreU(which, du, block.betas + i);
  }
}

// Four coordinates of some vectors, beside each other: those of vector 0 and, of 8 lanes, 4; and so
// on.
HWY_INLINE void Turn(const FloatsV* from, FloatsV* to) {
  const Floats d;
  const hn::Repartition<double, Floats> dd;
  const auto low01 = hn::BitCast(dd, hn::InterleaveLower(d, from[0], from[1]));
  const auto high01 = hn::BitCast(dd, hn::InterleaveUpper(d, from[0], from[1]));
  const auto low23 = hn::BitCast(dd, hn::InterleaveLower(d, from[2], from[3]));
  const auto high23 = hn::BitCast(dd, hn::InterleaveUpper(d, from[2], from[3]));
  to[0] = hn::BitCast(d, hn::InterleaveLower(dd, low01, low23));
  to[1] = hn::BitCast(d, hn::InterleaveUpper(dd, low01, low23));
  to[2] = hn::BitCast(d, hn::InterleaveLower(dd, high01, high23));
  to[3] = hn::BitCast(d, hn::InterleaveUpper(dd, high01, high23));
}

// Vector by vector.
HWY_INLINE void StoreTurned(const Points& points, float* HWY_RESTRICT x) {
  const Floats d;
  FloatsV first[4], second[4];
  Turn(points, first);
  Turn(points + 4, second);
  for (std::size_t k = 0; k < 4; ++k) {
    float* const to = x + k * kNestSize;
    if constexpr (hn::MaxLanes(Floats()) == 8) {
      hn::StoreU(hn::ConcatLowerLower(d, second[k], first[k]), d, to);
      hn::StoreU(hn::ConcatUpperUpper(d, second[k], first[k]), d, to + 4 * kNestSize);
    } else {
      hn::StoreU(first[k], d, to);
      hn::StoreU(second[k], d, to + 4);
    }
  }
}

template <int kBits>
bool EncodeNest(const float* x, std::size_t count, std::uint8_t* out) {
  if (largest_magnitude_bits(x, count) >= kInfinityBits) return false;
  encode_nest(kBits, Search, x, count, out);
  return true;
}

template <int kBits>
bool DecodeNest(const std::uint8_t* HWY_RESTRICT in, std::size_t count, float* HWY_RESTRICT x) {
  const Floats d;
  const Words du;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN std::uint32_t codes[kNestVectors];
  HWY_ALIGN float steps[kNestVectors];
  for (std::size_t first = 0; first < count; first += kNestBlock, in += nest_bytes(kBits)) {
    const float scale = get_scale(in);
    float products[kNestBetas];
    for (std::size_t beta = 0; beta < kNestBetas; ++beta) {
      products[beta] = kBetas[kBits - 2][beta] * scale;
    }
    const std::uint8_t* const packed = in + 2 + kNestVectors / 4;
    for (std::size_t i = 0; i < kNestVectors; ++i) {
      codes[i] = 0;
      std::memcpy(codes + i, packed + i * kBits, kBits);
      steps[i] = products[in[2 + i / 4] >> (i % 4 * 2) & 3U];
    }
    for (std::size_t i = 0; i < kNestVectors; i += lanes) {
      const std::size_t at = first + i * kNestSize;
      prefetch_ahead(x, at, kNestSize * lanes, count);
      Points point;
      PointOf(hn::Load(du, codes + i), kBits, point);
      const FloatsV step = hn::Load(d, steps + i);
      for (FloatsV& value : point) value = hn::Mul(value, step);
      StoreTurned(point, x + at);
    }
  }
  return true;
}

#else  // HWY_SCALAR: left to the definition
template <int kBits>
bool EncodeNest(const float*, std::size_t, std::uint8_t*) {
  return false;
}
template <int kBits>
bool DecodeNest(const std::uint8_t*, std::size_t, float*) {
  return false;
}
#endif

#define ZEROPOINT_NEST(bits)                                                           \
  bool EncodeNest##bits(const float* x, std::size_t count, const BlockOptions&, float, \
                        std::uint8_t* out) {                                           \
    return EncodeNest<bits>(x, count, out);                                            \
  }                                                                                    \
  bool DecodeNest##bits(const std::uint8_t* in, std::size_t count, float, float* x) {  \
    return DecodeNest<bits>(in, count, x);                                             \
  }
ZEROPOINT_NEST(2)
ZEROPOINT_NEST(3)
ZEROPOINT_NEST(4)
#undef ZEROPOINT_NEST

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

ZEROPOINT_BLOCK_EXPORT(nest2, Nest2)
ZEROPOINT_BLOCK_EXPORT(nest3, Nest3)
ZEROPOINT_BLOCK_EXPORT(nest4, Nest4)

}  // namespace zeropoint
#endif
