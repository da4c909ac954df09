#pragma once
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "zeropoint/core/matrix.hpp"

namespace zeropoint {

template <class T>
concept Code = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t> ||
    std::same_as<T, std::int16_t> || std::same_as<T, std::uint16_t>;

/// A view of codes of any of the four types; strides in elements.
struct CodesView {
  CodesView() = default;
  template <class T>
  requires Code<std::remove_const_t<T>> CodesView(MatrixView<T> view)
      : data(view.data),
        rows(view.rows),
        cols(view.cols),
        row_stride(view.row_stride),
        col_stride(view.col_stride),
        bytes(sizeof(T)),
        is_signed(std::is_signed_v<T>) {}

  const void* data = nullptr;
  std::size_t rows = 0, cols = 0;
  std::ptrdiff_t row_stride = 0, col_stride = 1;
  std::size_t bytes = 1;  ///< of a code
  bool is_signed = true;
};

/// One zero point for a whole operand, or one for each row of A or column of B; those are not
/// owned.
struct ZeroPoints {
  ZeroPoints(std::int32_t all = 0) : value(all) {}
  ZeroPoints(std::span<const std::int32_t> of_each) : each(of_each) {}
  ZeroPoints(const std::vector<std::int32_t>& of_each) : each(of_each) {}

  std::int32_t value = 0;
  std::span<const std::int32_t> each;  ///< empty: `value` is that of all
};

/// An operand of the product, not owned: real = scale · (code − zero_point).
struct Operand {
  template <class View>
  requires std::convertible_to<View, CodesView> Operand(View view, ZeroPoints zero_points = 0)
      : codes(view), zero_point(zero_points) {}

  CodesView codes;
  ZeroPoints zero_point;
};

struct Kernel;

/// B (k×n), laid out once for all products with it, its column sums and zero points included. Holds
/// about as many bytes as B does (twice as many with a 16-bit kernel), columns rounded up to a
/// vector of 4 to 16. Codes of 8 bits. Immutable: several threads may multiply by one. It stays
/// with the kernel in use when it was made. What was moved from can only be assigned to or
/// destroyed.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Throws InputError if the codes are of 16 bits, or if there are zero points for each column
  /// and not as many as columns.
  explicit PackedMatrix(const Operand& b);

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  /// Of memory held.
  std::size_t bytes() const;

 private:
  friend struct PackedAccess;
  struct Release {
    void operator()(std::uint8_t* data) const noexcept;
  };
  const Kernel* kernel_ = nullptr;
  std::size_t rows_ = 0, cols_ = 0;
  bool is_signed_ = true;
  std::int32_t zero_point_ = 0;
  std::vector<std::int32_t> zero_points_;
  std::vector<std::int64_t> sums_;  // of codes, one a column
  std::unique_ptr<std::uint8_t[], Release> panels_;
  std::size_t panel_bytes_ = 0;  // of all
};

/// B as it comes: codes, or packed. Not owned.
struct RightOperand {
  RightOperand(const PackedMatrix& matrix) : packed(&matrix) {}
  RightOperand(const Operand& b) : plain(b) {}
  template <class View>
  requires std::convertible_to<View, CodesView> RightOperand(View view, ZeroPoints zero_points = 0)
      : plain(view, zero_points) {}

  const PackedMatrix* packed = nullptr;
  Operand plain{CodesView{}};
};

}  // namespace zeropoint
