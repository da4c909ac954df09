#include "bench/contestants.hpp"

#if defined(ZEROPOINT_BENCH_GEMMLOWP)
// Macros choose gemmlowp's instruction set while it is compiled; without one it is plain C++. All
// that it includes of the standard library comes first: nothing that others share is compiled for
// AVX2.
#include <algorithm>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <queue>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include "zeropoint/gemm/requantization.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
// The pragmas alone do not define the macro before g++ 13.
#if !defined(__AVX2__)
#define __AVX2__ 1
#define ZEROPOINT_UNDEFINE_AVX2
#endif
#define GEMMLOWP_ENABLE_AVX2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#endif
#include <public/gemmlowp.h>
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#if defined(ZEROPOINT_UNDEFINE_AVX2)
#undef __AVX2__
#endif
#endif

namespace zeropoint {

// uint8 with the same numbers: codes and zero points 128 higher. Its own requantization by a
// multiplier and a shift, rounding half away from zero. B and the result are by columns, which it
// is fastest with.
std::optional<Entrant> make_gemmlowp(const BenchOperands& o, int threads) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) return std::nullopt;
#endif
  struct State {
    gemmlowp::GemmContext context;
    Matrix<std::uint8_t> b, y;  // transposed
    std::int32_t multiplier = 0;
    int shift = 0;
  };
  const auto state = std::make_shared<State>();
  state->y = Matrix<std::uint8_t>(o.shape.n, o.shape.m);
  state->b = Matrix<std::uint8_t>(o.shape.n, o.shape.k);
  for (std::size_t l = 0; l < o.shape.k; ++l) {
    for (std::size_t j = 0; j < o.shape.n; ++j) state->b(j, l) = o.b_unsigned(l, j);
  }
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
            using gemmlowp::MapOrder;
            const gemmlowp::MatrixMap<const std::uint8_t, MapOrder::RowMajor> a(o.a_unsigned.data(),
                                                                                m, k);
            const gemmlowp::MatrixMap<const std::uint8_t, MapOrder::ColMajor> b(state->b.data(), k,
                                                                                n);
            gemmlowp::MatrixMap<std::uint8_t, MapOrder::ColMajor> y(state->y.data(), m, n);
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
                o, "gemmlowp", [&](std::size_t i, std::size_t j) { return state->y(j, i); },
                [&](std::int64_t sum) { return requantize(sum, how); }, {});
          },
      .foreign_threads = threads > 1};
}

}  // namespace zeropoint
#endif
