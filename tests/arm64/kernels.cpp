// The kernels of arm64 against plain loops, as a program of its own that needs neither the library
// nor a test framework: a machine of another kind builds it with a cross compiler and runs it in an
// emulator.
//
//   kernels [--seed N] [--unsupported NAME]…    NAME: a kernel that this processor must not have
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "gemm/kernel_rows.hpp"

namespace zeropoint {
namespace {

std::uint64_t seed = 1;
std::mt19937_64 bits;

std::int64_t between(std::int64_t lo, std::int64_t hi) {
  return lo + static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(hi - lo + 1));
}

[[noreturn, gnu::format(printf, 2, 3)]] void fail(const Kernel& kernel, const char* format, ...) {
  std::fprintf(stderr, "%s: seed %llu, ", kernel.name.data(),
               static_cast<unsigned long long>(seed));
  std::va_list rest;
  va_start(rest, format);
  std::vfprintf(stderr, format, rest);
  va_end(rest);
  std::fputc('\n', stderr);
  std::exit(1);
}

// Memory whose last byte is followed by a page that nobody may touch. What lies before it is known,
// too: nothing may be written there.
class Guarded {
 public:
  explicit Guarded(std::size_t most) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    bytes_ = (most + kBefore + page_ - 1) / page_ * page_;
    void* all =
        mmap(nullptr, bytes_ + page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(static_cast<char*>(all) + bytes_, page_, PROT_NONE) != 0) {
      std::perror("kernels: no memory");
      std::exit(2);
    }
    data_ = static_cast<std::uint8_t*>(all);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(data_, bytes_ + page_); }

  std::uint8_t* take(std::size_t size) {
    if (size + kBefore > bytes_) std::abort();
    last_ = data_ + bytes_ - size;
    std::memset(last_ - kBefore, 0xA5, size + kBefore);
    return last_;
  }
  template <class T>
  T* take_of(std::size_t count) {
    return reinterpret_cast<T*>(take(count * sizeof(T)));
  }
  bool intact() const {
    for (std::size_t i = 1; i <= kBefore; ++i) {
      if (last_[-static_cast<std::ptrdiff_t>(i)] != 0xA5) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kBefore = 64;
  std::size_t page_, bytes_;
  std::uint8_t* data_;
  std::uint8_t* last_ = nullptr;
};

constexpr std::size_t kMost = 1 << 20;
Guarded memory_a(kMost), memory_b(kMost), memory_c(kMost), memory_sums(kMost), memory_starts(kMost),
    memory_tail(kMost), memory_panel(kMost);

// What codes are drawn from. Extremes are where a 16-bit sum on the way would overflow.
enum class Fill { random, least, most, either };
constexpr Fill kFills[] = {Fill::random, Fill::least, Fill::most, Fill::either};

std::int32_t draw(Fill fill, std::int32_t lo, std::int32_t hi) {
  switch (fill) {
    case Fill::least:
      return lo;
    case Fill::most:
      return hi;
    case Fill::either:
      return between(0, 1) == 0 ? lo : hi;
    default:
      return static_cast<std::int32_t>(between(lo, hi));
  }
}

std::int32_t lowest(bool is_signed) { return is_signed ? -128 : 0; }

std::int32_t code_at(const void* codes, std::ptrdiff_t at, bool is_signed) {
  const std::uint8_t byte = static_cast<const std::uint8_t*>(codes)[at];
  return is_signed ? static_cast<std::int8_t>(byte) : byte;
}

// Elements as a kernel takes them.
std::int32_t element_at(const Kernel& kernel, const std::uint8_t* bytes, std::size_t at,
                        bool is_signed) {
  if (kernel.element == 1) return code_at(bytes, static_cast<std::ptrdiff_t>(at), is_signed);
  std::int16_t element;
  std::memcpy(&element, bytes + 2 * at, 2);
  return element;
}

void put_element(const Kernel& kernel, std::uint8_t* bytes, std::size_t at, std::int32_t element) {
  const auto wide = static_cast<std::int16_t>(element);
  std::memcpy(bytes + kernel.element * at, &wide, kernel.element);
}

std::uint32_t modular(std::int64_t x) { return static_cast<std::uint32_t>(x); }

struct Counts {
  std::size_t tiles = 0, panels = 0, rows = 0, products = 0;
};

// One tile of elements that nothing else has made.
void check_tile(const Kernel& kernel, std::size_t rows, std::size_t vectors, std::size_t groups,
                std::size_t tail, Fill fill_a, Fill fill_b) {
  const std::size_t group = kernel.group();
  const std::size_t columns = vectors * kernel.lanes;
  const std::size_t all = groups + (tail != 0 ? 1 : 0);
  const std::size_t k = groups * group + tail;
  // Of 16-bit elements only those that 8-bit codes can become are ever met.
  const bool wide = kernel.element == 2;
  const std::int32_t lo_a = lowest(wide || kernel.a_signed);
  const std::int32_t lo_b = lowest(wide || kernel.b_signed);
  const std::int32_t span = wide ? 383 : 255;

  // Rows end where the memory does; they are any number of elements apart.
  const std::size_t a_row = 4 * groups + kernel.element * static_cast<std::size_t>(between(0, 9));
  std::uint8_t* a = memory_a.take((rows - 1) * a_row + 4 * groups);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t l = 0; l < groups * group; ++l) {
      put_element(kernel, a + i * a_row, l, draw(fill_a, lo_a, lo_a + span));
    }
  }
  std::uint8_t* a_tail = nullptr;
  if (tail != 0) {
    a_tail = memory_tail.take(4 * rows);
    for (std::size_t e = 0; e < rows * group; ++e) {
      put_element(kernel, a_tail, e, draw(fill_a, lo_a, lo_a + span));
    }
  }
  std::uint8_t* b = memory_b.take(all * columns * 4);
  for (std::size_t e = 0; e < all * columns * group; ++e) {
    const std::size_t l = e / (columns * group) * group + e % group;
    put_element(kernel, b, e, l < k ? draw(fill_b, lo_b, lo_b + span) : 0);
  }
  auto* row_start = memory_starts.take_of<std::int32_t>(rows);
  auto* column_start = memory_sums.take_of<std::int32_t>(columns);
  for (std::size_t i = 0; i < rows; ++i) row_start[i] = static_cast<std::int32_t>(bits());
  for (std::size_t j = 0; j < columns; ++j) column_start[j] = static_cast<std::int32_t>(bits());

