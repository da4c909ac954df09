// Quantizes two random matrices to int8, multiplies them as integers, and holds the error of the
// result against what theory predicts without looking at the data.
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "zeropoint/zeropoint.hpp"

using namespace zeropoint;

int main() {
  constexpr std::size_t n = 512;
  constexpr double cover = 0.99;
  const Convention convention = parse_convention("report-code");
  const IntegerGrid int8 = convention.grid(8);
  const auto params = [&](const Matrix<float>& x) {
    return choose_params(coverage_range(x.values(), cover, convention.coverage), int8, convention);
  };

  // What is wanted: Y = A·B in float32.
  const Distribution& normal = distribution("normal");
  const auto [a, b] = draw_operands(normal, Generator::counter, 0, n, n, n);
  const Matrix<float> y = float_product(a, b);

  // What a device computes: codes of A times codes of B, brought to codes of Y.
  const QTensor qa(a, params(a), int8, convention);
  const QTensor qb(b, params(b), int8, convention);
  const QuantParams out = params(y);
  const Requantization requantization{
      .multiplier = double{qa.params().scale} * qb.params().scale / out.scale,
      .zero_point = out.zero_point,
      .lo = int8.lo(),
      .hi = int8.hi(),
      .rounding = convention.rounding,
      .zero_point_before_rounding = convention.order == ZeroPointOrder::before_rounding};
  Matrix<std::int8_t> codes(n, n);
  qgemm(qa.operand(), qb.operand(), requantization, codes.view());

  // ‖Y − Y'‖ / ‖Y‖, measured and predicted.
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double true_value = y.data()[i];
    difference += std::pow(true_value - dequantize(codes.data()[i], out), 2);
    norm += true_value * true_value;
  }
  const StudyPrediction theory = predict_study(normal, n, n, n, cover, 8, convention);
  std::printf("A: scale %.6g, zero point %d, %.2f %% clipped\n", qa.params().scale,
              qa.params().zero_point, 100 * qa.clipped());
  std::printf("relative error of the int8 product: measured %.5f, predicted %.5f\n",
              std::sqrt(difference / norm), theory.errors.ground_truth);
}
