#pragma once
#include <functional>

#include "zeropoint/gemm/operand.hpp"

namespace zeropoint {

/// Any codes, any k: sums are made in 64 bits, block of rows by block of rows.
/// The shapes fit, m and n are not 0, |S| fits 64 bits.
struct WideProduct {
  CodesView a;
  ZeroPoints zero_a;
  RightOperand b;
  ZeroPoints zero_b;
  std::size_t n;
};

/// Called for blocks of rows [i, i + rows), in order, from the calling thread; `sums` is S there,
/// rows × n.
using FinishRows = std::function<void(std::size_t i, std::size_t rows, const std::int64_t* sums)>;
void multiply(const WideProduct& product, const FinishRows& finish);

}  // namespace zeropoint
