// A float32 linear layer, and the same layer in int8: weights quantized and packed once,
// activations at each call.
#include <cmath>
#include <cstdio>

#include "zeropoint/zeropoint.hpp"

using namespace zeropoint;

int main() {
  // 128 activations of 768 numbers, weights to 3072: a transformer's feed-forward layer.
  const auto [x, w] = draw_operands(distribution("normal"), Generator::counter, 0, 128, 768, 3072);

  const Matrix<float> before = float_product(x, w);

  const QuantizedWeights weights(w.view());  // once
  Matrix<float> after(x.rows(), w.cols());
  quantized_matmul(x.view(), weights, after.view());  // at each call

  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    difference += std::pow(double{before.data()[i]} - after.data()[i], 2);
    norm += std::pow(double{before.data()[i]}, 2);
  }
  std::printf("kernel %s, %.1f MB of weights in place of %.1f, relative error %.4f\n",
              std::string(kernel_name()).c_str(),
              1e-6 * static_cast<double>(weights.packed().bytes()),
              4e-6 * static_cast<double>(w.size()), std::sqrt(difference / norm));
}
