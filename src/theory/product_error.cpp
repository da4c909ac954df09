#include "zeropoint/theory/product_error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <boost/math/quadrature/gauss.hpp>

#include "theory/cells.hpp"
#include "theory/sample.hpp"

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

// (Y, Y') bivariate normal, and what the output's quantizer Q makes of them.
class OutputPair {
 public:
  OutputPair(const Cells& cells, const ProductMoments& product)
      : cells_(cells),
        step_(cells.values[1] - cells.values[0]),
        mean_(product.mean_y),
        deviation_(std::sqrt(product.var_y)),
        mean_q_(product.mean_q),
        slope_(product.cov / product.var_y),
        spread_(std::sqrt(std::max(0.0, product.var_q - product.cov * slope_))) {
    // Rounding down shifts what is not clipped by half a step; truncating shifts it up below the
    // one cell that is two steps wide, and down above.
    const std::size_t last = cells.count() - 1;
    shift_low_ = cells.values[1] - cells.edges[1] - step_ / 2;
    shift_high_ = cells.values[last] - cells.edges[last] - step_ / 2;
    turn_ = cells.values.front();
    for (std::size_t i = 1; i < last; ++i) {
      if (cells.edges[i + 1] - cells.edges[i] > 1.5 * step_) turn_ = cells.values[i];
    }
    low_edge_ = cells.values.front() - shift_low_;
    high_edge_ = cells.values.back() - shift_high_;
    turn_ = std::clamp(turn_, low_edge_, high_edge_);
  }

  // E[(value − Q(Y'))² | Y = y].
  double given(double y, double value) const {
    const double center = conditional_mean(y);
    if (!is_wide()) return by_codes(value, center);
    return clipped(value, center) + rounded(value, center, shift_low_, low_edge_, turn_) +
           rounded(value, center, shift_high_, turn_, high_edge_);
  }

  // Means over a sample of Y.
  struct Means {
    double truth = 0;       // (Y − Q(Y'))²
    double difference = 0;  // (Q(Y) − Q(Y'))²
    double whole = 0;       // Y²
    double quantized = 0;   // Q(Y)²
  };
  Means means(const SampleRange& range) const {
    const auto& normal = distribution("normal");
    const Sample sample(normal, range);
    const double variance = deviation_ * deviation_;
    Means m;
    sample.for_each_tail([&](const Sample::Draw& draw) {
      const double y = mean_ + deviation_ * draw.x;
      const double q = cells_.values[cells_.at(y)];
      m.truth += sample.weight() * (given(y, y) + variance * draw.beyond);
      m.difference += sample.weight() * given(y, q);
      m.whole += sample.weight() * (y * y + variance * draw.variance);
      m.quantized +=
          sample.weight() * (q * q + variance * (draw.is_beyond ? draw.end : draw.variance));
    });
    const double from = std::max(normal.quantile(sample.middle_from()), -kTails);
    const double to = std::min(normal.quantile(sample.middle_to()), kTails);
    if (to > from) add_middle(m, mean_ + deviation_ * from, mean_ + deviation_ * to);
    return m;
  }

 private:
  // Where Y' is spread over many steps, its rounding error is independent of all else, with mean
  // square step²/12: what is left falls as exp(−2π²·spread²/step²).
  bool is_wide() const { return spread_ > 4 * step_; }

  double density(double y) const { return normal_pdf((y - mean_) / deviation_) / deviation_; }
  double conditional_mean(double y) const { return mean_q_ + slope_ * (y - mean_); }

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

  // For V normal with mean `center` and deviation spread_, E[(value − Q(V))²; V clipped] …
  double clipped(double value, double center) const {
    return normal_cdf((low_edge_ - center) / spread_) * square(value - cells_.values.front()) +
           normal_cdf((center - high_edge_) / spread_) * square(value - cells_.values.back());
  }

  // … and E[(value − V − shift)² + step²/12; from < V < to].
  double rounded(double value, double center, double shift, double from, double to) const {
    const double l = (from - center) / spread_;
    const double h = (to - center) / spread_;
    const double p = normal_cdf(h) - normal_cdf(l);
    const double offset = center + shift - value;
    const double first = normal_pdf(l) - normal_pdf(h);               // E[Z; l < Z < h]
    const double second = p + l * normal_pdf(l) - h * normal_pdf(h);  // E[Z²; l < Z < h]
    return (offset * offset + step_ * step_ / 12) * p + 2 * offset * spread_ * first +
           spread_ * spread_ * second;
  }

  // Adds the integrals over Y from `from` to `to`, cell by cell. Cells near the ends of the grid
  // are taken one by one; those inside, alike but for their weight, by one of a group.
  void add_middle(Means& m, double from, double to) const {
    constexpr std::size_t kEnds = 64;
    const std::size_t first = cells_.at(from);
    const std::size_t last = cells_.at(to);
    const std::size_t group = std::max<std::size_t>(1, (last - first) / 512);
    for (std::size_t i = first; i <= last;) {
      const bool is_inside = i >= first + kEnds && i + group + kEnds <= last;
      const std::size_t size = is_inside ? group : 1;
      const std::size_t middle = i + size / 2;
      Means cell;
      add_cell(cell, middle, std::max(from, cells_.edges[middle]),
               std::min(to, cells_.edges[middle + 1]));
      double scale = 1;
      if (size > 1) {
        const double weight = probability(cells_.edges[middle], cells_.edges[middle + 1]);
        scale = weight > 0 ? probability(cells_.edges[i], cells_.edges[i + size]) / weight : 0;
      }
      m.truth += scale * cell.truth;
      m.difference += scale * cell.difference;
      for (std::size_t j = i; j < i + size; ++j) {
        m.quantized += square(cells_.values[j]) * probability(std::max(from, cells_.edges[j]),
                                                              std::min(to, cells_.edges[j + 1]));
      }
      i += size;
    }
    const double a = (from - mean_) / deviation_;
    const double b = (to - mean_) / deviation_;
    const double p = normal_cdf(b) - normal_cdf(a);
    const double first_moment = normal_pdf(a) - normal_pdf(b);
    const double second_moment = p + a * normal_pdf(a) - b * normal_pdf(b);
    m.whole += mean_ * mean_ * p + 2 * mean_ * deviation_ * first_moment +
               deviation_ * deviation_ * second_moment;
  }