  const std::size_t c_row = columns + static_cast<std::size_t>(between(0, 5));
  auto* c = memory_c.take_of<std::int32_t>((rows - 1) * c_row + columns);
  kernel.tile({.a = a,
               .a_row = static_cast<std::ptrdiff_t>(a_row),
               .groups = groups,
               .a_tail = a_tail,
               .b = b,
               .row_start = row_start,
               .column_start = column_start,
               .c = c,
               .c_row = static_cast<std::ptrdiff_t>(c_row)},
              rows, vectors);
  if (!memory_c.intact()) fail(kernel, "tile %zux%zu: writes before C", rows, columns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < (i + 1 < rows ? c_row : columns); ++j) {
      std::uint32_t expected = 0xA5A5A5A5U;  // between rows
      if (j < columns) {
        expected = modular(row_start[i]) + modular(column_start[j]);
        for (std::size_t l = 0; l < k; ++l) {
          const std::int32_t x =
              l < groups * group ? element_at(kernel, a + i * a_row, l, kernel.a_signed)
                                 : element_at(kernel, a_tail + 4 * i, l % group, kernel.a_signed);
          const std::size_t at = (l / group * columns + j) * group + l % group;
          expected += modular(x * element_at(kernel, b, at, kernel.b_signed));
        }
      }
      if (modular(c[i * c_row + j]) != expected) {
        fail(kernel, "tile %zux%zu, %zu groups, tail %zu, fills %d %d: (%zu, %zu) is %d, not %d",
             rows, columns, groups, tail, static_cast<int>(fill_a), static_cast<int>(fill_b), i, j,
             c[i * c_row + j], static_cast<std::int32_t>(expected));
      }
    }
  }
}

void check_tiles(const Kernel& kernel, Counts& counts) {
  for (std::size_t rows = 1; rows <= kernel.rows; ++rows) {
    for (std::size_t vectors = 1; vectors <= kernel.last_vectors; ++vectors) {
      for (std::size_t groups = 0; groups <= 9; ++groups) {
        for (std::size_t tail = 0; tail < kernel.group(); ++tail) {
          for (const Fill fill_a : kFills) {
            for (const Fill fill_b : kFills) {
              check_tile(kernel, rows, vectors, groups, tail, fill_a, fill_b);
              ++counts.tiles;
            }
          }
        }
      }
    }
  }
}

