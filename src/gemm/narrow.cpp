#include "gemm/narrow.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#include <vector>

#include "zeropoint/core/parallel.hpp"

#include "core/scratch.hpp"
#include "gemm/segments.hpp"

// C is cut into blocks of columns, and where those are too few for the threads, of rows:
//
//            n, in panels; a block is as many as half a second-level cache holds
//          ┌────┬────┬────┐
//   m, in  │    │    │    │   for each block: pack its panels of B, unless they come packed
//   tiles  │    │    │    │     for each tile of rows (which stays in the first-level cache)
//          ├────┼────┼────┤       for each panel: tile, finish
//          │    │    │    │
//          └────┴────┴────┘
//
// k is not cut: sums stay in registers from the first product to the last. A is read where it lies
// if it is what the kernel takes.

namespace zeropoint {
namespace {

constexpr std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }
constexpr std::size_t divide_up(std::size_t x, std::size_t by) { return (x + by - 1) / by; }
constexpr std::uint32_t modular(std::int64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::int32_t wrapped(std::uint32_t x) { return static_cast<std::int32_t>(x); }

// Of a panel, whatever the kernel.
constexpr std::size_t kMostColumns = 64;

// Some 20 microseconds of one thread: waking another takes one to ten.
constexpr double kWorthATeam = 4e6;

// So much of B is packed panel after panel (measured: faster at 40 KB, the same at 64, slower at
// 256).
constexpr std::size_t kPackedWhole = std::size_t{64} << 10;

std::size_t block_bytes() {
  static const std::size_t bytes = [] {
    const long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return static_cast<std::size_t>(cache > 0 ? cache : 512 << 10) / 2;
  }();
  return bytes;
}

// How the work is cut; by shapes and threads, and no result depends on it.
struct Cut {
  std::size_t block_panels;  // panels of a block but the last
  std::size_t column_blocks;
  std::size_t block_rows;  // a multiple of nothing: tiles are balanced within a block
  std::size_t row_blocks;
};

Cut cut(const Panels& panels, std::size_t panel_bytes, std::size_t m, std::size_t rows,
        std::size_t team) {
  if (team == 1 && panels.count * panel_bytes <= block_bytes()) {
    return {panels.count, 1, m, 1};
  }
  const std::size_t most = std::max<std::size_t>(1, block_bytes() / panel_bytes);
  std::size_t blocks = divide_up(panels.count, most);
  if (team > 1 && panels.count >= team) blocks = round_up(blocks, team);
  blocks = std::min(blocks, panels.count);
  const std::size_t block_panels = divide_up(panels.count, blocks);
  const std::size_t column_blocks = divide_up(panels.count, block_panels);
  std::size_t row_blocks = 1;
  if (team > 1 && column_blocks % team != 0 && column_blocks < 8 * team) {
    row_blocks = std::min(divide_up(m, rows), divide_up(2 * team, column_blocks));
  }
  const std::size_t block_rows = divide_up(m, row_blocks);
  return {block_panels, column_blocks, block_rows, divide_up(m, block_rows)};
}

// The operands as all threads see them.
struct Shared {
  const NarrowProduct& product;
  const Kernel& kernel;
  const Panels panels;
  const std::size_t m, groups;  // groups: with an incomplete last one
  std::size_t whole_groups;     // of A's rows, read in place
  Cut cut{};

  const std::uint8_t* a = nullptr;  // what the kernel reads
  std::ptrdiff_t a_row = 0;
  bool copies_a = false;
  std::int32_t zero_a = 0, zero_b = 0;  // of elements, where one is that of all
  bool sums_a = false;
  bool of_each = false;  // corrections are made when finishing
  bool fused = false;    // the kernel finishes

  std::uint8_t* copy = nullptr;
  std::uint8_t* tail = nullptr;
  std::int32_t* row_sums = nullptr;
  std::int32_t* row_start = nullptr;
  std::int32_t* row_factor = nullptr;
  std::atomic<std::size_t> next{0};
};

// One thread's memory.
struct Own {
  std::uint8_t* block = nullptr;
  std::int32_t* column_start = nullptr;
  std::int32_t* column_term = nullptr;  // of all columns, filled where a block was prepared
  std::int32_t* column_factor = nullptr;
  float* scale = nullptr;  // of the block's columns
  float* bias = nullptr;
  std::int32_t* tiles = nullptr;  // of some panels, side by side
};

std::size_t columns_of_block(const Shared& s) {
  return s.cut.block_panels * s.panels.width + s.panels.last_width;
}

// How many panels are finished together: few enough to stay in the first-level cache.
std::size_t panels_of_tiles(const Shared& s) {
  return s.panels.width <= 32 ? 4 : s.panels.width <= 64 ? 2 : 1;
}

std::size_t columns_of_tiles(const Shared& s) {
  return (panels_of_tiles(s) - 1) * s.panels.width + std::max(s.panels.width, s.panels.last_width);
}

void carve(Carver& carver, Shared& s, std::size_t team, Own* own) {
  const std::size_t m = s.m;
  if (s.copies_a) s.copy = carver.take<std::uint8_t>(m * static_cast<std::size_t>(s.a_row));
  if (!s.copies_a && s.whole_groups < s.groups) s.tail = carver.take<std::uint8_t>(4 * m);
  s.row_sums = carver.take<std::int32_t>(m);
  s.row_start = carver.take<std::int32_t>(m);
  if (s.of_each) s.row_factor = carver.take<std::int32_t>(m);
  for (std::size_t t = 0; t < team; ++t) {
    const std::size_t columns = columns_of_block(s);
    if (s.product.packed == nullptr)
      own[t].block = carver.take<std::uint8_t>(columns * s.groups * 4);
    own[t].column_start = carver.take<std::int32_t>(columns);
    if (s.of_each) {
      own[t].column_term = carver.take<std::int32_t>(s.panels.padded());
      own[t].column_factor = carver.take<std::int32_t>(s.panels.padded());
    }
    if (s.fused) {
      own[t].scale = carver.take<float>(columns);
      own[t].bias = carver.take<float>(columns);
    } else {
      own[t].tiles = carver.take<std::int32_t>(s.kernel.rows * columns_of_tiles(s));
    }
  }
}

std::int32_t zero_point_a(const Shared& s, std::size_t i) {
  const auto& z = s.product.zero_a;
  return wrapped(modular(z.each.empty() ? z.value : z.each[i]) -
                 modular(s.kernel.offset_a(s.product.a.is_signed)));
}

void start_sums(const Kernel& kernel, const std::int32_t* x, std::size_t count,
                std::uint32_t factor, std::uint32_t term, std::int32_t* y) {
  if (kernel.start_sums != nullptr) return kernel.start_sums(x, count, factor, term, y);
  for (std::size_t i = 0; i < count; ++i) y[i] = wrapped(factor * modular(x[i]) + term);
}

// Rows [begin, end) of A: made what the kernel takes, summed, their corrections.
void prepare_rows(Shared& s, std::size_t begin, std::size_t end) {
  const auto& p = s.product;
  const CodesView& a = p.a;
  const auto row = static_cast<std::ptrdiff_t>(begin);
  const auto* codes = static_cast<const std::uint8_t*>(a.data) + row * a.row_stride +
                      static_cast<std::ptrdiff_t>(p.first_k) * a.col_stride;
  if (s.copies_a || s.sums_a) {
    s.kernel.rows_of_a({.codes = codes,
                        .row_stride = a.row_stride,
                        .k_stride = a.col_stride,
                        .rows = end - begin,
                        .k = p.k,
                        .is_signed = a.is_signed,
                        .to = s.copies_a ? s.copy + row * s.a_row : nullptr,
                        .to_row = s.a_row,
                        .sums = s.row_sums + begin});
  }
  if (s.tail != nullptr) {
    const std::size_t from = s.whole_groups * 4;  // elements are bytes: they are read in place
    for (std::size_t i = begin; i < end; ++i) {
      std::uint8_t rest[4] = {};
      std::memcpy(rest,
                  static_cast<const std::uint8_t*>(a.data) +
                      static_cast<std::ptrdiff_t>(p.first_k) * a.col_stride + from +
                      static_cast<std::ptrdiff_t>(i) * a.row_stride,
                  p.k - from);
      std::memcpy(s.tail + 4 * i, rest, 4);
    }
  }
  if (s.of_each) {
    for (std::size_t i = begin; i < end; ++i) {
      s.row_start[i] = 0;
      s.row_factor[i] = zero_point_a(s, i);
    }
  } else if (s.sums_a) {
    start_sums(s.kernel, s.row_sums + begin, end - begin, -modular(s.zero_b), 0,
               s.row_start + begin);
  } else {
    std::fill(s.row_start + begin, s.row_start + end, 0);
  }
}

// Of a B beyond the first-level cache, some rows at a time for all panels of the block: lines of
// memory that a panel does not use up are still in that cache for the next one.
void pack_block(const Shared& s, const Own& own, std::size_t first, std::size_t last) {
  const auto& p = s.product;
  // Rows a page apart share the sets of a cache: it holds fewer of them.
  const std::size_t rows_at_once = p.b.row_stride % 4096 == 0 ? 16 : 64;
  const auto extent = p.k * static_cast<std::size_t>(std::abs(p.b.row_stride));
  const bool in_pieces = p.b.col_stride == 1 && last - first > 1 && extent > kPackedWhole;
  const std::size_t depth = in_pieces ? rows_at_once : std::max<std::size_t>(1, p.k);
  for (std::size_t l = 0; l == 0 || l < p.k; l += depth) {
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t j = s.panels.first(panel);
      const std::size_t width = s.panels.width_of(panel);
      std::int32_t* const sums = own.column_start + (panel - first) * s.panels.width;
      std::int32_t of_part[kMostColumns];
      s.kernel.pack({.codes = static_cast<const std::uint8_t*>(p.b.data) +
                              static_cast<std::ptrdiff_t>(j) * p.b.col_stride +
                              static_cast<std::ptrdiff_t>(l) * p.b.row_stride,
                     .line_stride = p.b.col_stride,
                     .k_stride = p.b.row_stride,
                     .lines = std::min(p.n - j, width),
                     .k = std::min(depth, p.k - l),
                     .columns = width,
                     .is_signed = p.b.is_signed,
                     .panel = own.block + (panel - first) * s.panels.width * s.groups * 4 +
                              s.kernel.whole_groups(l) * width * 4,
                     .sums = l == 0 ? sums : of_part});
      for (std::size_t c = 0; c < width && l != 0; ++c) {
        sums[c] = wrapped(modular(sums[c]) + modular(of_part[c]));
      }
    }
  }
}

// What a kernel that finishes takes for each column of a block.
void prepare_finish(const Shared& s, const Own& own, std::size_t begin, std::size_t columns) {
  const Finish& finish = s.product.finish;
  const Requantization& rules = finish.requantization;
  const std::size_t valid = std::min(columns, s.product.n - begin);
  if (s.product.as == FinishAs::float32) {
    for (std::size_t c = 0; c < valid; ++c) {
      own.scale[c] = finish.scale_a *
                     (finish.scales_b == nullptr ? finish.scale_b : finish.scales_b[begin + c]);
    }
    if (finish.bias != nullptr) std::copy_n(finish.bias + begin, valid, own.bias);
  } else if (s.product.as != FinishAs::int32) {
    for (std::size_t c = 0; c < valid; ++c) {
      own.scale[c] = static_cast<float>(rules.multipliers.empty() ? rules.multiplier
                                                                  : rules.multipliers[begin + c]);
    }
  }
}

// Block [first, last) of panels: packed, if it is not, with what belongs to its columns.
const std::uint8_t* prepare_block(Shared& s, const Own& own, std::size_t first, std::size_t last) {
  const auto& p = s.product;
  const std::size_t width = s.panels.width;
  const std::uint8_t* panels = own.block;
  if (p.packed != nullptr) {
    panels = PackedAccess::panels(*p.packed);
    const std::size_t all_groups = s.kernel.groups(p.packed->rows());
    panels += first * width * all_groups * 4;
    const std::int64_t* sums = PackedAccess::sums(*p.packed);
    const std::int32_t offset = s.kernel.offset_b(PackedAccess::is_signed(*p.packed));
    const std::uint32_t shift = modular(static_cast<std::int64_t>(p.k)) * modular(offset);
    const std::size_t begin = s.panels.first(first);
    const std::size_t end = s.panels.first(last - 1) + s.panels.width_of(last - 1);
    for (std::size_t j = begin; j < end && !p.raw; ++j) {
      own.column_start[j - begin] = j < p.n ? wrapped(modular(sums[j]) - shift) : 0;
    }
  } else {
    pack_block(s, own, first, last);
  }
  // What stands there now are sums of elements; what is wanted are starts of sums.
  const std::size_t begin = s.panels.first(first);
  const std::size_t columns = s.panels.first(last - 1) + s.panels.width_of(last - 1) - begin;
  const std::uint32_t depth = modular(static_cast<std::int64_t>(p.k));
  if (s.fused) prepare_finish(s, own, begin, columns);
  if (p.raw) {
    std::fill_n(own.column_start, columns, 0);
    return panels;
  }
  if (!s.of_each) {
    const std::uint32_t of_zero = depth * modular(s.zero_b);
    start_sums(s.kernel, own.column_start, columns, -modular(s.zero_a), modular(s.zero_a) * of_zero,
               own.column_start);
    return panels;
  }
  const bool is_signed = p.packed != nullptr ? PackedAccess::is_signed(*p.packed) : p.b.is_signed;
  const std::uint32_t offset = modular(s.kernel.offset_b(is_signed));
  for (std::size_t c = 0; c < columns && begin + c < p.n; ++c) {
    const std::size_t j = begin + c;
    const std::uint32_t z =
        modular(p.zero_b.each.empty() ? p.zero_b.value : p.zero_b.each[j]) - offset;
    own.column_factor[j] = wrapped(z);
    own.column_term[j] = wrapped(modular(own.column_start[c]) - depth * z);
  }
  std::fill_n(own.column_start, columns, 0);
  return panels;
}

// All tiles of rows [begin, end) and panels [first, last).
void multiply_block(const Shared& s, const Own& own, const Finish& finish,
                    const std::uint8_t* panels, std::size_t first, std::size_t last,
                    std::size_t begin, std::size_t end) {
  const auto& p = s.product;
  const auto finish_tiles = s.fused ? nullptr : finish_tile(p.as, finish.requantization);
  const std::size_t count = divide_up(end - begin, s.kernel.rows);
  // Rows shared out evenly: a tile of one row would run at an eighth of the speed.
  const std::size_t least = (end - begin) / count;
  const std::size_t longer = (end - begin) % count;
  const std::size_t all_groups = p.packed != nullptr ? s.kernel.groups(p.packed->rows()) : s.groups;
  const std::size_t first_group = s.kernel.whole_groups(p.first_k);
  TileTask task{};
  task.a_row = s.a_row;
  task.groups = s.whole_groups;
  const Requantization& rules = finish.requantization;
  TileFinish fused{.out_row = finish.row_stride,
                   .hi = static_cast<float>(std::int64_t{rules.hi} - rules.zero_point)};
  const std::int64_t lower = rules.hi > 127 ? 128 : 0;
  fused.shift = (modular(rules.zero_point - lower) & 0xFFFF) * 0x10001;
  fused.lo = (modular(rules.lo - lower) & 0xFF) * 0x1010101;
  fused.flip = modular(lower) * 0x1010101;
  const TileOutput output = p.as == FinishAs::int32     ? TileOutput::int32
                            : p.as == FinishAs::float32 ? TileOutput::float32
                                                        : TileOutput::int8;
  const std::size_t out_element = output == TileOutput::int8 ? 1 : 4;
  std::size_t i = begin;
  for (std::size_t t = 0; t < count; ++t) {
    const std::size_t rows = least + (t < longer ? 1 : 0);
    task.a = s.a + static_cast<std::ptrdiff_t>(i) * s.a_row;
    task.a_tail = s.tail != nullptr ? s.tail + 4 * i : nullptr;
    task.row_start = s.row_start + i;
    std::size_t waiting = first;  // the first panel whose tile is not finished
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t width = s.panels.width_of(panel);
      const std::size_t j = s.panels.first(panel);
      const std::size_t vectors = s.panels.vectors_of(panel);
      const std::size_t c = (panel - first) * s.panels.width;
      task.b = panels + c * all_groups * 4 + first_group * width * 4;
      task.column_start = own.column_start + c;
      if (s.fused) {
        fused.out =
            static_cast<std::uint8_t*>(finish.out) +
            (static_cast<std::ptrdiff_t>(i) * finish.row_stride + static_cast<std::ptrdiff_t>(j)) *
                static_cast<std::ptrdiff_t>(out_element);
        fused.scale = own.scale + c;
        fused.bias = finish.bias == nullptr ? nullptr : own.bias + c;
        const std::size_t missing = j + width > p.n ? j + width - p.n : 0;
        fused.last_lanes = ~std::uint32_t{0} >> (32 - s.kernel.lanes + missing);
        s.kernel.tile_and_finish(task, fused, output, rows, vectors);
        continue;
      }
      task.c = own.tiles + (panel - waiting) * s.panels.width;
      task.c_row = static_cast<std::ptrdiff_t>(columns_of_tiles(s));
      s.kernel.tile(task, rows, vectors);
      if (panel + 1 - waiting < panels_of_tiles(s) && panel + 1 < last) continue;
      const std::size_t from = s.panels.first(waiting);
      finish_tiles(finish, own.tiles, task.c_row, {i, rows, from, std::min(p.n, j + width) - from});
      waiting = panel + 1;
    }
    i += rows;
  }
}

