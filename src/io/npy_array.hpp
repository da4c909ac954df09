#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

#include "io/npy_header.hpp"

namespace zeropoint {

// What .npy and .npz share.
std::vector<std::size_t> shape_of(const NpyHeader& header);
/// Whether the elements are row-major and little-endian already.
bool lies_as_it_should(const NpyHeader& header);
/// The elements so.
std::vector<std::uint8_t> in_order(const NpyHeader& header, std::span<const std::uint8_t> data);
/// What begins a new array. Throws InputError if NumPy has no such type.
std::string header_or_throw(const TensorFilePlan::Tensor& tensor);

}  // namespace zeropoint
