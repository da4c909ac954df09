// The normal distribution with mean 0 and standard deviation 1.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <boost/math/distributions/normal.hpp>

#include "zeropoint/core/parallel.hpp"

#include "theory/distribution_rows.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kBlock = 16;
constexpr double kTwoPi = 2 * std::numbers::pi;

// Box–Muller on 16 uniforms, those 8 apart being a pair. Each function is taken in double and
// rounded to float32, so that one mathematics library is as good as another.
void transform_block(float* u) {
  for (std::size_t j = 0; j < kBlock / 2; ++j) {
    const float v = 1.0F - u[j];
    const auto angle = static_cast<float>(kTwoPi * u[j + 8]);
    const auto log = static_cast<float>(std::log(static_cast<double>(v)));
    const auto radius = static_cast<float>(std::sqrt(-2.0 * log));
    u[j] = radius * static_cast<float>(std::cos(static_cast<double>(angle)));
    u[j + 8] = radius * static_cast<float>(std::sin(static_cast<double>(angle)));
  }
}

// The last values are drawn and transformed again where 16 does not divide the count. Fewer than
// 16 values, which the report never drew, are the first of a whole block.
const boost::math::normal kStandard;

class Normal final : public Distribution {
 public:
  Normal() : Distribution(std::string(kNormal.word), std::string(kNormal.title)) {}

  double pdf(double x) const override { return boost::math::pdf(kStandard, x); }

  double cdf(double x) const override {
    if (std::isinf(x)) return x > 0 ? 1 : 0;
    return boost::math::cdf(kStandard, x);
  }

  double partial_mean(double x) const override { return std::isinf(x) ? 0 : -pdf(x); }

  double partial_square(double x) const override {
    return std::isinf(x) ? cdf(x) : cdf(x) - x * pdf(x);
  }

  double quantile(double p) const override {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (p <= 0) return -kInfinity;
    return p >= 1 ? kInfinity : boost::math::quantile(kStandard, p);
  }

  // Blom's approximation: G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958.
  double expected_order_statistic(double r, double n) const override {
    return quantile((r + 1 - 0.375) / (n + 1 - 2 * 0.375));
  }

  // To first order: H. A. David and H. N. Nagaraja, Order Statistics, 2003, section 4.6.
  double order_statistic_covariance(double r, double s, double n) const override {
    const double p = (r + 1) / (n + 1);
    const double q = (s + 1) / (n + 1);
    return p * (1 - q) / ((n + 2) * pdf(quantile(p)) * pdf(quantile(q)));
  }

  double entropy() const override { return std::log(kTwoPi * std::numbers::e) / 2; }

  bool has_report_stream() const override { return true; }

  void fill_report(ReportStream& stream, std::span<float> out) const override {
    if (out.size() < kBlock) {
      std::array<float, kBlock> block;
      for (float& u : block) u = stream.next();
      transform_block(block.data());
      std::copy_n(block.begin(), out.size(), out.begin());
      return;
    }
    for (float& u : out) u = stream.next();
    parallel_for(out.size() / kBlock, 1 << 12, [&](std::size_t begin, std::size_t end) {
      for (std::size_t block = begin; block < end; ++block) transform_block(&out[block * kBlock]);
    });
    if (out.size() % kBlock != 0) {
      const auto last = out.last(kBlock);
      for (float& u : last) u = stream.next();
      transform_block(last.data());
    }
  }

  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); i += 4) {
      const auto words = stream.words((first + i) / 4);
      std::array<float, 4> normal;
      for (std::size_t pair = 0; pair < 4; pair += 2) {
        // 32 bits and never 0: the tails reach 6.7 standard deviations.
        const double v = (words[pair] + 0.5) * 0x1p-32;
        const double angle = kTwoPi * (words[pair + 1] * 0x1p-32);
        const double radius = std::sqrt(-2 * std::log(v));
        normal[pair] = static_cast<float>(radius * std::cos(angle));
        normal[pair + 1] = static_cast<float>(radius * std::sin(angle));
      }
      std::copy_n(normal.begin(), std::min<std::size_t>(4, out.size() - i),
                  out.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
};

}  // namespace

const Distribution& distribution_normal() {
  static const Normal normal;
  return normal;
}

const DistributionFamily kNormal = {"normal", "", "normal with mean 0 and standard deviation 1",
                                    make_plain<Normal>};

}  // namespace zeropoint
