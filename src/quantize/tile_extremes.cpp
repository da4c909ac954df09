// Compiled once for each instruction set by Highway; the best is chosen at run time.
#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>

#include "zeropoint/core/parallel.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/tile_extremes.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/prefetch.hpp"
#include "core/vector_target.hpp"
#include "quantize/tile_extremes.hpp"

HWY_BEFORE_NAMESPACE();
namespace zeropoint::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using F = hn::Vec<D>;

// A finite number less itself is 0, of others it is NaN, whose bits stay.
HWY_INLINE F PoisonOf(F v) { return hn::Sub(v, v); }

// The least of the lanes to low[0], the largest to high[0].
HWY_INLINE void Reduce(F least, F most, float* low, float* high) {
  const D d;
  *low = std::min(*low, hn::GetLane(hn::MinOfLanes(d, least)));
  *high = std::max(*high, hn::GetLane(hn::MaxOfLanes(d, most)));
}

// Of a row, `run` numbers of each tile, the last perhaps fewer; low and high hold what was found in
// rows above. False if a number is not finite.
bool RowExtremes(const float* HWY_RESTRICT x, std::size_t count, std::size_t run,
                 float* HWY_RESTRICT low, float* HWY_RESTRICT high) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  F poison = hn::Zero(d);
  bool finite = true;
  std::size_t at = 0;
  if (run == 1) {
    for (; at + lanes <= count; at += lanes) {
      const F v = hn::LoadU(d, x + at);
      poison = hn::Or(poison, PoisonOf(v));
      hn::StoreU(hn::Min(hn::LoadU(d, low + at), v), d, low + at);
      hn::StoreU(hn::Max(hn::LoadU(d, high + at), v), d, high + at);
    }
    low += at;
    high += at;
  } else if (run >= lanes) {
    for (; at + run <= count; at += run, ++low, ++high) {
      prefetch_ahead(x, at, run, count);
      F least = hn::LoadU(d, x + at);
      F most = least;
      poison = hn::Or(poison, PoisonOf(least));
      // The last vector may overlap the one before.
      for (std::size_t k = lanes; k < run; k += lanes) {
        const F v = hn::LoadU(d, x + at + std::min(k, run - lanes));
        poison = hn::Or(poison, PoisonOf(v));
        least = hn::Min(least, v);
        most = hn::Max(most, v);
      }
      Reduce(least, most, low, high);
    }
  }
  for (std::size_t in_run = 0; at < count; ++at) {
    finite = finite && x[at] - x[at] == 0;
    *low = std::min(*low, x[at]);
    *high = std::max(*high, x[at]);
    if (++in_run == run) {
      in_run = 0;
      ++low;
      ++high;
    }
  }
  return finite && hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)));
}

}  // namespace zeropoint::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zeropoint {

HWY_EXPORT(RowExtremes);

namespace {

constexpr std::size_t kGrain = 1 << 16;  // numbers

// Of rows that share their tiles.
struct Band {
  Band(std::size_t across, std::size_t copied)
      : low(across, std::numeric_limits<float>::infinity()),
        high(across, -std::numeric_limits<float>::infinity()),
        row(copied) {}
  std::vector<float> low, high;
  std::vector<float> row;
};

}  // namespace

std::optional<std::vector<Range>> tile_extremes(const Tiles& tiles, MatrixView<const float> x) {
  choose_vector_target();
  const auto scan = HWY_DYNAMIC_DISPATCH(RowExtremes);
  const std::size_t across = tiles.across();
  const std::size_t copied = x.col_stride == 1 ? 0 : x.cols;
  std::vector<Range> found(tiles.count());
  std::atomic<bool> finite{true};
  const auto look_at = [&](std::size_t first, std::size_t last, Band& band) {
    for (std::size_t i = first; i < last && finite; ++i) {
      const float* row = x.data + static_cast<std::ptrdiff_t>(i) * x.row_stride;
      if (copied != 0) {
        for (std::size_t j = 0; j < x.cols; ++j) band.row[j] = x(i, j);
        row = band.row.data();
      }
      if (!scan(row, x.cols, tiles.tile_cols, band.low.data(), band.high.data())) finite = false;
    }
  };
  // Adding 0 makes +0 of −0: they compare equal, and which was seen first is not said.
  const auto put = [&](std::size_t down, const Band& band) {
    for (std::size_t t = 0; t < across; ++t) {
      found[down * across + t] = {band.low[t] + 0.0F, band.high[t] + 0.0F};
    }
  };
  const std::size_t rows_at_once = std::max<std::size_t>(kGrain / x.cols, 1);
  if (tiles.tile_rows <= rows_at_once) {
    parallel_for(tiles.down(), std::max<std::size_t>(rows_at_once / tiles.tile_rows, 1),
                 [&](std::size_t begin, std::size_t end) {
                   for (std::size_t down = begin; down < end; ++down) {
                     Band band(across, copied);
                     const std::size_t first = down * tiles.tile_rows;
                     look_at(first, std::min(first + tiles.tile_rows, x.rows), band);
                     put(down, band);
                   }
                 });
  } else {
    for (std::size_t down = 0; down < tiles.down(); ++down) {
      const std::size_t first = down * tiles.tile_rows;
      const std::size_t rows = std::min(tiles.tile_rows, x.rows - first);
      Band all(across, 0);
      std::mutex mutex;
      parallel_for(rows, rows_at_once, [&](std::size_t begin, std::size_t end) {
        Band band(across, copied);
        look_at(first + begin, first + end, band);
        const std::lock_guard lock(mutex);
        for (std::size_t t = 0; t < across; ++t) {
          all.low[t] = std::min(all.low[t], band.low[t]);
          all.high[t] = std::max(all.high[t], band.high[t]);
        }
      });
      put(down, all);
    }
  }
  if (!finite) return std::nullopt;
  return found;
}

}  // namespace zeropoint
#endif
