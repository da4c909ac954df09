#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint::testing {

/// A float32 tensor to be written.
struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::vector<float> values;
};

/// Numbers that look like weights, the same for the same seed: a sum of four uniform ones.
inline std::vector<float> weight_values(std::size_t count, std::uint32_t seed) {
  std::vector<float> values(count);
  for (auto& value : values) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      seed = seed * 1664525 + 1013904223;
      sum += static_cast<float>(seed >> 8) * 0x1p-24F;
    }
    value = (sum - 2) * 0.1F;
  }
  return values;
}

inline NamedTensor named_tensor(std::string name, std::vector<std::size_t> shape,
                                std::uint32_t seed) {
  auto values = weight_values(value_count(shape), seed);
  return {std::move(name), std::move(shape), std::move(values)};
}

inline void write_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                          std::string_view to = "safetensors") {
  TensorFilePlan plan;
  for (const auto& tensor : tensors) {
    plan.tensors.push_back({tensor.name, tensor.shape, &tensor_type("F32")});
  }
  const auto writer = container(to).create(path, plan);
  for (const auto& tensor : tensors) {
    writer->write({reinterpret_cast<const std::uint8_t*>(tensor.values.data()),
                   tensor.values.size() * sizeof(float)});
  }
  writer->finish();
}

}  // namespace zeropoint::testing
