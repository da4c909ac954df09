// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include "transforms/walsh.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "transforms/walsh.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/vector_target.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kLineWidth>;
using V = hn::Vec<D>;

// With 32 registers, 16 vectors go through four stages between loading and storing.
#if (HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86) || HWY_ARCH_ARM_A64
constexpr bool kHasManyRegisters = true;
#else
constexpr bool kHasManyRegisters = false;
#endif
constexpr std::size_t kRadix = kHasManyRegisters ? 16 : 8;

// What is taken through all its stages before the next: 16 KiB, within any first-level cache.
constexpr std::size_t kBlock = 4096;

HWY_INLINE void Pair(V& a, V& b) {
  const V sum = hn::Add(a, b);
  b = hn::Sub(a, b);
  a = sum;
}

HWY_INLINE void Two(V& a, V& b, V& c, V& d) {
  Pair(a, c);
  Pair(b, d);
}

HWY_INLINE void Four(V& a, V& b, V& c, V& d, V& e, V& f, V& g, V& h) {
  Two(a, b, e, f);
  Two(c, d, g, h);
}

// ±1 by lane and the stages within a vector. A product with ±1 is exact, so that it is one sum,
// fused or not.
#if HWY_TARGET != HWY_SCALAR
HWY_ALIGN constexpr float kSigns[4][16] = {
    {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1},
    {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
    {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
    {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}};
HWY_ALIGN constexpr std::int32_t kEightAway[16] = {8, 9, 10, 11, 12, 13, 14, 15,
                                                   0, 1, 2,  3,  4,  5,  6,  7};
HWY_ALIGN constexpr std::int32_t kInPlace[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                 8, 9, 10, 11, 12, 13, 14, 15};

HWY_INLINE V WithinVector(D d, V v) {
  const std::size_t lanes = hn::Lanes(d);
  v = hn::MulAdd(v, hn::Load(d, kSigns[0]), hn::Shuffle2301(v));
  v = hn::MulAdd(v, hn::Load(d, kSigns[1]), hn::Shuffle1032(v));
  if (lanes > 4) v = hn::MulAdd(v, hn::Load(d, kSigns[2]), hn::SwapAdjacentBlocks(v));
  if (lanes > 8) {
    const auto away = hn::SetTableIndices(d, lanes > 8 ? kEightAway : kInPlace);
    v = hn::MulAdd(v, hn::Load(d, kSigns[3]), hn::TableLookupLanes(v, away));
  }
  return v;
}
#else
HWY_INLINE V WithinVector(D, V v) { return v; }
#endif

// kCount vectors, `stride` numbers apart, through all their stages.
template <std::size_t kCount, bool kWithin, bool kScaled>
HWY_INLINE void Butterflies(D d, float* x, std::size_t stride, float scale) {
  const auto load = [&](std::size_t i) HWY_ATTR {
    const V v = hn::LoadU(d, x + i * stride);
    if constexpr (kWithin) return WithinVector(d, v);
    return v;
  };
  const V factor = hn::Set(d, scale);
  const auto store = [&](V v, std::size_t i) HWY_ATTR {
    if constexpr (kScaled) v = hn::Mul(v, factor);
    hn::StoreU(v, d, x + i * stride);
  };
  if constexpr (kCount == 1) {
    store(load(0), 0);
  } else if constexpr (kCount == 2) {
    V a = load(0), b = load(1);
    Pair(a, b);
    store(a, 0);
    store(b, 1);
  } else if constexpr (kCount == 4) {
    V a = load(0), b = load(1), c = load(2), e = load(3);
    Pair(a, b);
    Pair(c, e);
    Two(a, b, c, e);
    store(a, 0);
    store(b, 1);
    store(c, 2);
    store(e, 3);
  } else {
    V v0 = load(0), v1 = load(1), v2 = load(2), v3 = load(3);
    Pair(v0, v1);
    Pair(v2, v3);
    Two(v0, v1, v2, v3);
    V v4 = load(4), v5 = load(5), v6 = load(6), v7 = load(7);
    Pair(v4, v5);
    Pair(v6, v7);
    Two(v4, v5, v6, v7);
    Four(v0, v1, v2, v3, v4, v5, v6, v7);
    if constexpr (kCount == 16) {
      V w0 = load(8), w1 = load(9), w2 = load(10), w3 = load(11);
      Pair(w0, w1);
      Pair(w2, w3);
      Two(w0, w1, w2, w3);
      V w4 = load(12), w5 = load(13), w6 = load(14), w7 = load(15);
      Pair(w4, w5);
      Pair(w6, w7);
      Two(w4, w5, w6, w7);
      Four(w0, w1, w2, w3, w4, w5, w6, w7);
      Four(v0, v1, v2, v3, w0, w1, w2, w3);
      Four(v4, v5, v6, v7, w4, w5, w6, w7);
      store(w0, 8);
      store(w1, 9);
      store(w2, 10);
      store(w3, 11);
      store(w4, 12);
      store(w5, 13);
      store(w6, 14);
      store(w7, 15);
    }
    store(v0, 0);
    store(v1, 1);
    store(v2, 2);
    store(v3, 3);
    store(v4, 4);
    store(v5, 5);
    store(v6, 6);
    store(v7, 7);
  }
}

// `rows` rows, `stride` numbers apart, of `width` (a multiple of the lanes): the stages of
// distances h … h·kCount/2 rows.
template <std::size_t kCount, bool kScaled>
HWY_INLINE void Pass(D d, float* x, std::size_t rows, std::size_t stride, std::size_t width,
                     std::size_t h, float scale) {
  for (std::size_t group = 0; group < rows; group += h * kCount) {
    for (std::size_t row = group; row < group + h; ++row) {
      for (std::size_t j = 0; j < width; j += hn::Lanes(d)) {
        Butterflies<kCount, false, kScaled>(d, x + row * stride + j, h * stride, scale);
      }
    }
  }
}

template <std::size_t kCount>
HWY_INLINE void Pass(D d, float* x, std::size_t rows, std::size_t stride, std::size_t width,
                     std::size_t h, float scale) {
  if (h * kCount == rows && scale != 1) {
    Pass<kCount, true>(d, x, rows, stride, width, h, scale);
  } else {
    Pass<kCount, false>(d, x, rows, stride, width, h, scale);
  }
}

// All stages of rows, scaled in the last.
void Stages(D d, float* x, std::size_t rows, std::size_t stride, std::size_t width, float scale) {
  for (std::size_t h = 1; h < rows;) {
    const std::size_t count = std::min(rows / h, kRadix);
    switch (count) {
      case 2:
        Pass<2>(d, x, rows, stride, width, h, scale);
        break;
      case 4:
        Pass<4>(d, x, rows, stride, width, h, scale);
        break;
      case 8:
        Pass<8>(d, x, rows, stride, width, h, scale);
        break;
      default:
        Pass<kRadix>(d, x, rows, stride, width, h, scale);
        break;
    }
    h *= count;
  }
}

// The first stages of a line, within its vectors and between kCount of them.
template <std::size_t kCount, bool kScaled>
HWY_INLINE void First(D d, float* x, std::size_t count, float scale) {
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t i = 0; i < count; i += kCount * lanes) {
    Butterflies<kCount, true, kScaled>(d, x + i, lanes, scale);
  }
}

void FewerThanAVector(float* x, std::size_t count, float scale) {
  for (std::size_t h = 1; h < count; h *= 2) {
    for (std::size_t group = 0; group < count; group += 2 * h) {
      for (std::size_t i = group; i < group + h; ++i) {
        const float a = x[i], b = x[i + h];
        x[i] = a + b;
        x[i + h] = a - b;
      }
    }
  }
  for (std::size_t i = 0; i < count; ++i) x[i] *= scale;
}

void Line(D d, float* x, std::size_t count, float scale) {
  const std::size_t lanes = hn::Lanes(d);
  if (count < lanes) return FewerThanAVector(x, count, scale);
  const std::size_t taken = std::min(count / lanes, kRadix);
  const bool is_all = taken * lanes == count;
  switch (taken) {
    case 1:
      return First<1, true>(d, x, count, scale);
    case 2:
      return First<2, true>(d, x, count, scale);
    case 4:
      return First<4, true>(d, x, count, scale);
    case 8:
      if (is_all) return First<8, true>(d, x, count, scale);
      First<8, false>(d, x, count, scale);
      break;
    default:
      if (is_all) return First<kRadix, true>(d, x, count, scale);
      First<kRadix, false>(d, x, count, scale);
      break;
  }
  Stages(d, x, count / (taken * lanes), taken * lanes, taken * lanes, scale);
}

void WalshRows(float* x, std::size_t rows, std::size_t width, float scale) {
  const D d;
  const std::size_t inner =
      std::min(rows, std::bit_floor(std::max<std::size_t>(kBlock / width, 1)));
  const float inner_scale = inner == rows ? scale : 1;
  for (std::size_t row = 0; row < rows; row += inner) {
    float* const block = x + row * width;
    if (width == 1) {
      Line(d, block, inner, inner_scale);
    } else {
      Stages(d, block, inner, width, width, inner_scale);
    }
  }
  // Beyond a block, strip by strip, so that all passes but the first find theirs in a cache.
  const std::size_t stride = inner * width;
  constexpr std::size_t kStrip = 64;
  for (std::size_t j = 0; j < stride && inner < rows; j += kStrip) {
    Stages(d, x + j, rows / inner, stride, std::min(kStrip, stride - j), scale);
  }
}

// kRows results of kVectors vectors each, from as many numbers of each row in scratch.
template <std::size_t kRows, std::size_t kVectors>
HWY_INLINE void MixTile(D d, const float* from, const float* signs, std::size_t order, float* to,
                        std::size_t width, float scale) {
  const std::size_t lanes = hn::Lanes(d);
  V a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  V c0 = a0, c1 = a0, c2 = a0, c3 = a0, e0 = a0, e1 = a0, e2 = a0, e3 = a0;
  const auto add = [&](V s, V x0, V x1, V x2, V x3, V& v0, V& v1, V& v2, V& v3) HWY_ATTR {
    v0 = hn::MulAdd(x0, s, v0);
    if constexpr (kVectors > 1) v1 = hn::MulAdd(x1, s, v1);
    if constexpr (kVectors > 2) v2 = hn::MulAdd(x2, s, v2);
    if constexpr (kVectors > 2) v3 = hn::MulAdd(x3, s, v3);
  };
  for (std::size_t c = 0; c < order; ++c) {
    const float* const x = from + c * kVectors * lanes;
    const V x0 = hn::Load(d, x), x1 = kVectors > 1 ? hn::Load(d, x + lanes) : x0;
    const V x2 = kVectors > 2 ? hn::Load(d, x + 2 * lanes) : x0;
    const V x3 = kVectors > 2 ? hn::Load(d, x + 3 * lanes) : x0;
    add(hn::Set(d, signs[c]), x0, x1, x2, x3, a0, a1, a2, a3);
    add(hn::Set(d, signs[order + c]), x0, x1, x2, x3, b0, b1, b2, b3);
    if constexpr (kRows == 4) {
      add(hn::Set(d, signs[2 * order + c]), x0, x1, x2, x3, c0, c1, c2, c3);
      add(hn::Set(d, signs[3 * order + c]), x0, x1, x2, x3, e0, e1, e2, e3);
    }
  }
  const V factor = hn::Set(d, scale);
  const auto store = [&](float* row, V v0, V v1, V v2, V v3) HWY_ATTR {
    hn::StoreU(hn::Mul(v0, factor), d, row);
    if constexpr (kVectors > 1) hn::StoreU(hn::Mul(v1, factor), d, row + lanes);
    if constexpr (kVectors > 2) hn::StoreU(hn::Mul(v2, factor), d, row + 2 * lanes);
    if constexpr (kVectors > 2) hn::StoreU(hn::Mul(v3, factor), d, row + 3 * lanes);
  };
  store(to, a0, a1, a2, a3);
  store(to + width, b0, b1, b2, b3);
  if constexpr (kRows == 4) {
    store(to + 2 * width, c0, c1, c2, c3);
    store(to + 3 * width, e0, e1, e2, e3);
  }
}

// Strips of kVectors vectors from column j on; how far they reach.
template <std::size_t kVectors>
HWY_INLINE std::size_t MixStrips(D d, float* x, const float* signs, std::size_t order,
                                 std::size_t width, float scale, float* scratch, std::size_t j) {
  const std::size_t lanes = hn::Lanes(d), strip = kVectors * lanes;
  constexpr std::size_t kRows = kHasManyRegisters ? 4 : 2;
  for (; j + strip <= width; j += strip) {
    for (std::size_t c = 0; c < order; ++c) {
      for (std::size_t i = 0; i < strip; i += lanes) {
        hn::Store(hn::LoadU(d, x + c * width + j + i), d, scratch + c * strip + i);
      }
    }
    for (std::size_t r = 0; r < order; r += kRows) {
      MixTile<kRows, kVectors>(d, scratch, signs + r * order, order, x + r * width + j, width,
                               scale);
    }
  }
  return j;
}

void MixRows(float* x, const float* signs, std::size_t order, std::size_t width, float scale,
             float* scratch) {
  const D d;
  std::size_t j = MixStrips<4>(d, x, signs, order, width, scale, scratch, 0);
  j = MixStrips<2>(d, x, signs, order, width, scale, scratch, j);
  MixStrips<1>(d, x, signs, order, width, scale, scratch, j);
}

void MultiplyEach(float* x, const float* factors, std::size_t count) {
  const D d;
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::LoadU(d, factors + i)), d, x + i);
  }
  for (; i < count; ++i) x[i] *= factors[i];
}

void MultiplyByOne(float* x, float factor, std::size_t count) {
  const D d;
  const V all = hn::Set(d, factor);
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), all), d, x + i);
  }
  for (; i < count; ++i) x[i] *= factor;
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(WalshRows);
HWY_EXPORT(MixRows);
HWY_EXPORT(MultiplyEach);
HWY_EXPORT(MultiplyByOne);

WalshKernels walsh_kernels() {
  choose_vector_target();
  return {HWY_DYNAMIC_DISPATCH(WalshRows), HWY_DYNAMIC_DISPATCH(MixRows),
          HWY_DYNAMIC_DISPATCH(MultiplyEach), HWY_DYNAMIC_DISPATCH(MultiplyByOne)};
}

}  // namespace zeropoint
#endif