// Codes of lines × k, line j's element l at first[j·line + l·depth].
struct Codes {
  const std::uint8_t* first;
  std::ptrdiff_t line, depth;
  bool is_signed;
  std::int32_t at(std::size_t j, std::size_t l) const {
    return code_at(first,
                   static_cast<std::ptrdiff_t>(j) * line + static_cast<std::ptrdiff_t>(l) * depth,
                   is_signed);
  }
};

// How lines lie in memory: side by side, each contiguous, neither, and both the wrong way round.
constexpr int kLayouts = 5;

Codes draw_codes(Guarded& memory, int layout, std::size_t lines, std::size_t k, bool is_signed,
                 Fill fill) {
  const auto more = static_cast<std::size_t>(between(0, 3));
  std::size_t line = 1;
  std::size_t depth = 1;
  switch (layout) {
    case 0:
      depth = lines + more;
      break;
    case 1:
      line = k + more;
      break;
    case 2:
      line = 2;
      depth = 2 * lines + more;
      break;
    case 3:
      line = 3 * k + more;
      depth = 3;
      break;
    default:
      depth = lines + more;
      break;  // backwards
  }
  if (line == 0) line = 1;
  const std::size_t size = k == 0 ? 0 : (lines - 1) * line + (k - 1) * depth + 1;
  std::uint8_t* codes = memory.take(size);
  const std::int32_t lo = lowest(is_signed);
  for (std::size_t e = 0; e < size; ++e) {
    codes[e] = static_cast<std::uint8_t>(draw(fill, lo, lo + 255));
  }
  Codes all{codes, static_cast<std::ptrdiff_t>(line), static_cast<std::ptrdiff_t>(depth),
            is_signed};
  if (layout == 4 && size > 0) {
    all.first += size - 1;
    all.line = -all.line;
    all.depth = -all.depth;
  }
  return all;
}

void pack(const Kernel& kernel, const Codes& codes, std::size_t lines, std::size_t k,
          std::size_t columns, std::uint8_t* panel, std::int32_t* sums) {
  kernel.pack({.codes = codes.first,
               .line_stride = codes.line,
               .k_stride = codes.depth,
               .lines = lines,
               .k = k,
               .columns = columns,
               .is_signed = codes.is_signed,
               .panel = panel,
               .sums = sums});
}

void check_panel(const Kernel& kernel, int layout, std::size_t lines, std::size_t k,
                 std::size_t columns, bool is_signed, Fill fill) {
  const Codes codes = draw_codes(memory_b, layout, lines, k, is_signed, fill);
  const std::size_t group = kernel.group();
  const std::size_t groups = (k + group - 1) / group;
  std::uint8_t* panel = memory_panel.take(groups * columns * 4);
  auto* sums = memory_sums.take_of<std::int32_t>(columns);
  pack(kernel, codes, lines, k, columns, panel, sums);
  const auto wrong = [&](const char* what, std::size_t j) {
    fail(kernel, "panel of %zu columns, %zu lines, k = %zu, layout %d, %s, fill %d: %s, column %zu",
         columns, lines, k, layout, is_signed ? "int8" : "uint8", static_cast<int>(fill), what, j);
  };
  if (!memory_panel.intact() || !memory_sums.intact()) wrong("writes before it", 0);
  for (std::size_t j = 0; j < columns; ++j) {
    std::uint32_t sum = 0;
    for (std::size_t l = 0; l < groups * group; ++l) {
      const std::int32_t expected =
          j < lines && l < k ? codes.at(j, l) - kernel.offset_b(is_signed) : 0;
      const std::size_t at = (l / group * columns + j) * group + l % group;
      if (element_at(kernel, panel, at, kernel.b_signed) != expected) wrong("an element", j);
      sum += modular(expected);
    }
    if (modular(sums[j]) != sum) wrong("the sum", j);
  }
}

void check_panels(const Kernel& kernel, Counts& counts) {
  for (std::size_t vectors = 1; vectors <= kernel.last_vectors; ++vectors) {
    const std::size_t columns = vectors * kernel.lanes;
    for (std::size_t lines = 1; lines <= columns; ++lines) {
      for (std::size_t k = 0; k <= 36; ++k) {
        for (int layout = 0; layout < kLayouts; ++layout) {
          for (const bool is_signed : {false, true}) {
            const Fill fill = kFills[(k + lines) % 4];
            check_panel(kernel, layout, lines, k, columns, is_signed, fill);
            ++counts.panels;
          }
        }
      }
    }
  }
}

