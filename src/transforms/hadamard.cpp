#include "zeropoint/transforms/hadamard.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include <fmt/format.h>
#include <hwy/cache_control.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/random.hpp"

#include "core/scratch.hpp"
#include "transforms/paley.hpp"
#include "transforms/walsh.hpp"

namespace zeropoint {
namespace {

// A line that has no matrix of its length is rotated by one whose Paley order is at most this, so
// that no odd length takes many times as long as its neighbours.
constexpr std::size_t kLargestPaleyOfAny = 60;

// Streams of random signs, a number for each.
constexpr std::uint32_t kFirstSigns = 0x48414431;
constexpr std::uint32_t kSecondSigns = 0x48414432;

// Paley's part of an order: 1 for powers of two, 0 where there is none.
std::size_t paley_part(std::size_t order) {
  if (order == 0) return 0;
  if (std::has_single_bit(order)) return 1;
  const std::size_t odd = order >> std::countr_zero(order);
  for (std::size_t part = 4 * odd; part <= kLargestPaley && order % part == 0; part *= 2) {
    if (has_paley_order(part)) return part;
  }
  return 0;
}

std::vector<float> random_signs(std::uint64_t seed, std::uint32_t stream, std::size_t count) {
  const CounterStream words(seed, stream);
  std::vector<float> signs(count);
  std::array<std::uint32_t, 4> bits{};
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 128 == 0) bits = words.words(i / 128);
    signs[i] = (bits[i / 32 % 4] >> (i % 32) & 1) != 0 ? -1.0F : 1.0F;
  }
  return signs;
}

}  // namespace

bool has_hadamard_order(std::size_t order) { return paley_part(order) != 0; }

std::size_t hadamard_order_for(std::size_t length) {
  if (length == 0 || has_hadamard_order(length)) return length;
  std::size_t best = std::bit_floor(length);
  for (std::size_t part = 12; part <= std::min(kLargestPaleyOfAny, length); part += 4) {
    if (has_paley_order(part)) best = std::max(best, part * std::bit_floor(length / part));
  }
  return best;
}

std::vector<std::int8_t> hadamard_matrix(std::size_t order) {
  const std::size_t part = paley_part(order);
  if (part == 0) {
    throw InputError(fmt::format(
        "hadamard: expected a power of two, or one times an order of Paley's up to {}; found {}",
        kLargestPaley, order));
  }
  const std::vector<std::int8_t> paley =
      part == 1 ? std::vector<std::int8_t>{1} : paley_matrix(part);
  const std::size_t walsh = order / part;
  std::vector<std::int8_t> matrix(order * order);
  for (std::size_t i = 0; i < order; ++i) {
    for (std::size_t j = 0; j < order; ++j) {
      const bool is_odd = std::popcount((i % walsh) & (j % walsh)) % 2 != 0;
      const std::int8_t of_paley = paley[i / walsh * part + j / walsh];
      matrix[i * order + j] = static_cast<std::int8_t>(is_odd ? -of_paley : of_paley);
    }
  }
  return matrix;
}

struct Rotation::Plan {
  std::size_t length = 0, order = 0, paley = 1, walsh = 1;
  float scale = 1;
  std::vector<float> forward, backward;  // Paley's matrix and its transpose; empty for order 1
  std::vector<float> signs;              // of the whole line; empty without a seed
  std::vector<float> between;            // of the last `order`, where there are two matrices
  WalshKernels kernels = walsh_kernels();

  // The matrix, on `order` rows of `width` numbers.
  void rotate(float* x, std::size_t width, bool is_inverse, float* scratch) const {
    if (paley == 1) return kernels.walsh(x, walsh, width, scale);
    const std::size_t stride = walsh * width;
    for (std::size_t part = 0; part < paley; ++part) {
      kernels.walsh(x + part * stride, walsh, width, 1);
    }
    kernels.mix(x, (is_inverse ? backward : forward).data(), paley, stride, scale, scratch);
  }

  void change_signs(float* x, std::size_t width, const std::vector<float>& by) const {
    if (width == 1) return kernels.multiply(x, by.data(), by.size());
    for (std::size_t i = 0; i < by.size(); ++i) {
      if (by[i] < 0) kernels.multiply_all(x + i * width, -1, width);
    }
  }

  // Everything, on `length` rows of `width` numbers.
  void run(float* x, std::size_t width, bool is_inverse, float* scratch) const {
    float* const last = x + (length - order) * width;
    if (!is_inverse) {
      if (!signs.empty()) change_signs(x, width, signs);
      rotate(x, width, false, scratch);
      if (between.empty()) return;
      change_signs(last, width, between);
      return rotate(last, width, false, scratch);
    }
    if (!between.empty()) {
      rotate(last, width, true, scratch);
      change_signs(last, width, between);
    }
    rotate(x, width, true, scratch);
    if (!signs.empty()) change_signs(x, width, signs);
  }

  std::size_t scratch_size() const { return paley * kMixWidth; }
  double work() const {
    return static_cast<double>(std::bit_width(walsh)) + static_cast<double>(paley);
  }

