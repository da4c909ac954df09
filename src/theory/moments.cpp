#include "zeropoint/theory/moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#include "theory/cells.hpp"
#include "theory/sample.hpp"

namespace zeropoint {

OperandMoments moments(const Distribution& distribution, QuantParams params,
                       const IntegerGrid& grid, const Convention& convention,
                       const SampleRange& range) {
  const Cells cells = make_cells(params, grid, convention);
  const Sample sample(distribution, range);
  OperandMoments m;
  sample.for_each_tail([&](const Sample::Draw& draw) {
    const double x = draw.x;
    const double q = cells.values[cells.at(x)];
    // Beyond the range, q is its end, and varies with it; inside, q varies as x does.
    const double q_variance = draw.is_beyond ? draw.end : draw.variance;
    const double covariance = (draw.variance + q_variance - draw.beyond) / 2;
    m.x += sample.weight() * x;
    m.q += sample.weight() * q;
    m.xx += sample.weight() * (x * x + draw.variance);
    m.xq += sample.weight() * (x * q + covariance);
    m.qq += sample.weight() * (q * q + q_variance);
  });
  const double from = distribution.quantile(sample.middle_from());
  const double to = distribution.quantile(sample.middle_to());
  if (!(to > from)) return m;
  // An edge belongs to the cell above it, but where rounding up; which matters to atoms.
  const auto below = [&](double edge) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const bool is_above = convention.rounding != Rounding::ceil && std::isfinite(edge);
    return is_above ? std::nextafter(edge, -kInfinity) : edge;
  };
  double cdf_below = distribution.cdf(from);
  double mean_below = distribution.partial_mean(from);
  m.xx += distribution.partial_square(to) - distribution.partial_square(from);
  m.x += distribution.partial_mean(to) - mean_below;
  for (std::size_t i = 0; i < cells.count(); ++i) {
    const double edge = std::clamp(below(cells.edges[i + 1]), from, to);
    const double cdf = distribution.cdf(edge);
    const double mean = distribution.partial_mean(edge);
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
  if (!q.scheme().transforms.empty()) {
    throw InputError(fmt::format("moments: expected codes of the numbers themselves, found {}",
                                 short_form(q.scheme())));
  }
  const QuantParams params = q.params();
  q.visit_codes([&](const auto& codes) {
    parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      auto& sum = pieces[begin / kGrain];
      for (std::size_t i = begin; i < end; ++i) {
        const double real = x.values()[i];
        const double quantized = dequantize(codes.values()[i], params);
        sum.x += real;
        sum.q += quantized;
        sum.xx += real * real;
        sum.xq += real * quantized;
        sum.qq += quantized * quantized;
      }
    });
  });
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