void rows_of_a(const Kernel& kernel, const Codes& codes, std::size_t rows, std::size_t k,
               std::uint8_t* to, std::size_t to_row, std::int32_t* sums) {
  kernel.rows_of_a({.codes = codes.first,
                    .row_stride = codes.line,
                    .k_stride = codes.depth,
                    .rows = rows,
                    .k = k,
                    .is_signed = codes.is_signed,
                    .to = to,
                    .to_row = static_cast<std::ptrdiff_t>(to_row),
                    .sums = sums});
}

void check_rows_of(const Kernel& kernel, int layout, std::size_t rows, std::size_t k, bool copy,
                   bool is_signed, Fill fill) {
  const Codes codes = draw_codes(memory_a, layout, rows, k, is_signed, fill);
  const std::size_t group = kernel.group();
  const std::size_t bytes = (k + group - 1) / group * 4;
  const std::size_t to_row = bytes + 4 * static_cast<std::size_t>(between(0, 2));
  std::uint8_t* to = copy ? memory_c.take((rows - 1) * to_row + bytes) : nullptr;
  auto* sums = memory_sums.take_of<std::int32_t>(rows);
  rows_of_a(kernel, codes, rows, k, to, to_row, sums);
  const auto wrong = [&](const char* what, std::size_t i) {
    fail(kernel, "%zu rows, k = %zu, layout %d, %s, %s, fill %d: %s, row %zu", rows, k, layout,
         copy ? "copied" : "summed", is_signed ? "int8" : "uint8", static_cast<int>(fill), what, i);
  };
  if ((copy && !memory_c.intact()) || !memory_sums.intact()) wrong("writes before them", 0);
  for (std::size_t i = 0; i < rows; ++i) {
    std::uint32_t sum = 0;
    for (std::size_t l = 0; l < k; ++l) {
      const std::int32_t expected = codes.at(i, l) - kernel.offset_a(is_signed);
      sum += modular(expected);
      if (copy && element_at(kernel, to + i * to_row, l, kernel.a_signed) != expected) {
        wrong("an element", i);
      }
    }
    if (modular(sums[i]) != sum) wrong("the sum", i);
    for (std::size_t at = bytes; copy && i + 1 < rows && at < to_row; ++at) {
      if (to[i * to_row + at] != 0xA5) wrong("writes beyond", i);
    }
  }
}

void check_rows(const Kernel& kernel, Counts& counts) {
  for (std::size_t rows = 1; rows <= 9; ++rows) {
    for (std::size_t k = 0; k <= 140; k += k < 70 ? 1 : 7) {
      for (int layout = 0; layout < kLayouts; ++layout) {
        for (const bool is_signed : {false, true}) {
          // Without a copy only rows that the kernel takes as they are get summed, but any may be.
          for (const bool copy : {false, true}) {
            check_rows_of(kernel, layout, rows, k, copy, is_signed, kFills[(k + rows) % 4]);
            ++counts.rows;
          }
        }
      }
    }
  }
}