  void run_lines(MatrixView<float> x, bool is_inverse) const {
    constexpr std::size_t kGrain = 1 << 15;
    const std::size_t grain = std::max<std::size_t>(kGrain / length, 1);
    parallel_for(
        x.rows, grain,
        [&](std::size_t begin, std::size_t end) {
          const Scratch scratch(scratch_size() * sizeof(float));
          for (std::size_t i = begin; i < end; ++i) {
            run(&x(i, 0), 1, is_inverse, reinterpret_cast<float*>(scratch.data()));
          }
        },
        work() * static_cast<double>(x.rows * x.cols));
  }

  // Strips of columns, copied together so that their numbers are neighbours.
  void run_columns(MatrixView<float> x, bool is_inverse) const {
    // 128 KiB, well within a second-level cache: columns of 1024 took 2.8 ms for 10^7 numbers, with
    // 512 KiB 6.0. Where rows are whole pages apart, lines of narrow strips push each other out.
    constexpr std::size_t kNumbers = 1 << 15, kWidest = 128, kPage = 1024;
    const std::size_t least = x.row_stride % kPage == 0 ? 64 : 32;
    const std::size_t widest =
        std::clamp(kNumbers / length / kLineWidth * kLineWidth, least, kWidest);
    // The processor finds no pattern in pieces of rows: without asking ahead, 3.6 ms.
    constexpr std::size_t kRowsAhead = 32;
    parallel_for(
        x.cols, widest,
        [&](std::size_t begin, std::size_t end) {
          const std::size_t count = end - begin;
          const std::size_t width = (count + kLineWidth - 1) / kLineWidth * kLineWidth;
          const Scratch memory((length * width + scratch_size()) * sizeof(float));
          float* const strip = reinterpret_cast<float*>(memory.data());
          for (std::size_t i = 0; i < length; ++i) {
            float* const row = strip + i * width;
            if (x.col_stride == 1 && i + kRowsAhead < length) {
              const float* const ahead = &x(i + kRowsAhead, begin);
              for (std::size_t j = 0; j < count; j += kLineWidth) hwy::Prefetch(ahead + j);
            }
            copy(&x(i, begin), x.col_stride, row, 1, count);
            std::fill(row + count, row + width, 0.0F);
          }
          run(strip, width, is_inverse, strip + length * width);
          for (std::size_t i = 0; i < length; ++i) {
            copy(strip + i * width, 1, &x(i, begin), x.col_stride, count);
          }
        },
        work() * static_cast<double>(x.rows * x.cols));
  }

  static void copy(const float* from, std::ptrdiff_t from_stride, float* to,
                   std::ptrdiff_t to_stride, std::size_t count) {
    if (from_stride == 1 && to_stride == 1) {
      std::copy_n(from, count, to);
      return;
    }
    for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(count); ++i) {
      to[i * to_stride] = from[i * from_stride];
    }
  }

  void run(MatrixView<float> x, Along along, bool is_inverse) const {
    const std::size_t found = along == Along::rows ? x.cols : x.rows;
    if (found != length) {
      throw InputError(
          fmt::format("hadamard: expected lines of {} numbers, found {}", length, found));
    }
    if (x.rows == 0 || x.cols == 0) return;
    if (along == Along::columns) return run_columns(x, is_inverse);
    // Paley's part takes whole vectors of neighbours, which short lines have across only.
    if (x.col_stride == 1 && (paley == 1 || walsh >= kLineWidth)) return run_lines(x, is_inverse);
    run_columns({x.data, x.cols, x.rows, x.col_stride, x.row_stride}, is_inverse);
  }
};

Rotation::Rotation(std::size_t length, std::optional<std::uint64_t> seed)
    : plan_(std::make_unique<Plan>()) {
  Plan& plan = *plan_;
  plan.length = length;
  plan.order = hadamard_order_for(length);
  if (length == 0) return;
  plan.paley = paley_part(plan.order);
  plan.walsh = plan.order / plan.paley;
  plan.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(plan.order)));
  if (plan.paley > 1) {
    const auto matrix = paley_matrix(plan.paley);
    plan.forward.assign(matrix.begin(), matrix.end());
    plan.backward.resize(matrix.size());
    for (std::size_t i = 0; i < plan.paley; ++i) {
      for (std::size_t j = 0; j < plan.paley; ++j) {
        plan.backward[i * plan.paley + j] = plan.forward[j * plan.paley + i];
      }
    }
  }
  if (seed) plan.signs = random_signs(*seed, kFirstSigns, length);
  if (plan.order < length) plan.between = random_signs(seed.value_or(0), kSecondSigns, plan.order);
}

Rotation::~Rotation() = default;
Rotation::Rotation(Rotation&&) noexcept = default;
Rotation& Rotation::operator=(Rotation&&) noexcept = default;

std::size_t Rotation::length() const { return plan_->length; }
std::size_t Rotation::order() const { return plan_->order; }

void Rotation::apply(MatrixView<float> x, Along along) const { plan_->run(x, along, false); }
void Rotation::invert(MatrixView<float> x, Along along) const { plan_->run(x, along, true); }

}  // namespace zeropoint
