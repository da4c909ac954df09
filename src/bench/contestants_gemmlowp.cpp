#include "bench/contestants.hpp"

#if defined(ZEROPOINT_BENCH_GEMMLOWP)
#include <cmath>
#include <public/gemmlowp.h>

#include "zeropoint/gemm/requantization.hpp"

namespace zeropoint {

// uint8 with the same numbers: codes and zero points 128 higher. Its own requantization by a
// multiplier and a shift, rounding half away from zero.
std::optional<Entrant> make_gemmlowp(const BenchOperands& o, int threads) {
  constexpr auto kRow = gemmlowp::MapOrder::RowMajor;
  struct State {
    gemmlowp::GemmContext context;
    Matrix<std::uint8_t> y;
    std::int32_t multiplier = 0;
    int shift = 0;
  };
  const auto state = std::make_shared<State>();
  state->y = Matrix<std::uint8_t>(o.shape.m, o.shape.n);
  state->context.set_max_num_threads(threads);
  const double real = 128 / (3 * 74.0 * 74.0 * std::sqrt(static_cast<double>(o.shape.k)));
  int exponent = 0;
  state->multiplier = static_cast<std::int32_t>(std::lround(std::frexp(real, &exponent) * 0x1p31));
  state->shift = -exponent;
  return Entrant{
      .call =
          [&o, state] {
            const auto m = static_cast<int>(o.shape.m);
            const auto k = static_cast<int>(o.shape.k);
            const auto n = static_cast<int>(o.shape.n);
            gemmlowp::MatrixMap<const std::uint8_t, kRow> a(o.a_unsigned.data(), m, k);
            gemmlowp::MatrixMap<const std::uint8_t, kRow> b(o.b_unsigned.data(), k, n);
            gemmlowp::MatrixMap<std::uint8_t, kRow> y(state->y.data(), m, n);
            gemmlowp::OutputStageQuantizeDownInt32ByFixedPoint scale;
            scale.result_fixedpoint_multiplier = state->multiplier;
            scale.result_shift = state->shift;
            scale.result_offset_after_shift = 128;
            const auto pipeline =
                std::make_tuple(scale, gemmlowp::OutputStageSaturatingCastToUint8());
            gemmlowp::GemmWithOutputPipeline<std::uint8_t, std::uint8_t,
                                             gemmlowp::DefaultL8R8BitDepthParams>(
                &state->context, a, b, &y, -(kBenchZeroA + 128), -(kBenchZeroB + 128), pipeline);
          },
      .check =
          [&o, state] {
            Requantization how = requantization("gemmlowp");
            how.multiplier = std::ldexp(state->multiplier, -31 - state->shift);
            how.zero_point = 128;
            how.lo = 0;
            how.hi = 255;
            check_result(
                o, "gemmlowp", [&](std::size_t i, std::size_t j) { return state->y(i, j); },
                [&](std::int64_t sum) { return requantize(sum, how); }, 0);
          },
      .foreign_threads = threads > 1};
}

}  // namespace zeropoint
#endif