void run(Shared& s, const Own& own, std::size_t index, std::size_t team) {
  if (team == 1) {
    prepare_rows(s, 0, s.m);
  } else {
    prepare_rows(s, s.m * index / team, s.m * (index + 1) / team);
    team_barrier();
  }
  Finish finish = s.product.finish;
  if (s.of_each) {
    finish.row_factor = s.row_factor;
    finish.column_term = own.column_term;
    finish.row_term = s.row_sums;
    finish.column_factor = own.column_factor;
  }
  const std::size_t blocks = s.cut.column_blocks * s.cut.row_blocks;
  std::size_t packed = s.cut.column_blocks;  // the block that is in own.block
  const std::uint8_t* panels = nullptr;
  std::size_t alone = 0;
  while (true) {
    const std::size_t block = team > 1 ? s.next.fetch_add(1, std::memory_order_relaxed) : alone++;
    if (block >= blocks) return;
    const std::size_t column = s.cut.row_blocks == 1 ? block : block / s.cut.row_blocks;
    const std::size_t first = column * s.cut.block_panels;
    const std::size_t last = std::min(s.panels.count, first + s.cut.block_panels);
    if (column != packed) panels = prepare_block(s, own, first, last);
    packed = column;
    const std::size_t begin = (block - column * s.cut.row_blocks) * s.cut.block_rows;
    multiply_block(s, own, finish, panels, first, last, begin,
                   std::min(s.m, begin + s.cut.block_rows));
  }
}

}  // namespace

