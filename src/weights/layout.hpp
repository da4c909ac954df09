#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/io/tensor_type.hpp"
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

// How zeropoint's own safetensors hold a quantized tensor NAME: its codes under that name, and
// what they mean beside it. Which of these there are, and of what shape, follows from scheme and
// shape alone. The metadata's entry "zeropoint" says scheme and shape of each, as JSON.
constexpr std::string_view kSchemesKey = "zeropoint";
constexpr std::string_view kScaleSuffix = ".scale";
constexpr std::string_view kZeroPointSuffix = ".zero_point";
constexpr std::string_view kLevelsSuffix = ".levels";
constexpr std::string_view kTensorScaleSuffix = ".tensor_scale";

struct Layout {
  struct Part {
    std::string suffix;
    const TensorType* type;
    std::vector<std::size_t> shape;
  };
  Part codes;  ///< as QTensor::bytes() has them; those of less than a byte, and blocks, as U8
  std::vector<Part> others;
  Tiles tiles;
};

/// The shape that a scheme sees of a weight: of more than two axes (a convolution's), groups,
/// blocks and rotations run along all of an output's numbers, not along the last axis alone, which
/// is as short as a kernel. Other schemes see the axes as they are.
std::vector<std::size_t> tiled_shape(const Scheme& scheme, std::span<const std::size_t> shape);

/// Throws InputError if the scheme does not fit the shape.
Layout layout_of(const Scheme& scheme, std::span<const std::size_t> shape);

/// Bytes of a part.
std::size_t bytes_of(const Layout::Part& part);
/// Of all.
std::size_t bytes_of(const Layout& layout);

/// The bytes of one of layout.others.
std::vector<std::uint8_t> part_bytes(const Layout::Part& part, const TensorParams& params);
/// The opposite: reads into `params`. Throws InputError naming `what` if a number cannot be.
void read_part(const Layout::Part& part, std::span<const std::uint8_t> bytes,
               const std::string& what, TensorParams& params);

}  // namespace zeropoint
