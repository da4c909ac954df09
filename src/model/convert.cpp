#include "model/convert.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/formats/packed_codes.hpp"

namespace zeropoint::model {
namespace {

// One code a byte, upper bits 0.
std::vector<std::uint8_t> unpacked(const Value& value) {
  std::vector<std::uint8_t> codes(value.size());
  unpack(value.bytes(), info(value.type()).bits, codes);
  return codes;
}

std::int64_t sign_extended(std::uint8_t code, int bits) {
  const std::int64_t sign = std::int64_t{1} << (bits - 1);
  return (std::int64_t{code} ^ sign) - sign;
}

// Of integers of less than a byte.
template <class T>
std::vector<T> small_integers(const Value& value) {
  const ElementInfo& row = info(value.type());
  const auto codes = unpacked(value);
  std::vector<T> result(codes.size());
  std::ranges::transform(codes, result.begin(), [&](std::uint8_t code) {
    return static_cast<T>(row.kind == ElementKind::signed_integer ? sign_extended(code, row.bits)
                                                                  : code);
  });
  return result;
}

template <class T>
std::vector<T> to_numbers(const Value& value) {
  std::vector<T> result(value.size());
  if (visit_native(value.type(), [&]<class From>(From) {
        std::ranges::transform(value.as<From>(), result.begin(),
                               [](From x) { return static_cast<T>(x); });
      })) {
    return result;
  }
  const auto floats = to_floats(value);
  std::ranges::copy(floats, result.begin());
  return result;
}

}  // namespace

bool fits_float(ElementType type) {
  const ElementInfo& row = info(type);
  return row.is_float() ? row.bits <= 32 : row.bits <= 16;
}

std::uint32_t code_at(const Value& value, std::size_t index) {
  const int bits = info(value.type()).bits;
  if (bits == 32) return value.as<std::uint32_t>()[index];
  if (bits == 16) return value.as<std::uint16_t>()[index];
  if (bits == 8) return value.bytes()[index];
  const std::size_t bit = index * static_cast<std::size_t>(bits);
  return (std::uint32_t{value.bytes()[bit / 8]} >> (bit % 8)) & ((1U << bits) - 1);
}

std::int64_t integer_at(const Value& value, std::size_t index) {
  std::int64_t result = 0;
  if (visit_native(value.type(), [&]<class From>(From) {
        if constexpr (!std::is_floating_point_v<From>) {
          result = static_cast<std::int64_t>(value.as<From>()[index]);
        }
      })) {
    return result;
  }
  const ElementInfo& row = info(value.type());
  const auto code = static_cast<std::uint8_t>(code_at(value, index));
  return row.kind == ElementKind::signed_integer ? sign_extended(code, row.bits) : code;
}

double double_at(const Value& value, std::size_t index) {
  double result = 0;
  if (visit_native(value.type(), [&]<class From>(From) {
        result = static_cast<double>(value.as<From>()[index]);
      })) {
    return result;
  }
  if (!info(value.type()).is_float()) return static_cast<double>(integer_at(value, index));
  return decode(format_of(value.type()), code_at(value, index)).value;
}

std::vector<float> to_floats(const Value& value) {
  const ElementInfo& row = info(value.type());
  if (row.format.empty() || row.type == ElementType::float32) {
    return row.bits < 8 ? small_integers<float>(value) : to_numbers<float>(value);
  }
  std::vector<float> result(value.size());
  const FloatFormat& format = float_format(row.format);
  if (row.bits == 16) {
    decode(format, value.as<std::uint16_t>(), result);
  } else if (row.bits == 8) {
    decode(format, value.bytes(), result);
  } else {
    const auto codes = unpacked(value);
    decode<std::uint8_t>(format, codes, result);
  }
  return result;
}

std::vector<double> to_doubles(const Value& value) {
  const ElementInfo& row = info(value.type());
  return row.bits < 8 && !row.is_float() ? small_integers<double>(value)
                                         : to_numbers<double>(value);
}

std::vector<std::int64_t> to_integers(const Value& value) {
  const ElementInfo& row = info(value.type());
  if (row.is_float()) {
    throw InputError(fmt::format("expected a tensor of integers, found {}", row.name));
  }
  return row.bits < 8 ? small_integers<std::int64_t>(value) : to_numbers<std::int64_t>(value);
}

Value from_floats(ElementType type, Shape shape, std::span<const float> x, Overflow overflow) {
  const ElementInfo& row = info(type);
  if (row.bits > 16) {
    Value result(type, std::move(shape));
    if (type == ElementType::float32) {
      std::ranges::copy(x, result.as<float>().begin());
    } else {
      std::ranges::copy(x, result.as<double>().begin());
    }
    return result;
  }
  const FloatFormat& format = format_of(type);
  Value result(type, std::move(shape));
  if (row.bits == 16) {
    encode(format, x, result.as<std::uint16_t>(), {.overflow = overflow});
  } else if (row.bits == 8) {
    encode(format, x, result.bytes(), {.overflow = overflow});
  } else {
    std::vector<std::uint8_t> codes(x.size());
    encode<std::uint8_t>(format, x, codes, {.overflow = overflow});
    pack(codes, row.bits, result.bytes());
  }
  return result;
}

Value from_doubles(ElementType type, Shape shape, std::span<const double> x, Overflow overflow,
                   Rounding rounding) {
  const ElementInfo& row = info(type);
  Value result(type, std::move(shape));
  if (row.type == ElementType::float64) {
    std::ranges::copy(x, result.as<double>().begin());
    return result;
  }
  if (row.type == ElementType::float32) {
    std::ranges::transform(x, result.as<float>().begin(),
                           [](double v) { return static_cast<float>(v); });
    return result;
  }
  const FloatFormat& format = format_of(type);
  const auto code = [&](double v) { return encode(format, v, overflow, rounding); };
  if (row.bits == 16) {
    std::ranges::transform(x, result.as<std::uint16_t>().begin(),
                           [&](double v) { return static_cast<std::uint16_t>(code(v)); });
    return result;
  }
  std::vector<std::uint8_t> codes(x.size());
  std::ranges::transform(x, codes.begin(),
                         [&](double v) { return static_cast<std::uint8_t>(code(v)); });
  if (row.bits == 8) {
    std::ranges::copy(codes, result.bytes().begin());
  } else {
    pack(codes, row.bits, result.bytes());
  }
  return result;
}

Value from_integers(ElementType type, Shape shape, std::span<const std::int64_t> x) {
  const ElementInfo& row = info(type);
  if (row.is_float()) {
    throw InputError(fmt::format("expected an integer type, found {}", row.name));
  }
  Value result(type, std::move(shape));
  if (visit_native(type, [&]<class To>(To) {
        std::ranges::transform(x, result.as<To>().begin(),
                               [](std::int64_t v) { return static_cast<To>(v); });
      })) {
    return result;
  }
  std::vector<std::uint8_t> codes(x.size());
  std::ranges::transform(x, codes.begin(),
                         [](std::int64_t v) { return static_cast<std::uint8_t>(v); });
  pack(codes, row.bits, result.bytes());
  return result;
}

}  // namespace zeropoint::model
