#pragma once
#include <string>

#include "zeropoint/core/matrix.hpp"

namespace zeropoint {

/// Reads a two-dimensional matrix from a NumPy .npy file (format versions 1 to 3). Accepts
/// float16, float32, float64 and integers of 8 and 16 bits, either byte order, C and Fortran
/// order; the result is float32, row-major. Throws InputError naming the file, what was expected
/// and what was found: not an .npy file, truncated, trailing bytes, another type, not two
/// dimensions, zero-sized, NaN or infinity, a float64 beyond float32's range. Allocates nothing
/// that the file's own size does not warrant.
/// Source: NumPy Enhancement Proposal 1 and numpy.lib.format.
Matrix<float> read_npy(const std::string& path);

/// The shape that read_npy would give, from the file's header and size alone. Throws as read_npy
/// does, but for what only the elements show.
struct NpyShape {
  std::size_t rows = 0, cols = 0;
};
NpyShape npy_shape(const std::string& path);

/// Writes float32, C order, version 1. Throws WorkError if the file cannot be written.
void write_npy(const std::string& path, MatrixView<const float> matrix);

}  // namespace zeropoint
