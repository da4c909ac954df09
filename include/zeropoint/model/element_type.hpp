#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "zeropoint/formats/float_format.hpp"

namespace zeropoint::model {

/// The element types of ONNX's tensors, numbered as in its TensorProto.DataType.
enum class ElementType : std::int32_t {
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  bfloat16 = 16,
  float8e4m3fn = 17,
  float8e4m3fnuz = 18,
  float8e5m2 = 19,
  float8e5m2fnuz = 20,
  uint4 = 21,
  int4 = 22,
  float4e2m1 = 23,
  float8e8m0 = 24,
  uint2 = 25,
  int2 = 26
};

enum class ElementKind { floating, signed_integer, unsigned_integer, boolean };

struct ElementInfo {
  ElementType type;
  std::string_view name;  ///< as in ONNX's type strings: "float", "uint8", "float8e4m3fn"
  int bits;               ///< 2, 4, 8, 16, 32 or 64; elements of less than a byte lie packed
  ElementKind kind;
  std::string_view format = "";  ///< of the formats layer; empty: an integer, or a C++ type

  bool is_integer() const {
    return kind == ElementKind::signed_integer || kind == ElementKind::unsigned_integer;
  }
  bool is_float() const { return kind == ElementKind::floating; }
};

/// Every element type there is, strings and complex numbers excepted.
std::span<const ElementInfo> element_types();

const ElementInfo& info(ElementType type);

/// "float", "int4".
std::string_view name(ElementType type);

/// The bits of a floating-point type's codes. Throws InputError for float64, which has none here,
/// and for integers.
const FloatFormat& format_of(ElementType type);

/// The type of that number in ONNX's files. Throws InputError: `where` says whose it is.
ElementType element_type(std::int64_t number, std::string_view where);

}  // namespace zeropoint::model
