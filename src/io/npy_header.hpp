#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

// The header of a NumPy array in a file. Source: NumPy Enhancement Proposal 1 and
// numpy.lib.format.

namespace zeropoint {

enum class NpyKind {
  float16,
  float32,
  float64,
  int8,
  uint8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  uint64,
  boolean
};

struct NpyType {
  std::string_view code;  ///< NumPy's kind and size
  std::string_view name;
  std::size_t bytes;
  NpyKind kind;
  std::string_view tensor_type;  ///< a row of tensor_types()
};

/// Which types a reader takes, and how its refusals call them.
struct NpyTypes {
  std::span<const NpyType> rows;
  std::string_view expected;
};
/// Those of read_npy's matrices, and all that a tensor may have.
const NpyTypes& npy_matrix_types();
const NpyTypes& npy_tensor_types();

struct NpyHeader {
  NpyType type{};
  bool swapped = false;  ///< the file's byte order is not the machine's
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::string shape_text;
  std::uint64_t data_start = 0;  ///< bytes before the first element
};

/// The bytes that say how long the header is.
inline constexpr std::size_t kNpyPrefix = 12;
/// How many bytes from the array's start are needed for parse_npy_header, as its first kNpyPrefix
/// bytes or fewer say it; bounded, whatever they say.
std::size_t npy_start_bytes(std::span<const std::uint8_t> prefix);

/// `start` holds the first npy_start_bytes() of the array, or all of its `size` bytes; `where`
/// begins refusals. Throws InputError.
NpyHeader parse_npy_header(const std::string& where, std::span<const std::uint8_t> start,
                           std::uint64_t size, const NpyTypes& types);

/// Whether the elements take `data_bytes`, no more and no fewer; throws InputError.
void check_npy_size(const std::string& where, const NpyHeader& header, std::uint64_t data_bytes);

/// What stands before the elements of a row-major array in the machine's byte order: version 1, a
/// multiple of 64 bytes.
std::string npy_start(const NpyType& type, std::span<const std::size_t> shape);

/// The type that NumPy has for a tensor's; throws InputError that names the tensor and `container`
/// if there is none, or if it has more axes than NumPy's arrays.
const NpyType& npy_type_of(std::string_view container, const TensorFilePlan::Tensor& tensor);
/// As Container::wrong_tensor says.
std::string wrong_npy_tensor(const TensorFilePlan::Tensor& tensor);

/// Whether the elements in the file are a tensor's bytes as they stand.
bool is_npy_plain(const NpyHeader& header);
/// The elements row by row in the machine's byte order.
std::vector<std::uint8_t> npy_row_major(const NpyHeader& header,
                                        std::span<const std::uint8_t> elements);

/// Turns each element around.
void reverse_npy_bytes(std::uint8_t* elements, std::size_t count, std::size_t width);

/// `where`: expected …, found …, as InputError.
[[noreturn]] void refuse_npy(const std::string& where, std::string_view expected,
                             std::string_view found);

}  // namespace zeropoint
