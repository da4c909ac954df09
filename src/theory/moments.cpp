#include "zeropoint/theory/moments.hpp"

#include <vector>

#include "zeropoint/core/parallel.hpp"

#include "theory/cells.hpp"
#include "theory/small_sample.hpp"

namespace zeropoint {

OperandMoments moments(const Distribution& distribution, QuantParams params,
                       const IntegerGrid& grid, const Convention& convention, double count) {
  const Cells cells = make_cells(params, grid, convention);
  OperandMoments m;
  if (count <= kSmallSample) {
    for (double rank = 0; rank < count; ++rank) {
      const double x = distribution.expected_order_statistic(rank, count);
      const double q = cells.values[cells.at(x)];
      m.x += x / count;
      m.q += q / count;
      m.xx += x * x / count;
      m.xq += x * q / count;
      m.qq += q * q / count;
    }
    return m;
  }
  m.xx = distribution.variance;
  double cdf_below = 0;
  double mean_below = 0;
  for (std::size_t i = 0; i < cells.count(); ++i) {
    const double cdf = distribution.cdf(cells.edges[i + 1]);
    const double mean = distribution.partial_mean(cells.edges[i + 1]);
    const double q = cells.values[i];
    m.q += q * (cdf - cdf_below);
    m.qq += q * q * (cdf - cdf_below);
    m.xq += q * (mean - mean_below);
    cdf_below = cdf;
    mean_below = mean;
  }
  return m;
}

OperandMoments moments(const Matrix<float>& x, const QTensor& q) {
  // Summed piece by piece, so that the result does not depend on threads.
  constexpr std::size_t kGrain = 1 << 16;
  std::vector<OperandMoments> pieces((x.size() + kGrain - 1) / kGrain);
  std::visit(
      [&](const auto& codes) {
        parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
          auto& sum = pieces[begin / kGrain];
          for (std::size_t i = begin; i < end; ++i) {
            const double real = x.values()[i];
            const double quantized = dequantize(codes.values()[i], q.params());
            sum.x += real;
            sum.q += quantized;
            sum.xx += real * real;
            sum.xq += real * quantized;
            sum.qq += quantized * quantized;
          }
        });
      },
      q.codes());
  OperandMoments mean;
  const double weight = x.size() == 0 ? 0 : 1 / static_cast<double>(x.size());
  for (const auto& sum : pieces) {
    mean.x += weight * sum.x;
    mean.q += weight * sum.q;
    mean.xx += weight * sum.xx;
    mean.xq += weight * sum.xq;
    mean.qq += weight * sum.qq;
  }
  return mean;
}

}  // namespace zeropoint
