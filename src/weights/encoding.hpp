#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"
#include "zeropoint/weights/weights.hpp"

#include "weights/layout.hpp"

namespace zeropoint {

/// How a container holds a tensor under a scheme: the stored tensors in their order, codes first,
/// and the bytes of those that follow the codes.
struct Encoding {
  std::vector<TensorFilePlan::Tensor> tensors;
  std::optional<DequantizedTensor> dequantization;
  std::vector<std::size_t> seen;  ///< the shape that the scheme is laid over
  bool is_values = false;         ///< not codes, but what they stand for, in tensors[0].type
  /// The bytes of tensors[1], tensors[2], …, given what the codes were made with.
  std::vector<std::vector<std::uint8_t>> (*rest)(const Encoding& encoding,
                                                 const TensorParams& params) = nullptr;
  Layout layout;  ///< of zeropoint's own
  std::uint64_t bytes() const;
};

/// Throws InputError saying why the container has no way to hold it.
Encoding encoding_of(std::string_view container, const Weight& weight, const Scheme& scheme,
                     bool fake);

/// `x` in a floating type that is written: F32, F16 or BF16. Others are refused by
/// writable_type(), which names the type that numbers of `type` are written in.
const TensorType& writable_type(std::string_view container, const TensorType& type);
std::vector<std::uint8_t> as_type(std::span<const float> x, const TensorType& type);

}  // namespace zeropoint