Panels::Panels(const Kernel& kernel, std::size_t n)
    : width(kernel.lanes * kernel.vectors), vectors(kernel.vectors) {
  const std::size_t all = divide_up(n, kernel.lanes);
  count = divide_up(all, vectors);
  last_vectors = count == 0 ? 0 : all - (count - 1) * vectors;
  // What is left over goes to the panel before it, if that can be as wide.
  if (count > 1 && last_vectors + vectors <= kernel.last_vectors) {
    --count;
    last_vectors += vectors;
  }
  last_width = last_vectors * kernel.lanes;
}

namespace {

// Whether the kernel can make this output itself.
bool fuses(const Shared& s) {
  const NarrowProduct& p = s.product;
  if (s.kernel.tile_and_finish == nullptr || s.of_each || p.finish.col_stride != 1) return false;
  const Requantization& rules = p.finish.requantization;
  switch (p.as) {
    case FinishAs::int32:
      return true;
    case FinishAs::float32:
      return p.finish.scales_a == nullptr;
    case FinishAs::int8:
    case FinishAs::uint8:
      // The kernel's 16 bits saturate only where the result is clamped anyway.
      return rules.scale_in == ScaleIn::float32 && rules.rounding == Rounding::half_even &&
             !rules.zero_point_before_rounding && std::abs(std::int64_t{rules.zero_point}) <= 32000;
    default:
      return false;
  }
}

}  // namespace

