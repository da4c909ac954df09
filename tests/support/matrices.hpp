#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "zeropoint/core/matrix.hpp"

#include "support/random_values.hpp"

namespace zeropoint::testing {

/// Normal numbers with standard deviation 1, the same for the same seed.
inline Matrix<float> normal_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed,
                                   double mean = 0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(mean, 1);
  Matrix<float> x(rows, cols);
  for (float& v : x.values()) v = static_cast<float>(normal(random));
  return x;
}

/// ‖x − y‖ / ‖x‖.
inline double relative_error(const Matrix<float>& x, const Matrix<float>& y) {
  double error = 0, whole = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x.data()[i]} - y.data()[i], 2);
    whole += std::pow(double{x.data()[i]}, 2);
  }
  return std::sqrt(error / whole);
}

/// How a test's matrix lies in memory.
enum class Layout { row_major, column_major, padded, backwards, gapped };
inline constexpr Layout kLayouts[] = {Layout::row_major, Layout::column_major, Layout::padded,
                                      Layout::backwards, Layout::gapped};

/// Where element (0, 0) is, and how far apart the others are.
struct Placement {
  std::ptrdiff_t origin, row_stride, col_stride;
};

inline Placement place(std::size_t rows, std::size_t cols, Layout layout) {
  const auto r = static_cast<std::ptrdiff_t>(rows);
  const auto c = static_cast<std::ptrdiff_t>(cols);
  switch (layout) {
    case Layout::row_major:
      break;
    case Layout::column_major:
      return {0, 1, r};
    case Layout::padded:
      return {0, 3 * c + 5, 3};
    case Layout::backwards:
      return {r * c > 0 ? r * c - 1 : 0, -c, -1};
    case Layout::gapped:
      return {0, c + 7, 1};
  }
  return {0, c, 1};
}

/// Elements that a matrix takes in that layout, and some more.
inline std::size_t room(std::size_t rows, std::size_t cols, Layout layout) {
  return rows * ((layout == Layout::padded ? 3 : 1) * cols + 7) + 1;
}

/// A matrix in some layout, with what surrounds its elements filled by `random` too.
template <class T>
class LaidOut {
 public:
  template <class Fill>
  LaidOut(std::size_t rows, std::size_t cols, Layout layout, const Fill& fill) {
    const Placement placed = place(rows, cols, layout);
    storage_.resize(room(rows, cols, layout));
    for (T& x : storage_) x = fill();
    view_ = {storage_.data() + placed.origin, rows, cols, placed.row_stride, placed.col_stride};
  }
  LaidOut(const LaidOut&) = delete;
  LaidOut& operator=(const LaidOut&) = delete;
  LaidOut(LaidOut&&) = default;
  LaidOut& operator=(LaidOut&&) = default;

  MatrixView<const T> view() const { return view_; }
  MatrixView<T> view() { return view_; }

 private:
  std::vector<T> storage_;
  MatrixView<T> view_;
};

/// A code anywhere in its type, now and then at one of its ends.
template <class Code>
Code any_code(std::mt19937_64& random) {
  const auto word = random();
  if (word % 8 == 0) return std::numeric_limits<Code>::min();
  if (word % 8 == 1) return std::numeric_limits<Code>::max();
  return static_cast<Code>(word >> 32);
}

}  // namespace zeropoint::testing
