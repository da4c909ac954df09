#include "zeropoint/model/element_type.hpp"

#include <array>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint::model {
namespace {

using enum ElementType;
constexpr auto kFloat = ElementKind::floating;
constexpr auto kSigned = ElementKind::signed_integer;
constexpr auto kUnsigned = ElementKind::unsigned_integer;

// Names as in ONNX's docs/IR.md; the formats behind them as in its docs/technical/float8.md,
// float4.md and the OCP's specifications.
constexpr std::array kTypes = {
    ElementInfo{float32, "float", 32, kFloat, "fp32"},
    ElementInfo{float64, "double", 64, kFloat},
    ElementInfo{float16, "float16", 16, kFloat, "fp16"},
    ElementInfo{bfloat16, "bfloat16", 16, kFloat, "bf16"},
    ElementInfo{float8e4m3fn, "float8e4m3fn", 8, kFloat, "e4m3"},
    ElementInfo{float8e4m3fnuz, "float8e4m3fnuz", 8, kFloat, "e4m3fnuz"},
    ElementInfo{float8e5m2, "float8e5m2", 8, kFloat, "e5m2"},
    ElementInfo{float8e5m2fnuz, "float8e5m2fnuz", 8, kFloat, "e5m2fnuz"},
    ElementInfo{float8e8m0, "float8e8m0", 8, kFloat, "e8m0"},
    ElementInfo{float4e2m1, "float4e2m1", 4, kFloat, "e2m1"},
    ElementInfo{int2, "int2", 2, kSigned},
    ElementInfo{int4, "int4", 4, kSigned},
    ElementInfo{int8, "int8", 8, kSigned},
    ElementInfo{int16, "int16", 16, kSigned},
    ElementInfo{int32, "int32", 32, kSigned},
    ElementInfo{int64, "int64", 64, kSigned},
    ElementInfo{uint2, "uint2", 2, kUnsigned},
    ElementInfo{uint4, "uint4", 4, kUnsigned},
    ElementInfo{uint8, "uint8", 8, kUnsigned},
    ElementInfo{uint16, "uint16", 16, kUnsigned},
    ElementInfo{uint32, "uint32", 32, kUnsigned},
    ElementInfo{uint64, "uint64", 64, kUnsigned},
    ElementInfo{boolean, "bool", 8, ElementKind::boolean},
};

// Numbers that ONNX has and zeropoint has not.
std::string_view unsupported_name(std::int64_t number) {
  switch (number) {
    case 0:
      return "undefined";
    case 8:
      return "string";
    case 14:
      return "complex64";
    case 15:
      return "complex128";
    default:
      return "unknown";
  }
}

}  // namespace

std::span<const ElementInfo> element_types() { return kTypes; }

const ElementInfo& info(ElementType type) {
  for (const ElementInfo& row : kTypes) {
    if (row.type == type) return row;
  }
  throw InputError(fmt::format("element type: expected one of ONNX's, found number {}",
                               static_cast<std::int32_t>(type)));
}

std::string_view name(ElementType type) { return info(type).name; }

const FloatFormat& format_of(ElementType type) {
  const ElementInfo& row = info(type);
  if (row.format.empty()) {
    throw InputError(
        fmt::format("element type: expected a float of at most 32 bits, found {}", row.name));
  }
  return float_format(row.format);
}

ElementType element_type(std::int64_t number, std::string_view where) {
  for (const ElementInfo& row : kTypes) {
    if (static_cast<std::int64_t>(row.type) == number) return row.type;
  }
  throw InputError(fmt::format(
      "{}: expected a numeric element type, found number {} ({}), which is not supported", where,
      number, unsupported_name(number)));
}

}  // namespace zeropoint::model
