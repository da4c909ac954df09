#pragma once
#include <cstddef>
#include <vector>

#include "zeropoint/model/value.hpp"

namespace zeropoint::model {

/// The shape that both are stretched to, aligned at their last axes (ONNX's docs/Broadcasting.md).
/// Throws InputError if they do not fit.
Shape broadcast(const Shape& a, const Shape& b);

/// For each element of `to`, in order, the index of the element of a tensor of shape `from` that
/// stands there. Throws InputError if `from` does not stretch to `to`.
std::vector<std::size_t> broadcast_indices(const Shape& from, const Shape& to);

}  // namespace zeropoint::model
