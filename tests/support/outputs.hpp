#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "zeropoint/core/matrix.hpp"

#include "support/matrices.hpp"

namespace zeropoint::testing {

/// An output in some layout, amid values of its own that a product must leave as they are.
template <class T>
class Output {
 public:
  Output(std::size_t rows, std::size_t cols, Layout layout) {
    const Placement placed = place(rows, cols, layout);
    storage_.resize(kMargin + room(rows, cols, layout) + kMargin);
    for (std::size_t e = 0; e < storage_.size(); ++e) storage_[e] = original(e);
    view_ = {storage_.data() + kMargin + placed.origin, rows, cols, placed.row_stride,
             placed.col_stride};
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  MatrixView<T> view() { return view_; }
  MatrixView<const T> view() const { return view_; }

  /// How many elements outside the view have changed.
  std::size_t spoiled() const {
    std::vector<bool> inside(storage_.size());
    for (std::size_t i = 0; i < view_.rows; ++i) {
      for (std::size_t j = 0; j < view_.cols; ++j) {
        inside[static_cast<std::size_t>(&view_(i, j) - storage_.data())] = true;
      }
    }
    std::size_t count = 0;
    for (std::size_t e = 0; e < storage_.size(); ++e) {
      const T expected = original(e);
      if (!inside[e] && std::memcmp(&storage_[e], &expected, sizeof(T)) != 0) ++count;
    }
    return count;
  }

 private:
  // More than the widest vector has bytes.
  static constexpr std::size_t kMargin = 67;

  static T original(std::size_t e) {
    const std::uint64_t mixed = (e + 1) * 0x9E3779B97F4A7C15;
    if constexpr (std::is_same_v<T, float>) return static_cast<float>(mixed >> 40);
    return static_cast<T>(mixed >> 24);
  }

  std::vector<T> storage_;
  MatrixView<T> view_;
};

}  // namespace zeropoint::testing
