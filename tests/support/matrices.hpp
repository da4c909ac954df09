#pragma once
#include <limits>
#include <type_traits>
#include <vector>

#include "zeropoint/core/matrix.hpp"

#include "support/random_values.hpp"

namespace zeropoint::testing {

/// How a test's matrix lies in memory.
enum class Layout { row_major, column_major, padded, backwards };
inline constexpr Layout kLayouts[] = {Layout::row_major, Layout::column_major, Layout::padded,
                                      Layout::backwards};

/// A matrix in some layout, with what surrounds its elements filled by `random` too.
template <class T>
class LaidOut {
 public:
  template <class Fill>
  LaidOut(std::size_t rows, std::size_t cols, Layout layout, const Fill& fill) {
    const auto r = static_cast<std::ptrdiff_t>(rows);
    const auto c = static_cast<std::ptrdiff_t>(cols);
    std::ptrdiff_t origin = 0;
    switch (layout) {
      case Layout::row_major:
        view_ = {nullptr, rows, cols, c, 1};
        break;
      case Layout::column_major:
        view_ = {nullptr, rows, cols, 1, r};
        break;
      case Layout::padded:
        view_ = {nullptr, rows, cols, 3 * c + 5, 3};
        break;
      case Layout::backwards:
        view_ = {nullptr, rows, cols, -c, -1};
        origin = r * c > 0 ? r * c - 1 : 0;
        break;
    }
    storage_.resize(rows * (3 * cols + 5) + 1);
    for (T& x : storage_) x = fill();
    view_.data = storage_.data() + origin;
  }
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
