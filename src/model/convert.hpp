#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/model/value.hpp"

// Elements of any type as C++ numbers, and back.
namespace zeropoint::model {

/// Calls f with a zero of the C++ type of an element type that has one: the integers from 8 bits
/// on, float32, float64; bool is std::uint8_t. Others: f is not called, and false is returned.
template <class F>
bool visit_native(ElementType type, F&& f) {
  switch (type) {
    case ElementType::float32:
      return f(float{}), true;
    case ElementType::float64:
      return f(double{}), true;
    case ElementType::int8:
      return f(std::int8_t{}), true;
    case ElementType::int16:
      return f(std::int16_t{}), true;
    case ElementType::int32:
      return f(std::int32_t{}), true;
    case ElementType::int64:
      return f(std::int64_t{}), true;
    case ElementType::uint8:
    case ElementType::boolean:
      return f(std::uint8_t{}), true;
    case ElementType::uint16:
      return f(std::uint16_t{}), true;
    case ElementType::uint32:
      return f(std::uint32_t{}), true;
    case ElementType::uint64:
      return f(std::uint64_t{}), true;
    default:
      return false;
  }
}

/// True if every element is exactly a float: floats of at most 32 bits, integers of at most 16.
bool fits_float(ElementType type);

/// One element: its bits as stored; an integer (uint64 as int64 of the same bits) or bool; a double
/// (rounded if it is a 64-bit integer).
std::uint32_t code_at(const Value& value, std::size_t index);
std::int64_t integer_at(const Value& value, std::size_t index);
double double_at(const Value& value, std::size_t index);

/// All elements; those that do not fit are rounded to nearest.
std::vector<float> to_floats(const Value& value);
std::vector<double> to_doubles(const Value& value);
/// Of an integer type or bool; uint64 as int64 of the same bits. Throws InputError for floats.
std::vector<std::int64_t> to_integers(const Value& value);

/// A tensor of a floating-point type, each number rounded once, half to even; `overflow` says what
/// becomes of those beyond the largest (float32, float64: infinity).
Value from_floats(ElementType type, Shape shape, std::span<const float> x,
                  Overflow overflow = Overflow::special);
Value from_doubles(ElementType type, Shape shape, std::span<const double> x,
                   Overflow overflow = Overflow::special, Rounding rounding = Rounding::half_even);

/// A tensor of an integer type; of each number as many low bits as the type has.
Value from_integers(ElementType type, Shape shape, std::span<const std::int64_t> x);

}  // namespace zeropoint::model
