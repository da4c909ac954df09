#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "zeropoint/model/value.hpp"

#include "model/operators/operator.hpp"

namespace zeropoint::model {

/// The sizes of a convolution of x (N×C×D1×…) with w (M×C/group×k1×…), any number of spatial axes
/// from 1 on.
struct Convolution {
  std::size_t batch = 0, channels = 0, filters = 0, groups = 1;
  std::vector<std::int64_t> input, kernel, output;  ///< along each spatial axis
  std::vector<std::int64_t> strides, dilations, pads_before;

  std::size_t input_size() const;   ///< elements of a channel of x
  std::size_t kernel_size() const;  ///< elements of a channel of a filter
  std::size_t output_size() const;  ///< elements of a channel of y
  Shape y_shape() const;
  /// True if a patch is one element and all are used in order: x is its own matrix of patches.
  bool is_pointwise() const;
};

/// From the attributes of ONNX's convolutions. Throws InputError if they do not fit each other.
Convolution convolution(const Arguments& arguments, const Value& x, const Value& w);

/// The patches of a group as a matrix, (C/group · kernel_size) × output_size, row-major: row by row
/// what each element of a filter meets. `x` is the group's first channel; what is padded is `fill`.
void patches(const Convolution& c, const std::uint8_t* x, std::uint8_t fill,
             std::vector<std::uint8_t>& matrix);

}  // namespace zeropoint::model
