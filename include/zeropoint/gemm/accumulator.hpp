#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/gemm/operand.hpp"

namespace zeropoint {

enum class AccumulatorKind { int32, int16, int8, float64, float32, fp16, bf16 };

/// What an integer accumulator does with a sum that it cannot hold. A floating-point one goes to
/// infinity, whatever this says.
enum class IntegerOverflow {
  refuse,   ///< the sum is exact; one that does not fit in the end is an InputError
  wrap,     ///< modulo 2^bits, in two's complement
  saturate  ///< the nearest end of the range, after every addition
};

/// In which order the k products of an element are added up. The report's order, one outer product
/// after the other, is `sequential` for each element.
enum class SummationOrder {
  sequential,  ///< ((0 + p_0) + p_1) + …
  pairwise,  ///< a binary tree over k: n terms are the first 2^e, for the largest 2^e < n, and the
             ///< rest, each summed like this, and added
  blocked    ///< sequential inside each block of k, then over the blocks' sums
};

/// How sums of products are held and in which order they are made.
struct Accumulator {
  AccumulatorKind kind = AccumulatorKind::int32;
  IntegerOverflow overflow = IntegerOverflow::refuse;  ///< of integers
  SummationOrder order = SummationOrder::sequential;
  std::size_t block = 0;  ///< terms a block, if `order` is blocked

  bool operator==(const Accumulator&) const = default;
};

/// One kind and what it can hold.
struct AccumulatorFormat {
  AccumulatorKind kind;
  std::string_view name;
  std::string_view title;
  bool is_integer;
  double lo, hi;  ///< the least and the largest finite value
  double exact;   ///< every integer up to here, of either sign, is held exactly
  // Of floating-point formats:
  int fraction_bits;  ///< stored ones
  int min_exponent;   ///< of normal numbers
};

/// Every kind there is; a new one is a row in accumulator.cpp.
std::span<const AccumulatorFormat> accumulators();
const AccumulatorFormat& format_of(AccumulatorKind kind);

/// "int32", "int32-wrap", "int32-saturate", …, "float64", …: what may stand before an order.
std::vector<std::string> accumulator_words();
/// "sequential", "pairwise", "blocked=32": what may stand behind it.
std::vector<std::string> order_words();

/// Reads KIND[-wrap|-saturate][:sequential|:pairwise|:blocked=N], N ≥ 1. Throws InputError naming
/// the nearest known word.
Accumulator parse_accumulator(std::string_view text);
/// The same way back; a sequential order is left out.
std::string to_string(const Accumulator& accumulator);

/// Sums of products of codes, p_l = (a_il − z_a)(b_lj − z_b), as an accumulator holds them; `sums`
/// is m×n and holds each exactly. Inputs and outputs must not overlap.
///
/// Integers: a product is first converted to the accumulator, where it wraps or saturates like a
/// sum, and is then added. When wrapping, no order matters, as all is modulo 2^bits.
/// Floating point: the exact product is added to the sum, and the result rounded once, half to
/// even; every number that is held is a sum so rounded, one of a single product too. Beyond the
/// largest finite value it is an infinity, and a NaN once infinities of both signs meet.
///
/// Results are the same on every instruction set and number of threads. k = 0 gives zeros. Scratch
/// memory: 64 MiB, or 512·k bytes if that is more; when wrapping or refusing, 8 bytes an element of
/// `sums` and what qgemm takes. Throws InputError if shapes or zero points do not fit; if a
/// product's magnitude could exceed 2^53, or, when wrapping or refusing, a sum's 2^63; if an order
/// is blocked by 0; if a sum that must fit (`refuse`) does not, naming the first.
void accumulate(const Operand& a, const Operand& b, const Accumulator& accumulator,
                MatrixView<double> sums);

/// The same of real numbers, p_l = a_il·b_lj, by a floating-point accumulator; an integer one is
/// refused. NaN and infinities go through as IEEE 754 has them (0 · ∞ is a NaN); every NaN is the
/// same positive quiet one.
void accumulate(MatrixView<const float> a, MatrixView<const float> b,
                const Accumulator& accumulator, MatrixView<double> sums);

/// The values that code − zero_point can take: {grid.lo() − z, grid.hi() − z}.
struct CodeRange {
  std::int64_t lo, hi;
};

/// The largest k for which no sum of up to k products of such values, in any order, leaves [lo, hi]
/// of an integer, or [−2^p, 2^p] of a format with p bits of precision, in which it holds every
/// integer: up to there the accumulator is exact whatever the values. With P⁺ and P⁻ the largest
/// and the least product, sums reach from k·min(P⁻, 0) to k·max(P⁺, 0), both included, so k is the
/// smaller of ⌊hi / P⁺⌋ and ⌊lo / P⁻⌋. int32: 65,793 for uint8·int8 (lo / (255·−128)), 131,071 for
/// int8·int8 (hi / 128²), 33,025 for uint8·uint8 (hi / 255²), zero points 0. The largest
/// std::size_t if all products are 0. Throws InputError unless lo ≤ hi, within ±(2^31 + 2^16),
/// which zero points of 32 bits and codes of 16 cannot exceed.
std::size_t largest_exact_k(const Accumulator& accumulator, CodeRange a, CodeRange b);

}  // namespace zeropoint
