#include <algorithm>
#include <limits>
#include <new>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#include "gemm/narrow.hpp"

namespace zeropoint {
namespace {

constexpr std::align_val_t kAlignment{64};
// Sums of 32 bits hold so many elements of any kernel.
constexpr std::size_t kSegmentK = 1 << 20;

}  // namespace

void PackedMatrix::Release::operator()(std::uint8_t* data) const noexcept {
  ::operator delete(data, kAlignment);
}

std::size_t PackedMatrix::bytes() const {
  return panel_bytes_ + sums_.size() * sizeof(std::int64_t) +
         zero_points_.size() * sizeof(std::int32_t);
}

PackedMatrix::PackedMatrix(const Operand& b)
    : kernel_(&kernel()),
      rows_(b.codes.rows),
      cols_(b.codes.cols),
      is_signed_(b.codes.is_signed),
      zero_point_(b.zero_point.value),
      zero_points_(b.zero_point.each.begin(), b.zero_point.each.end()),
      sums_(b.codes.cols) {
  if (b.codes.bytes != 1) {
    throw InputError(
        fmt::format("packed matrix: expected codes of 8 bits, found {}", 8 * b.codes.bytes));
  }
  if (!zero_points_.empty() && zero_points_.size() != cols_) {
    throw InputError(fmt::format(
        "packed matrix: expected one zero point or one for each of the {} columns, found {}", cols_,
        zero_points_.size()));
  }
  const Kernel& kernel = *kernel_;
  const Panels panels(kernel, cols_);
  const std::size_t groups = (rows_ + kernel.group() - 1) / kernel.group();
  if (groups > 0 && panels.padded() > std::numeric_limits<std::ptrdiff_t>::max() / 4 / groups) {
    throw InputError(fmt::format("packed matrix: expected a size that memory can hold, found {}x{}",
                                 rows_, cols_));
  }
  panel_bytes_ = panels.padded() * groups * 4;
  panels_.reset(static_cast<std::uint8_t*>(::operator new(panel_bytes_, kAlignment)));
  const std::int32_t offset = kernel.offset_b(is_signed_);
  parallel_for(
      panels.count, 1,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t panel = begin; panel < end; ++panel) {
          const std::size_t j = panels.first(panel);
          const std::size_t width = panels.width_of(panel);
          std::vector<std::int32_t> sums(width);
          for (std::size_t l = 0; l < rows_; l += kSegmentK) {
            const std::size_t depth = std::min(kSegmentK, rows_ - l);
            kernel.pack({.codes = static_cast<const std::uint8_t*>(b.codes.data) +
                                  static_cast<std::ptrdiff_t>(j) * b.codes.col_stride +
                                  static_cast<std::ptrdiff_t>(l) * b.codes.row_stride,
                         .line_stride = b.codes.col_stride,
                         .k_stride = b.codes.row_stride,
                         .lines = std::min(cols_ - j, width),
                         .k = depth,
                         .columns = width,
                         .is_signed = is_signed_,
                         .panel = panels_.get() + panels.first(panel) * groups * 4 +
                                  l / kernel.group() * width * 4,
                         .sums = sums.data()});
            for (std::size_t c = 0; c < width && j + c < cols_; ++c) {
              sums_[j + c] += sums[c] + static_cast<std::int64_t>(depth) * offset;
            }
          }
        }
      },
      static_cast<double>(rows_) * static_cast<double>(cols_));
}

}  // namespace zeropoint
