// exp(σ·Z), Z normal: positive, with median 1.
#include <cmath>
#include <limits>

#include "theory/distribution_rows.hpp"

namespace zeropoint {
namespace {

class Lognormal final : public Distribution {
 public:
  explicit Lognormal(double sigma)
      : Distribution(
            fmt::format("{}={}", kLognormal.word, sigma),
            fmt::format("exp({}·Z) for a normal Z: log-normal, positive, with median 1", sigma)),
        sigma_(sigma),
        normal_(distribution_normal()) {}

  double pdf(double x) const override {
    return x > 0 && std::isfinite(x) ? normal_.pdf(std::log(x) / sigma_) / (sigma_ * x) : 0;
  }
  double cdf(double x) const override { return moment(x, 0); }
  double partial_mean(double x) const override { return moment(x, 1); }
  double partial_square(double x) const override { return moment(x, 2); }
  double tail(double x) const override { return moment_above(x, 0); }
  double tail_mean(double x) const override { return moment_above(x, 1); }
  double tail_square(double x) const override { return moment_above(x, 2); }
  double quantile(double p) const override { return std::exp(sigma_ * normal_.quantile(p)); }
  double upper_quantile(double p) const override { return std::exp(-sigma_ * normal_.quantile(p)); }
  bool is_symmetric() const override { return false; }
  double entropy() const override { return normal_.entropy() + std::log(sigma_); }

  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override {
    normal_.fill_counter(stream, first, out);
    for (float& x : out) x = static_cast<float>(std::exp(sigma_ * x));
  }

 private:
  // E[Xᵏ; X ≤ x].
  double moment(double x, double k) const {
    if (x <= 0) return 0;
    const double shift = k * sigma_;
    return std::exp(shift * shift / 2) * normal_.cdf(std::log(x) / sigma_ - shift);
  }
  // E[Xᵏ; X > x].
  double moment_above(double x, double k) const {
    const double shift = k * sigma_;
    return std::exp(shift * shift / 2) * (x > 0 ? normal_.cdf(shift - std::log(x) / sigma_) : 1);
  }

  double sigma_;
  const Distribution& normal_;
};

std::unique_ptr<const Distribution> make(std::string_view argument) {
  const auto own = read_parameters(kLognormal, argument, {0.5});
  if (!(own[0] > 0 && own[0] <= 5)) {
    refuse_parameters(kLognormal, argument, "above 0 and at most 5");
  }
  return std::make_unique<const Lognormal>(own[0]);
}

}  // namespace

const DistributionFamily kLognormal = {
    "lognormal", "SIGMA", "exp(SIGMA·Z) for a normal Z (0.5): positive, with median 1", make};

}  // namespace zeropoint
