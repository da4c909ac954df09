#include "zeropoint/transforms/smoothing.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kGrain = 1 << 14;

// Largest magnitude of what has index j along the lines.
std::vector<float> largest_along(MatrixView<const float> x, Along along) {
  const bool is_rows = along == Along::rows;
  std::vector<float> most(is_rows ? x.cols : x.rows);
  const std::size_t others = std::max<std::size_t>(is_rows ? x.rows : x.cols, 1);
  parallel_for(most.size(), std::max<std::size_t>(kGrain / others, 16),
               [&](std::size_t begin, std::size_t end) {
                 if (is_rows) {
                   for (std::size_t i = 0; i < x.rows; ++i) {
                     for (std::size_t j = begin; j < end; ++j) {
                       most[j] = std::max(most[j], std::abs(x(i, j)));
                     }
                   }
                   return;
                 }
                 for (std::size_t j = begin; j < end; ++j) {
                   float of_row = 0;
                   for (std::size_t l = 0; l < x.cols; ++l) {
                     of_row = std::max(of_row, std::abs(x(j, l)));
                   }
                   most[j] = of_row;
                 }
               });
  return most;
}

float within_range(float x) {
  constexpr float kMost = std::numeric_limits<float>::max();
  return std::clamp(x, -kMost, kMost);
}

template <class Change>
void change_along(MatrixView<float> x, Along along, const Change& change) {
  parallel_for(x.rows, std::max<std::size_t>(kGrain / std::max<std::size_t>(x.cols, 1), 1),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t i = begin; i < end; ++i) {
                   for (std::size_t j = 0; j < x.cols; ++j) {
                     change(x(i, j), along == Along::rows ? j : i);
                   }
                 }
               });
}

}  // namespace

std::vector<float> smoothing_factors(MatrixView<const float> a, MatrixView<const float> b,
                                     double alpha) {
  assert(a.cols == b.rows);
  const auto most_a = largest_along(a, Along::rows);
  const auto most_b = largest_along(b, Along::columns);
  std::vector<float> factors(most_a.size(), 1);
  for (std::size_t j = 0; j < factors.size(); ++j) {
    if (most_a[j] == 0 || most_b[j] == 0) continue;
    const double wanted =
        std::pow(double{most_a[j]}, alpha) / std::pow(double{most_b[j]}, 1 - alpha);
    // max|A_:j| / s_j and max|B_j:| · s_j stay below 2^128; 1 lies between the two limits.
    const int least = std::max(std::ilogb(most_a[j]) - 127, -126);
    const int most = std::min(127 - std::ilogb(most_b[j]), 126);
    factors[j] =
        static_cast<float>(std::clamp(wanted, std::ldexp(1.0, least), std::ldexp(1.0, most)));
  }
  return factors;
}

void multiply_along(MatrixView<float> x, Along along, std::span<const float> factors) {
  assert(factors.size() == (along == Along::rows ? x.cols : x.rows));
  change_along(x, along,
               [&](float& value, std::size_t j) { value = within_range(value * factors[j]); });
}

void divide_along(MatrixView<float> x, Along along, std::span<const float> factors) {
  assert(factors.size() == (along == Along::rows ? x.cols : x.rows));
  change_along(x, along,
               [&](float& value, std::size_t j) { value = within_range(value / factors[j]); });
}

}  // namespace zeropoint
