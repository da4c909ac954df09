#include "zeropoint/model/value.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/formats/packed_codes.hpp"

#include "model/convert.hpp"
#include "model/memory.hpp"

namespace zeropoint::model {

// Values are ONNX's raw_data as it lies in the file.
static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::size_t kMostElements = std::size_t{1} << 48;
// Below this the system is not asked how much memory is left.
constexpr std::size_t kSmall = std::size_t{1} << 28;

}  // namespace

void check_memory(std::size_t count, std::size_t width, std::string_view what) {
  const std::size_t limit =
      std::numeric_limits<std::size_t>::max() / std::max<std::size_t>(width, 1);
  if (count <= limit && count * width <= kSmall) return;
  if (count > limit || count * width > available_memory()) {
    throw WorkError(fmt::format("{}: {} elements of {} bytes are more than there is memory for",
                                what, count, width));
  }
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::size_t count_elements(const Shape& shape, const std::string& where) {
  std::size_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) {
      throw InputError(
          fmt::format("{}: expected sizes of 0 or more, found shape {}", where, to_string(shape)));
    }
    empty = empty || size == 0;
    const auto unsigned_size = static_cast<std::size_t>(size);
    // An empty tensor's other sizes are held to the same limit.
    if (size > 0 && count > kMostElements / unsigned_size) {
      throw InputError(fmt::format("{}: expected at most 2^48 elements, found shape {}", where,
                                   to_string(shape)));
    }
    if (size > 0) count *= unsigned_size;
  }
  return empty ? 0 : count;
}

Value::Value(ElementType type, Shape shape)
    : type_(type), shape_(std::move(shape)), size_(count_elements(shape_, "tensor")) {
  const auto bits = static_cast<std::size_t>(info(type).bits);
  const std::size_t bytes =
      bits < 8 ? packed_bytes(size_, static_cast<int>(bits)) : size_ * bits / 8;
  check_memory(bytes, 1, "tensor");
  bytes_.resize(bytes);
}

void Value::fill(const void* elements, std::size_t count, std::size_t width) {
  check_width(width);
  if (count != size_) {
    throw InputError(fmt::format("tensor: expected {} elements for shape {}, found {}", size_,
                                 to_string(shape_), count));
  }
  if (count > 0) std::memcpy(bytes_.data(), elements, bytes_.size());
}

void Value::check_width(std::size_t width) const {
  const ElementInfo& row = info(type_);
  if (static_cast<std::size_t>(row.bits) != width * 8) {
    throw InputError(
        fmt::format("tensor: expected elements of {} bits, found {}", width * 8, row.name));
  }
}

Value Value::reshaped(Shape shape) const {
  if (count_elements(shape, "reshape") != size_) {
    throw InputError(
        fmt::format("reshape: expected {} elements, found shape {}", size_, to_string(shape)));
  }
  Value result = *this;
  result.shape_ = std::move(shape);
  return result;
}

std::string element_text(const Value& value, std::size_t index) {
  const ElementInfo& row = info(value.type());
  if (row.kind == ElementKind::unsigned_integer) {
    return fmt::format("{}", static_cast<std::uint64_t>(integer_at(value, index)));
  }
  if (!row.is_float()) return fmt::format("{}", integer_at(value, index));
  const std::string number = row.type == ElementType::float32
                                 ? fmt::format("{}", value.as<float>()[index])
                                 : fmt::format("{}", double_at(value, index));
  if (row.bits > 8) return number;
  return fmt::format("{} (0x{:02x})", number, code_at(value, index));
}

}  // namespace zeropoint::model
