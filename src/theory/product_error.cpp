#include "zeropoint/theory/product_error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <boost/math/quadrature/gauss.hpp>

#include "theory/cells.hpp"
#include "theory/small_sample.hpp"

namespace zeropoint {
namespace {

// Beyond so many standard deviations a normal distribution holds less than 1e-15.
constexpr double kTails = 8;

double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

double normal_pdf(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

template <class F>
double integrate(const F& f, double from, double to) {
  if (!(to > from)) return 0;
  return boost::math::quadrature::gauss<double, 20>::integrate(f, from, to);
}

// E[Q], E[Q²] and E[V·Q] for V normal, Q its quantized value.
struct OutputMoments {
  double q = 0, qq = 0, vq = 0;
};

OutputMoments output_moments(const Cells& cells, double mean, double deviation) {
  OutputMoments m;
  double cdf_below = 0;
  double pdf_below = 0;
  for (std::size_t i = 0; i < cells.count(); ++i) {
    const double edge = (cells.edges[i + 1] - mean) / deviation;
    const double cdf = normal_cdf(edge);
    const double pdf = normal_pdf(edge);
    const double q = cells.values[i];
    const double p = cdf - cdf_below;
    m.q += q * p;
    m.qq += q * q * p;
    m.vq += q * (mean * p - deviation * (pdf - pdf_below));
    cdf_below = cdf;
    pdf_below = pdf;
  }
  return m;
}

// (Y, Y') bivariate normal, and what the output's quantizer Q makes of them.
class OutputPair {
 public:
  OutputPair(const Cells& cells, const ProductMoments& product)
      : cells_(cells),
        step_(cells.values[1] - cells.values[0]),
        // Rounding down shifts what is not clipped by half a step.
        shift_((cells.values[1] - cells.edges[1]) - step_ / 2),
        mean_(product.mean_y),
        deviation_(std::sqrt(product.var_y)),
        mean_q_(product.mean_q),
        slope_(product.cov / product.var_y),
        spread_(std::sqrt(std::max(0.0, product.var_q - product.cov * slope_))) {}

  // E[(value − Q(Y'))² | Y = y].
  double given(double y, double value) const {
    const double center = conditional_mean(y);
    if (!is_wide()) return by_codes(value, center);
    return clipped_distance(value, center + shift_) + step_ * step_ / 12 * inside(center, spread_);
  }

  // E[(Q(Y) − Q(Y'))²].
  double difference() const { return is_wide() ? difference_if_wide() : difference_by_cells(); }

 private:
  // Where Y' is spread over many steps, its rounding error is independent of all else, with mean
  // square step²/12: what is left falls as exp(−2π²·spread²/step²).
  bool is_wide() const { return spread_ > 4 * step_; }

  double density(double y) const { return normal_pdf((y - mean_) / deviation_) / deviation_; }
  double conditional_mean(double y) const { return mean_q_ + slope_ * (y - mean_); }

  // The probability that a normal number is not clipped.
  double inside(double mean, double deviation) const {
    return normal_cdf((cells_.values.back() - shift_ - mean) / deviation) -
           normal_cdf((cells_.values.front() - shift_ - mean) / deviation);
  }

  // E[(value − Q(V))²] for V normal with mean `center` and deviation spread_, code by code.
  double by_codes(double value, double center) const {
    if (spread_ <= 0) return square(value - cells_.values[cells_.at(center)]);
    const std::size_t first = cells_.at(center - kTails * spread_);
    const std::size_t last = cells_.at(center + kTails * spread_);
    double sum = 0;
    double below = 0;
    for (std::size_t j = first; j <= last; ++j) {
      const double cdf = j == last ? 1 : normal_cdf((cells_.edges[j + 1] - center) / spread_);
      sum += square(value - cells_.values[j]) * (cdf - below);
      below = cdf;
    }
    return sum;
  }

  // E[(value − clip(V))²] for V normal with mean `center` and deviation spread_.
  double clipped_distance(double value, double center) const {
    const double low = cells_.values.front();
    const double high = cells_.values.back();
    const double l = (low - center) / spread_;
    const double h = (high - center) / spread_;
    const double below = normal_cdf(l);
    const double above = normal_cdf(-h);
    const double middle = 1 - below - above;
    const double offset = center - value;
    const double first = normal_pdf(l) - normal_pdf(h);                    // E[Z; l < Z < h]
    const double second = middle + l * normal_pdf(l) - h * normal_pdf(h);  // E[Z²; l < Z < h]
    return below * square(value - low) + above * square(value - high) + offset * offset * middle +
           2 * offset * spread_ * first + spread_ * spread_ * second;
  }

  // One cell of Y. What matters happens near its edges if Y' strays little.
  double cell(std::size_t i) const {
    const double from = std::max(cells_.edges[i], mean_ - kTails * deviation_);
    const double to = std::min(cells_.edges[i + 1], mean_ + kTails * deviation_);
    if (!(to > from)) return 0;
    const auto f = [&](double y) {
      return density(y) * by_codes(cells_.values[i], conditional_mean(y));
    };
    const double reach = (kTails + 1) * spread_ / std::max(std::abs(slope_), 1e-3);
    if (2 * reach >= to - from) return integrate(f, from, to);
    return integrate(f, from, from + reach) + integrate(f, from + reach, to - reach) +
           integrate(f, to - reach, to);
  }

  double probability(std::size_t i, std::size_t j) const {
    return normal_cdf((cells_.edges[j] - mean_) / deviation_) -
           normal_cdf((cells_.edges[i] - mean_) / deviation_);
  }

  // Cells near the ends one by one; those inside, alike but for their weight, by one of a group.
  double difference_by_cells() const {
    constexpr std::size_t kEnds = 64;
    const std::size_t count = cells_.count();
    const std::size_t group = std::max<std::size_t>(1, count / 512);
    double sum = 0;
    for (std::size_t i = 0; i < count;) {
      const bool is_inside = i >= kEnds && i + group + kEnds <= count;
      if (group == 1 || !is_inside) {
        sum += cell(i++);
        continue;
      }
      const std::size_t middle = i + group / 2;
      const double weight = probability(middle, middle + 1);
      if (weight > 0) sum += cell(middle) * probability(i, i + group) / weight;
      i += group;
    }
    return sum;
  }

  // Two independent rounding errors beside the difference of the clipped values.
  double difference_if_wide() const {
    const double low = cells_.values.front();
    const double high = cells_.values.back();
    const auto f = [&](double y) {
      return density(y) *
             clipped_distance(std::clamp(y + shift_, low, high), conditional_mean(y) + shift_);
    };
    // Panels of a quarter deviation, and breaks where clipping sets in.
    double sum = 0;
    constexpr int kPanels = 64;
    for (int panel = 0; panel < kPanels; ++panel) {
      const double from = mean_ + deviation_ * kTails * (2.0 * panel / kPanels - 1);
      const double to = mean_ + deviation_ * kTails * (2.0 * (panel + 1) / kPanels - 1);
      const double first = std::clamp(low - shift_, from, to);
      const double second = std::clamp(high - shift_, from, to);
      sum += integrate(f, from, first) + integrate(f, first, second) + integrate(f, second, to);
    }
    const double deviation_q = std::hypot(spread_, slope_ * deviation_);
    return sum + step_ * step_ / 12 * (inside(mean_, deviation_) + inside(mean_q_, deviation_q));
  }

  static double square(double x) { return x * x; }

  const Cells& cells_;
  double step_, shift_, mean_, deviation_, mean_q_, slope_, spread_;
};

double ratio(double part, double whole) {
  return whole > 0 ? std::sqrt(std::max(0.0, part) / whole) : 0;
}

}  // namespace

ProductMoments product_moments(const OperandMoments& a, const OperandMoments& b, std::size_t k) {
  const auto terms = static_cast<double>(k);
  ProductMoments p;
  p.mean_y = terms * a.x * b.x;
  p.mean_q = terms * a.q * b.q;
  p.var_y = terms * (a.xx * b.xx - a.x * a.x * b.x * b.x);
  p.var_q = terms * (a.qq * b.qq - a.q * a.q * b.q * b.q);
  p.cov = terms * (a.xq * b.xq - a.x * a.q * b.x * b.q);
  return p;
}

PredictedErrors predict_errors(const ProductMoments& p, QuantParams output, const IntegerGrid& grid,
                               const Convention& convention, double count) {
  PredictedErrors errors;
  const double yy = p.var_y + p.mean_y * p.mean_y;
  if (!(p.var_y > 0) || !(p.var_q > 0)) return errors;
  const double yq = p.cov + p.mean_y * p.mean_q;
  errors.product = ratio(yy - 2 * yq + p.var_q + p.mean_q * p.mean_q, yy);

  const Cells cells = make_cells(output, grid, convention);
  const OutputPair pair(cells, p);
  if (count <= kSmallSample) {
    const auto& normal = distribution("normal");
    double truth = 0, whole = 0, difference = 0, quantized = 0;
    for (double rank = 0; rank < count; ++rank) {
      const double y = p.mean_y + std::sqrt(p.var_y) * normal.expected_order_statistic(rank, count);
      const double q = cells.values[cells.at(y)];
      truth += pair.given(y, y);
      whole += y * y;
      difference += pair.given(y, q);
      quantized += q * q;
    }
    errors.ground_truth = ratio(truth, whole);
    errors.expected = ratio(difference, quantized);
    return errors;
  }

  const auto of_product = output_moments(cells, p.mean_q, std::sqrt(p.var_q));
  const double y_times_q =
      p.mean_y * of_product.q + p.cov / p.var_q * (of_product.vq - p.mean_q * of_product.q);
  errors.ground_truth = ratio(yy - 2 * y_times_q + of_product.qq, yy);

  const auto of_truth = output_moments(cells, p.mean_y, std::sqrt(p.var_y));
  errors.expected = ratio(pair.difference(), of_truth.qq);
  return errors;
}

Range expected_range(const Distribution& distribution, double cover, Coverage sides, double count) {
  const auto [lower, upper] = cover_probabilities(cover, sides);
  const auto at = [&](double p) {
    return static_cast<float>(distribution.expected_order_statistic(p * (count - 1), count));
  };
  return {at(lower), at(upper)};
}

StudyPrediction predict_study(const Distribution& source, std::size_t m, std::size_t k,
                              std::size_t n, double cover, int bits, const Convention& convention) {
  const IntegerGrid grid = convention.grid(bits);
  const auto count = [](std::size_t rows, std::size_t cols) {
    return static_cast<double>(rows) * static_cast<double>(cols);
  };
  const auto params = [&](Range range) { return choose_params(range, grid, convention); };
  StudyPrediction prediction;
  prediction.a = params(expected_range(source, cover, convention.coverage, count(m, k)));
  prediction.b = params(expected_range(source, cover, convention.coverage, count(k, n)));
  const auto product =
      product_moments(moments(source, prediction.a, grid, convention, count(m, k)),
                      moments(source, prediction.b, grid, convention, count(k, n)), k);
  Range y = expected_range(distribution("normal"), cover, convention.coverage, count(m, n));
  const double deviation = std::sqrt(product.var_y);
  y = {static_cast<float>(deviation * y.min), static_cast<float>(deviation * y.max)};
  prediction.y = params(y);
  prediction.errors = predict_errors(product, prediction.y, grid, convention, count(m, n));
  return prediction;
}

}  // namespace zeropoint