// Σ (a − z_a)(b − z_b) modulo 2^32, put together as the library does it.
void check_product(const Kernel& kernel) {
  const auto m = static_cast<std::size_t>(between(1, 20));
  const auto n = static_cast<std::size_t>(between(1, 40));
  const auto k = static_cast<std::size_t>(between(0, 90));
  const int layout_a = static_cast<int>(between(0, kLayouts - 1));
  const int layout_b = static_cast<int>(between(0, kLayouts - 1));
  const bool a_signed = between(0, 1) == 1;
  const bool b_signed = between(0, 1) == 1;
  const Fill fill_a = kFills[between(0, 3)];
  const Fill fill_b = kFills[between(0, 3)];
  const Codes a = draw_codes(memory_a, layout_a, m, k, a_signed, fill_a);
  const Codes b = draw_codes(memory_b, layout_b, n, k, b_signed, fill_b);
  const std::uint32_t zero_a = modular(between(-300, 300));
  const std::uint32_t zero_b = modular(between(-300, 300));
  const std::uint32_t left_a = zero_a - modular(kernel.offset_a(a_signed));
  const std::uint32_t left_b = zero_b - modular(kernel.offset_b(b_signed));

  const std::size_t group = kernel.group();
  const std::size_t groups = (k + group - 1) / group;
  const bool copies = kernel.element != 1 || a_signed != kernel.a_signed || a.depth != 1;
  const std::size_t whole = copies ? groups : k / group;
  std::uint8_t* copy = copies ? memory_c.take(m * groups * 4) : nullptr;
  std::vector<std::int32_t> row_start(m);
  rows_of_a(kernel, a, m, k, copy, groups * 4, row_start.data());
  for (auto& start : row_start) start = static_cast<std::int32_t>(0U - left_b * modular(start));
  std::uint8_t* tail = nullptr;
  if (whole < groups) {
    tail = memory_tail.take(4 * m);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t l = whole * group; l < k; ++l) {
        tail[4 * i + l % group] = static_cast<std::uint8_t>(a.at(i, l));
      }
    }
  }

  for (std::size_t j = 0, columns = 0; j < n; j += columns) {
    const std::size_t left = (n - j + kernel.lanes - 1) / kernel.lanes;
    const std::size_t vectors = left <= kernel.last_vectors ? left : kernel.vectors;
    columns = vectors * kernel.lanes;
    const std::size_t lines = n - j < columns ? n - j : columns;
    std::uint8_t* panel = memory_panel.take(groups * columns * 4);
    std::vector<std::int32_t> start(columns);
    const Codes part{b.first + static_cast<std::ptrdiff_t>(j) * b.line, b.line, b.depth, b_signed};
    pack(kernel, part, lines, k, columns, panel, start.data());
    for (auto& x : start) {
      x = static_cast<std::int32_t>(
          0U - left_a * (modular(x) - modular(static_cast<std::int64_t>(k)) * left_b));
    }
    for (std::size_t i = 0, rows = 0; i < m; i += rows) {
      rows = static_cast<std::size_t>(between(1, static_cast<std::int64_t>(kernel.rows)));
      if (rows > m - i) rows = m - i;
      std::vector<std::int32_t> c(rows * columns);
      kernel.tile(
          {.a = copies ? copy + i * groups * 4 : a.first + static_cast<std::ptrdiff_t>(i) * a.line,
           .a_row = copies ? static_cast<std::ptrdiff_t>(groups * 4) : a.line,
           .groups = whole,
           .a_tail = tail != nullptr ? tail + 4 * i : nullptr,
           .b = panel,
           .row_start = row_start.data() + i,
           .column_start = start.data(),
           .c = c.data(),
           .c_row = static_cast<std::ptrdiff_t>(columns)},
          rows, vectors);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t q = 0; q < lines; ++q) {
          std::uint32_t expected = 0;
          for (std::size_t l = 0; l < k; ++l) {
            expected += (modular(a.at(i + r, l)) - zero_a) * (modular(b.at(j + q, l)) - zero_b);
          }
          if (modular(c[r * columns + q]) != expected) {
            fail(kernel,
                 "product %zux%zux%zu of %s and %s, layouts %d %d, fills %d %d, zero points %d %d: "
                 "(%zu, %zu) is %d, not %d",
                 m, k, n, a_signed ? "int8" : "uint8", b_signed ? "int8" : "uint8", layout_a,
                 layout_b, static_cast<int>(fill_a), static_cast<int>(fill_b),
                 static_cast<std::int32_t>(zero_a), static_cast<std::int32_t>(zero_b), i + r, j + q,
                 c[r * columns + q], static_cast<std::int32_t>(expected));
          }
        }
      }
    }
  }
}

void check(const Kernel& kernel) {
  bits.seed(seed);
  Counts counts;
  check_tiles(kernel, counts);
  check_panels(kernel, counts);
  check_rows(kernel, counts);
  for (; counts.products < 2000; ++counts.products) check_product(kernel);
  std::printf("%s: %zu products equal, as are %zu tiles, %zu panels and %zu blocks of rows\n",
              kernel.name.data(), counts.products, counts.tiles, counts.panels, counts.rows);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  std::vector<std::string_view> unsupported;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--unsupported") unsupported.push_back(argv[i + 1]);
  }
  std::size_t met = 0;
  for (const Kernel* kernel : {&kernel_neondot, &kernel_neon, &kernel_portable}) {
    bool expected = true;
    for (const std::string_view name : unsupported) expected = expected && name != kernel->name;
    if (kernel->supported() != expected) {
      fail(*kernel, "said to be %s here", expected ? "unsupported" : "supported");
    }
    if (expected) {
      check(*kernel);
    } else {
      ++met;
      std::printf("%s: not supported here\n", kernel->name.data());
    }
  }
  return met == unsupported.size() ? 0 : 2;
}

}  // namespace
}  // namespace zeropoint

int main(int argc, char** argv) { return zeropoint::run(argc, argv); }
