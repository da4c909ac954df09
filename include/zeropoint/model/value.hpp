#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "zeropoint/model/element_type.hpp"

namespace zeropoint::model {

/// Sizes of the axes, outermost first; empty for a scalar.
using Shape = std::vector<std::int64_t>;

/// "[2, 3]"; "[]" for a scalar.
std::string to_string(const Shape& shape);

/// The number of elements, 1 for a scalar. Throws InputError if a size is negative or the product
/// exceeds 2^48; `where` says whose shape it is.
std::size_t count_elements(const Shape& shape, const std::string& where);

/// A tensor: elements in row-major order, least significant byte first, those of less than a byte
/// packed from the low bits on, as in ONNX's raw_data. Owns its bytes.
class Value {
 public:
  /// A scalar 0 of float32.
  Value() : Value(ElementType::float32, {}) {}
  /// All bits 0. Throws InputError as count_elements does, WorkError if memory does not suffice.
  Value(ElementType type, Shape shape);
  /// From elements of a C++ type that is the element type's own (std::uint8_t also for 8-bit
  /// floats and booleans, std::uint16_t for 16-bit floats). Throws InputError if there are not as
  /// many as the shape says.
  template <class T>
  Value(ElementType type, Shape shape, std::span<const T> elements)
      : Value(type, std::move(shape)) {
    fill(elements.data(), elements.size(), sizeof(T));
  }

  ElementType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  std::size_t rank() const { return shape_.size(); }
  /// The number of elements.
  std::size_t size() const { return size_; }
  /// True if there is one element, whatever the rank.
  bool is_single() const { return size_ == 1; }

  std::span<std::uint8_t> bytes() { return bytes_; }
  std::span<const std::uint8_t> bytes() const { return bytes_; }

  /// The elements as a C++ type of their width; not for those of less than a byte. Throws
  /// InputError if the width is another.
  template <class T>
  std::span<const T> as() const {
    check_width(sizeof(T));
    return {reinterpret_cast<const T*>(bytes_.data()), size_};
  }
  template <class T>
  std::span<T> as() {
    check_width(sizeof(T));
    return {reinterpret_cast<T*>(bytes_.data()), size_};
  }

  /// The same elements in another shape of as many.
  Value reshaped(Shape shape) const;

 private:
  void fill(const void* elements, std::size_t count, std::size_t width);
  void check_width(std::size_t width) const;

  ElementType type_;
  Shape shape_;
  std::size_t size_ = 0;
  std::vector<std::uint8_t> bytes_;
};

/// Element `index` as text: "7", "0.5", "nan"; 8-bit floats and smaller with their code.
std::string element_text(const Value& value, std::size_t index);

}  // namespace zeropoint::model