void multiply(const NarrowProduct& product) {
  if (is_row_product(product)) return multiply_row(product);
  if (is_in_segments(product)) return multiply_in_segments(product);
  const Kernel& kernel = *product.kernel;
  Shared s{.product = product,
           .kernel = kernel,
           .panels = Panels(kernel, product.n),
           .m = product.a.rows,
           .groups = kernel.groups(product.k),
           .whole_groups = 0};
  const bool b_signed =
      product.packed != nullptr ? PackedAccess::is_signed(*product.packed) : product.b.is_signed;
  s.zero_a = wrapped(modular(product.zero_a.value) - modular(kernel.offset_a(product.a.is_signed)));
  s.zero_b = wrapped(modular(product.zero_b.value) - modular(kernel.offset_b(b_signed)));
  s.of_each = !product.raw && (!product.zero_a.each.empty() || !product.zero_b.each.empty());
  s.sums_a = !product.raw && (s.of_each || s.zero_b != 0);
  s.fused = fuses(s);
  s.copies_a = kernel.element != 1 || product.a.is_signed != kernel.a_signed ||
               (product.a.col_stride != 1 && product.k > 1);
  s.whole_groups = s.copies_a ? s.groups : kernel.whole_groups(product.k);
  // 4096 bytes apart, rows would share a set of the cache: 64 more part them.
  s.a_row = s.copies_a
                ? static_cast<std::ptrdiff_t>(round_up(s.groups * 4, 64) +
                                              (round_up(s.groups * 4, 64) % 1024 == 0 ? 64 : 0))
                : product.a.row_stride;

  const double work =
      static_cast<double>(s.m) * static_cast<double>(product.n) * static_cast<double>(product.k);
  std::size_t team = product.alone || work < kWorthATeam ? 1 : static_cast<std::size_t>(threads());
  const std::size_t panel_bytes = std::max<std::size_t>(1, s.panels.width * s.groups * 4);
  s.cut = cut(s.panels, panel_bytes, s.m, kernel.rows, team);
  team = std::min(team, s.cut.column_blocks * s.cut.row_blocks);

  Own one;
  std::vector<Own> each(team > 1 ? team : 0);
  Own* const own = team > 1 ? each.data() : &one;
  Carver counter(nullptr);
  carve(counter, s, team, own);
  const Scratch scratch(counter.used());
  Carver carver(scratch.data());
  carve(carver, s, team, own);
  s.a = s.copies_a ? s.copy
                   : static_cast<const std::uint8_t*>(product.a.data) +
                         static_cast<std::ptrdiff_t>(product.first_k) * product.a.col_stride;
  if (team == 1) return run(s, one, 0, 1);
  run_team(static_cast<int>(team), [&](int index, int size) {
    run(s, own[index], static_cast<std::size_t>(index), static_cast<std::size_t>(size));
  });
}

}  // namespace zeropoint
