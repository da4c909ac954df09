#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/io/tensor_file.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "weights/layout.hpp"

namespace zeropoint::testing {

/// A tensor of any type to be written, whatever its bytes are.
struct RawTensor {
  std::string name;
  std::string_view type;
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> bytes;
};

template <class T>
std::vector<std::uint8_t> bytes_of_values(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

using Metadata = std::vector<std::pair<std::string, std::string>>;

inline void write_raw(const std::string& path, const std::vector<RawTensor>& tensors,
                      const Metadata& metadata = {}, std::string_view to = "safetensors",
                      const std::vector<DequantizedTensor>& dequantizations = {}) {
  TensorFilePlan plan;
  for (const auto& tensor : tensors) {
    plan.tensors.push_back({tensor.name, tensor.shape, &tensor_type(tensor.type)});
  }
  plan.metadata = metadata;
  plan.dequantizations = dequantizations;
  const auto writer = container(to).create(path, plan);
  for (const auto& tensor : tensors) writer->write(tensor.bytes);
  writer->finish();
}

/// A file with one tensor of zeropoint's own, "w", some of whose parts can be changed before it is
/// written.
struct QuantizedFile {
  QuantizedFile(const std::vector<float>& x, std::vector<std::size_t> of_shape,
                const std::string& of_scheme)
      : scheme(of_scheme), shape(std::move(of_shape)) {
    const Scheme parsed = parse_scheme(scheme);
    const QTensor q = quantize(x, shape, parsed);
    const Layout layout = layout_of(parsed, shape);
    const auto codes = q.bytes();
    tensors.push_back(
        {"w", layout.codes.type->name, layout.codes.shape, {codes.begin(), codes.end()}});
    for (const auto& part : layout.others) {
      tensors.push_back(
          {"w" + part.suffix, part.type->name, part.shape, part_bytes(part, q.parameters())});
    }
  }
  RawTensor& part(std::string_view name) {
    for (auto& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::runtime_error("no such part: " + std::string(name));
  }
  template <class T>
  void set(std::string_view name, std::size_t i, T value) {
    std::memcpy(part(name).bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  std::string metadata() const {
    return fmt::format(
        R"({{"version":1,"tensors":{{"w":{{"scheme":"{}","shape":[{}],"from":"F32"}}}}}})", scheme,
        fmt::join(shape, ","));
  }
  void write(const std::string& path) const {
    write_raw(path, tensors, {{"zeropoint", metadata()}});
  }

  std::string scheme;
  std::vector<std::size_t> shape;
  std::vector<RawTensor> tensors;
};

}  // namespace zeropoint::testing
