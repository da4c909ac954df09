#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

enum class NpyKind { float16, float32, float64, int8, uint8, int16, uint16, other };

/// An element type of NumPy's.
struct NpyType {
  std::string_view code;  ///< NumPy's kind and size: "f4"
  std::string_view name;
  std::size_t bytes;
  NpyKind kind;             ///< other: read_npy() does not read it
  std::string_view stored;  ///< as containers call it: "F32"
};

struct NpyHeader {
  NpyType type{};
  bool swapped = false;  ///< the file's byte order is not the machine's
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::string shape_text;
  std::size_t data_start = 0;
};

/// Reads what comes before the first element. `any_type`: also those that read_npy() does not read.
/// Throws InputError.
NpyHeader read_npy_header(const std::string& path, std::span<const std::uint8_t> bytes,
                          bool any_type);

/// What comes before the first element of a new array, of version 1, C order and this machine's
/// byte order, up to a multiple of 64 bytes. `stored` as in NpyType; empty if NumPy has no such
/// type.
std::string npy_header(std::string_view stored, std::span<const std::size_t> shape);

}  // namespace zeropoint
