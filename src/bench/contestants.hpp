#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zeropoint/bench/bench.hpp"
#include "zeropoint/core/matrix.hpp"

#include "bench/turns.hpp"

namespace zeropoint {

/// The operands of one shape, and the exact product where it is checked.
struct BenchOperands {
  /// Of a product that takes long, so many rows are checked, spread over it.
  explicit BenchOperands(const BenchShape& shape, std::size_t checked_rows = 64);

  BenchShape shape;
  Matrix<std::int8_t> a, b;
  Matrix<std::uint8_t> a_unsigned;  ///< a + 128: what gemmlowp takes
  Matrix<std::uint8_t> b_unsigned;
  Matrix<float> float_a, float_b;
  std::vector<std::size_t> rows;  ///< those that are checked
  Matrix<std::int64_t> exact;     ///< S there
};

inline constexpr std::int32_t kBenchZeroA = 17, kBenchZeroB = -5, kBenchZeroY = 3;
inline constexpr float kBenchScaleA = 0.01F, kBenchScaleB = 0.02F;

/// A contestant ready to run at a shape. `check` holds what the last call left against the
/// definition; throws WorkError.
struct Entrant {
  const ContestantInfo* info = nullptr;
  std::function<void()> call;
  std::function<void()> check;
  bool foreign_threads = false;
};

/// One row a contestant; nothing if it does not take part (a shape that its library refuses).
using MakeEntrant = std::optional<Entrant> (*)(const BenchOperands& operands, int threads);
struct ContestantRow {
  ContestantInfo info;
  MakeEntrant make;
};
std::span<const ContestantRow> contestant_rows();

// What a contestant's file offers to the list.
std::optional<Entrant> make_int8_float32(const BenchOperands&, int);
std::optional<Entrant> make_int8_float32_packed(const BenchOperands&, int);
std::optional<Entrant> make_int8_int8(const BenchOperands&, int);
std::optional<Entrant> make_int8_int8_packed(const BenchOperands&, int);
std::optional<Entrant> make_int8_int32(const BenchOperands&, int);
std::optional<Entrant> make_dynamic(const BenchOperands&, int);
std::optional<Entrant> make_dynamic_packed(const BenchOperands&, int);
std::optional<Entrant> make_onednn_fp32(const BenchOperands&, int);
std::optional<Entrant> make_onednn_int8(const BenchOperands&, int);
std::optional<Entrant> make_onednn_int8_packed(const BenchOperands&, int);
std::optional<Entrant> make_gemmlowp(const BenchOperands&, int);

/// Σ_l (a_il − z_a)(b_lj − z_b) of those rows of A, by plain loops.
Matrix<std::int64_t> exact_rows(const Matrix<std::int8_t>& a, std::int32_t zero_a,
                                const Matrix<std::int8_t>& b, std::int32_t zero_b,
                                const std::vector<std::size_t>& rows);

/// How far a result may be from what is expected: the sum of both.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

/// Throws WorkError unless |found − expected| is within the tolerance at every checked row and
/// column; `expected` makes it of the exact sum, which is operands.exact unless `sums` is given.
void check_result(const BenchOperands& operands, std::string_view contestant,
                  const std::function<double(std::size_t i, std::size_t j)>& found,
                  const std::function<double(std::int64_t sum)>& expected, Tolerance tolerance,
                  const Matrix<std::int64_t>* sums = nullptr);

}  // namespace zeropoint
