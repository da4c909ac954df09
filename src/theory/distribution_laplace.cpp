// The Laplace distribution with mean 0 and variance 1: density exp(−√2·|x|)/√2.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "theory/distribution_rows.hpp"

namespace zeropoint {
namespace {

using std::numbers::sqrt2;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr double kFar = 1e6;  // where the density is 0

class Laplace final : public Distribution {
 public:
  Laplace() : Distribution(std::string(kLaplace.word), std::string(kLaplace.title)) {}

  double pdf(double x) const override { return std::exp(-sqrt2 * std::abs(x)) / sqrt2; }

  double cdf(double x) const override {
    const double tail = std::exp(-sqrt2 * std::abs(x)) / 2;
    return x < 0 ? tail : 1 - tail;
  }

  double partial_mean(double x) const override {
    x = std::min(std::abs(x), kFar);
    return -(x + 1 / sqrt2) * std::exp(-sqrt2 * x) / 2;
  }

  double partial_square(double x) const override {
    const double y = std::min(std::abs(x), kFar);
    const double tail = (y * y + sqrt2 * y + 1) * std::exp(-sqrt2 * y) / 2;
    return x < 0 ? tail : 1 - tail;
  }

  double quantile(double p) const override {
    if (p <= 0) return -kInfinity;
    if (p >= 1) return kInfinity;
    return p < 0.5 ? std::log(2 * p) / sqrt2 : -std::log(2 * (1 - p)) / sqrt2;
  }

  double entropy() const override { return 1 + std::numbers::ln2 / 2; }

  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); i += 4) {
      const auto words = stream.words((first + i) / 4);
      for (std::size_t j = 0; j < std::min<std::size_t>(4, out.size() - i); ++j) {
        out[i + j] = static_cast<float>(quantile((words[j] + 0.5) * 0x1p-32));
      }
    }
  }
};

}  // namespace

const DistributionFamily kLaplace = {"laplace", "", "Laplace with mean 0 and variance 1",
                                     make_plain<Laplace>};

}  // namespace zeropoint
