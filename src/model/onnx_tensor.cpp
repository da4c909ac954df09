#include "model/onnx_tensor.hpp"

#include <cstring>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint::model {
namespace {

// The smallest of an element type's own field that a code may be stored as: int32_data holds
// integers, and the bits of what has at most 16 (two or four of the smaller ones in one).
void check_int32(std::int32_t stored, const ElementInfo& row, const std::string& where) {
  const int bits = row.bits < 8 ? 8 : row.bits;
  if (bits == 32) return;
  // Signed codes come sign-extended, bits of floats as unsigned numbers; either way in full.
  const std::int32_t lo = row.kind == ElementKind::signed_integer ? -(1 << (bits - 1)) : 0;
  const std::int32_t hi = (1 << bits) - 1;
  if (stored < lo || stored > hi) {
    throw InputError(fmt::format("{}: expected {} values in int32_data from {} to {}, found {}",
                                 where, row.name, lo, hi, stored));
  }
}

void check_count(std::size_t found, std::size_t expected, std::string_view what,
                 const std::string& where, const Shape& shape) {
  if (found != expected) {
    throw InputError(fmt::format("{}: expected {} {} for shape {}, found {}", where, expected, what,
                                 to_string(shape), found));
  }
}

template <class To, class Field>
Value from_field(const Field& field, std::string_view what, ElementType type, const Shape& shape,
                 std::size_t count, const std::string& where) {
  check_count(static_cast<std::size_t>(field.size()), count, what, where, shape);
  Value value(type, shape);
  const auto out = value.as<To>();
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<To>(field[static_cast<int>(i)]);
  }
  return value;
}

// Of types of at most 32 bits, floats as their bits, those of less than a byte as packed bytes.
Value from_int32_data(const onnx::TensorProto& tensor, ElementType type, const Shape& shape,
                      std::size_t count, const std::string& where) {
  const ElementInfo& row = info(type);
  const auto& field = tensor.int32_data();
  for (const std::int32_t stored : field) check_int32(stored, row, where);
  if (row.bits == 32)
    return from_field<std::int32_t>(field, "int32_data", type, shape, count, where);
  if (row.bits == 16) {
    return from_field<std::uint16_t>(field, "int32_data", type, shape, count, where);
  }
  const std::size_t a_byte = row.bits < 8 ? 8 / static_cast<std::size_t>(row.bits) : 1;
  check_count(static_cast<std::size_t>(field.size()), (count + a_byte - 1) / a_byte, "int32_data",
              where, shape);
  Value value(type, shape);
  const auto bytes = value.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(field[static_cast<int>(i)]);
  }
  return value;
}

Value from_typed_data(const onnx::TensorProto& tensor, ElementType type, const Shape& shape,
                      std::size_t count, const std::string& where) {
  switch (type) {
    case ElementType::float32:
      return from_field<float>(tensor.float_data(), "float_data", type, shape, count, where);
    case ElementType::float64:
      return from_field<double>(tensor.double_data(), "double_data", type, shape, count, where);
    case ElementType::int64:
      return from_field<std::int64_t>(tensor.int64_data(), "int64_data", type, shape, count, where);
    case ElementType::uint32:
      for (const std::uint64_t stored : tensor.uint64_data()) {
        if (stored > UINT32_MAX) {
          throw InputError(
              fmt::format("{}: expected uint32 values in uint64_data, found {}", where, stored));
        }
      }
      return from_field<std::uint32_t>(tensor.uint64_data(), "uint64_data", type, shape, count,
                                       where);
    case ElementType::uint64:
      return from_field<std::uint64_t>(tensor.uint64_data(), "uint64_data", type, shape, count,
                                       where);
    default:
      return from_int32_data(tensor, type, shape, count, where);
  }
}

// Bits that no element owns, and booleans: one representation for one value.
void normalize(Value& value) {
  const ElementInfo& row = info(value.type());
  const auto bytes = value.bytes();
  if (row.kind == ElementKind::boolean) {
    for (std::uint8_t& byte : bytes) byte = byte != 0 ? 1 : 0;
  }
  const std::size_t bits = value.size() * static_cast<std::size_t>(row.bits) % 8;
  if (row.bits < 8 && bits != 0) bytes.back() &= static_cast<std::uint8_t>((1U << bits) - 1);
}

}  // namespace

Value read_tensor(const onnx::TensorProto& tensor, const std::string& where) {
  const ElementType type = element_type(tensor.data_type(), where);
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL || tensor.external_data_size() > 0) {
    throw InputError(fmt::format(
        "{}: expected its data in the file, found external data, which is not supported", where));
  }
  if (tensor.has_segment()) {
    throw InputError(
        fmt::format("{}: expected a whole tensor, found a segment, which is not supported", where));
  }
  const Shape shape(tensor.dims().begin(), tensor.dims().end());
  const std::size_t count = count_elements(shape, where);
  // Sizes are compared before anything is allocated: a shape alone takes no memory.
  Value value;
  if (tensor.has_raw_data()) {
    const std::string& raw = tensor.raw_data();
    const auto bits = static_cast<std::size_t>(info(type).bits);
    check_count(raw.size(), (count * bits + 7) / 8, "bytes of raw_data", where, shape);
    value = Value(type, shape);
    if (!raw.empty()) std::memcpy(value.bytes().data(), raw.data(), raw.size());
  } else {
    value = from_typed_data(tensor, type, shape, count, where);
  }
  normalize(value);
  return value;
}

}  // namespace zeropoint::model
