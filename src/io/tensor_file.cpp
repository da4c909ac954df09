#include "zeropoint/io/tensor_file.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {

std::size_t value_count(std::span<const std::size_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

StoredTensor& TensorFile::add(std::string name, std::vector<std::size_t> shape,
                              const TensorType& type) {
  if (name.empty()) refuse_file(path_, "a name for each tensor", "a tensor without one");
  StoredTensor tensor;
  tensor.type = &type;
  // A quarter of what std::size_t holds: float32's bytes of them can be counted, too.
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / 16;
  bool empty = std::ranges::find(shape, std::size_t{0}) != shape.end();
  for (const std::size_t size : shape) {
    if (!empty && size > kMost / tensor.count) {
      refuse_file(path_, fmt::format("a shape of '{}' that a machine can hold", printable(name)),
                  printable(fmt::format("[{}]", fmt::join(shape, ", "))));
    }
    tensor.count = empty ? 0 : tensor.count * size;
  }
  if (empty) tensor.count = 0;
  if (tensor.count / type.block > kMost / type.bytes) {
    refuse_file(path_, fmt::format("a shape of '{}' that a machine can hold", printable(name)),
                printable(fmt::format("[{}]", fmt::join(shape, ", "))));
  }
  tensor.bytes = type.stored_bytes(tensor.count);
  tensor.name = std::move(name);
  tensor.shape = std::move(shape);
  tensors_.push_back(std::move(tensor));
  return tensors_.back();
}

void TensorFile::check_names() {
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
  const auto name = [this](std::size_t i) -> std::string_view { return tensors_[i].name; };
  std::ranges::sort(by_name_, {}, name);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name);
  if (twice != by_name_.end()) {
    refuse_file(path_, "each tensor's name once",
                fmt::format("'{}' twice", printable(tensors_[*twice].name)));
  }
}

const StoredTensor* TensorFile::find(std::string_view name) const {
  const auto of = [this](std::size_t i) -> std::string_view { return tensors_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, of);
  return found != by_name_.end() && of(*found) == name ? &tensors_[*found] : nullptr;
}

}  // namespace zeropoint
