#pragma once
#include <cstddef>

namespace zeropoint {

/// Columns that the kernels take side by side are a multiple of this, or one alone.
constexpr std::size_t kLineWidth = 16;

/// Walsh–Hadamard of `rows` (a power of two) rows of `width` neighbours each, in place: stages of
/// distances 1, 2, 4 … rows, in this order, so that every result is the same tree of additions on
/// any instruction set; times `scale`. With width 1, the rows are a line's own numbers.
using Walsh = void (*)(float* x, std::size_t rows, std::size_t width, float scale);

/// x[r·width …] = scale · Σ_c signs[r·order + c] · x[c·width …], c ascending, for `order` rows (a
/// multiple of 4), width a multiple of kLineWidth; `scratch` holds order·kMixWidth numbers and is
/// aligned.
constexpr std::size_t kMixWidth = 64;
using Mix = void (*)(float* x, const float* signs, std::size_t order, std::size_t width,
                     float scale, float* scratch);

/// x[i] *= factors[i].
using Multiply = void (*)(float* x, const float* factors, std::size_t count);
/// x[i] *= factor.
using MultiplyAll = void (*)(float* x, float factor, std::size_t count);

/// For this machine's instruction set, to be kept for a whole call.
struct WalshKernels {
  Walsh walsh;
  Mix mix;
  Multiply multiply;
  MultiplyAll multiply_all;
};
WalshKernels walsh_kernels();

}  // namespace zeropoint
