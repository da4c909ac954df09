#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include <fmt/format.h>
#include <omp.h>

#include "zeropoint/core/error.hpp"

#include "bench/contestants.hpp"

// oneDNN's products, as its users call them: the primitive is made once, execution is timed.

namespace zeropoint {

std::optional<Entrant> make_onednn_fp32(const BenchOperands& o, int threads) {
  const auto y = std::make_shared<Matrix<float>>(o.shape.m, o.shape.n);
  return Entrant{
      .call =
          [&o, y, threads] {
            omp_set_num_threads(threads);
            const auto m = static_cast<dnnl_dim_t>(o.shape.m);
            const auto k = static_cast<dnnl_dim_t>(o.shape.k);
            const auto n = static_cast<dnnl_dim_t>(o.shape.n);
            if (dnnl_sgemm('N', 'N', m, n, k, 1.0F, o.float_a.data(), k, o.float_b.data(), n, 0.0F,
                           y->data(), n) != dnnl_success) {
              throw WorkError("bench: oneDNN's float32 product failed");
            }
          },
      .check =
          [&o, y] {
            // Numbers are codes / 128, products multiples of 2^-14 with a standard
            // deviation of 1/3: up to that k, 2^10 and with it float32's 24 bits are
            // twelve standard deviations of a sum, and sums are exact.
            const auto sums = exact_rows(o.a, 0, o.b, 0, o.rows);
            const bool exact = o.shape.k <= std::size_t{1} << 16;
            const Tolerance most{.absolute = exact ? 0 : 1e-6 * static_cast<double>(o.shape.k)};
            check_result(
                o, "onednn_fp32", [&](std::size_t i, std::size_t j) { return (*y)(i, j); },
                [](std::int64_t sum) { return static_cast<double>(sum) / (128 * 128); }, most,
                &sums);
          }};
}

namespace {

std::optional<Entrant> int8_product(const BenchOperands& o, int threads, bool packs) {
  using namespace dnnl;
  struct State {
    engine cpu{engine::kind::cpu, 0};
    stream order{cpu};
    std::unordered_map<int, memory> arguments;
    matmul product;
    Matrix<float> y;
    float scale = kBenchScaleA * kBenchScaleB;
    std::int32_t zero_a = kBenchZeroA, zero_b = kBenchZeroB;
  };
  const auto state = std::make_shared<State>();
  state->y = Matrix<float>(o.shape.m, o.shape.n);
  omp_set_num_threads(threads);
  const auto m = static_cast<memory::dim>(o.shape.m);
  const auto k = static_cast<memory::dim>(o.shape.k);
  const auto n = static_cast<memory::dim>(o.shape.n);
  const auto row_major = memory::format_tag::ab;
  const memory::desc a({m, k}, memory::data_type::s8, row_major);
  const memory::desc b({k, n}, memory::data_type::s8, row_major);
  // Packed: in whatever layout oneDNN likes best.
  const memory::desc liked({k, n}, memory::data_type::s8, memory::format_tag::any);
  const memory::desc y({m, n}, memory::data_type::f32, row_major);
  try {
    primitive_attr attributes;
    attributes.set_output_scales(0, {DNNL_RUNTIME_F32_VAL});
    attributes.set_zero_points(DNNL_ARG_SRC, 0, {DNNL_RUNTIME_S32_VAL});
    attributes.set_zero_points(DNNL_ARG_WEIGHTS, 0, {DNNL_RUNTIME_S32_VAL});
    const matmul::primitive_desc description(matmul::desc(a, packs ? liked : b, y), attributes,
                                             state->cpu);
    state->product = matmul(description);
    memory right(b, state->cpu, const_cast<std::int8_t*>(o.b.data()));
    if (packs) {
      memory laid_out(description.weights_desc(), state->cpu);
      reorder(right, laid_out).execute(state->order, right, laid_out);
      state->order.wait();
      right = laid_out;
    }
    const auto one = [&](memory::data_type type, void* value) {
      return memory({{1}, type, {1}}, state->cpu, value);
    };
    state->arguments = {
        {DNNL_ARG_SRC, memory(a, state->cpu, const_cast<std::int8_t*>(o.a.data()))},
        {DNNL_ARG_WEIGHTS, right},
        {DNNL_ARG_DST, memory(y, state->cpu, state->y.data())},
        {DNNL_ARG_ATTR_OUTPUT_SCALES, one(memory::data_type::f32, &state->scale)},
        {DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, one(memory::data_type::s32, &state->zero_a)},
        {DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_WEIGHTS,
         one(memory::data_type::s32, &state->zero_b)}};
  } catch (const dnnl::error& error) {
    throw WorkError(
        fmt::format("bench: oneDNN's int8 product at {}: {}", to_string(o.shape), error.what()));
  }
  return Entrant{.call =
                     [state, threads] {
                       omp_set_num_threads(threads);
                       state->product.execute(state->order, state->arguments);
                       state->order.wait();
                     },
                 .check =
                     [&o, state, packs] {
                       // The exact sum to float32, and by a scale: two roundings.
                       const Tolerance most{.relative = 0x1p-23};
                       check_result(
                           o, packs ? "onednn_int8_packed" : "onednn_int8",
                           [&](std::size_t i, std::size_t j) { return state->y(i, j); },
                           [&](std::int64_t sum) {
                             return static_cast<double>(state->scale) * static_cast<double>(sum);
                           },
                           most);
                     }};
}

}  // namespace

std::optional<Entrant> make_onednn_int8(const BenchOperands& o, int threads) {
  return int8_product(o, threads, false);
}
std::optional<Entrant> make_onednn_int8_packed(const BenchOperands& o, int threads) {
  return int8_product(o, threads, true);
}

}  // namespace zeropoint