  // The part of one cell between `from` and `to`. What matters happens near the cell's edges if Y'
  // strays little, and over a deviation of Y if the cell is a wide, clipped one.
  void add_cell(Means& m, std::size_t i, double from, double to) const {
    const double reach = (kTails + 1) * spread_ / std::max(std::abs(slope_), 1e-3);
    const auto add = [&](double a, double b) {
      const double widest = deviation_ / 4;
      const auto pieces = std::max(1.0, std::ceil((b - a) / widest));
      for (double piece = 0; piece < pieces; ++piece) {
        const double left = a + (b - a) * piece / pieces;
        const double right = a + (b - a) * (piece + 1) / pieces;
        m.truth += integrate([&](double y) { return density(y) * given(y, y); }, left, right);
        m.difference += integrate([&](double y) { return density(y) * given(y, cells_.values[i]); },
                                  left, right);
      }
    };
    if (!(to > from)) return;
    if (2 * reach >= to - from) return add(from, to);
    add(from, from + reach);
    add(from + reach, to - reach);
    add(to - reach, to);
  }

  double probability(double from, double to) const {
    if (!(to > from)) return 0;
    return normal_cdf((to - mean_) / deviation_) - normal_cdf((from - mean_) / deviation_);
  }

  static double square(double x) { return x * x; }

  const Cells& cells_;
  double step_, mean_, deviation_, mean_q_, slope_, spread_;
  double shift_low_, shift_high_, turn_, low_edge_, high_edge_;
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
  // A difference within rounding of its terms is none: constant operands have no variance.
  const auto variance = [](double square, double mean) {
    const double difference = square - mean * mean;
    return difference > 1e-12 * square ? difference : 0;
  };
  p.var_y = terms * variance(a.xx * b.xx, a.x * b.x);
  p.var_q = terms * variance(a.qq * b.qq, a.q * b.q);
  p.cov = terms * (a.xq * b.xq - a.x * a.q * b.x * b.q);
  return p;
}

PredictedErrors predict_errors(const ProductMoments& p, QuantParams output, const IntegerGrid& grid,
                               const Convention& convention, const SampleRange& sample) {
  PredictedErrors errors;
  const double yy = p.var_y + p.mean_y * p.mean_y;
  if (!(p.var_y > 0)) return errors;
  const double yq = p.cov + p.mean_y * p.mean_q;
  errors.product = ratio(yy - 2 * yq + p.var_q + p.mean_q * p.mean_q, yy);

  const Cells cells = make_cells(output, grid, convention);
  const auto means = OutputPair(cells, p).means(sample);
  errors.ground_truth = ratio(means.truth, means.whole);
  errors.expected = ratio(means.difference, means.quantized);
  return errors;
}

SampleRange sample_range(double cover, Coverage sides, double count) {
  const auto [lower, upper] = cover_probabilities(cover, sides);
  return {count, lower * (count - 1), upper * (count - 1)};
}

Range expected_range(const Distribution& distribution, double cover, Coverage sides, double count) {
  const auto ranks = sample_range(cover, sides, count);
  const auto at = [&](double rank) {
    return static_cast<float>(distribution.expected_order_statistic(rank, count));
  };
  return {at(ranks.lower_rank), at(ranks.upper_rank)};
}

StudyPrediction predict_study(const Distribution& source, std::size_t m, std::size_t k,
                              std::size_t n, double cover, int bits, const Convention& convention) {
  const IntegerGrid grid = convention.grid(bits);
  const auto count = [](std::size_t rows, std::size_t cols) {
    return static_cast<double>(rows) * static_cast<double>(cols);
  };
  const auto sample = [&](std::size_t rows, std::size_t cols) {
    return sample_range(cover, convention.coverage, count(rows, cols));
  };
  const auto params = [&](Range range) { return choose_params(range, grid, convention); };
  StudyPrediction prediction;
  prediction.a = params(expected_range(source, cover, convention.coverage, count(m, k)));
  prediction.b = params(expected_range(source, cover, convention.coverage, count(k, n)));
  const auto product =
      product_moments(moments(source, prediction.a, grid, convention, sample(m, k)),
                      moments(source, prediction.b, grid, convention, sample(k, n)), k);
  Range y = expected_range(distribution("normal"), cover, convention.coverage, count(m, n));
  const double deviation = std::sqrt(product.var_y);
  y = {static_cast<float>(product.mean_y + deviation * y.min),
       static_cast<float>(product.mean_y + deviation * y.max)};
  prediction.y = params(y);
  prediction.errors = predict_errors(product, prediction.y, grid, convention, sample(m, n));
  return prediction;
}

}  // namespace zeropoint
