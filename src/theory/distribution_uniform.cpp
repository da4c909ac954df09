// The uniform distribution on [−1, 1].
#include <algorithm>
#include <cmath>
#include <numbers>

#include "theory/distribution_rows.hpp"

namespace zeropoint {
namespace {

class Uniform final : public Distribution {
 public:
  Uniform() : Distribution(std::string(kUniform.word), std::string(kUniform.title)) {}

  double pdf(double x) const override { return std::abs(x) <= 1 ? 0.5 : 0; }

  double cdf(double x) const override { return (std::clamp(x, -1.0, 1.0) + 1) / 2; }

  double partial_mean(double x) const override {
    x = std::clamp(x, -1.0, 1.0);
    return (x - 1) * (x + 1) / 4;
  }

  double partial_square(double x) const override {
    x = std::clamp(x, -1.0, 1.0);
    return (x + 1) * (x * x - x + 1) / 6;
  }

  double quantile(double p) const override { return 2 * std::clamp(p, 0.0, 1.0) - 1; }

  double expected_order_statistic(double r, double n) const override {
    return 2 * (r + 1) / (n + 1) - 1;
  }

  double order_statistic_covariance(double r, double s, double n) const override {
    const double below = (r + 1) / (n + 1);
    const double above = 1 - (s + 1) / (n + 1);
    return 4 * below * above / (n + 2);
  }

  double entropy() const override { return std::numbers::ln2; }

  bool has_report_stream() const override { return true; }

  void fill_report(ReportStream& stream, std::span<float> out) const override {
    for (float& x : out) x = stream.next() * 2.0F - 1.0F;
  }

  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); i += 4) {
      const auto words = stream.words((first + i) / 4);
      for (std::size_t j = 0; j < std::min<std::size_t>(4, out.size() - i); ++j) {
        out[i + j] = static_cast<float>(words[j] >> 8) * 0x1p-23F - 1.0F;
      }
    }
  }
};

}  // namespace

const DistributionFamily kUniform = {"uniform", "", "uniform on [-1, 1]", make_plain<Uniform>};

}  // namespace zeropoint
