// The product reads and writes what it is given and nothing else: operands, scales and outputs that
// end where the program may not go on. That nothing beside an output's elements changes is checked
// by every comparison of qgemm_test.cpp.
#include <gtest/gtest.h>

#include "support/guarded.hpp"
#include "support/kernels.hpp"
#include "support/products.hpp"

namespace zeropoint {
namespace {

using namespace testing;  // zeropoint's

constexpr std::size_t kMostBytes = 1 << 15;

// Memory for each of a product's matrices and lists.
struct Memory {
  Guarded a{kMostBytes}, b{kMostBytes}, out{kMostBytes};
  Guarded zero_a{kMostBytes}, zero_b{kMostBytes}, scale_a{kMostBytes}, scale_b{kMostBytes},
      bias{kMostBytes}, multipliers{kMostBytes};
};

// Contiguous in one of its four directions, so that every element of its memory is in the matrix.
enum class Direction { rows, columns, rows_backwards, columns_backwards };
constexpr Direction kDirections[] = {Direction::rows, Direction::columns, Direction::rows_backwards,
                                     Direction::columns_backwards};

template <class T>
MatrixView<T> view_of(const Guarded& memory, std::size_t rows, std::size_t cols,
                      Direction direction, bool at_end) {
  T* const data = memory.array<T>(rows * cols, at_end);
  const auto r = static_cast<std::ptrdiff_t>(rows);
  const auto c = static_cast<std::ptrdiff_t>(cols);
  switch (direction) {
    case Direction::rows:
      break;
    case Direction::columns:
      return {data, rows, cols, 1, r};
    case Direction::rows_backwards:
      return {data + (r - 1) * c, rows, cols, -c, 1};
    case Direction::columns_backwards:
      return {data + (c - 1) * r, rows, cols, 1, -r};
  }
  return {data, rows, cols, c, 1};
}

template <class T, class Make>
std::span<T> list_of(const Guarded& memory, std::size_t count, bool at_end, const Make& make) {
  const std::span<T> list(memory.array<T>(count, at_end), count);
  for (T& x : list) x = make();
  return list;
}

template <class Y, class Expected>
void expect_elements_of(MatrixView<Y> view, const Expected& expected) {
  for (std::size_t i = 0; i < view.rows; ++i) {
    for (std::size_t j = 0; j < view.cols; ++j) {
      ASSERT_EQ(view(i, j), expected(i, j)) << i << ", " << j;
    }
  }
}

// One product with all of its outputs.
template <class A, class B>
void expect_nothing_beyond(const Memory& memory, const Shape& shape, std::mt19937_64& random) {
  const auto [m, k, n] = shape;
  const auto direction = [&] { return kDirections[random() % 4]; };
  const auto at_end = [&] { return random() % 2 == 0; };
  const MatrixView<A> a = view_of<A>(memory.a, m, k, direction(), at_end());
  const MatrixView<B> b = view_of<B>(memory.b, k, n, direction(), at_end());
  const auto fill = [&]<class T>(MatrixView<T> view) {
    for (std::size_t i = 0; i < view.rows; ++i) {
      for (std::size_t j = 0; j < view.cols; ++j) view(i, j) = any_code<T>(random);
    }
  };
  fill(a);
  fill(b);
  const auto zero_point = [&] { return static_cast<std::int32_t>(random() % 256); };
  const auto scale = [&] { return static_cast<float>(between(random, 0.001, 0.1)); };
  const auto zeros_a = list_of<std::int32_t>(memory.zero_a, m, at_end(), zero_point);
  const auto zeros_b = list_of<std::int32_t>(memory.zero_b, n, at_end(), zero_point);
  const std::span<const float> scales_a = list_of<float>(memory.scale_a, m, at_end(), scale);
  const std::span<const float> scales_b = list_of<float>(memory.scale_b, n, at_end(), scale);
  const auto bias = list_of<float>(memory.bias, n, at_end(), scale);
  const auto multipliers = list_of<double>(memory.multipliers, n, at_end(),
                                           [&] { return between(random, 0.001, 0.01); });
  for (const bool of_each : {false, true}) {
    ZeroPointsOf zero_a{3};
    ZeroPointsOf zero_b{-5};
    if (of_each) zero_a.each.assign(zeros_a.begin(), zeros_a.end());
    if (of_each) zero_b.each.assign(zeros_b.begin(), zeros_b.end());
    const auto sums = sums_by_definition<A, B>(a, zero_a, b, zero_b);
    const auto points = [&](std::span<const std::int32_t> list, std::int32_t all) {
      return of_each ? ZeroPoints(list) : ZeroPoints(all);
    };
    const Operand operand_a(a, points(zeros_a, zero_a.all));
    const Operand operand_b(b, points(zeros_b, zero_b.all));
    std::optional<PackedMatrix> packed;
    if constexpr (sizeof(B) == 1) packed.emplace(operand_b);
    for (int way = 0; way < (packed ? 2 : 1); ++way) {
      const RightOperand right = way == 0 ? RightOperand(operand_b) : RightOperand(*packed);
      const auto longs = view_of<std::int64_t>(memory.out, m, n, direction(), at_end());
      qgemm(operand_a, right, longs);
      expect_elements_of(longs, [&](auto i, auto j) { return sums(i, j); });
      const auto ints = view_of<std::int32_t>(memory.out, m, n, direction(), at_end());
      if (sizeof(A) + sizeof(B) == 2) {
        qgemm(operand_a, right, ints);
        expect_elements_of(ints, [&](auto i, auto j) { return sums(i, j); });
      }
      const auto reals = view_of<float>(memory.out, m, n, direction(), at_end());
      Dequantization real{.a = of_each ? Scales(scales_a) : Scales(0.5F), .b = scales_b};
      real.bias = bias;
      qgemm(operand_a, right, real, reals);
      expect_elements_of(reals, [&](auto i, auto j) {
        return (of_each ? scales_a[i] : 0.5F) * scales_b[j] * static_cast<float>(sums(i, j)) +
               bias[j];
      });
      const auto codes = view_of<std::uint8_t>(memory.out, m, n, direction(), at_end());
      Requantization how{.zero_point = 100, .lo = 0, .hi = 255};
      how.multipliers = multipliers;
      how.scale_in = random() % 2 == 0 ? ScaleIn::float32 : ScaleIn::float64;
      qgemm(operand_a, right, how, codes);
      expect_elements_of(codes, [&](auto i, auto j) {
        Requantization of_column = how;
        of_column.multipliers = {};
        of_column.multiplier = multipliers[j];
        return requantize(sums(i, j), of_column);
      });
    }
  }
}

TEST(QgemmMemory, StaysWithinOperandsAndOutputs) {
  const Memory memory;
  on_every_kernel([&](const Kernel&) {
    std::uint64_t seed = 0;
    for (const std::size_t m : {1, 3, 7, 9, 13, 19}) {
      for (const std::size_t k : {1, 2, 3, 5, 6, 7, 9, 31, 63, 65, 67}) {
        for (const std::size_t n : {1, 2, 5, 15, 17, 31, 33, 47, 49, 50, 65}) {
          SCOPED_TRACE(fmt::format("{}x{}x{}, seed {}", m, k, n, ++seed));
          std::mt19937_64 random(seed);
          const Shape shape{m, k, n};
          expect_nothing_beyond<std::int8_t, std::uint8_t>(memory, shape, random);
          expect_nothing_beyond<std::uint8_t, std::int8_t>(memory, shape, random);
          expect_nothing_beyond<std::int8_t, std::int8_t>(memory, shape, random);
          expect_nothing_beyond<std::uint8_t, std::uint8_t>(memory, shape, random);
          if (seed % 4 == 0) {
            expect_nothing_beyond<std::int16_t, std::uint8_t>(memory, shape, random);
            expect_nothing_beyond<std::int8_t, std::uint16_t>(memory, shape, random);
          }
          ASSERT_FALSE(HasFailure());
        }
      }
    }
  });
}

}  // namespace
}  // namespace zeropoint
