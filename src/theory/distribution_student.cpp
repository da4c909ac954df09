// Student's t with ν degrees of freedom, divided by its standard deviation √(ν/(ν − 2)).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/digamma.hpp>

#include "theory/distribution_rows.hpp"

namespace zeropoint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// In double throughout: as good as needed, and several times faster than by way of long double.
using Plain = boost::math::students_t_distribution<
    double, boost::math::policies::policy<boost::math::policies::promote_double<false>>>;

class Student final : public Distribution {
 public:
  explicit Student(double nu)
      : Distribution(
            fmt::format("{}={}", kStudent.word, nu),
            fmt::format("Student's t with {} degrees of freedom, scaled to variance 1", nu)),
        nu_(nu),
        scale_(std::sqrt((nu - 2) / nu)),
        plain_(nu) {}

  double pdf(double x) const override {
    return std::isinf(x) ? 0 : boost::math::pdf(plain_, x / scale_) / scale_;
  }

  double cdf(double x) const override {
    if (std::isinf(x)) return x > 0 ? 1 : 0;
    return boost::math::cdf(plain_, x / scale_);
  }

  // The derivative of (ν + t²)·f(t) is −(ν − 1)·t·f(t).
  double partial_mean(double x) const override {
    const double t = std::abs(x / scale_);
    if (t > kFar) return 0;
    return -scale_ * (nu_ + t * t) / (nu_ - 1) * boost::math::pdf(plain_, t);
  }

  // By parts from the same: (ν·F(t) − t·(ν + t²)·f(t))/(ν − 2), where t ≤ 0 adds up.
  double partial_square(double x) const override {
    const double t = -std::abs(x / scale_);
    double tail = 0;
    if (t > -kFar) {
      tail = scale_ * scale_ / (nu_ - 2) *
             (nu_ * boost::math::cdf(plain_, t) - t * (nu_ + t * t) * boost::math::pdf(plain_, t));
    }
    return x < 0 ? tail : 1 - tail;
  }

  double quantile(double p) const override {
    if (p <= 0) return -kInfinity;
    return p >= 1 ? kInfinity : scale_ * boost::math::quantile(plain_, p);
  }

  double entropy() const override {
    const double half = nu_ / 2;
    const double log_beta = std::lgamma(half) + std::lgamma(0.5) - std::lgamma(half + 0.5);
    return (half + 0.5) * (boost::math::digamma(half + 0.5) - boost::math::digamma(half)) +
           std::log(nu_) / 2 + log_beta + std::log(scale_);
  }

  // R. W. Bailey, Math. Comp. 62, 1994: as Box and Muller's, with another radius.
  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); i += 4) {
      const auto words = stream.words((first + i) / 4);
      const auto more = stream.words((kMoreDraws + first + i) / 4);
      for (std::size_t j = 0; j < std::min<std::size_t>(4, out.size() - i); ++j) {
        const double u = (words[j] + 0.5) * 0x1p-32;
        const double radius = std::sqrt(nu_ * std::expm1(-2 / nu_ * std::log(u)));
        const double angle = 2 * std::numbers::pi * (more[j] * 0x1p-32);
        out[i + j] = static_cast<float>(scale_ * radius * std::cos(angle));
      }
    }
  }

 private:
  static constexpr double kFar = 1e75;  // whose fourth power is a number

  double nu_, scale_;
  Plain plain_;
};

std::unique_ptr<const Distribution> make(std::string_view argument) {
  const auto own = read_parameters(kStudent, argument, {5});
  if (!(own[0] > 2 && own[0] <= 1e6)) {
    refuse_parameters(kStudent, argument,
                      "above 2 (below, the variance is infinite) and at most 1e6");
  }
  return std::make_unique<const Student>(own[0]);
}

}  // namespace

const DistributionFamily kStudent = {
    "student", "NU", "Student's t with NU (5) degrees of freedom, scaled to variance 1", make};

}  // namespace zeropoint
