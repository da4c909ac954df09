#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "zeropoint/core/matrix.hpp"

namespace zeropoint {

/// What a transform runs along: the lines of a matrix are its rows, or its columns.
enum class Along { rows, columns };

/// Whether a Hadamard matrix of that order can be made here: a power of two, or a power of two
/// times an order of Paley's (up to 344).
bool has_hadamard_order(std::size_t order);

/// The order that lines of `length` are rotated by: `length` itself where there is a matrix of that
/// order; else the largest below, which is more than 8/9 of it from 72 on.
std::size_t hadamard_order_for(std::size_t length);

/// The ±1 matrix of an order that has_hadamard_order, row by row: H·Hᵀ = order·I. Throws InputError
/// for other orders.
std::vector<std::int8_t> hadamard_matrix(std::size_t order);

/// An orthonormal map of lines of one length, each entry of the result a sum of many entries with
/// weights of one magnitude: H/√n, of random signs of the entries first if there is a seed.
///
/// Where no matrix H has that length, the first n entries of a line are rotated by the largest H
/// that there is, then the last n of what came of it, by random signs first (of a fixed seed, where
/// none is given, since two of Sylvester's matrices in a row may undo each other): every entry is
/// rotated, by a matrix of more than 8/9 of the length.
///
/// The same bits on every instruction set and at any thread count. A result is infinite or NaN
/// where the magnitudes of a line sum to more than float32 holds.
class Rotation {
 public:
  explicit Rotation(std::size_t length, std::optional<std::uint64_t> seed = {});
  ~Rotation();
  Rotation(Rotation&&) noexcept;
  Rotation& operator=(Rotation&&) noexcept;

  std::size_t length() const;
  /// Of the matrix; the length, or less if it takes two.
  std::size_t order() const;
  /// In place on every line of x, which must be as long. Throws InputError if it is not.
  void apply(MatrixView<float> x, Along along) const;
  /// Back again, but for rounding.
  void invert(MatrixView<float> x, Along along) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace zeropoint
