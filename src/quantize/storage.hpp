#pragma once
#include "zeropoint/quantize/qtensor.hpp"

namespace zeropoint {

/// Uninitialized codes of a format, a value each: signed for signed grids, else unsigned; of 8 bits
/// up to 8, else of 16. Not for block formats and codes of more than 16 bits.
CodeMatrix codes_for(const Format& format, std::size_t rows, std::size_t cols);

/// Codes of less than a byte packed into one row of bytes; others as they are.
CodeMatrix packed_for_storage(CodeMatrix codes, int bits);

}  // namespace zeropoint
