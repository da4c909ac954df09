#include "model/operators/convolution.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zeropoint/core/error.hpp"

#include "model/memory.hpp"

namespace zeropoint::model {
namespace {

using Sizes = std::vector<std::int64_t>;

// Larger pads, strides and dilations mean nothing for tensors that fit a memory, and their sums
// must not overflow.
constexpr std::int64_t kLargest = std::int64_t{1} << 40;

std::size_t product(const Sizes& sizes) {
  return static_cast<std::size_t>(
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()));
}

Sizes list(const Arguments& arguments, std::string_view attribute, std::size_t count,
           std::int64_t otherwise, std::int64_t least) {
  Sizes sizes = arguments.attribute<Sizes>(attribute, Sizes(count, otherwise));
  const bool fits = std::ranges::all_of(
      sizes, [&](std::int64_t size) { return size >= least && size <= kLargest; });
  if (sizes.size() != count || !fits) {
    throw InputError(fmt::format("attribute {}: expected {} integers from {} to 2^40, found [{}]",
                                 attribute, count, least, fmt::join(sizes, ", ")));
  }
  return sizes;
}

void set_output(const Arguments& arguments, Convolution& c) {
  const std::size_t axes = c.input.size();
  const auto mode = arguments.attribute<std::string>("auto_pad", "NOTSET");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (!same && mode != "NOTSET" && mode != "VALID") {
    throw InputError(fmt::format(
        "attribute auto_pad: expected NOTSET, SAME_UPPER, SAME_LOWER or VALID, found '{}'", mode));
  }
  Sizes pads = list(arguments, "pads", 2 * axes, 0, 0);
  if (mode != "NOTSET") std::ranges::fill(pads, 0);
  for (std::size_t i = 0; i < axes; ++i) {
    const std::int64_t reach = c.dilations[i] * (c.kernel[i] - 1) + 1;
    std::int64_t before = pads[i], after = pads[axes + i];
    if (same) {
      const std::int64_t output = (c.input[i] + c.strides[i] - 1) / c.strides[i];
      const std::int64_t needed =
          std::max<std::int64_t>(0, (output - 1) * c.strides[i] + reach - c.input[i]);
      before = mode == "SAME_UPPER" ? needed / 2 : (needed + 1) / 2;
      after = needed - before;
    }
    const std::int64_t padded = c.input[i] + before + after;
    if (padded < reach) {
      throw InputError(fmt::format(
          "expected an input of {} or more along spatial axis {}, found {} with {} of padding",
          reach, i, c.input[i], before + after));
    }
    c.pads_before.push_back(before);
    c.output.push_back((padded - reach) / c.strides[i] + 1);
  }
}

}  // namespace

std::size_t Convolution::input_size() const { return product(input); }
std::size_t Convolution::kernel_size() const { return product(kernel); }
std::size_t Convolution::output_size() const { return product(output); }

Shape Convolution::y_shape() const {
  Shape shape = {static_cast<std::int64_t>(batch), static_cast<std::int64_t>(filters)};
  shape.insert(shape.end(), output.begin(), output.end());
  return shape;
}

bool Convolution::is_pointwise() const {
  const auto all = [](const Sizes& sizes, std::int64_t value) {
    return std::ranges::all_of(sizes, [&](std::int64_t size) { return size == value; });
  };
  return kernel_size() == 1 && output == input && all(strides, 1) && all(pads_before, 0);
}

Convolution convolution(const Arguments& arguments, const Value& x, const Value& w) {
  if (x.rank() < 3 || w.rank() != x.rank()) {
    throw InputError(
        fmt::format("expected x and w of the same rank, 3 or more, found shapes {} and {}",
                    to_string(x.shape()), to_string(w.shape())));
  }
  const std::size_t axes = x.rank() - 2;
  Convolution c;
  c.batch = static_cast<std::size_t>(x.shape()[0]);
  c.channels = static_cast<std::size_t>(x.shape()[1]);
  c.filters = static_cast<std::size_t>(w.shape()[0]);
  const auto groups = arguments.attribute<std::int64_t>("group", 1);
  const auto of_group = w.shape()[1];
  if (groups < 1 || x.shape()[1] % groups != 0 || w.shape()[0] % groups != 0 ||
      x.shape()[1] / groups != of_group) {
    throw InputError(fmt::format(
        "attribute group: expected a divisor of x's channels and w's filters, and channels / group "
        "in w's axis 1; found {} for shapes {} and {}",
        groups, to_string(x.shape()), to_string(w.shape())));
  }
  c.groups = static_cast<std::size_t>(groups);
  c.input.assign(x.shape().begin() + 2, x.shape().end());
  c.kernel.assign(w.shape().begin() + 2, w.shape().end());
  const Sizes kernel = arguments.attribute<Sizes>("kernel_shape", c.kernel);
  const bool large =
      std::ranges::any_of(c.kernel, [](std::int64_t k) { return k < 1 || k > kLargest >> 20; });
  if (kernel != c.kernel || large) {
    throw InputError(fmt::format("attribute kernel_shape: expected w's, found [{}] for shape {}",
                                 fmt::join(kernel, ", "), to_string(w.shape())));
  }
  c.strides = list(arguments, "strides", axes, 1, 1);
  c.dilations = list(arguments, "dilations", axes, 1, 1);
  set_output(arguments, c);
  count_elements(c.y_shape(), "y");
  return c;
}

void patches(const Convolution& c, const std::uint8_t* x, std::uint8_t fill,
             std::vector<std::uint8_t>& matrix) {
  const std::size_t axes = c.input.size(), last = axes - 1;
  const std::size_t channels = c.channels / c.groups;
  check_memory(channels * c.kernel_size(), c.output_size(), "patches of a convolution");
  matrix.resize(channels * c.kernel_size() * c.output_size());
  auto* out = matrix.data();
  Sizes k(axes, 0), o(axes, 0);  // positions in the kernel and in the output
  // Counts up the first `count` axes, last first; false after the end.
  const auto next = [](Sizes& position, const Sizes& sizes, std::size_t count) {
    for (std::size_t axis = count; axis-- > 0;) {
      if (++position[axis] < sizes[axis]) return true;
      position[axis] = 0;
    }
    return false;
  };
  // The position in x along an axis that the kernel's and the output's lead to.
  const auto from = [&](std::size_t axis, std::int64_t of_output) {
    return of_output * c.strides[axis] + k[axis] * c.dilations[axis] - c.pads_before[axis];
  };
  for (std::size_t channel = 0; channel < channels; ++channel) {
    const auto* plane = x + channel * c.input_size();
    do {
      if (c.output_size() == 0) continue;
      do {
        bool inside = true;
        std::int64_t row = 0;
        for (std::size_t axis = 0; axis < last; ++axis) {
          const std::int64_t i = from(axis, o[axis]);
          inside = inside && i >= 0 && i < c.input[axis];
          row = row * c.input[axis] + i;
        }
        for (std::int64_t j = 0; j < c.output[last]; ++j) {
          const std::int64_t i = from(last, j);
          const bool padded = !inside || i < 0 || i >= c.input[last];
          *out++ = padded ? fill : plane[row * c.input[last] + i];
        }
      } while (next(o, c.output, last));
    } while (next(k, c.kernel, axes));
  }
}

}  // namespace zeropoint::model
