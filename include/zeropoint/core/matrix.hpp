#pragma once
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace zeropoint {

/// A non-owning m×n view. Strides are in elements; element (i, j) is data[i·row_stride +
/// j·col_stride].
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t col_stride = 1;

  T& operator()(std::size_t i, std::size_t j) const {
    assert(i < rows && j < cols);
    return data[static_cast<std::ptrdiff_t>(i) * row_stride +
                static_cast<std::ptrdiff_t>(j) * col_stride];
  }
  operator MatrixView<const T>() const { return {data, rows, cols, row_stride, col_stride}; }
};

/// An owning, contiguous, row-major matrix. Its elements are uninitialized after construction.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::size_t rows, std::size_t cols)
      : rows_(rows), cols_(cols), data_(std::make_unique_for_overwrite<T[]>(rows * cols)) {}

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t size() const { return rows_ * cols_; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator()(std::size_t i, std::size_t j) { return data_[i * cols_ + j]; }
  const T& operator()(std::size_t i, std::size_t j) const { return data_[i * cols_ + j]; }
  std::span<T> values() { return {data_.get(), size()}; }
  std::span<const T> values() const { return {data_.get(), size()}; }
  MatrixView<T> view() {
    return {data_.get(), rows_, cols_, static_cast<std::ptrdiff_t>(cols_), 1};
  }
  MatrixView<const T> view() const {
    return {data_.get(), rows_, cols_, static_cast<std::ptrdiff_t>(cols_), 1};
  }

 private:
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::unique_ptr<T[]> data_;
};

}  // namespace zeropoint
